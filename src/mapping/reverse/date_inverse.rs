//! What of a time is in a text, and so whether rewriting it loses something.

use std::collections::BTreeSet;

use crate::mapping::reverse::optic::Optic;
use crate::mapping::reverse::step_inverse::Undo;
use crate::mapping::spec::step::Op;

/// A part of a time that a text may hold.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Fraction,
    Offset,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
            Self::Fraction => "fraction of a second",
            Self::Offset => "offset from UTC",
        }
    }
}

/// How a rewritten date is written back.
pub(crate) fn undo_date(input: &str, output: &str, zone: Option<&str>, assume: Option<&str>) -> Undo {
    let (Some(before), Some(after)) = (parts(input), parts(output)) else {
        return Undo::none(format!("`{input}` or `{output}` holds something that is not read back"));
    };
    let mut lost: Vec<&str> = before.difference(&after).map(|part| part.name()).collect();
    let moves = zone.is_some_and(|zone| zone != "keep");
    if moves && before.contains(&Part::Offset) && after.contains(&Part::Offset) {
        lost.push(Part::Offset.name());
    }
    // An epoch is UTC; so is what is written back from it.
    let from_epoch = is_epoch(output);
    let needs_zone = !after.contains(&Part::Offset) && (before.contains(&Part::Offset) || is_epoch(input));
    let back = Op::Date {
        input: output.to_owned(),
        output: input.to_owned(),
        zone: (from_epoch && !is_epoch(input)).then(|| "utc".to_owned()),
        assume: if needs_zone && !from_epoch {
            Some(zone.filter(|zone| *zone != "keep").or(assume).unwrap_or("utc").to_owned())
        } else {
            assume.map(str::to_owned)
        },
    };
    if !date_parts().is_subset(&after) && !lost.is_empty() {
        return Undo::none(format!("the {} is lost", lost.join(" and the ")));
    }
    if before.contains(&Part::Hour) && !after.contains(&Part::Hour) {
        // What the time was only the old record knows; of a new date the day begins.
        if input != "rfc3339" {
            return Undo::none("the time of day is lost");
        }
        let date = Op::Date {
            input: output.to_owned(),
            output: "iso_date".to_owned(),
            zone: None,
            assume: assume.map(str::to_owned),
        };
        return Undo::new(Optic::Lossy, [date, Op::Suffix { text: "T00:00:00Z".to_owned() }])
            .because(format!("the {} is lost", lost.join(" and the ")));
    }
    if lost.is_empty() {
        Undo::new(Optic::Iso, [back])
    } else {
        Undo::new(Optic::Lossy, [back]).because(format!("the {} is lost", lost.join(" and the ")))
    }
}

fn date_parts() -> BTreeSet<Part> {
    BTreeSet::from([Part::Year, Part::Month, Part::Day])
}

fn is_epoch(pattern: &str) -> bool {
    matches!(pattern, "epoch_s" | "epoch_ms")
}

/// The parts in a pattern; nothing if it holds one that is only ever written, such as the name of a day.
fn parts(pattern: &str) -> Option<BTreeSet<Part>> {
    let date = [Part::Year, Part::Month, Part::Day];
    let time = [Part::Hour, Part::Minute, Part::Second];
    let known = match pattern {
        "rfc3339" => [&date[..], &time, &[Part::Fraction, Part::Offset]].concat(),
        "iso_date" => date.to_vec(),
        "epoch_s" => [&date[..], &time].concat(),
        "epoch_ms" => [&date[..], &time, &[Part::Fraction]].concat(),
        pattern => {
            let mut found = Vec::new();
            let mut letters = pattern.chars();
            while let Some(c) = letters.next() {
                if c != '%' {
                    continue;
                }
                let letter =
                    letters.by_ref().find(|c| !matches!(c, '-' | '_' | '0' | '.' | ':' | '3' | '6' | '9'))?;
                match letter {
                    'Y' => found.push(Part::Year),
                    'm' | 'b' | 'B' => found.push(Part::Month),
                    'd' | 'e' => found.push(Part::Day),
                    'H' => found.push(Part::Hour),
                    'M' => found.push(Part::Minute),
                    'S' => found.push(Part::Second),
                    'f' => found.push(Part::Fraction),
                    'z' => found.push(Part::Offset),
                    'F' => found.extend(date),
                    'T' => found.extend(time),
                    '%' => {}
                    _ => return None,
                }
            }
            found
        }
    };
    Some(known.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_with_all_parts_is_undone_exactly() {
        let undo = undo_date("%Y%m%d", "%d.%m.%Y", Some("keep"), None);

        assert_eq!(undo.optic, Optic::Iso);
    }

    #[test]
    fn what_is_not_written_is_lost() {
        for (input, output, zone, lost) in [
            ("rfc3339", "iso_date", "keep", "hour"),
            ("rfc3339", "epoch_s", "keep", "offset"),
            ("rfc3339", "rfc3339", "utc", "offset"),
            ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "keep", "second"),
        ] {
            let undo = undo_date(input, output, Some(zone), None);

            assert_eq!(undo.optic, Optic::Lossy, "{input} {output}");
            assert!(undo.reasons[0].contains(lost), "{:?}", undo.reasons);
        }
    }

    #[test]
    fn what_is_only_ever_written_is_not_undone() {
        assert_eq!(undo_date("rfc3339", "%A", None, None).optic, Optic::None);
    }
}
