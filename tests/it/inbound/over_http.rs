//! The route of inbound webhooks: what HTTP can do to a request, and that nothing of it reaches a store but what is genuine.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use crossdock::inbound::{
    InboundRequest, PlatformSource, ReceiveOutcome, ReceivedFilter, ReceivedStatus, Refusal, SourceSecret,
    SourceState, presets,
};
use crossdock::primitives::{PageRequest, Secret};
use crossdock::web::axum::receiver;
use crossdock::{Hub, SystemClock, ports::Clock};
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Request, Response};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::world::{Failure, SECRET, World, paid, play, signed, signer};
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("inbound::http::answers_are_the_hubs_and_say_why_to_the_host_alone", || play(answers())),
        rule("inbound::http::handshakes_are_answered_by_any_method", || play(handshakes())),
        rule("inbound::http::a_body_is_read_no_further_than_its_source_takes", || play(too_long())),
        rule("inbound::http::a_body_that_breaks_off_or_does_not_come_is_nothing", || play(incomplete())),
        rule("inbound::http::floods_and_doubles_of_headers_change_nothing", || play(headers())),
        rule("inbound::http::bytes_survive_in_whatever_pieces_they_come", || play(bytes_survive())),
        rule("inbound::http::a_sender_on_a_socket_can_break_nothing", || play(sockets())),
    ]
}

const PATH: &str = "/webhooks/stripe";

fn app(hub: &Hub) -> Router {
    Router::new().nest("/webhooks", receiver(hub))
}

fn over_http(request: InboundRequest, body: impl Into<Body>) -> Result<Request<Body>, Failure> {
    let mut sent = Request::builder().method(request.method).uri(PATH).body(body.into())?;
    *sent.headers_mut() = request.headers;
    Ok(sent)
}

async fn send(hub: &Hub, request: Request<Body>) -> Result<Response<Body>, Failure> {
    Ok(app(hub).oneshot(request).await?)
}

/// What it was answered with this body: the status, and why.
async fn sent(world: &World, body: impl Into<Body>) -> Result<(u16, Arc<ReceiveOutcome>), Failure> {
    let answer = send(&world.hub, over_http(world.request(&paid("evt_1"))?, body)?).await?;
    Ok((answer.status().as_u16(), why(&answer)?))
}

fn why(answer: &Response<Body>) -> Result<Arc<ReceiveOutcome>, Failure> {
    Ok(answer.extensions().get::<Arc<ReceiveOutcome>>().cloned().ok_or("a reason")?)
}

async fn text(answer: Response<Body>) -> Result<String, Failure> {
    let mut text = Vec::new();
    let mut chunks = answer.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        text.extend_from_slice(&chunk?);
    }
    Ok(String::from_utf8(text)?)
}

async fn kept(hub: &Hub) -> Result<usize, Failure> {
    Ok(hub.platform_received().list(&ReceivedFilter::new(), PageRequest::first(99)).await?.items.len())
}

async fn answers() -> Result<(), Failure> {
    let world = World::with(|hub, _| {
        hub.source(PlatformSource::new("square", presets::square()).state(SourceState::NotImplemented))
    })?;
    let genuine = serde_json::to_vec(&paid("evt_1"))?;

    let (status, outcome) = sent(&world, genuine.clone()).await?;
    assert_eq!(status, 200);
    assert!(matches!(*outcome, ReceiveOutcome::Kept { fresh: 1, copies: 0 }), "{outcome:?}");
    let (status, outcome) = sent(&world, genuine).await?;
    assert_eq!(status, 200);
    assert!(matches!(*outcome, ReceiveOutcome::Kept { fresh: 0, copies: 1 }), "{outcome:?}");
    let forged = send(&world.hub, over_http(world.request(&paid("evt_2"))?, "{}")?).await?;
    assert!(matches!(*why(&forged)?, ReceiveOutcome::Refused(Refusal::NoMatch)));
    assert_eq!((forged.status().as_u16(), &*text(forged).await?), (400, ""));

    let get = send(&world.hub, Request::get(PATH).body(Body::empty())?).await?;
    assert_eq!((get.status().as_u16(), get.headers().get("allow")), (405, Some(&"POST".parse()?)));
    let closed = send(&world.hub, Request::post("/webhooks/square").body(Body::empty())?).await?;
    assert_eq!(closed.headers()["content-type"], "application/problem+json");
    assert_eq!(closed.status().as_u16(), 501);
    assert_eq!(serde_json::from_str::<Value>(&text(closed).await?)?["status"], json!(501));
    for path in
        ["/webhooks/nobody", "/webhooks/%ff%fe", "/webhooks/stripe%2f..", "/webhooks/", "/webhooks/stripe/x"]
    {
        let answer = send(&world.hub, Request::post(path).body(Body::from("{}"))?).await?;
        assert_eq!((answer.status().as_u16(), &*text(answer).await?), (404, ""), "{path}");
    }
    assert_eq!(kept(&world.hub).await?, 1);
    Ok(())
}

async fn handshakes() -> Result<(), Failure> {
    let world = World::with(|hub, _| {
        let token = SourceSecret::new("verify_token", Secret::from("tok"));
        hub.source(PlatformSource::new("meta", presets::meta()).secret("hush").named_secret(token))
            .source(PlatformSource::new("graph", presets::microsoft_graph()).secret("state"))
    })?;

    let graph = Request::post("/webhooks/graph?validationToken=a%20b").body(Body::empty())?;
    let graph = send(&world.hub, graph).await?;
    assert!(matches!(*why(&graph)?, ReceiveOutcome::Handshake));
    assert_eq!((graph.status().as_u16(), &*text(graph).await?), (200, "a b"));
    let meta = "/webhooks/meta?hub.mode=subscribe&hub.verify_token=tok&hub.challenge=1158";
    let meta = send(&world.hub, Request::get(meta).body(Body::empty())?).await?;
    let options = send(&world.hub, Request::options("/webhooks/graph").body(Body::empty())?).await?;
    assert_eq!(options.status(), 405);
    assert_eq!((meta.status().as_u16(), &*text(meta).await?), (200, "1158"));
    assert_eq!(kept(&world.hub).await?, 0);
    Ok(())
}

async fn too_long() -> Result<(), Failure> {
    const PIECE: usize = 4_096;
    const CAP: usize = 1 << 20;
    let world = World::new()?;
    let is_too_long = |(status, outcome): (u16, Arc<ReceiveOutcome>)| {
        assert_eq!(status, 413);
        assert!(matches!(*outcome, ReceiveOutcome::Refused(Refusal::TooLarge)), "{outcome:?}");
    };

    let pulled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&pulled);
    let endless = stream::repeat_with(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; PIECE]))
    });
    is_too_long(sent(&world, Body::from_stream(endless)).await?);
    assert_eq!(pulled.load(Ordering::SeqCst), CAP / PIECE + 1);
    is_too_long(sent(&world, vec![b' '; CAP + 1]).await?);
    // One that says so itself is not read at all.
    let unread = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let mut honest = over_http(world.request(&paid("evt_1"))?, unread)?;
    honest.headers_mut().insert("content-length", HeaderValue::from(CAP + 1));
    let answer = send(&world.hub, honest).await?;
    assert_eq!((answer.status().as_u16(), answer.headers()["connection"].to_str()?), (413, "close"));
    // What fits is looked at.
    assert_eq!(sent(&world, vec![b' '; CAP]).await?.0, 400);
    // Nothing is read for a source that there is not.
    let unread = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    assert_eq!(send(&world.hub, Request::post("/webhooks/nobody").body(unread)?).await?.status(), 404);
    assert_eq!(kept(&world.hub).await?, 0);
    Ok(())
}

async fn incomplete() -> Result<(), Failure> {
    let world = World::new()?;
    let body = serde_json::to_vec(&paid("evt_1"))?;

    let whole = Bytes::from(body.clone());
    let broken = stream::iter([Ok(whole.clone()), Err(std::io::Error::other("reset"))]);
    let (status, outcome) = sent(&world, Body::from_stream(broken)).await?;
    assert_eq!(status, 400);
    assert!(matches!(*outcome, ReceiveOutcome::Incomplete), "{outcome:?}");
    let (status, outcome) = sent(&world, body[..body.len() - 1].to_vec()).await?;
    assert_eq!(status, 400);
    assert!(matches!(*outcome, ReceiveOutcome::Refused(Refusal::NoMatch)), "{outcome:?}");

    // Everything that was signed, and then nothing: not even that it is over.
    let slow = stream::iter([Ok::<_, std::io::Error>(whole)]).chain(stream::pending());
    let slow = over_http(world.request(&paid("evt_1"))?, Body::from_stream(slow))?;
    let hub = world.hub.clone();
    let slow = tokio::spawn(async move { app(&hub).oneshot(slow).await });
    let mut seconds = 0;
    while !slow.is_finished() {
        world.advance(Duration::from_secs(1));
        seconds += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let answer = slow.await??;
    assert_eq!((answer.status().as_u16(), answer.headers()["connection"].to_str()?), (408, "close"));
    assert!(matches!(*why(&answer)?, ReceiveOutcome::Incomplete));
    assert!(seconds >= 10, "{seconds}");
    assert_eq!(kept(&world.hub).await?, 0);
    Ok(())
}

async fn headers() -> Result<(), Failure> {
    let world = World::new()?;
    let body = serde_json::to_vec(&paid("evt_1"))?;
    let request = || over_http(world.request(&paid("evt_1"))?, body.clone());

    let mut doubled = request()?;
    let signature = doubled.headers()["stripe-signature"].clone();
    doubled.headers_mut().append("stripe-signature", signature);
    let doubled = send(&world.hub, doubled).await?;
    assert_eq!(doubled.status(), 400);
    assert!(matches!(*why(&doubled)?, ReceiveOutcome::Refused(Refusal::RepeatedHeader)));
    let mut garbled = request()?;
    garbled.headers_mut().insert("stripe-signature", HeaderValue::from_bytes(b"t=1,v1=\xff\xfe")?);
    assert_eq!(send(&world.hub, garbled).await?.status(), 400);
    assert_eq!(kept(&world.hub).await?, 0);

    let mut flood = request()?;
    for number in 0..10_000 {
        flood.headers_mut().append("x-flood", HeaderValue::from(number));
    }
    for name in ["content-type", "host", "user-agent", "x-request-id"] {
        flood.headers_mut().insert(name, HeaderValue::from_bytes(b"what/ever; \xff\xfe")?);
    }
    assert_eq!(send(&world.hub, flood).await?.status(), 200);
    assert_eq!(kept(&world.hub).await?, 1);
    Ok(())
}

async fn bytes_survive() -> Result<(), Failure> {
    let world = World::new()?;
    let signer = signer(&presets::stripe(), SECRET)?;
    let numbers = br#"{ "id":"evt_1" ,"type":"a","n":[9007199254740993, 1e400, 0.10, -0]}"#;
    let parsed = ReceivedStatus::Pending;
    for (body, status) in [
        (&numbers[..], parsed),
        (b"{\"id\": \"\xff\"", ReceivedStatus::Unparsable),
        (b"\0\r\n", ReceivedStatus::Unparsable),
    ] {
        // Ids of one millisecond are in no order.
        world.advance(Duration::from_secs(1));
        let request = signed(&signer, body, world.now())?;
        let pieces: Vec<_> =
            body.chunks(1).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();

        let answer = send(&world.hub, over_http(request, Body::from_stream(stream::iter(pieces)))?).await?;

        assert_eq!(answer.status(), 200);
        let page = world.hub.platform_received().list(&ReceivedFilter::new(), PageRequest::first(1)).await?;
        let record = world.hub.platform_received().find(page.items[0].received.id).await?;
        assert_eq!((&record.received.body[..], record.status), (body, status));
    }
    Ok(())
}

async fn sockets() -> Result<(), Failure> {
    let stripe = PlatformSource::new("stripe", presets::stripe()).secret(SECRET);
    let hub = Hub::builder().without_built_ins().source(stripe).build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = app(&hub);
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    let body = String::from_utf8(serde_json::to_vec(&paid("evt_1"))?)?;
    let now = SystemClock::new().now();
    let genuine = signed(&signer(&presets::stripe(), SECRET)?, body.as_bytes(), now)?;
    let signature = genuine.headers["stripe-signature"].to_str()?.to_owned();
    let head = |fields: &str| {
        format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nstripe-signature: {signature}\r\n{fields}\r\n"
        )
    };
    let ending = async |text: String, end: End| -> Result<String, Failure> {
        tokio::task::spawn_blocking(move || say(address, text.as_bytes(), end)).await?
    };
    let told = async |text: String| ending(text, End::Waits).await;

    let truncated = head(&format!("content-length: {}\r\n", body.len() + 1)) + &body;
    let truncated = ending(truncated, End::HangsUp).await?;
    assert!(truncated.is_empty() || truncated.starts_with("HTTP/1.1 400"), "{truncated}");
    let flood: String = (0..2_000).map(|number| format!("x-{number}: y\r\n")).collect();
    // A server that hangs up on what it has not read may take its answer along.
    let flooded = told(head(&flood)).await?;
    assert!(flooded.is_empty() || flooded.starts_with("HTTP/1.1 431"), "{flooded}");
    let nonsense = told("\u{0}\u{1}ä\r\n\r\n".to_owned()).await?;
    assert!(nonsense.is_empty() || nonsense.starts_with("HTTP/1.1 400"), "{nonsense}");
    let both = head(&format!("content-length: {}\r\ncontent-length: 1\r\n", body.len()));
    let both = told(both + &body).await?;
    assert!(both.starts_with("HTTP/1.1 400"), "{both}");
    assert_eq!(kept(&hub).await?, 0);

    let mut chunked = head("transfer-encoding: chunked\r\n");
    for character in body.chars() {
        chunked.push_str(&format!("1\r\n{character}\r\n"));
    }
    let chunked = told(chunked + "0\r\n\r\n").await?;
    assert!(chunked.starts_with("HTTP/1.1 200"), "{chunked}");
    let plain = told(head(&format!("content-length: {}\r\n", body.len())) + &body).await?;
    assert!(plain.starts_with("HTTP/1.1 200"), "{plain}");
    let page = hub.platform_received().list(&ReceivedFilter::new(), PageRequest::first(9)).await?;
    assert_eq!((page.items.len(), page.items[0].duplicates), (1, 1));
    server.abort();
    Ok(())
}

/// What a sender does once it has said everything.
#[derive(Clone, Copy, Eq, PartialEq)]
enum End {
    Waits,
    HangsUp,
}

/// What a server answers to these bytes.
#[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "it plays a sender outside")]
fn say(address: SocketAddr, bytes: &[u8], end: End) -> Result<String, Failure> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    // A server may have answered, and closed, before it has heard everything.
    let heard = stream.write_all(bytes).and_then(|()| match end {
        End::Waits => Ok(()),
        End::HangsUp => stream.shutdown(Shutdown::Write),
    });
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    match (heard, read) {
        (Err(error), Err(_)) if answer.is_empty() && error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error.into())
        }
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}
