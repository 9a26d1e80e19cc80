//! The vault of stores that last: what it seals, with which keys, and what it says when a key is missing.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use crossdock::adapters::vault::{KeyId, KeyProvider, UnknownKey};
use crossdock::adapters::{EnvelopeVault, StaticKeys};
use crossdock::ports::{Entropy, SealPlace, Sealed, Vault};
use crossdock::primitives::Secret;
use crossdock::{Error, ErrorKind, Result};
use futures_util::FutureExt;
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("vault::the_format_is_known_byte_by_byte", known_answer),
        rule("vault::what_the_first_version_has_sealed_opens", first_version),
        rule("vault::any_secret_opens_at_its_place_and_nowhere_else", any_secret),
        rule("vault::any_damage_is_an_error", any_damage),
        rule("vault::an_old_key_opens_and_seals_no_more", old_key),
        rule("vault::a_missing_key_is_named_and_may_come_back", missing_key),
        rule("vault::a_provider_that_is_away_is_waited_for", provider_away),
        rule("vault::a_data_key_serves_one_tenant_a_bounded_number_of_times", data_keys),
        rule("vault::a_data_key_does_not_move_to_another_tenant", moved_data_key),
        rule("vault::neither_keys_nor_secrets_show", nothing_shows),
    ]
}

type Told = Result<(), Box<dyn StdError>>;

const KEY: &str = "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=";
const OTHER: &str = "xNvQ2cAb0OI0EUSqd5ZCpk7sTZ0S4xNbrWIkcIC2WLU=";
const HERE: SealPlace<'_> = SealPlace::new("org_42", "webhook", "wh_1", "secret");

/// `correct horse`, sealed at [`HERE`] under the key `2026-01` with dice that count from 0.
const FIRST_VERSION: &str = concat!(
    "e107323032362d30310048202122232425262728292a2b2c2d2e2f30313233343536377527b822b29f10ceab664153f9",
    "9879276084290af193f4cc56e3f69502e6d4a37f5f625282f3dfa4a0792c38235005d238393a3b3c3d3e3f4041424344",
    "45464748494a4b4c4d4e4f6dc996d7581f750a5cc990e81492aa88c60f2440d2d8761a62c2c97145",
);

fn now<T>(story: impl Future<Output = T>) -> T {
    story.now_or_never().expect("nothing waits here")
}

fn runner() -> TestRunner {
    // There is no file beside which failures could be kept: the seed is printed instead.
    TestRunner::new(Config { failure_persistence: None, ..Config::default() })
}

fn vault(keys: StaticKeys) -> EnvelopeVault {
    EnvelopeVault::new(keys)
}

fn keys() -> Result<StaticKeys> {
    Ok(StaticKeys::new("2026-01", KEY)?)
}

#[derive(Debug, Default)]
struct Counting(AtomicU8);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
    }
}

fn known_answer() -> Told {
    let dice: Arc<dyn Entropy> = Arc::new(Counting::default());
    let vault = EnvelopeVault::new(keys()?.with_entropy(Arc::clone(&dice))).with_entropy(dice);

    let sealed = now(vault.seal(HERE, &Secret::from("correct horse")))?;

    // Another layout needs another format byte, and this one must still open.
    assert_eq!(hex::encode(sealed.as_bytes()), FIRST_VERSION);
    Ok(())
}

fn first_version() -> Told {
    let rotated = StaticKeys::new("2027-01", OTHER)?.with_old("2026-01", KEY)?;

    let opened = now(vault(rotated).open(HERE, &Sealed::new(hex::decode(FIRST_VERSION)?)))?;

    assert_eq!(opened, Secret::from("correct horse"));
    Ok(())
}

fn place_of(parts: &[String]) -> SealPlace<'_> {
    SealPlace::new(&parts[0], &parts[1], &parts[2], &parts[3])
}

fn any_secret() -> Told {
    let vault = vault(keys()?);
    let places = proptest::collection::vec("[a-c]{0,3}", 4);
    let secrets = proptest::collection::vec(any::<u8>(), 0..200);
    runner().run(&(places.clone(), places, secrets), |(one, two, secret)| {
        let sealed = now(vault.seal(place_of(&one), &Secret::new(secret.clone()))).expect("sealed");

        let same = now(vault.open(place_of(&one), &sealed)).expect("opened");
        let elsewhere = now(vault.open(place_of(&two), &sealed));

        prop_assert_eq!(same.expose(), &secret[..]);
        match elsewhere {
            Ok(_) => prop_assert_eq!(one, two),
            Err(error) => prop_assert!(one != two && error.kind() == ErrorKind::Corrupt),
        }
        Ok(())
    })?;
    Ok(())
}

fn any_damage() -> Told {
    let vault = vault(keys()?);
    let sealed = now(vault.seal(HERE, &Secret::from("correct horse")))?;
    let good = sealed.as_bytes().to_vec();
    let head = good.len() - 24 - 13 - 16;
    let nonsense = proptest::collection::vec(any::<u8>(), 0..200);
    let case = (0..good.len(), 1..=255_u8, 0..=head, nonsense);
    runner().run(&case, |(at, flip, keep, nonsense)| {
        let mut flipped = good.clone();
        flipped[at] ^= flip;
        let spliced = [&good[..keep], &nonsense].concat();
        for bytes in [flipped, spliced, nonsense] {
            let error = now(vault.open(HERE, &Sealed::new(bytes))).expect_err("damage");
            prop_assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unavailable), "{error:?}");
        }
        Ok(())
    })?;
    Ok(())
}

fn old_key() -> Told {
    let before = vault(keys()?);
    let sealed = now(before.seal(HERE, &Secret::from("correct horse")))?;
    assert!(now(before.is_current(&sealed))?);

    let after = vault(StaticKeys::new("2026-07", OTHER)?.with_old("2026-01", KEY)?);

    assert!(!now(after.is_current(&sealed))?);
    let opened = now(after.open(HERE, &sealed))?;
    assert_eq!(opened, Secret::from("correct horse"));
    let anew = now(after.seal(HERE, &opened))?;
    assert!(now(after.is_current(&anew))?);
    assert_eq!(now(before.open(HERE, &anew)).expect_err("not known yet").kind(), ErrorKind::Unavailable);
    Ok(())
}

fn missing_key() -> Told {
    let sealed = now(vault(keys()?).seal(HERE, &Secret::from("correct horse")))?;

    let error = now(vault(StaticKeys::new("2026-07", OTHER)?).open(HERE, &sealed)).expect_err("no such key");

    assert!(error.is_transient());
    let source =
        error.source().and_then(|source| source.downcast_ref::<UnknownKey>()).ok_or("another source")?;
    assert_eq!(source.id.as_str(), "2026-01");
    assert_eq!(source.to_string(), "the key `2026-01` is not known here: give it to the vault as an old key");
    // The same id with another key is no missing key.
    let confused =
        now(vault(StaticKeys::new("2026-01", OTHER)?).open(HERE, &sealed)).expect_err("another key");
    assert_eq!(confused.kind(), ErrorKind::Corrupt);
    Ok(())
}

/// Keys in a service that counts what it is asked, and goes away.
#[derive(Debug)]
struct Service {
    keys: StaticKeys,
    asked: AtomicUsize,
    is_away: AtomicBool,
}

impl Service {
    fn start() -> Result<Arc<Self>> {
        Ok(Arc::new(Self { keys: keys()?, asked: AtomicUsize::new(0), is_away: AtomicBool::new(false) }))
    }

    fn ask(&self) -> Result<&StaticKeys> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.is_away.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "ask the key service"));
        }
        Ok(&self.keys)
    }
}

#[async_trait::async_trait]
impl KeyProvider for Service {
    async fn current(&self) -> Result<KeyId> {
        self.keys.current().await
    }

    async fn wrap_key(&self, id: &KeyId, data_key: &Secret, context: &[u8]) -> Result<Vec<u8>> {
        self.ask()?.wrap_key(id, data_key, context).await
    }

    async fn unwrap_key(&self, id: &KeyId, wrapped: &[u8], context: &[u8]) -> Result<Secret> {
        self.ask()?.unwrap_key(id, wrapped, context).await
    }
}

fn provider_away() -> Told {
    let service = Service::start()?;
    let sealed = now(EnvelopeVault::new(Arc::clone(&service)).seal(HERE, &Secret::from("correct horse")))?;
    let vault = EnvelopeVault::new(Arc::clone(&service));
    service.is_away.store(true, Ordering::Relaxed);

    let opened = now(vault.open(HERE, &sealed)).expect_err("away");
    let anew = now(vault.seal(HERE, &Secret::from("battery"))).expect_err("away");
    assert!(opened.is_transient() && anew.is_transient());

    service.is_away.store(false, Ordering::Relaxed);
    assert_eq!(now(vault.open(HERE, &sealed))?, Secret::from("correct horse"));
    // What was used lately needs nobody.
    service.is_away.store(true, Ordering::Relaxed);
    assert_eq!(now(vault.open(HERE, &sealed))?, Secret::from("correct horse"));
    Ok(())
}

fn data_keys() -> Told {
    let service = Service::start()?;
    let vault = EnvelopeVault::new(Arc::clone(&service));
    let asked = || service.asked.load(Ordering::Relaxed);
    let secret = Secret::from("correct horse");

    for _ in 0..1_000 {
        let sealed = now(vault.seal(HERE, &secret))?;
        now(vault.open(HERE, &sealed))?;
    }
    assert_eq!(asked(), 1);
    now(vault.seal(HERE, &secret))?;
    assert_eq!(asked(), 2, "a data key has its time");
    now(vault.seal(SealPlace::new("org_43", "webhook", "wh_1", "secret"), &secret))?;
    assert_eq!(asked(), 3, "a tenant has a data key of its own");
    Ok(())
}

fn moved_data_key() -> Told {
    // Neither in the memory of the vault that has opened it nor in a new one's.
    let used = vault(keys()?);
    let sealed = now(used.seal(HERE, &Secret::from("correct horse")))?;
    let elsewhere = SealPlace::new("org_43", "webhook", "wh_1", "secret");

    for vault in [used, vault(keys()?)] {
        let error = now(vault.open(elsewhere, &sealed)).expect_err("another tenant");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(format!("{error:?}").contains("moved"), "{error:?}");
    }
    Ok(())
}

fn nothing_shows() -> Told {
    let vault = vault(keys()?);
    let sealed = now(vault.seal(HERE, &Secret::from("correct horse")))?;

    assert_eq!(
        format!("{vault:?}"),
        "EnvelopeVault { keys: StaticKeys { current: KeyId(2026-01), known: [KeyId(2026-01)] }, .. }"
    );
    let shows = |part: &[u8]| sealed.as_bytes().windows(part.len()).any(|window| window == part);
    assert!(!shows(b"horse") && shows(b"2026-01"));
    Ok(())
}
