//! One bit is enough: what is signed cannot be changed.

use crossdock::inbound::{
    Algorithm, Check, Field, Outcome as Found, Part, PreparedScheme, Reception, Refusal, Request, Scheme,
    SignatureRule, SignedRequest, SourceSecret,
};
use crossdock::primitives::Secret;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use libtest_mimic::Trial;

use super::cases::{Case, Outcome, URL, case_of, cases, header_of, now, words};
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("reception::forgeries::every_bit_of_a_signed_body_counts", body_bits),
        rule("reception::forgeries::every_bit_of_signature_timestamp_and_id_counts", header_bits),
        rule("reception::forgeries::every_signed_field_of_an_element_counts", element_fields),
        rule("reception::forgeries::one_bad_element_spoils_a_batch", one_bad_element),
        rule("reception::forgeries::where_the_url_is_signed_it_counts", urls),
        rule("reception::forgeries::bodies_may_be_empty_or_no_text", strange_bodies),
        rule("reception::forgeries::floods_of_headers_are_refused", floods),
        rule("reception::forgeries::another_content_type_hides_no_id", content_types),
        rule("reception::forgeries::a_scheme_asks_for_a_bounded_amount_of_work", bounded_schemes),
        rule("reception::forgeries::numbered_headers_hold_a_candidate_each", numbered_headers),
        rule("reception::forgeries::a_user_and_a_password_are_one_secret", basic_auth),
        rule("reception::forgeries::a_position_holds_time_and_signature", positions),
    ]
}

fn body_bits() -> Outcome {
    let mut covered = 0;
    for case in cases()? {
        if case.rule()?.each.is_some() || case.name == "mailgun" {
            continue;
        }
        covered += 1;
        let signed = case.signed()?;
        let prepared = case.prepared()?;
        // Public-key checks are slow without optimisation: a bit of every byte will do.
        let bits = if case.rule()?.algorithm == Algorithm::Ed25519 { 1 } else { 8 };
        for index in 0..signed.body.len() {
            for bit in 0..bits {
                let mut changed = signed.clone();
                changed.body[index] ^= 1 << bit;
                is_refused(&case, &prepared, &changed)?;
            }
        }
        let mut longer = signed.clone();
        longer.body.push(b'\n');
        is_refused(&case, &prepared, &longer)?;
    }
    assert_eq!(covered, 28, "a body that is no longer covered is anybody's");
    Ok(())
}

/// Nobody signs the content type: a captured request that is sent again under another one is the same item.
fn content_types() -> Outcome {
    for case in cases()? {
        let signed = case.signed()?;
        let prepared = case.prepared()?;
        let keys = |signed: &SignedRequest| match prepared.receive(&signed.request(), now()) {
            Found::Genuine(genuine) => {
                Ok(genuine.items.iter().map(|item| item.dedupe_key.clone()).collect::<Vec<_>>())
            }
            other => Err(format!("{}: {other:?}", case.name)),
        };
        let first = keys(&signed)?;
        for content_type in
            ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8"]
        {
            let mut again = signed.clone();
            again.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(keys(&again)?, first, "{} as {content_type}", case.name);
        }
    }
    Ok(())
}

/// Tenants write schemes, and whoever sends garbage has them worked through.
fn bounded_schemes() -> Outcome {
    let scheme = |change: &dyn Fn(&mut SignatureRule, &mut Reception)| -> Outcome<Vec<String>> {
        let mut scheme = case_of("generic")?.scheme;
        let Check::Signature(rule) = &mut scheme.check else { return Err("the check is data".into()) };
        change(rule, &mut scheme.reception);
        Ok(scheme.problems().into_iter().map(|problem| problem.field).collect())
    };
    let field = |text: &str| text.parse::<Field>().map_err(|error| error.to_string());

    assert_eq!(scheme(&|_, _| {})?, Vec::<String>::new());
    let twice = scheme(&|rule, _| rule.signed.push(Part::Body))?;
    assert_eq!(twice, ["check.signature.signed"]);
    let id = field("json:/id")?;
    let many = scheme(&|rule, _| rule.signed.extend(vec![Part::Field(id.clone()); 40]))?;
    assert_eq!(many, ["check.signature.signed"]);
    let ids = scheme(&|_, reception| reception.envelope.event_id = vec![id.clone(); 9])?;
    assert_eq!(ids, ["reception.envelope.event_id"]);
    let headers = field(&format!("header:{}", ["x-a"; 9].join("|")))?;
    let headers = scheme(&|_, reception| reception.envelope.delivery_id = Some(headers.clone()))?;
    assert_eq!(headers, ["reception.envelope"]);
    Ok(())
}

fn header_bits() -> Outcome {
    for case in cases()? {
        let rule = case.rule()?;
        let signed = case.signed()?;
        let prepared = case.prepared()?;
        let timestamp = rule.timestamp.as_ref().and_then(|timestamp| timestamp.at.as_ref());
        for field in [Some(&rule.at), timestamp, rule.id.as_ref()].into_iter().flatten() {
            let Some(name) = header_of(field) else {
                continue;
            };
            let value = signed.headers.get(&name).ok_or("a header")?.as_bytes().to_vec();
            for index in 0..value.len() {
                for bit in 0..8 {
                    let mut bytes = value.clone();
                    bytes[index] ^= 1 << bit;
                    // What no header can hold does not arrive.
                    if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                        let mut changed = signed.clone();
                        changed.headers.insert(name.clone(), value);
                        is_refused(&case, &prepared, &changed)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn element_fields() -> Outcome {
    for (name, changes) in [
        (
            "adyen",
            &[
                (r#""pspReference":"791""#, r#""pspReference":"79l""#),
                ("m-1", "m-2"),
                ("Acme", "Acne"),
                ("EUR", "EUS"),
                ("1130", "1131"),
                ("AUTHORISATION", "CANCELLATION"),
                (r#""success":"true""#, r#""success":"false""#),
                (r#""originalReference":"791""#, r#""originalReference":"790""#),
                (r#""originalReference":"791","#, ""),
                // The reader of a handler might take the first, ours the second.
                (r#""pspReference":"791""#, r#""pspReference":"666","pspReference":"791""#),
            ][..],
        ),
        ("mailgun", &[("a8ce0edb", "a8ce0edc"), ("1700000000", "1700000001")]),
        ("microsoft_graph", &[("client-state", "client-statf"), (r#""clientState""#, r#""ClientState""#)]),
        ("linear", &[("1700000000000", "1700000000001")]),
    ] {
        let case = case_of(name)?;
        let signed = case.signed()?;
        let prepared = case.prepared()?;
        let text = String::from_utf8(signed.body.clone())?;
        for (old, new) in changes {
            assert!(text.contains(old), "{name}: {old}");
            let mut changed = signed.clone();
            changed.body = text.replacen(old, new, 1).into_bytes();
            is_refused(&case, &prepared, &changed)?;
        }
    }
    Ok(())
}

fn one_bad_element() -> Outcome {
    let adyen = case_of("adyen")?;
    let mut signed = adyen.signed()?;
    let text = String::from_utf8(signed.body)?;
    let last = text.rfind("\"true\"").ok_or("a second item")?;
    signed.body = format!("{}\"tRue\"{}", &text[..last], &text[last + 6..]).into_bytes();
    is_refused(&adyen, &adyen.prepared()?, &signed)?;

    for (body, refusal) in [
        (&br#"{"notificationItems":[]}"#[..], Refusal::Elements),
        (br#"{"notificationItems":{}}"#, Refusal::Elements),
        (br#"{}"#, Refusal::Elements),
        (br#"{"notificationItems":[{"NotificationRequestItem":{}}]}"#, Refusal::MissingSignature),
        (br#"{"notificationItems":[{}]}"#, Refusal::Elements),
        (b"[", Refusal::UnreadablePart),
        (b"\xff", Refusal::UnreadablePart),
    ] {
        let request = SignedRequest::new(URL, HeaderMap::new(), body);
        assert_eq!(adyen.prepared()?.verify(&request.request(), now()).map(|_| ()), Err(refusal));
    }
    let many = format!(r#"{{"notificationItems":[{}]}}"#, vec!["{}"; 1_001].join(","));
    let request = SignedRequest::new(URL, HeaderMap::new(), many);
    assert_eq!(adyen.prepared()?.verify(&request.request(), now()).map(|_| ()), Err(Refusal::UnreadablePart));
    Ok(())
}

fn urls() -> Outcome {
    for name in ["square", "hubspot", "hubspot_v2"] {
        let case = case_of(name)?;
        let prepared = case.prepared()?;
        let mut signed = case.signed()?;
        for url in [
            &URL[..URL.len() - 1],
            "http://app.example.com/hooks/7f3a9c",
            "https://app.example.com/hooks/7f3a9c/",
            "",
        ] {
            signed.url = url.to_owned();
            is_refused(&case, &prepared, &signed)?;
        }
        signed.url = URL.to_owned();
        let with_query = signed.request().with_query(Some("a=1"));
        assert_eq!(prepared.verify(&with_query, now()).map(|_| ()), Err(Refusal::NoMatch), "{name}");
        assert!(prepared.verify(&signed.request().with_query(Some("")), now()).is_ok(), "{name}");
    }
    let hubspot = case_of("hubspot")?;
    let mut signed = hubspot.signed()?;
    signed.method = Method::PUT;
    assert_eq!(hubspot.prepared()?.verify(&signed.request(), now()).map(|_| ()), Err(Refusal::NoMatch));
    Ok(())
}

fn strange_bodies() -> Outcome {
    for case in cases()? {
        if !changes_nothing(&case)? {
            continue;
        }
        for body in [&b""[..], b"\0", b"\xff\xfe\xfd", b"\xef\xbb\xbf{}", "\u{e9}".as_bytes()] {
            let signed = case.signed_body(body)?;

            let verified = case.prepared()?.verify(&signed.request(), now());

            assert!(verified.is_ok(), "{}: {body:?}: {verified:?}", case.name);
        }
    }
    Ok(())
}

/// Whether the body is signed as it is.
fn changes_nothing(case: &Case) -> Outcome<bool> {
    let timestamp = case.rule()?.timestamp.as_ref().and_then(|timestamp| timestamp.at.as_ref());
    Ok(case.signature_header()?.is_some() && timestamp.is_none_or(|field| header_of(field).is_some()))
}

fn floods() -> Outcome {
    for (name, front, one) in [
        ("stripe", "t=1700000000", ",v1=00"),
        ("paddle", "ts=1700000000", ";h1=00"),
        ("svix", "v1,00", " v1,00"),
    ] {
        let case = case_of(name)?;
        let header = case.signature_header()?.ok_or("a header")?;
        let mut signed = case.signed()?;
        let genuine = signed.headers.get(&header).ok_or("a signature")?.to_str()?.to_owned();
        signed.headers.insert(header.clone(), format!("{front}{}", one.repeat(10_000)).try_into()?);
        assert_eq!(
            case.prepared()?.verify(&signed.request(), now()).map(|_| ()),
            Err(Refusal::TooManyCandidates)
        );

        // The sixteenth candidate counts, the seventeenth spoils all.
        let separator = &one[..1];
        let signature = &genuine[genuine.rfind(separator).map_or(0, |at| at + 1)..];
        let fifteen = format!("{front}{}", one.repeat(if name == "svix" { 14 } else { 15 }));
        signed.headers.insert(header.clone(), format!("{fifteen}{separator}{signature}").try_into()?);
        assert!(case.prepared()?.verify(&signed.request(), now()).is_ok(), "{name}");
        signed.headers.insert(header, format!("{fifteen}{one}{separator}{signature}").try_into()?);
        assert_eq!(
            case.prepared()?.verify(&signed.request(), now()).map(|_| ()),
            Err(Refusal::TooManyCandidates)
        );
    }

    let github = case_of("github")?;
    let mut signed = github.signed()?;
    for index in 0..5_000 {
        signed
            .headers
            .append(HeaderName::try_from(format!("x-flood-{index}"))?, HeaderValue::from_static("x"));
        signed.headers.append(HeaderName::from_static("x-flood"), HeaderValue::from_static("x"));
    }
    assert!(github.prepared()?.verify(&signed.request(), now()).is_ok());
    Ok(())
}

fn numbered_headers() -> Outcome {
    let prepared = own_scheme(
        r#"{"at": "headers:x-docusign-signature-", "text": "base64", "signed": ["body"]}"#,
        "hush",
    )?;
    // `printf hi | openssl dgst -sha256 -hmac hush -binary | base64`
    let good = "2ONJ1hXiFyxKKlJKzZ0YP+W++dZqd7RvRoLW+O2TSHI=";
    let with = |values: &[&str]| -> Outcome<Result<(), Refusal>> {
        let mut headers = HeaderMap::new();
        for (index, value) in values.iter().enumerate() {
            headers
                .insert(HeaderName::try_from(format!("x-docusign-signature-{}", index + 1))?, value.parse()?);
        }
        Ok(prepared.verify(&Request::new(&Method::POST, URL, &headers, b"hi"), now()).map(|_| ()))
    };

    assert_eq!(with(&[good])?, Ok(()));
    assert_eq!(with(&["x", "y", good])?, Ok(()));
    assert_eq!(with(&[])?, Err(Refusal::MissingSignature));
    assert_eq!(with(&["x", "y"])?, Err(Refusal::NoMatch));
    assert_eq!(with(&["x"; 17])?, Err(Refusal::TooManyCandidates));
    Ok(())
}

fn basic_auth() -> Outcome {
    let prepared =
        own_scheme(r#"{"algorithm": "basic_auth", "at": "header:authorization"}"#, "Aladdin:open sesame")?;
    let with = |value: &str| -> Outcome<Result<(), Refusal>> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", value.parse()?);
        Ok(prepared.verify(&Request::new(&Method::POST, URL, &headers, b"hi"), now()).map(|_| ()))
    };

    // https://datatracker.ietf.org/doc/html/rfc7617#section-2
    assert_eq!(with("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")?, Ok(()));
    assert_eq!(with("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")?, Ok(()));
    assert_eq!(with("Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==")?, Err(Refusal::MalformedSignature));
    assert_eq!(with("Basic QWxhZGRpbjo=")?, Err(Refusal::NoMatch));
    for text in ["Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic", "Basic ", "Aladdin:open sesame", "x"] {
        assert_eq!(with(text)?, Err(Refusal::MalformedSignature), "{text}");
    }
    Ok(())
}

fn positions() -> Outcome {
    let prepared = own_scheme(
        r#"{"at": "header:x-signature", "signed": ["timestamp", "text::", "body"],
            "format": {"kind": "positional", "separator": ":", "timestamp": 0, "signature": 1},
            "timestamp": {"past": 300, "future": 300}}"#,
        "hush",
    )?;
    // `printf 1700000000:hi | openssl dgst -sha256 -hmac hush`
    let signature = "80a21d38d6d451102695b43420fba14c141dcd8a79779e5fa2ef0bfafe0aad0d";
    let with = |value: String| -> Outcome<Result<(), Refusal>> {
        let mut headers = HeaderMap::new();
        headers.insert("x-signature", value.parse()?);
        Ok(prepared.verify(&Request::new(&Method::POST, URL, &headers, b"hi"), now()).map(|_| ()))
    };

    assert_eq!(with(format!("1700000000:{signature}"))?, Ok(()));
    assert_eq!(with(format!("1700000001:{signature}"))?, Err(Refusal::NoMatch));
    assert_eq!(with(format!("1600000000:{signature}"))?, Err(Refusal::Stale));
    assert_eq!(with("1700000000".to_owned())?, Err(Refusal::MalformedSignature));
    Ok(())
}

fn own_scheme(rule: &str, secret: &str) -> Outcome<PreparedScheme> {
    let json = format!(r#"{{"check": {{"signature": {rule}}}}}"#);
    let scheme = Scheme::from_json(json.as_bytes()).map_err(|problem| problem.to_string())?;
    PreparedScheme::new(&scheme, &[SourceSecret::new("current", Secret::from(secret))]).map_err(words)
}

fn is_refused(case: &Case, prepared: &PreparedScheme, changed: &SignedRequest) -> Outcome {
    match prepared.verify(&changed.request(), now()) {
        Err(_) => Ok(()),
        Ok(_) => {
            Err(format!("{}: a forgery is taken: {:?}", case.name, String::from_utf8_lossy(&changed.body))
                .into())
        }
    }
}
