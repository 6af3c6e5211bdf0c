//! The log, and what is drawn from it.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `nightshift events …`
#[derive(Debug, Subcommand)]
pub enum Events {
    /// Write the whole log into a file, for `nightshift audit FILE` and for your own records.
    Export {
        /// The file, one JSON document a line; - for standard output.
        file: PathBuf,
    },
    /// Print events as they come.
    Tail {
        /// `fleet`, `rollout` or `region.<name>`; all if absent.
        #[arg(long)]
        partition: Option<String>,
        /// Only what is there, not what comes.
        #[arg(long)]
        no_follow: bool,
        /// Events after this position (of each partition).
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Instead: events that were decided at this moment or later (RFC 3339).
        #[arg(long, conflicts_with = "after")]
        from: Option<DateTime<Utc>>,
    },
    /// Which partitions the log has.
    Partitions,
}

/// `nightshift overview`
#[derive(Debug, Args)]
pub struct Overview {
    /// The rollout; the newest one that is under way, else the newest one, if absent.
    pub rollout: Option<String>,
    /// As it was then (RFC 3339); now if absent.
    #[arg(long, conflicts_with = "watch")]
    pub at: Option<DateTime<Utc>>,
    /// Go on with every change, until Ctrl-C.
    #[arg(long)]
    pub watch: bool,
}

/// `nightshift audit`
#[derive(Debug, Args)]
pub struct Audit {
    /// A log that `events export` wrote; the installation's own if absent.
    pub file: Option<PathBuf>,
    /// Have the console audit its log, instead of reading all of it from there: for a look, not for a proof.
    #[arg(long, conflicts_with = "file")]
    pub remote: bool,
}

/// `nightshift webhook …`
#[derive(Debug, Subcommand)]
pub enum Webhook {
    /// All of them: how far each is, and what it does not take.
    List,
    /// Try again at once what a receiver did not take, also one that said that it is gone.
    Retry {
        /// The webhook.
        webhook: String,
    },
}
