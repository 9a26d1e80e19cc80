//! Numbers as they are written: taken apart and compared without a limit on their length.

use std::cmp::Ordering;

/// Compares two numbers written as JSON, of any length, as numbers: `1.0` equals `1`, `2e1` is less than `100`. `None` if one of
/// them is not a number.
///
/// ```
/// use crossdock::mapping::compare_numbers;
///
/// assert!(compare_numbers("1.0", "1").is_some_and(|order| order.is_eq()));
/// assert_eq!(compare_numbers("1", "one"), None);
/// ```
pub fn compare_numbers(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (NumberText::read(left)?, NumberText::read(right)?);
    Some(match (left.sign(), right.sign()) {
        (0, 0) => Ordering::Equal,
        (a, b) if a != b => a.cmp(&b),
        (sign, _) => {
            let size = left
                .magnitude()
                .cmp(&right.magnitude())
                .then_with(|| left.significant().cmp(right.significant()));
            if sign < 0 { size.reverse() } else { size }
        }
    })
}

/// The parts of a number as it is written.
pub(super) struct NumberText<'a> {
    pub(super) negative: bool,
    pub(super) whole: &'a [u8],
    pub(super) fraction: &'a [u8],
    pub(super) exponent: i64,
}

impl<'a> NumberText<'a> {
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (negative, bytes) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, bytes),
        };
        let (whole, mut rest) = digits(bytes)?;
        let mut fraction: &[u8] = &[];
        if let [b'.', behind @ ..] = rest {
            (fraction, rest) = digits(behind)?;
        }
        let mut exponent = 0_i64;
        if let [b'e' | b'E', behind @ ..] = rest {
            let (down, behind) = match behind {
                [b'-', behind @ ..] => (true, behind),
                [b'+', behind @ ..] => (false, behind),
                _ => (false, behind),
            };
            let (power, behind) = digits(behind)?;
            for digit in power {
                // Saturated far beyond any length of text, and far from the ends of the type.
                exponent = (exponent * 10 + i64::from(digit - b'0')).min(FAR);
            }
            exponent = if down { -exponent } else { exponent };
            rest = behind;
        }
        rest.is_empty().then_some(Self { negative, whole, fraction, exponent })
    }

    /// The digits from the first that is not zero to the last that is not zero.
    pub(super) fn significant(&self) -> impl Iterator<Item = u8> {
        let all = self.whole.len() + self.fraction.len();
        let trailing = self
            .fraction
            .iter()
            .rev()
            .chain(self.whole.iter().rev())
            .take_while(|&&digit| digit == b'0')
            .count();
        self.whole
            .iter()
            .chain(self.fraction)
            .take(all - trailing)
            .skip_while(|&&digit| digit == b'0')
            .copied()
    }

    /// The power of ten of the first digit that is not zero.
    pub(super) fn magnitude(&self) -> i64 {
        let leading = self.whole.iter().chain(self.fraction).take_while(|&&digit| digit == b'0').count();
        self.exponent + length(self.whole.len()) - length(leading)
    }

    fn sign(&self) -> i8 {
        match self.significant().next() {
            None => 0,
            Some(_) if self.negative => -1,
            Some(_) => 1,
        }
    }
}

/// The digits at the front, at least one, and what follows them.
fn digits(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then(|| bytes.split_at(count))
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(FAR)
}

/// What an exponent is cut to: no text is as long.
const FAR: i64 = 1 << 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_are_compared_as_numbers() {
        let long = format!("1{}", "0".repeat(400));
        for (left, right, expected) in [
            ("1.0", "1", Ordering::Equal),
            ("2e1", "100", Ordering::Less),
            ("-2", "-10", Ordering::Greater),
            ("-0", "0.00e7", Ordering::Equal),
            (long.as_str(), "1e400", Ordering::Equal),
            (long.as_str(), "1.0000000000000000000000000000000000000000000000000001e400", Ordering::Less),
            ("1e99999999999999999999", "1e400", Ordering::Greater),
            ("1e-99999999999999999999", "0", Ordering::Greater),
            ("0.0010", "1e-3", Ordering::Equal),
        ] {
            assert_eq!(compare_numbers(left, right), Some(expected), "{left} {right}");
            assert_eq!(compare_numbers(right, left), Some(expected.reverse()), "{right} {left}");
        }
        assert_eq!(compare_numbers("1", "one"), None);
    }
}
