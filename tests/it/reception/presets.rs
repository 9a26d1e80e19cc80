//! Every preset: what it takes, and the many ways in which it refuses.

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::inbound::{Algorithm, Outcome as Found, Refusal, Scheme, SignedRequest, SourceSecret};
use crossdock::primitives::Secret;
use http::header::{HeaderName, HeaderValue};
use libtest_mimic::Trial;

use super::cases::{Case, Outcome, cases, header_of, now};
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("reception::presets::each_takes_what_its_test_signer_signs", round_trip),
        rule("reception::presets::each_is_the_same_after_its_way_through_json", json_round_trip),
        rule("reception::presets::no_header_an_empty_one_and_a_wrong_one_are_refused", headers),
        rule("reception::presets::two_signature_headers_are_refused", repeated_headers),
        rule("reception::presets::stale_and_future_requests_are_refused", ages),
        rule("reception::presets::a_timestamp_is_plain_digits_or_a_time", timestamps),
        rule("reception::presets::a_wrong_or_ended_secret_is_refused", secrets),
        rule("reception::presets::of_several_secrets_the_matching_one_is_named", rotation),
        rule("reception::presets::header_names_have_no_case", header_case),
    ]
}

fn round_trip() -> Outcome {
    for case in cases()? {
        let signed = case.signed()?;
        let prepared = case.prepared()?;

        let verified = prepared.verify(&signed.request(), now()).map_err(|refusal| named(&case, refusal))?;
        assert_eq!(verified.matched_secret.as_deref(), Some("current"), "{}", case.name);

        let Found::Genuine(genuine) = prepared.receive(&signed.request(), now()) else {
            return Err(named(&case, "is not taken"));
        };
        assert!(!genuine.items.is_empty(), "{}", case.name);
        for item in &genuine.items {
            assert!(item.dedupe_key.len() > 4, "{}", case.name);
            assert!(
                signed.body.get(item.body.clone()).is_some_and(|bytes| !bytes.is_empty()),
                "{}",
                case.name
            );
        }
    }
    Ok(())
}

fn json_round_trip() -> Outcome {
    for case in cases()? {
        assert!(case.scheme.problems().is_empty(), "{}: {:?}", case.name, case.scheme.problems());

        let json = serde_json::to_vec(&case.scheme)?;
        let read = Scheme::from_json(&json).map_err(|problem| problem.to_string())?;

        assert_eq!(read, case.scheme, "{}", case.name);
    }
    Ok(())
}

fn headers() -> Outcome {
    for case in cases()? {
        let Some(name) = case.signature_header()? else {
            continue;
        };
        let signed = case.signed()?;
        let value = signed.headers.get(&name).cloned().ok_or("a signature")?;
        let with = |name: HeaderName, value: HeaderValue| {
            let mut changed = signed.clone();
            changed.headers.remove(case.signature_header().ok()??);
            changed.headers.insert(name, value);
            Some(changed)
        };

        let mut without = signed.clone();
        without.headers.remove(&name);
        assert_eq!(refusal(&case, &without, now())?, Refusal::MissingSignature, "{}", case.name);

        let empty = with(name.clone(), HeaderValue::from_static("")).ok_or("a header")?;
        assert_eq!(refusal(&case, &empty, now())?, Refusal::MalformedSignature, "{}", case.name);

        let elsewhere =
            with(HeaderName::from_static("x-other-signature"), value.clone()).ok_or("a header")?;
        assert_eq!(refusal(&case, &elsewhere, now())?, Refusal::MissingSignature, "{}", case.name);

        for text in
            [&b"nonsense"[..], b"v1,", b"t=1700000000,v1=", b"sha256=", b"=", b",", b";;", b"\xff\xfe"]
        {
            let strange = with(name.clone(), HeaderValue::from_bytes(text)?).ok_or("a header")?;
            refusal(&case, &strange, now())?;
        }
        // No beginning of a signature is one.
        for length in 0..value.len() {
            let cut = HeaderValue::from_bytes(&value.as_bytes()[..length])?;
            refusal(&case, &with(name.clone(), cut).ok_or("a header")?, now())?;
        }
    }
    Ok(())
}

fn repeated_headers() -> Outcome {
    for case in cases()? {
        let Some(name) = case.signature_header()? else {
            continue;
        };
        let mut signed = case.signed()?;
        let value = signed.headers.get(&name).cloned().ok_or("a signature")?;
        signed.headers.append(name, value);

        assert_eq!(refusal(&case, &signed, now())?, Refusal::RepeatedHeader, "{}", case.name);
    }
    Ok(())
}

fn ages() -> Outcome {
    let mut bounded = 0;
    for case in cases()? {
        let signed = case.signed()?;
        let Some(timestamp) = &case.rule()?.timestamp else {
            continue;
        };
        if let Some(past) = timestamp.past {
            bounded += 1;
            let last = now() + TimeDelta::seconds(i64::try_from(past)?);
            case.prepared()?.verify(&signed.request(), last).map_err(|refusal| named(&case, refusal))?;
            let late = last + TimeDelta::seconds(1);
            assert_eq!(refusal(&case, &signed, late)?, Refusal::Stale, "{}", case.name);
        }
        if let Some(future) = timestamp.future {
            let first = now() - TimeDelta::seconds(i64::try_from(future)?);
            case.prepared()?.verify(&signed.request(), first).map_err(|refusal| named(&case, refusal))?;
            let early = first - TimeDelta::seconds(1);
            assert_eq!(refusal(&case, &signed, early)?, Refusal::FromTheFuture, "{}", case.name);
        }
    }
    assert_eq!(bounded, 12, "a preset that no longer bounds the age of requests lets copies in");
    Ok(())
}

fn timestamps() -> Outcome {
    for case in cases()? {
        let place = case.rule()?.timestamp.as_ref().and_then(|timestamp| timestamp.at.clone());
        let Some(name) = place.as_ref().and_then(header_of) else {
            continue;
        };
        let mut signed = case.signed()?;
        signed.headers.remove(&name);
        assert_eq!(refusal(&case, &signed, now())?, Refusal::MissingTimestamp, "{}", case.name);
        for text in [
            "",
            "+1700000000",
            "1700000000.5",
            "1e9",
            "-9223372036854775808",
            "9223372036854775807",
            "99999999999999999999",
            "hello",
            "Infinity",
            "0x6553f100",
            "2023-11-14",
        ] {
            signed.headers.insert(name.clone(), HeaderValue::from_static(text));
            assert_eq!(refusal(&case, &signed, now())?, Refusal::InvalidTimestamp, "{}: {text}", case.name);
        }
    }
    Ok(())
}

fn secrets() -> Outcome {
    for mut case in cases()? {
        let signed = case.signed()?;
        let genuine = case.secret.clone();

        case.secret = genuine.clone().with_not_after(now() - TimeDelta::seconds(1));
        assert_eq!(refusal(&case, &signed, now())?, Refusal::NoSecret, "{}", case.name);

        case.secret = other_than(&case)?;
        assert_eq!(refusal(&case, &signed, now())?, Refusal::NoMatch, "{}", case.name);

        case.secret = SourceSecret::new("empty", Secret::from(""));
        assert!(case.prepared().is_err(), "{}: an empty secret", case.name);
    }
    Ok(())
}

fn rotation() -> Outcome {
    for case in cases()? {
        let signed = case.signed()?;
        let ending = case.secret.clone().with_not_after(now() + TimeDelta::hours(1));
        let secrets = [other_than(&case)?, ending];

        let verified = case.prepared_with(&secrets)?.verify(&signed.request(), now());
        assert_eq!(
            verified.map_err(|refusal| named(&case, refusal))?.matched_secret.as_deref(),
            Some("current"),
            "{}",
            case.name
        );
    }
    Ok(())
}

fn header_case() -> Outcome {
    for case in cases()? {
        let mut signed = case.signed()?;
        let names: Vec<_> = signed.headers.keys().cloned().collect();
        for name in names {
            let value = signed.headers.remove(&name).ok_or("a header")?;
            signed
                .headers
                .insert(HeaderName::from_bytes(name.as_str().to_ascii_uppercase().as_bytes())?, value);
        }

        case.prepared()?.verify(&signed.request(), now()).map_err(|refusal| named(&case, refusal))?;
    }
    Ok(())
}

/// Another secret of the same form.
fn other_than(case: &Case) -> Outcome<SourceSecret> {
    let text = match case.rule()?.algorithm {
        Algorithm::Ed25519 if case.name == "discord" => {
            "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8".to_owned()
        }
        Algorithm::Ed25519 => "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=".to_owned(),
        _ if case.name.starts_with("adyen") => "AB".repeat(32),
        _ => "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned(),
    };
    Ok(SourceSecret::new("other", Secret::from(text)))
}

/// Why it is refused; both ways of asking say the same.
fn refusal(case: &Case, signed: &SignedRequest, now: DateTime<Utc>) -> Outcome<Refusal> {
    let prepared = case.prepared()?;
    let refusal = match prepared.verify(&signed.request(), now) {
        Err(refusal) => refusal,
        Ok(_) => return Err(named(case, "a forgery is taken")),
    };
    match prepared.receive(&signed.request(), now) {
        Found::Refused(same) if same == refusal => {}
        // An unsigned ping is answered, and nothing is stored.
        Found::Answer(reply) if case.name == "woocommerce" && reply.body.is_empty() => {}
        other => return Err(named(case, format!("{other:?}"))),
    }
    let reply = prepared.refuse(refusal);
    assert_eq!(reply.status.as_u16(), if case.name == "stripe" { 400 } else { 401 }, "{}", case.name);
    assert!(reply.body.is_empty(), "{}", case.name);
    Ok(refusal)
}

fn named(case: &Case, text: impl std::fmt::Display) -> Box<dyn std::error::Error> {
    format!("{}: {text}", case.name).into()
}
