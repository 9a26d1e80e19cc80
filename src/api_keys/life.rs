//! How a key's life goes: what it is called in lists, whether it may be used, how long an old one still may.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::api_keys::model::{ApiKey, KeyRecord, KeyState};
use crate::api_keys::refusal::Refusal;
use crate::primitives::stored::word::words;
use crate::primitives::time::later;

/// What a key is called in lists. Of several that are true it is the last one here.
///
/// ```
/// use crossdock::api_keys::KeyStatus;
///
/// assert_eq!(KeyStatus::NotYetValid.as_str(), "not_yet_valid");
/// assert!(KeyStatus::Revoked > KeyStatus::Disabled);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum KeyStatus {
    /// It may be used.
    Active,
    /// It may be used, and ends within seven days.
    Expiring,
    /// It was regenerated, and may be used until its grace is over.
    Rotating,
    /// A person has disabled it.
    Disabled,
    /// Its time has not come.
    NotYetValid,
    /// It has ended.
    Expired,
    /// It has no uses left.
    Exhausted,
    /// It was revoked.
    Revoked,
    /// It was found in the open.
    Leaked,
}

words!(KeyStatus {
    Active => "active",
    Expiring => "expiring",
    Rotating => "rotating",
    Disabled => "disabled",
    NotYetValid => "not_yet_valid",
    Expired => "expired",
    Exhausted => "exhausted",
    Revoked => "revoked",
    Leaked => "leaked",
});

impl KeyStatus {
    /// How long before its end a key is called expiring.
    pub const EXPIRING: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// What this key is called now.
    pub fn of(record: &KeyRecord, now: DateTime<Utc>) -> Self {
        let key = &record.key;
        if key.leaked_at.is_some() {
            return Self::Leaked;
        }
        if matches!(key.state, KeyState::Revoked { .. }) {
            return Self::Revoked;
        }
        if key.max_uses.is_some_and(|most| record.used >= most) {
            return Self::Exhausted;
        }
        if key.ends_at().is_some_and(|end| end <= now) {
            return Self::Expired;
        }
        if key.not_before.is_some_and(|begin| now < begin) {
            return Self::NotYetValid;
        }
        if matches!(key.state, KeyState::Disabled { .. }) {
            return Self::Disabled;
        }
        if key.successor.is_some() {
            return Self::Rotating;
        }
        if key.expires_at.is_some_and(|end| end <= later(now, Self::EXPIRING)) {
            return Self::Expiring;
        }
        Self::Active
    }
}

/// Why a key may not be used whatever the time, if it may not.
pub(crate) fn standing_refusal(key: &ApiKey) -> Option<Refusal> {
    match &key.state {
        KeyState::Revoked { .. } if key.leaked_at.is_some() => Some(Refusal::Leaked),
        KeyState::Revoked { .. } => Some(Refusal::Revoked),
        KeyState::Disabled { .. } => Some(Refusal::Disabled),
        KeyState::Active => None,
    }
}

/// Until when an old key may be used once it was regenerated: never past its own end.
pub(crate) fn grace_ends(key: &ApiKey, grace: Duration, now: DateTime<Utc>) -> DateTime<Utc> {
    let end = later(now, grace);
    key.expires_at.map_or(end, |expires_at| expires_at.min(end))
}

/// How long an old key may be used unless somebody says otherwise.
pub(crate) const USUAL_GRACE: Duration = Duration::from_secs(24 * 60 * 60);
/// And how long at most.
pub(crate) const LONGEST_GRACE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::api_keys::model::Succession;
    use crate::api_keys::pepper::Peppers;
    use crate::api_keys::token::PublicId;
    use crate::primitives::id::ApiKeyId;

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
    }

    fn key() -> ApiKey {
        let peppers = Peppers::new("a", "x".repeat(32)).expect("a pepper");
        let id = ApiKeyId::mint(now(), [7; 10]);
        ApiKey::new(
            id,
            "acme".parse().expect("a tenant"),
            PublicId::mint([7; 16]),
            peppers.mac(b"s"),
            "cd…",
            now(),
        )
    }

    fn status(change: impl FnOnce(&mut KeyRecord)) -> KeyStatus {
        let mut record = KeyRecord::new(key());
        change(&mut record);
        KeyStatus::of(&record, now())
    }

    #[test]
    fn each_status_has_its_cause_and_the_gravest_is_shown() {
        let day = TimeDelta::days(1);
        let revoked = KeyState::Revoked { at: now(), reason: "gone".to_owned() };
        let successor = ApiKeyId::mint(now(), [8; 10]);

        let mut record = KeyRecord::new(key());
        let mut shown = vec![KeyStatus::of(&record, now())];
        let causes: [&dyn Fn(&mut KeyRecord); 8] = [
            &|record| record.key.expires_at = Some(now() + day),
            &|record| record.key.successor = Some(Succession::new(successor, now() + day)),
            &|record| record.key.state = KeyState::Disabled { at: now() },
            &|record| record.key.not_before = Some(now() + day),
            &|record| record.key.expires_at = Some(now()),
            &|record| (record.key.max_uses, record.used) = (Some(5), 5),
            &|record| record.key.state = revoked.clone(),
            &|record| record.key.leaked_at = Some(now()),
        ];
        for cause in causes {
            cause(&mut record);
            shown.push(KeyStatus::of(&record, now()));
        }

        use KeyStatus::{
            Active, Disabled, Exhausted, Expired, Expiring, Leaked, NotYetValid, Revoked, Rotating,
        };
        let expected =
            [Active, Expiring, Rotating, Disabled, NotYetValid, Expired, Exhausted, Revoked, Leaked];
        assert_eq!(shown, expected);
        assert!(expected.is_sorted());
    }

    #[test]
    fn a_key_ends_at_the_instant_of_its_expiry() {
        let moment = TimeDelta::nanoseconds(1);
        let ends = |at| status(|record| record.key.expires_at = Some(at));

        assert_eq!(ends(now()), KeyStatus::Expired);
        assert_eq!(ends(now() + moment), KeyStatus::Expiring);
        assert_eq!(ends(now() + TimeDelta::days(7)), KeyStatus::Expiring);
        assert_eq!(ends(now() + TimeDelta::days(7) + moment), KeyStatus::Active);
        assert_eq!(status(|record| record.key.not_before = Some(now())), KeyStatus::Active);
    }

    #[test]
    fn a_grace_ends_no_later_than_the_key() {
        let mut key = key();
        assert_eq!(grace_ends(&key, USUAL_GRACE, now()), now() + TimeDelta::days(1));

        key.expires_at = Some(now() + TimeDelta::hours(1));

        assert_eq!(grace_ends(&key, USUAL_GRACE, now()), now() + TimeDelta::hours(1));
        assert_eq!(grace_ends(&key, Duration::ZERO, now()), now());
    }

    #[test]
    fn what_ends_first_counts() {
        let mut key = key();
        let (early, late) = (now() + TimeDelta::hours(1), now() + TimeDelta::hours(2));
        key.successor = Some(Succession::new(key.id, late));
        assert_eq!(key.ends_at(), Some(late));

        key.expires_at = Some(early);

        assert_eq!(key.ends_at(), Some(early));
    }

    #[test]
    fn a_revoked_key_that_leaked_says_so() {
        let mut key = key();
        assert_eq!(standing_refusal(&key), None);
        key.leaked_at = Some(now());
        assert_eq!(standing_refusal(&key), None, "a mark alone refuses nobody");

        key.state = KeyState::Revoked { at: now(), reason: String::new() };

        assert_eq!(standing_refusal(&key), Some(Refusal::Leaked));
    }
}
