//! An answer, or its absence, becomes a [`Verdict`].

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode, header};

use crate::ports::{Answer, TransportError};
use crate::webhooks::model::AttemptError;

/// What an answer means for the delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// The receiver took it.
    Delivered,
    /// It did not; try again, and if a time is given, send this webhook nothing before it.
    Retry(Option<DateTime<Utc>>),
    /// The receiver is gone for good (410): disable the webhook.
    Gone,
    /// The receiver asked to be disabled.
    DisableAsked,
    /// The receiver refused this one delivery for good.
    Rejected,
    /// The webhook's mapping refused the event: nothing was sent.
    Unmapped,
}

/// The longest time a receiver may ask us to wait.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What this answer, or its absence, means.
///
/// 2xx is delivered; 410 is gone; a receiver may answer `webhook-delivery: disable` or `abort-message` with any other
/// status. 429 and 503 with `Retry-After` (RFC 9110, section 10.2.3) hold the whole webhook back, up to
/// [`MAX_RETRY_AFTER`]. Everything else, redirects included, is tried again.
pub fn classify(result: &Result<Answer, TransportError>, now: DateTime<Utc>) -> Verdict {
    let Ok(answer) = result else { return Verdict::Retry(None) };
    if answer.status.is_success() {
        return Verdict::Delivered;
    }
    if answer.status == StatusCode::GONE {
        return Verdict::Gone;
    }
    match answer.headers.get("webhook-delivery").map(|value| value.as_bytes().trim_ascii()) {
        Some(b"disable") => return Verdict::DisableAsked,
        Some(b"abort-message") => return Verdict::Rejected,
        _ => {}
    }
    let asks_to_wait =
        matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    Verdict::Retry(if asks_to_wait { retry_after(&answer.headers, now) } else { None })
}

/// Why the attempt failed, if it did.
pub fn attempt_error(result: &Result<Answer, TransportError>) -> Option<AttemptError> {
    match result {
        Ok(answer) if answer.status.is_success() => None,
        Ok(answer) => Some(AttemptError::Status(answer.status.as_u16())),
        Err(error) => Some(AttemptError::Transport(error.kind)),
    }
}

fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are simply longer than the longest wait.
        let seconds = text.parse::<u64>().unwrap_or(u64::MAX).min(MAX_RETRY_AFTER.as_secs());
        now + Duration::from_secs(seconds)
    } else {
        DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc)
    };
    (asked > now).then(|| asked.min(now + MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use http::HeaderValue;

    use super::*;
    use crate::ports::TransportErrorKind;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> Result<Answer, TransportError> {
        let mut answer = Answer::new(StatusCode::from_u16(status).expect("a status"));
        for &(name, value) in headers {
            answer.headers.append(name, HeaderValue::from_static(value));
        }
        Ok(answer)
    }

    #[test]
    fn each_status_has_its_verdict() {
        for (status, verdict) in [
            (200, Verdict::Delivered),
            (204, Verdict::Delivered),
            (299, Verdict::Delivered),
            (301, Verdict::Retry(None)),
            (304, Verdict::Retry(None)),
            (400, Verdict::Retry(None)),
            (404, Verdict::Retry(None)),
            (410, Verdict::Gone),
            (429, Verdict::Retry(None)),
            (500, Verdict::Retry(None)),
        ] {
            assert_eq!(classify(&answer(status, &[]), NOW), verdict, "{status}");
        }
        let lost = Err(TransportError::new(TransportErrorKind::TimedOut));
        assert_eq!(classify(&lost, NOW), Verdict::Retry(None));
    }

    #[test]
    fn a_receiver_may_ask_us_to_stop() {
        let ask = |word| answer(400, &[("webhook-delivery", word)]);

        assert_eq!(classify(&ask("disable"), NOW), Verdict::DisableAsked);
        assert_eq!(classify(&ask("abort-message"), NOW), Verdict::Rejected);
        assert_eq!(classify(&ask("nonsense"), NOW), Verdict::Retry(None));
        assert_eq!(classify(&answer(200, &[("webhook-delivery", "disable")]), NOW), Verdict::Delivered);
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_day() {
        let wait = |status, value| match classify(&answer(status, &[("retry-after", value)]), NOW) {
            Verdict::Retry(at) => at.map(|at| (at - NOW).num_seconds()),
            other => panic!("{other:?}"),
        };

        for (status, value, seconds) in [
            (429, "120", Some(120)),
            (503, " 7 ", Some(7)),
            (503, "Thu, 01 Jan 1970 00:01:00 GMT", Some(60)),
            (429, "86401", Some(86_400)),
            (429, "99999999999999999999999999", Some(86_400)),
            (429, "Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            (429, "0", None),
            (429, "-1", None),
            (429, "1.5", None),
            (429, "", None),
            (429, "soon", None),
            (503, "Thu, 01 Jan 1969 00:01:00 GMT", None),
            (500, "120", None),
        ] {
            assert_eq!(wait(status, value), seconds, "{status} {value:?}");
        }
        assert_eq!(NOW + MAX_RETRY_AFTER, NOW + TimeDelta::days(1));
    }
}
