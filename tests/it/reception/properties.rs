//! Whatever arrives, there is an answer, and never a panic: bounded fuzzing.

use std::cell::RefCell;

use crossdock::inbound::{Outcome as Found, PreparedScheme, Request, SourceSecret, TwilioVerifier};
use crossdock::primitives::Secret;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::cases::{Case, Outcome, URL, cases, now};
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("reception::properties::no_signature_header_is_taken_or_panics", signature_headers),
        rule("reception::properties::every_signed_body_is_stored_whatever_it_is", envelopes),
        rule("reception::properties::no_form_panics_or_is_taken_unsigned", form_bodies),
    ]
}

/// Texts that look like signatures, and texts that look like nothing.
fn header_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "(t|ts|v0|v1|v1a|h1|sha1|sha256|hmac-sha256-hex)",
        "[,;= .:]{1,3}",
        "[0-9]{1,20}",
        "[0-9a-f]{0,70}",
        "[A-Za-z0-9+/]{0,44}={0,2}",
        "\\PC{0,8}",
    ];
    let pieces = prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![4 => pieces, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

/// JSON, almost JSON, and bytes.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("null".to_owned()),
        "\"(id|type|events|entry|value|signature|token|eventId|clientState|notificationItems|NotificationRequestItem)\"",
        "-?[0-9]{1,25}(\\.[0-9]{1,5})?(e[0-9]{1,3})?",
        "\"(\\\\u[0-9a-f]{4}|[ -!#-\\[\\]-~]){0,8}\"",
        "\\PC{0,4}",
    ];
    let almost = prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat().into_bytes());
    let element =
        prop_oneof![Just("{}"), Just("1"), Just(r#"{"id":"a"}"#), Just(r#"{"id":{"id":1}}"#), Just("[[]]")];
    let nested = (
        prop_oneof![Just(""), Just("events"), Just("entry"), Just("value")],
        prop::collection::vec(element, 0..9),
    )
        .prop_map(|(name, elements)| {
            let array = format!("[{}]", elements.join(","));
            if name.is_empty() { array } else { format!(r#"{{"{name}":{array}}}"#) }.into_bytes()
        });
    prop_oneof![3 => almost, 2 => nested, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn signature_headers() -> Outcome {
    let cases = cases()?;
    let prepared = all_prepared(&cases)?;
    play(&(0..cases.len(), header_text(), header_text(), body()), |(index, signature, timestamp, body)| {
        let (case, prepared) = (&cases[index], &prepared[index]);
        let mut headers = HeaderMap::new();
        let rule = case.rule().map_err(|error| TestCaseError::fail(error.to_string()))?;
        let timestamp_at = rule.timestamp.as_ref().and_then(|timestamp| timestamp.at.as_ref());
        for (field, text) in
            [(Some(&rule.at), &signature), (timestamp_at, &timestamp), (rule.id.as_ref(), &timestamp)]
        {
            let name = field.and_then(super::cases::header_of);
            if let (Some(name), Ok(value)) = (name, HeaderValue::from_bytes(text)) {
                headers.insert(name, value);
            }
        }
        let request = Request::new(&Method::POST, URL, &headers, &body);
        prop_assert!(prepared.verify(&request, now()).is_err(), "{}", case.name);
        // An unsigned ping may be answered; nothing is stored.
        let found = prepared.receive(&request, now());
        prop_assert!(matches!(found, Found::Refused(_) | Found::Answer(_)), "{}: {found:?}", case.name);
        Ok(())
    })
}

fn envelopes() -> Outcome {
    // Where the signature stands in the body, no body of anybody's is signed.
    let cases: Vec<Case> = cases()?
        .into_iter()
        .filter(|case| case.signature_header().is_ok_and(|name| name.is_some()) && case.name != "linear")
        .collect();
    let prepared = all_prepared(&cases)?;
    play(&(0..cases.len(), body(), any::<bool>()), |(index, body, is_form)| {
        let case = &cases[index];
        let mut signed = case.signed_body(&body).map_err(|error| TestCaseError::fail(error.to_string()))?;
        if is_form {
            signed
                .headers
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        match prepared[index].receive(&signed.request(), now()) {
            Found::Genuine(genuine) | Found::Unparsable(genuine) => {
                for item in &genuine.items {
                    prop_assert!(item.dedupe_key.len() <= 256 && item.dedupe_key.contains([':', '#']));
                    prop_assert!(body.get(item.body.clone()).is_some());
                    prop_assert!(item.kind.len() <= 256 && !item.kind.contains('\0'));
                }
            }
            // A genuine ping or challenge.
            Found::Answer(_) => {}
            other => prop_assert!(false, "{}: {other:?}", case.name),
        }
        Ok(())
    })
}

fn form_bodies() -> Outcome {
    let secret = [SourceSecret::new("current", Secret::from("12345"))];
    let pair = "([a-zA-Z%+.]{0,6}(=[a-zA-Z0-9%+.&]{0,8})?&?)|\\PC{0,3}";
    let form = prop_oneof![
        prop::collection::vec(pair, 0..20).prop_map(|pairs| pairs.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..100)
    ];
    let url = prop_oneof!["https?://[a-z:@\\[\\]0-9./?#&=%']{0,30}", "\\PC{0,20}"];
    play(&(form, header_text(), url, any::<bool>()), |(form, signature, url, is_form)| {
        let mut headers = HeaderMap::new();
        if is_form {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        if let Ok(value) = HeaderValue::from_bytes(&signature) {
            headers.insert("x-twilio-signature", value);
        }
        let request = Request::new(&Method::POST, &url, &headers, &form);
        prop_assert!(TwilioVerifier::check(&request, &secret, now()).is_err());

        if let Ok(text) = std::str::from_utf8(&form) {
            let signed = TwilioVerifier::sign(&secret[0], &url, text);
            prop_assert!(TwilioVerifier::check(&signed.request(), &secret, now()).is_ok());
        }
        Ok(())
    })
}

fn all_prepared(cases: &[Case]) -> Outcome<Vec<PreparedScheme>> {
    cases.iter().map(Case::prepared).collect()
}

/// At least 2,000 cases; `PROPTEST_CASES` asks for more.
fn play<S: Strategy>(strategy: &S, check: impl Fn(S::Value) -> Result<(), TestCaseError>) -> Outcome {
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(Config { cases: config.cases.max(2_000), ..config });
    let played = RefCell::new(0);
    runner
        .run(strategy, |value| {
            *played.borrow_mut() += 1;
            check(value)
        })
        .map_err(|error| error.to_string())?;
    assert!(*played.borrow() >= 2_000, "too few cases were played");
    Ok(())
}
