//! Wake-ups across processes.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crossdock::adapters::postgres::PostgresWake;
use crossdock::ports::{Wake, Wakened};
use crossdock::testing::conformance::wake_suite;
use crossdock::{Error, ErrorKind};
use libtest_mimic::Trial;
use sqlx::postgres::{PgConnectOptions, PgListener};
use sqlx::{Connection, PgConnection};

use crate::patience::soon;
use crate::postgres::cluster::{Cluster, Durability};
use crate::postgres::play::{Outcome, play};
use crate::postgres::server::{fresh_name, rule_with, server};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        rule_with("postgres::wake::any_number_of_wakes_is_one_notification", server, |url| {
            play(coalesced(url))
        }),
        rule_with("postgres::wake::a_cut_connection_is_made_again", server, |url| play(cut(url))),
        rule_with("postgres::wake::the_last_clone_ends_it", server, |url| play(ended(url))),
        rule_with("postgres::wake::a_server_that_comes_back_needs_no_restart", own, |cluster| {
            play(away_and_back(cluster))
        }),
        crate::rule("postgres::wake::a_channel_has_a_name", || play(nameless())),
        crate::rule("postgres::wake::it_needs_a_runtime", homeless),
    ];
    for check in wake_suite() {
        trials.push(rule_with(
            &format!("conformance::postgres_wake::{}", check.name()),
            server,
            move |url| play(async move { Ok(check.run(Arc::new(wake(&url, &fresh_name())?)).await?) }),
        ));
        // What came before may reach another process later: there it is a hint like any other.
        if check.name() != "wake::a_wake_that_came_before_is_no_wake" {
            let name = format!("conformance::postgres_wake_across::{}", check.name());
            trials.push(rule_with(&name, server, move |url| {
                play(async move { Ok(check.run(Arc::new(Pair::connect(&url)?)).await?) })
            }));
        }
    }
    trials
}

fn own() -> Result<Cluster, String> {
    Cluster::start(Durability::Crash)
}

fn wake(url: &str, channel: &str) -> Result<PostgresWake, Error> {
    let server = PgConnectOptions::from_str(url);
    let server = server.map_err(|error| Error::new(ErrorKind::Invalid, "read a URL").with_source(error))?;
    PostgresWake::start(server, channel)
}

/// Two processes: one wakes, the other hears it.
#[derive(Debug)]
struct Pair {
    here: PostgresWake,
    there: PostgresWake,
}

impl Pair {
    fn connect(url: &str) -> Result<Self, Error> {
        let channel = fresh_name();
        Ok(Self { here: wake(url, &channel)?, there: wake(url, &channel)? })
    }
}

impl Wake for Pair {
    fn wake(&self) {
        self.here.wake();
    }

    fn listen(&self) -> Wakened {
        self.there.listen()
    }
}

async fn coalesced(url: String) -> Outcome {
    let channel = fresh_name();
    let mut witness = PgListener::connect(&url).await?;
    witness.listen(&channel).await?;
    let wake = wake(&url, &channel)?;

    for _ in 0..10_000 {
        wake.wake();
    }

    let first = witness.recv().await?;
    // Long enough for a second one, if there were one.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut other = PgConnection::connect(&url).await?;
    let last = sqlx::query("SELECT pg_notify($1, 'last')").bind(&channel).execute(&mut other);
    last.await?;
    assert_ne!(first.payload(), "last");
    assert_eq!(witness.recv().await?.payload(), "last");
    Ok(())
}

async fn cut(url: String) -> Outcome {
    let pair = Pair::connect(&url)?;
    let mut other = PgConnection::connect(&url).await?;
    soon("it is heard", async || heard(&pair).await).await?;

    let mut cut = 0;
    for _ in 0..3 {
        // Only those of this trial.
        let by_channel = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                          WHERE application_name = 'crossdock wake' AND query LIKE 'LISTEN \"' || $1 || '\"%'";
        cut += sqlx::query(by_channel).bind(channel(&pair)).execute(&mut other).await?.rows_affected();
        soon("it is heard again", async || heard(&pair).await).await?;
    }

    assert!(cut >= 2, "{cut} connections were cut");
    Ok(())
}

async fn ended(url: String) -> Outcome {
    let pair = Pair::connect(&url)?;
    soon("it is heard", async || heard(&pair).await).await?;
    let mut other = PgConnection::connect(&url).await?;
    let channel = channel(&pair);
    let clone = pair.there.clone();
    drop(pair);
    soon("one listens, because a clone is left", async || Ok(listeners(&mut other, &channel).await? == 1))
        .await?;

    drop(clone);

    soon("nobody listens", async || Ok(listeners(&mut other, &channel).await? == 0)).await
}

async fn away_and_back(cluster: Cluster) -> Outcome {
    let pair = Pair::connect(&cluster.url())?;
    soon("it is heard", async || heard(&pair).await).await?;
    assert!(pair.there.trouble().is_none());

    cluster.crash()?;

    soon("who hears notices", async || Ok(pair.there.trouble().is_some())).await?;
    pair.here.wake();
    soon("who tells notices", async || {
        pair.here.wake();
        Ok(pair.here.trouble().is_some())
    })
    .await?;
    let trouble = pair.there.trouble().ok_or("it was there")?;
    assert!(trouble.is_transient());
    let at_home = pair.here.listen();
    pair.here.wake();
    at_home.await;

    cluster.start_again()?;

    soon("it is heard again", async || heard(&pair).await).await?;
    soon("there is no trouble any more", async || {
        pair.here.wake();
        Ok(pair.here.trouble().is_none() && pair.there.trouble().is_none())
    })
    .await
}

async fn nameless() -> Outcome {
    for channel in ["", "nul\0", &"x".repeat(64)] {
        let error = wake("postgres://localhost/app", channel).err().ok_or("it has started")?;
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.problems()[0].field, "channel");
    }
    Ok(())
}

fn homeless() -> Outcome {
    let error = wake("postgres://localhost/app", "crossdock").err().ok_or("it has started")?;

    assert_eq!(error.kind(), ErrorKind::Unconfigured);
    Ok(())
}

/// Wakes here; whether that is heard there within a moment.
async fn heard(pair: &Pair) -> Result<bool, Box<dyn std::error::Error>> {
    let there = pair.there.listen();
    pair.here.wake();
    Ok(tokio::time::timeout(Duration::from_millis(50), there).await.is_ok())
}

async fn listeners(connection: &mut PgConnection, channel: &str) -> Result<i64, Box<dyn std::error::Error>> {
    let count = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN \"' || $1 || '\"%'";
    Ok(sqlx::query_scalar(count).bind(channel).fetch_one(connection).await?)
}

fn channel(pair: &Pair) -> String {
    let shown = format!("{:?}", pair.there);
    shown.split('"').nth(1).unwrap_or_default().to_owned()
}
