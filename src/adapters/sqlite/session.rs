//! One connection at work: its prepared statements, and what it need not read twice.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, Params, Row, Statement};

use crate::adapters::sqlite::fault::Done;
use crate::webhooks::model::{TenantDefaults, Webhook};

/// One connection at work. Statements are prepared once, because preparing takes longer than most of them take to run.
pub(super) struct Session<'c> {
    connection: &'c Connection,
    statements: RefCell<HashMap<(usize, usize), Statement<'c>>>,
    /// Webhooks by lane.
    webhooks: RefCell<HashMap<i64, AtRevision<Webhook>>>,
    /// By tenant.
    defaults: RefCell<HashMap<Arc<str>, AtRevision<TenantDefaults>>>,
}

/// A parsed record, and the revision that it was read at.
type AtRevision<T> = (i64, Arc<T>);

/// More parsed records than this are not kept.
const MOST_KEPT: usize = 20_000;

impl<'c> Session<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            statements: RefCell::default(),
            webhooks: RefCell::default(),
            defaults: RefCell::default(),
        }
    }

    pub(super) const fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Runs a statement that gives no rows; says how many rows it changed.
    pub(super) fn run(&self, sql: &'static str, params: impl Params) -> Done<usize> {
        self.with(sql, |statement| Ok(statement.execute(params)?))
    }

    /// The first row, if there is one.
    pub(super) fn first<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Done<T>,
    ) -> Done<Option<T>> {
        self.with(sql, |statement| {
            let mut rows = statement.query(params)?;
            rows.next()?.map(read).transpose()
        })
    }

    /// Every row.
    pub(super) fn all<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Done<T>,
    ) -> Done<Vec<T>> {
        self.with(sql, |statement| {
            let mut rows = statement.query(params)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(read(row)?);
            }
            Ok(found)
        })
    }

    /// Whether there is a row.
    pub(super) fn finds(&self, sql: &'static str, params: impl Params) -> Done<bool> {
        Ok(self.first(sql, params, |_| Ok(()))?.is_some())
    }

    /// The one number that a statement gives.
    pub(super) fn number(&self, sql: &'static str, params: impl Params) -> Done<Option<i64>> {
        Ok(self.first(sql, params, |row| Ok(row.get::<_, Option<i64>>(0)?))?.flatten())
    }

    /// The webhook of a lane as it was at this revision.
    pub(super) fn known_webhook(&self, lane: i64, revision: i64) -> Option<Arc<Webhook>> {
        let kept = self.webhooks.borrow();
        kept.get(&lane).filter(|(known, _)| *known == revision).map(|(_, webhook)| Arc::clone(webhook))
    }

    pub(super) fn keep_webhook(&self, lane: i64, revision: i64, webhook: &Arc<Webhook>) {
        let mut kept = self.webhooks.borrow_mut();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(lane, (revision, Arc::clone(webhook)));
    }

    pub(super) fn known_defaults(&self, tenant: &str, revision: i64) -> Option<Arc<TenantDefaults>> {
        let kept = self.defaults.borrow();
        kept.get(tenant).filter(|(known, _)| *known == revision).map(|(_, defaults)| Arc::clone(defaults))
    }

    pub(super) fn keep_defaults(&self, tenant: &str, revision: i64, defaults: &Arc<TenantDefaults>) {
        let mut kept = self.defaults.borrow_mut();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(tenant.into(), (revision, Arc::clone(defaults)));
    }

    /// Forgets what was read: a transaction was undone, and its revisions will be given to other contents.
    pub(super) fn forget(&self) {
        self.webhooks.borrow_mut().clear();
        self.defaults.borrow_mut().clear();
    }

    fn with<T>(&self, sql: &'static str, act: impl FnOnce(&mut Statement<'c>) -> Done<T>) -> Done<T> {
        // The text's address names the statement: it is a constant, and hashing the text would cost more than it saves.
        let name = (sql.as_ptr().addr(), sql.len());
        let known = self.statements.borrow_mut().remove(&name);
        let mut statement = match known {
            Some(statement) => statement,
            None => self.connection.prepare(sql)?,
        };
        let done = act(&mut statement);
        self.statements.borrow_mut().insert(name, statement);
        done
    }
}

/// What each of the statements would do row by row over a whole table, or sort by itself: nothing may that runs once per
/// delivery or per turn.
#[cfg(test)]
pub(super) fn scans(statements: &[&str]) -> Vec<String> {
    use crate::adapters::sqlite::migrations::{migrate, migrations};

    let connection = Connection::open_in_memory().expect("a database");
    migrate(&connection, migrations()).expect("tables");
    let mut found = Vec::new();
    for sql in statements {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a statement");
        for parameter in 1..=plan.parameter_count() {
            plan.raw_bind_parameter(parameter, 1).expect("a parameter");
        }
        let mut rows = plan.raw_query();
        while let Some(row) = rows.next().expect("a plan") {
            let step: String = row.get(3).expect("a step");
            let is_one_row = step.contains("crossdock_engine") || step == "SCAN CONSTANT ROW";
            if (step.starts_with("SCAN") || step.contains("TEMP B-TREE")) && !is_one_row {
                found.push(format!("{step}: {sql}"));
            }
        }
    }
    found
}
