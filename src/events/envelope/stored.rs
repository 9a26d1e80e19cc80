//! A payload format as a part of a stored webhook.

use chrono::FixedOffset;
use serde::{Deserialize, Serialize};

use crate::events::envelope::cloud_events::{CloudEventsFormat, CloudEventsMode};
use crate::events::envelope::flat::FlatFormat;
use crate::events::envelope::format::{InvalidFormat, PayloadFormat};
use crate::events::envelope::standard::StandardFormat;
use crate::events::envelope::time::{TimeFormat, Zone};

/// [`PayloadFormat`] as a part of a record: a format of the host's own by its name.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(try_from = "Kept", into = "Kept")]
pub(crate) struct StoredFormat(pub(crate) PayloadFormat);

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Standard {
        type_field: String,
    },
    CloudEvents {
        mode: KeptMode,
        source: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        type_prefix: String,
    },
    Flat {
        event_id: String,
        timestamp: String,
        event_type: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time_pattern: Option<String>,
        #[serde(default, skip_serializing_if = "KeptZone::is_utc")]
        time_zone: KeptZone,
    },
    Named(String),
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum KeptMode {
    Structured,
    Binary,
}

#[derive(Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum KeptZone {
    #[default]
    Utc,
    Unwritten,
    /// Seconds east of UTC.
    Offset(i32),
}

impl KeptZone {
    fn is_utc(&self) -> bool {
        *self == Self::Utc
    }
}

impl From<StoredFormat> for Kept {
    fn from(StoredFormat(format): StoredFormat) -> Self {
        match format {
            PayloadFormat::Standard(format) => Self::Standard { type_field: format.type_field().to_owned() },
            PayloadFormat::CloudEvents(format) => Self::CloudEvents {
                mode: match format.mode() {
                    CloudEventsMode::Structured => KeptMode::Structured,
                    CloudEventsMode::Binary => KeptMode::Binary,
                },
                source: format.source().to_owned(),
                type_prefix: format.type_prefix().to_owned(),
            },
            PayloadFormat::Flat(format) => {
                let [event_id, timestamp, event_type] = format.fields().map(str::to_owned);
                Self::Flat {
                    event_id,
                    timestamp,
                    event_type,
                    time_pattern: format.time().pattern().map(str::to_owned),
                    time_zone: match format.time().zone() {
                        Zone::Utc => KeptZone::Utc,
                        Zone::Unwritten => KeptZone::Unwritten,
                        Zone::Offset(offset) => KeptZone::Offset(offset.local_minus_utc()),
                    },
                }
            }
            PayloadFormat::Named(name) => Self::Named(name.to_string()),
        }
    }
}

impl TryFrom<Kept> for StoredFormat {
    type Error = InvalidFormat;

    fn try_from(kept: Kept) -> Result<Self, InvalidFormat> {
        Ok(Self(match kept {
            Kept::Standard { type_field } => StandardFormat::new().with_type_field(&type_field)?.into(),
            Kept::CloudEvents { mode, source, type_prefix } => {
                let mode = match mode {
                    KeptMode::Structured => CloudEventsMode::Structured,
                    KeptMode::Binary => CloudEventsMode::Binary,
                };
                CloudEventsFormat::new(mode, &source)?.with_type_prefix(&type_prefix)?.into()
            }
            Kept::Flat { event_id, timestamp, event_type, time_pattern, time_zone } => {
                let zone = match time_zone {
                    KeptZone::Utc => Zone::Utc,
                    KeptZone::Unwritten => Zone::Unwritten,
                    KeptZone::Offset(seconds) => {
                        Zone::Offset(FixedOffset::east_opt(seconds).ok_or(InvalidFormat::TimeZone)?)
                    }
                };
                let time = match time_pattern {
                    Some(pattern) => TimeFormat::strftime(&pattern, zone)?,
                    None => TimeFormat::iso(zone),
                };
                FlatFormat::new().with_fields(&event_id, &timestamp, &event_type)?.with_time(time).into()
            }
            Kept::Named(name) => PayloadFormat::Named(name.into()),
        }))
    }
}
