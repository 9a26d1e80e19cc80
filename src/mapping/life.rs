//! The life of one version of a mapping: draft → tested → approved → active → retired.
//!
//! The decisions know no clock and no store: who did it, when and why are arguments, and the answer is the version's new life, or why not.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::mapping::canonical::ContentHash;

/// Where a version stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Being written.
    Draft,
    /// Its own tests have passed.
    Tested,
    /// Somebody has said that it may be used.
    Approved,
    /// In use, and never changed again.
    Active,
    /// No longer in use; kept, because records say which version made them.
    Retired,
}

/// Who did something, when, and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Mark {
    /// Who, in the host's words.
    pub who: String,
    /// When.
    #[serde(with = "instant")]
    pub at: DateTime<Utc>,
    /// Why.
    pub why: String,
}

/// One step in a version's life.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LifeEvent {
    /// Where the version stood afterwards.
    pub stage: Stage,
    /// What it said then.
    pub content: ContentHash,
    /// Who, when, why.
    pub mark: Mark,
}

/// How a version's own tests went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TestTally {
    /// How many passed.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
}

/// Whether the one who wrote a version may approve it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Approval {
    /// Anybody may.
    #[default]
    ByAnybody,
    /// Only somebody who has not edited it.
    BySomebodyElse,
}

/// How much of what the target requires may be left unmapped when a version becomes active.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CoverageGate {
    /// Nothing.
    #[default]
    Complete,
    /// At most so many fields.
    AtMost(usize),
    /// Not asked.
    Open,
}

/// Why a version does not take a step.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LifeRefusal {
    /// The step does not begin where the version stands.
    #[error("a version that is {stage} cannot be {step}")]
    WrongStage {
        /// Where it stands.
        stage: Stage,
        /// What was asked for, as in "cannot be approved".
        step: &'static str,
    },
    /// An active or retired version is never changed: make a new one.
    #[error("a version that is {0} is never changed; make a new one")]
    Immutable(Stage),
    /// What was tested, approved or activated is not what the version says now.
    #[error("this is not the content that the version has now")]
    OtherContent {
        /// What the version says now.
        now: ContentHash,
        /// What was meant.
        meant: ContentHash,
    },
    /// Tests failed.
    #[error("{0} of its tests failed")]
    TestsFailed(usize),
    /// There are no tests.
    #[error("a version without tests is not tested")]
    NoTests,
    /// The one who approves has edited it.
    #[error("whoever edited a version does not approve it")]
    OwnWork,
    /// Required fields of the target are not mapped.
    #[error("{0} required fields of the target are not mapped")]
    Incomplete(usize),
    /// The step has no reason or nobody did it.
    #[error("a step says who did it and why")]
    Unsigned,
}

/// The life of one version: where it stands, what it says, and how it came to be so.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::mapping::{Approval, ContentHash, CoverageGate, Life, LifeRefusal, Mark, Stage, TestTally};
///
/// let content = ContentHash::of_json(r#"{"fields": []}"#)?;
/// let mark = |who: &str, why: &str| Mark::new(who, DateTime::UNIX_EPOCH, why);
///
/// let life = Life::begin(content, mark("ada", "new shop"))?
///     .record_tests(content, TestTally { passed: 2, failed: 0 }, mark("ada", "golden tests"))?
///     .approve(content, Approval::BySomebodyElse, mark("grace", "reviewed"))?
///     .activate(content, CoverageGate::Complete, 0, mark("grace", "go live"))?;
///
/// assert_eq!(life.stage(), Stage::Active);
/// assert_eq!(life.edit(content, mark("ada", "slip")), Err(LifeRefusal::Immutable(Stage::Active)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[must_use = "the life before the step is unchanged"]
pub struct Life {
    stage: Stage,
    content: ContentHash,
    history: Vec<LifeEvent>,
}

impl Mark {
    /// Somebody did something now, for this reason.
    pub fn new(who: impl Into<String>, at: DateTime<Utc>, why: impl Into<String>) -> Self {
        Self { who: who.into(), at, why: why.into() }
    }
}

impl Stage {
    /// Whether a version that stands here is never changed again.
    pub fn is_immutable(self) -> bool {
        matches!(self, Self::Active | Self::Retired)
    }

    /// The stage as one lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Tested => "tested",
            Self::Approved => "approved",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Life {
    /// A new draft.
    ///
    /// # Errors
    /// The mark says nobody or no reason.
    pub fn begin(content: ContentHash, mark: Mark) -> Result<Self, LifeRefusal> {
        let life = Self { stage: Stage::Draft, content, history: Vec::new() };
        life.step(Stage::Draft, content, mark)
    }

    /// The draft says something else now; whatever was tested or approved has to be so again.
    ///
    /// # Errors
    /// The version is active or retired, or the mark says nobody or no reason.
    pub fn edit(&self, content: ContentHash, mark: Mark) -> Result<Self, LifeRefusal> {
        if self.stage.is_immutable() {
            return Err(LifeRefusal::Immutable(self.stage));
        }
        self.step(Stage::Draft, content, mark)
    }

    /// The version's own tests were run. Running them again while it is tested is fine.
    ///
    /// # Errors
    /// A test failed, there are none, they were run over other content, the version is past being tested, or the mark says nobody or
    /// no reason.
    pub fn record_tests(
        &self,
        content: ContentHash,
        tally: TestTally,
        mark: Mark,
    ) -> Result<Self, LifeRefusal> {
        self.expect(&[Stage::Draft, Stage::Tested], "tested", content)?;
        if tally.failed > 0 {
            return Err(LifeRefusal::TestsFailed(tally.failed));
        }
        if tally.passed == 0 {
            return Err(LifeRefusal::NoTests);
        }
        self.step(Stage::Tested, content, mark)
    }

    /// Somebody says that the version may be used.
    ///
    /// # Errors
    /// It is not tested, other content is meant, whoever approves has edited it and may not, or the mark says nobody or no reason.
    pub fn approve(&self, content: ContentHash, approval: Approval, mark: Mark) -> Result<Self, LifeRefusal> {
        self.expect(&[Stage::Tested], "approved", content)?;
        let is_own_work =
            self.history.iter().any(|event| event.stage == Stage::Draft && event.mark.who == mark.who);
        if approval == Approval::BySomebodyElse && is_own_work {
            return Err(LifeRefusal::OwnWork);
        }
        self.step(Stage::Approved, content, mark)
    }

    /// The version is used from now on. `unmapped_required` is what [`Coverage`](crate::mapping::Coverage) counts.
    ///
    /// # Errors
    /// It is not approved, other content is meant, the gate does not let it through, or the mark says nobody or no reason.
    pub fn activate(
        &self,
        content: ContentHash,
        gate: CoverageGate,
        unmapped_required: usize,
        mark: Mark,
    ) -> Result<Self, LifeRefusal> {
        self.expect(&[Stage::Approved], "activated", content)?;
        let lets_through = match gate {
            CoverageGate::Complete => unmapped_required == 0,
            CoverageGate::AtMost(most) => unmapped_required <= most,
            CoverageGate::Open => true,
        };
        if !lets_through {
            return Err(LifeRefusal::Incomplete(unmapped_required));
        }
        self.step(Stage::Active, content, mark)
    }

    /// The version is not used any more, or never will be.
    ///
    /// # Errors
    /// It is retired already, or the mark says nobody or no reason.
    pub fn retire(&self, mark: Mark) -> Result<Self, LifeRefusal> {
        if self.stage == Stage::Retired {
            return Err(LifeRefusal::WrongStage { stage: self.stage, step: "retired" });
        }
        self.step(Stage::Retired, self.content, mark)
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What it says.
    pub fn content(&self) -> ContentHash {
        self.content
    }

    /// How it came to be so, oldest first.
    pub fn history(&self) -> &[LifeEvent] {
        &self.history
    }

    fn expect(&self, stages: &[Stage], step: &'static str, meant: ContentHash) -> Result<(), LifeRefusal> {
        if !stages.contains(&self.stage) {
            return Err(LifeRefusal::WrongStage { stage: self.stage, step });
        }
        if meant != self.content {
            return Err(LifeRefusal::OtherContent { now: self.content, meant });
        }
        Ok(())
    }

    fn step(&self, stage: Stage, content: ContentHash, mark: Mark) -> Result<Self, LifeRefusal> {
        if mark.who.trim().is_empty() || mark.why.trim().is_empty() {
            return Err(LifeRefusal::Unsigned);
        }
        let mut history = self.history.clone();
        history.push(LifeEvent { stage, content, mark });
        Ok(Self { stage, content, history })
    }
}

/// Times as RFC 3339 texts.
mod instant {
    use std::borrow::Cow;

    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text).map(|at| at.to_utc()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(n: u8) -> ContentHash {
        ContentHash::of(&n).unwrap()
    }

    fn mark(who: &str) -> Mark {
        Mark::new(who, DateTime::UNIX_EPOCH, "because")
    }

    fn tested() -> Life {
        let life = Life::begin(content(1), mark("ada")).unwrap();
        life.record_tests(content(1), TestTally { passed: 1, failed: 0 }, mark("ada")).unwrap()
    }

    #[test]
    fn an_edit_takes_approval_away() {
        let approved = tested().approve(content(1), Approval::ByAnybody, mark("ada")).unwrap();

        let edited = approved.edit(content(2), mark("ada")).unwrap();

        assert_eq!(edited.stage(), Stage::Draft);
        assert!(matches!(
            edited.activate(content(2), CoverageGate::Open, 0, mark("ada")),
            Err(LifeRefusal::WrongStage { stage: Stage::Draft, step: "activated" })
        ));
    }

    #[test]
    fn only_what_was_tested_is_approved() {
        let refusal = tested().approve(content(2), Approval::ByAnybody, mark("grace")).unwrap_err();

        assert_eq!(refusal, LifeRefusal::OtherContent { now: content(1), meant: content(2) });
    }

    #[test]
    fn tests_that_fail_or_do_not_exist_leave_a_draft() {
        let draft = Life::begin(content(1), mark("ada")).unwrap();

        for (passed, failed, why) in [(3, 1, LifeRefusal::TestsFailed(1)), (0, 0, LifeRefusal::NoTests)] {
            assert_eq!(draft.record_tests(content(1), TestTally { passed, failed }, mark("ada")), Err(why));
        }
    }

    #[test]
    fn whoever_wrote_it_does_not_approve_it_where_four_eyes_are_asked_for() {
        let ada = tested().approve(content(1), Approval::BySomebodyElse, mark("ada"));
        let grace = tested().approve(content(1), Approval::BySomebodyElse, mark("grace"));

        assert_eq!(ada, Err(LifeRefusal::OwnWork));
        assert_eq!(grace.unwrap().stage(), Stage::Approved);
    }

    #[test]
    fn what_the_target_requires_gates_activation() {
        let approved = tested().approve(content(1), Approval::ByAnybody, mark("ada")).unwrap();

        for (gate, unmapped, passes) in [
            (CoverageGate::Complete, 0, true),
            (CoverageGate::Complete, 1, false),
            (CoverageGate::AtMost(2), 2, true),
            (CoverageGate::AtMost(2), 3, false),
            (CoverageGate::Open, 9, true),
        ] {
            assert_eq!(
                approved.activate(content(1), gate, unmapped, mark("ada")).is_ok(),
                passes,
                "{gate:?} {unmapped}"
            );
        }
    }

    #[test]
    fn a_step_without_a_name_or_a_reason_is_not_taken() {
        for mark in [Mark::new("", DateTime::UNIX_EPOCH, "why"), Mark::new("ada", DateTime::UNIX_EPOCH, " ")]
        {
            assert_eq!(Life::begin(content(1), mark), Err(LifeRefusal::Unsigned));
        }
    }

    #[test]
    fn a_life_is_read_back_as_it_was_written() {
        let life = tested();

        let text = serde_json::to_string(&life).unwrap();

        assert_eq!(serde_json::from_str::<Life>(&text).unwrap(), life);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Edit(u8),
        Test(u8, usize, usize),
        Approve(u8),
        Activate(u8, usize),
        Retire,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..2_u8).prop_map(Step::Edit),
            (0..2_u8, 0..2_usize, 0..2_usize).prop_map(|(c, p, f)| Step::Test(c, p, f)),
            (0..2_u8).prop_map(Step::Approve),
            (0..2_u8, 0..2_usize).prop_map(|(c, n)| Step::Activate(c, n)),
            Just(Step::Retire),
        ]
    }

    proptest! {
        #[test]
        fn what_is_active_was_tested_and_approved_as_it_is(steps in proptest::collection::vec(any_step(), 0..40)) {
            let mut life = Life::begin(content(0), mark("ada")).unwrap();
            for step in steps {
                let next = match step {
                    Step::Edit(c) => life.edit(content(c), mark("ada")),
                    Step::Test(c, passed, failed) => life.record_tests(content(c), TestTally { passed, failed }, mark("ada")),
                    Step::Approve(c) => life.approve(content(c), Approval::BySomebodyElse, mark("grace")),
                    Step::Activate(c, n) => life.activate(content(c), CoverageGate::Complete, n, mark("ada")),
                    Step::Retire => life.retire(mark("ada")),
                };
                let Ok(next) = next else { continue };
                if life.stage().is_immutable() {
                    prop_assert_eq!(next.stage(), Stage::Retired);
                    prop_assert_eq!(next.content(), life.content());
                }
                if next.stage() == Stage::Active {
                    let last_edit = next.history().iter().rposition(|event| event.stage == Stage::Draft).unwrap();
                    for stage in [Stage::Tested, Stage::Approved] {
                        let seen = next.history()[last_edit..].iter().any(|event| event.stage == stage && event.content == next.content());
                        prop_assert!(seen, "{} is missing after the last edit", stage);
                    }
                }
                life = next;
            }
        }
    }
}
