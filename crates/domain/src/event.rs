//! Everything that can become fact.

pub use crate::chain::{Aggregate, Chain, InvalidPartition, Partition};
pub use crate::order::{Order, Outcome, Signature};

use crate::agent::{AgentIdentity, InstallReport, RefusedOrder, Requirement};
use crate::fleet::{Feature, Vm};
use crate::halt::HaltEvidence;
use crate::health::{Baseline, Signal};
use crate::id::{OrderId, RegionName, RolloutId, SourceName, SubscriptionId, VmId};
use crate::layout::{Member, StageKey, StepKey};
use crate::mind::Time;
use crate::on_demand::OnDemand;
use crate::patch::{Assessment, Blame, PatchTally};
use crate::plan::PlannedPhase;
use crate::policy::{Policy, Query};
use crate::rhythm::Rhythm;
use crate::rollout::{Actor, Tally};
use crate::selection::PackageVersion;
use crate::topology::Topology;
use serde::{Deserialize, Serialize};

/// Something that happened. Never edited, never taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the words of DESIGN.md; each variant says what happened")]
pub enum Event {
    // ---- partition fleet, written by rollout-planner
    /// Regions, pairs, zones and defaults, as the operator declares them; replaces what was declared before.
    TopologyDeclared { topology: Topology },
    /// A subscription wishes a feature; it is Registering (REQUIREMENTS.md D1).
    FeatureRequested { subscription: SubscriptionId, feature: Feature },
    /// A subscription is registered for a feature.
    FeatureRegistered { subscription: SubscriptionId, feature: Feature },
    /// A subscription gave a feature up; its VMs are left alone from now on.
    FeatureUnregistered { subscription: SubscriptionId, feature: Feature },
    /// A subscription registered the provider Microsoft.Compute, which completes its opt-in (REQUIREMENTS.md D1).
    ProviderRegistered { subscription: SubscriptionId },
    /// A VM entered the fleet.
    VmRegistered { vm: Vm },
    /// Anything of a VM's model changed (placement, window, mode, …).
    VmModelChanged { vm: Vm },
    /// A VM left the fleet.
    VmRemoved { vm: VmId },

    // ---- partition rollout, written by rollout-planner
    /// A person, or the monthly rhythm, asked for a rollout; or a person for patches on one VM, beside all rollouts.
    RolloutRequested {
        rollout: RolloutId,
        policy: Policy,
        actor: Actor,
        #[serde(default)]
        on_demand: Option<OnDemand>,
    },
    /// The regions of the fleet were put into phases.
    RolloutPlanned { rollout: RolloutId, phases: Vec<PlannedPhase> },
    /// Turns may be granted to the phase's regions.
    PhaseStarted { rollout: RolloutId, phase: u32 },
    /// A region may patch, until its turn ends. Never held by two geo-paired regions (rule S1). Its first turn in the
    /// rollout is round 1; each later round catches up with VMs that were deferred or failed.
    TurnGranted { rollout: RolloutId, phase: u32, region: RegionName, round: u32 },
    /// The region's run is over and nothing of it is in flight.
    TurnEnded {
        rollout: RolloutId,
        phase: u32,
        region: RegionName,
        round: u32,
        tally: Tally,
        patches: Vec<PatchTally>,
    },
    /// Every region of the phase ended within the failure budget; the bake time is over.
    PhasePassed { rollout: RolloutId, phase: u32, tally: Tally },
    /// The phase ended outside its failure budget; the rollout halts.
    PhaseFailed { rollout: RolloutId, phase: u32, tally: Tally, why: String },
    /// No new order until a person resumes, has the failed tried again, or cancels.
    RolloutHalted {
        rollout: RolloutId,
        phase: u32,
        region: Option<RegionName>,
        why: String,
        evidence: HaltEvidence,
    },
    /// A person stopped it for a while.
    RolloutPaused { rollout: RolloutId, actor: Actor },
    /// A person lets it go on: after a pause, or after a halt. So many failures of the phase are thereby accepted; its
    /// gate does not count them.
    RolloutResumed { rollout: RolloutId, accepted: u32, actor: Actor },
    /// A person has the failed VMs of these regions tried again, and lets a halted rollout go on: each region's round
    /// ends as soon as nothing is in flight, and its next begins at once. Until that has ended the region has not ended
    /// for its phase's gate; failures count anew.
    RolloutRetried { rollout: RolloutId, regions: Vec<RegionName>, actor: Actor },
    /// A person takes a region out of the rollout: what is in flight settles, nothing new starts there, and its phase's
    /// gate does not count it. A halted rollout stays halted.
    RegionSkipped { rollout: RolloutId, region: RegionName, actor: Actor },
    /// A person ended it; what is in flight settles, nothing new starts.
    RolloutCancelled { rollout: RolloutId, actor: Actor },
    /// Its deadline is over; what is in flight settles, nothing new starts.
    RolloutExpired { rollout: RolloutId, why: String },
    /// Every phase passed and nobody is left to catch up with, or a cancelled or expired rollout has nothing in
    /// flight any more.
    RolloutCompleted { rollout: RolloutId, tally: Tally },
    /// A person changed the policy of a running rollout; orders, steps and gates from now on follow it.
    PolicyChanged { rollout: RolloutId, policy: Policy, actor: Actor },
    /// A person lets a phase start, where the policy asks for that.
    PhaseApproved { rollout: RolloutId, phase: u32, actor: Actor },
    /// All regions of the phase have ended: until its bake is over the health-monitor asks these queries about them, and
    /// says of each region what came of it. Watches are numbered within the rollout.
    BakeWatchRequested {
        rollout: RolloutId,
        phase: u32,
        watch: u32,
        regions: Vec<RegionName>,
        queries: Vec<Query>,
        silence_seconds: u32,
        until: Time,
    },
    /// The versions that this phase installed and that proved healthy, as far as they were not certified before.
    PatchesCertified { rollout: RolloutId, phase: u32, patches: Vec<PackageVersion> },
    /// Failures gathered on one version: no further order installs it, the rest goes on.
    PatchBarred { rollout: RolloutId, patch: PackageVersion, failed: u32, tried: u32, why: String },
    /// From now on a rollout starts by itself every month; none does if the rhythm is absent.
    RhythmDeclared { rhythm: Option<Rhythm>, actor: Actor },

    // ---- partition region.R, aggregate run.<rollout>, written by region-coordinator
    /// The region took up its turn. A person had its failed VMs tried again so many times by then: failures of earlier
    /// rounds count anew in a round that knows of more than the one before.
    RunStarted {
        rollout: RolloutId,
        region: RegionName,
        phase: u32,
        round: u32,
        policy: Policy,
        retries: u32,
    },
    /// The VMs that the round is about, as they were when it started.
    RunEnlisted { rollout: RolloutId, members: Vec<Member> },
    /// A zone, or everything outside zones, has its turn within the region (rule S3).
    StageStarted { rollout: RolloutId, stage: StageKey },
    /// Nothing of the stage is in flight any more.
    StageEnded { rollout: RolloutId, stage: StageKey },
    /// An update-domain step, or a batch, may be ordered (rules S4, S5, S7).
    StepStarted { rollout: RolloutId, step: StepKey, vms: Vec<VmId> },
    /// Every VM of the step is settled, skipped or deferred.
    StepEnded { rollout: RolloutId, step: StepKey, tally: Tally, patches: Vec<PatchTally> },
    /// The windows of these VMs are open: the health-monitor is asked for their baseline.
    WatchRequested { rollout: RolloutId, vms: Vec<VmId> },
    /// From here the VM is in flight, until `VmSettled`.
    OrderPlaced { order: Order },
    /// Powered off or silent: passed over without blame (REQUIREMENTS.md A6).
    VmDeferred { rollout: RolloutId, vm: VmId, why: String },
    /// Not to be patched by this rollout, for example because it was ill before its turn (rule S10).
    VmSkipped { rollout: RolloutId, vm: VmId, why: String },
    /// The order is over; the VM is in flight no more. Blamed are the versions that may have failed it.
    VmSettled { rollout: RolloutId, vm: VmId, order: OrderId, outcome: Outcome, blamed: Vec<Blame> },
    /// The coordinator saw the rollout paused, halted or cancelled, so many times in all: no order after this (rule S10)
    /// until one that saw as many stops sees it go on.
    RunHeld { rollout: RolloutId, stops: u32, why: String },
    /// Orders may be placed again; `accepted` if a person thereby accepted the failures that halted the run.
    RunReleased { rollout: RolloutId, accepted: bool },
    /// The failure budget is spent: no order after this, and the rollout is to halt.
    RunHalted { rollout: RolloutId, step: StepKey, why: String, evidence: HaltEvidence },
    /// While machines soak, these ones, which wait for their patch, are watched as long by the same signals, so that they
    /// can be compared. Their baselines and verdicts are told as of an order of this name; nobody orders anything.
    ControlsRequested { rollout: RolloutId, sample: OrderId, vms: Vec<VmId> },
    /// What became of them: so many fell ill or silent, so many stayed well. One that was not well at first, or whose own
    /// turn came, is in neither number.
    ControlsJudged { rollout: RolloutId, sample: OrderId, ill: u32, well: u32 },
    /// A person had patches installed on this VM of the region, beside the run: until the run of rollout `to` is completed
    /// no order is placed here that would collide with it (rules S3 to S5).
    RunYielded { rollout: RolloutId, to: RolloutId, member: Member },
    /// A person has the failed tried again: the round ends, and VMs that it did not reach are for the next one.
    RunCut { rollout: RolloutId, why: String },
    /// Every stage ended, or a cancelled run has nothing in flight any more.
    RunCompleted { rollout: RolloutId, round: u32, tally: Tally, patches: Vec<PatchTally> },

    // ---- partition region.R, aggregate upkeep.assessments, written by region-coordinator
    /// These VMs' agents are to assess their machines, not later than this (REQUIREMENTS.md A4).
    AssessmentsRequested { region: RegionName, vms: Vec<VmId>, not_after: Time },

    // ---- partition region.R, aggregate agent.<vm>, written by agent-gateway
    /// A one-time token for the enrolment of this VM was issued; only its SHA-256 is kept, in hex.
    EnrolmentTokenIssued { vm: VmId, token_sha256: String, expires: Time },
    /// The token was used up by the one who holds this public key (its SHA-256 in hex, of the DER form of RFC 5280).
    AgentEnrolled { vm: VmId, token_sha256: String, key_sha256: String },
    /// A certificate was given for this key until `ends` (by the machine's own clock, as certificates are): at the enrolment,
    /// and when `former_sha256`, the key before it, asked for another.
    AgentCertified { vm: VmId, key_sha256: String, former_sha256: String, ends: Time },
    /// The agent spoke for the first time since its machine's boot.
    AgentConnected { vm: VmId, identity: AgentIdentity },
    /// Native automatic updates are off, Nightshift patches from now on (REQUIREMENTS.md D2, D3).
    AgentEnabled { vm: VmId, report: u64 },
    /// What the machine lacks.
    AgentAssessed { vm: VmId, report: u64, assessment: Assessment },
    /// A person wants the machine assessed now, at any hour; the agent is not to begin later than this (REQUIREMENTS.md D4).
    AssessmentWished { vm: VmId, not_after: Time, actor: Actor },
    /// The machine could not be assessed; what was known of it before stays as it was.
    AssessmentFailed { vm: VmId, report: u64, why: String },
    /// What the machine must have to be patched, and whether it does; told when it changes (REQUIREMENTS.md C4).
    AgentChecked { vm: VmId, report: u64, requirements: Vec<Requirement> },
    /// The agent wrote the order to its journal and began, at this moment by the machine's own clock: the report may have
    /// come much later (rule S9).
    OrderAccepted { vm: VmId, report: u64, order: OrderId, began: Time },
    /// The agent ended the order; the truth about each package is in the report.
    OrderFinished { vm: VmId, report: u64, order: OrderId, result: InstallReport },
    /// The agent will not carry out the order.
    OrderRefused { vm: VmId, report: u64, order: OrderId, refused: RefusedOrder },
    /// The machine was rebooted for the order and is back under a new boot id.
    AgentRebooted { vm: VmId, report: u64, order: OrderId, boot_id: String },

    // ---- partition region.R, aggregate health.<vm>, written by health-monitor
    /// How the VM was before its patch; or, of a control, when its sample was asked for, which allows no order.
    WatchOpened { vm: VmId, rollout: RolloutId, baseline: Baseline, sample: Option<OrderId> },
    /// The VM was well through its soak.
    HealthConfirmed { vm: VmId, order: OrderId },
    /// A signal said that the VM is ill after its patch.
    HealthFailed { vm: VmId, order: OrderId, signal: Signal },
    /// No signal said either, in time. Unknown is never success.
    HealthUnknown { vm: VmId, order: OrderId, why: String },

    // ---- partition region.R, aggregate bake.<rollout>, written by health-monitor
    /// Every query was well when the region's phase had baked.
    BakeConfirmed { rollout: RolloutId, phase: u32, watch: u32 },
    /// A query was over its limit as often as fails the phase.
    BakeFailed { rollout: RolloutId, phase: u32, watch: u32, query: SourceName, ailment: String },
    /// A query said nothing in time. Unknown is never success.
    BakeUnknown { rollout: RolloutId, phase: u32, watch: u32, why: String },
}

impl Event {
    /// Which aggregate the event is about.
    pub fn aggregate(&self) -> Aggregate {
        use Event::*;
        let (kind, id) = match self {
            TopologyDeclared { .. } => ("topology", "declared".to_owned()),
            FeatureRequested { subscription, .. }
            | FeatureRegistered { subscription, .. }
            | FeatureUnregistered { subscription, .. }
            | ProviderRegistered { subscription } => ("subscription", subscription.to_string()),
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
            | RolloutRetried { rollout, .. }
            | RegionSkipped { rollout, .. }
            | RolloutCancelled { rollout, .. }
            | RolloutExpired { rollout, .. }
            | RolloutCompleted { rollout, .. }
            | PolicyChanged { rollout, .. }
            | PhaseApproved { rollout, .. }
            | BakeWatchRequested { rollout, .. }
            | PatchesCertified { rollout, .. }
            | PatchBarred { rollout, .. } => ("rollout", rollout.to_string()),
            RhythmDeclared { .. } => ("rhythm", "monthly".to_owned()),
            AssessmentsRequested { .. } => ("upkeep", "assessments".to_owned()),
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
            | RunReleased { rollout, .. }
            | RunHalted { rollout, .. }
            | RunCut { rollout, .. }
            | RunYielded { rollout, .. }
            | ControlsRequested { rollout, .. }
            | ControlsJudged { rollout, .. }
            | RunCompleted { rollout, .. } => ("run", rollout.to_string()),
            OrderPlaced { order } => ("run", order.rollout.to_string()),
            EnrolmentTokenIssued { vm, .. }
            | AgentEnrolled { vm, .. }
            | AgentCertified { vm, .. }
            | AgentConnected { vm, .. }
            | AgentEnabled { vm, .. }
            | AgentAssessed { vm, .. }
            | AssessmentWished { vm, .. }
            | AssessmentFailed { vm, .. }
            | AgentChecked { vm, .. }
            | OrderAccepted { vm, .. }
            | OrderFinished { vm, .. }
            | OrderRefused { vm, .. }
            | AgentRebooted { vm, .. } => ("agent", vm.to_string()),
            WatchOpened { vm, .. }
            | HealthConfirmed { vm, .. }
            | HealthFailed { vm, .. }
            | HealthUnknown { vm, .. } => ("health", vm.to_string()),
            BakeConfirmed { rollout, .. } | BakeFailed { rollout, .. } | BakeUnknown { rollout, .. } => {
                ("bake", rollout.to_string())
            }
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
            | AgentCertified { vm, .. }
            | AgentConnected { vm, .. }
            | AgentEnabled { vm, .. }
            | AgentAssessed { vm, .. }
            | AssessmentWished { vm, .. }
            | AssessmentFailed { vm, .. }
            | AgentChecked { vm, .. }
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
