//! One rule: which target field, from what, how.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::mapping::spec::condition::Condition;
use crate::mapping::spec::described::{Described, described, words};
use crate::mapping::spec::literal::DecimalText;
use crate::mapping::spec::policy::{OnError, Policy};
use crate::mapping::spec::step::Step;

words! {
    /// The type that a target field must have. It is checked; values are turned into it by steps only.
    pub enum TargetType {
        /// Text.
        String = "string",
        /// A whole number, of any length.
        Integer = "integer",
        /// A number, of any length and with as many decimals as it has.
        Decimal = "decimal",
        /// True or false.
        Boolean = "boolean",
        /// A list.
        Array = "array",
        /// An object.
        Object = "object",
        /// Anything.
        Any = "any",
    }
}

words! {
    /// Which of several matches of a filter is meant.
    pub enum Pick {
        /// The first.
        First = "first",
        /// The last.
        Last = "last",
    }
}

words! {
    /// Which way a rule works.
    pub enum Direction {
        /// Both ways.
        Both = "both",
        /// From source to target only.
        Forward = "forward",
        /// From target to source only: left out of the forward plan.
        Reverse = "reverse",
    }
}

words! {
    /// What becomes of a default value on the way back.
    pub enum ReverseDefault {
        /// It is not written back.
        Drop = "drop",
        /// It is written back as any other value.
        Keep = "keep",
    }
}

described! {
    /// One rule of a mapping: the target field `to`, exactly one of `from`, `first`, `join`, `cases`, `const`, `ctx`, `index`,
    /// `each` and `expr`, and what else is to be said.
    #[derive(Default)]
    pub struct FieldSpec {
        required {
            /// The target path. Dots nest; a name with a dot stands in quotes, as in `['customer.name']`.
            to: String,
        }
        optional {
            /// The type that the target must have.
            target_type as "type": Option<TargetType>,
            /// The source path. Within `each` it begins at the element; `$.` is the root, `^.` the parent element.
            from: Option<String>,
            /// The first of these paths that leads to a value.
            first: Option<Vec<String>>,
            /// The texts at these paths, with `sep` between them.
            join: Option<Vec<String>>,
            /// The first case that holds.
            cases: Option<Vec<Case>>,
            /// Always this value.
            #[serde(deserialize_with = "crate::mapping::spec::described::given")]
            constant as "const": Option<Value>,
            /// A value that the host gives, by its declared name.
            ctx: Option<String>,
            /// The number of the element, counted from `start` in steps of `step`.
            index: Option<Counter>,
            /// One target element per element of the list at this path, made by `fields`.
            each: Option<String>,
            /// An expression.
            expr: Option<String>,
            /// The language of `expr`, if it is not the built-in one.
            lang: Option<String>,
            /// What is between the texts of `join`: nothing unless said otherwise.
            sep: Option<String>,
            /// Whether `join` leaves out texts that are missing or empty, and `first` passes over empty ones.
            skip_empty: bool,
            /// Which of several matches of a filter in `from` is meant; without it, several are an error.
            pick: Option<Pick>,
            /// What is done to the value, in order.
            steps: Vec<Step>,
            /// When the rule applies at all; otherwise the field is not written.
            when: Option<Condition>,
            /// Whether the target must have a value that is not null.
            required: bool,
            /// The value of policies that say `default`. It is written as it stands: steps do not see it.
            #[serde(deserialize_with = "crate::mapping::spec::described::given")]
            default: Option<Value>,
            /// Of a value that is missing.
            missing: Option<Policy>,
            /// Of a null.
            null: Option<Policy>,
            /// Of an empty string.
            empty_string: Option<Policy>,
            /// Of a step that fails.
            on_error: Option<OnError>,
            /// Which elements `each` keeps.
            keep: Option<Keep>,
            /// How many elements `each` must give, at least.
            min: Option<u32>,
            /// How many elements `each` may give, at most.
            max: Option<u32>,
            /// Which fields identify an element on both sides.
            key: Option<ElementKey>,
            /// The rules for one element of `each`.
            fields: Vec<FieldSpec>,
            /// How the rule is reversed, where that does not follow from it.
            reverse: Option<Reverse>,
            /// What becomes of the default value on the way back.
            reverse_default: Option<ReverseDefault>,
            /// Which way the rule works: `both` unless said otherwise.
            direction: Option<Direction>,
            /// For the reader.
            note: Option<String>,
        }
    }
}

described! {
    /// One case: `when` and `value` (or `from`, or `expr`), or `else` alone.
    #[derive(Default)]
    pub struct Case {
        required {}
        optional {
            /// When it holds.
            when: Option<Condition>,
            /// Then this is the value.
            #[serde(deserialize_with = "crate::mapping::spec::described::given")]
            value: Option<Value>,
            /// Then the value is at this path.
            from: Option<String>,
            /// Then the value is what this expression gives.
            expr: Option<String>,
            /// In all other cases this is the value. Nothing may follow.
            #[serde(deserialize_with = "crate::mapping::spec::described::given")]
            otherwise as "else": Option<Value>,
        }
    }
}

described! {
    /// Where counting starts and in which steps it goes on.
    #[derive(Default, Eq)]
    pub struct Counter {
        required {}
        optional {
            /// The number of the first element: 0 unless said otherwise.
            start: Option<i64>,
            /// What is added for each further one: 1 unless said otherwise.
            step: Option<i64>,
        }
    }
}

described! {
    /// Which elements are kept.
    #[derive(Default)]
    pub struct Keep {
        required {
            /// Those for which this holds.
            when: Condition,
        }
        optional {}
    }
}

described! {
    /// Which fields identify an element: on the way back, elements are paired by them.
    #[derive(Default, Eq)]
    pub struct ElementKey {
        required {
            /// The path in the source element.
            source: String,
            /// The path in the target element.
            target: String,
        }
        optional {}
    }
}

/// How a rule is reversed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reverse {
    /// It is not: the field is written one way only.
    None,
    /// It follows from the rule; said where a reader might doubt it.
    Auto,
    /// As it is said here.
    By(Box<ReverseRule>),
}

described! {
    /// How a rule is reversed, in words of its own.
    #[derive(Default)]
    pub struct ReverseRule {
        required {}
        optional {
            /// Of `join`: where the text is split again.
            split_on: Option<String>,
            /// Of `join`: into how many parts at most; the last has the rest.
            max: Option<u32>,
            /// The source path that is written: that of the rule unless said otherwise.
            to: Option<String>,
            /// What is done to the target's value.
            steps: Option<Vec<Step>>,
            /// The value is what this expression gives; `$` is the target element.
            expr: Option<String>,
            /// The first case that holds, asked of the target record.
            cases: Option<Vec<Case>>,
            /// A multiplication that cannot be undone exactly is divided with so many decimals.
            scale: Option<DecimalText>,
        }
    }
}

impl<'de> Deserialize<'de> for Reverse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "none" => Ok(Self::None),
            Value::String(word) if word == "auto" => Ok(Self::Auto),
            object @ Value::Object(_) => {
                serde_json::from_value(object).map(|rule| Self::By(Box::new(rule))).map_err(D::Error::custom)
            }
            _ => Err(D::Error::custom("expected `none`, `auto` or an object")),
        }
    }
}

impl Serialize for Reverse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::Auto => serializer.serialize_str("auto"),
            Self::By(rule) => rule.serialize(serializer),
        }
    }
}

impl Described for Reverse {
    fn schema(definitions: &mut Map<String, Value>) -> Value {
        json!({"anyOf": [{"enum": ["none", "auto"]}, ReverseRule::schema(definitions)]})
    }
}

/// Where the value of a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rule<'a> {
    /// From a path.
    From(&'a str),
    /// From the first path that leads to a value.
    First(&'a [String]),
    /// From several paths, joined.
    Join(&'a [String]),
    /// From the first case that holds.
    Cases(&'a [Case]),
    /// A constant.
    Const(&'a Value),
    /// From the host.
    Ctx(&'a str),
    /// The element's number.
    Index(&'a Counter),
    /// One element per source element.
    Each(&'a str),
    /// An expression.
    Expr(&'a str),
}

impl Rule<'_> {
    /// The keys that say where a value comes from: each rule has exactly one of them.
    pub const KINDS: &'static [&'static str] =
        &["from", "first", "join", "cases", "const", "ctx", "index", "each", "expr"];
}

impl FieldSpec {
    /// A rule for this target path; what it is made from is set on the value.
    pub fn new(to: impl Into<String>) -> Self {
        Self { to: to.into(), ..Self::default() }
    }

    /// Where the value comes from; nothing unless exactly one kind is said.
    pub fn rule(&self) -> Option<Rule<'_>> {
        let mut rules = self.rules();
        let rule = rules.next();
        if rules.next().is_some() { None } else { rule }
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = Rule<'_>> {
        [
            self.from.as_deref().map(Rule::From),
            self.first.as_deref().map(Rule::First),
            self.join.as_deref().map(Rule::Join),
            self.cases.as_deref().map(Rule::Cases),
            self.constant.as_ref().map(Rule::Const),
            self.ctx.as_deref().map(Rule::Ctx),
            self.index.as_ref().map(Rule::Index),
            self.each.as_deref().map(Rule::Each),
            self.expr.as_deref().map(Rule::Expr),
        ]
        .into_iter()
        .flatten()
    }
}
