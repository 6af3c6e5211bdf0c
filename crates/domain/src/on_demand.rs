//! Patches that a person has installed on one VM, now: a rollout of that VM alone (`installPatches` of REQUIREMENTS.md A10).
//!
//! It is a rollout in everything (turn, run, order, soak, verdict), but for what a person's word for one machine is exempt from:
//! it has no phases to wait for (S2) and no step before it (S7), and it does not wait until zones, update domains or its
//! subscription's share are free (S3 to S5). It never shares a moment with the geo-pair of its region (S1), keeps to the
//! VM's window (S6), and rules S8 to S10 hold; only what is installed is the person's choice.
//!
//! Everybody else keeps clear of it. The coordinator has each open run of the region yield to it, in the run's own chain
//! ([`Event::RunYielded`](crate::Event::RunYielded)), before it is called; and a run whose turn was granted later yields
//! before anything else. So no two instances can ever have placed colliding orders, however late one of them reads.

use crate::id::VmId;
use crate::mind::Time;
use crate::patch::{Classification, RebootSetting};
use crate::policy::{Approvals, Breaker, Budgets, During, OnFailure, PatchChoice, Policy, Query};
use crate::selection::Mask;
use chrono::Duration;
use serde::{Deserialize, Serialize};

/// What makes a rollout one on demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDemand {
    /// The one VM that it is about.
    pub vm: VmId,
    /// When its order must have been placed; nothing begins later.
    pub not_after: Time,
}

/// What a person wishes to have installed on one VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallWish {
    /// The machine.
    pub vm: VmId,
    /// How urgent the patches are that are meant; Other too, as it is a person who asks.
    pub classifications: Vec<Classification>,
    /// Only packages that one of these matches; all if empty.
    pub include: Vec<Mask>,
    /// No package that one of these matches.
    pub exclude: Vec<Mask>,
    /// Whether the machine may be rebooted: the nearest statement, nearer than the VM's own.
    pub reboot: RebootSetting,
    /// The longest time that the work may take (`maximumDuration`).
    pub longest_work: Duration,
    /// How long the wish may wait for the VM's window and for the region's geo-pair.
    pub within: Duration,
}

/// How long a turn that was granted may be held at the utmost: every wait of a run has its own limit long before.
pub(crate) const LONGEST_TURN: Duration = Duration::days(3);

impl InstallWish {
    /// The policy of the rollout: machines are judged as the usual one has it (probes, soak), and one VM has no more
    /// phases, budgets and nights than one.
    pub(crate) fn policy(&self, usual: &Policy) -> Policy {
        let queries = usual.queries.iter().filter(|query| query.during != During::Bake).cloned();
        let queries = queries.map(|query| Query { during: During::Soak, ..query });
        Policy {
            phase_shares: vec![100],
            canaries: Vec::new(),
            max_in_flight: None,
            bake: Duration::zero(),
            longest_work: self.longest_work,
            retry_nights: 0,
            blackouts: Vec::new(),
            budgets: Budgets::all(100, 1),
            on_failure: OnFailure::Continue,
            approvals: Approvals::Never,
            reboot: self.reboot,
            classifications: self.classifications.clone(),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            patches: PatchChoice::Latest,
            breaker: Breaker { failures: 0, ..usual.breaker },
            queries: queries.collect(),
            analysis: None,
            ..usual.clone()
        }
    }
}
