//! Two tenants: what one sees for the other's ids is what it sees for ids that never were, on every route.

use http::{Method, StatusCode};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::document::operations;
use super::{Answered, House, Told, house, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("another_tenants_ids_answer_like_ids_that_never_were_on_every_route", differential),
        story("no_listing_shows_another_tenants_records", listings),
    ]
}

/// The ids of one tenant's records, or of nobody's.
struct Ids {
    key: String,
    webhook: String,
    delivery: String,
    event: String,
    replay: String,
    source: String,
    received: String,
    cursor: String,
}

impl Ids {
    /// Ids that were never given out, of the same form.
    fn of_nobody() -> Self {
        let id = |prefix: &str| format!("{prefix}01h0000000000000000000000g");
        Self {
            key: id("key_"),
            webhook: id("wh_"),
            delivery: id("dlv_"),
            event: id("evt_"),
            replay: id("rpl_"),
            source: id("src_"),
            received: id("rcv_"),
            cursor: id("cur_"),
        }
    }

    fn in_path<'i>(&'i self, path: &str) -> &'i str {
        match path.split('/').nth(1) {
            Some("keys") => &self.key,
            Some("webhooks") => &self.webhook,
            Some("deliveries") => &self.delivery,
            Some("replays") => &self.replay,
            Some("sources") => &self.source,
            Some("received") => &self.received,
            _ => "order.placed",
        }
    }

    /// The same text without the ids in it.
    fn blind(&self, text: &str) -> String {
        let ids = [
            &self.key,
            &self.webhook,
            &self.delivery,
            &self.event,
            &self.replay,
            &self.source,
            &self.received,
            &self.cursor,
        ];
        ids.into_iter().fold(text.to_owned(), |text, id| text.replace(&**id, "ID"))
    }
}

/// A tenant that has one of everything.
async fn settled(house: &House, tenant: &str) -> Result<Ids, Box<dyn std::error::Error>> {
    let made = async |path: &str, body: Value| {
        house.ask(tenant, Method::POST, path, Some(body)).await.expect(StatusCode::CREATED)
    };
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("an id");
    let key = text(&made("/keys", json!({"name": "ERP", "permissions": ["read"]})).await["key"]["id"])?;
    let webhook = made("/webhooks", json!({"url": "https://refuses.example.com/", "events": ["*"]})).await;
    let webhook = text(&webhook["webhook"]["id"])?;
    for _ in 0..2 {
        house.tick();
        house.publish(tenant).await?;
    }
    house.work().await;
    let page = house.ask(tenant, Method::GET, "/deliveries?limit=1", None).await.expect(StatusCode::OK);
    let delivery = text(&page["items"][0]["id"])?;
    let event = text(&page["items"][0]["event"])?;
    let cursor = text(&page["next"])?.trim_start_matches("deliveries_").to_owned();
    let replay = json!({"webhook": webhook, "from": "1900-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"});
    let replay = text(&made("/replays", replay).await["id"])?;
    let (source, received) = house.source(tenant, "ord_1").await?;
    Ok(Ids { key, webhook, delivery, event, replay, source, received, cursor })
}

/// Every request of the API that can name a record: by its path, its query or its body.
fn requests(ids: &Ids) -> Vec<(String, Method, String, Option<Value>)> {
    let mut requests = Vec::new();
    let replay =
        json!({"webhook": ids.webhook, "from": "1900-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"});
    for (method, path) in operations() {
        let body = match (&method, &*path) {
            (&Method::GET | &Method::DELETE, _) => None,
            (_, "/webhooks/{id}/test") => Some(json!({"event_type": "order.placed"})),
            (_, "/webhooks/{id}/release") => Some(json!({"head": "retry"})),
            (_, "/webhooks/{id}") => Some(json!({"name": "Mine now"})),
            (_, "/keys/{id}/revoke") => Some(json!({"reason": "none"})),
            (_, "/sources/{id}") => Some(json!({"title": "Mine now"})),
            (_, "/sources/{id}/switch") => Some(json!({"state": "off"})),
            (_, "/sources/{id}/rotate") => Some(json!({"secret": "mine now", "overlap": 0})),
            (_, "/received/replay") => {
                Some(json!({"source": ids.source, "statuses": ["dead", "pending", "ignored"]}))
            }
            (_, "/replays" | "/replays/preview") => Some(replay.clone()),
            // They name no record; each makes one, or changes the tenant's own.
            (_, "/keys" | "/webhooks" | "/sources" | "/defaults" | "/keys/leaks") => {
                Some(json!({"garbage": true}))
            }
            _ => Some(json!({})),
        };
        let there = path.replace("{id}", ids.in_path(&path)).replace("{name}", ids.in_path(&path));
        requests.push((format!("{method} {path}"), method, there, body));
    }
    for query in [
        format!("/deliveries?webhook={}", ids.webhook),
        format!("/deliveries?event={}", ids.event),
        format!("/deliveries?after=deliveries_{}&limit=1", ids.cursor),
        format!("/keys?after=keys_{}&limit=1", ids.cursor),
        format!("/webhooks?after=webhooks_{}&limit=1", ids.cursor),
        format!("/replays?after=replays_{}&limit=1", ids.cursor),
        format!("/sources?after=sources_{}&limit=1", ids.cursor),
        format!("/received?after=received_{}&limit=1", ids.cursor),
        format!("/received?source={}", ids.source),
        format!("/received?source={}&status=pending&kind=order.*", ids.source),
        format!("/activity?subject={}", ids.source),
        format!("/activity?subject={}", ids.webhook),
        format!("/activity?subject={}", ids.key),
        format!("/webhooks/{}/diagnosis?event={}", ids.webhook, ids.event),
        format!("/webhooks/{}/diagnosis?event_type=order.placed", ids.webhook),
        format!("/keys/{}/refusals?limit=1", ids.key),
    ] {
        requests.push((format!("GET {}", ids.blind(&query)), Method::GET, query, None));
    }
    requests
}

async fn answers(house: &House, ids: &Ids) -> Vec<(String, Answered)> {
    let mut answers = Vec::new();
    for (name, method, path, body) in requests(ids) {
        let answer = house.ask_with("rival", method, &path, &[("if-match", "*")], body).await;
        answers.push((name, answer));
    }
    answers
}

fn compare(one: &Answered, one_ids: &Ids, other: &Answered, other_ids: &Ids) -> bool {
    one.status == other.status
        && one.headers == other.headers
        && one_ids.blind(&String::from_utf8_lossy(&one.body))
            == other_ids.blind(&String::from_utf8_lossy(&other.body))
}

async fn differential() -> Told {
    let house = house()?;
    // Everything that the neighbour has is older than everything that the rival has, so that one cursor lies behind all of that.
    let theirs = settled(&house, "acme").await?;
    house.clock.advance(std::time::Duration::from_secs(1));
    let own = settled(&house, "rival").await?;
    let nobodys = Ids { cursor: theirs.cursor.clone(), ..Ids::of_nobody() };

    let seen = answers(&house, &theirs).await;
    let never = answers(&house, &nobodys).await;

    let mut leaks = Vec::new();
    for ((name, one), (_, other)) in seen.iter().zip(&never) {
        if !compare(one, &theirs, other, &nobodys) {
            leaks.push(format!("{name}: {} and {}", one.status, other.status));
        }
        if name.contains("{id}") {
            assert_eq!(one.status, StatusCode::NOT_FOUND, "{name}");
        }
    }
    eprintln!(
        "{} requests about another tenant's records on {} routes: {} leaks",
        seen.len(),
        operations().len(),
        leaks.len()
    );
    assert!(leaks.is_empty(), "{leaks:#?}");
    // The trial would be worth nothing if it saw no difference anywhere.
    let mine = answers(&house, &own).await;
    let differs =
        mine.iter().zip(&never).filter(|((_, one), (_, other))| !compare(one, &own, other, &nobodys));
    assert!(differs.count() > 25, "one's own ids answer otherwise");
    // And nobody has touched the neighbour's records.
    let untouched = house.get(&format!("/webhooks/{}", theirs.webhook)).await.expect(StatusCode::OK);
    assert_eq!((&untouched["version"], &untouched["state"]), (&json!(1), &json!("active")));
    let key = house.get(&format!("/keys/{}", theirs.key)).await.expect(StatusCode::OK);
    assert_eq!(key["status"], "active");
    let source = house.get(&format!("/sources/{}", theirs.source)).await.expect(StatusCode::OK);
    assert_eq!((&source["version"], &source["state"]), (&json!(1), &json!("active")));
    Ok(())
}

async fn listings() -> Told {
    let house = house()?;
    let theirs = settled(&house, "acme").await?;
    let empty = ["/keys", "/webhooks", "/deliveries", "/replays", "/sources", "/received", "/activity"];
    for path in empty {
        let page = house.ask("rival", Method::GET, path, None).await;
        assert_eq!(page.expect(StatusCode::OK), json!({"items": []}), "{path}");
    }
    settled(&house, "rival").await?;
    for path in empty {
        let page = house.ask("rival", Method::GET, path, None).await;
        let text = String::from_utf8_lossy(&page.body).into_owned();
        assert_eq!(theirs.blind(&text), text, "{path}");
        assert!(!text.contains("acme"), "{path}");
    }
    Ok(())
}
