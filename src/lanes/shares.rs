//! How many slots one party may hold, so that nobody fills them all: pure.

use std::collections::BTreeMap;

/// What each party holds of a loop's slots.
#[derive(Debug)]
pub(super) struct Shares<P> {
    /// The most that one party may hold.
    share: usize,
    held: BTreeMap<P, usize>,
}

impl<P: Clone + Ord> Shares<P> {
    pub(super) fn new(share: usize) -> Self {
        Self { share: share.max(1), held: BTreeMap::new() }
    }

    /// The most that one party may hold.
    pub(super) fn share(&self) -> usize {
        self.share
    }

    pub(super) fn held(&self, party: &P) -> usize {
        self.held.get(party).copied().unwrap_or(0)
    }

    pub(super) fn take(&mut self, party: &P, count: usize) {
        match self.held.get_mut(party) {
            Some(held) => *held += count,
            None => drop(self.held.insert(party.clone(), count)),
        }
    }

    pub(super) fn give_back(&mut self, party: &P) {
        match self.held.get_mut(party) {
            Some(held) if *held > 1 => *held -= 1,
            Some(_) => drop(self.held.remove(party)),
            None => {}
        }
    }

    pub(super) fn clear(&mut self) {
        self.held.clear();
    }

    /// How many of so many free slots may be asked for at once, and who may get none of them: whoever the slots then go to,
    /// nobody holds more than the share.
    ///
    /// Who is nearly full counts as full. Else a party that is always one short of its share would make everybody ask for
    /// one piece at a time.
    pub(super) fn room(&self, free: usize) -> (usize, Vec<P>) {
        let step = (self.share / 4).max(1);
        let is_full = |held: usize| held + step > self.share;
        let full = self.held.iter().filter(|(_, held)| is_full(**held)).map(|(party, _)| party.clone());
        let most = self.held.values().copied().filter(|&held| !is_full(held)).max().unwrap_or(0);
        (free.min(self.share - most), full.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(share: usize, held: &[(&'static str, usize)]) -> Shares<&'static str> {
        let mut shares = Shares::new(share);
        for &(party, held) in held {
            shares.take(&party, held);
        }
        shares
    }

    #[test]
    fn who_has_a_share_gets_nothing_and_the_others_what_is_free() {
        for (held, free, room) in [
            (&[][..], 16, (8, vec![])),
            (&[("a", 5)], 11, (3, vec![])),
            (&[("a", 6)], 10, (2, vec![])),
            (&[("a", 7)], 9, (8, vec!["a"])),
            (&[("a", 8)], 8, (8, vec!["a"])),
            (&[("a", 8), ("b", 3)], 5, (5, vec!["a"])),
            (&[("a", 8), ("b", 7)], 1, (1, vec!["a", "b"])),
        ] {
            assert_eq!(shares(8, held).room(free), room, "{held:?}");
        }
    }

    #[test]
    fn whoever_gets_all_of_the_room_holds_no_more_than_the_share() {
        for share in 1..40 {
            for held in 0..=share {
                let (room, full) = shares(share, &[("a", held)]).room(1_000);

                assert!(room > 0, "{held} of {share}");
                assert!(held + room <= share || full == ["a"], "{held} of {share}");
            }
        }
    }

    #[test]
    fn what_is_given_back_is_free_again() {
        let mut shares = shares(1, &[("a", 1)]);
        assert_eq!(shares.room(1).1, ["a"]);

        shares.give_back(&"a");
        shares.give_back(&"a");

        assert_eq!(shares.room(1), (1, vec![]));
    }
}
