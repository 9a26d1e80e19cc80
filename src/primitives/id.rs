//! Typed ids: a prefix and a UUIDv7 as 26 characters of Crockford base32, lower case.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The text is not an id of the wanted kind.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an id here is `{prefix}` and 26 characters of lower-case Crockford base32")]
pub struct InvalidId {
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        ///
        /// Ids sort by the time they were minted at.
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Uuid);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: UUIDv7 of this time and these random bytes.
            pub fn mint(now: DateTime<Utc>, random: [u8; 10]) -> Self {
                Self(uuid_v7(now, random))
            }

            /// The id that a store has kept as a UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// What a store keeps.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // In one piece: a string then takes its memory once.
                const START: usize = $prefix.len();
                let mut text = [0; START + LENGTH];
                text[..START].copy_from_slice($prefix.as_bytes());
                text[START..].copy_from_slice(&base32(self.0));
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.strip_prefix($prefix)
                    .and_then(parse_base32)
                    .map(Self)
                    .ok_or(InvalidId { prefix: $prefix })
            }
        }
    };
}

id!(
    /// Names one published event: `evt_…`.
    EventId, "evt_"
);
id!(
    /// Names one webhook: `wh_…`.
    WebhookId, "wh_"
);
id!(
    /// Names one delivery, an event on its way to a webhook: `dlv_…`.
    DeliveryId, "dlv_"
);
id!(
    /// Names one attempt, a single HTTP request: `att_…`.
    AttemptId, "att_"
);
id!(
    /// Names one replay job: `rpl_…`.
    ReplayId, "rpl_"
);
id!(
    /// Names one API key: `key_…`. It is no part of the token.
    ApiKeyId, "key_"
);
id!(
    /// Names one source of inbound webhooks: `src_…`. It is the last part of the path that the sender calls; nobody guesses it.
    SourceId, "src_"
);
id!(
    /// Names one thing that was received: `rcv_…`.
    ReceivedId, "rcv_"
);
id!(
    /// Names one entry of the activity log: `act_…`.
    ActivityId, "act_"
);

fn uuid_v7(now: DateTime<Utc>, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;

fn base32(uuid: Uuid) -> [u8; LENGTH] {
    let mut rest = uuid.as_u128();
    let mut text = [0; LENGTH];
    for slot in text.iter_mut().rev() {
        *slot = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    text
}

pub(crate) fn write_base32(uuid: Uuid, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(std::str::from_utf8(&base32(uuid)).map_err(|_| fmt::Error)?)
}

pub(crate) fn parse_base32(text: &str) -> Option<Uuid> {
    // The first character holds the top 3 bits only: anything above `7` would not fit into 128 bits.
    if text.len() != LENGTH || !matches!(text.as_bytes()[0], b'0'..=b'7') {
        return None;
    }
    text.bytes()
        .try_fold(0_u128, |value, byte| {
            let digit = ALPHABET.iter().position(|&letter| letter == byte)?;
            Some((value << 5) | digit as u128)
        })
        .map(Uuid::from_u128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_way_through_text() {
        let id = EventId::mint(DateTime::UNIX_EPOCH, [0xff; 10]);

        let text = id.to_string();

        assert_eq!(text, "evt_0000000000fzzvzzzzzzzzzzzz");
        assert_eq!(text.parse(), Ok(id));
    }

    #[test]
    fn only_the_canonical_text_is_an_id() {
        for text in [
            "",
            "evt_",
            "wh_00000000007fzvzzzzzzzzzzzz",
            "evt_80000000007fzvzzzzzzzzzzzz",
            "evt_00000000007FZVZZZZZZZZZZZZ",
            "evt_00000000007fzvzzzzzzzzzzzu",
            "evt_00000000007fzvzzzzzzzzzzz",
            "evt_00000000007fzvzzzzzzzzzzzé",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }

    #[test]
    fn ids_sort_by_time() {
        let early = EventId::mint(DateTime::UNIX_EPOCH, [0xff; 10]);
        let late = EventId::mint(DateTime::UNIX_EPOCH + chrono::TimeDelta::milliseconds(1), [0; 10]);

        assert!(early < late);
        assert!(early.to_string() < late.to_string());
    }
}
