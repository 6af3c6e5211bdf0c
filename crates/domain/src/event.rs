//! Everything that can become fact, and where in the log it lives.

use crate::agent::{AgentIdentity, InstallReport, RefusedOrder};
use crate::fleet::{Feature, Vm};
use crate::health::{Baseline, Signal};
use crate::id::{OrderId, RegionName, RolloutId, SubscriptionId, VmId};
use crate::layout::{Member, StageKey, StepKey};
use crate::mind::Time;
use crate::patch::{Assessment, Classification, RebootSetting};
use crate::plan::PlannedPhase;
use crate::policy::Policy;
use crate::rollout::{Actor, Tally};
use crate::topology::Topology;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A totally ordered part of the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Partition {
    /// VMs, subscriptions, topology. Written by rollout-planner.
    Fleet,
    /// Rollouts, phases, turns. Written by rollout-planner.
    Rollout,
    /// What happens in one region. Written by region-coordinator, agent-gateway and health-monitor.
    Region(RegionName),
}

/// A text that names no partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a partition: use fleet, rollout or region.<name>")]
pub struct InvalidPartition(pub String);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Partition::Fleet => f.write_str("fleet"),
            Partition::Rollout => f.write_str("rollout"),
            Partition::Region(name) => write!(f, "region.{name}"),
        }
    }
}

impl std::str::FromStr for Partition {
    type Err = InvalidPartition;
    fn from_str(text: &str) -> Result<Self, InvalidPartition> {
        let invalid = || InvalidPartition(text.chars().take(128).collect());
        match text {
            "fleet" => Ok(Partition::Fleet),
            "rollout" => Ok(Partition::Rollout),
            _ => {
                let name = text.strip_prefix("region.").ok_or_else(invalid)?;
                Ok(Partition::Region(RegionName::new(name).map_err(|_| invalid())?))
            }
        }
    }
}

impl From<Partition> for String {
    fn from(partition: Partition) -> String {
        partition.to_string()
    }
}

impl TryFrom<String> for Partition {
    type Error = InvalidPartition;
    fn try_from(text: String) -> Result<Self, InvalidPartition> {
        text.parse()
    }
}

/// What an event is about: one subject of its partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Aggregate {
    /// The kind: `vm`, `subscription`, `topology`, `rollout`, `run`, `agent` or `health`.
    pub kind: String,
    /// Which one of the kind.
    pub id: String,
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.id)
    }
}

/// A sequence of events with one expected version and one line of hashes.
///
/// The `fleet` and `rollout` partitions are one chain each: the planner decides on the whole partition or not at
/// all, which makes a turn granted twice impossible. In a region's partition each aggregate is a chain of its own, because three
/// services write there side by side. See `docs/adr/0002-chains.md`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Chain {
    /// All events of the partition.
    Whole(Partition),
    /// The events of one aggregate of a region.
    Of(RegionName, Aggregate),
}

impl Chain {
    /// The partition in which the chain lives.
    pub fn partition(&self) -> Partition {
        match self {
            Chain::Whole(partition) => partition.clone(),
            Chain::Of(region, _) => Partition::Region(region.clone()),
        }
    }

    /// The chain to which an event about this aggregate belongs.
    pub fn of(partition: &Partition, aggregate: &Aggregate) -> Self {
        match partition {
            Partition::Region(region) => Chain::Of(region.clone(), aggregate.clone()),
            whole => Chain::Whole(whole.clone()),
        }
    }

    /// The chain of a rollout's run in a region.
    pub fn run(region: &RegionName, rollout: &RolloutId) -> Self {
        Chain::Of(region.clone(), Aggregate { kind: "run".into(), id: rollout.to_string() })
    }

    /// The chain of an agent's reports.
    pub fn agent(region: &RegionName, vm: &VmId) -> Self {
        Chain::Of(region.clone(), Aggregate { kind: "agent".into(), id: vm.to_string() })
    }

    /// The chain of a VM's health verdicts.
    pub fn health(region: &RegionName, vm: &VmId) -> Self {
        Chain::Of(region.clone(), Aggregate { kind: "health".into(), id: vm.to_string() })
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Chain::Whole(partition) => write!(f, "{partition}"),
            Chain::Of(region, aggregate) => write!(f, "region.{region}/{aggregate}"),
        }
    }
}

impl From<Chain> for String {
    fn from(chain: Chain) -> String {
        chain.to_string()
    }
}

impl TryFrom<String> for Chain {
    type Error = InvalidPartition;
    fn try_from(text: String) -> Result<Self, InvalidPartition> {
        let Some((partition, aggregate)) = text.split_once('/') else {
            return Ok(Chain::Whole(text.parse()?));
        };
        let invalid = || InvalidPartition(text.clone());
        let (kind, id) = aggregate.split_once('.').ok_or_else(invalid)?;
        match partition.parse()? {
            Partition::Region(region) => {
                Ok(Chain::Of(region, Aggregate { kind: kind.into(), id: id.into() }))
            }
            _ => Err(invalid()),
        }
    }
}

/// An order to one VM's agent. It exists only as a fact: an agent acts on nothing else (DESIGN.md, idea 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Executed at most once under this identity.
    pub id: OrderId,
    /// The rollout that wants it.
    pub rollout: RolloutId,
    /// The machine.
    pub vm: VmId,
    /// The last moment at which the work may begin; the agent refuses it later (rule S9).
    pub not_after: Time,
    /// When the work must have ended: no package is begun that could not end before (rule S6).
    pub deadline: Time,
    /// Whether the machine may be rebooted.
    pub reboot: RebootSetting,
    /// What to install; a rollout's are Critical and Security (rule S8).
    pub classifications: Vec<Classification>,
}

/// How an order, seen from the run, came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Finished, and health confirmed after the soak.
    Healthy,
    /// Not so; the sentence says why.
    Failed {
        /// For people.
        why: String,
    },
}

/// Something that happened. Never edited, never taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the words of DESIGN.md; each variant says what happened")]
pub enum Event {
    // ---- partition fleet, written by rollout-planner
    /// Regions, pairs, zones and defaults, as the operator declares them; replaces what was declared before.
    TopologyDeclared { topology: Topology },
    /// A subscription registered for a feature (REQUIREMENTS.md D1).
    FeatureRegistered { subscription: SubscriptionId, feature: Feature },
    /// A VM entered the fleet.
    VmRegistered { vm: Vm },
    /// Anything of a VM's model changed (placement, window, mode, …).
    VmModelChanged { vm: Vm },
    /// A VM left the fleet.
    VmRemoved { vm: VmId },

    // ---- partition rollout, written by rollout-planner
    /// A person, or the monthly rhythm, asked for a rollout.
    RolloutRequested { rollout: RolloutId, policy: Policy, actor: Actor },
    /// The regions of the fleet were put into phases.
    RolloutPlanned { rollout: RolloutId, phases: Vec<PlannedPhase> },
    /// Turns may be granted to the phase's regions.
    PhaseStarted { rollout: RolloutId, phase: u32 },
    /// A region may patch, until its turn ends. Never held by two geo-paired regions (rule S1).
    TurnGranted { rollout: RolloutId, phase: u32, region: RegionName },
    /// The region's run is over and nothing of it is in flight.
    TurnEnded { rollout: RolloutId, phase: u32, region: RegionName, tally: Tally },
    /// Every region of the phase ended within the failure budget; the bake time is over.
    PhasePassed { rollout: RolloutId, phase: u32, tally: Tally },
    /// The phase ended outside its failure budget; the rollout halts.
    PhaseFailed { rollout: RolloutId, phase: u32, tally: Tally, why: String },
    /// No new order until a person resumes.
    RolloutHalted { rollout: RolloutId, phase: u32, region: Option<RegionName>, why: String },
    /// A person stopped it for a while.
    RolloutPaused { rollout: RolloutId, actor: Actor },
    /// A person lets it go on: after a pause, or after a halt whose failures are thereby accepted.
    RolloutResumed { rollout: RolloutId, actor: Actor },
    /// A person ended it; what is in flight settles, nothing new starts.
    RolloutCancelled { rollout: RolloutId, actor: Actor },
    /// Every phase passed, or a cancelled rollout has nothing in flight any more.
    RolloutCompleted { rollout: RolloutId, tally: Tally },

    // ---- partition region.R, aggregate run.<rollout>, written by region-coordinator
    /// The region took up its turn.
    RunStarted { rollout: RolloutId, region: RegionName, phase: u32, policy: Policy },
    /// Eligible VMs of the region, as they were when the run started.
    RunEnlisted { rollout: RolloutId, members: Vec<Member> },
    /// A zone, or everything outside zones, has its turn within the region (rule S3).
    StageStarted { rollout: RolloutId, stage: StageKey },
    /// Nothing of the stage is in flight any more.
    StageEnded { rollout: RolloutId, stage: StageKey },
    /// An update-domain step, or a batch, may be ordered (rules S4, S5, S7).
    StepStarted { rollout: RolloutId, step: StepKey, vms: Vec<VmId> },
    /// Every VM of the step is settled, skipped or deferred.
    StepEnded { rollout: RolloutId, step: StepKey, tally: Tally },
    /// The windows of these VMs are open: the health-monitor is asked for their baseline.
    WatchRequested { rollout: RolloutId, vms: Vec<VmId> },
    /// From here the VM is in flight, until `VmSettled`.
    OrderPlaced { order: Order },
    /// Powered off or silent: passed over without blame (REQUIREMENTS.md A6).
    VmDeferred { rollout: RolloutId, vm: VmId, why: String },
    /// Not to be patched by this rollout, for example because it was ill before its turn (rule S10).
    VmSkipped { rollout: RolloutId, vm: VmId, why: String },
    /// The order is over; the VM is in flight no more.
    VmSettled { rollout: RolloutId, vm: VmId, order: OrderId, outcome: Outcome },
    /// The coordinator saw the rollout paused, halted or cancelled: no order after this (rule S10).
    RunHeld { rollout: RolloutId, why: String },
    /// The coordinator saw the rollout resumed.
    RunReleased { rollout: RolloutId },
    /// The failure budget is spent: no order after this, and the rollout is to halt.
    RunHalted { rollout: RolloutId, step: StepKey, why: String },
    /// Every stage ended, or a cancelled run has nothing in flight any more.
    RunCompleted { rollout: RolloutId, tally: Tally },

    // ---- partition region.R, aggregate agent.<vm>, written by agent-gateway
    /// A one-time token for the enrolment of this VM was issued; only its SHA-256 is kept, in hex.
    EnrolmentTokenIssued { vm: VmId, token_sha256: String, expires: Time },
    /// The token was used up by the one who holds this public key (its SHA-256 in hex, of the DER form of RFC 5280).
    AgentEnrolled { vm: VmId, token_sha256: String, key_sha256: String },
    /// The agent spoke for the first time since its machine's boot.
    AgentConnected { vm: VmId, identity: AgentIdentity },
    /// Native automatic updates are off, Nightshift patches from now on (REQUIREMENTS.md D2, D3).
    AgentEnabled { vm: VmId, report: u64 },
    /// What the machine lacks.
    AgentAssessed { vm: VmId, report: u64, assessment: Assessment },
    /// The agent wrote the order to its journal and begins.
    OrderAccepted { vm: VmId, report: u64, order: OrderId },
    /// The agent ended the order; the truth about each package is in the report.
    OrderFinished { vm: VmId, report: u64, order: OrderId, result: InstallReport },
    /// The agent will not carry out the order.
    OrderRefused { vm: VmId, report: u64, order: OrderId, refused: RefusedOrder },
    /// The machine was rebooted for the order and is back under a new boot id.
    AgentRebooted { vm: VmId, report: u64, order: OrderId, boot_id: String },

    // ---- partition region.R, aggregate health.<vm>, written by health-monitor
    /// How the VM was before its patch.
    WatchOpened { vm: VmId, rollout: RolloutId, baseline: Baseline },
    /// The VM was well through its soak.
    HealthConfirmed { vm: VmId, order: OrderId },
    /// A signal said that the VM is ill after its patch.
    HealthFailed { vm: VmId, order: OrderId, signal: Signal },
    /// No signal said either, in time. Unknown is never success.
    HealthUnknown { vm: VmId, order: OrderId, why: String },
}

impl Event {
    /// Which aggregate the event is about.
    pub fn aggregate(&self) -> Aggregate {
        use Event::*;
        let (kind, id) = match self {
            TopologyDeclared { .. } => ("topology", "declared".to_owned()),
            FeatureRegistered { subscription, .. } => ("subscription", subscription.to_string()),
            VmRegistered { vm } | VmModelChanged { vm } => ("vm", vm.id.to_string()),
            VmRemoved { vm } => ("vm", vm.to_string()),
            RolloutRequested { rollout, .. }
            | RolloutPlanned { rollout, .. }
            | PhaseStarted { rollout, .. }
            | TurnGranted { rollout, .. }
            | TurnEnded { rollout, .. }
            | PhasePassed { rollout, .. }
            | PhaseFailed { rollout, .. }
            | RolloutHalted { rollout, .. }
            | RolloutPaused { rollout, .. }
            | RolloutResumed { rollout, .. }
            | RolloutCancelled { rollout, .. }
            | RolloutCompleted { rollout, .. } => ("rollout", rollout.to_string()),
            RunStarted { rollout, .. }
            | RunEnlisted { rollout, .. }
            | StageStarted { rollout, .. }
            | StageEnded { rollout, .. }
            | StepStarted { rollout, .. }
            | StepEnded { rollout, .. }
            | WatchRequested { rollout, .. }
            | VmDeferred { rollout, .. }
            | VmSkipped { rollout, .. }
            | VmSettled { rollout, .. }
            | RunHeld { rollout, .. }
            | RunReleased { rollout }
            | RunHalted { rollout, .. }
            | RunCompleted { rollout, .. } => ("run", rollout.to_string()),
            OrderPlaced { order } => ("run", order.rollout.to_string()),
            EnrolmentTokenIssued { vm, .. }
            | AgentEnrolled { vm, .. }
            | AgentConnected { vm, .. }
            | AgentEnabled { vm, .. }
            | AgentAssessed { vm, .. }
            | OrderAccepted { vm, .. }
            | OrderFinished { vm, .. }
            | OrderRefused { vm, .. }
            | AgentRebooted { vm, .. } => ("agent", vm.to_string()),
            WatchOpened { vm, .. }
            | HealthConfirmed { vm, .. }
            | HealthFailed { vm, .. }
            | HealthUnknown { vm, .. } => ("health", vm.to_string()),
        };
        Aggregate { kind: kind.to_owned(), id }
    }

    /// The VM that the event is about, where it is about one.
    pub fn vm(&self) -> Option<&VmId> {
        use Event::*;
        match self {
            VmRegistered { vm } | VmModelChanged { vm } => Some(&vm.id),
            OrderPlaced { order } => Some(&order.vm),
            VmRemoved { vm }
            | VmDeferred { vm, .. }
            | VmSkipped { vm, .. }
            | VmSettled { vm, .. }
            | EnrolmentTokenIssued { vm, .. }
            | AgentEnrolled { vm, .. }
            | AgentConnected { vm, .. }
            | AgentEnabled { vm, .. }
            | AgentAssessed { vm, .. }
            | OrderAccepted { vm, .. }
            | OrderFinished { vm, .. }
            | OrderRefused { vm, .. }
            | AgentRebooted { vm, .. }
            | WatchOpened { vm, .. }
            | HealthConfirmed { vm, .. }
            | HealthFailed { vm, .. }
            | HealthUnknown { vm, .. } => Some(vm),
            _ => None,
        }
    }
}
