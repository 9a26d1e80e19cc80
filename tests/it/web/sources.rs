//! Sources and what they have received, over HTTP.

use http::{Method, StatusCode};
use libtest_mimic::Trial;
use serde_json::json;

use super::{HUSH, Told, house, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_source_is_made_changed_switched_and_deleted", life),
        story("a_sources_secret_stands_in_the_answer_that_makes_it_alone", secrets),
        story("what_is_wrong_with_a_source_is_named_and_not_repeated", refusals),
        story("what_was_received_is_listed_read_and_replayed", received),
    ]
}

async fn life() -> Told {
    let house = house()?;
    let (source, _) = house.source("acme", "ord_1").await?;
    let path = format!("/sources/{source}");

    let read = house.get(&path).await;
    assert_eq!(read.header("etag"), Some("\"1\""));
    let shape = read.expect(StatusCode::OK);
    assert_eq!((&shape["name"], &shape["state"]), (&json!("shop"), &json!("active")));
    assert_eq!(shape["scheme"]["check"]["signature"]["at"], "header:x-signature");
    let change = json!({"title": "Our shop", "body_cap": 64, "reject_status": 403});
    let blind = house.ask("acme", Method::PATCH, &path, Some(change.clone())).await;
    assert_eq!(blind.refused(428), ["if-match"]);
    let change = house.ask_with("acme", Method::PATCH, &path, &[("if-match", "\"1\"")], Some(change)).await;
    assert_eq!(change.header("etag"), Some("\"2\""));
    assert_eq!(change.expect(StatusCode::OK)["title"], "Our shop");
    let late = house.ask_with("acme", Method::PATCH, &path, &[("if-match", "\"1\"")], Some(json!({}))).await;
    assert_eq!(late.refused(412), ["if-match"]);
    assert_eq!(house.receive(&source, "a_name_that_makes_the_body_long").await?, 413);
    let cleared = json!({"body_cap": null, "reject_status": null});
    let cleared = house.ask_with("acme", Method::PATCH, &path, &[("if-match", "*")], Some(cleared)).await;
    assert!(cleared.expect(StatusCode::OK)["body_cap"].is_null());

    let off = house.post(&format!("{path}/switch"), json!({"state": "not_implemented"})).await;
    assert_eq!(off.expect(StatusCode::OK)["state"], "not_implemented");
    assert_eq!(house.receive(&source, "ord_2").await?, 501);
    house.post(&format!("{path}/switch"), json!({"state": "active"})).await.expect(StatusCode::OK);
    assert_eq!(house.receive(&source, "ord_2").await?, 200);
    let deleted = house.ask("acme", Method::DELETE, &path, None).await;
    assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
    assert_eq!(house.get(&path).await.status, 404);
    assert_eq!(house.receive(&source, "ord_3").await?, 404);
    let kept = house.get(&format!("/received?source={source}")).await.expect(StatusCode::OK);
    assert_eq!(kept["items"].as_array().map(Vec::len), Some(2));
    Ok(())
}

async fn secrets() -> Told {
    let house = house()?;
    let made = house.post("/sources", json!({"name": "erp", "preset": "generic"})).await;
    let made = made.expect(StatusCode::CREATED);
    let secret = made["secret"].as_str().ok_or("a secret")?.to_owned();
    assert_eq!(secret.len(), 64);
    let id = made["source"]["id"].as_str().ok_or("an id")?.to_owned();
    let given = json!({"name": "shop", "preset": "generic", "secret": HUSH});
    let given = house.post("/sources", given).await.expect(StatusCode::CREATED);
    assert!(given["secret"].is_null());

    let rotated = house.post(&format!("/sources/{id}/rotate"), json!({"overlap": 60})).await;
    let rotated = rotated.expect(StatusCode::CREATED);
    let second = rotated["secret"].as_str().ok_or("a secret")?.to_owned();
    assert_ne!(secret, second);
    assert_eq!(rotated["source"]["secrets"].as_array().map(Vec::len), Some(2));

    for path in ["/sources", &format!("/sources/{id}"), "/activity", "/received"] {
        let text = String::from_utf8_lossy(&house.get(path).await.body).into_owned();
        for hidden in [&secret, &second, HUSH] {
            assert!(!text.contains(hidden), "{path}");
        }
    }
    Ok(())
}

async fn refusals() -> Told {
    let house = house()?;
    const CANARY: &str = "whsec_hunter2-canary";
    for (body, status, fields) in [
        (json!({"name": "x"}), 422, &["preset"][..]),
        (json!({"name": "x", "preset": CANARY}), 422, &["preset"]),
        (json!({"name": "x", "preset": "generic", "scheme": {}}), 422, &["scheme"]),
        (json!({"name": "x", "scheme": {"check": CANARY}}), 422, &["scheme.check"]),
        (json!({"name": "x", "preset": "discord"}), 422, &["secret"]),
        (
            json!({"name": CANARY.to_uppercase(), "preset": "generic", "body_cap": 0}),
            422,
            &["body_cap", "name"],
        ),
        (json!({"name": "x", "preset": "generic", "secrets": CANARY}), 400, &["secrets"]),
        (json!({"name": "x", "preset": "standard_webhooks", "secret": "not base64!"}), 422, &["secrets"]),
    ] {
        let answer = house.post("/sources", body.clone()).await;
        let found = answer.refused(status);
        assert!(found.len() >= fields.len() && found[0].starts_with(fields[0]), "{body}: {found:?}");
        assert!(!String::from_utf8_lossy(&answer.body).to_lowercase().contains("canary"), "{body}");
    }
    assert_eq!(house.get("/sources").await.expect(StatusCode::OK), json!({"items": []}));
    let member = http::Request::post(format!("{}/sources", super::MOUNT))
        .header("x-session", "acme/grace/member")
        .header("content-type", "application/json")
        .body(axum::body::Body::from(r#"{"name":"x","preset":"generic"}"#))?;
    assert_eq!(house.send(member).await.status, 403);
    Ok(())
}

async fn received() -> Told {
    let house = house()?;
    let (source, first) = house.source("acme", "ord_1").await?;
    for event in ["ord_2", "ord_3", "ord_2"] {
        house.tick();
        assert_eq!(house.receive(&source, event).await?, 200);
    }

    let page = house.get("/received?limit=2").await.expect(StatusCode::OK);
    let next = page["next"].as_str().ok_or("another page")?;
    assert_eq!(
        (&page["items"][0]["event_id"], &page["items"][1]["duplicates"]),
        (&json!("ord_3"), &json!(1))
    );
    assert!(page["items"][0].get("body").is_none());
    let rest = house.get(&format!("/received?limit=2&after={next}")).await.expect(StatusCode::OK);
    assert_eq!((&rest["items"][0]["id"], rest.get("next")), (&json!(first), None));
    for (query, expected) in [
        ("kind=order.*", 3),
        ("kind=invoice.*", 0),
        ("status=done,dead", 0),
        ("status=pending", 3),
        ("from=2100-01-01T00:00:00Z", 0),
        ("to=2100-01-01T00:00:00Z", 3),
    ] {
        let found = house.get(&format!("/received?{query}")).await.expect(StatusCode::OK);
        assert_eq!(found["items"].as_array().map(Vec::len), Some(expected), "{query}");
    }
    assert_eq!(house.get("/received?source=shop").await.refused(400), ["source"]);
    assert_eq!(house.get("/received?status=lost").await.refused(400), ["status"]);
    let read = house.get(&format!("/received/{first}")).await.expect(StatusCode::OK);
    assert_eq!(read["body"], r#"{"id":"ord_1","type":"order.made","number":9007199254740993}"#);

    // What is pending is on its way already.
    assert_eq!(house.post(&format!("/received/{first}/replay"), json!({})).await.status, 404);
    house.hub.inbound_worker().run_until_idle().await;
    assert_eq!(house.get(&format!("/received/{first}")).await.expect(StatusCode::OK)["status"], "ignored");
    let again = house.post(&format!("/received/{first}/replay"), json!({})).await.expect(StatusCode::OK);
    assert_eq!(again["status"], "pending");
    let all = json!({"source": source, "statuses": ["ignored"], "limit": 1});
    let step = house.post("/received/replay", all).await.expect(StatusCode::OK);
    assert_eq!(step["replayed"], 1);
    let everything = house.post("/received/replay", json!({"source": source})).await;
    assert_eq!(everything.refused(400), ["statuses"]);
    let pending = house.get("/received?status=pending").await.expect(StatusCode::OK);
    assert_eq!(pending["items"].as_array().map(Vec::len), Some(2));
    Ok(())
}
