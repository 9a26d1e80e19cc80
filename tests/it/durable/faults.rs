//! What happens to servers under running workers: whatever it is, what was accepted arrives, and nobody restarts anything.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crossdock::adapters::PostgresStore;
use crossdock::adapters::postgres::PostgresWake;
use crossdock::ports::Wake;
use crossdock::{Error, ErrorKind};
use futures_util::future::join;
use libtest_mimic::Trial;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

use crate::durable::ground::{Ending, Failure, Ground, on_postgres, shipped, vault};
use crate::patience::soon;
use crate::postgres::{Cluster, Durability, Outcome, Schemas, Way, play, rule_with, server};
use crate::story::receiver::{Receiver, Reply};
use crate::story::shop::Shop;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule_with(
            "durable::postgres::a_server_that_goes_away_and_comes_back_needs_no_restart",
            own,
            |cluster| play(away_and_back(cluster)),
        ),
        rule_with("durable::postgres::connections_that_are_cut_at_any_time_lose_nothing", server, |url| {
            play(Schemas::lend(url, Way::Direct, cut))
        }),
        rule_with(
            "durable::postgres::connections_that_are_cut_behind_transactions_lose_nothing",
            server,
            |url| play(Schemas::lend(url, Way::Pooled, cut)),
        ),
        rule_with("durable::postgres::a_wrong_password_is_an_error_until_it_is_right", own, |cluster| {
            play(wrong_password(cluster))
        }),
        rule_with("durable::postgres::another_process_is_woken", server, |url| {
            let server = url.clone();
            play(Schemas::lend(url, Way::Direct, async move |schemas| woken(&server, &schemas).await))
        }),
    ]
}

fn own() -> Result<Cluster, String> {
    Cluster::start(Durability::Crash)
}

async fn away_and_back(cluster: Cluster) -> Outcome {
    let receiver = Receiver::listen(|_| Reply::status(204)).await?;
    let pool = hasty_pool(&cluster.url()).await?;
    let store = PostgresStore::new(pool);
    store.migrate().await?;
    let shop = on_postgres(store)?;
    shop.subscribe("ERP", &receiver.url("/"), "shipment.*").await?;
    let worker = shop.work();
    let mut accepted = BTreeSet::new();
    publish(&shop, 10, &mut accepted).await?;

    for round in 0..3 {
        if round == 1 {
            cluster.stop()?
        } else {
            cluster.crash()?
        }
        let error = shop.hub.publish(shipped()?).await.err().ok_or("there is no server")?;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");

        cluster.start_again()?;

        soon("the hub accepts events again", async || match shop.hub.publish(shipped()?).await {
            Ok(published) => Ok(accepted.insert(published.event.to_string())),
            Err(error) if error.is_transient() => Ok(false),
            Err(error) => Err(error.into()),
        })
        .await?;
        publish(&shop, 10, &mut accepted).await?;
        soon("what was accepted arrives", async || Ok(arrived(&receiver, &accepted))).await?;
    }
    worker.stop().await?;
    // Outside of the window, an event may come twice: its answer was not noted before the server went.
    assert!(receiver.requests().len() >= accepted.len());
    Ok(())
}

async fn cut(schemas: Arc<Schemas>) -> Outcome {
    let receiver = Receiver::listen(|_| Reply::status(204)).await?;
    let ground = Ground::postgres(&schemas).await?;
    let Ground::Postgres(place) = &ground else { return Err("another ground".into()) };
    let shop = ground.shop()?;
    shop.subscribe("ERP", &receiver.url("/"), "shipment.*").await?;
    let worker = shop.work();
    let mut admin = PgConnection::connect(schemas.url()).await?;
    // Whoever has ever named this schema, which is nobody but this story.
    let knife = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE pid <> pg_backend_pid() AND query LIKE '%' || $1 || '%'";

    let (mut accepted, mut cuts, mut number) = (BTreeSet::new(), 0, 0);
    // How many connections are open, and so are cut at a time, is up to the machine's load.
    while number < 60 || (cuts < 10 && number < 600) {
        let event = shipped()?;
        let publishes = async {
            match number % 2 {
                0 => shop.hub.publish(event).await.map_err(Failure::from),
                _ => ground.order(&shop, event, Ending::Commit).await,
            }
        };
        let cuts_amid_it = async {
            match number % 3 {
                0 => sqlx::query_scalar::<_, i64>(knife).bind(&place.schema).fetch_one(&mut admin).await,
                _ => Ok(0),
            }
        };
        let (published, cut) = join(publishes, cuts_amid_it).await;
        cuts += cut?;
        // What is refused was cut; it may have been committed all the same, and is then delivered as well.
        if let Ok(published) = published {
            accepted.insert(published.event.to_string());
        }
        number += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    soon("what was accepted arrives", async || Ok(arrived(&receiver, &accepted))).await?;
    assert!(cuts >= 10, "only {cuts} connections were cut");
    assert!(accepted.len() >= 10, "only {} events were accepted", accepted.len());
    let by_name = receiver.requests().iter().map(|request| request.event_id()).collect::<BTreeSet<_>>();
    let log = shop.log().await?;
    assert_eq!(log.len(), log.iter().map(|delivery| delivery.event).collect::<BTreeSet<_>>().len());
    assert!(by_name.len() <= log.len(), "nothing arrives that is not in the log");
    worker.stop().await
}

async fn wrong_password(cluster: Cluster) -> Outcome {
    let mut admin = PgConnection::connect(&cluster.url()).await?;
    let role = "CREATE ROLE shop LOGIN SUPERUSER PASSWORD 'right'";
    sqlx::raw_sql(role).execute(&mut admin).await?;
    PostgresStore::new(PgPool::connect(&cluster.url()).await?).migrate().await?;
    let rules = cluster.folder().join("data/pg_hba.conf");
    let before = std::fs::read_to_string(&rules)?;
    std::fs::write(&rules, format!("local all shop scram-sha-256\n{before}"))?;
    sqlx::query("SELECT pg_reload_conf()").execute(&mut admin).await?;
    soon("a password is asked for", async || {
        Ok(PgConnection::connect(&cluster.url_as("shop", "canary-wrong")).await.is_err())
    })
    .await?;

    let options = PgConnectOptions::from_str(&cluster.url_as("shop", "canary-wrong"))?;
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1)).connect_lazy_with(options);
    let shop = on_postgres(PostgresStore::new(pool))?;
    let error = shop.hub.publish(shipped()?).await.err().ok_or("the password is wrong")?;

    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let told = format!("{error} {error:?} {}", sources(&error));
    assert!(told.contains("password authentication failed"), "{told}");
    assert!(!told.contains("canary"), "{told}");

    sqlx::raw_sql("ALTER ROLE shop PASSWORD 'canary-wrong'").execute(&mut admin).await?;

    soon("it is right now", async || Ok(shop.hub.publish(shipped()?).await.is_ok())).await
}

async fn woken(url: &str, schemas: &Schemas) -> Outcome {
    let ground = Ground::postgres(schemas).await?;
    let Ground::Postgres(place) = &ground else { return Err("another ground".into()) };
    let here = PostgresWake::start(PgConnectOptions::from_str(url)?, &place.schema)?;
    let there = PostgresWake::start(PgConnectOptions::from_str(url)?, &place.schema)?;
    let store = place.store.clone();
    let shop = Shop::open_with(|builder| Ok(builder.store(store).vault(vault()).wake(here)))?;

    soon("a publication here is heard there", async || {
        let listener = there.listen();
        shop.hub.publish(shipped()?).await?;
        Ok(tokio::time::timeout(Duration::from_millis(200), listener).await.is_ok())
    })
    .await
}

/// Publishes so many events.
async fn publish(shop: &Shop, count: usize, accepted: &mut BTreeSet<String>) -> Outcome {
    for _ in 0..count {
        accepted.insert(shop.hub.publish(shipped()?).await?.event.to_string());
    }
    Ok(())
}

fn arrived(receiver: &Receiver, accepted: &BTreeSet<String>) -> bool {
    let heard: BTreeSet<String> = receiver.requests().iter().map(|request| request.event_id()).collect();
    accepted.is_subset(&heard)
}

/// Connections that are not waited for very long.
async fn hasty_pool(url: &str) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(2)).connect(url).await
}

fn sources(error: &Error) -> String {
    let mut told = String::new();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        told.push_str(&source.to_string());
        next = source.source();
    }
    told
}
