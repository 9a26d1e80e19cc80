//! `/keys`, from creation to the end, and what is refused.

use crossdock::web::Authentication;
use crossdock::web::tower::PeerAddress;
use http::{Method, Request, StatusCode};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

use super::{House, Told, house, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_key_is_made_shown_once_used_and_revoked", life),
        story("a_key_is_regenerated_with_a_grace", regenerated),
        story("keys_are_listed_by_status_in_pages", listed),
        story("everything_wrong_with_a_new_key_is_said_at_once", wrong),
        story("a_leaked_token_revokes_its_key_and_tells_nothing_of_others", leaked),
        story("members_look_and_do_not_change_and_those_above_do_neither", access),
    ]
}

fn wanted() -> Value {
    json!({
        "name": "ERP",
        "permissions": ["read"],
        "scopes": ["orders:write"],
        "networks": ["203.0.113.0/24"],
        "rate": {"calls": 600, "seconds": 60, "burst": 50},
        "max_uses": 1000,
    })
}

/// Calls the host's API with a token.
async fn call(house: &House, token: &str) -> u16 {
    let hello = service_fn(async |_: Request<bytes::Bytes>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(bytes::Bytes::new()))
    });
    let request = Request::get("/orders")
        .header("authorization", format!("Bearer {token}"))
        .extension(PeerAddress([203, 0, 113, 9].into()))
        .body(bytes::Bytes::new())
        .expect("a request");
    let service = Authentication::new(&house.hub).layer(hello);
    service.oneshot(request).await.expect("infallible").status().as_u16()
}

async fn life() -> Told {
    let house = house()?;
    let made = house.post("/keys", wanted()).await;
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let made = made.expect(StatusCode::CREATED);
    let (id, token) = (made["key"]["id"].as_str().ok_or("an id")?, made["token"].as_str().ok_or("a token")?);
    assert!(token.starts_with("cd_live_"));
    assert_eq!(made["key"]["status"], "active");
    assert_eq!(made["key"]["scopes"], json!(["orders:write"]));
    assert_eq!(made["key"]["rate"], json!({"calls": 600, "seconds": 60.0, "burst": 50}));

    assert_eq!(call(&house, token).await, 200);

    let path = format!("/keys/{id}");
    let shown = house.get(&path).await;
    assert!(!String::from_utf8_lossy(&shown.body).contains(token), "a token is shown once");
    let shown = shown.expect(StatusCode::OK);
    assert_eq!(shown["last_use"]["address"], "203.0.113.9");
    assert_eq!(shown["usage"][0]["outcomes"], json!({"allowed": 1}));
    assert_eq!(shown["created_by"], "ada");

    let act = async |verb: &str| house.ask("acme", Method::POST, &format!("{path}/{verb}"), None).await;
    assert_eq!(act("disable").await.expect(StatusCode::OK)["status"], "disabled");
    assert_eq!(call(&house, token).await, 401);
    assert_eq!(act("enable").await.expect(StatusCode::OK)["status"], "active");
    assert_eq!(call(&house, token).await, 200);
    house.clock.advance(std::time::Duration::from_secs(1));
    let revoked = house.post(&format!("{path}/revoke"), json!({"reason": "Ada has left"})).await;
    assert_eq!(revoked.expect(StatusCode::OK)["revoked_because"], "Ada has left");
    assert_eq!(call(&house, token).await, 401);
    assert_eq!(act("enable").await.refused(409), ["state"]);

    let refusals = house.get(&format!("{path}/refusals")).await.expect(StatusCode::OK);
    let reasons: Vec<_> =
        refusals["items"].as_array().ok_or("a list")?.iter().map(|one| &one["reason"]).collect();
    assert_eq!(reasons, ["revoked", "disabled"]);
    Ok(())
}

async fn regenerated() -> Told {
    let house = house()?;
    let made = house.post("/keys", wanted()).await.expect(StatusCode::CREATED);
    let path = format!("/keys/{}/regenerate", made["key"]["id"].as_str().ok_or("an id")?);

    let next = house.post(&path, json!({"grace": 3600})).await.expect(StatusCode::CREATED);

    assert_ne!(next["token"], made["token"]);
    assert_eq!(next["key"]["scopes"], made["key"]["scopes"]);
    let old = house.get(&format!("/keys/{}", made["key"]["id"].as_str().ok_or("an id")?)).await;
    let old = old.expect(StatusCode::OK);
    assert_eq!((&old["status"], &old["successor"]["id"]), (&json!("rotating"), &next["key"]["id"]));
    assert_eq!(house.post(&path, json!({})).await.refused(409), ["key"]);
    let path = format!("/keys/{}/regenerate", next["key"]["id"].as_str().ok_or("an id")?);
    assert_eq!(house.post(&path, json!({"grace": 2_592_001})).await.refused(422), ["grace"]);
    assert_eq!(house.post(&path, json!({"grace": -1})).await.refused(422), ["grace"]);
    // Without a body everything is as usual.
    assert_eq!(house.ask("acme", Method::POST, &path, None).await.status, StatusCode::CREATED);
    Ok(())
}

async fn listed() -> Told {
    let house = house()?;
    for _ in 0..5 {
        house.tick();
        house.post("/keys", wanted()).await.expect(StatusCode::CREATED);
    }
    let mut seen = Vec::new();
    let mut path = "/keys?limit=2".to_owned();
    loop {
        let page = house.get(&path).await.expect(StatusCode::OK);
        let items = page["items"].as_array().ok_or("a list")?;
        seen.extend(items.iter().map(|key| key["id"].as_str().unwrap_or_default().to_owned()));
        match page["next"].as_str() {
            Some(next) => path = format!("/keys?limit=2&after={next}"),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (5, &sorted), "newest first, each once");

    house.ask("acme", Method::POST, &format!("/keys/{}/disable", seen[0]), None).await.expect(StatusCode::OK);
    let count = async |query: &str| -> usize {
        let page = house.get(&format!("/keys?{query}")).await.expect(StatusCode::OK);
        page["items"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(count("status=disabled").await, 1);
    assert_eq!(count("status=active,disabled").await, 5);
    assert_eq!(count("status=revoked").await, 0);
    assert_eq!(count("unused_since=2100-01-01T00:00:00Z").await, 5);
    assert_eq!(count("unused_since=1900-01-01T00:00:00%2B01:00").await, 0);
    Ok(())
}

async fn wrong() -> Told {
    let house = house()?;
    let everything = json!({
        "name": " ",
        "scopes": ["orders:fly", "planes:read"],
        "networks": ["10.0.0.5/8"],
        "expires_at": "1970-01-01T00:00:00Z",
        "max_uses": 0,
    });
    assert_eq!(
        house.post("/keys", everything).await.refused(422),
        ["name", "scopes[0]", "scopes[1]", "networks[0]", "max_uses", "expires_at"]
    );
    let rates = json!({
        "name": "ERP", "permissions": ["read"],
        "rate": {"calls": 0, "seconds": 1},
        "address_rate": {"calls": 1, "seconds": -1},
    });
    assert_eq!(house.post("/keys", rates).await.refused(422), ["rate", "address_rate.seconds"]);
    let nothing = json!({"name": "ERP"});
    assert_eq!(house.post("/keys", nothing).await.refused(422), ["permissions"]);
    for (body, field) in [
        (json!({"name": "ERP", "permissions": ["fly"]}), "permissions[0]"),
        (json!({"name": "ERP", "permissions": "read"}), "permissions"),
        (json!({"permissions": ["read"]}), "name"),
        (json!({"name": "ERP", "tenant": "rival"}), "tenant"),
        (json!({"name": "ERP", "rate": {"calls": 1, "seconds": 1, "per": 1}}), "rate.per"),
        (json!({"name": "ERP", "expires_at": "tomorrow"}), "expires_at"),
        (json!({"name": "ERP", "max_uses": -1}), "max_uses"),
    ] {
        assert_eq!(house.post("/keys", body.clone()).await.refused(400), [field], "{body}");
    }
    Ok(())
}

async fn leaked() -> Told {
    let house = house()?;
    let made = house.post("/keys", wanted()).await.expect(StatusCode::CREATED);
    let rival = house.ask("rival", Method::POST, "/keys", Some(wanted())).await.expect(StatusCode::CREATED);

    let known = house.post("/keys/leaks", json!({"token": made["token"]})).await.expect(StatusCode::OK);
    let others = house.post("/keys/leaks", json!({"token": rival["token"]})).await.expect(StatusCode::OK);
    let nobody = house.post("/keys/leaks", json!({"token": "garbage"})).await.expect(StatusCode::OK);

    assert_eq!(known, json!({"known": true, "key": made["key"]["id"], "revoked": true}));
    assert_eq!(others, nobody);
    assert_eq!(others, json!({"known": false, "key": null, "revoked": null}));
    assert_eq!(call(&house, made["token"].as_str().ok_or("a token")?).await, 401);
    Ok(())
}

async fn access() -> Told {
    let house = house()?;
    let as_role = async |role: &str, method: Method, body: Option<Value>| {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/keys", super::MOUNT))
            .header("x-session", format!("acme/grace/{role}"))
            .header("content-type", "application/json")
            .body(body.map_or_else(axum::body::Body::empty, |body| body.to_string().into()))
            .expect("a request");
        house.send(request).await
    };

    assert_eq!(as_role("member", Method::GET, None).await.status, StatusCode::OK);
    assert_eq!(as_role("member", Method::POST, Some(wanted())).await.refused(403), [""; 0]);
    assert_eq!(as_role("super", Method::GET, None).await.refused(403), [""; 0]);
    let nobody = Request::get(format!("{}/keys", super::MOUNT)).body(axum::body::Body::empty())?;
    assert_eq!(house.send(nobody).await.refused(401), [""; 0]);
    // Who asks is known before anything else is looked at.
    let nobody = Request::post(format!("{}/keys?x=y", super::MOUNT)).body("garbage".into())?;
    assert_eq!(house.send(nobody).await.refused(401), [""; 0]);
    Ok(())
}
