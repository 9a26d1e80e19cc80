//! Published signatures: every one of every provider gets the verdict that it expects.

use libtest_mimic::Trial;

use super::cases::Outcome;
use crate::rule;

#[path = "../../../examples/verify_webhook/vector.rs"]
mod vector;

use vector::{Vector, Verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![rule("reception::vectors::all_but_three_get_the_verdict_they_expect", all)]
}

fn all() -> Outcome {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../../data/signature-vectors.json"))?;
    let (mut right, mut wrong, mut unsupported) = (0, Vec::new(), Vec::new());
    for vector in &vectors {
        let expected = vector.valid.ok_or("a vector says what is expected")?;
        match vector.verdict().map_err(|error| format!("{}: {error}", vector.name))? {
            Verdict::Valid(_) if expected => right += 1,
            Verdict::Invalid(_) if !expected => right += 1,
            Verdict::Unsupported => unsupported.push(vector.name.as_str()),
            verdict => wrong.push(format!("{}: {verdict:?}", vector.name)),
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
    // HTTP message signatures and digests are no webhook scheme of any provider here.
    assert_eq!(unsupported, ["rfc9421-b25-hmac", "rfc9421-b26-ed25519", "rfc9530-content-digest-sha512"]);
    assert_eq!((right, vectors.len()), (155, 158), "a vector that is no longer run is a hole");
    Ok(())
}
