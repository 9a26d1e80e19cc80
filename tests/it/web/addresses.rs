//! Whose address it is, behind proxies, as a request over HTTP shows it. The whole table of the decision is in
//! `src/api_keys/client_ip.rs`; here it is shown that the layer decides by it.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use crossdock::api_keys::TrustedProxies;
use crossdock::web::axum::{Authenticated, authentication};
use http::Request;
use libtest_mimic::Trial;
use tower::ServiceExt;

use super::{Told, answered, house_with, reader, settings, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("the_clients_address_is_the_peers_or_what_trusted_proxies_say", table),
        story("a_key_bound_to_a_network_is_judged_by_that_address", bound),
    ]
}

async fn whence(caller: Authenticated) -> String {
    caller.caller.address().to_string()
}

/// Of a request from this peer with these headers: the address that the handler sees, or `refused`.
async fn seen(
    api: &Router,
    token: &str,
    peer: &str,
    headers: &[(&str, &str)],
) -> Result<String, Box<dyn std::error::Error>> {
    let peer = SocketAddr::new(peer.parse::<IpAddr>()?, 4_711);
    let mut request = Request::get("/whence").header("authorization", format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.extension(ConnectInfo(peer)).body(Body::empty())?;
    let answer = answered(api.clone().oneshot(request).await?).await;
    Ok(match answer.status.as_u16() {
        200 => String::from_utf8(answer.body.to_vec())?,
        401 => "refused".to_owned(),
        other => return Err(format!("unexpected status {other}").into()),
    })
}

async fn table() -> Told {
    let x = TrustedProxies::x_forwarded_for(["10.0.0.0/8", "2001:db8:10::/48"])?;
    let forwarded = TrustedProxies::forwarded(["10.0.0.0/8", "2001:db8:10::/48"])?;
    const X: &str = "x-forwarded-for";
    const F: &str = "forwarded";
    for (proxies, peer, headers, address) in [
        // No proxies: the headers say nothing.
        (TrustedProxies::none(), "203.0.113.9", &[(X, "1.1.1.1")][..], "203.0.113.9"),
        (TrustedProxies::none(), "10.0.0.1", &[(X, "1.1.1.1"), (F, "for=1.1.1.1")], "10.0.0.1"),
        // A peer that is no proxy: the same.
        (x.clone(), "203.0.113.9", &[(X, "10.0.0.1")], "203.0.113.9"),
        (x.clone(), "::ffff:203.0.113.9", &[], "203.0.113.9"),
        // From the right over trusted addresses, never the leftmost.
        (x.clone(), "10.0.0.1", &[(X, "203.0.113.9")], "203.0.113.9"),
        (x.clone(), "10.0.0.1", &[(X, "1.1.1.1, 203.0.113.9")], "203.0.113.9"),
        (x.clone(), "10.0.0.1", &[(X, "1.1.1.1, 203.0.113.9, 10.0.0.2")], "203.0.113.9"),
        (x.clone(), "10.0.0.1", &[(X, "1.1.1.1"), (X, "203.0.113.9")], "203.0.113.9"),
        (x.clone(), "10.0.0.1", &[(X, "garbage, 203.0.113.9")], "203.0.113.9"),
        (x.clone(), "2001:db8:10::1", &[(X, "[2001:db8::9]:443")], "2001:db8::9"),
        (x.clone(), "10.0.0.1", &[(X, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        (x.clone(), "10.0.0.1", &[], "10.0.0.1"),
        // The header that was not chosen says nothing.
        (x.clone(), "10.0.0.1", &[(F, "for=1.1.1.1"), (X, "203.0.113.9")], "203.0.113.9"),
        (forwarded.clone(), "10.0.0.1", &[(X, "1.1.1.1"), (F, "for=203.0.113.9")], "203.0.113.9"),
        (forwarded.clone(), "10.0.0.1", &[(F, "for=\"[2001:db8::9]:443\";proto=https")], "2001:db8::9"),
        // What cannot be read is refused.
        (x.clone(), "10.0.0.1", &[(X, "garbage")], "refused"),
        (x.clone(), "10.0.0.1", &[(X, "203.0.113.9,")], "refused"),
        (x.clone(), "10.0.0.1", &[(X, "unknown")], "refused"),
        (x, "10.0.0.1", &[(X, "203.0.113.9, garbage, 10.0.0.2")], "refused"),
        (forwarded.clone(), "10.0.0.1", &[(F, "for=_hidden")], "refused"),
        (forwarded, "10.0.0.1", &[(F, "by=10.0.0.1")], "refused"),
    ] {
        let house = house_with(settings().proxies(proxies))?;
        let api = Router::new().route("/whence", get(whence).route_layer(authentication(&house.hub)));
        let token = house.key(reader()).await?;

        assert_eq!(seen(&api, &token, peer, headers).await?, address, "{peer} {headers:?}");
    }
    Ok(())
}

async fn bound() -> Told {
    let house = house_with(settings().proxies(TrustedProxies::x_forwarded_for(["10.0.0.0/8"])?))?;
    let api = Router::new().route("/whence", get(whence).route_layer(authentication(&house.hub)));
    let token = house.key(reader().networks(["198.51.100.0/24"])).await?;

    for (peer, forwarded, address) in [
        ("198.51.100.7", None, "198.51.100.7"),
        ("203.0.113.9", None, "refused"),
        ("203.0.113.9", Some("198.51.100.7"), "refused"),
        ("10.0.0.1", Some("198.51.100.7"), "198.51.100.7"),
        ("10.0.0.1", Some("198.51.100.7, 203.0.113.9"), "refused"),
    ] {
        let headers: Vec<_> = forwarded.map(|text| ("x-forwarded-for", text)).into_iter().collect();
        assert_eq!(seen(&api, &token, peer, &headers).await?, address, "{peer} {forwarded:?}");
    }
    Ok(())
}
