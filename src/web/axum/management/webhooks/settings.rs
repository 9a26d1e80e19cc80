//! How requests are formed, signed, tried again and ordered. Each shape goes both ways: what is shown can be sent back.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::events::{
    CloudEventsFormat, CloudEventsMode, FlatFormat, PayloadFormat, StandardFormat, TimeFormat, Zone,
};
use crate::lanes::Schedule;
use crate::web::axum::management::shapes::{mirror, seconds};
use crate::webhooks::sign::{HmacScheme, SignatureList};
use crate::webhooks::{self, LaneStop, Ordered, RetryPolicy, SignatureScheme};

/// When failed deliveries are tried again: after fixed waits, or after growing ones. No waits at all mean never.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::axum::management) struct Retry {
    /// Seconds, one wait after each failure; at most 100 of at most 7 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delays: Option<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exponential: Option<Exponential>,
}

/// Waits that double, with full jitter.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Exponential {
    /// The first wait, in seconds.
    first: f64,
    /// The longest wait, in seconds; at most 7 days.
    cap: f64,
    /// How often; at most 100 times.
    retries: u32,
}

/// At most so many requests a second.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RateLimit {
    pub(super) per_second: f64,
    /// How many at once after a quiet time.
    pub(super) burst: u32,
}

/// Deliveries keep the order of events.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ordering {
    by: OrderedBy,
    on_exhausted: OnExhausted,
}

mirror!(
    /// What is kept in order.
    OrderedBy of Ordered {
        /// All events of the webhook.
        All,
        /// Events with the same ordering key.
        ByKey,
    }
);
mirror!(
    /// What becomes of an order whose first delivery cannot be made.
    OnExhausted of LaneStop {
        /// It stands still until somebody releases it.
        Stop,
        /// It goes on with the next one.
        Skip,
    }
);

/// How an event becomes bytes.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Format {
    kind: FormatKind,
    /// With `standard`: what the type's field is called; `type` unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    type_field: Option<String>,
    /// With the CloudEvents: where events come from, such as `https://example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// With the CloudEvents: what stands before each type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    type_prefix: Option<String>,
    /// With `flat`: what the event's own fields are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fields: Option<FlatFields>,
    /// With `flat`: how the time is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<TimeShape>,
    /// With `named`: a format of the host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// Which format.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FormatKind {
    /// `{"type","timestamp","data"}`.
    Standard,
    /// CloudEvents 1.0, all in the body.
    CloudEvents,
    /// CloudEvents 1.0, attributes in headers.
    CloudEventsBinary,
    /// The payload's own fields at the top.
    Flat,
    /// A format of the host's own.
    Named,
}

/// What the event's own fields are called.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FlatFields {
    event_id: String,
    timestamp: String,
    event_type: String,
}

/// How a time is written.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = TimeFormat)]
#[serde(deny_unknown_fields)]
struct TimeShape {
    /// As strftime has it; ISO 8601 with milliseconds unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    /// `utc`, `none` (UTC, unwritten), or an offset such as `+02:00`.
    zone: String,
}

/// How requests are signed.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Scheme {
    kind: SchemeKind,
    /// With `hmac`: which header holds the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    /// With `hmac`: which header holds the time, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp_header: Option<String>,
    /// With `hmac`: what stands before the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    /// With `hmac`: time and signature in one list, such as `t=…,v1=…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list: Option<ListShape>,
    /// With `hmac`: `hex` unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    /// With `hmac`: what is signed, of `{body}`, `{timestamp}`, `{id}`, `{url}`; `{body}` unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    /// With `hmac`: `verbatim` unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_use: Option<KeyUse>,
}

/// Which scheme.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SchemeKind {
    /// Standard Webhooks, `v1`.
    Standard,
    /// Standard Webhooks, `v1a`.
    StandardEd25519,
    /// HMAC-SHA-256 in a header of one's own.
    Hmac,
}

/// Time and signature in one list.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = SignatureList)]
#[serde(deny_unknown_fields)]
struct ListShape {
    timestamp: String,
    signature: String,
    /// `,` or `;`.
    separator: char,
}

mirror!(
    /// How a signature is written.
    Encoding of webhooks::sign::Encoding { Hex, Base64 }
);
mirror!(
    /// How a secret becomes a key.
    KeyUse of webhooks::sign::KeyUse {
        /// Its characters, as they are.
        Verbatim,
        /// What its base64 stands for.
        Decoded,
    }
);

impl Retry {
    pub(in crate::web::axum::management) fn wanted(
        &self,
        problems: &mut Vec<Problem>,
    ) -> Option<RetryPolicy> {
        let before = problems.len();
        let schedule = match (&self.delays, &self.exponential) {
            (Some(delays), None) => {
                let waits: Vec<_> = delays
                    .iter()
                    .enumerate()
                    .map(|(index, wait)| seconds(&format!("retry.delays[{index}]"), *wait, problems))
                    .collect();
                Schedule::table(waits).map_err(|invalid| invalid.problem("retry.delays"))
            }
            (None, Some(growing)) => {
                let first = seconds("retry.exponential.first", growing.first, problems);
                let cap = seconds("retry.exponential.cap", growing.cap, problems);
                Schedule::exponential(first, cap, growing.retries)
                    .map_err(|invalid| invalid.problem("retry.exponential"))
            }
            _ => {
                let rule = "a retry policy is `delays` or `exponential`";
                Err(Problem::new("retry", rule, "give one of them; `{\"delays\": []}` is never"))
            }
        };
        match schedule {
            Ok(schedule) if problems.len() == before => return Some(RetryPolicy::new(schedule)),
            Ok(_) => {}
            Err(problem) => problems.push(problem),
        }
        None
    }

    pub(in crate::web::axum::management) fn of(policy: &RetryPolicy) -> Self {
        let schedule = policy.schedule();
        let delays = schedule.as_table().map(|waits| waits.iter().map(|wait| wait.as_secs_f64()).collect());
        let exponential = schedule.as_exponential().map(|(first, cap, retries)| Exponential {
            first: first.as_secs_f64(),
            cap: cap.as_secs_f64(),
            retries,
        });
        Self { delays, exponential }
    }
}

impl Ordering {
    pub(super) fn wanted(self) -> webhooks::Ordering {
        webhooks::Ordering::Ordered { by: self.by.into(), on_exhausted: self.on_exhausted.into() }
    }

    pub(super) fn of(ordering: webhooks::Ordering) -> Option<Self> {
        match ordering {
            webhooks::Ordering::Unordered => None,
            webhooks::Ordering::Ordered { by, on_exhausted } => {
                Some(Self { by: by.into(), on_exhausted: on_exhausted.into() })
            }
        }
    }
}

impl Format {
    pub(super) fn wanted(self, problems: &mut Vec<Problem>) -> Option<PayloadFormat> {
        use FormatKind::{CloudEvents, CloudEventsBinary, Flat, Named, Standard};
        let before = problems.len();
        for (field, is_there, kinds) in [
            ("type_field", self.type_field.is_some(), &[Standard][..]),
            ("source", self.source.is_some(), &[CloudEvents, CloudEventsBinary]),
            ("type_prefix", self.type_prefix.is_some(), &[CloudEvents, CloudEventsBinary]),
            ("fields", self.fields.is_some(), &[Flat]),
            ("time", self.time.is_some(), &[Flat]),
            ("name", self.name.is_some(), &[Named]),
        ] {
            if is_there && !kinds.contains(&self.kind) {
                let rule = "this kind of format has no such field";
                problems.push(Problem::new(
                    format!("format.{field}"),
                    rule,
                    "leave it out, or choose another kind",
                ));
            }
        }
        let made = match self.kind {
            Standard => match self.type_field {
                None => Ok(StandardFormat::new().into()),
                Some(name) => StandardFormat::new().with_type_field(&name).map(Into::into),
            },
            CloudEvents | CloudEventsBinary => {
                let mode = if self.kind == CloudEvents {
                    CloudEventsMode::Structured
                } else {
                    CloudEventsMode::Binary
                };
                CloudEventsFormat::new(mode, &self.source.unwrap_or_default())
                    .and_then(|format| format.with_type_prefix(&self.type_prefix.unwrap_or_default()))
                    .map(Into::into)
            }
            Flat => {
                let format = match self.fields {
                    None => Ok(FlatFormat::new()),
                    Some(names) => {
                        FlatFormat::new().with_fields(&names.event_id, &names.timestamp, &names.event_type)
                    }
                };
                let time = self.time.map(|time| time.wanted(problems));
                match time {
                    None => format.map(Into::into),
                    Some(time) => format.and_then(|format| Ok(format.with_time(time?).into())),
                }
            }
            Named => Ok(PayloadFormat::from(self.name.unwrap_or_default().as_str())),
        };
        match made {
            Ok(format) if problems.len() == before => return Some(format),
            Ok(_) => {}
            Err(invalid) => problems.push(invalid.into()),
        }
        None
    }

    pub(super) fn of(format: &PayloadFormat) -> Self {
        let plain = |kind| Self {
            kind,
            type_field: None,
            source: None,
            type_prefix: None,
            fields: None,
            time: None,
            name: None,
        };
        match format {
            PayloadFormat::Standard(format) => {
                Self { type_field: Some(format.type_field().to_owned()), ..plain(FormatKind::Standard) }
            }
            PayloadFormat::CloudEvents(format) => {
                let kind = match format.mode() {
                    CloudEventsMode::Structured => FormatKind::CloudEvents,
                    CloudEventsMode::Binary => FormatKind::CloudEventsBinary,
                };
                let type_prefix = Some(format.type_prefix().to_owned());
                Self { source: Some(format.source().to_owned()), type_prefix, ..plain(kind) }
            }
            PayloadFormat::Flat(format) => {
                let [event_id, timestamp, event_type] = format.fields().map(str::to_owned);
                Self {
                    fields: Some(FlatFields { event_id, timestamp, event_type }),
                    time: Some(TimeShape::of(format.time())),
                    ..plain(FormatKind::Flat)
                }
            }
            PayloadFormat::Named(name) => Self { name: Some(name.to_string()), ..plain(FormatKind::Named) },
        }
    }
}

impl TimeShape {
    fn wanted(self, problems: &mut Vec<Problem>) -> Result<TimeFormat, crate::events::InvalidFormat> {
        let zone = match &*self.zone {
            "utc" => Zone::Utc,
            "none" => Zone::Unwritten,
            offset => match offset.parse() {
                Ok(offset) => Zone::Offset(offset),
                Err(_) => {
                    let rule = "a zone is `utc`, `none` or an offset";
                    problems.push(Problem::new("format.time.zone", rule, "write an offset as `+02:00`"));
                    Zone::Utc
                }
            },
        };
        match self.pattern {
            None => Ok(TimeFormat::iso(zone)),
            Some(pattern) => TimeFormat::strftime(&pattern, zone),
        }
    }

    fn of(time: &TimeFormat) -> Self {
        let zone = match time.zone() {
            Zone::Utc => "utc".to_owned(),
            Zone::Unwritten => "none".to_owned(),
            Zone::Offset(offset) => offset.to_string(),
        };
        Self { pattern: time.pattern().map(str::to_owned), zone }
    }
}

impl Scheme {
    /// What is meant, or what is wrong with it; `field` is where it stands.
    pub(super) fn wanted(self, field: &str, problems: &mut Vec<Problem>) -> Option<SignatureScheme> {
        let says_hmac = self.header.is_some()
            || self.timestamp_header.is_some()
            || self.prefix.is_some()
            || self.list.is_some()
            || self.encoding.is_some()
            || self.template.is_some()
            || self.key_use.is_some();
        let refuse = |problems: &mut Vec<Problem>, rule: String, fix: &str| {
            problems.push(Problem::new(field, rule, fix));
            None
        };
        match self.kind {
            SchemeKind::Hmac => {}
            _ if says_hmac => {
                let rule = "only a scheme of the kind `hmac` has these fields".to_owned();
                return refuse(problems, rule, "leave `kind` alone, or choose `hmac`");
            }
            SchemeKind::Standard => return Some(SignatureScheme::Standard),
            SchemeKind::StandardEd25519 => return Some(SignatureScheme::StandardEd25519),
        }
        if self.prefix.is_some() && self.list.is_some() {
            let rule = "a signature stands behind a prefix or in a list".to_owned();
            return refuse(problems, rule, "leave one of them out");
        }
        let made = HmacScheme::new(&self.header.unwrap_or_default()).and_then(|mut scheme| {
            if let Some(header) = &self.timestamp_header {
                scheme = scheme.with_timestamp_header(header)?;
            }
            if let Some(prefix) = &self.prefix {
                scheme = scheme.with_prefix(prefix)?;
            }
            if let Some(list) = &self.list {
                scheme =
                    scheme.with_list(SignatureList::new(&list.timestamp, &list.signature, list.separator)?);
            }
            if let Some(template) = &self.template {
                scheme = scheme.with_template(template.parse()?);
            }
            if let Some(encoding) = self.encoding {
                scheme = scheme.with_encoding(encoding.into());
            }
            Ok(match self.key_use {
                Some(key_use) => scheme.with_key_use(key_use.into()),
                None => scheme,
            })
        });
        match made {
            Ok(scheme) => Some(SignatureScheme::Hmac(scheme)),
            Err(refusal) => refuse(problems, refusal.to_string(), "see the guide on verifying"),
        }
    }

    pub(super) fn of(scheme: &SignatureScheme) -> Self {
        let plain = |kind| Self {
            kind,
            header: None,
            timestamp_header: None,
            prefix: None,
            list: None,
            encoding: None,
            template: None,
            key_use: None,
        };
        match scheme {
            SignatureScheme::Standard => plain(SchemeKind::Standard),
            SignatureScheme::StandardEd25519 => plain(SchemeKind::StandardEd25519),
            SignatureScheme::Hmac(scheme) => Self {
                header: Some(scheme.header().to_string()),
                timestamp_header: scheme.timestamp_header().map(ToString::to_string),
                prefix: scheme.prefix().filter(|prefix| !prefix.is_empty()).map(str::to_owned),
                list: scheme.list().map(|list| ListShape {
                    timestamp: list.timestamp().to_owned(),
                    signature: list.signature().to_owned(),
                    separator: list.separator(),
                }),
                encoding: Some(scheme.encoding().into()),
                template: Some(scheme.template().to_string()),
                key_use: Some(scheme.key_use().into()),
                ..plain(SchemeKind::Hmac)
            },
        }
    }
}
