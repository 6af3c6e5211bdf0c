//! Where one VM stands in a run.

use crate::event::{Order, Outcome};
use crate::health::Baseline;
use crate::mind::Time;
use crate::patch::Blame;
use crate::rollout::Tally;
use crate::selection::PackageVersion;
use serde::{Deserialize, Serialize};

/// Where one VM stands in a run.
///
/// ```text
/// Waiting -> Called -> Baselined -> InFlight -> Settled
///     |        | ^         |  \ -> Skipped (ill, not eligible any more), Deferred (silent)
///     |        |  \________/  its baseline got old before its order fitted into the window
///     \________\-> Skipped, Deferred
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// For its step, or for its window.
    Waiting,
    /// The health-monitor was asked for its baseline.
    Called {
        /// When.
        since: Time,
    },
    /// How it was at that moment.
    Baselined {
        /// Well, ill or silent.
        baseline: Baseline,
        /// When.
        at: Time,
    },
    /// From the order's event until it is settled.
    InFlight(Box<Flight>),
    /// Patched, for better or worse.
    Settled {
        /// How it ended.
        outcome: Outcome,
        /// When.
        at: Time,
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

/// An order that is not settled yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// What was ordered.
    pub order: Order,
    /// How far it is.
    pub work: Work,
    /// What was installed, once that is known.
    pub installed: Vec<PackageVersion>,
    /// What may be to blame, if it failed.
    pub blamed: Vec<Blame>,
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
    pub(super) fn in_flight(order: Order) -> Self {
        Self::InFlight(Box::new(Flight {
            order,
            work: Work::Placed,
            installed: Vec::new(),
            blamed: Vec::new(),
        }))
    }

    /// Whether the run is done with the VM.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Standing::Settled { .. } | Standing::Skipped { .. } | Standing::Deferred { .. })
    }

    /// Whether the VM was ordered and did not end healthy.
    pub fn has_failed(&self) -> bool {
        matches!(self, Standing::Settled { outcome: Outcome::Failed { .. }, .. })
    }

    /// Whether the VM is for a later round.
    pub fn is_deferred(&self) -> bool {
        matches!(self, Standing::Deferred { .. })
    }

    /// From the order's event until it is settled.
    pub fn is_in_flight(&self) -> bool {
        matches!(self, Standing::InFlight(_))
    }

    /// Why it failed, was skipped or deferred.
    pub fn why(&self) -> Option<&str> {
        match self {
            Standing::Settled { outcome: Outcome::Failed { why }, .. } => Some(why),
            Standing::Skipped { why } | Standing::Deferred { why } => Some(why),
            _ => None,
        }
    }

    pub(super) fn installed(&self) -> &[PackageVersion] {
        match self {
            Standing::InFlight(flight) => &flight.installed,
            _ => &[],
        }
    }

    pub(super) fn count(&self, tally: &mut Tally) {
        if let Some(count) = self.counted(tally) {
            *count += 1;
        }
    }

    pub(super) fn uncount(&self, tally: &mut Tally) {
        if let Some(count) = self.counted(tally) {
            *count = count.saturating_sub(1);
        }
    }

    fn counted<'a>(&self, tally: &'a mut Tally) -> Option<&'a mut u32> {
        match self {
            Standing::Settled { outcome: Outcome::Healthy, .. } => Some(&mut tally.healthy),
            Standing::Settled { outcome: Outcome::Failed { .. }, .. } => Some(&mut tally.failed),
            Standing::Skipped { .. } => Some(&mut tally.skipped),
            Standing::Deferred { .. } => Some(&mut tally.deferred),
            _ => None,
        }
    }

    /// Whether the VM takes one of its step's places: it is in flight, or about to be.
    pub(super) fn takes_a_place(&self) -> bool {
        matches!(self, Standing::Called { .. } | Standing::Baselined { .. } | Standing::InFlight(_))
    }
}
