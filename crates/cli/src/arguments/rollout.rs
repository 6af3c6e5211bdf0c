//! Rollouts, and who wishes what of them.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Who wishes something, and why. Both go into the log.
#[derive(Debug, Clone, Args)]
pub struct Wish {
    /// Why, in your own words.
    #[arg(long, default_value = "")]
    pub reason: String,
    /// Who you are, where nobody has a token; whoever has one is who the token says.
    #[arg(long, env = "USER", default_value = "unknown")]
    pub actor: String,
    /// An idempotency key: asking again with the same one does nothing twice (docs/grpc.md).
    #[arg(long = "idempotency-key", value_name = "KEY", default_value = "", hide_default_value = true)]
    pub key: String,
}

/// `nightshift rollout …`
#[derive(Debug, Subcommand)]
pub enum Rollout {
    /// Start a rollout over all eligible VMs.
    Start {
        /// Its name, for example 2026-11.
        rollout: String,
        /// A policy file (TOML); safe defaults if absent.
        #[arg(long)]
        policy: Option<PathBuf>,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
        /// Watch it until it ends.
        #[arg(long)]
        watch: bool,
        /// Watch it as plain lines, also on a terminal.
        #[arg(long, requires = "watch")]
        plain: bool,
    },
    /// What a rollout would do, before anybody starts it.
    Preview {
        /// A policy file (TOML); safe defaults if absent.
        #[arg(long)]
        policy: Option<PathBuf>,
        /// Live through it on a virtual clock, once as it should be and once for each phase with a bad patch: seconds to minutes.
        #[arg(long)]
        simulate: bool,
    },
    /// All rollouts.
    List,
    /// One rollout: phases, regions, what failed and why.
    Show {
        /// The rollout.
        rollout: String,
    },
    /// Follow a rollout until it ends: a live view on a terminal, lines in a pipe.
    Watch(Watch),
    /// Regions over nights: who held its turn when, and what happened.
    Timeline {
        /// The rollout; the newest if absent.
        rollout: Option<String>,
    },
    /// A rollout for those who were not there: what was installed, who did not end healthy.
    Report {
        /// The rollout; the newest if absent.
        rollout: Option<String>,
    },
    /// Every machine of a rollout, and what it came to there.
    Machines {
        /// The rollout; the newest if absent.
        rollout: Option<String>,
    },
    /// No new order until it is resumed.
    Pause {
        /// The rollout.
        rollout: String,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// Let a paused or halted rollout go on; the failures of a halted one are thereby accepted.
    Resume {
        /// The rollout.
        rollout: String,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// Have the failed tried again, at once; a halted rollout goes on with that. Who fails again counts anew.
    Retry {
        /// The rollout.
        rollout: String,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// Take a region out of a rollout; what is in flight settles first. A halted rollout stays halted until it is resumed.
    SkipRegion {
        /// The rollout.
        rollout: String,
        /// The region.
        region: String,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// Let a phase start, where the policy asks for a person's approval.
    Approve {
        /// The rollout.
        rollout: String,
        /// The phase, from 1.
        phase: u32,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// Change the policy of a rollout that is under way.
    Policy {
        /// The rollout.
        rollout: String,
        /// The new policy (TOML); its shares and canaries must be as they were.
        policy: PathBuf,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// End a rollout; what is in flight settles first.
    Cancel {
        /// The rollout.
        rollout: String,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
}

/// `nightshift rhythm …`
#[derive(Debug, Subcommand)]
pub enum Rhythm {
    /// From now on a rollout starts every month.
    Declare {
        /// A rhythm file (TOML): week, weekday, days_after, at and [policy]; the day after the second Tuesday if absent.
        file: Option<PathBuf>,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// No rollout starts by itself any more.
    Stop {
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// What is declared, and when the next rollout starts.
    Show,
}

/// `nightshift rollout watch`
#[derive(Debug, Args)]
pub struct Watch {
    /// The rollout.
    pub rollout: String,
    /// Lines instead of the live view, also on a terminal.
    #[arg(long)]
    pub plain: bool,
}
