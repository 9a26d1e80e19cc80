//! Signing and verifying, judged from outside: an independent implementation, hostile requests.

use std::error::Error;

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::webhooks::sign::{
    Encoding, HmacScheme, InvalidMessageId, Message, MessageId, SignatureScheme, SignedTemplate, Signer,
    SigningSecret, Verifier, VerifyError,
};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use crate::rule;

type Outcome = Result<(), Box<dyn Error>>;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("an_independent_verifier_accepts_what_we_sign", an_independent_verifier),
        rule("we_accept_what_an_independent_signer_signs", an_independent_signer),
        rule("every_scheme_verifies_what_it_signs_and_nothing_else", every_scheme),
        rule("any_flipped_bit_of_a_request_is_refused", any_flipped_bit),
        rule("a_random_request_is_accepted_whole_and_refused_damaged", random_requests),
        rule("a_hostile_header_is_refused_without_a_panic", hostile_headers),
        rule("random_headers_are_refused_without_a_panic", random_headers),
        rule("a_rotation_leaves_no_request_unverified", rotation),
        rule("a_scheme_that_signs_the_url_refuses_another_url", another_url),
    ]
}

const URL: &str = "https://erp.example.com/hooks?tenant=7";
const ID: &str = "evt_00000000007fzvzzzzzzzzzzzz";

fn sent_at() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_700_000_000)
}

fn id() -> Result<MessageId, InvalidMessageId> {
    ID.parse()
}

fn schemes() -> Result<Vec<(&'static str, SignatureScheme)>, Box<dyn Error>> {
    let own = |template: &str| -> Result<HmacScheme, Box<dyn Error>> {
        Ok(HmacScheme::new("x-acme-signature")?.with_template(template.parse()?))
    };
    Ok(vec![
        ("standard", SignatureScheme::Standard),
        ("standard ed25519", SignatureScheme::StandardEd25519),
        ("github", SignatureScheme::github()),
        ("stripe", SignatureScheme::stripe("x-acme-signature")?),
        ("hex of the body", SignatureScheme::hmac_hex("x-betterdata-signature")?),
        ("base64 of the body", SignatureScheme::hmac_base64("x-acme-hmac-sha256")?),
        ("id, timestamp and body", SignatureScheme::Hmac(own("{id}.{timestamp}.{body}")?)),
        ("url and body", SignatureScheme::Hmac(own("{url}{body}")?.with_encoding(Encoding::Base64))),
        (
            "a timestamp header",
            SignatureScheme::Hmac(
                own("v0:{timestamp}:{body}")?.with_prefix("v0=")?.with_timestamp_header("x-acme-time")?,
            ),
        ),
    ])
}

fn secrets() -> [SigningSecret; 2] {
    [SigningSecret::generate([7; 32]), SigningSecret::generate_ed25519([8; 32])]
}

fn sign(scheme: &SignatureScheme, body: &[u8]) -> Result<HeaderMap, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    let message = Message { id: &id()?, timestamp: sent_at(), url: URL, body };
    Signer::new(std::slice::from_ref(scheme), &secrets())?.sign(&message, &mut headers);
    Ok(headers)
}

fn verifier(scheme: &SignatureScheme) -> Result<Verifier, Box<dyn Error>> {
    Ok(Verifier::new(scheme, &secrets())?.with_url(URL))
}

/// The headers whose every bit the scheme vouches for.
fn vouched(name: &str, scheme: &SignatureScheme) -> Vec<HeaderName> {
    let mut names = scheme.header_names();
    let own_time = name == "a timestamp header";
    let signs_id = name.starts_with("standard") || name.starts_with("id");
    let signs_time = signs_id && !own_time;
    names.retain(|header| match header.as_str() {
        "webhook-id" => signs_id,
        "webhook-timestamp" => signs_time,
        _ => true,
    });
    names
}

fn an_independent_verifier() -> Outcome {
    let now = wall_clock();
    let texts = [SigningSecret::generate([3; 32]), "a text that only the two of us know".parse()?];
    for secret in texts {
        let other = standardwebhooks::Webhook::new(&secret.reveal_for_libraries())?;
        let signer = Signer::new(&[SignatureScheme::Standard], &[SigningSecret::generate([4; 32]), secret])?;
        for body in [&b""[..], b"{}", "{\"name\":\"caf\u{e9}\"}".as_bytes(), &[b'x'; 10_000]] {
            let mut headers = HeaderMap::new();
            signer.sign(&Message { id: &id()?, timestamp: now, url: URL, body }, &mut headers);

            other.verify(body, &headers)?;
            assert!(other.verify(b"another body", &headers).is_err());
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the other library compares with the system's clock")]
fn wall_clock() -> DateTime<Utc> {
    std::time::SystemTime::now().into()
}

fn an_independent_signer() -> Outcome {
    let secret = SigningSecret::generate([5; 32]);
    let other = standardwebhooks::Webhook::new(&secret.reveal())?;
    let verifier = Verifier::new(&SignatureScheme::Standard, &[secret])?;
    for body in ["", "{}", "{\"name\":\"caf\u{e9}\"}"] {
        let signature = other.sign(ID, sent_at().timestamp(), body.as_bytes())?;
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", HeaderValue::from_static(ID));
        headers.insert("webhook-timestamp", sent_at().timestamp().into());
        headers.insert("webhook-signature", signature.try_into()?);

        let verified = verifier.verify(&headers, body.as_bytes(), sent_at())?;

        assert_eq!(verified.id(), Some(ID));
        assert_eq!(verified.signed_at(), Some(sent_at()));
    }
    Ok(())
}

fn every_scheme() -> Outcome {
    let body = br#"{"sku":"A-1","quantity":3}"#;
    for (name, scheme) in schemes()? {
        let headers = sign(&scheme, body)?;
        let verifier = verifier(&scheme)?;
        assert!(verifier.verify(&headers, body, sent_at()).is_ok(), "{name}");

        let strangers = [SigningSecret::generate([9; 32]), SigningSecret::generate_ed25519([9; 32])];
        let stranger = Verifier::new(&scheme, &strangers)?.with_url(URL);
        assert_eq!(stranger.verify(&headers, body, sent_at()), Err(VerifyError::NoMatch), "{name}");
        for altered in [&body[..body.len() - 1], b"", b"{\"sku\":\"A-1\",\"quantity\":3} "] {
            assert_eq!(verifier.verify(&headers, altered, sent_at()), Err(VerifyError::NoMatch), "{name}");
        }
    }
    Ok(())
}

fn any_flipped_bit() -> Outcome {
    let body = br#"{"sku":"A-1"}"#;
    let (mut flipped, mut unsendable) = (0, 0);
    for (name, scheme) in schemes()? {
        let headers = sign(&scheme, body)?;
        let verifier = verifier(&scheme)?;
        for bit in 0..body.len() * 8 {
            let mut body = body.to_vec();
            body[bit / 8] ^= 1 << (bit % 8);
            assert!(verifier.verify(&headers, &body, sent_at()).is_err(), "{name}: bit {bit} of the body");
            flipped += 1;
        }
        for header in vouched(name, &scheme) {
            let value = headers[&header].as_bytes().to_vec();
            for bit in 0..value.len() * 8 {
                let mut value = value.clone();
                value[bit / 8] ^= 1 << (bit % 8);
                let Ok(value) = HeaderValue::from_bytes(&value) else {
                    unsendable += 1;
                    continue;
                };
                let mut headers = headers.clone();
                headers.insert(&header, value);
                assert!(verifier.verify(&headers, body, sent_at()).is_err(), "{name}: bit {bit} of {header}");
                flipped += 1;
            }
        }
    }
    eprintln!("flipped bits refused: {flipped}; {unsendable} more make a header that HTTP cannot carry");

    assert!(flipped > 6_000, "{flipped}");
    Ok(())
}

fn random_requests() -> Outcome {
    let schemes = schemes()?;
    let verifiers = schemes.iter().map(|(_, scheme)| verifier(scheme)).collect::<Result<Vec<_>, _>>()?;
    let body = proptest::collection::vec(any::<u8>(), 1..300);
    let strategy = (0..schemes.len(), body, any::<prop::sample::Index>(), 0..8_u32);
    runner().run(&strategy, |(chosen, body, place, bit)| {
        let headers = sign(&schemes[chosen].1, &body).map_err(failed)?;
        prop_assert!(verifiers[chosen].verify(&headers, &body, sent_at()).is_ok());

        let mut damaged = body.clone();
        damaged[place.index(body.len())] ^= 1 << bit;
        prop_assert_eq!(verifiers[chosen].verify(&headers, &damaged, sent_at()), Err(VerifyError::NoMatch));
        Ok(())
    })?;
    Ok(())
}

fn hostile_headers() -> Outcome {
    let body = b"{}";
    for (name, scheme) in schemes()? {
        let headers = sign(&scheme, body)?;
        let verifier = verifier(&scheme)?;
        for header in vouched(name, &scheme) {
            let value = headers[&header].clone();
            let refused = |headers: &HeaderMap, what: &str| {
                let verdict = verifier.verify(headers, body, sent_at());
                assert!(verdict.is_err(), "{name}: {header} {what}");
                verdict.err()
            };
            let with = |value: &[u8]| -> Result<HeaderMap, Box<dyn Error>> {
                let mut headers = headers.clone();
                headers.insert(&header, HeaderValue::from_bytes(value)?);
                Ok(headers)
            };

            let mut without = headers.clone();
            without.remove(&header);
            assert_eq!(refused(&without, "missing"), Some(VerifyError::MissingHeader(header.clone())));
            let mut twice = headers.clone();
            twice.append(&header, value.clone());
            assert_eq!(refused(&twice, "twice"), Some(VerifyError::RepeatedHeader(header.clone())));
            for length in 0..value.len() {
                refused(&with(&value.as_bytes()[..length])?, &format!("cut to {length} bytes"));
            }
            for foreign in
                [&b"\xff\xfe"[..], "é".as_bytes(), b"v1,", b"v1a,", b"sha256=", b"t=,v1=", b",", b" ", b"="]
            {
                refused(&with(foreign)?, "foreign");
            }
            refused(&with(&[b"\xff", value.as_bytes()].concat())?, "with a byte before it");
            refused(&with(&[value.as_bytes(), b"\xff"].concat())?, "with a byte behind it");
            refused(&with(&value.as_bytes().repeat(200))?, "repeated");
            refused(&with(&[b"x".as_slice(); 60_000].concat())?, "huge");
        }
    }
    too_many_candidates()
}

fn too_many_candidates() -> Outcome {
    for (scheme, header, another) in [
        (SignatureScheme::Standard, "webhook-signature", " v1,AAAA"),
        (SignatureScheme::StandardEd25519, "webhook-signature", " v1a,AAAA"),
        (SignatureScheme::stripe("x-acme-signature")?, "x-acme-signature", ",v1=00"),
    ] {
        let mut headers = sign(&scheme, b"{}")?;
        let value = String::from_utf8(headers[header].as_bytes().to_vec())?;

        headers.insert(header, format!("{value}{}", another.repeat(15)).try_into()?);
        assert!(verifier(&scheme)?.verify(&headers, b"{}", sent_at()).is_ok());

        headers.insert(header, format!("{value}{}", another.repeat(16)).try_into()?);
        let refusal = verifier(&scheme)?.verify(&headers, b"{}", sent_at());
        assert_eq!(refusal, Err(VerifyError::TooManyCandidates));
    }
    Ok(())
}

fn random_headers() -> Outcome {
    let schemes = schemes()?;
    let verifiers = schemes.iter().map(|(_, scheme)| verifier(scheme)).collect::<Result<Vec<_>, _>>()?;
    let pieces = prop::sample::select(vec![
        &b"t="[..],
        b"v1=",
        b"v1,",
        b"v1a,",
        b"sha256=",
        b",",
        b" ",
        b"=",
        b"1700000000",
        b"-9223372036854775808",
        b"AAAA",
        b"00",
        b"\xff",
        b"\x80",
        b";",
    ]);
    let value = proptest::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat());
    let strategy = (0..schemes.len(), proptest::collection::vec(value, 5));
    runner().run(&strategy, |(chosen, values)| {
        let mut headers = HeaderMap::new();
        for (name, value) in schemes[chosen].1.header_names().into_iter().zip(values) {
            headers.insert(name, HeaderValue::from_bytes(&value).map_err(failed)?);
        }
        let verdict = verifiers[chosen].verify(&headers, b"a body", sent_at());
        prop_assert!(verdict.is_err());
        Ok(())
    })?;
    Ok(())
}

fn rotation() -> Outcome {
    let old = [SigningSecret::generate([1; 32]), SigningSecret::generate_ed25519([1; 32])];
    let new = [SigningSecret::generate([2; 32]), SigningSecret::generate_ed25519([2; 32])];
    let both = [&new[..], &old].concat();
    let id = id()?;
    for (name, scheme) in schemes()? {
        let mut headers = HeaderMap::new();
        let message = Message { id: &id, timestamp: sent_at(), url: URL, body: b"{}" };
        Signer::new(std::slice::from_ref(&scheme), &both)?.sign(&message, &mut headers);
        let accepts = |secrets: &[SigningSecret]| -> Result<bool, Box<dyn Error>> {
            let verifier = Verifier::new(&scheme, secrets)?.with_url(URL);
            Ok(verifier.verify(&headers, b"{}", sent_at()).is_ok())
        };

        let lists_all = name.starts_with("standard") || name == "stripe";
        assert!(accepts(&new)?, "{name}: a receiver that has changed already");
        assert!(accepts(&both)?, "{name}: a receiver that knows both");
        assert_eq!(accepts(&old)?, lists_all, "{name}: a receiver that has not changed yet");
    }
    Ok(())
}

fn another_url() -> Outcome {
    let template: SignedTemplate = "{url}{body}".parse()?;
    let scheme = SignatureScheme::Hmac(HmacScheme::new("x-acme-signature")?.with_template(template));
    let headers = sign(&scheme, b"{}")?;
    let verifier = Verifier::new(&scheme, &secrets())?;

    assert_eq!(verifier.verify(&headers, b"{}", sent_at()), Err(VerifyError::UnknownUrl));
    let elsewhere = verifier.clone().with_url("https://erp.example.com/other");
    assert_eq!(elsewhere.verify(&headers, b"{}", sent_at()), Err(VerifyError::NoMatch));
    assert!(verifier.with_url(URL).verify(&headers, b"{}", sent_at()).is_ok());
    Ok(())
}

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })
}

fn failed(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}
