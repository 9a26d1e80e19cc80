//! How a number is read and written.

use std::fmt;

use crate::mapping::decimal::model::{ArithmeticError, Decimal, MOST_PLACES};
use crate::mapping::number_text::NumberText;

impl Decimal {
    /// The text with exactly this many digits behind the point, such as `12.50`; `None` if the number has more, so that nothing is
    /// rounded here.
    pub fn to_places(self, places: u32) -> Option<String> {
        let number = self.normalised();
        let missing = usize::try_from(places.checked_sub(number.places.into())?).ok()?;
        if places > MOST_PLACES {
            return None;
        }
        let mut text = number.to_string();
        if number.places == 0 && missing > 0 {
            text.push('.');
        }
        text.extend(std::iter::repeat_n('0', missing));
        Some(text)
    }

    /// Appends the text: no exponent, no trailing zeros. The same as `Display`, without its machinery.
    pub fn write_to(self, out: &mut Vec<u8>) {
        let mut buffer = [0; TEXT];
        out.extend_from_slice(self.text(&mut buffer));
    }

    /// The text, written from the end of the buffer.
    fn text(self, buffer: &mut [u8; TEXT]) -> &[u8] {
        let number = self.normalised();
        let mut rest = number.coefficient.unsigned_abs();
        let mut at = TEXT;
        let mut written = 0;
        loop {
            if written == u32::from(number.places) && number.places > 0 {
                at -= 1;
                buffer[at] = b'.';
            }
            at -= 1;
            // Below ten.
            buffer[at] = b'0'
                + if let Ok(small) = u64::try_from(rest) {
                    rest = u128::from(small / 10);
                    (small % 10) as u8
                } else {
                    let digit = (rest % 10) as u8;
                    rest /= 10;
                    digit
                };
            written += 1;
            if rest == 0 && written > u32::from(number.places) {
                break;
            }
        }
        if number.coefficient < 0 {
            at -= 1;
            buffer[at] = b'-';
        }
        &buffer[at..]
    }
}

impl std::str::FromStr for Decimal {
    type Err = ArithmeticError;

    /// Reads a number as JSON writes it, also with an exponent; leading zeros are taken as well, because fixed-width texts have
    /// them. Not `+1`, `.5`, `5.`, nor anything around the number.
    fn from_str(text: &str) -> Result<Self, ArithmeticError> {
        let written = NumberText::read(text).ok_or(ArithmeticError::NotANumber)?;
        if written.exponent == 0 && written.whole.len() + written.fraction.len() <= SHORT {
            let mut magnitude = 0_u64;
            for digit in written.whole.iter().chain(written.fraction) {
                magnitude = magnitude * 10 + u64::from(digit - b'0');
            }
            let coefficient = if written.negative { -i128::from(magnitude) } else { i128::from(magnitude) };
            return Ok(Self { coefficient, places: written.fraction.len() as u8 });
        }
        let mut magnitude = 0_u128;
        let mut count = 0_i64;
        for digit in written.significant() {
            count += 1;
            if count > MOST_PLACES.into() {
                return Err(ArithmeticError::TooLong);
            }
            magnitude = magnitude * 10 + u128::from(digit - b'0');
        }
        Self::of(written.negative, magnitude, written.magnitude() - count)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; TEXT];
        let text = std::str::from_utf8(self.text(&mut buffer)).map_err(|_| fmt::Error)?;
        f.pad(text)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As many digits as always fit 64 bits.
const SHORT: usize = 18;
/// 37 digits, or a zero before as many; the point; the sign.
const TEXT: usize = 40;
