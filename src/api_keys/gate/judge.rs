//! The order in which a call is judged; nothing about a key is told before its secret was right.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::api_keys::cache::{Entry, Known, Ticket};
use crate::api_keys::call::{ApiCall, Authenticated};
use crate::api_keys::gate::handle::{Gate, Inner};
use crate::api_keys::gate::knowledge::STALE_MICROS;
use crate::api_keys::line::Admission;
use crate::api_keys::model::Rekeyed;
use crate::api_keys::networks;
use crate::api_keys::pepper::PepperSlot;
use crate::api_keys::refusal::{Refusal, Refused};
use crate::api_keys::token::{Token, TokenRefusal};

/// Whether a look may turn into asking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// One of the calls asks for all of them when what is known grows old, so that it never is too old for all at once.
    Asks,
    Looks,
}

/// What a look without waiting has found.
pub(super) enum Look<'c> {
    Done(Result<Authenticated, Refused>),
    /// Word of changes is too old.
    Confirm,
    Find(Token<'c>, Ticket),
    Lease(Arc<Entry>, IpAddr),
}

impl Inner {
    #[inline]
    pub(super) fn look<'c>(&self, call: &ApiCall<'c>, turn: Turn) -> Look<'c> {
        let token = match self.settings.header.token(call.headers).and_then(|text| self.parse(text)) {
            Ok(token) => token,
            Err(reason) => return Look::Done(Err(self.refuse_unknown(reason))),
        };
        let now = self.now();
        let age = self.age(now);
        if age > STALE_MICROS {
            return Look::Confirm;
        }
        if age > OLD_MICROS && turn == Turn::Asks && !self.asking.swap(true, Ordering::Relaxed) {
            return Look::Confirm;
        }
        match self.cache.look(token.id(), now) {
            Known::Key(entry) => self.judge(call, token, Some(entry), now),
            Known::Nobody => self.judge(call, token, None, now),
            Known::Ask(ticket) => Look::Find(token, ticket),
        }
    }

    fn parse<'t>(&self, text: &'t [u8]) -> Result<Token<'t>, Refusal> {
        self.form.parse(text).map_err(|refusal| match refusal {
            TokenRefusal::Shape => Refusal::Malformed,
            TokenRefusal::Checksum => Refusal::Checksum,
        })
    }

    #[inline]
    pub(super) fn judge<'c>(
        &self,
        call: &ApiCall<'c>,
        token: Token<'_>,
        entry: Option<Arc<Entry>>,
        now: i64,
    ) -> Look<'c> {
        let Some(entry) = entry else {
            // As much work as for a key that exists.
            let _never = self.peppers.matches(PepperSlot::Missing, token.secret(), &[0; 32]);
            return Look::Done(Err(self.refuse_unknown(Refusal::Unknown)));
        };
        let (secret, kept) = (token.secret(), entry.mac.code());
        let is_right =
            self.peppers.matches(entry.pepper, secret, kept) & (token.environment() == entry.environment);
        if !is_right {
            let reason = if entry.pepper == PepperSlot::Missing {
                Refusal::PepperMissing
            } else {
                Refusal::WrongSecret
            };
            return self.refuse(call, &entry, reason, None, now);
        }
        if let Some(reason) = entry.standing {
            return self.refuse(call, &entry, reason, None, now);
        }
        if now < entry.begins {
            return self.refuse(call, &entry, Refusal::NotYetValid, None, now);
        }
        if entry.ends <= now {
            return self.refuse(call, &entry, Refusal::Expired, None, now);
        }
        let Ok(address) = self.settings.proxies.client(call.peer, call.headers) else {
            return self.refuse(call, &entry, Refusal::AddressUnreadable, None, now);
        };
        if !networks::admit(&entry.networks, address) {
            return self.refuse(call, &entry, Refusal::Address, Some(address), now);
        }
        if let Err(reason) = call.judge(&entry.rights) {
            return self.refuse(call, &entry, reason, Some(address), now);
        }
        if matches!(entry.pepper, PepperSlot::Old(_)) {
            let before = entry.mac.clone();
            entry.tally.rekey(|| Rekeyed::new(before, self.peppers.mac(secret)));
        }
        match entry.line.as_ref().map_or(Admission::Admitted, |line| line.admit(now, address)) {
            Admission::Admitted => Look::Done(Ok(admit(call, entry, address, now))),
            Admission::Lease => Look::Lease(entry, address),
            Admission::Refused(reason, wait) => {
                entry.tally.refuse(reason, now, Some(address), call.route);
                let refused = Refused::of(reason, &entry.key.tenant, entry.key.id);
                let of_key = (reason == Refusal::Rate).then_some(entry.line.as_ref()).flatten();
                let refused = refused.at(of_key.and_then(|line| line.standing(now)));
                Look::Done(Err(wait.into_iter().fold(refused, Refused::until)))
            }
        }
    }

    #[cold]
    fn refuse<'c>(
        &self,
        call: &ApiCall<'_>,
        entry: &Entry,
        reason: Refusal,
        address: Option<IpAddr>,
        now: i64,
    ) -> Look<'c> {
        // From where it came is told also where it was not looked at.
        let address = address.or_else(|| self.settings.proxies.client(call.peer, call.headers).ok());
        entry.tally.refuse(reason, now, address, call.route);
        Look::Done(Err(Refused::of(reason, &entry.key.tenant, entry.key.id)))
    }

    /// Leases uses for a call that has passed everything else.
    pub(super) async fn lease(
        &self,
        call: &ApiCall<'_>,
        entry: Arc<Entry>,
        address: IpAddr,
    ) -> Result<Authenticated, Refused> {
        let Some((line, (most, wanted))) = entry.line.as_ref().and_then(|line| Some((line, line.wanted()?)))
        else {
            return Ok(admit(call, entry, address, self.now()));
        };
        let leased = self.store.lease_uses(&line.tenant, line.id, most, wanted, self.clock.now()).await;
        let granted = leased.map_err(|error| self.unavailable(&error))?;
        let now = self.now();
        if self.age(now) > STALE_MICROS {
            // The key may have been revoked meanwhile. What was leased serves the next call.
            line.put(granted);
            return Err(self.refuse_unknown(Refusal::Unavailable));
        }
        if line.grant(granted, now) {
            return Ok(admit(call, entry, address, now));
        }
        entry.tally.refuse(Refusal::Exhausted, now, Some(address), call.route);
        Err(Refused::of(Refusal::Exhausted, &entry.key.tenant, entry.key.id))
    }
}

fn admit(call: &ApiCall<'_>, entry: Arc<Entry>, address: IpAddr, now: i64) -> Authenticated {
    entry.tally.allow(now, address, call.route);
    Authenticated { entry, address, at: now }
}

/// Older than it gets as long as somebody asks every second.
const OLD_MICROS: i64 = 3 * Gate::ASK.as_micros() as i64 / 2;
