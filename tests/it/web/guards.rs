//! Guards of axum's routes, and the extractor.

use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get, post};
use crossdock::api_keys::{NewApiKey, Permission, Permissions};
use crossdock::web::axum::{Authenticated, authentication};
use crossdock::web::tower::PeerAddress;
use http::{Method, Request};
use libtest_mimic::Trial;
use tower::ServiceExt;

use super::{House, Told, answered, house, reader, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("each_route_demands_what_its_guard_says", guards),
        story("a_scope_over_one_order_opens_that_order_alone", one_order),
        story("a_path_that_is_written_otherwise_changes_nothing", other_spellings),
        story("nested_routers_are_judged_by_the_whole_route", nested),
        story("a_handler_behind_no_layer_lets_nobody_in", no_layer),
        story("usage_names_the_matched_route_and_not_the_path", usage),
        story("a_demand_that_the_route_cannot_meet_is_the_hosts_mistake", misplaced),
    ]
}

async fn hello(caller: Authenticated) -> String {
    format!("{} {}", caller.tenant, caller.permissions)
}

async fn send(api: &Router, token: &str, method: Method, path: &str) -> super::Answered {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .extension(PeerAddress(IpAddr::from([203, 0, 113, 9])))
        .body(Body::empty())
        .expect("a request");
    answered(api.clone().oneshot(request).await.expect("a router never fails")).await
}

fn api(house: &House) -> Result<Router, Box<dyn std::error::Error>> {
    let keys = authentication(&house.hub);
    Ok(Router::new()
        .route("/stock", any(hello).layer(keys.clone()))
        .route("/close", post(hello).route_layer(keys.require(Permission::Admin)))
        .route("/orders", get(hello).route_layer(keys.require_scope("orders:read")?))
        .route("/orders/{id}", get(hello).route_layer(keys.require_scope("orders/{id}:read")?))
        .route("/orders/{id}", post(hello).route_layer(keys.on("orders/{id}")?)))
}

async fn guards() -> Told {
    let house = house()?;
    let api = api(&house)?;
    let all = house.key(NewApiKey::new("all").allow(Permissions::ALL)).await?;
    let reads = house.key(reader()).await?;
    let scoped = house.key(NewApiKey::new("scoped").scopes(["orders:read", "orders:write"])).await?;
    let administers = house.key(NewApiKey::new("admin").allow([Permission::Admin])).await?;

    for (method, path, statuses) in [
        (Method::GET, "/stock", [200, 200, 403, 403]),
        (Method::POST, "/stock", [200, 403, 403, 403]),
        (Method::DELETE, "/stock", [200, 403, 403, 403]),
        (Method::POST, "/close", [200, 403, 403, 200]),
        (Method::GET, "/orders", [200, 200, 200, 403]),
        (Method::GET, "/orders/ord_1", [200, 200, 200, 403]),
        (Method::POST, "/orders/ord_1", [200, 403, 200, 403]),
        (Method::GET, "/nowhere", [404, 404, 404, 404]),
    ] {
        let mut seen = Vec::new();
        for token in [&all, &reads, &scoped, &administers] {
            seen.push(send(&api, token, method.clone(), path).await.status.as_u16());
        }
        assert_eq!(seen, statuses, "{method} {path}");
    }
    let answer = send(&api, &reads, Method::GET, "/stock").await;
    assert_eq!(answer.body, "acme read");
    Ok(())
}

async fn one_order() -> Told {
    let house = house()?;
    let api = api(&house)?;
    let token = house.key(NewApiKey::new("one").scopes(["orders/ord_1:read"])).await?;
    for (path, status) in [
        ("/orders/ord_1", 200),
        ("/orders/ord%5F1", 200),
        ("/orders/ord_2", 403),
        ("/orders", 403),
        ("/orders/ord_1%2Fx", 403),
        ("/orders/..%2Ford_1", 403),
        ("/orders/%2e%2e", 403),
        ("/orders/*", 403),
        ("/orders/%ff", 403),
    ] {
        assert_eq!(send(&api, &token, Method::GET, path).await.status.as_u16(), status, "{path}");
    }
    Ok(())
}

async fn other_spellings() -> Told {
    let house = house()?;
    let api = api(&house)?;
    let token = house.key(reader()).await?;
    // None of them reaches what a key may not do: they are other routes, or none.
    for path in
        ["//close", "/./close", "/stock/../close", "/%2fclose", "/stock%2f..%2fclose", "/close/", "/Close"]
    {
        let answer = send(&api, &token, Method::POST, path).await;
        assert_eq!(answer.status.as_u16(), 404, "{path}");
    }
    assert_eq!(send(&api, &token, Method::POST, "/close?x=/stock").await.status.as_u16(), 403);
    Ok(())
}

async fn nested() -> Told {
    let house = house()?;
    let keys = authentication(&house.hub).require_scope("{shop}/orders/{id}:read")?;
    let orders = Router::new().route("/orders/{id}", get(hello).route_layer(keys));
    let api = Router::new().nest("/v1/{shop}", orders);
    let scopes = ["orders:read"];
    let token = house.key(NewApiKey::new("one").scopes(scopes)).await?;

    assert_eq!(send(&api, &token, Method::GET, "/v1/orders/orders/7").await.status.as_u16(), 200);
    assert_eq!(send(&api, &token, Method::GET, "/v1/stock/orders/7").await.status.as_u16(), 403);
    Ok(())
}

async fn no_layer() -> Told {
    let house = house()?;
    let token = house.key(reader()).await?;
    let api = Router::new().route("/", get(hello));

    let answer = send(&api, &token, Method::GET, "/").await;

    assert_eq!(answer.refused(500), [""; 0]);
    Ok(())
}

async fn usage() -> Told {
    let house = house()?;
    let api = api(&house)?;
    let keys = house.admin("acme").api_keys();
    let created = keys.create(reader()).await?;

    send(&api, created.token.reveal(), Method::GET, "/orders/ord_4711").await;

    let last = keys.details(created.key.id).await?.key.last.ok_or("it was used")?;
    assert_eq!(last.route, "/orders/{id}");
    send(&api, created.token.reveal(), Method::POST, "/close").await;
    let refusals = keys.refusals(created.key.id, crossdock::primitives::PageRequest::first(10)).await?;
    assert_eq!(refusals.items[0].route.as_deref(), Some("/close"));
    Ok(())
}

async fn misplaced() -> Told {
    let house = house()?;
    let token = house.key(NewApiKey::new("all").allow(Permissions::ALL)).await?;
    let keys = authentication(&house.hub).require_scope("orders/{id}:read")?;
    let api = Router::new().route("/orders/{order}", get(hello).route_layer(keys));

    assert_eq!(send(&api, &token, Method::GET, "/orders/7").await.status.as_u16(), 500);
    Ok(())
}
