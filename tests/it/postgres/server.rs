//! The servers that all trials of one run share: started by the first trial that needs them, ended by `main`.

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libtest_mimic::{Completion, Failed, Trial};

use crate::postgres::cluster::{Cluster, Durability};
use crate::postgres::pooler::Pooler;

/// Names a server that is there already.
pub(crate) const NAMED: &str = "CROSSDOCK_TEST_POSTGRES_URL";

/// Where the shared server is found; the reason if none can be had.
pub(crate) fn server() -> Result<String, String> {
    static URL: OnceLock<Result<String, String>> = OnceLock::new();
    let started = || match std::env::var(NAMED) {
        Ok(url) => Ok(url),
        Err(_) => {
            let cluster = Cluster::start(Durability::Crash)?;
            let url = cluster.url();
            kept().push(Box::new(cluster));
            Ok(url)
        }
    };
    URL.get_or_init(started).clone()
}

/// Where the shared server is found through a transaction-mode pooler; the reason if none can be had.
pub(crate) fn pooler() -> Result<String, String> {
    static URL: OnceLock<Result<String, String>> = OnceLock::new();
    let started = || {
        let pooler = Pooler::start(&server()?)?;
        let url = pooler.url().to_owned();
        kept().push(Box::new(pooler));
        Ok(url)
    };
    URL.get_or_init(started).clone()
}

/// A name that no other trial uses, on this server or at another time.
pub(crate) fn fresh_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("it_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Ends what the trials have started, the pooler before the server.
pub(crate) fn end() {
    while let Some(last) = kept().pop() {
        drop(last);
    }
}

/// One named rule that needs something which may not be there: without it the trial is ignored with the reason, or fails where
/// everything is to be there.
pub(crate) fn rule_with<T, E: Cause>(
    name: &str,
    need: impl FnOnce() -> Result<T, String> + Send + 'static,
    story: impl FnOnce(T) -> Result<(), E> + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || match need() {
        Ok(thing) => match story(thing) {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => Err(Failed::from(error.in_full())),
        },
        Err(reason) if std::env::var_os("CI").is_some_and(|ci| ci == "true") => Err(Failed::from(reason)),
        Err(reason) => Ok(Completion::ignored_with(reason)),
    })
}

/// What went wrong, and why.
pub(crate) trait Cause {
    fn in_full(&self) -> String;
}

impl Cause for String {
    fn in_full(&self) -> String {
        self.clone()
    }
}

impl Cause for Box<dyn Error> {
    fn in_full(&self) -> String {
        with_causes(&**self)
    }
}

impl Cause for Box<dyn Error + Send + Sync> {
    fn in_full(&self) -> String {
        with_causes(&**self)
    }
}

fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn kept() -> MutexGuard<'static, Vec<Box<dyn Send>>> {
    static KEPT: Mutex<Vec<Box<dyn Send>>> = Mutex::new(Vec::new());
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}
