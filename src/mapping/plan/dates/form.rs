//! In which forms a date is written; a pattern is taken into its parts.

#[derive(Debug, PartialEq)]
pub(crate) enum DateForm {
    Rfc3339,
    EpochSeconds,
    EpochMilliseconds,
    Pattern(Box<[Part]>),
}

/// One part of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Literal(Box<str>),
    Year,
    ShortYear,
    Month,
    MonthName,
    MonthAbbreviation,
    Day,
    DayOfYear,
    Weekday,
    Hour,
    Hour12,
    HalfOfDay,
    Minute,
    Second,
    /// Digits of a second; 0 means as many as there are.
    Fraction(u8),
    /// With a colon or without.
    Offset(bool),
}

/// What is wrong with a pattern, and at which byte.
#[derive(Debug, PartialEq)]
pub(crate) struct InvalidPattern {
    pub(crate) at: usize,
    pub(crate) problem: String,
}

impl DateForm {
    /// Reads `rfc3339`, `iso_date`, `epoch_s`, `epoch_ms` or a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        Ok(match text {
            "rfc3339" => Self::Rfc3339,
            "epoch_s" => Self::EpochSeconds,
            "epoch_ms" => Self::EpochMilliseconds,
            "iso_date" => Self::Pattern(parts("%Y-%m-%d")?),
            _ if text.contains('%') => Self::Pattern(parts(text)?),
            _ => {
                let problem = "expected `rfc3339`, `iso_date`, `epoch_s`, `epoch_ms` or a pattern with `%`";
                return Err(InvalidPattern { at: 0, problem: problem.to_owned() });
            }
        })
    }

    /// Whether a value of this form says at which time of the day.
    pub(crate) fn has_time(&self) -> bool {
        match self {
            Self::Rfc3339 | Self::EpochSeconds | Self::EpochMilliseconds => true,
            Self::Pattern(parts) => parts.iter().any(|part| {
                matches!(part, Part::Hour | Part::Hour12 | Part::Minute | Part::Second | Part::Fraction(_))
            }),
        }
    }

    /// Whether a value of this form says a date.
    pub(crate) fn has_date(&self) -> bool {
        match self {
            Self::Rfc3339 | Self::EpochSeconds | Self::EpochMilliseconds => true,
            Self::Pattern(parts) => {
                let has = |wanted: &[Part]| parts.iter().any(|part| wanted.contains(part));
                has(&[Part::Year, Part::ShortYear])
                    && (has(&[Part::DayOfYear])
                        || (has(&[Part::Month, Part::MonthName, Part::MonthAbbreviation])
                            && has(&[Part::Day])))
            }
        }
    }

    /// Whether a value of this form says its offset from Greenwich.
    pub(crate) fn has_offset(&self) -> bool {
        match self {
            Self::Rfc3339 | Self::EpochSeconds | Self::EpochMilliseconds => true,
            Self::Pattern(parts) => parts.iter().any(|part| matches!(part, Part::Offset(_))),
        }
    }
}

fn parts(pattern: &str) -> Result<Box<[Part]>, InvalidPattern> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = pattern.char_indices();
    while let Some((at, c)) = rest.next() {
        if c != '%' {
            literal.push(c);
            continue;
        }
        let invalid = |problem: &str| InvalidPattern { at, problem: problem.to_owned() };
        let letter = rest.next().map(|(_, c)| c);
        let expanded: &[Part] = match letter {
            Some('%') => {
                literal.push('%');
                continue;
            }
            Some('Y') => &[Part::Year],
            Some('y') => &[Part::ShortYear],
            Some('m') => &[Part::Month],
            Some('B') => &[Part::MonthName],
            Some('b') => &[Part::MonthAbbreviation],
            Some('d') => &[Part::Day],
            Some('j') => &[Part::DayOfYear],
            Some('a') => &[Part::Weekday],
            Some('H') => &[Part::Hour],
            Some('I') => &[Part::Hour12],
            Some('p') => &[Part::HalfOfDay],
            Some('M') => &[Part::Minute],
            Some('S') => &[Part::Second],
            Some('f') => &[Part::Fraction(0)],
            Some('z') => &[Part::Offset(false)],
            Some('3' | '6' | '9') if rest.clone().next().map(|(_, c)| c) == Some('f') => {
                rest.next();
                match letter {
                    Some('3') => &[Part::Fraction(3)],
                    Some('6') => &[Part::Fraction(6)],
                    _ => &[Part::Fraction(9)],
                }
            }
            Some(':') if rest.clone().next().map(|(_, c)| c) == Some('z') => {
                rest.next();
                &[Part::Offset(true)]
            }
            Some(other) => {
                return Err(invalid(&format!(
                    "`%{other}` is not a part of dates; known are %Y %y %m %B %b %d %j %a %H %I %p %M %S %f %3f %6f %9f %z %:z %%"
                )));
            }
            None => return Err(invalid("a lone `%` at the end")),
        };
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal).into()));
        }
        parts.extend_from_slice(expanded);
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(parts.into())
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
