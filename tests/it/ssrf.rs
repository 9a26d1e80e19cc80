//! Every case of `tests/data/ssrf-cases.json` gets the verdict it expects. Bytes only ever go to loopback.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crossdock::adapters::http_client::HttpTransport;
use crossdock::ports::{Answer, Exchange, TransportError, TransportErrorKind};
use crossdock::primitives::EgressPolicy;
use crossdock::primitives::header::TenantHeader;
use http::{Method, StatusCode};
use libtest_mimic::Trial;
use serde::Deserialize;

use crate::certificates::{Authority, Chain, path_building_bomb, self_signed};
use crate::loopback::{
    LONG, NO_CONTENT, Names, Outcome, Route, SHORT, Talk, answer, listen, listen_tls, loopback_policy,
    loopback_transport, play, post,
};
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("ssrf: the table holds as many cases of each kind as are run", the_table_is_complete),
        rule("ssrf: every address gets its verdict", || each("ip", judge_address)),
        rule("ssrf: every url gets its verdict", || each("url", judge_url)),
        rule("ssrf: every header gets its verdict", || each("header", judge_header)),
        rule("ssrf: every lookup gets its verdict, and only judged addresses are dialled", || {
            each("dns", |case| play(look_up(case.clone())))
        }),
        rule("ssrf: no redirect and no alternative service is followed", || {
            each("redirect", |case| play(redirect(case.clone())))
        }),
        rule("ssrf: every hostile answer ends in time and in its kind of failure", || {
            each("response", |case| play(respond(case.clone())))
        }),
        rule("ssrf: nothing in the environment opens a way", || {
            each("environment", |case| play(environment(case.clone())))
        }),
    ]
}

#[derive(Clone, Debug, Deserialize)]
struct Case {
    id: String,
    kind: String,
    input: String,
    expect: String,
    reason: String,
    expect_strict: Option<String>,
    whatwg_host: Option<String>,
    #[serde(default)]
    answers: Vec<Lookup>,
    #[serde(default)]
    expect_per_attempt: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Lookup {
    Addresses(Vec<IpAddr>),
    Failure(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Table {
    cases: Vec<Case>,
}

fn table() -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    Ok(serde_json::from_str::<Table>(include_str!("../data/ssrf-cases.json"))?.cases)
}

/// Runs every case of a kind and lists those that fail.
fn each(kind: &str, run: impl Fn(&Case) -> Outcome) -> Outcome {
    let mut failures = Vec::new();
    for case in table()?.iter().filter(|case| case.kind == kind) {
        if let Err(error) = run(case) {
            failures.push(format!("{}: {error}", case.id));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

fn the_table_is_complete() -> Outcome {
    let mut counts = BTreeMap::new();
    for case in table()? {
        *counts.entry(case.kind).or_insert(0) += 1;
    }

    let run = [
        ("dns", 13),
        ("environment", 4),
        ("header", 10),
        ("ip", 95),
        ("redirect", 6),
        ("response", 11),
        ("url", 74),
    ];
    assert_eq!(counts, run.map(|(kind, count)| (kind.to_owned(), count)).into());
    assert_eq!(counts.values().sum::<i32>(), 213);
    Ok(())
}

/// Compares a verdict with the one that the case expects: `None` is "allow", `Some` the reason of "deny".
fn verdict(case: &Case, found: Option<&str>) -> Outcome {
    let expected = (case.expect == "deny").then_some(case.reason.as_str());
    if found == expected {
        Ok(())
    } else {
        Err(format!("expected {expected:?}, found {found:?} for {}", case.input).into())
    }
}

fn judge_address(case: &Case) -> Outcome {
    let address = case.input.parse()?;

    let refusal = EgressPolicy::default().check_address(address).err();
    verdict(case, refusal.map(|refusal| refusal.reason()))?;

    let strict = EgressPolicy::default().deny_embedded_v4().check_address(address);
    let expected = case.expect_strict.as_ref().unwrap_or(&case.expect);
    assert_eq!(strict.is_err(), expected == "deny", "strict verdict of {}", case.id);
    Ok(())
}

fn judge_url(case: &Case) -> Outcome {
    let policy = EgressPolicy::default();

    let parsed = policy.parse(&case.input);

    if let (Ok(url), Some(host)) = (&parsed, &case.whatwg_host) {
        assert_eq!(url.host(), host);
        assert_eq!(policy.parse(url.as_str()).as_ref(), Ok(url), "a stored URL is read back as itself");
    }
    verdict(case, parsed.err().map(|refusal| refusal.reason()))
}

fn judge_header(case: &Case) -> Outcome {
    // The table escapes what a header must not hold.
    let line: String = serde_json::from_str(&format!("\"{}\"", case.input))?;
    let (name, value) = line.split_once(": ").ok_or("a header has a name and a value")?;

    let parsed = TenantHeader::parse(name, value);

    verdict(case, parsed.err().map(|refusal| refusal.reason()))
}

async fn look_up(case: Case) -> Outcome {
    let policy = EgressPolicy::default();
    let url = policy.parse(&case.input)?;
    let name = format!("{}.", url.host());
    let mut answers: Vec<_> = case
        .answers
        .iter()
        .map(|lookup| match lookup {
            Lookup::Addresses(addresses) => Some(addresses.clone()),
            Lookup::Failure(_) => None,
        })
        .collect();
    let first = answers[0].clone();
    // Whoever asks twice gets a private address the second time.
    answers.push(Some(vec!["127.0.0.1".parse()?]));

    for (policy, expected) in [
        (policy.clone(), &case.expect),
        (policy.deny_embedded_v4(), case.expect_strict.as_ref().unwrap_or(&case.expect)),
    ] {
        let authority = Authority::new()?;
        let Chain { certificates, key } = authority.certify(["*.example.com", "127.0.0.1.nip.io"])?;
        let receiver = listen_tls(certificates, key, answer(NO_CONTENT)).await?;
        let names = Names::default().with(&name, answers.clone());
        let route = Route::to(receiver.address);
        let transport = HttpTransport::builder()
            .policy(policy)
            .resolver(names.clone())
            .dialler(route.clone())
            .with_roots([authority.root()])
            .build()?;

        let outcome = transport.exchange(post(url.clone(), LONG)).await;

        assert_eq!(
            names.asked(),
            std::slice::from_ref(&name),
            "one lookup per attempt, of the absolute name"
        );
        if expected == "allow" {
            let vetted = first.as_ref().ok_or("an answer")?[0];
            let answer = outcome?;
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
            assert_eq!(answer.peer, Some(vetted), "the peer is the judged address");
            assert_eq!(route.dialled(), [SocketAddr::new(vetted, 443)]);
        } else {
            let error = outcome.err().ok_or("the attempt must fail")?;
            let unresolved = ["no-address", "dns-error"].contains(&case.reason.as_str());
            let kind = if unresolved { TransportErrorKind::Dns } else { TransportErrorKind::Unreachable };
            assert_eq!((error.kind, error.peer), (kind, None));
            assert!(error.timings.dns.is_some());
            assert_eq!(route.dialled(), [], "nothing is dialled");
            assert_eq!(receiver.connections(), 0);
        }
    }
    assert_eq!(case.expect_per_attempt, [case.expect.as_str()], "one attempt per case");

    match first {
        None => verdict(&case, Some("dns-error")),
        Some(first) => {
            let judged = EgressPolicy::default().check_answers(&first, 443, &[]);
            verdict(&case, judged.err().map(|refusal| refusal.reason()))
        }
    }
}

async fn redirect(case: Case) -> Outcome {
    let input = case.input.clone();
    let receiver = listen(move |mut talk: Talk| {
        let input = input.clone();
        async move {
            loop {
                talk.hear().await?;
                talk.say(redirecting(&input)).await?;
            }
        }
    })
    .await?;
    let route = Route::to(receiver.address);
    let transport = HttpTransport::builder().policy(loopback_policy()).dialler(route.clone()).build()?;

    let mut request = post(receiver.url(&loopback_policy()), LONG);
    if case.input.starts_with("JWKS") {
        request.method = Method::GET;
    }
    let answer = transport.exchange(request.clone()).await?;
    let again = transport.exchange(request).await?;

    assert_eq!(receiver.requests(), 2, "one request per exchange");
    assert_eq!(route.dialled(), [receiver.address], "no other address is dialled, now or later");
    assert_eq!(answer.status, again.status);
    verdict(&case, answer.status.is_redirection().then_some("redirect"))
}

fn redirecting(input: &str) -> String {
    let (status, header) = match input.split_once(" -> ") {
        Some((front, location)) => {
            let status = front.rsplit(' ').next().unwrap_or(front);
            (status.to_owned(), format!("location: {location}"))
        }
        None => ("200".to_owned(), "alt-svc: h3=\"127.0.0.1:443\"".to_owned()),
    };
    format!("HTTP/1.1 {status} Whatever\r\n{header}\r\ncontent-length: 0\r\n\r\n")
}

async fn respond(case: Case) -> Outcome {
    // That it ends at all is the rule here; the bounds of an exchange are the conformance suite's.
    let outcomes = tokio::time::timeout(Duration::from_secs(120), hostile_answers(&case)).await;
    for outcome in outcomes.map_err(|_| format!("{} does not end", case.id))?? {
        verdict(&case, failure(&outcome))?;
        if let Ok(answer) = &outcome {
            assert!(answer.body.len() <= 16 * 1024);
        }
    }
    Ok(())
}

/// What is wrong with the outcome of an attempt, in the words of the table.
fn failure(outcome: &Result<Answer, TransportError>) -> Option<&'static str> {
    match outcome {
        Ok(answer) if answer.truncated => Some("response-too-large"),
        Ok(answer) if !answer.status.is_success() => Some("status"),
        Ok(_) => None,
        Err(error) => Some(match error.kind {
            TransportErrorKind::TimedOut => "response-timeout",
            TransportErrorKind::Protocol => "protocol",
            TransportErrorKind::Tls => "tls",
            other => other.as_str(),
        }),
    }
}

type Outcomes = Result<Vec<Result<Answer, TransportError>>, Box<dyn std::error::Error>>;

async fn hostile_answers(case: &Case) -> Outcomes {
    let authority = Authority::new()?;
    let mut outcomes = Vec::new();
    match case.id.as_str() {
        "res-001" => outcomes.push(
            hear(|mut talk| async move {
                talk.say("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n").await?;
                let zeros = vec![0; 64 * 1024];
                for _ in 0..10 * 1024 {
                    talk.say(&zeros).await?;
                }
                Ok(())
            })
            .await?,
        ),
        "res-002" => outcomes.push(
            hear(|mut talk| async move {
                talk.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
                loop {
                    talk.say("1\r\nx\r\n").await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await?,
        ),
        "res-004" => outcomes.push(
            hear(|mut talk| async move {
                talk.until_closed().await;
                Ok(())
            })
            .await?,
        ),
        "res-007" => {
            for informational in
                ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n"]
            {
                let flood = informational.repeat(1000);
                outcomes.push(
                    hear(move |mut talk| {
                        let flood = flood.clone();
                        async move {
                            loop {
                                talk.say(&flood).await?;
                            }
                        }
                    })
                    .await?,
                );
            }
        }
        "res-008" => outcomes.push(
            hear(|mut talk| async move {
                // SETTINGS, then empty DATA frames without end.
                talk.say(b"\0\0\0\x04\0\0\0\0\0").await?;
                loop {
                    talk.say(b"\0\0\0\0\0\0\0\0\x01".repeat(100)).await?;
                }
            })
            .await?,
        ),
        "res-009" => outcomes.push(
            hear(|mut talk| async move {
                talk.say("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")
                    .await?;
                talk.until_closed().await;
                Ok(())
            })
            .await?,
        ),
        "res-010" => {
            for garbage in [
                "HTTP/1.1 999 Whatever\r\ncontent-length: 0\r\n\r\n",
                "HTTP/1.1 0 OK\r\ncontent-length: 0\r\n\r\n",
                "\u{1}\u{2}\u{3} garbage\r\n\r\n",
                "SSH-2.0-OpenSSH_9.6\r\n",
                "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
                "HTTP/1.1 200 OK\r\nna me: x\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot a length\r\n",
            ] {
                outcomes.push(
                    hear(move |mut talk| async move {
                        talk.say(garbage).await?;
                        talk.until_closed().await;
                        Ok(())
                    })
                    .await?,
                );
            }
        }
        "res-012" => outcomes.push(shake(&authority, authority.certify_expired("*.example.com")?).await?),
        "res-013" => outcomes.push(shake(&authority, authority.certify(["other.example.net"])?).await?),
        "res-014" => outcomes.push(shake(&authority, self_signed("erp.example.com")?).await?),
        "res-017" => outcomes.push(shake(&authority, path_building_bomb("erp.example.com")?).await?),
        unknown => return Err(format!("{unknown} is not run").into()),
    }
    Ok(outcomes)
}

/// One exchange with a receiver that takes the request and then does this.
async fn hear<F, Fut>(then: F) -> Result<Result<Answer, TransportError>, Box<dyn std::error::Error>>
where
    F: Fn(Talk) -> Fut + Send + Clone + 'static,
    Fut: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let receiver = listen(move |mut talk: Talk| {
        let then = then.clone();
        async move {
            talk.hear().await?;
            then(talk).await
        }
    })
    .await?;
    let outcome = loopback_transport().exchange(post(receiver.url(&loopback_policy()), SHORT)).await;
    assert_eq!(receiver.requests(), 1);
    Ok(outcome)
}

/// One exchange with a receiver at `erp.example.com` that shows this chain.
async fn shake(
    authority: &Authority,
    chain: Chain,
) -> Result<Result<Answer, TransportError>, Box<dyn std::error::Error>> {
    let receiver = listen_tls(chain.certificates, chain.key, answer(NO_CONTENT)).await?;
    let policy = EgressPolicy::default();
    let transport = HttpTransport::builder()
        .policy(policy.clone())
        .resolver(Names::default().with("erp.example.com.", vec![Some(vec!["93.184.216.34".parse()?])]))
        .dialler(Route::to(receiver.address))
        .with_roots([authority.root()])
        .build()?;
    let outcome = transport.exchange(post(policy.parse("https://erp.example.com/")?, LONG)).await;
    assert_eq!(receiver.requests(), 0, "nothing is sent before the receiver has proven who it is");
    Ok(outcome)
}

async fn environment(case: Case) -> Outcome {
    match case.id.as_str() {
        "env-002" => {
            let refusal = EgressPolicy::default().parse("https://vault/").err().ok_or("a refusal")?;
            verdict(&case, Some(refusal.reason()))
        }
        "env-004" => own_listener(&case).await,
        "env-005" => host_exception(&case, "10.20.1.1").await,
        "env-006" => host_exception(&case, "10.21.0.1").await,
        unknown => Err(format!("{unknown} is not run").into()),
    }
}

async fn own_listener(case: &Case) -> Outcome {
    let receiver = listen(answer(NO_CONTENT)).await?;
    let policy = loopback_policy().deny_own_listeners([receiver.address]);

    let literal = policy.parse(&format!("http://{}/", receiver.address)).err().ok_or("a refusal")?;

    let named = policy.parse(&format!("http://self.example.com:{}/", receiver.address.port()))?;
    let transport = HttpTransport::builder()
        .policy(policy)
        .resolver(Names::default().with("self.example.com.", vec![Some(vec![receiver.address.ip()])]))
        .build()?;
    let error = transport.exchange(post(named, LONG)).await.err().ok_or("a failure")?;
    assert_eq!((error.kind, receiver.connections()), (TransportErrorKind::Unreachable, 0));
    verdict(case, Some(literal.reason()))
}

async fn host_exception(case: &Case, target: &str) -> Outcome {
    let target: IpAddr = target.parse()?;
    let receiver = listen(answer(NO_CONTENT)).await?;
    let policy = EgressPolicy::default().dangerous_allow_http().allow_networks(["10.20.0.0/16".parse()?]);
    let route = Route::to(receiver.address);
    let transport = HttpTransport::builder()
        .policy(policy.clone())
        .resolver(Names::default().with("erp.example.com.", vec![Some(vec![target])]))
        .dialler(route.clone())
        .build()?;

    let named = transport.exchange(post(policy.parse("http://erp.example.com:8080/")?, LONG)).await;
    let literal = policy.parse(&format!("http://{target}:8080/"));

    let allowed = case.expect == "allow";
    let dialled = if allowed { vec![SocketAddr::new(target, 8080)] } else { Vec::new() };
    assert_eq!(route.dialled(), dialled);
    assert_eq!(named.is_ok(), allowed);
    verdict(case, literal.err().map(|refusal| refusal.reason()))
}
