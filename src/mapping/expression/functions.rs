//! The functions: their names, their arguments, and those on single values.

use super::super::rounding::Rounding;
use super::error::{ExpressionError, Span, TEXT};
use super::evaluate::{At, Evaluation, Here};
use super::item::Item;
use super::number::Number;
use super::scope::Scope;
use super::syntax::Node;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Function {
    String,
    Number,
    Boolean,
    Not,
    Exists,
    Length,
    Substring,
    SubstringBefore,
    SubstringAfter,
    Uppercase,
    Lowercase,
    Trim,
    Pad,
    Contains,
    Split,
    Join,
    Replace,
    Abs,
    Floor,
    Ceil,
    Round,
    Sum,
    Count,
    Min,
    Max,
    Average,
    Append,
    Distinct,
    Reverse,
    Sort,
    Keys,
    Lookup,
    Merge,
}

/// Name, function, the least and the most arguments, and whether the first may be left out for the element.
type Known = (&'static str, Function, usize, usize, bool);

impl Function {
    /// The function of this name, which is given without its `$`.
    pub(super) fn of(name: &str) -> Option<Self> {
        KNOWN.iter().find(|known| known.0 == name).map(|known| known.1)
    }

    /// The least and the most arguments, and whether the first may be left out for the element.
    pub(super) fn arguments(self) -> (usize, usize, bool) {
        KNOWN.iter().find(|known| known.1 == self).map_or((0, 0, false), |known| (known.2, known.3, known.4))
    }

    /// As it is called, without its `$`.
    pub(super) fn name(self) -> &'static str {
        KNOWN.iter().find(|known| known.1 == self).map_or("", |known| known.0)
    }

    /// The known name that is most like this one, if one is.
    pub(super) fn nearest(name: &str) -> Option<&'static str> {
        let known = KNOWN.iter().map(|known| known.0).chain(["table"]);
        let (distance, nearest) = known.map(|known| (distance(name, known), known)).min()?;
        (distance <= 2.max(nearest.len() / 3)).then_some(nearest)
    }
}

impl<'a, S: Scope<'a>> Evaluation<'_, S> {
    pub(super) fn call(
        &self,
        function: Function,
        arguments: &'a [Node],
        here: Here<'_, 'a>,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        if let (Function::Number, [argument]) = (function, arguments) {
            return self.to_number(self.value(argument, here)?.single(), at);
        }
        let mut values = [Item::Missing, Item::Missing, Item::Missing, Item::Missing];
        // The parser has counted them: no function takes more than four.
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = self.value(argument, here)?;
        }
        let [first, second, third, fourth] = values;
        match function {
            Function::Boolean if first.is_missing() => Ok(Item::Missing),
            Function::Boolean => self.truth(&first).map(Item::Bool).at(at),
            Function::Not if first.is_missing() => Ok(Item::Missing),
            Function::Not => self.truth(&first).map(|truth| Item::Bool(!truth)).at(at),
            Function::Exists => Ok(Item::Bool(!first.is_missing())),
            Function::Number => self.to_number(first.single(), at),
            Function::Abs | Function::Floor | Function::Ceil | Function::Round => {
                self.on_number(function, first.single(), second.single(), at)
            }
            Function::String
            | Function::Length
            | Function::Substring
            | Function::SubstringBefore
            | Function::SubstringAfter
            | Function::Uppercase
            | Function::Lowercase
            | Function::Trim
            | Function::Pad
            | Function::Contains
            | Function::Split
            | Function::Join
            | Function::Replace => self.on_text(function, [first, second, third, fourth], at),
            Function::Sum
            | Function::Count
            | Function::Min
            | Function::Max
            | Function::Average
            | Function::Append
            | Function::Distinct
            | Function::Reverse
            | Function::Sort
            | Function::Keys
            | Function::Lookup
            | Function::Merge => self.on_list(function, first, second, at),
        }
    }

    fn to_number(&self, value: Item<'a>, at: Span) -> Result<Item<'a>, ExpressionError> {
        let number = match value {
            Item::Missing | Item::Number(_) => return Ok(value),
            Item::Bool(bool) => u64::from(bool).into(),
            Item::Text(text) => {
                let digits = |prefixes: [&str; 2], radix| {
                    let digits = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix))?;
                    // Without a sign, which Rust would take.
                    let all = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
                    all.then(|| u64::from_str_radix(digits, radix).ok())?
                };
                let other = || {
                    digits(["0x", "0X"], 16)
                        .or_else(|| digits(["0o", "0O"], 8))
                        .or_else(|| digits(["0b", "0B"], 2))
                };
                match text.starts_with('0').then(other).flatten() {
                    Some(number) => number.into(),
                    None => match text.parse() {
                        Ok(number) => number,
                        Err(super::super::decimal::ArithmeticError::TooLong) => {
                            return Err(ExpressionError::arithmetic(
                                at,
                                super::super::decimal::ArithmeticError::TooLong,
                            ));
                        }
                        Err(_) => {
                            return Err(ExpressionError::new(TEXT, at, "a text that is not a number"));
                        }
                    },
                }
            }
            other => {
                let message = format!("`$number` of {}", other.kind());
                return Err(ExpressionError::kind(at, message));
            }
        };
        Ok(Item::Number(Number::Exact(number)))
    }

    fn on_number(
        &self,
        function: Function,
        value: Item<'a>,
        places: Item<'a>,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        let Some(number) = self.number(function, value, at)? else { return Ok(Item::Missing) };
        let result = match function {
            Function::Abs => return number.magnitude().map(Item::Number).at(at),
            Function::Floor => number.rounded(0, Rounding::Floor),
            Function::Ceil => number.rounded(0, Rounding::Ceiling),
            _ => {
                let places = self.whole(function, places, at)?.unwrap_or(0);
                // Further than any number reaches.
                number.rounded(i32::try_from(places.clamp(-100, 100)).unwrap_or(0), Rounding::HalfEven)
            }
        };
        result.map(|number| Item::Number(Number::Exact(number))).at(at)
    }

    /// A number as an argument; nothing is none.
    pub(super) fn number(
        &self,
        function: Function,
        value: Item<'a>,
        at: Span,
    ) -> Result<Option<Number<'a>>, ExpressionError> {
        match value {
            Item::Missing => Ok(None),
            Item::Number(number) => Ok(Some(number)),
            other => Err(wrong_argument(function, &other, "a number", at)),
        }
    }

    /// A whole number as an argument, cut off towards zero; nothing is none.
    pub(super) fn whole(
        &self,
        function: Function,
        value: Item<'a>,
        at: Span,
    ) -> Result<Option<i64>, ExpressionError> {
        let Some(number) = self.number(function, value.single(), at)? else { return Ok(None) };
        let whole = number.rounded(0, Rounding::Down).at(at)?.whole().unwrap_or(0);
        let far = if whole < 0 { i64::MIN } else { i64::MAX };
        Ok(Some(i64::try_from(whole).unwrap_or(far)))
    }
}

pub(super) fn wrong_argument(
    function: Function,
    value: &Item<'_>,
    wanted: &str,
    at: Span,
) -> ExpressionError {
    let message = format!("`${}` of {} where it takes {wanted}", function.name(), value.kind());
    let error = ExpressionError::kind(at, message);
    match (value, wanted) {
        (Item::Number(_), "a text") => error.with_help("`$string(…)` makes a text of a number"),
        (Item::Text(_), "a number") => error.with_help("`$number(…)` makes a number of a text"),
        _ => error,
    }
}

/// How many letters must change to make one word of the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = corner + usize::from(a != *b);
            corner = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(corner + 1);
        }
    }
    row[right.len()]
}

const KNOWN: &[Known] = &[
    ("string", Function::String, 1, 1, true),
    ("number", Function::Number, 1, 1, true),
    ("boolean", Function::Boolean, 1, 1, true),
    ("not", Function::Not, 1, 1, true),
    ("exists", Function::Exists, 1, 1, false),
    ("length", Function::Length, 1, 1, true),
    ("substring", Function::Substring, 2, 3, true),
    ("substringBefore", Function::SubstringBefore, 2, 2, true),
    ("substringAfter", Function::SubstringAfter, 2, 2, true),
    ("uppercase", Function::Uppercase, 1, 1, true),
    ("lowercase", Function::Lowercase, 1, 1, true),
    ("trim", Function::Trim, 1, 1, true),
    ("pad", Function::Pad, 2, 3, true),
    ("contains", Function::Contains, 2, 2, true),
    ("split", Function::Split, 2, 3, true),
    ("join", Function::Join, 1, 2, false),
    ("replace", Function::Replace, 3, 4, true),
    ("abs", Function::Abs, 1, 1, true),
    ("floor", Function::Floor, 1, 1, true),
    ("ceil", Function::Ceil, 1, 1, true),
    ("round", Function::Round, 1, 2, true),
    ("sum", Function::Sum, 1, 1, false),
    ("count", Function::Count, 1, 1, false),
    ("min", Function::Min, 1, 1, false),
    ("max", Function::Max, 1, 1, false),
    ("average", Function::Average, 1, 1, false),
    ("append", Function::Append, 2, 2, false),
    ("distinct", Function::Distinct, 1, 1, false),
    ("reverse", Function::Reverse, 1, 1, false),
    ("sort", Function::Sort, 1, 1, false),
    ("keys", Function::Keys, 1, 1, true),
    ("lookup", Function::Lookup, 2, 2, true),
    ("merge", Function::Merge, 1, 1, false),
];

/// All names, for tests that call everything.
#[cfg(test)]
pub(super) const NAMES: &[&str] = &{
    let mut names = [""; KNOWN.len()];
    let mut at = 0;
    while at < KNOWN.len() {
        names[at] = KNOWN[at].0;
        at += 1;
    }
    names
};
