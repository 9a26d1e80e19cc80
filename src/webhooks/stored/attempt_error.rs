//! Why an attempt failed, as a word: `status.503`, `transport.timed_out`.

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::ports::TransportErrorKind;
use crate::primitives::stored::Stored;
use crate::primitives::stored::record;
use crate::primitives::stored::word::Word;
use crate::webhooks::model::AttemptError;

/// [`AttemptError`] with the text that stores keep.
#[derive(Clone, Copy)]
pub(super) struct StoredError(pub(super) AttemptError);

impl Stored for AttemptError {
    fn to_stored(&self) -> Result<String> {
        Ok(StoredError(*self).to_string())
    }

    fn from_stored(text: &str) -> Result<Self> {
        text.parse().map(|StoredError(error)| error)
    }
}

impl Display for StoredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            AttemptError::Status(status) => write!(f, "status.{status}"),
            AttemptError::Transport(kind) => write!(f, "transport.{kind}"),
            AttemptError::Unsendable => f.write_str("unsendable"),
            AttemptError::Unmapped => f.write_str("unmapped"),
        }
    }
}

impl FromStr for StoredError {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let error = match text.split_once('.') {
            Some(("status", digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().map(AttemptError::Status)
            }
            Some(("transport", kind)) => TransportErrorKind::from_word(kind).map(AttemptError::Transport),
            None if text == "unsendable" => Some(AttemptError::Unsendable),
            None if text == "unmapped" => Some(AttemptError::Unmapped),
            _ => None,
        };
        error
            .map(Self)
            .ok_or_else(|| record::corrupt("read the error of an attempt that a store has kept", "error"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::primitives::stored::proof::{any_damage, comes_back, holds_out};

    #[test]
    fn every_error_has_its_word() -> Result<()> {
        use TransportErrorKind::{Broken, Dns, Internal, Protocol, TimedOut, Tls, Unconfigured, Unreachable};
        for (error, word) in [
            (AttemptError::Status(503), "status.503"),
            (AttemptError::Unsendable, "unsendable"),
            (AttemptError::Unmapped, "unmapped"),
            (AttemptError::Transport(Unreachable), "transport.unreachable"),
            (AttemptError::Transport(Dns), "transport.dns"),
            (AttemptError::Transport(Tls), "transport.tls"),
            (AttemptError::Transport(TimedOut), "transport.timed_out"),
            (AttemptError::Transport(Broken), "transport.broken"),
            (AttemptError::Transport(Protocol), "transport.protocol"),
            (AttemptError::Transport(Unconfigured), "transport.unconfigured"),
            (AttemptError::Transport(Internal), "transport.internal"),
        ] {
            assert_eq!(error.to_stored()?, word);
            assert_eq!(AttemptError::from_stored(word)?, error);
        }
        for word in
            ["", "status", "status.", "status.-1", "status.+5", "status.65536", "transport.", "unsendable.x"]
        {
            assert!(AttemptError::from_stored(word).is_err(), "{word}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn every_status_comes_back(status in any::<u16>(), damage in any_damage()) {
            comes_back(&AttemptError::Status(status))?;
            holds_out::<AttemptError>(&damage.to(&AttemptError::Status(status).to_stored()?))?;
        }
    }
}
