//! What the table of cases does not hold: the ways around a guard that are no input at all.

use std::net::IpAddr;
use std::time::Duration;

use crossdock::adapters::http_client::HttpTransport;
use crossdock::ports::{Exchange, ExchangeRequest, TransportErrorKind};
use crossdock::primitives::{EgressPolicy, TenantUrl};
use http::StatusCode;
use libtest_mimic::Trial;

use crate::child;
use crate::loopback::{
    LONG, NO_CONTENT, Names, Outcome, Route, answer, limits, listen, loopback_policy, loopback_transport,
    play, post,
};
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("egress: proxy variables are not read", proxy_variables_are_not_read),
        rule("egress: a connection that ends elsewhere is not used", || play(a_wrong_peer_is_refused())),
        rule("egress: a URL of a laxer policy is judged again before anything is looked up", || {
            play(a_lax_url_is_judged_again())
        }),
        rule("egress: forbidden, refused and silent receivers look the same", || {
            play(failures_tell_nothing())
        }),
    ]
}

fn proxy_variables_are_not_read() -> Outcome {
    play(async {
        let receiver = listen(answer(NO_CONTENT)).await?;
        let proxy = listen(answer(NO_CONTENT)).await?;
        let url = receiver.url(&loopback_policy()).to_string();
        let trap = format!("http://{}", proxy.address);

        let run = tokio::task::spawn_blocking(move || {
            let variables =
                ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
            let mut child = child::command("send_once")?;
            child.env(SEND_TO, url).env_remove("no_proxy").env_remove("NO_PROXY");
            child.envs(variables.map(|variable| (variable, trap.as_str())));
            child.output()
        });
        let output = run.await??;

        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!((receiver.requests(), proxy.connections()), (1, 0));
        Ok(())
    })
}

/// The child's part of the story above.
pub(crate) fn send_once() -> Outcome {
    play(async {
        let url = loopback_policy().parse(&std::env::var(SEND_TO)?)?;
        let answer = loopback_transport().exchange(post(url, LONG)).await?;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        Ok(())
    })
}

async fn a_wrong_peer_is_refused() -> Outcome {
    let receiver = listen(answer(NO_CONTENT)).await?;
    let policy = EgressPolicy::default().dangerous_allow_http();
    let transport = HttpTransport::builder()
        .policy(policy.clone())
        .dialler(Route::to(receiver.address).claiming("10.0.0.1:8080".parse()?))
        .build()?;

    let outcome = transport.exchange(post(policy.parse("http://93.184.216.34:8080/")?, LONG)).await;

    let error = outcome.err().ok_or("a failure")?;
    assert_eq!((error.kind, error.peer), (TransportErrorKind::Unreachable, None));
    assert_eq!(receiver.requests(), 0);
    Ok(())
}

async fn a_lax_url_is_judged_again() -> Outcome {
    let lax = loopback_policy().allow_hosts(["vault"]).dangerous_allow_all_ports();
    let names = Names::default().with("vault", vec![Some(vec!["93.184.216.34".parse()?])]);
    let route = Route::to("127.0.0.1:1".parse()?);
    let strict = HttpTransport::builder().resolver(names.clone()).dialler(route.clone()).build()?;

    for text in
        ["https://vault/", "http://erp.example.com/", "https://erp.example.com:25/", "https://127.0.0.1/"]
    {
        let error = strict.exchange(post(lax.parse(text)?, LONG)).await.err().ok_or("a failure")?;
        assert_eq!((error.kind, error.peer), (TransportErrorKind::Unreachable, None), "{text}");
    }

    assert!(names.asked().is_empty() && route.dialled().is_empty());
    Ok(())
}

async fn failures_tell_nothing() -> Outcome {
    let refused = listen(answer(NO_CONTENT)).await?.address;
    let policy = EgressPolicy::default().dangerous_allow_http();
    let url = |text: &str| policy.parse(text);
    let names = Names::default().with("inside.example.com.", vec![Some(vec!["10.0.0.1".parse()?])]);
    let silent: IpAddr = "93.184.216.34".parse()?;
    let fail = async |url: TenantUrl, route: Route| {
        let transport = HttpTransport::builder()
            .policy(policy.clone())
            .resolver(names.clone())
            .dialler(route)
            .build()
            .map_err(|error| error.to_string())?;
        let mut request = ExchangeRequest::post(url, "");
        request.limits = limits(LONG);
        request.limits.connect = Duration::from_millis(50);
        transport.exchange(request).await.err().ok_or("a failure".to_owned())
    };

    let forbidden = fail(url("http://inside.example.com:8080/")?, Route::to(refused)).await?;
    let closed = fail(url("http://93.184.216.34:8080/")?, Route::to("127.0.0.1:1".parse()?)).await?;
    let filtered = fail(url("http://93.184.216.34:8080/")?, Route::to(refused).with_dead(silent)).await?;

    for error in [&forbidden, &closed, &filtered] {
        assert_eq!(error.to_string(), "unreachable");
    }
    assert_eq!(forbidden.peer, None);
    Ok(())
}

const SEND_TO: &str = "CROSSDOCK_IT_SEND_TO";
