//! How the queue stands, for an operator.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::params;

use crate::adapters::sqlite::columns::{MINUTE, nanos, time};
use crate::adapters::sqlite::fault::Done;
use crate::adapters::sqlite::migrations::version;
use crate::adapters::sqlite::session::Session;
use crate::webhooks::queue::Examination;

pub(super) fn examine(session: &Session<'_>, path: &Path, now: DateTime<Utc>) -> Done<Examination> {
    let now = nanos(now);
    let number = |sql| session.number(sql, []).map(Option::unwrap_or_default);
    let leases = session.number(LEASES, [now])?;
    let minute_ago = now.saturating_sub(MINUTE);
    let lost = [session.number(LOST, params![minute_ago, now])?, session.number(LAPSES, [minute_ago])?];
    let vitals = BTreeMap::from([
        ("schema_version", i64::from(version(session.connection())?.unwrap_or_default())),
        ("page_size", number("PRAGMA page_size")?),
        ("pages", number("PRAGMA page_count")?),
        ("free_pages", number("PRAGMA freelist_count")?),
        ("wal_bytes", wal_bytes(path)),
    ]);
    Ok(Examination {
        outbox: number(OUTBOX)?.cast_unsigned(),
        oldest_in_outbox: session.number(OLDEST_IN_OUTBOX, [])?.map(time),
        oldest_due: session.number(OLDEST_DUE, [now])?.map(time),
        live_leases: leases.unwrap_or_default().cast_unsigned(),
        expired_leases_per_minute: lost.into_iter().flatten().sum::<i64>().cast_unsigned(),
        store_clock: None,
        vitals,
    })
}

/// How long the log beside the file is; 0 if there is none.
fn wal_bytes(path: &Path) -> i64 {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(name).map_or(0, |file| i64::try_from(file.len()).unwrap_or(i64::MAX))
}

const OUTBOX: &str =
    "SELECT count(*) FROM crossdock_event INDEXED BY crossdock_event_outbox WHERE in_outbox = 1";
const OLDEST_IN_OUTBOX: &str = "SELECT published_at FROM crossdock_event INDEXED BY crossdock_event_outbox \
    WHERE in_outbox = 1 ORDER BY n LIMIT 1";
/// The first of each lane's index.
const OLDEST_DUE: &str = "SELECT min(due) FROM (SELECT (SELECT min(due) FROM (\
    SELECT min(w.due) AS due FROM crossdock_work w WHERE w.lane = l.n AND w.place = 0 AND w.replay = 0 \
    UNION ALL SELECT min(w.due) FROM crossdock_work w WHERE w.lane = l.n AND w.place = 0 AND w.replay = 1 \
    UNION ALL SELECT min(w.due) FROM crossdock_work w WHERE w.lane = l.n AND w.place = 2 AND w.replay = 0 \
    UNION ALL SELECT min(w.due) FROM crossdock_work w WHERE w.lane = l.n AND w.place = 2 AND w.replay = 1)) AS due \
    FROM crossdock_lane l) WHERE due <= ?1";
const LEASES: &str = "SELECT count(*) FROM crossdock_lane l CROSS JOIN crossdock_work w \
    ON w.lane = l.n AND w.place = 2 AND w.replay IN (0, 1) AND w.due > ?1";
const LOST: &str = "SELECT count(*) FROM crossdock_lane l CROSS JOIN crossdock_work w \
    ON w.lane = l.n AND w.place = 2 AND w.replay IN (0, 1) AND w.due > ?1 AND w.due <= ?2";
const LAPSES: &str = "SELECT count(*) FROM crossdock_lapse WHERE at > ?1";
