//! The contract of [`Exchange`], sentence by sentence. What cannot be checked from within one process, that no proxy
//! variable is read, is left to the adapter's own tests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use futures_util::future::{Either, select};
use http::{HeaderName, HeaderValue, Method};

use crate::ports::{Exchange, ExchangeRequest, TransportErrorKind};
use crate::testing::conformance::receiver::{Part, Receiver};
use crate::testing::conformance::{Check, Failure, Verdict, holds, same};

/// Every check of an [`Exchange`]. The transport's egress policy must permit plain HTTP to 127.0.0.1, on any port, and
/// nothing else that is not permitted anyway.
///
/// ```
/// use std::sync::Arc;
/// use crossdock::adapters::http_client::HttpTransport;
/// use crossdock::primitives::EgressPolicy;
/// use crossdock::testing::conformance::exchange_suite;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = EgressPolicy::default().allow_networks(["127.0.0.1/32".parse()?]);
/// let policy = policy.dangerous_allow_http().dangerous_allow_all_ports();
///
/// for check in exchange_suite() {
///     # if !check.name().contains("answer_is") { continue; }
///     let transport = HttpTransport::new(policy.clone())?;
///     assert_eq!(check.run(Arc::new(transport)).await, Ok(()), "{}", check.name());
/// }
/// # Ok(())
/// # }
/// ```
pub fn exchange_suite() -> Vec<Check<dyn Exchange>> {
    checks!["exchange":
        a_request_arrives_as_it_was_given,
        an_answer_comes_back_as_it_was_given,
        an_answer_is_an_answer_whatever_its_status,
        a_redirect_is_not_followed,
        a_cookie_is_not_kept,
        a_compressed_body_stays_compressed,
        a_silent_receiver_is_given_up_in_time,
        a_trickling_body_is_given_up_in_time,
        a_long_body_is_cut_and_still_an_answer,
        nonsense_is_an_error,
        a_connection_that_breaks_is_an_error,
        a_network_that_is_not_a_destination_is_not_dialled,
        an_address_that_is_not_permitted_is_not_dialled,
        an_exchange_may_be_given_up,
        nothing_is_sent_twice,
    ]
}

const TOTAL: Duration = Duration::from_millis(600);
/// A busy machine may be late.
const GRACE: Duration = Duration::from_secs(5);

fn post(receiver: &Receiver) -> Result<ExchangeRequest, Failure> {
    let mut request = ExchangeRequest::post(receiver.url("/hooks")?, r#"{"a":1}"#);
    request.limits.total = GRACE;
    Ok(request)
}

async fn a_request_arrives_as_it_was_given(exchange: Arc<dyn Exchange>) -> Verdict {
    let receiver = Receiver::answering([Receiver::plain("204 No Content", "", "")])?;
    let mut request = ExchangeRequest::post(receiver.url("/hooks/a%20b?x=1&y=%2F")?, "first\r\nsecond\0");
    request.method = Method::PUT;
    request.headers.insert("webhook-id", HeaderValue::from_static("evt_1"));
    let name = HeaderName::from_static("x-twice");
    request.headers.append(&name, HeaderValue::from_static("one"));
    request.headers.append(&name, HeaderValue::from_static("two"));

    exchange.exchange(request).await.map_err(failed)?;

    let requests = receiver.requests();
    same(requests.len(), 1, "one request")?;
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap_or_default();
    let mut lines = head.lines();
    same(lines.next(), Some("PUT /hooks/a%20b?x=1&y=%2F HTTP/1.1"), "method and target as they were")?;
    let lines: Vec<_> = lines.map(str::to_ascii_lowercase).collect();
    for line in ["webhook-id: evt_1", "x-twice: one", "x-twice: two", "content-length: 14"] {
        holds(lines.iter().any(|found| found == line), line)?;
    }
    let host = receiver.url("/")?;
    let host = format!("host: 127.0.0.1:{}", host.port());
    holds(lines.contains(&host), "the host header is the transport's")?;
    same(body, "first\r\nsecond\0", "the body byte for byte")
}

async fn an_answer_comes_back_as_it_was_given(exchange: Arc<dyn Exchange>) -> Verdict {
    let headers = "x-one: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n";
    let receiver = Receiver::answering([Receiver::plain("202 Accepted", headers, "thank you")])?;

    let answer = exchange.exchange(post(&receiver)?).await.map_err(failed)?;

    same(answer.status.as_u16(), 202, "its status")?;
    same(answer.headers.get("x-one").map(|value| value.as_bytes()), Some(&b"1"[..]), "its headers")?;
    same(answer.headers.get_all("set-cookie").iter().count(), 2, "each of them")?;
    same((&*answer.body, answer.truncated), (&b"thank you"[..], false), "its body")?;
    same(answer.peer.map(|peer| peer.is_loopback()), Some(true), "and who has answered")?;
    holds(answer.timings.total > Duration::ZERO, "and how long it took")
}

async fn an_answer_is_an_answer_whatever_its_status(exchange: Arc<dyn Exchange>) -> Verdict {
    for status in
        ["200 OK", "204 No Content", "304 Not Modified", "404 Not Found", "410 Gone", "503 Busy", "599 X"]
    {
        let receiver = Receiver::answering([Receiver::plain(status, "", "")])?;
        let answer = exchange.exchange(post(&receiver)?).await.map_err(failed)?;
        same(format!("{}", answer.status.as_u16()), status[..3].to_owned(), "its status")?;
    }
    Ok(())
}

async fn a_redirect_is_not_followed(exchange: Arc<dyn Exchange>) -> Verdict {
    let target = Receiver::answering([Receiver::plain("200 OK", "", "")])?;
    let location = format!("location: {}\r\n", target.url("/")?);

    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let receiver = Receiver::answering([Receiver::plain(status, &location, "")])?;
        let answer = exchange.exchange(post(&receiver)?).await.map_err(failed)?;
        same(format!("{}", answer.status.as_u16()), status[..3].to_owned(), "a redirect is an answer")?;
    }

    same(target.requests().len(), 0, "and is not followed")
}

async fn a_cookie_is_not_kept(exchange: Arc<dyn Exchange>) -> Verdict {
    let receiver = Receiver::answering([Receiver::plain("200 OK", "set-cookie: a=1; path=/\r\n", "")])?;

    for _ in 0..2 {
        exchange.exchange(post(&receiver)?).await.map_err(failed)?;
    }

    let requests = receiver.requests();
    same(requests.len(), 2, "two requests")?;
    holds(!requests.iter().any(|request| request.to_ascii_lowercase().contains("cookie")), "without a cookie")
}

async fn a_compressed_body_stays_compressed(exchange: Arc<dyn Exchange>) -> Verdict {
    // "hello" as gzip writes it.
    let gzip = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0,
        0, 0,
    ];
    let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 25\r\n\r\n".to_vec();
    bytes.extend_from_slice(&gzip);
    let receiver = Receiver::answering([Part::Bytes(bytes)])?;

    let answer = exchange.exchange(post(&receiver)?).await.map_err(failed)?;

    same(&*answer.body, &gzip[..], "the bytes as they came")?;
    holds(!receiver.requests()[0].to_ascii_lowercase().contains("accept-encoding"), "and none is asked for")
}

async fn ends_in_time(exchange: &dyn Exchange, receiver: &Receiver) -> Verdict {
    let mut request = post(receiver)?;
    request.limits.total = TOTAL;
    let begun = Instant::now();

    let outcome = exchange.exchange(request).await;

    let took = begun.elapsed();
    same(outcome.err().map(|error| error.kind), Some(TransportErrorKind::TimedOut), "the time is over")?;
    holds(took >= TOTAL && took < TOTAL + GRACE, "by the total time, and not before")
}

async fn a_silent_receiver_is_given_up_in_time(exchange: Arc<dyn Exchange>) -> Verdict {
    let receiver = Receiver::answering([Part::Wait(4 * GRACE)])?;
    ends_in_time(&*exchange, &receiver).await?;
    let half = Part::Bytes(b"HTTP/1.1 200 OK\r\ncontent-".to_vec());
    let receiver = Receiver::answering([half, Part::Wait(4 * GRACE)])?;
    ends_in_time(&*exchange, &receiver).await
}

async fn a_trickling_body_is_given_up_in_time(exchange: Arc<dyn Exchange>) -> Verdict {
    let head = Part::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec());
    let receiver = Receiver::answering([head, Part::Trickle])?;

    ends_in_time(&*exchange, &receiver).await
}

async fn a_long_body_is_cut_and_still_an_answer(exchange: Arc<dyn Exchange>) -> Verdict {
    for head in ["content-length: 99999999999", "connection: close"] {
        let head = Part::Bytes(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").into_bytes());
        let receiver = Receiver::answering([head, Part::Endless])?;
        let mut request = post(&receiver)?;
        (request.limits.read, request.limits.keep) = (64 * 1024, 100);

        let answer = exchange.exchange(request).await.map_err(failed)?;

        same(
            (answer.status.as_u16(), answer.truncated),
            (200, true),
            "it is an answer, and says that there was more",
        )?;
        same(&*answer.body, &[b'x'; 100][..], "no more is kept than asked for")?;
    }
    let receiver = Receiver::answering([Receiver::plain("200 OK", "", &"y".repeat(300))])?;
    let mut request = post(&receiver)?;
    request.limits.keep = 300;
    let answer = exchange.exchange(request).await.map_err(failed)?;
    same((answer.body.len(), answer.truncated), (300, false), "what fits exactly is whole")
}

async fn nonsense_is_an_error(exchange: Arc<dyn Exchange>) -> Verdict {
    for bytes in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 two hundred\r\n\r\n",
        "\0\0\0\0\0\0\0\0",
    ] {
        let parts = [Part::Bytes(bytes.as_bytes().to_vec()), Part::Wait(Duration::from_millis(50))];
        let receiver = Receiver::answering(parts)?;

        let outcome = exchange.exchange(post(&receiver)?).await;

        holds(outcome.is_err(), "what is not HTTP is no answer")?;
    }
    Ok(())
}

async fn a_connection_that_breaks_is_an_error(exchange: Arc<dyn Exchange>) -> Verdict {
    let parts = ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"];
    for bytes in parts {
        // The waiting makes it end with the connection.
        let parts = [Part::Bytes(bytes.as_bytes().to_vec()), Part::Wait(Duration::ZERO)];
        let receiver = Receiver::answering(parts)?;

        let outcome = exchange.exchange(post(&receiver)?).await;

        holds(outcome.is_err(), "half an answer is no answer")?;
    }
    Ok(())
}

async fn a_network_that_is_not_a_destination_is_not_dialled(exchange: Arc<dyn Exchange>) -> Verdict {
    let receiver = Receiver::answering([Receiver::plain("200 OK", "", "")])?;
    let networks = |texts: &[&str]| -> Arc<[ipnet::IpNet]> {
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    };
    let mut request = post(&receiver)?;
    request.destinations = networks(&["203.0.113.0/24", "2001:db8::/32"]);

    let outcome = exchange.exchange(request).await;

    let kind = outcome.err().map(|error| error.kind);
    same(kind, Some(TransportErrorKind::Unreachable), "the address is in none of the networks")?;
    same(receiver.requests().len(), 0, "nothing is sent")?;
    let mut request = post(&receiver)?;
    request.destinations = networks(&["203.0.113.0/24", "127.0.0.0/8"]);
    let answer = exchange.exchange(request).await.map_err(failed)?;
    same(answer.status.as_u16(), 200, "one of the networks is enough")?;
    let mut request = post(&receiver)?;
    request.destinations = networks(&["203.0.113.0/24"]);
    let outcome = exchange.exchange(request).await;
    holds(outcome.is_err(), "a connection that another request has made is no way around it")
}

async fn an_address_that_is_not_permitted_is_not_dialled(exchange: Arc<dyn Exchange>) -> Verdict {
    let policy = crate::primitives::egress::EgressPolicy::default()
        .allow_networks(["127.0.0.0/8", "10.0.0.0/8"].into_iter().filter_map(|text| text.parse().ok()))
        .dangerous_allow_http()
        .dangerous_allow_all_ports();
    for text in ["http://127.0.0.2:9/", "http://10.255.255.1:9/"] {
        let url = policy.parse(text).map_err(|refusal| Failure(refusal.to_string()))?;
        let mut request = ExchangeRequest::post(url, "{}");
        request.limits.total = GRACE;

        let error = exchange.exchange(request).await.err();

        let kind = error.map(|error| error.kind);
        same(
            kind,
            Some(TransportErrorKind::Unreachable),
            "a URL that another policy has let in is judged anew",
        )?;
    }
    Ok(())
}

async fn an_exchange_may_be_given_up(exchange: Arc<dyn Exchange>) -> Verdict {
    let slow = Receiver::plain("200 OK", "", "late");
    let receiver = Receiver::answering([Part::Wait(Duration::from_millis(200)), slow])?;
    let sending = exchange.exchange(post(&receiver)?);
    if let Either::Left(_) = select(sending, Delay::new(Duration::from_millis(100))).await {
        return holds(false, "the receiver has not answered yet");
    }
    Delay::new(Duration::from_millis(200)).await;

    let answer = exchange.exchange(post(&receiver)?).await.map_err(failed)?;

    same(&*answer.body, b"late", "the next one gets its own answer")?;
    same(receiver.requests().len(), 2, "and nothing was sent again")
}

async fn nothing_is_sent_twice(exchange: Arc<dyn Exchange>) -> Verdict {
    // The receiver takes the request and hangs up: whether it acted on it, nobody knows.
    let receiver = Receiver::answering([Part::Wait(Duration::from_millis(20))])?;

    let outcome = exchange.exchange(post(&receiver)?).await;

    holds(outcome.is_err(), "there is no answer")?;
    same(receiver.requests().len(), 1, "it is not tried again behind the caller's back")
}

fn failed(error: crate::ports::TransportError) -> Failure {
    Failure(format!("the exchange failed: {error:?}"))
}
