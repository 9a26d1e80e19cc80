//! Name servers that never answer: what they cost whoever uses them, and nobody else.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use crossdock::adapters::http_client::{HttpTransport, Resolve};
use crossdock::ports::{Answer, Exchange, ExchangeRequest, TransportError, TransportErrorKind};
use crossdock::primitives::EgressPolicy;
use futures_util::future::join_all;
use http::StatusCode;
use libtest_mimic::Trial;
use tokio::sync::Semaphore;

use crate::loopback::{LONG, NO_CONTENT, Outcome, Route, SHORT, answer, listen, play, post};
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("lookups: names that nobody answers for delay no other tenant", || play(no_other_tenant())),
        rule("lookups: a name is looked up once for all who wait", || play(once_per_name())),
        rule("lookups: whoever asks for another tenant's name waits in its own queue", || play(own_queue())),
        rule("lookups: a resolver that panics fails its attempts, and is asked again", || play(panics())),
    ]
}

/// Like the system's resolver, it has a few threads, and a lookup without an answer keeps its thread.
#[derive(Clone, Debug)]
struct Threads {
    free: Arc<Semaphore>,
    asked: Arc<Mutex<Vec<String>>>,
}

const THREADS: usize = 32;
/// What one tenant gets of them.
const SHARE: usize = 16;

impl Threads {
    fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(THREADS)), asked: Arc::default() }
    }

    fn asked(&self, part: &str) -> usize {
        self.asked.lock().expect("names").iter().filter(|name| name.contains(part)).count()
    }
}

#[async_trait]
impl Resolve for Threads {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().expect("names").push(name.to_owned());
        let _thread = self.free.acquire().await.map_err(io::Error::other)?;
        if name.contains("silent") {
            std::future::pending::<()>().await;
        }
        // Long enough that all who ask at the same time find it running.
        tokio::time::sleep(Duration::from_millis(20)).await;
        if name.contains("panics") && self.asked("panics") == 1 {
            // As a panic would, but without the hook that prints where.
            std::panic::resume_unwind(Box::new("this resolver does not like its first question"));
        }
        Ok(vec!["93.184.216.34".parse().expect("an address")])
    }
}

struct House {
    transport: HttpTransport,
    names: Threads,
}

impl House {
    async fn open() -> Result<Self, Box<dyn std::error::Error>> {
        let receiver = listen(answer(NO_CONTENT)).await?;
        let names = Threads::new();
        let transport = HttpTransport::builder()
            .policy(policy())
            .resolver(names.clone())
            .dialler(Route::to(receiver.address))
            .build()?;
        Ok(Self { transport, names })
    }

    async fn send(&self, tenant: &str, host: &str, total: Duration) -> Result<Answer, TransportError> {
        let url = policy().parse(&format!("http://{host}:8080/")).expect("a URL");
        let mut request: ExchangeRequest = post(url, total);
        request.party = Some(tenant.into());
        self.transport.exchange(request).await
    }

    /// As many attempts of one tenant to names of its own that nobody answers for.
    async fn besiege(&self, count: usize) {
        let sending = (0..count).map(|number| async move {
            let host = format!("silent-{number}.example.com");
            self.send("hostile", &host, SHORT).await.expect_err("no answer").kind
        });
        let kinds = join_all(sending).await;
        assert!(kinds.iter().all(|kind| *kind == TransportErrorKind::Dns), "{kinds:?}");
    }
}

fn policy() -> EgressPolicy {
    EgressPolicy::default().dangerous_allow_http()
}

async fn no_other_tenant() -> Outcome {
    let house = House::open().await?;

    // Twice: attempts that have given up do not free the threads, and must not get new ones.
    house.besiege(200).await;
    house.besiege(200).await;

    assert_eq!(house.names.asked("silent"), SHARE);
    for number in 0..40 {
        let answer = house.send("quiet", &format!("well-{number}.example.com"), LONG).await?;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    Ok(())
}

async fn once_per_name() -> Outcome {
    let house = House::open().await?;

    let answers = join_all((0..50).map(|_| house.send("t", "well.example.com", LONG))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(house.names.asked("well"), 1);
    let failures = join_all((0..50).map(|_| house.send("t", "silent.example.com", SHORT))).await;
    assert!(failures.iter().all(Result::is_err));
    assert_eq!(house.names.asked("silent"), 1);

    // A new answer is asked for when nobody waits for the old one any more.
    let fresh = House::open().await?;
    for _ in 0..3 {
        fresh.send("t", "well.example.com", LONG).await?;
    }
    assert_eq!(fresh.names.asked("well"), 1, "the connection is used again");
    Ok(())
}

async fn own_queue() -> Outcome {
    let house = House::open().await?;
    house.besiege(SHARE).await;

    // The hostile tenant asks for the quiet one's name, and has no seat left to do it.
    let (theirs, mine) = tokio::join!(
        house.send("hostile", "well.example.com", SHORT),
        house.send("quiet", "well.example.com", LONG)
    );

    assert!(mine.is_ok(), "{mine:?}");
    // It was looked at before the other's lookup ran, so it waits in vain.
    assert_eq!(theirs.map_err(|error| error.kind).err(), Some(TransportErrorKind::Dns));
    Ok(())
}

async fn panics() -> Outcome {
    let house = House::open().await?;

    let error = house.send("t", "panics.example.com", LONG).await.expect_err("a panic is no answer");
    assert_eq!(error.kind, TransportErrorKind::Dns);

    assert!(house.send("t", "panics.example.com", LONG).await.is_ok());
    Ok(())
}
