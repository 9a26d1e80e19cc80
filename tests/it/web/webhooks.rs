//! `/webhooks`, `/defaults` and `/event_types`.

use http::{Method, StatusCode};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{House, Told, house, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_webhook_is_created_with_everything_and_shown_without_secrets", everything),
        story("what_is_shown_can_be_sent_back", sent_back),
        story("a_change_names_the_version_it_was_made_from", versions),
        story("what_is_left_out_stays_and_null_clears", changes),
        story("a_webhook_is_paused_disabled_and_deleted", switched),
        story("a_secret_is_rotated_and_shown_once", rotated),
        story("a_test_answers_what_came_of_it", tested),
        story("a_diagnosis_says_why_nothing_arrives", diagnosed),
        story("everything_wrong_with_a_webhook_is_said_at_once", wrong),
        story("defaults_are_read_and_changed", defaults),
        story("event_types_are_listed_with_their_schemas", types),
    ]
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn full() -> Value {
    json!({
        "url": "https://erp.example.com/hooks",
        "events": ["order.*"],
        "name": "ERP",
        "owner": "merchant-7",
        "channels": ["eu"],
        "format": {"kind": "flat", "fields": {"event_id": "id", "timestamp": "at", "event_type": "type"},
                   "time": {"zone": "+02:00", "pattern": "%Y-%m-%d %H:%M:%S%:z"}},
        "schemes": [{"kind": "standard"},
                    {"kind": "hmac", "header": "x-acme-signature", "prefix": "sha256=", "encoding": "base64",
                     "template": "{timestamp}.{body}", "timestamp_header": "x-acme-timestamp", "key_use": "decoded"}],
        "secret": SECRET,
        "auth": {"kind": "basic", "username": "crossdock", "password": "correct horse"},
        "headers": [{"name": "x-shop", "value": "7"}],
        "retry": {"delays": [5, 30.5]},
        "timeout": 10,
        "rate_limit": {"per_second": 5, "burst": 10},
        "max_in_flight": 4,
        "ordering": {"by": "by_key", "on_exhausted": "stop"},
        "destinations": ["198.51.100.0/24"],
        "metadata": {"team": "logistics"},
    })
}

/// Creates a webhook and answers its path.
async fn made(house: &House, body: Value) -> String {
    let made = house.post("/webhooks", body).await.expect(StatusCode::CREATED);
    format!("/webhooks/{}", made["webhook"]["id"].as_str().expect("an id"))
}

async fn change(house: &House, path: &str, etag: &str, body: Value) -> super::Answered {
    house.ask_with("acme", Method::PATCH, path, &[("if-match", etag)], Some(body)).await
}

async fn everything() -> Told {
    let house = house()?;

    let answer = house.post("/webhooks", full()).await;

    assert_eq!((answer.header("etag"), answer.header("cache-control")), (Some("\"1\""), Some("no-store")));
    let made = answer.expect(StatusCode::CREATED);
    assert_eq!(made["secret"], SECRET);
    let shown = house.get(&format!("/webhooks/{}", made["webhook"]["id"].as_str().ok_or("an id")?)).await;
    let text = String::from_utf8(shown.body.to_vec())?;
    assert!(!text.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") && !text.contains("horse"), "{text}");
    let mut shown = shown.expect(StatusCode::OK);
    assert_eq!(shown["auth"], json!({"kind": "basic", "username": "crossdock", "has_password": true}));
    assert_eq!(shown["health"]["failed_deliveries"], 0);
    assert_eq!(shown["backlog"]["undelivered"], 0);
    let fields = shown.as_object_mut().ok_or("an object")?;
    fields.remove("health");
    fields.remove("backlog");
    assert_eq!(shown, made["webhook"]);
    for field in [
        "url",
        "events",
        "name",
        "owner",
        "channels",
        "format",
        "schemes",
        "headers",
        "ordering",
        "destinations",
        "metadata",
        "max_in_flight",
    ] {
        assert_eq!(shown[field], full()[field], "{field}");
    }
    assert_eq!(shown["retry"], json!({"delays": [5.0, 30.5]}));
    assert_eq!((&shown["timeout"], &shown["state"]), (&json!(10.0), &json!("active")));
    Ok(())
}

async fn sent_back() -> Told {
    let house = house()?;
    for format in [
        json!({"kind": "standard"}),
        json!({"kind": "standard", "type_field": "kind"}),
        json!({"kind": "cloud_events", "source": "https://example.com", "type_prefix": "com.example."}),
        json!({"kind": "cloud_events_binary", "source": "/shop"}),
        json!({"kind": "flat"}),
        json!({"kind": "flat", "time": {"zone": "none"}}),
    ] {
        for retry in [json!({"delays": []}), json!({"exponential": {"first": 1, "cap": 60, "retries": 5}})] {
            let mut body = full();
            (body["format"], body["retry"]) = (format.clone(), retry);
            body["schemes"] = json!([{"kind": "hmac", "header": "x-s",
                "list": {"timestamp": "t", "signature": "v1", "separator": ","}, "template": "{timestamp}.{body}"}]);
            let path = made(&house, body).await;
            let shown = house.get(&path).await.expect(StatusCode::OK);
            let mut again = serde_json::Map::new();
            for field in [
                "url",
                "events",
                "name",
                "owner",
                "channels",
                "format",
                "schemes",
                "headers",
                "retry",
                "timeout",
                "rate_limit",
                "max_in_flight",
                "ordering",
                "destinations",
                "metadata",
            ] {
                again.insert(field.to_owned(), shown[field].clone());
            }

            let after = change(&house, &path, "\"1\"", again.into()).await.expect(StatusCode::OK);

            for field in ["format", "schemes", "retry", "timeout", "ordering", "version"] {
                assert_eq!(after[field], shown[field], "{field} of {format}");
            }
        }
    }
    Ok(())
}

async fn versions() -> Told {
    let house = house()?;
    let path = made(&house, full()).await;
    let body = json!({"name": "Other"});

    let blind = house.ask("acme", Method::PATCH, &path, Some(body.clone())).await;
    assert_eq!(blind.refused(428), ["if-match"]);
    for tag in ["\"2\"", "W/\"1\"", "\"x\"", "1", "\"\"", "\"+1\"", "", "\"0\", \"7\""] {
        assert_eq!(change(&house, &path, tag, body.clone()).await.refused(412), ["if-match"], "{tag}");
    }
    let changed = change(&house, &path, "\"7\", \"1\"", body.clone()).await;
    assert_eq!(changed.header("etag"), Some("\"2\""));
    assert_eq!(changed.expect(StatusCode::OK)["name"], "Other");
    assert_eq!(change(&house, &path, "\"1\"", body).await.refused(412), ["if-match"]);
    let changed = change(&house, &path, "*", json!({"name": "Third"})).await;
    assert_eq!(changed.header("etag"), Some("\"3\""));
    Ok(())
}

async fn changes() -> Told {
    let house = house()?;
    let path = made(&house, full()).await;

    let shown = change(
        &house,
        &path,
        "*",
        json!({"name": null, "owner": null, "retry": null, "timeout": null, "rate_limit": null,
               "max_in_flight": null, "ordering": null, "auth": null, "channels": [], "destinations": []}),
    )
    .await
    .expect(StatusCode::OK);

    for field in ["owner", "retry", "timeout", "rate_limit", "max_in_flight", "ordering", "auth"] {
        assert_eq!(shown[field], Value::Null, "{field}");
    }
    assert_eq!(shown["name"], "erp.example.com");
    assert_eq!((&shown["url"], &shown["has_secret"]), (&full()["url"], &json!(true)), "left out");
    for field in ["url", "events", "channels", "format", "schemes", "headers", "destinations", "metadata"] {
        assert_eq!(change(&house, &path, "*", json!({field: null})).await.refused(400), [field]);
    }
    for field in ["id", "version", "state", "has_secret", "tenant"] {
        assert_eq!(change(&house, &path, "*", json!({field: "x"})).await.refused(400), [field]);
    }
    let unsigned = change(&house, &path, "*", json!({"schemes": [], "secret": null})).await;
    assert_eq!(unsigned.expect(StatusCode::OK)["has_secret"], false);
    Ok(())
}

async fn switched() -> Told {
    let house = house()?;
    let path = made(&house, full()).await;
    let act = async |verb: &str| house.ask("acme", Method::POST, &format!("{path}/{verb}"), None).await;

    for (verb, state) in
        [("pause", "paused"), ("resume", "active"), ("disable", "disabled"), ("enable", "active")]
    {
        assert_eq!(act(verb).await.expect(StatusCode::OK)["state"], state);
    }
    act("disable").await;
    let shown = house.get(&path).await.expect(StatusCode::OK);
    assert_eq!(shown["disabled_because"], "by_person");
    let released = house.post(&format!("{path}/release"), json!({"head": "skip"})).await;
    assert_eq!(released.expect(StatusCode::OK), json!({"released": 0}));
    assert_eq!(house.post(&format!("{path}/release"), json!({"head": "x"})).await.refused(400), ["head"]);
    let deleted = house.ask("acme", Method::DELETE, &path, None).await;
    assert_eq!((deleted.status, deleted.body.len()), (StatusCode::NO_CONTENT, 0));
    assert_eq!(house.get(&path).await.refused(404), [""; 0]);
    assert_eq!(house.ask("acme", Method::DELETE, &path, None).await.refused(404), [""; 0]);
    let inactive = json!({"url": "https://a.example.com/", "events": ["*"], "active": false});
    let made = house.post("/webhooks", inactive).await.expect(StatusCode::CREATED);
    assert_eq!(made["webhook"]["state"], "disabled");
    Ok(())
}

async fn rotated() -> Told {
    let house = house()?;
    let path = format!("{}/rotate", made(&house, full()).await);

    let made = house.ask("acme", Method::POST, &path, None).await;

    assert_eq!(made.header("etag"), Some("\"2\""));
    let made = made.expect(StatusCode::CREATED);
    assert!(made["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_") && secret != SECRET));
    assert_eq!(made["webhook"]["secrets"].as_array().map(Vec::len), Some(2));
    assert_eq!(house.post(&path, json!({"overlap": 604_801})).await.refused(422), ["overlap"]);
    assert_eq!(house.post(&path, json!({"overlap": -1})).await.refused(422), ["overlap"]);
    let short = house.post(&path, json!({"secret": "hunter2"})).await;
    assert!(!String::from_utf8_lossy(&short.body).contains("hunter2"));
    assert_eq!(short.refused(422), ["secret"]);
    let unfit = house.post(&path, json!({"secret": ["whsec_hunter2"]})).await;
    assert!(!String::from_utf8_lossy(&unfit.body).contains("hunter2"));
    assert_eq!(unfit.refused(400), ["secret"]);
    Ok(())
}

async fn tested() -> Told {
    let house = house()?;
    let path =
        format!("{}/test", made(&house, json!({"url": "https://a.example.com/", "events": ["*"]})).await);
    let bad = json!({"url": "https://refuses.example.com/", "events": ["*"]});
    let refusing = format!("{}/test", made(&house, bad).await);

    let taken = house.post(&path, json!({"event_type": "order.placed"})).await.expect(StatusCode::OK);
    assert_eq!((&taken["verdict"], &taken["attempt"]["status"]), (&json!("delivered"), &json!(204)));
    let signature = |header: &Value| header["name"] == "webhook-signature";
    let headers = taken["attempt"]["request_headers"].as_array().ok_or("headers")?;
    assert!(headers.iter().any(signature), "{headers:?}");
    let own = json!({"event_type": "order.placed", "payload": {"order": "B-1"}});
    assert_eq!(house.post(&path, own).await.expect(StatusCode::OK)["verdict"], "delivered");
    let refused = house.post(&refusing, json!({"event_type": "order.placed"})).await.expect(StatusCode::OK);
    assert_eq!((&refused["verdict"], &refused["attempt"]["response_body"]), (&json!("retry"), &json!("no")));
    assert_eq!(refused["attempt"]["error"], "status");
    for (body, fields) in [
        (json!({"event_type": "order.plaecd"}), &["event_type"][..]),
        (json!({"event_type": "forecast.published"}), &["event_type"]),
        (json!({"event_type": "order.placed", "payload": {"order": 7}}), &["payload/order"]),
    ] {
        assert_eq!(house.post(&path, body.clone()).await.refused(422), fields, "{body}");
    }
    Ok(())
}

async fn diagnosed() -> Told {
    let house = house()?;
    let path = made(&house, json!({"url": "https://refuses.example.com/", "events": ["order.placed"]})).await;
    let quiet = house.get(&format!("{path}/diagnosis")).await.expect(StatusCode::OK);
    assert_eq!(quiet["findings"][0]["cause"], "nothing_published");
    let other = house.get(&format!("{path}/diagnosis?event_type=order.paid")).await.expect(StatusCode::OK);
    assert_eq!(
        (&other["findings"][0]["cause"], &other["findings"][0]["reason"]),
        (&json!("not_heard"), &json!("not_subscribed"))
    );

    house.publish("acme").await?;
    house.work().await;

    let failing = house.get(&format!("{path}/diagnosis")).await.expect(StatusCode::OK);
    let found = &failing["findings"][0];
    assert_eq!((&found["cause"], &found["status"]), (&json!("receiver_fails"), &json!(500)));
    assert_eq!(failing["last_attempt"]["status"], 500);
    assert_eq!(house.get(&format!("{path}/diagnosis?event=evt_x")).await.refused(400), ["event"]);
    assert_eq!(house.get(&format!("{path}/diagnosis?event_type=%20")).await.refused(422), ["event_type"]);
    let both = format!("{path}/diagnosis?event_type=order.paid&event=evt_00000000000000000000000007");
    assert_eq!(house.get(&both).await.refused(400), ["event_type"]);
    Ok(())
}

async fn wrong() -> Told {
    let house = house()?;
    let refused = async |change: Value, status: u16| {
        let mut body = json!({"url": "https://a.example.com/", "events": ["*"]});
        for (field, value) in change.as_object().expect("an object") {
            body[field] = value.clone();
        }
        house.post("/webhooks", body).await.refused(status)
    };

    assert_eq!(
        refused(json!({"url": "http://127.0.0.1/", "events": ["nothing.like.it"]}), 422).await,
        ["url", "events[0]"]
    );
    assert_eq!(refused(json!({"retry": {}}), 422).await, ["retry"]);
    assert_eq!(
        refused(json!({"retry": {"delays": [1], "exponential": {"first": 1, "cap": 1, "retries": 1}}}), 422)
            .await,
        ["retry"]
    );
    assert_eq!(
        refused(json!({"retry": {"delays": [1, -1, 1e9]}}), 422).await,
        ["retry.delays[1]", "retry.delays[2]"]
    );
    assert_eq!(
        refused(json!({"retry": {"exponential": {"first": 1, "cap": 1, "retries": 101}}}), 422).await,
        ["retry.exponential"]
    );
    assert_eq!(refused(json!({"timeout": 1e300}), 422).await, ["timeout"]);
    assert_eq!(refused(json!({"timeout": 0.1, "max_in_flight": 0}), 422).await, ["timeout", "max_in_flight"]);
    assert_eq!(
        refused(json!({"auth": {"kind": "bearer", "username": "x"}}), 422).await,
        ["auth.username", "auth.token"]
    );
    assert_eq!(refused(json!({"auth": {"kind": "headers"}}), 422).await, ["auth.headers"]);
    assert_eq!(refused(json!({"format": {"kind": "standard", "source": "x"}}), 422).await, ["format.source"]);
    assert_eq!(refused(json!({"format": {"kind": "cloud_events"}}), 422).await, ["format.source"]);
    assert_eq!(
        refused(json!({"format": {"kind": "flat", "time": {"zone": "Berlin"}}}), 422).await,
        ["format.time.zone"]
    );
    assert_eq!(refused(json!({"schemes": [{"kind": "standard", "header": "x"}]}), 422).await, ["schemes[0]"]);
    assert_eq!(
        refused(json!({"schemes": [{"kind": "standard"}, {"kind": "hmac"}]}), 422).await,
        ["schemes[1]"]
    );
    assert_eq!(
        refused(json!({"schemes": [{"kind": "hmac", "header": "x-a", "template": "{bdy}"}]}), 422).await,
        ["schemes[0]"]
    );
    assert_eq!(refused(json!({"format": {"kind": "xml"}}), 400).await, ["format.kind"]);
    assert_eq!(refused(json!({"headers": [{"name": "a"}]}), 400).await, ["headers[0].value"]);
    assert_eq!(refused(json!({"webhook": 1}), 400).await, ["webhook"]);
    assert_eq!(refused(json!({"events": "order.*"}), 400).await, ["events"]);
    Ok(())
}

async fn defaults() -> Told {
    let house = house()?;
    let read = house.get("/defaults").await;
    assert_eq!(read.header("etag"), Some("\"0\""));
    assert_eq!(read.expect(StatusCode::OK)["auth"], Value::Null);
    let body = json!({"auth": {"kind": "bearer", "token": "s3cret-token"}, "auth_hosts": ["erp.example.com"],
                      "retry": {"delays": [60]}, "timeout": 15});
    let blind = house.ask("acme", Method::PATCH, "/defaults", Some(body.clone())).await;
    assert_eq!(blind.refused(428), ["if-match"]);
    assert_eq!(change(&house, "/defaults", "\"3\"", body.clone()).await.refused(412), ["if-match"]);

    let changed = change(&house, "/defaults", "\"0\"", body).await;

    assert_eq!(changed.header("etag"), Some("\"1\""));
    assert!(!String::from_utf8_lossy(&changed.body).contains("s3cret"));
    assert_eq!(
        changed.expect(StatusCode::OK),
        json!({"version": 1, "auth": {"kind": "bearer"}, "auth_hosts": ["erp.example.com"],
               "retry": {"delays": [60.0]}, "timeout": 15.0})
    );
    assert_eq!(change(&house, "/defaults", "*", json!({"auth_hosts": ["*"]})).await.refused(422), ["auth"]);
    let all = json!({"auth_hosts": ["*"], "auth": {"kind": "bearer", "token": "other"}});
    assert_eq!(
        change(&house, "/defaults", "*", all).await.expect(StatusCode::OK)["auth_hosts"],
        json!(["*"])
    );
    let cleared =
        change(&house, "/defaults", "*", json!({"auth": null, "retry": null, "timeout": null})).await;
    let cleared = cleared.expect(StatusCode::OK);
    assert_eq!(
        (&cleared["auth"], &cleared["auth_hosts"], &cleared["retry"]),
        (&Value::Null, &json!([]), &Value::Null)
    );
    assert_eq!(change(&house, "/defaults", "*", json!({"timeout": "1"})).await.refused(400), ["timeout"]);
    Ok(())
}

async fn types() -> Told {
    let house = house()?;
    let listed = house.get("/event_types").await.expect(StatusCode::OK);
    let mut names: Vec<_> =
        listed["items"].as_array().ok_or("a list")?.iter().map(|one| one["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, [Some("order.paid"), Some("order.placed")], "what is gated is not shown");
    let read = house.get("/event_types/order.placed").await.expect(StatusCode::OK);
    assert_eq!((&read["group"], &read["example"]), (&json!("Orders"), &json!({"order": "A-7"})));
    let schema = house.get("/event_types/order.placed/schema").await;
    assert_eq!(schema.header("content-type"), Some("application/schema+json"));
    assert_eq!(schema.expect(StatusCode::OK), read["schema"]);
    for path in [
        "/event_types/order.paid/schema",
        "/event_types/forecast.published",
        "/event_types/forecast.published/schema",
        "/event_types/x",
        "/event_types/%ff",
    ] {
        assert_eq!(house.get(path).await.refused(404), [""; 0], "{path}");
    }
    Ok(())
}
