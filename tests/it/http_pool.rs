//! How the default transport keeps connections for the next request, and when it does not.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossdock::adapters::http_client::HttpTransport;
use crossdock::ports::{Answer, Exchange, TransportError, TransportErrorKind};
use crossdock::primitives::EgressPolicy;
use http::StatusCode;
use libtest_mimic::Trial;
use tokio::sync::Notify;

use crate::loopback::{
    LONG, NO_CONTENT, Names, Outcome, Route, Talk, answer, listen, loopback_policy, loopback_transport, play,
    post,
};
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("http pool: a body beyond what is kept is read to its end and the connection kept", || {
            play(a_body_beyond_keep())
        }),
        rule("http pool: bytes after the answer never become the next answer", || {
            play(bytes_after_the_answer())
        }),
        rule("http pool: connections are used again", || play(connections_are_reused())),
        rule("http pool: a receiver may close idle connections", || {
            play(a_receiver_closes_idle_connections())
        }),
        rule("http pool: a request is never sent twice", || play(a_request_is_never_sent_twice())),
        rule("http pool: connections are not used beyond their age", || play(connections_age())),
        rule("http pool: idle connections are closed without another request", || {
            play(idle_connections_end())
        }),
        rule("http pool: no more connections wait than are permitted", || {
            play(idle_connections_are_bounded())
        }),
        rule("http pool: a narrower list of destinations passes a pooled connection by", || {
            play(destinations_narrow())
        }),
        rule("http pool: a dropped exchange closes its connection", || play(a_dropped_exchange())),
        rule("http pool: many exchanges at once do not mix their answers", || play(many_at_once())),
    ]
}

/// What went wrong with an attempt that has to fail.
fn failed(outcome: Result<Answer, TransportError>) -> TransportError {
    outcome.expect_err("the attempt fails")
}

async fn a_body_beyond_keep() -> Outcome {
    let receiver = listen(|mut talk: Talk| async move {
        loop {
            talk.hear().await?;
            talk.say(format!("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{}", "x".repeat(5000))).await?;
        }
    })
    .await?;
    let transport = loopback_transport();
    let mut request = post(receiver.url(&loopback_policy()), LONG);
    request.limits.read = 5_000;
    request.limits.keep = 4_999;

    for _ in 0..3 {
        let answer = transport.exchange(request.clone()).await?;
        assert_eq!((answer.body.len(), answer.truncated), (4_999, true));
    }

    assert_eq!(receiver.connections(), 1);
    Ok(())
}

async fn bytes_after_the_answer() -> Outcome {
    let smuggled =
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
    let receiver = listen(answer(smuggled)).await?;
    let transport = loopback_transport();

    for _ in 0..3 {
        let answer = transport.exchange(post(receiver.url(&loopback_policy()), LONG)).await?;
        assert_eq!(answer.status, StatusCode::OK);
    }

    assert_eq!((receiver.connections(), receiver.requests()), (3, 3));
    Ok(())
}

async fn connections_are_reused() -> Outcome {
    let receiver = listen(answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")).await?;
    let transport = loopback_transport();

    for attempt in 0..10 {
        let answer = transport.exchange(post(receiver.url(&loopback_policy()), LONG)).await?;
        assert_eq!(answer.timings.connect.is_some(), attempt == 0);
        assert_eq!(answer.peer, Some(receiver.address.ip()));
    }

    assert_eq!((receiver.connections(), receiver.requests()), (1, 10));
    Ok(())
}

async fn a_receiver_closes_idle_connections() -> Outcome {
    let closed = Arc::new(Notify::new());
    let closes = Arc::clone(&closed);
    let receiver = listen(move |mut talk: Talk| {
        let closed = Arc::clone(&closes);
        async move {
            talk.hear().await?;
            talk.say(NO_CONTENT).await?;
            drop(talk);
            closed.notify_one();
            Ok(())
        }
    })
    .await?;
    let transport = loopback_transport();

    for _ in 0..3 {
        transport.exchange(post(receiver.url(&loopback_policy()), LONG)).await?;
        closed.notified().await;
        // The kernel knows by now; to sleep at all lets the runtime ask it.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    assert_eq!((receiver.connections(), receiver.requests()), (3, 3));
    Ok(())
}

async fn a_request_is_never_sent_twice() -> Outcome {
    let receiver = listen(|mut talk: Talk| async move {
        talk.hear().await?;
        talk.say(NO_CONTENT).await?;
        // The second request is taken and never answered.
        talk.hear().await
    })
    .await?;
    let transport = loopback_transport();
    let url = receiver.url(&loopback_policy());

    transport.exchange(post(url.clone(), LONG)).await?;
    let error = failed(transport.exchange(post(url, LONG)).await);

    assert_eq!((error.kind, error.peer), (TransportErrorKind::Broken, Some(receiver.address)));
    assert_eq!((receiver.connections(), receiver.requests()), (1, 2));
    Ok(())
}

async fn connections_age() -> Outcome {
    let receiver = listen(answer(NO_CONTENT)).await?;
    let life = Duration::from_millis(100);
    let transport = HttpTransport::builder().policy(loopback_policy()).connection_life(life).build()?;
    let started = Instant::now();

    while started.elapsed() < life * 4 {
        transport.exchange(post(receiver.url(&loopback_policy()), LONG)).await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    transport.exchange(post(receiver.url(&loopback_policy()), LONG)).await?;

    // One was in use all the time, and still none lived longer.
    assert!(receiver.connections() >= 2);
    Ok(())
}

async fn idle_connections_end() -> Outcome {
    let (closed, was_closed) = tokio::sync::watch::channel(false);
    let receiver = listen(move |mut talk: Talk| {
        let closed = closed.clone();
        async move {
            talk.hear().await?;
            talk.say(NO_CONTENT).await?;
            talk.until_closed().await;
            closed.send_replace(true);
            Ok(())
        }
    })
    .await?;
    let life = Duration::from_millis(50);
    let transport = HttpTransport::builder().policy(loopback_policy()).connection_life(life).build()?;
    let started = Instant::now();

    transport.exchange(post(receiver.url(&loopback_policy()), LONG)).await?;
    was_closed.clone().wait_for(|closed| *closed).await?;

    assert!(started.elapsed() >= life && started.elapsed() < LONG / 2);
    Ok(())
}

async fn idle_connections_are_bounded() -> Outcome {
    for (per_origin, in_all, kept) in [(2, 1024, 2), (32, 3, 3), (0, 1024, 0)] {
        let receiver = listen(|mut talk: Talk| async move {
            loop {
                talk.hear().await?;
                tokio::time::sleep(Duration::from_millis(30)).await;
                talk.say(NO_CONTENT).await?;
            }
        })
        .await?;
        let transport = HttpTransport::builder()
            .policy(loopback_policy())
            .idle_per_origin(per_origin)
            .idle_in_all(in_all)
            .build()?;
        let request = post(receiver.url(&loopback_policy()), LONG);
        let six_at_once =
            || futures_util::future::try_join_all((0..6).map(|_| transport.exchange(request.clone())));

        six_at_once().await?;
        six_at_once().await?;

        assert_eq!(receiver.connections(), 6 + 6 - kept);
    }
    Ok(())
}

async fn destinations_narrow() -> Outcome {
    let receiver = listen(answer(NO_CONTENT)).await?;
    let policy = EgressPolicy::default().dangerous_allow_http();
    let (first, second): (IpAddr, IpAddr) = ("93.184.216.34".parse()?, "93.184.217.1".parse()?);
    let names = Names::default()
        .with("erp.example.com.", vec![Some(vec![first]), Some(vec![second]), Some(vec![first, second])]);
    let route = Route::to(receiver.address);
    let transport = HttpTransport::builder()
        .policy(policy.clone())
        .resolver(names.clone())
        .dialler(route.clone())
        .build()?;
    let mut request = post(policy.parse("http://erp.example.com:8080/")?, LONG);
    let peers = || route.dialled().iter().map(|address| address.ip()).collect::<Vec<_>>();

    let anywhere = transport.exchange(request.clone()).await?;
    assert_eq!(anywhere.peer, Some(first));

    // The pooled connection goes to the first address, which is no longer permitted.
    request.destinations = Arc::new(["93.184.217.0/24".parse()?]);
    let narrowed = transport.exchange(request.clone()).await?;
    assert_eq!((narrowed.peer, peers()), (Some(second), vec![first, second]));
    let again = transport.exchange(request.clone()).await?;
    assert_eq!((again.peer, peers().len()), (Some(second), 2));

    // Nothing fits, and the new lookup has an address outside the list.
    request.destinations = Arc::new(["93.184.216.34/32".parse()?, "10.0.0.0/8".parse()?]);
    let back = transport.exchange(request.clone()).await?;
    assert_eq!((back.peer, peers().len()), (Some(first), 2));
    request.destinations = Arc::new(["198.51.100.0/24".parse()?]);
    let error = failed(transport.exchange(request).await);
    assert_eq!((error.kind, error.peer, peers().len()), (TransportErrorKind::Unreachable, None, 2));
    Ok(())
}

async fn a_dropped_exchange() -> Outcome {
    let (state, seen) = tokio::sync::watch::channel("nothing");
    let receiver = listen(move |mut talk: Talk| {
        let state = state.clone();
        async move {
            talk.hear().await?;
            state.send_replace("heard");
            talk.until_closed().await;
            state.send_replace("closed");
            Ok(())
        }
    })
    .await?;
    let transport = loopback_transport();
    let exchange = transport.exchange(post(receiver.url(&loopback_policy()), LONG));

    let mut hearing = seen.clone();
    tokio::select! {
        outcome = exchange => return Err(format!("nothing was answered, and still there is {outcome:?}").into()),
        heard = hearing.wait_for(|state| *state == "heard") => drop(heard?),
    }

    seen.clone().wait_for(|state| *state == "closed").await?;
    assert_eq!((receiver.connections(), receiver.requests()), (1, 1));
    Ok(())
}

async fn many_at_once() -> Outcome {
    let receiver = listen(|mut talk: Talk| async move {
        loop {
            talk.hear().await?;
            let head = talk.last_head();
            let number = head.split("number=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("");
            talk.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{number}", number.len())).await?;
        }
    })
    .await?;
    let policy = loopback_policy();
    let transport = loopback_transport();

    for round in 0..5 {
        let exchanges = (0..40).map(|index| {
            let number = round * 1000 + index;
            let url = policy.parse(&format!("http://{}/?number={number}", receiver.address));
            let transport = &transport;
            async move {
                let answer = transport.exchange(post(url.expect("loopback"), LONG)).await?;
                assert_eq!(answer.body, number.to_string());
                Ok::<_, TransportError>(())
            }
        });
        futures_util::future::try_join_all(exchanges).await?;
    }

    assert_eq!(receiver.requests(), 200);
    assert!(receiver.connections() < 100, "{}", receiver.connections());
    Ok(())
}
