//! What is refused before anybody looks at what is meant: bodies, methods, paths.

use axum::body::{Body, Bytes};
use crossdock::web::axum::MAX_BODY;
use http::{Method, Request};
use libtest_mimic::Trial;
use serde_json::json;

use super::{House, MOUNT, Told, house, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_body_that_is_not_json_is_refused", not_json),
        story("a_body_of_another_type_is_refused", other_type),
        story("a_body_that_is_too_large_is_refused_whether_it_says_so_or_not", too_large),
        story("a_path_that_is_none_and_a_method_that_is_none_are_problems_too", nowhere),
        story("nothing_that_was_sent_is_repeated_in_a_refusal", not_repeated),
    ]
}

async fn post(house: &House, content_type: Option<&str>, body: impl Into<Body>) -> super::Answered {
    let request = Request::post(format!("{MOUNT}/keys")).header("x-session", "acme/ada");
    let request = match content_type {
        Some(content_type) => request.header("content-type", content_type),
        None => request,
    };
    house.send(request.body(body.into()).expect("a request")).await
}

async fn not_json() -> Told {
    let house = house()?;
    let bodies: [&[u8]; 12] = [
        b"",
        b"{",
        b"nil",
        b"[]",
        b"[1]",
        b"\"text\"",
        b"7",
        b"null",
        b"{\"name\":\"x\"}{}",
        b"{\"name\":\"x\"} trailing",
        b"{\"name\": \"\xff\"}",
        b"\xef\xbb\xbf{}",
    ];
    for body in bodies {
        let answer = post(&house, Some("application/json"), body).await;
        let fields = answer.refused(400);
        assert!(fields == ["body"] || fields == ["name"], "{:?}: {fields:?}", String::from_utf8_lossy(body));
    }
    let deep = format!("{{\"name\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(post(&house, Some("application/json"), deep).await.status, 400);
    Ok(())
}

async fn other_type() -> Told {
    let house = house()?;
    let body = r#"{"name":"ERP","permissions":["read"]}"#;
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonp"),
        Some(""),
    ] {
        assert_eq!(post(&house, content_type, body).await.refused(415), ["content-type"], "{content_type:?}");
    }
    for content_type in
        ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=UTF-8"]
    {
        assert_eq!(post(&house, Some(content_type), body).await.status, 201, "{content_type}");
    }
    Ok(())
}

async fn too_large() -> Told {
    let house = house()?;
    let text = |length: usize| {
        let frame = r#"{"name":""}"#.len();
        format!(r#"{{"name":"{}"}}"#, "x".repeat(length - frame))
    };
    // What fits is looked at: the name is too long.
    assert_eq!(
        post(&house, Some("application/json"), text(MAX_BODY)).await.refused(422),
        ["name", "permissions"]
    );
    assert_eq!(post(&house, Some("application/json"), text(MAX_BODY + 1)).await.refused(413), ["body"]);
    let endless =
        futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 65_536])));
    assert_eq!(
        post(&house, Some("application/json"), Body::from_stream(endless)).await.refused(413),
        ["body"]
    );
    let broken =
        futures_util::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))]);
    assert_eq!(
        post(&house, Some("application/json"), Body::from_stream(broken)).await.refused(400),
        ["body"]
    );
    let liar = Request::post(format!("{MOUNT}/keys"))
        .header("x-session", "acme/ada")
        .header("content-type", "application/json")
        .header("content-length", "99999999999")
        .body(Body::from("{}"))?;
    assert_eq!(house.send(liar).await.refused(413), ["body"]);
    Ok(())
}

async fn nowhere() -> Told {
    let house = house()?;
    for path in ["/nothing", "/keys/", "/keys/x/y/z", "/%2e%2e/keys"] {
        assert_eq!(house.get(path).await.refused(404), [""; 0], "{path}");
    }
    for (method, path, allowed) in [
        (Method::PUT, "/keys", "GET,HEAD,POST"),
        (Method::DELETE, "/defaults", "GET,HEAD,PATCH"),
        (Method::GET, "/replays/preview", "POST"),
    ] {
        let answer = house.ask("acme", method.clone(), path, None).await;
        assert_eq!(answer.refused(405), [""; 0], "{method} {path}");
        let mut allow: Vec<_> = answer.header("allow").unwrap_or_default().split(',').collect();
        allow.sort_unstable();
        assert_eq!(allow.join(","), allowed, "{method} {path}");
    }
    let head = house.ask("acme", Method::HEAD, "/keys", None).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    Ok(())
}

async fn not_repeated() -> Told {
    let house = house()?;
    const CANARY: &str = "whsec_hunter2-canary";
    for body in [
        json!({"name": [CANARY]}),
        json!({"name": "x", "permissions": [CANARY]}),
        json!({"name": "x", "permissions": CANARY}),
        json!({"name": "x", "max_uses": CANARY}),
        json!({"name": "x", "expires_at": CANARY}),
        json!({"name": "x", "rate": CANARY}),
        json!({"name": format!("{CANARY}, expected {CANARY} at line 1"), "rate": {"calls": format!("{CANARY}, expected ")}}),
    ] {
        let answer = house.post("/keys", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("canary"), "{body}");
    }
    Ok(())
}
