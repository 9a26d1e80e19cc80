//! Waits, timeouts, rates, requests at once.

use std::time::Duration;

use crate::error::Problem;
use crate::lanes::schedule::Schedule;
use crate::lanes::throttle::RateLimit;
use crate::webhooks::retry::RetryPolicy;
use crate::webhooks::settings::Settings;

pub(crate) fn check_retry(waits: Vec<Duration>, problems: &mut Vec<Problem>) -> Option<RetryPolicy> {
    match Schedule::table(waits) {
        Ok(schedule) => Some(RetryPolicy::new(schedule)),
        Err(invalid) => {
            problems.push(invalid.problem("retry.delays"));
            None
        }
    }
}

pub(crate) fn check_timeout(timeout: Option<Duration>, settings: &Settings, problems: &mut Vec<Problem>) {
    let longest = settings.longest_timeout();
    let Some(timeout) = timeout else { return };
    if !(Settings::MIN_TIMEOUT..=longest).contains(&timeout) {
        problems.push(Problem::new(
            "timeout",
            format!("a request may take 1 to {} seconds", longest.as_secs_f64()),
            "20 s suit most receivers; one that needs longer should answer first and work afterwards",
        ));
    }
}

pub(super) fn check_rate(rate: Option<(f64, u32)>, problems: &mut Vec<Problem>) -> Option<RateLimit> {
    let (per_second, burst) = rate?;
    let limit = RateLimit::per_second(per_second).and_then(|limit| limit.with_burst(burst));
    if let Err(invalid) = limit {
        problems.push(Problem::new(
            "rate_limit",
            invalid.to_string(),
            "use a rate such as 5 a second with a burst of 10, or leave it out",
        ));
    }
    limit.ok()
}

pub(super) fn check_in_flight(requests: Option<u32>, problems: &mut Vec<Problem>) {
    if requests.is_some_and(|requests| !(1..=Settings::MAX_IN_FLIGHT).contains(&requests)) {
        problems.push(Problem::new(
            "max_in_flight",
            format!("a webhook has 1 to {} requests in flight", Settings::MAX_IN_FLIGHT),
            "use 8, or pause the webhook to send nothing",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(check: impl FnOnce(&mut Vec<Problem>)) -> Vec<String> {
        let mut problems = Vec::new();
        check(&mut problems);
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_timeout_leaves_time_to_settle() {
        let settings = Settings::default();
        for (millis, fine) in [(0, false), (999, false), (1_000, true), (50_000, true), (50_001, false)] {
            let timeout = Some(Duration::from_millis(millis));
            let refused = fields(|problems| check_timeout(timeout, &settings, problems));
            assert_eq!(refused.is_empty(), fine, "{millis}");
        }
    }

    #[test]
    fn a_wait_is_refused_by_its_place() {
        let day = Duration::from_secs(24 * 60 * 60);

        assert!(fields(|problems| drop(check_retry(vec![day * 7], problems))).is_empty());
        assert_eq!(fields(|problems| drop(check_retry(vec![day, day * 8], problems))), ["retry.delays[1]"]);
        assert_eq!(fields(|problems| drop(check_retry(vec![day; 101], problems))), ["retry.delays"]);
    }

    #[test]
    fn rates_and_requests_at_once_are_bounded() {
        for (per_second, burst, fine) in [
            (5.0, 10, true),
            (0.1, 1, true),
            (0.0, 1, false),
            (-1.0, 1, false),
            (f64::NAN, 1, false),
            (f64::INFINITY, 1, false),
            (5.0, 0, false),
            (5.0, 100_001, false),
        ] {
            let refused = fields(|problems| drop(check_rate(Some((per_second, burst)), problems)));
            assert_eq!(refused.is_empty(), fine, "{per_second} {burst}");
        }
        for (requests, fine) in [(0, false), (1, true), (1_000, true), (1_001, false)] {
            let refused = fields(|problems| check_in_flight(Some(requests), problems));
            assert_eq!(refused.is_empty(), fine, "{requests}");
        }
    }
}
