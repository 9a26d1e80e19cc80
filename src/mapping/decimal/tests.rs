//! Exact decimals, at work.

use std::cmp::Ordering;
use std::collections::HashSet;

use proptest::prelude::*;

use super::model::LIMIT;
use super::*;
use crate::mapping::number_text::compare_numbers;

fn d(text: &str) -> Decimal {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_number_is_read_as_json_writes_it() {
    for (text, canonical) in [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0e5", "0"),
        ("0e999999999999999999999", "0"),
        ("12.50", "12.5"),
        ("0012.50", "12.5"),
        ("-0.001", "-0.001"),
        ("1e3", "1000"),
        ("1.5E-3", "0.0015"),
        ("1.5e+1", "15"),
        ("18446744073709551615", "18446744073709551615"),
        ("450789469123456789", "450789469123456789"),
        ("9999999999999999999999999999999999999", "9999999999999999999999999999999999999"),
        ("-0.9999999999999999999999999999999999999", "-0.9999999999999999999999999999999999999"),
        ("1.00000000000000000000000000000000000000000000000000000000000000", "1"),
    ] {
        assert_eq!(d(text).to_string(), canonical, "{text}");
    }
    for text in
        ["", "-", "+1", ".5", "5.", "1,5", " 1", "1 ", "1e", "1e+", "0x10", "NaN", "Infinity", "1.2.3", "１"]
    {
        assert_eq!(text.parse::<Decimal>(), Err(ArithmeticError::NotANumber), "{text}");
    }
    for text in ["1e37", "1e-38", "10000000000000000000000000000000000000", "1e999999999999999999999"] {
        assert_eq!(text.parse::<Decimal>(), Err(ArithmeticError::TooLong), "{text}");
    }
}

#[test]
fn arithmetic_leaves_its_range_with_an_error() {
    let large = d("9999999999999999999999999999999999999");

    assert_eq!(large.plus(Decimal::ONE), Err(ArithmeticError::TooLong));
    assert_eq!(large.times(large), Err(ArithmeticError::TooLong));
    assert_eq!(large.plus(d("0.1")), Err(ArithmeticError::TooLong));
    assert_eq!(large.scaled(1), Err(ArithmeticError::TooLong));
    assert_eq!(large.scaled(-38), Err(ArithmeticError::TooLong));
    assert_eq!(d("10").scaled(-38), Ok(d("1e-37")));
    assert_eq!(d("1.000000000000000000").times(d("1e36")), Ok(d("1e36")));
    assert_eq!(d("1e36").plus(d("1.0000")), Ok(d("1000000000000000000000000000000000001")));
}

#[test]
fn equal_numbers_are_one_key() {
    let set: HashSet<Decimal> = ["1", "1.0", "1.00", "10e-1", "0", "-0.0"].into_iter().map(d).collect();

    assert_eq!(set.len(), 2);
}

#[test]
fn a_fixed_number_of_places_never_rounds() {
    assert_eq!(d("12.5").to_places(2).as_deref(), Some("12.50"));
    assert_eq!(d("12").to_places(2).as_deref(), Some("12.00"));
    assert_eq!(d("12").to_places(0).as_deref(), Some("12"));
    assert_eq!(d("12.500").to_places(1).as_deref(), Some("12.5"));
    assert_eq!(d("12.55").to_places(1), None);
    assert_eq!(d("-0.05").to_places(3).as_deref(), Some("-0.050"));
}

pub(in crate::mapping) fn any_decimal() -> impl Strategy<Value = Decimal> {
    (any::<bool>(), 0..LIMIT, 0..=MOST_PLACES, 0..=37_u32).prop_map(|(negative, magnitude, places, cut)| {
        let magnitude = magnitude / 10_u128.pow(cut);
        Decimal::of(negative, magnitude, -i64::from(places)).unwrap_or(Decimal::ZERO)
    })
}

proptest! {
    #[test]
    fn the_text_is_the_number(number in any_decimal()) {
        let text = number.to_string();

        prop_assert_eq!(d(&text), number);
        prop_assert!(!text.contains('e'));
        prop_assert_eq!(compare_numbers(&text, &d(&text).to_string()), Some(Ordering::Equal));
    }

    #[test]
    fn two_orders_agree(left in any_decimal(), right in any_decimal()) {
        prop_assert_eq!(compare_numbers(&left.to_string(), &right.to_string()), Some(left.cmp(&right)));
    }

    #[test]
    fn what_was_added_can_be_taken_away(left in any_decimal(), right in any_decimal()) {
        if let Ok(sum) = left.plus(right) {
            prop_assert_eq!(sum.minus(right), Ok(left));
        }
    }

    #[test]
    fn what_was_multiplied_can_be_divided(left in any_decimal(), right in any_decimal()) {
        if let Ok(product) = left.times(right) && !right.is_zero() {
            prop_assert_eq!(product.divided_exactly_by(right), Ok(left));
            prop_assert_eq!(product.remainder(right).map(Decimal::is_zero).unwrap_or(true) || !left.is_whole(), true);
        }
    }

    #[test]
    fn any_text_is_a_number_or_an_error(text in "[-+0-9.eE]{0,60}") {
        if let Ok(number) = text.parse::<Decimal>() {
            prop_assert_eq!(compare_numbers(&text, &number.to_string()), Some(Ordering::Equal));
        }
    }
}
