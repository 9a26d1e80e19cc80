//! Data keys that are ready, in bounded memory.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::adapters::vault::aead::bind;
use crate::adapters::vault::keys::KeyId;
use crate::primitives::secret::Secret;

/// A data key, and the same wrapped; it is wiped when the last one who uses it lets it go.
pub(super) struct DataKey {
    pub(super) key: Secret,
    pub(super) wrapped: Vec<u8>,
}

/// Keeps data keys of which one is likely to be wanted again.
#[derive(Default)]
pub(super) struct DataKeys {
    /// By tenant and key id.
    sealing: Mutex<Recent<Sealing>>,
    /// By tenant, key id and wrapped bytes.
    opening: Mutex<Recent<Arc<DataKey>>>,
}

struct Sealing {
    key: Arc<DataKey>,
    uses_left: u32,
}

impl DataKeys {
    /// A data key that may seal once more.
    pub(super) fn sealing(&self, tenant: &str, id: &KeyId) -> Option<Arc<DataKey>> {
        let mut kept = lock(&self.sealing);
        let found = kept.find(&name(tenant, id, &[]))?;
        found.uses_left = found.uses_left.checked_sub(1)?;
        Some(Arc::clone(&found.key))
    }

    /// Keeps a new data key, which has sealed once.
    pub(super) fn keep_sealing(&self, tenant: &str, id: &KeyId, key: &Arc<DataKey>) {
        let sealing = Sealing { key: Arc::clone(key), uses_left: SEALS_PER_KEY - 1 };
        lock(&self.sealing).keep(name(tenant, id, &[]), sealing);
        self.keep_opening(tenant, id, Arc::clone(key));
    }

    /// The data key that was wrapped so.
    pub(super) fn opening(&self, tenant: &str, id: &KeyId, wrapped: &[u8]) -> Option<Arc<DataKey>> {
        lock(&self.opening).find(&name(tenant, id, wrapped)).map(|key| Arc::clone(key))
    }

    /// Keeps a data key that was unwrapped.
    pub(super) fn keep_opening(&self, tenant: &str, id: &KeyId, key: Arc<DataKey>) {
        lock(&self.opening).keep(name(tenant, id, &key.wrapped), key);
    }
}

type Name = [u8; 32];

/// Fixed in size, whatever a tenant is called; nobody finds two that meet.
fn name(tenant: &str, id: &KeyId, wrapped: &[u8]) -> Name {
    Sha256::digest(bind(0, &[tenant.as_bytes(), id.as_str().as_bytes(), wrapped])).into()
}

/// What was wanted lately: when the young are [`KEPT`], they become the old, and the old who were not wanted since are dropped.
struct Recent<T> {
    young: HashMap<Name, T>,
    old: HashMap<Name, T>,
}

impl<T> Recent<T> {
    fn find(&mut self, name: &Name) -> Option<&mut T> {
        if let Some(again) = self.old.remove(name) {
            self.keep(*name, again);
        }
        self.young.get_mut(name)
    }

    fn keep(&mut self, name: Name, value: T) {
        if self.young.len() >= KEPT {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(name, value);
    }
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one step: a panic leaves no half.
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Twice as many are kept at most.
const KEPT: usize = 5_000;
/// So often a data key seals before there is a new one: who gets hold of one key does not get everything.
pub(super) const SEALS_PER_KEY: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Arc<DataKey> {
        Arc::new(DataKey { key: Secret::new(vec![byte; 32]), wrapped: vec![byte] })
    }

    #[test]
    fn memory_is_bounded_and_what_is_wanted_stays() {
        let mut recent = Recent::default();
        let numbered = |number: usize| {
            let mut name = Name::default();
            name[..8].copy_from_slice(&number.to_le_bytes());
            name
        };
        recent.keep(numbered(0), 0);

        for number in 1..10 * KEPT {
            recent.keep(numbered(number), number);
            assert!(recent.find(&numbered(0)).is_some());
            assert!(recent.young.len() + recent.old.len() <= 2 * KEPT);
        }

        assert!(recent.find(&numbered(1)).is_none());
    }

    #[test]
    fn a_data_key_seals_a_bounded_number_of_times() {
        let keys = DataKeys::default();
        let id: KeyId = "a".parse().expect("an id");
        keys.keep_sealing("t", &id, &key(1));

        for _ in 1..SEALS_PER_KEY {
            assert!(keys.sealing("t", &id).is_some());
        }

        assert!(keys.sealing("t", &id).is_none());
        assert!(keys.opening("t", &id, &[1]).is_some(), "it still opens");
    }

    #[test]
    fn keys_are_kept_apart_by_tenant_and_key() {
        let keys = DataKeys::default();
        let (a, b): (KeyId, KeyId) = ("a".parse().expect("an id"), "b".parse().expect("an id"));
        keys.keep_sealing("t", &a, &key(1));

        assert!(keys.sealing("u", &a).is_none() && keys.sealing("t", &b).is_none());
        assert!(keys.opening("u", &a, &[1]).is_none() && keys.opening("t", &a, &[2]).is_none());
    }
}
