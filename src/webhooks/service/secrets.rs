//! Which secrets a webhook signs with: given ones, generated ones, and those that still overlap.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::Problem;
use crate::primitives::secret::Secret;
use crate::webhooks::model::StoredSecret;
use crate::webhooks::sign::{SignatureScheme, Signer, SigningSecret};

/// The longest time that an old secret signs along.
pub(crate) const MAX_OVERLAP: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The time that an old secret signs along unless said otherwise.
pub(crate) const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The most secrets that sign at the same time.
pub(crate) const MAX_LIVE: usize = 5;

/// What a secret can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// It is a key of HMAC schemes.
    Shared,
    /// It is the private key of an asymmetric scheme.
    Private,
    /// It is a public key: nothing can be signed with it.
    Unfit,
}

/// The secrets of a new webhook: those given, and a generated one if the schemes need one that was not given.
pub(crate) fn choose(
    given: Vec<Secret>,
    schemes: &[SignatureScheme],
    random: [u8; 32],
    problems: &mut Vec<Problem>,
) -> Vec<SigningSecret> {
    let before = problems.len();
    let mut chosen = Vec::with_capacity(given.len().max(1));
    for secret in given {
        match read(&secret) {
            Ok(secret) => chosen.push(secret),
            Err(problem) => problems.push(problem),
        }
    }
    if schemes.is_empty() {
        if !chosen.is_empty() {
            problems.push(Problem::new(
                "secret",
                "an unsigned webhook has no secret",
                "remove the secret, or choose a signature scheme",
            ));
        }
        return Vec::new();
    }
    if problems.len() > before {
        return chosen;
    }
    if needs_shared(schemes) && !chosen.iter().any(|secret| kind(secret) == Kind::Shared) {
        chosen.push(SigningSecret::generate(random));
    }
    problems.extend(check_fit(&chosen, schemes));
    chosen
}

/// A secret that somebody has given.
pub(crate) fn read(secret: &Secret) -> Result<SigningSecret, Problem> {
    let text = secret.expose_text().ok_or_else(|| {
        Problem::new("secret", "a secret is text", "encode its bytes as base64 behind `whsec_`")
    })?;
    text.parse::<SigningSecret>().map_err(|refusal| refusal.problem())
}

/// What is wrong with these secrets for these schemes: one of each needed kind, and none that nobody signs with.
pub(crate) fn check_fit(secrets: &[SigningSecret], schemes: &[SignatureScheme]) -> Option<Problem> {
    // What is wrong with the schemes alone is reported with the schemes.
    if SignatureScheme::check_all(schemes).is_err() {
        return None;
    }
    let useless = |secret: &&SigningSecret| match kind(secret) {
        Kind::Shared => !needs_shared(schemes),
        Kind::Private => !schemes.contains(&SignatureScheme::StandardEd25519),
        Kind::Unfit => true,
    };
    let of_kind = |wanted| secrets.iter().filter(|secret| kind(secret) == wanted).count();
    if secrets.iter().find(useless).is_some() {
        let fix = "remove it, or choose a scheme that signs with it";
        return Some(Problem::new("secret", "none of the webhook's schemes signs with this secret", fix));
    }
    if of_kind(Kind::Shared) > 1 || of_kind(Kind::Private) > 1 {
        let fix = "give one, and rotate to have two for a while";
        return Some(Problem::new("secret", "a webhook begins with one secret of each kind", fix));
    }
    Signer::new(schemes, secrets).err().map(|refusal| refusal.problem())
}

/// Whether any of the schemes signs with a shared secret.
pub(crate) fn needs_shared(schemes: &[SignatureScheme]) -> bool {
    schemes.iter().any(|scheme| *scheme != SignatureScheme::StandardEd25519)
}

/// What the secret can do.
pub(crate) fn kind(secret: &SigningSecret) -> Kind {
    let signs = |scheme| Signer::new(&[scheme], std::slice::from_ref(secret));
    match signs(SignatureScheme::Standard) {
        Ok(_) => Kind::Shared,
        // Also where this build has no asymmetric algorithm: then the schemes are refused, not the key.
        Err(_) if secret.reveal().starts_with("whsk_") => Kind::Private,
        Err(_) => Kind::Unfit,
    }
}

/// The secrets after a rotation: the new one first; those of its kind end with the overlap, the others stay.
pub(crate) fn rotated(
    new: StoredSecret,
    new_kind: Kind,
    present: &[(StoredSecret, Kind)],
    overlap: Duration,
    now: DateTime<Utc>,
) -> Result<Vec<StoredSecret>, Problem> {
    let end = now + overlap;
    let mut secrets = vec![new];
    for (secret, kind) in present {
        let mut secret = secret.clone();
        if *kind == new_kind {
            secret.expires_at = Some(secret.expires_at.map_or(end, |earlier| earlier.min(end)));
        }
        if secret.is_live(now) {
            secrets.push(secret);
        }
    }
    if secrets.len() > MAX_LIVE {
        let first = secrets.iter().filter_map(|secret| secret.expires_at).min();
        let fix = match first {
            Some(at) => format!(
                "wait until {}, when the first one ends, or rotate without an overlap",
                at.to_rfc3339()
            ),
            None => "rotate without an overlap".to_owned(),
        };
        return Err(Problem::new("secret", format!("at most {MAX_LIVE} secrets are live at a time"), fix));
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::ports::Sealed;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn chosen(given: &[&str], schemes: &[SignatureScheme]) -> Result<Vec<String>, Vec<String>> {
        let mut problems = Vec::new();
        let given = given.iter().map(|&text| Secret::from(text)).collect();
        let chosen = choose(given, schemes, [7; 32], &mut problems);
        if problems.is_empty() {
            Ok(chosen.iter().map(SigningSecret::reveal).collect())
        } else {
            Err(problems.into_iter().map(|problem| problem.rule).collect())
        }
    }

    fn stored(name: u8, ends: Option<i64>) -> StoredSecret {
        let mut secret = StoredSecret::new(Sealed::new(vec![name]), NOW);
        secret.expires_at = ends.map(|hours| NOW + TimeDelta::hours(hours));
        secret
    }

    #[test]
    fn without_a_given_secret_one_is_generated() {
        let made = chosen(&[], &[SignatureScheme::Standard, SignatureScheme::github()]).expect("fine");

        assert_eq!(made, [SigningSecret::generate([7; 32]).reveal()]);
    }

    #[test]
    fn a_given_secret_is_taken_as_it_is() {
        let text = "a text that only the two of us know";

        assert_eq!(chosen(&[text], &[SignatureScheme::Standard]), Ok(vec![text.to_owned()]));
    }

    #[test]
    fn secrets_that_nobody_signs_with_are_refused() {
        let text = "a text that only the two of us know";
        let private = format!("whsk_{}", "A".repeat(43));

        for (given, schemes) in [
            (vec!["too short"], vec![SignatureScheme::Standard]),
            (vec![text], vec![]),
            (vec![text, text], vec![SignatureScheme::Standard]),
            (vec![text], vec![SignatureScheme::StandardEd25519]),
            (vec![&*private], vec![SignatureScheme::Standard]),
            (vec![], vec![SignatureScheme::StandardEd25519]),
        ] {
            assert!(chosen(&given, &schemes).is_err(), "{given:?} {schemes:?}");
        }
    }

    #[test]
    fn no_refusal_repeats_a_secret() {
        let problems = chosen(&["canary"], &[SignatureScheme::Standard]).expect_err("refused");

        assert!(!format!("{problems:?}").contains("canary"));
    }

    #[test]
    fn the_old_secret_signs_along_for_the_overlap() {
        let present = [(stored(1, None), Kind::Shared), (stored(2, Some(1)), Kind::Shared)];

        let secrets =
            rotated(stored(3, None), Kind::Shared, &present, DEFAULT_OVERLAP, NOW).expect("rotated");

        assert_eq!(secrets, [stored(3, None), stored(1, Some(24)), stored(2, Some(1))]);
    }

    #[test]
    fn without_an_overlap_only_the_new_one_signs() {
        let present = [(stored(1, None), Kind::Shared), (stored(2, Some(1)), Kind::Shared)];

        let secrets = rotated(stored(3, None), Kind::Shared, &present, Duration::ZERO, NOW).expect("rotated");

        assert_eq!(secrets, [stored(3, None)]);
    }

    #[test]
    fn a_secret_of_another_kind_stays() {
        let present = [(stored(1, None), Kind::Private), (stored(2, None), Kind::Shared)];

        let secrets = rotated(stored(3, None), Kind::Shared, &present, Duration::ZERO, NOW).expect("rotated");

        assert_eq!(secrets, [stored(3, None), stored(1, None)]);
    }

    #[test]
    fn a_sixth_live_secret_is_refused() {
        let four: Vec<_> = (1..=4).map(|name| (stored(name, Some(name.into())), Kind::Shared)).collect();
        let five: Vec<_> = (1..=5).map(|name| (stored(name, Some(name.into())), Kind::Shared)).collect();
        let rotate = |present: &[_]| rotated(stored(9, None), Kind::Shared, present, DEFAULT_OVERLAP, NOW);

        assert_eq!(rotate(&four).expect("rotated").len(), 5);
        let problem = rotate(&five).expect_err("too many");
        assert!(problem.fix.contains("1970-01-01T01:00:00"), "{problem}");
    }
}
