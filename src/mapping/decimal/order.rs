//! Which numbers are equal, and which is greater, whatever their decimal places.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::mapping::decimal::arithmetic::align;
use crate::mapping::decimal::model::Decimal;

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.places == other.places {
            return self.coefficient.cmp(&other.coefficient);
        }
        match align(*self, *other) {
            Some((left, right, _)) => left.cmp(&right),
            // The one with fewer places did not fit when it was lengthened, so it is the greater in size.
            None if self.places < other.places => self.coefficient.cmp(&0),
            None => 0.cmp(&other.coefficient),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let number = self.normalised();
        number.coefficient.hash(state);
        number.places.hash(state);
    }
}
