//! How often a key may call from one address, or from one /64 of IPv6: whoever has one address there has all of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::api_keys::rate::{CallRate, reach};

/// Counts the calls of one key by address, for so many addresses as are kept apart.
#[derive(Debug)]
pub(crate) struct AddressMeter {
    rate: CallRate,
    interval: i64,
    /// By address, the time at which all that was taken will have been earned.
    earned_at: Mutex<HashMap<Block, i64>>,
}

/// An IPv4 address, or the upper half of an IPv6 address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Block {
    Four(u32),
    Six(u64),
}

impl AddressMeter {
    /// How many addresses of one key are counted apart at once. When more call within one span, one that has called before may
    /// begin anew.
    pub(crate) const ADDRESSES: usize = 1_024;

    pub(crate) fn new(rate: CallRate) -> Self {
        // Taken at once, so that counting never allocates.
        Self {
            rate,
            interval: rate.interval(),
            earned_at: Mutex::new(HashMap::with_capacity(Self::ADDRESSES + 1)),
        }
    }

    /// Admits one call from this address at this time, in nanoseconds; otherwise says after how many nanoseconds the next one fits.
    pub(crate) fn admit(&self, address: IpAddr, now: i64) -> Result<(), i64> {
        // Nothing under this lock can panic halfway.
        let mut counted = self.earned_at.lock().unwrap_or_else(PoisonError::into_inner);
        let block = Block::of(address);
        if counted.len() >= Self::ADDRESSES && !counted.contains_key(&block) {
            counted.retain(|_, earned_at| *earned_at > now);
            if counted.len() >= Self::ADDRESSES
                && let Some(any) = counted.keys().next().copied()
            {
                counted.remove(&any);
            }
        }
        let earned_at = counted.entry(block).or_insert(i64::MIN);
        let next = (*earned_at).max(now).saturating_add(self.interval);
        let latest = now.saturating_add(reach(self.interval, self.rate.burst()));
        if next > latest {
            return Err((next - latest).max(1));
        }
        *earned_at = next;
        Ok(())
    }

    /// Whether nobody's burst is in use, so that a new meter would say the same.
    pub(crate) fn is_full(&self, now: i64) -> bool {
        let counted = self.earned_at.lock().unwrap_or_else(PoisonError::into_inner);
        counted.values().all(|earned_at| *earned_at <= now)
    }
}

impl Block {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(four) => Self::Four(four.to_bits()),
            // The upper 64 of 128 bits.
            IpAddr::V6(six) => Self::Six((six.to_bits() >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn meter() -> AddressMeter {
        AddressMeter::new(CallRate::per_second(2).expect("a rate"))
    }

    fn admitted(meter: &AddressMeter, address: &str, now: i64) -> usize {
        let address = address.parse().expect("an address");
        (0..10).filter(|_| meter.admit(address, now).is_ok()).count()
    }

    #[test]
    fn each_address_has_its_own_limit() {
        let meter = meter();

        assert_eq!(admitted(&meter, "203.0.113.9", 0), 2);
        assert_eq!(admitted(&meter, "203.0.113.10", 0), 2);
        assert_eq!(admitted(&meter, "203.0.113.9", SECOND), 2);
    }

    #[test]
    fn one_slash_64_is_one_address() {
        let meter = meter();

        assert_eq!(admitted(&meter, "2001:db8:0:1::1", 0), 2);
        assert_eq!(admitted(&meter, "2001:db8:0:1:ffff:ffff:ffff:ffff", 0), 0);
        assert_eq!(admitted(&meter, "2001:db8:0:2::1", 0), 2);
        // Mapped addresses are IPv4 addresses, each for itself.
        assert_eq!(admitted(&meter, "::ffff:203.0.113.9", 0), 2);
        assert_eq!(admitted(&meter, "203.0.113.9", 0), 0);
        assert_eq!(admitted(&meter, "::ffff:203.0.113.10", 0), 2);
    }

    #[test]
    fn a_refusal_says_when_the_next_call_fits() {
        let meter = meter();
        let address = "203.0.113.9".parse().expect("an address");
        admitted(&meter, "203.0.113.9", 0);

        let wait = meter.admit(address, 0).expect_err("refused");

        assert!(meter.admit(address, wait - 1).is_err());
        assert!(meter.admit(address, wait).is_ok());
    }

    #[test]
    fn no_number_of_addresses_takes_more_memory() {
        let meter = meter();
        let before = meter.earned_at.lock().expect("a map").capacity();
        for number in 0..20_000_u32 {
            let _ = meter.admit(IpAddr::V4(number.into()), i64::from(number));
        }

        let counted = meter.earned_at.lock().expect("a map");
        assert_eq!(counted.len(), AddressMeter::ADDRESSES);
        assert!(counted.capacity() <= before, "{} {before}", counted.capacity());
    }

    #[test]
    fn it_is_full_again_when_everybody_has_waited() {
        let meter = meter();
        admitted(&meter, "203.0.113.9", 0);

        assert!(!meter.is_full(SECOND - 1));
        assert!(meter.is_full(SECOND));
    }
}
