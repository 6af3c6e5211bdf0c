//! What every store must do, as named checks. Each store's tests run all of them.

mod appending;
mod reading;
mod refusing;
mod sample;

use crate::EventLog;
use futures::future::BoxFuture;
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use sample::{Pen, agent_event, fleet_event, health_event, region, run_event};

/// A check that takes longer has failed.
const CHECK_WITHIN: Duration = Duration::from_secs(120);

/// An empty log, with what it needs to live (a folder, a server).
pub struct Fresh {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Dropped when the check is over.
    pub keep: Box<dyn Any + Send>,
}

/// Why a check failed.
#[derive(Debug)]
pub struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl Broken {
    /// A check failed for this reason.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// What a check says.
pub type Outcome = Result<(), Broken>;

/// `ensure!(condition, "what is wrong: {}", …)`.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Broken::new(format!($($why)+)));
        }
    };
}
use ensure;

type Log = Arc<dyn EventLog>;
type Check = (&'static str, fn(Log) -> BoxFuture<'static, Outcome>);

const CHECKS: &[Check] = &[
    ("what is appended is read in order", |log| Box::pin(reading::order(log))),
    ("every attribute of an event comes back", |log| Box::pin(reading::attributes(log))),
    ("a read begins anywhere, ends anywhere, and can be of one kind", |log| Box::pin(reading::paging(log))),
    ("a subscription brings past and future without gap or double", |log| {
        Box::pin(reading::subscriptions(log))
    }),
    ("a subscription waits for a partition's first event", |log| Box::pin(reading::first_event(log))),
    ("a log that ends before the reader's position went back", |log| Box::pin(reading::went_back(log))),
    ("partitions are those that hold something", |log| Box::pin(reading::partitions(log))),
    ("of racing writers to a whole partition exactly one wins", |log| Box::pin(appending::race_whole(log))),
    ("of racing writers to an aggregate exactly one wins", |log| Box::pin(appending::race_aggregate(log))),
    ("aggregates of a region do not hinder each other", |log| Box::pin(appending::side_by_side(log))),
    ("several writes land together or not at all", |log| Box::pin(appending::all_or_nothing(log))),
    ("an append that is tried again gives the same heads", |log| Box::pin(appending::retry(log))),
    ("each event names the hash of the one before it", |log| Box::pin(appending::hash_chain(log))),
    ("a thousand events land at once", |log| Box::pin(appending::thousand(log))),
    ("a large event comes back", |log| Box::pin(appending::large_event(log))),
    ("ids that stand elsewhere are refused", |log| Box::pin(refusing::ids_elsewhere(log))),
    ("a bad write is rejected and told what is wrong", |log| Box::pin(refusing::bad_writes(log))),
];

/// Runs every check on a fresh log. The error names the checks that failed and why.
pub async fn run<F, Made>(make: F) -> Result<(), String>
where
    F: Fn() -> Made,
    Made: Future<Output = Fresh>,
{
    let mut broken = Vec::new();
    for (name, check) in CHECKS {
        let fresh = make().await;
        let outcome = match tokio::time::timeout(CHECK_WITHIN, check(fresh.log.clone())).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Broken::new(format!("no end after {CHECK_WITHIN:?}"))),
        };
        if let Err(why) = outcome {
            broken.push(format!("{name}: {why}"));
        }
        drop(fresh);
    }
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
}
