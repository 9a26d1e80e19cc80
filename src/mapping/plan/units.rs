//! Units of measure and their exact factors: UN/ECE codes and the usual signs.

use crate::mapping::decimal::Decimal;

/// What a unit measures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dimension {
    Count,
    Mass,
    Length,
    Area,
    Volume,
    Time,
}

/// What a unit measures, and how much of it; nothing for a name that is not known.
pub(crate) fn unit(name: &str) -> Option<(Dimension, Decimal)> {
    let (_, dimension, factor) =
        UNITS.iter().find(|(names, ..)| names.split(' ').any(|known| known == name))?;
    Some((*dimension, factor.parse().ok()?))
}

/// Every name, for suggestions.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    UNITS.iter().flat_map(|(names, ..)| names.split(' '))
}

const UNITS: &[(&str, Dimension, &str)] = &[
    ("EA C62 PCE H87 ST pc", Dimension::Count, "1"),
    ("PR NPR pair", Dimension::Count, "2"),
    ("DZN dozen", Dimension::Count, "12"),
    ("CEN hundred", Dimension::Count, "100"),
    ("GRO gross", Dimension::Count, "144"),
    ("MIL thousand", Dimension::Count, "1000"),
    ("MGM mg", Dimension::Mass, "0.000001"),
    ("GRM g", Dimension::Mass, "0.001"),
    ("KGM kg", Dimension::Mass, "1"),
    ("TNE t", Dimension::Mass, "1000"),
    ("ONZ oz", Dimension::Mass, "0.028349523125"),
    ("LBR lb", Dimension::Mass, "0.45359237"),
    ("STN", Dimension::Mass, "907.18474"),
    ("LTN", Dimension::Mass, "1016.0469088"),
    ("MMT mm", Dimension::Length, "0.001"),
    ("CMT cm", Dimension::Length, "0.01"),
    ("DMT dm", Dimension::Length, "0.1"),
    ("MTR m", Dimension::Length, "1"),
    ("KMT KTM km", Dimension::Length, "1000"),
    ("INH in", Dimension::Length, "0.0254"),
    ("FOT ft", Dimension::Length, "0.3048"),
    ("YRD yd", Dimension::Length, "0.9144"),
    ("SMI mi", Dimension::Length, "1609.344"),
    ("MMK mm2", Dimension::Area, "0.000001"),
    ("CMK cm2", Dimension::Area, "0.0001"),
    ("MTK m2", Dimension::Area, "1"),
    ("HAR ha", Dimension::Area, "10000"),
    ("INK in2", Dimension::Area, "0.00064516"),
    ("FTK ft2", Dimension::Area, "0.09290304"),
    ("MMQ mm3", Dimension::Volume, "0.000001"),
    ("MLT ml CMQ cm3", Dimension::Volume, "0.001"),
    ("CLT cl", Dimension::Volume, "0.01"),
    ("DLT dl", Dimension::Volume, "0.1"),
    ("LTR l DMQ dm3", Dimension::Volume, "1"),
    ("HLT hl", Dimension::Volume, "100"),
    ("MTQ m3", Dimension::Volume, "1000"),
    ("INQ in3", Dimension::Volume, "0.016387064"),
    ("FTQ ft3", Dimension::Volume, "28.316846592"),
    ("OZA", Dimension::Volume, "0.0295735295625"),
    ("PTL", Dimension::Volume, "0.473176473"),
    ("QTL", Dimension::Volume, "0.946352946"),
    ("GLL", Dimension::Volume, "3.785411784"),
    ("GLI", Dimension::Volume, "4.54609"),
    ("C26 ms", Dimension::Time, "0.001"),
    ("SEC s", Dimension::Time, "1"),
    ("MIN min", Dimension::Time, "60"),
    ("HUR h", Dimension::Time, "3600"),
    ("DAY d", Dimension::Time, "86400"),
    ("WEE wk", Dimension::Time, "604800"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_unit_has_a_factor_and_every_name_one_unit() {
        let all: Vec<&str> = names().collect();

        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(all.iter().all(|name| unit(name).is_some_and(|(_, factor)| !factor.is_zero())));
    }
}
