//! The default transport over real sockets on loopback: its bounds, its pool, its certificates, its timings.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crossdock::adapters::http_client::HttpTransport;
use crossdock::ports::{Answer, Exchange, TransportError, TransportErrorKind};
use crossdock::primitives::EgressPolicy;
use http::StatusCode;
use libtest_mimic::Trial;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

use crate::certificates::Authority;
use crate::child;
use crate::loopback::{
    LONG, NO_CONTENT, Names, Outcome, Receiver, Route, SHORT, Talk, answer, listen, listen_tls,
    loopback_policy, loopback_transport, play, post,
};
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("http client: the request goes out as it was given", || play(the_request())),
        rule("http client: the answer comes back as it was sent", || play(the_answer())),
        rule("http client: a slow body ends with the total time", || play(a_slow_body())),
        rule("http client: a long body is cut and its connection closed", || play(a_long_body())),
        rule("http client: a body shorter than announced is a broken connection", || play(a_short_body())),
        rule("http client: a compressed body is not inflated", || play(a_compressed_body())),
        rule("http client: a flood of headers is refused", || play(a_header_flood())),
        rule("http client: the next address is tried within the time to connect", || {
            play(addresses_in_order())
        }),
        rule("http client: names go to the system's resolver", || play(the_systems_resolver())),
        rule("http client: every part of the way is timed", || play(timings_are_filled())),
        rule("http client: TLS holds for names and for addresses", || play(tls_holds())),
        rule("http client: a TLS handshake that hangs ends with the time to connect", || {
            play(a_hanging_handshake())
        }),
        rule("http client: another TLS provider in the process does no harm", another_provider_does_no_harm),
    ]
}

async fn exchange(receiver: &Receiver, total: Duration) -> Result<Answer, TransportError> {
    loopback_transport().exchange(post(receiver.url(&loopback_policy()), total)).await
}

/// What went wrong with an attempt that has to fail.
fn failed(outcome: Result<Answer, TransportError>) -> TransportError {
    outcome.expect_err("the attempt fails")
}

async fn the_request() -> Outcome {
    let receiver = listen(answer(NO_CONTENT)).await?;
    let mut request = post(receiver.url(&loopback_policy()), LONG);
    request.headers.insert("x-team", "warehouse".parse()?);
    request.headers.insert("content-length", "1".parse()?);
    request.headers.insert("host", "elsewhere".parse()?);
    request.headers.insert("transfer-encoding", "chunked".parse()?);

    loopback_transport().exchange(request).await?;

    let head = receiver.heads().remove(0);
    let mut lines: Vec<_> = head.trim_end().lines().collect();
    lines[1..].sort_unstable();
    let host = format!("host: {}", receiver.address);
    assert_eq!(lines, ["POST /hook?a=1 HTTP/1.1", "content-length: 17", &host, "x-team: warehouse"]);
    Ok(())
}

async fn the_answer() -> Outcome {
    let receiver = listen(answer(
        "HTTP/1.1 503 Busy\r\nretry-after: 5\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 4\r\n\r\nwait",
    ))
    .await?;

    let answer = exchange(&receiver, LONG).await?;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers["retry-after"], "5");
    assert_eq!(answer.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((&answer.body[..], answer.truncated), (&b"wait"[..], false));
    assert_eq!(answer.peer, Some(receiver.address.ip()));
    Ok(())
}

async fn a_slow_body() -> Outcome {
    let receiver = listen(|mut talk: Talk| async move {
        talk.hear().await?;
        talk.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n").await?;
        loop {
            talk.say("x").await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await?;
    let started = Instant::now();

    let error = failed(exchange(&receiver, SHORT).await);

    assert_eq!((error.kind, error.peer), (TransportErrorKind::TimedOut, Some(receiver.address)));
    assert!(error.timings.first_byte.is_some() && error.timings.total >= SHORT);
    assert!(started.elapsed() < LONG / 2);
    Ok(())
}

async fn a_long_body() -> Outcome {
    let (closed, was_closed) = tokio::sync::watch::channel(false);
    let receiver = listen(move |mut talk: Talk| {
        let closed = closed.clone();
        async move {
            talk.hear().await?;
            talk.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
            while talk.say(&chunk).await.is_ok() {}
            closed.send_replace(true);
            Ok(())
        }
    })
    .await?;
    let transport = loopback_transport();
    let mut request = post(receiver.url(&loopback_policy()), LONG);
    request.limits.read = 10_000;
    request.limits.keep = 1_000;

    let answer = transport.exchange(request).await?;

    assert_eq!((answer.status, answer.body.len(), answer.truncated), (StatusCode::OK, 1_000, true));
    was_closed.clone().wait_for(|closed| *closed).await?;
    Ok(())
}

async fn a_short_body() -> Outcome {
    let receiver = listen(|mut talk: Talk| async move {
        talk.hear().await?;
        talk.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort").await
    })
    .await?;

    let error = failed(exchange(&receiver, LONG).await);

    assert_eq!((error.kind, error.peer), (TransportErrorKind::Broken, Some(receiver.address)));
    Ok(())
}

async fn a_compressed_body() -> Outcome {
    // The beginning of a gzip file; what it would become is nobody's business here.
    let bytes = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\u{1f}\u{8}\0\0";
    let receiver = listen(answer(bytes)).await?;

    let answer = exchange(&receiver, LONG).await?;

    assert_eq!(&answer.body[..], b"\x1f\x08\0\0");
    assert!(!receiver.heads()[0].contains("accept-encoding"));
    Ok(())
}

async fn a_header_flood() -> Outcome {
    let many = "x-a: 1\r\n".repeat(101);
    let large = format!("x-a: {}\r\n", "a".repeat(70_000));
    let permitted = format!("x-a: {}\r\n{}", "a".repeat(60_000), "x-b: 1\r\n".repeat(98));

    for (headers, fits) in [(many, false), (large, false), (permitted, true)] {
        let receiver = listen(move |mut talk: Talk| {
            let bytes = format!("HTTP/1.1 204 No Content\r\n{headers}\r\n");
            async move {
                talk.hear().await?;
                talk.say(bytes).await?;
                talk.until_closed().await;
                Ok(())
            }
        })
        .await?;
        match exchange(&receiver, LONG).await {
            Ok(answer) => assert!(fits && answer.headers.len() == 99),
            Err(error) => assert!(!fits && error.kind == TransportErrorKind::Protocol, "{error}"),
        }
    }
    let endless = listen(|mut talk: Talk| async move {
        talk.hear().await?;
        talk.say("HTTP/1.1 200 OK\r\n").await?;
        loop {
            talk.say("x-a: 1\r\n".repeat(100)).await?;
        }
    })
    .await?;
    assert_eq!(failed(exchange(&endless, LONG).await).kind, TransportErrorKind::Protocol);
    Ok(())
}

async fn addresses_in_order() -> Outcome {
    let receiver = listen(answer(NO_CONTENT)).await?;
    let policy = EgressPolicy::default().dangerous_allow_http();
    let (dead, alive): (IpAddr, IpAddr) = ("2606:4700::1".parse()?, "93.184.216.34".parse()?);
    let route = Route::to(receiver.address).with_dead(dead);
    let transport = HttpTransport::builder()
        .policy(policy.clone())
        .resolver(Names::default().with("erp.example.com.", vec![Some(vec![dead, alive])]))
        .dialler(route.clone())
        .build()?;
    let mut request = post(policy.parse("http://erp.example.com:8080/")?, LONG);
    request.limits.connect = Duration::from_millis(2100);

    let answer = transport.exchange(request).await?;

    assert_eq!(answer.peer, Some(alive));
    assert_eq!(route.dialled().iter().map(|address| address.ip()).collect::<Vec<_>>(), [dead, alive]);
    assert!(answer.timings.connect.is_some_and(|connect| connect >= Duration::from_secs(1)));
    Ok(())
}

async fn the_systems_resolver() -> Outcome {
    let receiver = listen(answer(NO_CONTENT)).await?;
    let policy = loopback_policy().allow_hosts(["localhost"]).allow_networks(["::1/128".parse()?]);
    let transport = HttpTransport::new(policy.clone())?;
    let url = |host: &str| policy.parse(&format!("http://{host}:{}/", receiver.address.port()));

    let answer = transport.exchange(post(url("localhost")?, LONG)).await?;
    assert_eq!(answer.peer, Some(receiver.address.ip()));
    assert!(answer.timings.dns.is_some());

    let strict = HttpTransport::new(EgressPolicy::default().dangerous_allow_http())?;
    let error = failed(strict.exchange(post(url("localhost")?, LONG)).await);
    assert_eq!((error.kind, receiver.requests()), (TransportErrorKind::Unreachable, 1));
    Ok(())
}

async fn timings_are_filled() -> Outcome {
    let authority = Authority::new()?;
    let chain = authority.certify(["erp.example.com"])?;
    let receiver = listen_tls(chain.certificates, chain.key, |mut talk: Talk| async move {
        loop {
            talk.hear().await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            talk.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n").await?;
            tokio::time::sleep(Duration::from_millis(150)).await;
            talk.say("ok").await?;
        }
    })
    .await?;
    let transport = tls_transport(&authority, &receiver)?;
    let request = post(transport.policy().parse("https://erp.example.com/")?, LONG);

    let fresh = transport.exchange(request.clone()).await?.timings;
    let reused = transport.exchange(request).await?.timings;

    assert!(fresh.dns.is_some() && fresh.connect.is_some() && fresh.tls.is_some());
    assert_eq!((reused.dns, reused.connect, reused.tls), (None, None, None));
    for timings in [fresh, reused] {
        let first_byte = timings.first_byte.ok_or("the first byte is timed")?;
        assert!(first_byte >= Duration::from_millis(20));
        assert!(timings.total >= first_byte + Duration::from_millis(50));
    }
    Ok(())
}

async fn tls_holds() -> Outcome {
    let authority = Authority::new()?;
    let chain = authority.certify(["erp.example.com", "93.184.216.34"])?;
    let receiver = listen_tls(chain.certificates, chain.key, answer(NO_CONTENT)).await?;
    let transport = tls_transport(&authority, &receiver)?;
    let outcome = async |url: &str| {
        let url = transport.policy().parse(url).expect("a public URL");
        transport.exchange(post(url, LONG)).await.map(|answer| answer.status).map_err(|error| error.kind)
    };

    assert_eq!(outcome("https://erp.example.com/").await, Ok(StatusCode::NO_CONTENT));
    assert_eq!(outcome("https://93.184.216.34/").await, Ok(StatusCode::NO_CONTENT));
    assert_eq!(outcome("https://93.184.216.35/").await, Err(TransportErrorKind::Tls));
    assert_eq!(outcome("https://other.example.com/").await, Err(TransportErrorKind::Tls));

    // Mozilla's roots know nothing of the test's authority; and plain HTTP is no TLS.
    let strangers = HttpTransport::builder().dialler(Route::to(receiver.address)).build()?;
    let url = strangers.policy().parse("https://93.184.216.34/")?;
    assert_eq!(failed(strangers.exchange(post(url.clone(), LONG)).await).kind, TransportErrorKind::Tls);
    let plain = listen(answer(NO_CONTENT)).await?;
    let transport = tls_transport(&authority, &plain)?;
    let mut request = post(url, LONG);
    request.limits.connect = SHORT;
    assert_eq!(failed(transport.exchange(request).await).kind, TransportErrorKind::Tls);
    Ok(())
}

async fn a_hanging_handshake() -> Outcome {
    let receiver = listen(|mut talk: Talk| async move {
        talk.until_closed().await;
        Ok(())
    })
    .await?;
    let transport = tls_transport(&Authority::new()?, &receiver)?;
    let mut request = post(transport.policy().parse("https://erp.example.com/")?, LONG);
    request.limits.connect = SHORT;
    let started = Instant::now();

    let error = failed(transport.exchange(request).await);

    assert_eq!(error.kind, TransportErrorKind::Tls);
    assert!(error.timings.tls.is_some() && started.elapsed() < LONG / 2);
    Ok(())
}

fn another_provider_does_no_harm() -> Outcome {
    let output = child::command("second_provider")?.output()?;

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The child's part: the process's default provider offers nothing, so whoever asked for it would fail.
pub(crate) fn send_beside_another_provider() -> Outcome {
    let useless = CryptoProvider { cipher_suites: Vec::new(), ..ring::default_provider() };
    useless.install_default().map_err(|_| "this process has a default already")?;
    play(tls_holds())
}

fn tls_transport(
    authority: &Authority,
    receiver: &Receiver,
) -> Result<HttpTransport, Box<dyn std::error::Error>> {
    let address = vec![Some(vec!["93.184.216.34".parse()?])];
    let names =
        Names::default().with("erp.example.com.", address.clone()).with("other.example.com.", address);
    Ok(HttpTransport::builder()
        .resolver(names)
        .dialler(Route::to(receiver.address))
        .with_roots([authority.root()])
        .build()?)
}
