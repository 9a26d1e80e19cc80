//! How bodies become events.

use chrono::DateTime;
use crossdock::inbound::{Genuine, Item, Outcome as Found, SignedRequest};
use http::header::{HeaderName, HeaderValue};
use libtest_mimic::Trial;

use super::cases::{Case, Outcome, case_of, now};
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("reception::envelopes::each_provider_names_id_type_and_tenant_its_way", provider_table),
        rule("reception::envelopes::numbers_and_spaces_stay_as_they_came", bytes_stay),
        rule("reception::envelopes::a_batch_is_split_and_a_copy_of_it_has_the_same_keys", batches),
        rule("reception::envelopes::what_is_signed_but_no_event_is_kept_whole", unparsable),
        rule("reception::envelopes::an_unsigned_id_has_a_guard", guards),
        rule("reception::envelopes::one_action_at_shopify_is_an_event_per_topic", shopify_topics),
        rule("reception::envelopes::woocommerce_events_of_one_second_stay_two", woocommerce_second),
        rule("reception::envelopes::depth_and_length_do_no_harm", depth_and_length),
        rule("reception::envelopes::a_form_is_an_event", forms),
    ]
}

fn provider_table() -> Outcome {
    for (name, headers, key, kind, tenant) in [
        ("stripe", &[][..], "id:evt_1", "invoice.paid", None),
        ("square", &[], "", "invoice.paid", None),
        (
            "github",
            &[("x-github-delivery", "72d3162e"), ("x-github-event", "pull_request")],
            "id:72d3162e",
            "pull_request",
            None,
        ),
        (
            "shopify",
            &[
                ("x-shopify-event-id", "98880550"),
                ("x-shopify-topic", "orders/create"),
                ("x-shopify-shop-domain", "s.myshopify.com"),
            ],
            "id:98880550:orders/create",
            "orders/create",
            Some("s.myshopify.com"),
        ),
        ("standard_webhooks", &[], "id:msg_test", "invoice.paid", None),
        (
            "linear",
            &[("linear-delivery", "234d1a4e"), ("linear-event", "Comment")],
            "id:234d1a4e",
            "Comment.create",
            Some("o1"),
        ),
        ("mailgun", &[], "id:a8ce0edb", "opened", None),
        ("meta", &[], "", "page.feed", Some("9")),
        ("microsoft_graph", &[], "id:n1", "created", Some("t1")),
        ("quickbooks", &[], "id:q1", "qbo.invoice.created.v1", Some("310687")),
        ("xero", &[], "", "INVOICE.UPDATE", Some("x1")),
        ("easypost", &[], "id:evt_1", "tracker.updated", Some("user_1")),
        ("adyen", &[], "id:AUTHORISATION:791", "AUTHORISATION", Some("Acme")),
        ("adyen_header", &[], "", "merchant.created", Some("BP")),
        ("hubspot", &[], "id:1:2:1700000000000", "contact.creation", Some("3")),
        ("discord", &[], "", "ENTITLEMENT_CREATE", Some("12")),
    ] {
        let case = case_of(name)?;
        let item = first(&case, &with(case.signed()?, headers)?)?;

        let shape = (item.kind.as_str(), item.tenant_key.as_deref());
        assert_eq!(shape, (kind, tenant), "{name}");
        if key.is_empty() {
            assert!(item.dedupe_key.starts_with("hash:"), "{name}: {}", item.dedupe_key);
        } else {
            assert_eq!(item.dedupe_key, key, "{name}");
        }
    }
    Ok(())
}

fn bytes_stay() -> Outcome {
    let body = r#"[ {"eventId": 9007199254740993, "amount":1.10, "x":1e400 , "y":"\u00e9" } , 12345678901234567890 ]"#;
    let case = case_of("hubspot")?;
    let signed = case.signed_body(body.as_bytes())?;
    let genuine = genuine(&case, &signed)?;

    let texts: Vec<_> = genuine.items.iter().map(|item| &body[item.body.clone()]).collect();
    assert_eq!(
        texts,
        [
            r#"{"eventId": 9007199254740993, "amount":1.10, "x":1e400 , "y":"\u00e9" }"#,
            "12345678901234567890"
        ]
    );

    let case = case_of("stripe")?;
    let signed = case.signed_body(br#"{"id":9007199254740993,"type":"t","created":1700000000}"#)?;
    let item = first(&case, &signed)?;
    assert_eq!(item.event_id.as_deref(), Some("9007199254740993"));
    assert_eq!(item.occurred_at, DateTime::from_timestamp(1_700_000_000, 0));
    assert_eq!(item.body, 0..signed.body.len());
    Ok(())
}

fn batches() -> Outcome {
    let case = case_of("hubspot")?;
    let items = genuine(&case, &case.signed()?)?.items;
    let keys: Vec<_> = items.iter().map(|item| item.dedupe_key.as_str()).collect();
    assert_eq!(keys, ["id:1:2:1700000000000", "id:2:2:1700000000001"]);

    // Another attempt, in another order and beside others, has the same keys.
    let again = br#"[{"eventId":2,"subscriptionId":2,"occurredAt":1700000000001,"attemptNumber":3},{"eventId":1,"subscriptionId":2,"occurredAt":1700000000000,"attemptNumber":1}]"#;
    let items = genuine(&case, &case.signed_body(again)?)?.items;
    let keys: Vec<_> = items.iter().map(|item| item.dedupe_key.as_str()).collect();
    assert_eq!(keys, ["id:2:2:1700000000001", "id:1:2:1700000000000"]);

    // What has no id is the same if its bytes are.
    let case = case_of("xero")?;
    let one = |event: &str| -> Outcome<Item> {
        first(&case, &case.signed_body(format!(r#"{{"events":[{event}]}}"#).as_bytes())?)
    };
    assert_eq!(one(r#"{"eventType":"A"}"#)?.dedupe_key, one(r#"{"eventType":"A"}"#)?.dedupe_key);
    assert_ne!(one(r#"{"eventType":"A"}"#)?.dedupe_key, one(r#"{"eventType": "A"}"#)?.dedupe_key);

    let case = case_of("meta")?;
    let body =
        br#"{"object":"page","entry":[{"id":"1","changes":[{"field":"feed"}]},{"id":"2","messaging":[]}]}"#;
    let items = genuine(&case, &case.signed_body(body)?)?.items;
    let shapes: Vec<_> = items.iter().map(|item| (item.kind.as_str(), item.tenant_key.as_deref())).collect();
    assert_eq!(shapes, [("page.feed", Some("1")), ("page", Some("2"))]);
    // An empty batch is genuine and holds nothing; a single object where arrays are usual is one event.
    assert!(genuine(&case, &case.signed_body(br#"{"object":"page","entry":[]}"#)?)?.items.is_empty());
    let case = case_of("quickbooks")?;
    assert_eq!(
        genuine(&case, &case.signed_body(br#"{"id":"q9","type":"t"}"#)?)?.items[0].dedupe_key,
        "id:q9"
    );
    Ok(())
}

fn unparsable() -> Outcome {
    for (name, body) in [
        ("stripe", &b""[..]),
        ("stripe", b"not json"),
        ("stripe", b"{\"id\":\"\xff\"}"),
        ("stripe", b"\xff\xfe"),
        ("stripe", br#"{"id":"a","id":"b"}"#),
        ("stripe", br#"{"id":"a"} trailing"#),
        ("stripe", br#"{"id":"a","x":"#),
        ("meta", br#"{"object":"page"}"#),
        ("xero", br#"{"events":{}}"#),
    ] {
        let case = case_of(name)?;
        let signed = case.signed_body(body)?;

        let found = case.prepared()?.receive(&signed.request(), now());

        let Found::Unparsable(genuine) = found else {
            return Err(format!("{name}: {found:?}").into());
        };
        let [item] = &genuine.items[..] else {
            return Err(format!("{name}: one item").into());
        };
        assert_eq!(item.body, 0..body.len(), "{name}");
        assert!(item.dedupe_key.starts_with("hash:"), "{name}");
        assert_eq!(genuine.matched_secret.as_deref(), Some("current"));
    }
    Ok(())
}

fn guards() -> Outcome {
    for (name, headers, guarded) in [
        ("github", &[("x-github-delivery", "a")][..], true),
        ("shopify", &[("x-shopify-event-id", "a"), ("x-shopify-topic", "t")], true),
        ("shopify", &[("x-shopify-webhook-id", "a")], true),
        ("zendesk", &[("x-zendesk-webhook-invocation-id", "a")], true),
        ("linear", &[("linear-delivery", "a")], false),
        ("standard_webhooks", &[], false),
        ("stripe", &[], false),
        ("woocommerce", &[("x-wc-webhook-delivery-id", "a")], false),
    ] {
        let case = case_of(name)?;
        let signed = with(case.signed()?, headers)?;
        let item = first(&case, &signed)?;

        assert_eq!(item.guard.is_some(), guarded, "{name}");
        if guarded {
            // The same bytes under another id are found again.
            let copy =
                headers.iter().map(|(header, value)| (*header, if *value == "a" { "b" } else { value }));
            let copy = first(&case, &with(signed, &copy.collect::<Vec<_>>())?)?;
            assert_eq!(copy.guard, item.guard, "{name}");
            assert_ne!(copy.dedupe_key, item.dedupe_key, "{name}");
        }
    }
    Ok(())
}

fn shopify_topics() -> Outcome {
    let case = case_of("shopify")?;
    let of = |topic| -> Outcome<Item> {
        first(&case, &with(case.signed()?, &[("x-shopify-event-id", "a"), ("x-shopify-topic", topic)])?)
    };
    let (created, paid) = (of("orders/create")?, of("orders/paid")?);

    assert_ne!(created.dedupe_key, paid.dedupe_key);
    assert_ne!(created.guard, paid.guard);
    // The newer family of headers says the same.
    let newer =
        first(&case, &with(case.signed()?, &[("shopify-event-id", "a"), ("shopify-topic", "orders/paid")])?)?;
    assert_eq!(newer.dedupe_key, paid.dedupe_key);
    Ok(())
}

fn woocommerce_second() -> Outcome {
    let case = case_of("woocommerce")?;
    let headers = [("x-wc-webhook-delivery-id", "8d2f1"), ("x-wc-webhook-topic", "order.updated")];
    let one = first(&case, &with(case.signed_body(br#"{"id":1}"#)?, &headers)?)?;
    let two = first(&case, &with(case.signed_body(br#"{"id":2}"#)?, &headers)?)?;

    assert_ne!(one.dedupe_key, two.dedupe_key);
    assert_eq!(one.kind, "order.updated");
    Ok(())
}

fn depth_and_length() -> Outcome {
    let case = case_of("stripe")?;
    let deep =
        format!(r#"{{"data":{}{},"id":"evt_deep","type":"t"}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(first(&case, &case.signed_body(deep.as_bytes())?)?.dedupe_key, "id:evt_deep");
    let broken = format!(r#"{{"id":"evt_deep","data":{}"#, r#"{"a":"#.repeat(100_000));
    let signed = case.signed_body(broken.as_bytes())?;
    assert!(matches!(case.prepared()?.receive(&signed.request(), now()), Found::Unparsable(_)));

    // Ids of any length are told apart, and none is longer than a column.
    let long = |last: char| -> Outcome<Item> {
        let body = format!(r#"{{"id":"{}{last}","type":"{}"}}"#, "i".repeat(10_000), "\u{e9}".repeat(1_000));
        first(&case, &case.signed_body(body.as_bytes())?)
    };
    let (one, two) = (long('1')?, long('2')?);
    assert_ne!(one.dedupe_key, two.dedupe_key);
    for text in [&one.dedupe_key, &one.kind, one.event_id.as_ref().ok_or("an id")?] {
        assert!((1..=256).contains(&text.len()), "{}", text.len());
    }
    let nul = first(&case, &case.signed_body(br#"{"id":"a\u0000b","type":"c\u0000"}"#)?)?;
    assert!(![&nul.dedupe_key, &nul.kind].iter().any(|text| text.contains('\0')));

    // More elements than anybody sends: kept whole, not split.
    let case = case_of("hubspot")?;
    let many = format!("[{}]", vec!["0"; 1_001].join(","));
    let signed = case.signed_body(many.as_bytes())?;
    assert!(matches!(case.prepared()?.receive(&signed.request(), now()), Found::Unparsable(_)));
    let most = format!("[{}]", vec!["0"; 1_000].join(","));
    assert_eq!(genuine(&case, &case.signed_body(most.as_bytes())?)?.items.len(), 1_000);
    Ok(())
}

fn forms() -> Outcome {
    let case = case_of("slack")?;
    let signed = case.signed_body(b"token=x&command=%2Fdeploy&text=now")?;
    let signed = with(signed, &[("content-type", "application/x-www-form-urlencoded")])?;
    let item = first(&case, &signed)?;

    assert_eq!(item.kind, "/deploy");
    assert!(item.dedupe_key.starts_with("hash:"));
    assert_eq!(item.body, 0..signed.body.len());
    Ok(())
}

fn with(mut signed: SignedRequest, headers: &[(&str, &str)]) -> Outcome<SignedRequest> {
    for (name, value) in headers {
        signed.headers.insert(HeaderName::try_from(*name)?, HeaderValue::from_str(value)?);
    }
    Ok(signed)
}

fn genuine(case: &Case, signed: &SignedRequest) -> Outcome<Genuine> {
    match case.prepared()?.receive(&signed.request(), now()) {
        Found::Genuine(genuine) => Ok(genuine),
        other => Err(format!("{}: {other:?}", case.name).into()),
    }
}

fn first(case: &Case, signed: &SignedRequest) -> Outcome<Item> {
    genuine(case, signed)?.items.into_iter().next().ok_or_else(|| "an item".into())
}
