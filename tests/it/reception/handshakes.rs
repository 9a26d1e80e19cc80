//! What is answered at once, and what is not.

use crossdock::inbound::{
    Outcome as Found, PreparedScheme, Refusal, Reply, Request, Scheme, SourceSecret, presets,
};
use crossdock::primitives::Secret;
use http::header::{HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use libtest_mimic::Trial;

use super::cases::{Outcome, URL, case_of, now, words};
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("reception::handshakes::a_subscription_at_meta_shows_its_token", meta),
        rule("reception::handshakes::graph_gets_its_validation_token_back", graph),
        rule("reception::handshakes::slack_gets_its_challenge_back_if_it_is_signed", slack),
        rule("reception::handshakes::pings_are_answered_as_their_providers_want_it", pings),
        rule("reception::handshakes::an_unsigned_ping_stores_nothing", unsigned_ping),
        rule("reception::handshakes::a_challenge_is_no_way_to_have_events_signed", hmac_challenge),
        rule("reception::handshakes::a_secret_that_is_sent_is_kept_once", header_echo),
        rule("reception::handshakes::cloud_events_ask_before_they_send", options),
        rule("reception::handshakes::xero_wants_two_hundred_or_401", xero),
        rule("reception::handshakes::other_methods_sizes_and_types_are_refused", bounds),
    ]
}

fn meta() -> Outcome {
    let secrets = [named("app", "app-secret"), named("verify_token", "let-me-in")];
    let meta = PreparedScheme::new(&presets::meta(), &secrets).map_err(words)?;
    let get = |query| ask(&meta, &Method::GET, query, &HeaderMap::new(), b"");

    let good = "hub.mode=subscribe&hub.challenge=115%38&hub.verify_token=let-me-in";
    let reply = answered(get(good))?;
    assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b"1158"[..]));
    assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");

    for (query, refusal) in [
        ("hub.challenge=1158&hub.verify_token=let-me-on", Refusal::NoMatch),
        ("hub.challenge=1158&hub.verify_token=app-secret", Refusal::NoMatch),
        ("hub.challenge=1158", Refusal::MissingPart),
        ("hub.challenge=1158&hub.verify_token=", Refusal::MissingPart),
        ("hub.challenge=", Refusal::Method),
        ("hub.challenge=1&hub.challenge=2&hub.verify_token=let-me-in", Refusal::Method),
        ("", Refusal::Method),
    ] {
        assert_eq!(refused(get(query))?, refusal, "{query}");
    }

    // The token proves nothing about events, and without a token there is nothing to show.
    let case = case_of("meta")?;
    let signed = case.signed()?;
    let with_token = [named("verify_token", "app-secret"), named("app", "other")];
    let prepared = PreparedScheme::new(&presets::meta(), &with_token).map_err(words)?;
    assert_eq!(refused(prepared.receive(&signed.request(), now()))?, Refusal::NoMatch);
    let prepared = PreparedScheme::new(&presets::meta(), &[named("app", "app-secret")]).map_err(words)?;
    assert_eq!(refused(ask(&prepared, &Method::GET, good, &HeaderMap::new(), b""))?, Refusal::NoSecret);
    Ok(())
}

fn graph() -> Outcome {
    let graph =
        PreparedScheme::new(&presets::microsoft_graph(), &[named("state", "client-state")]).map_err(words)?;

    let reply =
        answered(ask(&graph, &Method::POST, "validationToken=Validation%3a+a%3Cb", &HeaderMap::new(), b""))?;
    assert_eq!(reply.body, "Validation: a<b");
    assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");

    let long = format!("validationToken={}", "a".repeat(5_000));
    assert_eq!(refused(ask(&graph, &Method::POST, &long, &HeaderMap::new(), b""))?, Refusal::UnreadablePart);
    Ok(())
}

fn slack() -> Outcome {
    let case = case_of("slack")?;
    let signed = case.signed_body(br#"{"type":"url_verification","challenge":"3eZbrw1a"}"#)?;
    let reply = answered(case.prepared()?.receive(&signed.request(), now()))?;
    assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b"3eZbrw1a"[..]));

    let mut forged = signed;
    forged.headers.remove("x-slack-signature");
    assert_eq!(refused(case.prepared()?.receive(&forged.request(), now()))?, Refusal::MissingSignature);
    Ok(())
}

fn pings() -> Outcome {
    for (name, body, status) in [
        ("discord", &br#"{"version":1,"type":0}"#[..], 204),
        ("intercom", br#"{"topic":"ping","id":"1"}"#, 200),
    ] {
        let case = case_of(name)?;
        let signed = case.signed_body(body)?;
        let reply = answered(case.prepared()?.receive(&signed.request(), now()))?;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (status, 0), "{name}");

        let mut forged = signed;
        forged.body.push(b' ');
        let refusal = refused(case.prepared()?.receive(&forged.request(), now()))?;
        assert_eq!(case.prepared()?.refuse(refusal).status, StatusCode::UNAUTHORIZED, "{name}");
    }
    let adyen = case_of("adyen")?.prepared()?.acknowledge();
    assert_eq!((adyen.status, &adyen.body[..]), (StatusCode::OK, &b"[accepted]"[..]));
    assert_eq!(case_of("microsoft_graph")?.prepared()?.acknowledge().status, StatusCode::ACCEPTED);
    assert_eq!(case_of("discord")?.prepared()?.acknowledge().status, StatusCode::NO_CONTENT);
    Ok(())
}

fn unsigned_ping() -> Outcome {
    let case = case_of("woocommerce")?;
    let prepared = case.prepared()?;
    let mut headers = HeaderMap::new();
    headers
        .insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
    let reply = answered(ask(&prepared, &Method::POST, "", &headers, b"webhook_id=7"))?;
    assert_eq!((reply.status, reply.body.len()), (StatusCode::OK, 0));

    // It is authentic all the same only if it is signed.
    let request = Request::new(&Method::POST, URL, &headers, b"webhook_id=7");
    assert_eq!(prepared.verify(&request, now()).map(|_| ()), Err(Refusal::MissingSignature));
    headers.insert("x-wc-webhook-signature", HeaderValue::from_static("x"));
    assert_eq!(refused(ask(&prepared, &Method::POST, "", &headers, b"webhook_id=7"))?, Refusal::NoMatch);
    assert_eq!(
        refused(ask(&prepared, &Method::POST, "", &HeaderMap::new(), b"webhook_id=7"))?,
        Refusal::MissingSignature
    );
    Ok(())
}

fn hmac_challenge() -> Outcome {
    let scheme = |handshake: &str| -> Outcome<PreparedScheme> {
        let json = format!(
            r#"{{"check": {{"signature": {{"at": "header:x-signature", "signed": ["body"]}}}},
                 "reception": {{"handshakes": [{handshake}]}}}}"#
        );
        let scheme = Scheme::from_json(json.as_bytes()).map_err(|problem| problem.to_string())?;
        PreparedScheme::new(&scheme, &[named("current", "hush")]).map_err(words)
    };
    // As X asks: `printf token | openssl dgst -sha256 -hmac hush -binary | base64`
    let crc = scheme(
        r#"{"kind": "hmac_challenge", "method": "GET", "token": "query:crc_token", "text": "base64",
            "prefix": "sha256=", "member": "response_token", "trust": "unsigned"}"#,
    )?;
    let reply = answered(ask(&crc, &Method::GET, "crc_token=token", &HeaderMap::new(), b""))?;
    assert_eq!(reply.body, r#"{"response_token":"sha256=U9BZFOsL7+rNnjI9cU7mjarly7iAw2q0iTBBWV9mDvU="}"#);
    assert_eq!(reply.headers["content-type"], "application/json");
    for token in [
        "%7B%22id%22%3A1%7D",
        "a%20b",
        "%5B1%5D",
        "7",
        "true",
        "id%3D7",
        "1700000000.id%3D7",
        &"a".repeat(129),
    ] {
        let found = ask(&crc, &Method::GET, &format!("crc_token={token}"), &HeaderMap::new(), b"");
        assert_eq!(refused(found)?, Refusal::UnreadablePart, "{token}");
    }
    // As Zoom asks.
    let zoom = scheme(
        r#"{"kind": "hmac_challenge", "when": [{"field": "json:/event", "test": {"is": "endpoint.url_validation"}}],
            "token": "json:/payload/plainToken", "text": "hex", "member": "encryptedToken", "token_member": "plainToken",
            "trust": "unsigned"}"#,
    )?;
    let body = br#"{"event":"endpoint.url_validation","payload":{"plainToken":"token"}}"#;
    let reply = answered(ask(&zoom, &Method::POST, "", &HeaderMap::new(), body))?;
    assert_eq!(
        reply.body,
        r#"{"encryptedToken":"53d05914eb0befeacd9e323d714ee68daae5cbb880c36ab4893041595f660ef5","plainToken":"token"}"#
    );
    Ok(())
}

fn header_echo() -> Outcome {
    let json = br#"{"check": {"signature": {"at": "header:x-hook-signature", "signed": ["body"]}},
                    "reception": {"handshakes": [{"kind": "header_echo", "header": "x-hook-secret"}]}}"#;
    let scheme = Scheme::from_json(json).map_err(|problem| problem.to_string())?;
    let mut headers = HeaderMap::new();
    headers.insert("x-hook-secret", HeaderValue::from_static("b537207f20cbfa02357cf448134da559"));

    let new = PreparedScheme::new(&scheme, &[]).map_err(words)?;
    let reply = answered(ask(&new, &Method::POST, "", &headers, b""))?;
    assert_eq!(reply.headers["x-hook-secret"], headers["x-hook-secret"]);
    assert!(!format!("{reply:?}").contains("b537207f"));
    let kept = reply.keep_secret.ok_or("a secret to keep")?;
    assert_eq!(kept.expose(), b"b537207f20cbfa02357cf448134da559");

    // Until then, and afterwards, nobody else's word counts.
    assert_eq!(refused(ask(&new, &Method::POST, "", &HeaderMap::new(), b"{}"))?, Refusal::MissingSignature);
    let known = PreparedScheme::new(&scheme, &[SourceSecret::new("kept", kept)]).map_err(words)?;
    headers.insert("x-hook-secret", HeaderValue::from_static("a-secret-of-somebody-else"));
    assert_eq!(refused(ask(&known, &Method::POST, "", &headers, b"{}"))?, Refusal::MissingSignature);
    headers.insert("x-hook-secret", HeaderValue::from_static("short"));
    assert_eq!(refused(ask(&new, &Method::POST, "", &headers, b"{}"))?, Refusal::UnreadablePart);
    Ok(())
}

fn options() -> Outcome {
    let mut scheme = presets::generic();
    let json = br#"{"check": {"code": "x"}, "reception": {"handshakes": [{"kind": "options"}]}}"#;
    let written = Scheme::from_json(json).map_err(|problem| problem.to_string())?;
    scheme.reception.handshakes = written.reception.handshakes;
    let prepared = PreparedScheme::new(&scheme, &[named("current", "hush")]).map_err(words)?;
    let mut headers = HeaderMap::new();
    headers.insert("webhook-request-origin", HeaderValue::from_static("eventemitter.example.com"));

    let reply = answered(ask(&prepared, &Method::OPTIONS, "", &headers, b""))?;
    assert_eq!(reply.headers["webhook-allowed-origin"], "eventemitter.example.com");
    assert_eq!(reply.headers["webhook-allowed-rate"], "*");
    assert_eq!(refused(ask(&prepared, &Method::OPTIONS, "", &HeaderMap::new(), b""))?, Refusal::Method);
    Ok(())
}

fn xero() -> Outcome {
    let case = case_of("xero")?;
    let mut signed = case.signed_body(br#"{"events":[],"entropy":"S0m3r4Nd0mt3xt"}"#)?;
    let prepared = case.prepared()?;
    let Found::Genuine(genuine) = prepared.receive(&signed.request(), now()) else {
        return Err("an intent to receive is genuine".into());
    };
    assert!(genuine.items.is_empty());
    assert_eq!((prepared.acknowledge().status, prepared.acknowledge().body.len()), (StatusCode::OK, 0));

    signed.headers.insert("x-xero-signature", HeaderValue::from_static("x"));
    let reply = prepared.refuse(refused(prepared.receive(&signed.request(), now()))?);
    assert_eq!((reply.status, reply.body.len()), (StatusCode::UNAUTHORIZED, 0));
    Ok(())
}

fn bounds() -> Outcome {
    let case = case_of("stripe")?;
    let mut signed = case.signed()?;
    signed.method = Method::GET;
    let prepared = case.prepared()?;
    let refusal = refused(prepared.receive(&signed.request(), now()))?;
    assert_eq!(prepared.refuse(refusal).status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(prepared.refuse(refusal).headers["allow"], "POST");

    let mut scheme = presets::stripe();
    scheme.reception.body_cap = case.body.len() - 1;
    scheme.reception.content_types = vec!["application/json".into()];
    signed.method = Method::POST;
    let small = PreparedScheme::new(&scheme, std::slice::from_ref(&case.secret)).map_err(words)?;
    let refusal = refused(small.receive(&signed.request(), now()))?;
    assert_eq!(small.refuse(refusal).status, StatusCode::PAYLOAD_TOO_LARGE);
    scheme.reception.body_cap += 1;
    let typed = PreparedScheme::new(&scheme, std::slice::from_ref(&case.secret)).map_err(words)?;
    for (content_type, taken) in [
        ("text/xml", false),
        ("", false),
        ("application/json", true),
        ("Application/JSON;charset=utf-8", true),
    ] {
        signed.headers.insert("content-type", HeaderValue::from_static(content_type));
        match typed.receive(&signed.request(), now()) {
            Found::Genuine(_) if taken => {}
            Found::Refused(Refusal::ContentType) if !taken => {}
            other => return Err(format!("{content_type}: {other:?}").into()),
        }
    }
    assert_eq!(typed.refuse(Refusal::ContentType).status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(typed.refuse(Refusal::KeyUnavailable).status, StatusCode::SERVICE_UNAVAILABLE);
    Ok(())
}

fn named(name: &str, secret: &str) -> SourceSecret {
    SourceSecret::new(name, Secret::from(secret))
}

fn ask(prepared: &PreparedScheme, method: &Method, query: &str, headers: &HeaderMap, body: &[u8]) -> Found {
    prepared.receive(&Request::new(method, URL, headers, body).with_query(Some(query)), now())
}

fn answered(found: Found) -> Outcome<Reply> {
    match found {
        Found::Answer(reply) => Ok(reply),
        other => Err(format!("not answered: {other:?}").into()),
    }
}

fn refused(found: Found) -> Outcome<Refusal> {
    match found {
        Found::Refused(refusal) => Ok(refusal),
        other => Err(format!("not refused: {other:?}").into()),
    }
}
