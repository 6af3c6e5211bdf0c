//! Where one VM stands in a run.

use crate::event::{Order, Outcome};
use crate::health::Baseline;
use crate::mind::Time;
use crate::rollout::Tally;
use serde::{Deserialize, Serialize};

/// Where one VM stands in a run.
///
/// ```text
/// Waiting -> Called -> Baselined -> InFlight -> Settled
///              ^          |  \ -> Skipped (ill), Deferred (silent)
///              \__________/  its baseline got old before its order fitted into the window
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// For its step, or for its window.
    Waiting,
    /// The health-monitor was asked for its baseline.
    Called,
    /// How it was at that moment.
    Baselined {
        /// Well, ill or silent.
        baseline: Baseline,
        /// When.
        at: Time,
    },
    /// From the order's event until it is settled.
    InFlight {
        /// What was ordered.
        order: Order,
        /// How far it is.
        work: Work,
    },
    /// Patched, for better or worse.
    Settled {
        /// How it ended.
        outcome: Outcome,
    },
    /// Not to be patched by this rollout.
    Skipped {
        /// For people.
        why: String,
    },
    /// Powered off or silent; next time.
    Deferred {
        /// For people.
        why: String,
    },
}

/// How far the work on an order is, as far as the facts tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Not yet heard of.
    Placed,
    /// In the agent's journal.
    Accepted,
    /// Done on the machine; its health is watched.
    Soaking {
        /// Since when.
        since: Time,
    },
    /// Nothing more to wait for: to be settled so.
    Over(Outcome),
}

impl Standing {
    /// Whether the run is done with the VM.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Standing::Settled { .. } | Standing::Skipped { .. } | Standing::Deferred { .. })
    }

    /// Whether the VM was ordered and did not end healthy.
    pub fn has_failed(&self) -> bool {
        matches!(self, Standing::Settled { outcome: Outcome::Failed { .. } })
    }

    /// Why it failed, was skipped or deferred.
    pub fn why(&self) -> Option<&str> {
        match self {
            Standing::Settled { outcome: Outcome::Failed { why } } => Some(why),
            Standing::Skipped { why } | Standing::Deferred { why } => Some(why),
            _ => None,
        }
    }

    pub(super) fn count(&self, tally: &mut Tally) {
        match self {
            Standing::Settled { outcome: Outcome::Healthy } => tally.healthy += 1,
            Standing::Settled { outcome: Outcome::Failed { .. } } => tally.failed += 1,
            Standing::Skipped { .. } => tally.skipped += 1,
            Standing::Deferred { .. } => tally.deferred += 1,
            Standing::Waiting | Standing::Called | Standing::Baselined { .. } | Standing::InFlight { .. } => {
            }
        }
    }

    /// Whether the VM takes one of its step's places: it is in flight, or about to be.
    pub(super) fn takes_a_place(&self) -> bool {
        matches!(self, Standing::Called | Standing::Baselined { .. } | Standing::InFlight { .. })
    }
}
