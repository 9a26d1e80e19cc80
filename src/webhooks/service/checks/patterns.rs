//! Which events are heard: patterns that mean something to whoever asks.

use crate::error::Problem;
use crate::events::event_type::EventPattern;
use crate::webhooks::service::checks::Rules;

/// The patterns, each once.
pub(super) fn check(patterns: &[String], rules: Rules<'_>, problems: &mut Vec<Problem>) -> Vec<EventPattern> {
    if patterns.is_empty() || patterns.len() > MAX_PATTERNS {
        let rule = format!("a webhook hears of 1 to {MAX_PATTERNS} patterns, this one of {}", patterns.len());
        problems.push(Problem::new(
            "events",
            rule,
            "name event types, or patterns such as `shipment.*` and `*`",
        ));
        return Vec::new();
    }
    let mut taken: Vec<EventPattern> = Vec::with_capacity(patterns.len());
    for (index, text) in patterns.iter().enumerate() {
        let field = format!("events[{index}]");
        let pattern = match text.parse::<EventPattern>() {
            Ok(pattern) => pattern,
            Err(invalid) => {
                problems.push(Problem::new(
                    field,
                    invalid.to_string(),
                    "choose among the listed event types",
                ));
                continue;
            }
        };
        if taken.contains(&pattern) {
            continue;
        }
        if !rules.present.contains(&pattern)
            && let Err(problem) = rules.catalog.check_pattern(&pattern, rules.actor)
        {
            problems.push(Problem::new(field, problem.rule, problem.fix));
            continue;
        }
        taken.push(pattern);
    }
    taken
}

const MAX_PATTERNS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::catalog::EventCatalog;
    use crate::events::envelope::named::NamedFormats;
    use crate::events::type_spec::EventTypeSpec;
    use crate::primitives::egress::EgressPolicy;
    use crate::tenancy::model::Actor;
    use crate::webhooks::settings::Settings;

    fn checked(patterns: &[&str], present: &[&str], actor: &Actor) -> Result<Vec<String>, Vec<String>> {
        let catalog = EventCatalog::new()
            .with_all(["shipment.shipped", "order.placed"].map(EventTypeSpec::new))
            .with(EventTypeSpec::new("forecast.published").requires_any(["planning"]))
            .compile(None)
            .expect("a catalogue");
        let present: Vec<EventPattern> =
            present.iter().map(|text| text.parse().expect("a pattern")).collect();
        let rules = Rules {
            egress: &EgressPolicy::default(),
            catalog: &catalog,
            formats: &NamedFormats::default(),
            mappings: &crate::webhooks::mapped::Mappings::default(),
            settings: &Settings::default(),
            actor,
            present: &present,
        };
        let mut problems = Vec::new();
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        let taken = check(&patterns, rules, &mut problems);
        if problems.is_empty() {
            Ok(taken.iter().map(ToString::to_string).collect())
        } else {
            Err(problems.into_iter().map(|problem| problem.field).collect())
        }
    }

    fn ada() -> Actor {
        Actor::org_admin("t".parse().expect("a tenant"), "ada")
    }

    #[test]
    fn each_pattern_covers_a_known_type_and_is_taken_once() {
        assert_eq!(
            checked(&["shipment.*", "*", "shipment.*"], &[], &ada()),
            Ok(vec!["shipment.*".to_owned(), "*".to_owned()])
        );
        assert_eq!(
            checked(&["order.placed", "order.plcaed", "a b", "stock.*"], &[], &ada()),
            Err(vec!["events[1]".to_owned(), "events[2]".to_owned(), "events[3]".to_owned()])
        );
    }

    #[test]
    fn a_webhook_without_patterns_hears_nothing_and_is_refused() {
        assert_eq!(checked(&[], &[], &ada()), Err(vec!["events".to_owned()]));
        assert_eq!(checked(&["*"; 101], &[], &ada()), Err(vec!["events".to_owned()]));
    }

    #[test]
    fn what_the_contract_does_not_hold_cannot_be_subscribed_but_may_stay() {
        assert!(checked(&["forecast.*"], &[], &ada()).is_err());
        assert!(checked(&["forecast.*"], &[], &ada().with_entitlement("planning")).is_ok());
        assert!(checked(&["forecast.*"], &["forecast.*"], &ada()).is_ok());
    }
}
