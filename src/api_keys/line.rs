//! The limits of a line of keys: a key and its successors count together.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::api_keys::address_rate::AddressMeter;
use crate::api_keys::rate::{CallRate, RateMeter, RateStanding};
use crate::api_keys::refusal::Refusal;
use crate::api_keys::uses::{Lease, block};
use crate::primitives::id::ApiKeyId;
use crate::tenancy::model::TenantId;

/// The limits of one line, as far as this process has used them.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) tenant: TenantId,
    pub(crate) id: ApiKeyId,
    limits: Limits,
    rate: Option<RateMeter>,
    by_address: Option<AddressMeter>,
    lease: Lease,
    /// Until when, in microseconds, nobody asks the store again whether there are uses left.
    exhausted_until: AtomicI64,
}

/// What limits a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    pub(crate) rate: Option<CallRate>,
    pub(crate) by_address: Option<CallRate>,
    pub(crate) max_uses: Option<u64>,
}

/// What the limits say to a call.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    /// It may go.
    Admitted,
    /// It may not, and the next one fits after so many nanoseconds, if it ever does.
    Refused(Refusal, Option<i64>),
    /// Nobody knows: uses must be leased first.
    Lease,
}

impl Limits {
    pub(crate) fn is_none(&self) -> bool {
        self.rate.is_none() && self.by_address.is_none() && self.max_uses.is_none()
    }
}

impl Line {
    pub(crate) fn new(tenant: TenantId, id: ApiKeyId, limits: Limits) -> Self {
        Self {
            tenant,
            id,
            limits,
            rate: limits.rate.map(RateMeter::new),
            by_address: limits.by_address.map(AddressMeter::new),
            lease: Lease::default(),
            exhausted_until: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Lets a call go, or not, at this time in microseconds.
    #[inline]
    pub(crate) fn admit(&self, now: i64, address: IpAddr) -> Admission {
        let nanos = now.saturating_mul(1_000);
        if self.limits.max_uses.is_some() && now < self.exhausted_until.load(Ordering::Relaxed) {
            return Admission::Refused(Refusal::Exhausted, None);
        }
        if let Some(Err(wait)) = self.by_address.as_ref().map(|meter| meter.admit(address, nanos)) {
            return Admission::Refused(Refusal::AddressRate, Some(wait));
        }
        if let Some(Err(wait)) = self.rate.as_ref().map(|meter| meter.admit(nanos)) {
            return Admission::Refused(Refusal::Rate, Some(wait));
        }
        if self.limits.max_uses.is_some() && !self.lease.spend() {
            return Admission::Lease;
        }
        Admission::Admitted
    }

    /// How many uses the line has in all, and how many are leased at once.
    pub(crate) fn wanted(&self) -> Option<(u64, u64)> {
        self.limits.max_uses.map(|most| (most, block(most)))
    }

    /// Takes what the store has granted, and spends one of it for the call that has asked; `false` when there is none.
    pub(crate) fn grant(&self, uses: u64, now: i64) -> bool {
        self.lease.add(uses);
        let spent = self.lease.spend();
        if !spent {
            self.exhausted_until.store(now.saturating_add(ASK_AGAIN), Ordering::Relaxed);
        }
        spent
    }

    /// Takes what the store has granted, for later.
    pub(crate) fn put(&self, uses: u64) {
        self.lease.add(uses);
    }

    /// Takes back all that is not spent.
    pub(crate) fn drain(&self) -> u64 {
        self.lease.drain()
    }

    pub(crate) fn standing(&self, now: i64) -> Option<RateStanding> {
        self.rate.as_ref().map(|meter| meter.standing(now.saturating_mul(1_000)))
    }

    /// Whether forgetting it would change nothing.
    pub(crate) fn is_idle(&self, now: i64) -> bool {
        let nanos = now.saturating_mul(1_000);
        self.rate.as_ref().is_none_or(|meter| meter.is_full(nanos))
            && self.by_address.as_ref().is_none_or(|meter| meter.is_full(nanos))
            && self.limits.max_uses.is_none()
    }
}

/// In microseconds: whoever is exhausted asks the store at most once a second.
const ASK_AGAIN: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

    fn line(limits: Limits) -> Line {
        let id = ApiKeyId::mint(chrono::DateTime::UNIX_EPOCH, [7; 10]);
        Line::new("acme".parse().expect("a tenant"), id, limits)
    }

    fn limits() -> Limits {
        Limits { rate: None, by_address: None, max_uses: None }
    }

    #[test]
    fn without_limits_everything_goes() {
        assert!(limits().is_none());
        assert_eq!(line(limits()).admit(0, ADDRESS), Admission::Admitted);
    }

    #[test]
    fn each_limit_has_its_refusal() {
        let one = CallRate::per_second(1).ok();
        let by_key = line(Limits { rate: one, ..limits() });
        let by_address = line(Limits { by_address: one, ..limits() });

        assert_eq!(
            [by_key.admit(0, ADDRESS), by_address.admit(0, ADDRESS)],
            [Admission::Admitted, Admission::Admitted]
        );

        let second = Some(1_000_000_000);
        assert_eq!(by_key.admit(0, ADDRESS), Admission::Refused(Refusal::Rate, second));
        assert_eq!(by_address.admit(0, ADDRESS), Admission::Refused(Refusal::AddressRate, second));
        assert_eq!(by_address.admit(0, IpAddr::from([203, 0, 113, 10])), Admission::Admitted);
        assert!(!by_key.is_idle(999_999) && by_key.is_idle(1_000_000));
    }

    #[test]
    fn uses_are_leased_before_they_are_spent_and_an_exhausted_line_asks_once_a_second() {
        let line = line(Limits { max_uses: Some(2), ..limits() });
        assert_eq!((line.admit(0, ADDRESS), line.wanted()), (Admission::Lease, Some((2, 1))));

        assert!(line.grant(2, 0), "one of two is spent");
        assert_eq!(line.admit(0, ADDRESS), Admission::Admitted);

        assert_eq!(line.admit(0, ADDRESS), Admission::Lease);
        assert!(!line.grant(0, 0));
        assert_eq!(line.admit(999_999, ADDRESS), Admission::Refused(Refusal::Exhausted, None));
        assert_eq!(line.admit(1_000_000, ADDRESS), Admission::Lease);
    }
}
