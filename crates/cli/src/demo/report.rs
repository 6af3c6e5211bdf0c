//! What a demo came to.

use crate::real_fleet::MachineReport;
use crate::summary;
use nightshift_protocol::api::v1 as api;
use serde::Serialize;
use std::fmt;

/// What a demo came to, for programs; its `Display` is for people.
#[derive(Serialize)]
pub(crate) struct Report {
    /// `completed`, `halted`, …
    pub(crate) outcome: String,
    /// Where and why, if it halted.
    halted: Option<Halted>,
    /// Phases in order.
    phases: Vec<Phase>,
    /// VMs that ended healthy, failed, skipped, deferred.
    counts: Counts,
    /// Days of the fleet's time.
    fleet_days: f64,
    /// How often a safety rule was broken.
    pub(crate) violations: usize,
    /// The auditor's verdict.
    audit: nightshift_audit::Report,
    /// What the machines' own package databases say; of real machines only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    machines: Vec<MachineReport>,
    #[serde(skip)]
    text: String,
}

#[derive(Serialize)]
struct Halted {
    region: String,
    why: String,
}

#[derive(Serialize)]
struct Phase {
    number: u32,
    state: &'static str,
    /// Whether any of its VMs was ordered or even looked at.
    touched: bool,
    counts: Counts,
    regions: Vec<Region>,
}

#[derive(Serialize)]
struct Region {
    region: String,
    vms: u32,
    why: String,
    counts: Counts,
}

#[derive(Serialize, Default)]
struct Counts {
    healthy: u32,
    failed: u32,
    skipped: u32,
    deferred: u32,
}

impl From<Option<nightshift_protocol::events::v1::Tally>> for Counts {
    fn from(tally: Option<nightshift_protocol::events::v1::Tally>) -> Self {
        let tally = tally.unwrap_or_default();
        Self {
            healthy: tally.healthy,
            failed: tally.failed,
            skipped: tally.skipped,
            deferred: tally.deferred,
        }
    }
}

impl Report {
    pub(crate) fn new(rollout: api::RolloutView, audit: nightshift_audit::Report) -> Self {
        let text = summary::text(&rollout);
        let halted = (rollout.state() == api::RolloutState::Halted)
            .then(|| Halted { region: rollout.halted_region.clone(), why: rollout.why.clone() });
        let seconds = |at: Option<pbjson_types::Timestamp>| at.map_or(0, |at| at.seconds);
        let took = seconds(rollout.as_of) - seconds(rollout.requested_at);
        Self {
            outcome: summary::state(rollout.state()).to_owned(),
            halted,
            counts: rollout.tally.into(),
            // Days to one decimal: a figure for people.
            fleet_days: (took * 10 / 86_400) as f64 / 10.0,
            phases: rollout.phases.into_iter().map(phase).collect(),
            violations: audit.violations.len(),
            audit,
            machines: Vec::new(),
            text,
        }
    }

    pub(crate) fn with_machines(self, machines: Vec<MachineReport>) -> Self {
        Self { machines, ..self }
    }
}

fn phase(phase: api::PhaseView) -> Phase {
    Phase {
        number: phase.number,
        state: summary::phase_state(phase.state()),
        touched: phase.regions.iter().any(|region| region.turn || region.tally.is_some()),
        counts: phase.tally.into(),
        regions: phase.regions.into_iter().map(region).collect(),
    }
}

fn region(region: api::RegionView) -> Region {
    Region { region: region.region, vms: region.vms, why: region.why, counts: region.tally.into() }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for machine in &self.machines {
            let packages = machine.packages.iter().map(|(name, version)| format!("{name} {version}"));
            let packages = packages.collect::<Vec<_>>().join(", ");
            writeln!(f, "{:<10} {:<7} {} boots: {packages}", machine.vm, machine.manager, machine.boots)?;
        }
        writeln!(f, "{} days of the fleet's time", self.fleet_days)?;
        write!(f, "{}", self.audit)
    }
}
