//! `/deliveries`, `/replays` and `/activity`.

use http::{Method, StatusCode};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{House, Told, house, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("deliveries_are_listed_read_and_resent", deliveries),
        story("deliveries_are_filtered", filtered),
        story("the_past_is_previewed_replayed_and_cancelled", replays),
        story("the_activity_log_says_who_did_what", activity),
    ]
}

/// Two webhooks, one of which refuses everything, and what became of three events.
async fn busy() -> Result<(House, String, String), Box<dyn std::error::Error>> {
    let house = house()?;
    let well = house.subscribe("https://well.example.com/").await;
    let refusing = house.subscribe("https://refuses.example.com/").await;
    for _ in 0..3 {
        house.tick();
        house.publish("acme").await?;
    }
    house.work().await;
    Ok((house, well, refusing))
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().map_or(&[], Vec::as_slice)
}

async fn deliveries() -> Told {
    let (house, well, _) = busy().await?;
    let page = house.get(&format!("/deliveries?webhook={well}&limit=2")).await.expect(StatusCode::OK);
    assert_eq!(items(&page).len(), 2);
    assert!(items(&page)[0].get("payload").is_none() && items(&page)[0].get("attempts").is_none());
    let next = page["next"].as_str().ok_or("a next page")?;
    let rest = house.get(&format!("/deliveries?webhook={well}&limit=2&after={next}")).await;
    assert_eq!(items(&rest.expect(StatusCode::OK)).len(), 1);
    let id = items(&page)[0]["id"].as_str().ok_or("an id")?.to_owned();

    let read = house.get(&format!("/deliveries/{id}")).await.expect(StatusCode::OK);
    assert_eq!((&read["status"], &read["payload"]), (&json!("delivered"), &json!({"order": "A-7"})));
    assert_eq!(read["attempts"][0]["status"], 204);
    let attempts = house.get(&format!("/deliveries/{id}/attempts")).await.expect(StatusCode::OK);
    assert_eq!(attempts["items"], read["attempts"]);

    let path = format!("/deliveries/{id}/resend");
    let resent = house.ask("acme", Method::POST, &path, None).await.expect(StatusCode::CREATED);
    assert_eq!((&resent["origin"], &resent["event"]), (&json!("resend"), &read["event"]));
    assert_ne!(resent["id"], read["id"]);
    house.ask("acme", Method::POST, &format!("/webhooks/{well}/disable"), None).await;
    assert_eq!(house.ask("acme", Method::POST, &path, None).await.refused(409), ["webhook"]);
    Ok(())
}

async fn filtered() -> Told {
    let (house, well, refusing) = busy().await?;
    let count = async |query: &str| {
        let page = house.get(&format!("/deliveries?{query}")).await.expect(StatusCode::OK);
        items(&page).len()
    };
    assert_eq!(count("").await, 6);
    assert_eq!(count("success=true").await, 3);
    assert_eq!(count("success=false").await, 3);
    assert_eq!(count(&format!("webhook={refusing}&status=pending")).await, 3);
    assert_eq!(count("status=delivered,pending").await, 6);
    assert_eq!(count("event_types=order.placed,order.paid").await, 6);
    assert_eq!(count("event_types=order.paid").await, 0);
    assert_eq!(count("from=2100-01-01T00:00:00Z").await, 0);
    assert_eq!(count("to=2100-01-01T00:00:00Z").await, 6);
    let page = house.get(&format!("/deliveries?webhook={well}&include=payload,attempts&limit=1")).await;
    let page = page.expect(StatusCode::OK);
    assert_eq!(items(&page)[0]["payload"], json!({"order": "A-7"}));
    assert_eq!(items(&page)[0]["attempts"][0]["number"], 1);
    let event = items(&page)[0]["event"].as_str().ok_or("an event")?;
    assert_eq!(count(&format!("event={event}")).await, 2);
    for (query, field) in [
        ("webhook=evt_00000000000000000000000007", "webhook"),
        ("event=x", "event"),
        ("status=lost", "status"),
        ("status=", "status"),
        ("include=secrets", "include"),
        ("success=yes", "success"),
        ("from=yesterday", "from"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=1&limit=2", "limit"),
        ("after=cur_00000000000000000000000007", "after"),
        ("after=keys_cur_00000000000000000000000007", "after"),
        ("after=deliveries_cur_x", "after"),
        ("after=", "after"),
        ("page=2", "page"),
    ] {
        assert_eq!(house.get(&format!("/deliveries?{query}")).await.refused(400), [field], "{query}");
    }
    let backwards = "/deliveries?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z";
    assert_eq!(house.get(backwards).await.refused(422), ["from"]);
    assert_eq!(
        house.get("/deliveries?event_types=order.placed,,").await.refused(422),
        ["event_types[1]", "event_types[2]"]
    );
    Ok(())
}

async fn replays() -> Told {
    let (house, well, _) = busy().await?;
    let wanted = json!({"webhook": well, "from": "1900-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z",
                        "statuses": ["delivered"], "rate": 50});
    let preview = house.post("/replays/preview", wanted.clone()).await;
    assert_eq!(preview.expect(StatusCode::OK), json!({"matched": 3}));

    let started = house.post("/replays", wanted.clone()).await.expect(StatusCode::CREATED);

    assert_eq!((&started["state"], &started["rate"]), (&json!("running"), &json!(50)));
    let path = format!("/replays/{}", started["id"].as_str().ok_or("an id")?);
    house.work().await;
    house.clock.advance(std::time::Duration::from_secs(60));
    house.work().await;
    let progress = house.get(&path).await.expect(StatusCode::OK);
    assert_eq!((&progress["state"], &progress["made"]), (&json!("completed"), &json!(3)));
    assert_eq!(
        house.ask("acme", Method::POST, &format!("{path}/cancel"), None).await.refused(409),
        ["replay"]
    );
    let second = house.post("/replays", wanted.clone()).await.expect(StatusCode::CREATED);
    let path = format!("/replays/{}/cancel", second["id"].as_str().ok_or("an id")?);
    let cancelled = house.ask("acme", Method::POST, &path, None).await.expect(StatusCode::OK);
    assert_eq!(cancelled["state"], "cancelled");
    assert_eq!(items(&house.get("/replays?limit=10").await.expect(StatusCode::OK)).len(), 2);
    for (field, value, status, named) in [
        ("rate", json!(0), 422, "rate"),
        ("statuses", json!([]), 422, "statuses"),
        ("statuses", json!(["pending"]), 422, "statuses"),
        ("to", json!("1900-01-01T00:00:00Z"), 422, "from"),
        ("from", json!("soon"), 400, "from"),
        ("everything", json!(true), 400, "everything"),
    ] {
        let mut body = wanted.clone();
        body[field] = value;
        assert_eq!(house.post("/replays", body.clone()).await.refused(status), [named], "{body}");
        assert_eq!(house.post("/replays/preview", body.clone()).await.refused(status), [named], "{body}");
    }
    let mut nobodys = wanted;
    nobodys["webhook"] = json!("wh_x");
    assert_eq!(house.post("/replays", nobodys).await.refused(404), [""; 0]);
    Ok(())
}

async fn activity() -> Told {
    let (house, well, _) = busy().await?;
    house.tick();
    house.ask("acme", Method::POST, &format!("/webhooks/{well}/pause"), None).await;

    let page = house.get("/activity?limit=1").await.expect(StatusCode::OK);

    let newest = &items(&page)[0];
    assert_eq!((&newest["kind"], &newest["actor"]), (&json!("webhook.paused"), &json!("ada")));
    assert_eq!((&newest["subject"], &newest["role"]), (&json!(well), &json!("org_admin")));
    let count = async |query: &str| {
        items(&house.get(&format!("/activity?{query}")).await.expect(StatusCode::OK)).len()
    };
    assert_eq!(count("kind=webhook.created").await, 2);
    assert_eq!(count(&format!("subject={well}")).await, 2);
    assert_eq!(count("actor=nobody").await, 0);
    assert_eq!(count("errors=true&kind=webhook.created").await, 0);
    assert_eq!(count("from=2100-01-01T00:00:00Z").await, 0);
    assert_eq!(house.get("/activity?kind=webhook.flown").await.refused(400), ["kind"]);
    assert_eq!(house.get("/activity?actor=a%00b").await.refused(400), ["actor"]);
    assert_eq!(
        house.get("/activity?after=deliveries_cur_00000000000000000000000007").await.refused(400),
        ["after"]
    );
    assert_eq!(
        house.get("/activity?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z").await.refused(422),
        ["from"]
    );
    Ok(())
}
