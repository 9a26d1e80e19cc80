//! The layer in front of any tower service.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use crossdock::api_keys::{
    ApiKeySettings, Authenticated, CallRate, NewApiKey, Permission, Refusal, TokenHeader,
};
use crossdock::web::Authentication;
use crossdock::web::tower::PeerAddress;
use http::{HeaderName, Method, Request, Response, StatusCode};
use libtest_mimic::Trial;
use serde_json::json;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{House, Told, house, house_with, reader, settings, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_good_key_comes_in_and_says_whose_it_is", comes_in),
        story("whatever_is_wrong_with_a_key_the_answer_is_the_same_401", uniform),
        story("a_key_that_may_not_do_this_is_told_so", forbidden),
        story("a_used_up_rate_says_when_to_come_back", too_many),
        story("answers_say_what_is_left_of_the_rate", rate_fields),
        story("the_token_is_never_looked_for_in_the_query", query),
        story("headers_that_claim_another_method_are_not_read", overrides),
        story("another_header_can_hold_the_token", other_header),
        story("without_the_peers_address_nobody_comes_in", no_peer),
        story("the_host_hears_why_a_call_was_refused", heard),
        story("a_known_key_is_judged_without_waiting", synchronous),
        story("how_calls_were_answered_stands_in_the_activity_log", recorded),
        story("a_token_is_marked_as_sensitive_from_there_on", sensitive),
    ]
}

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

fn request(method: Method, uri: &str, token: &str) -> Request<Bytes> {
    Request::builder()
        .method(method)
        .uri(uri)
        .header("authorization", format!("Bearer {token}"))
        .extension(PeerAddress(PEER))
        .body(Bytes::new())
        .expect("a request")
}

/// Answers with the tenant of whoever has come in.
async fn whoami(request: Request<Bytes>) -> Result<Response<Bytes>, Infallible> {
    let caller = request.extensions().get::<Authenticated>().expect("only callers come in");
    Ok(Response::new(Bytes::from(caller.tenant().to_string())))
}

async fn call(layer: &Authentication, request: Request<Bytes>) -> Response<Bytes> {
    layer.layer(service_fn(whoami)).oneshot(request).await.expect("infallible")
}

async fn comes_in() -> Told {
    let house = house()?;
    let token = house.key(reader()).await?;

    let answer = call(&Authentication::new(&house.hub), request(Method::GET, "/orders", &token)).await;

    assert_eq!((answer.status(), answer.body().as_ref()), (StatusCode::OK, &b"acme"[..]));
    Ok(())
}

async fn uniform() -> Told {
    let house = house()?;
    let layer = Authentication::new(&house.hub);
    let token = house.key(reader()).await?;
    let keys = house.admin("acme").api_keys();
    let revoked = keys.create(reader()).await?;
    keys.revoke(revoked.key.id, "").await?;
    let elsewhere = house.key(reader().networks(["198.51.100.0/24"])).await?;
    let mut wrong = token.clone().into_bytes();
    wrong[30] = if wrong[30] == b'x' { b'y' } else { b'x' };
    let plain = Request::get("/orders").extension(PeerAddress(PEER)).body(Bytes::new())?;
    let first = call(&layer, plain).await;
    assert_eq!(first.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(first.headers()["www-authenticate"], "Bearer realm=\"api\"");
    assert_eq!(first.headers()["content-type"], "application/problem+json");

    for text in ["", "garbage", &String::from_utf8(wrong)?, revoked.token.reveal(), &elsewhere] {
        let other = call(&layer, request(Method::GET, "/orders", text)).await;
        assert_eq!(
            (other.status(), other.headers(), other.body()),
            (first.status(), first.headers(), first.body()),
            "{text}"
        );
    }
    let twice = request(Method::GET, "/orders", &token);
    let (mut parts, body) = twice.into_parts();
    parts.headers.append("authorization", format!("Bearer {token}").parse()?);
    assert_eq!(call(&layer, Request::from_parts(parts, body)).await.body(), first.body());
    Ok(())
}

async fn forbidden() -> Told {
    let house = house()?;
    let layer = Authentication::new(&house.hub);
    let token = house.key(reader()).await?;
    let status = async |layer: &Authentication, method: Method| {
        call(layer, request(method, "/orders", &token)).await.status().as_u16()
    };

    for (method, wanted) in [
        (Method::GET, 200),
        (Method::HEAD, 200),
        (Method::OPTIONS, 200),
        (Method::POST, 403),
        (Method::PUT, 403),
        (Method::PATCH, 403),
        (Method::DELETE, 403),
        (Method::TRACE, 403),
        (Method::CONNECT, 403),
        (Method::from_bytes(b"PURGE")?, 403),
    ] {
        assert_eq!(status(&layer, method.clone()).await, wanted, "{method}");
    }
    assert_eq!(status(&layer.require(Permission::Admin), Method::GET).await, 403);
    assert_eq!(status(&layer.require(Permission::Read), Method::POST).await, 200);
    let answer = call(&layer, request(Method::POST, "/orders", &token)).await;
    assert_eq!(
        answer.body(),
        &Bytes::from_static(br#"{"type":"about:blank","title":"Forbidden","status":403}"#)
    );
    assert!(answer.headers().get("www-authenticate").is_none());
    Ok(())
}

async fn limited() -> crossdock::Result<(House, String)> {
    let rate = CallRate::per_minute(6).and_then(|rate| rate.with_burst(2)).expect("a rate");
    let house = house_with(settings().rate(rate))?;
    let token = house.key(reader()).await?;
    Ok((house, token))
}

async fn too_many() -> Told {
    let (house, token) = limited().await?;
    let layer = Authentication::new(&house.hub);
    for _ in 0..2 {
        assert_eq!(call(&layer, request(Method::GET, "/", &token)).await.status(), StatusCode::OK);
    }

    let answer = call(&layer, request(Method::GET, "/", &token)).await;

    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()["retry-after"], "10");
    assert_eq!(answer.headers()["ratelimit-policy"], "\"key\";q=2;w=20");
    assert_eq!(answer.headers()["ratelimit"], "\"key\";r=0;t=10");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    Ok(())
}

async fn rate_fields() -> Told {
    let (house, token) = limited().await?;
    let layer = Authentication::new(&house.hub);
    // The first call asks the store, the second does not.
    for left in ["\"key\";r=1;t=10", "\"key\";r=0;t=20"] {
        let answer = call(&layer, request(Method::GET, "/", &token)).await;
        assert_eq!(answer.headers()["ratelimit"], left);
        assert_eq!(answer.headers()["ratelimit-policy"], "\"key\";q=2;w=20");
    }
    let house = super::house()?;
    let token = house.key(reader()).await?;
    let answer = call(&Authentication::new(&house.hub), request(Method::GET, "/", &token)).await;
    assert!(answer.headers().get("ratelimit").is_none(), "no rate, nothing to tell");
    Ok(())
}

async fn query() -> Told {
    let house = house()?;
    let token = house.key(reader()).await?;
    for name in ["authorization", "access_token", "api_key", "token", "key"] {
        let uri = format!("/orders?{name}={token}");
        let request = Request::get(uri).extension(PeerAddress(PEER)).body(Bytes::new())?;

        let answer = call(&Authentication::new(&house.hub), request).await;

        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{name}");
    }
    Ok(())
}

async fn overrides() -> Told {
    let house = house()?;
    let token = house.key(reader()).await?;
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let mut claimed = request(Method::DELETE, "/orders?_method=GET", &token);
        claimed.headers_mut().insert(HeaderName::from_static(name), "GET".parse()?);

        let answer = call(&Authentication::new(&house.hub), claimed).await;

        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}");
    }
    Ok(())
}

async fn other_header() -> Told {
    let header = TokenHeader::Named(HeaderName::from_static("x-api-key"));
    let house = house_with(ApiKeySettings::new().header(header))?;
    let token = house.key(reader()).await?;
    let layer = Authentication::new(&house.hub).realm("orders");
    let in_header =
        |name: &str| Request::get("/").header(name, &token).extension(PeerAddress(PEER)).body(Bytes::new());

    assert_eq!(call(&layer, in_header("x-api-key")?).await.status(), StatusCode::OK);
    let refused = call(&layer, request(Method::GET, "/", &token)).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["www-authenticate"], "ApiKey realm=\"orders\"");
    Ok(())
}

async fn no_peer() -> Told {
    let house = house()?;
    let token = house.key(reader()).await?;
    let mut lost = request(Method::GET, "/", &token);
    lost.extensions_mut().remove::<PeerAddress>();

    let answer = call(&Authentication::new(&house.hub), lost.clone()).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);

    let told = Authentication::new(&house.hub).peer(|_| Some(PEER));
    assert_eq!(call(&told, lost).await.status(), StatusCode::OK);
    Ok(())
}

async fn heard() -> Told {
    let house = house()?;
    let token = house.key(reader()).await?;
    let log = Arc::new(Mutex::new(Vec::new()));
    let pen = Arc::clone(&log);
    let layer = Authentication::new(&house.hub).route(|head| Some(head.uri().path())).on_refused(
        move |head, refused| {
            let key = refused.key().map(|(tenant, _)| tenant.to_string());
            pen.lock().expect("a log").push((head.uri().path().to_owned(), refused.reason(), key));
        },
    );

    call(&layer, request(Method::POST, "/orders", &token)).await;
    call(&layer, request(Method::POST, "/stock", "garbage")).await;

    let log = log.lock().expect("a log").clone();
    assert_eq!(
        log,
        [
            ("/orders".to_owned(), Refusal::Permission, Some("acme".to_owned())),
            ("/stock".to_owned(), Refusal::Malformed, None),
        ]
    );
    Ok(())
}

async fn synchronous() -> Told {
    let house = house()?;
    let token = house.key(reader()).await?;
    let layer = Authentication::new(&house.hub);
    assert_eq!(call(&layer, request(Method::GET, "/", &token)).await.status(), StatusCode::OK);
    let mut service = layer.layer(service_fn(|_: Request<Bytes>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(Bytes::new())))
    }));
    let mut cx = Context::from_waker(Waker::noop());
    let mut first_poll = |request| match std::pin::pin!(service.call(request)).poll(&mut cx) {
        Poll::Ready(Ok(answer)) => Some(answer.status().as_u16()),
        _ => None,
    };

    assert_eq!(first_poll(request(Method::GET, "/", &token)), Some(200));
    assert_eq!(first_poll(request(Method::POST, "/", &token)), Some(403));
    assert_eq!(first_poll(request(Method::GET, "/", "garbage")), Some(401));
    Ok(())
}

async fn recorded() -> Told {
    let house = house()?;
    let token = house.key(reader()).await?;
    let layer = Authentication::new(&house.hub).route(|_| Some("/orders/{id}"));
    // The first call asks the store, the others do not.
    for _ in 0..3 {
        call(&layer, request(Method::GET, "/orders/7", &token)).await;
    }

    house.clock.advance(std::time::Duration::from_secs(120));
    house.hub.gate().flush().await?;

    let log = house.get("/activity?limit=100").await.expect(StatusCode::OK);
    let calls: Vec<_> = log["items"]
        .as_array()
        .ok_or("a list")?
        .iter()
        .filter(|entry| entry["details"]["route"] == "/orders/{id}")
        .collect();
    assert_eq!(calls.len(), 1, "{calls:?}");
    let details = &calls[0]["details"];
    assert_eq!(
        (&details["count"], &details["method"], &details["status"]),
        (&json!("3"), &json!("GET"), &json!("2xx"))
    );
    Ok(())
}

async fn sensitive() -> Told {
    let house = house()?;
    let token = house.key(NewApiKey::new("ERP").allow([Permission::Read])).await?;
    let service = service_fn(async |request: Request<Bytes>| {
        let printed = format!("{:?}", request.headers());
        Ok::<_, Infallible>(Response::new(Bytes::from(printed)))
    });

    let layered = Authentication::new(&house.hub).layer(service);
    let answer = layered.oneshot(request(Method::GET, "/", &token)).await?;

    assert!(!String::from_utf8_lossy(answer.body()).contains(&token));
    Ok(())
}
