//! Calls that were answered: remembered in memory, written down in batches.

use crossdock::activity::{Activity, ActivityFilter, ActivityKind};
use crossdock::api_keys::{Answered, ApiKeySettings, CallLogging};
use crossdock::primitives::PageRequest;
use crossdock::tenancy::Actor;
use http::{Method, StatusCode};
use libtest_mimic::Trial;

use super::store::Watched;
use super::{House, SECOND, Told, house, house_with, reader, settings, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_call_is_logged_with_its_route_status_latency_key_and_address", logged),
        story("calls_are_written_in_batches_at_most_once_a_minute_and_at_the_end", batches),
        story("what_could_not_be_written_waits_and_is_written_once", waits),
        story("a_tenant_sees_its_own_calls_alone", tenants),
        story("a_host_may_log_errors_alone", errors_alone),
    ]
}

fn watched(settings: ApiKeySettings) -> crossdock::Result<(Watched, House)> {
    let store = Watched::new();
    let house = house_with(Default::default(), 7, |builder| {
        builder.store(store.inner.clone()).key_store(store.clone()).api_keys(settings)
    })?;
    Ok((store, house))
}

async fn log(house: &House, tenant: &str) -> Result<Vec<Activity>, Box<dyn std::error::Error>> {
    let log = house.hub.admin(Actor::member(tenant.parse()?, "grace")).activity();
    let items = log.list(&ActivityFilter::default(), PageRequest::first(1_000)).await?.items;
    let is_call =
        |entry: &Activity| matches!(entry.kind, ActivityKind::ApiCalled | ActivityKind::ApiCallFailed);
    Ok(items.into_iter().filter(is_call).collect())
}

fn details(entry: &Activity) -> String {
    let details: Vec<_> = entry.details.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} {}", entry.kind.as_str(), details.join(" "))
}

async fn logged() -> Told {
    let house = house()?;
    let created = house.key(reader()).await?;
    let caller = house.get(created.token.reveal()).await?;
    let gate = house.hub.gate();

    gate.record(&caller, &Answered::new(&Method::GET, "/orders/{id}", StatusCode::OK, 3 * SECOND / 1_000));
    let open = gate.open(&caller, &Method::DELETE, "/orders/{id}");
    house.pass(SECOND);
    open.answered(StatusCode::CONFLICT);
    drop(gate.open(&caller, &Method::GET, "/orders"));
    assert!(log(&house, "acme").await?.is_empty(), "nothing is written yet");
    gate.flush().await?;

    let log = log(&house, "acme").await?;
    assert_eq!(
        log.iter().map(details).collect::<Vec<_>>(),
        [
            "api.failed address=203.0.113.9 latency_us=1000000 method=DELETE route=/orders/{id} status=409",
            "api.called address=203.0.113.9 count=1 latency_us=3000 longest_us=3000 method=GET route=/orders/{id} status=2xx",
        ]
    );
    for entry in &log {
        assert_eq!(
            (entry.subject.as_str(), &*entry.actor),
            (&*created.key.id.to_string(), &*created.key.id.to_string())
        );
    }
    Ok(())
}

async fn batches() -> Told {
    let (store, house) = watched(settings())?;
    let token = house.key(reader()).await?.token;
    let gate = house.hub.gate().clone();
    let (end, shutdown) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(async move { gate.run_until(async { drop(shutdown.await) }).await });
    let mut writes = Vec::new();
    for number in 0..180 {
        while house.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        house.pass(SECOND);
        tokio::task::yield_now().await;
        let caller = house.get(token.reveal()).await?;
        for _ in 0..50 {
            let answered = Answered::new(&Method::GET, "/orders", StatusCode::OK, SECOND / 1_000);
            house.hub.gate().record(&caller, &answered);
        }
        if number % 60 == 59 {
            writes.push(store.calls().get("append").copied().unwrap_or(0));
        }
    }
    assert!(writes.iter().all(|writes| *writes <= 1), "{writes:?}");
    assert!(writes.iter().sum::<usize>() >= 2, "{writes:?}");

    end.send(()).map_err(|()| "it has ended early")?;
    running.await?;

    assert_eq!(store.calls().get("append"), Some(&1), "the rest, at the end");
    let entries = store
        .inner_log()
        .await?
        .iter()
        .filter_map(|entry| entry.details.get("count").and_then(|count| count.parse::<u64>().ok()))
        .collect::<Vec<_>>();
    assert_eq!(entries.iter().sum::<u64>(), 180 * 50, "none is lost");
    assert!(entries.len() <= 8, "one for each minute and flush: {entries:?}");
    Ok(())
}

async fn waits() -> Told {
    let (store, house) = watched(settings())?;
    let token = house.key(reader()).await?.token;
    let caller = house.get(token.reveal()).await?;
    let gate = house.hub.gate();
    let answered = Answered::new(&Method::GET, "/orders", StatusCode::INTERNAL_SERVER_ERROR, SECOND);
    gate.record(&caller, &answered);
    store.go_down();
    assert!(gate.flush().await.is_err());
    gate.record(&caller, &answered);
    assert!(gate.flush().await.is_err());
    store.come_back();

    gate.flush().await?;
    gate.flush().await?;

    assert_eq!(store.inner_log().await?.len(), 2);
    assert_eq!(gate.status().calls_missed, 0);
    Ok(())
}

async fn tenants() -> Told {
    let house = house()?;
    for tenant in ["acme", "globex"] {
        let created = house.keys(tenant).create(reader()).await?;
        let caller = house.get(created.token.reveal()).await?;
        for status in [StatusCode::OK, StatusCode::NOT_FOUND] {
            let route = format!("/of/{tenant}");
            house.hub.gate().record(&caller, &Answered::new(&Method::GET, &route, status, SECOND));
        }
    }

    house.hub.gate().flush().await?;

    for (tenant, other) in [("acme", "globex"), ("globex", "acme")] {
        let log = log(&house, tenant).await?;
        assert_eq!(log.len(), 2);
        assert!(!format!("{log:?}").contains(other), "{log:?}");
    }
    Ok(())
}

async fn errors_alone() -> Told {
    let (store, house) = watched(settings().log_calls(CallLogging::Errors))?;
    let token = house.key(reader()).await?.token;
    let caller = house.get(token.reveal()).await?;
    for status in [StatusCode::OK, StatusCode::NOT_FOUND] {
        house.hub.gate().record(&caller, &Answered::new(&Method::GET, "/orders", status, SECOND));
    }

    house.hub.gate().flush().await?;

    let kinds: Vec<_> = store.inner_log().await?.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [ActivityKind::ApiCallFailed]);
    Ok(())
}
