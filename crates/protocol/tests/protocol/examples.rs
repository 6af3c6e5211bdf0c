//! One example of every event, with the partition where it belongs.

use chrono::Duration;
use nightshift_domain::agent::{AgentIdentity, InstallReport, RefusedOrder, Requirement, RequirementState};
use nightshift_domain::analysis::{Analysis, Comparison};
use nightshift_domain::event::{Order, Outcome};
use nightshift_domain::fleet::{Feature, Image, Os, PatchMode, Placement, Vm};
use nightshift_domain::halt::{HaltEvidence, Said};
use nightshift_domain::health::{Baseline, Signal, Source};
use nightshift_domain::layout::{Member, StageKey, StepKey};
use nightshift_domain::on_demand::OnDemand;
use nightshift_domain::patch::{
    Assessment, Blame, Classification, Patch, PatchOutcome, PatchState, PatchTally, RebootSetting,
    RebootStatus,
};
use nightshift_domain::plan::{PlannedPhase, PlannedRegion};
use nightshift_domain::policy::{Approvals, Blackout, Breaker, Budgets, OnFailure, PatchChoice, Policy};
use nightshift_domain::rhythm::Rhythm;
use nightshift_domain::rollout::{Actor, Tally};
use nightshift_domain::selection::{Mask, PackageVersion, Selection};
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;
use nightshift_domain::{
    AvailabilitySetId, Event, OrderId, Partition, RegionName, RolloutId, SourceName, SubscriptionId, Time,
    VmId, ZoneName,
};

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

pub fn examples() -> Vec<(Partition, Event)> {
    let region = RegionName::new("west-europe").unwrap();
    let events = fleet().into_iter().map(|event| (Partition::Fleet, event));
    let events = events.chain(rollout().into_iter().map(|event| (Partition::Rollout, event)));
    let of_region = run().into_iter().chain(agent()).chain(health());
    events.chain(of_region.map(|event| (Partition::Region(region.clone()), event))).collect()
}

fn vm() -> VmId {
    VmId::new("vm-1").unwrap()
}

fn rollout_id() -> RolloutId {
    RolloutId::new("2026-01").unwrap()
}

fn order_id() -> OrderId {
    OrderId::new("order-1").unwrap()
}

fn region() -> RegionName {
    RegionName::new("west-europe").unwrap()
}

fn zone() -> ZoneName {
    ZoneName::new("west-europe-1").unwrap()
}

fn set() -> Placement {
    Placement::AvailabilitySet { set: AvailabilitySetId::new("db").unwrap(), update_domain: 4 }
}

fn model(placement: Placement) -> Vm {
    Vm {
        id: vm(),
        subscription: SubscriptionId::new("retail").unwrap(),
        resource_group: "Retail-Web".into(),
        region: region(),
        placement,
        os: Os::Windows,
        image: Image {
            publisher: "MicrosoftWindowsServer".into(),
            offer: "WindowsServer".into(),
            sku: "2019-Datacenter".into(),
        },
        patch_mode: PatchMode::AutomaticByPlatform,
        time_zone: Some(chrono_tz::Asia::Kathmandu),
        window: Some(Window::parse("23:00", "05:30").unwrap()),
        automatic_updates: Some(true),
        assessment_mode: Default::default(),
        reboot: None,
        resource: None,
    }
}

fn fleet() -> Vec<Event> {
    let pair = RegionName::new("north-europe").unwrap();
    let time_zone = chrono_tz::Europe::Amsterdam;
    let regions = [
        Region { name: region(), time_zone, pair: Some(pair.clone()), zones: [zone()].into() },
        Region { name: pair, time_zone, pair: None, zones: [].into() },
    ];
    let topology = Topology::new(Window::default_off_peak(), regions).unwrap();
    let own = Image { publisher: "own".into(), offer: "golden".into(), sku: "3.".into() };
    let (subscription, feature) = (|| SubscriptionId::new("retail").unwrap(), Feature::InGuestPatchVMPreview);
    vec![
        Event::TopologyDeclared { topology: topology.with_images(vec![own]) },
        Event::FeatureRequested { subscription: subscription(), feature },
        Event::FeatureUnregistered { subscription: subscription(), feature },
        Event::FeatureRegistered {
            subscription: SubscriptionId::new("retail").unwrap(),
            feature: Feature::InGuestAutoPatchVMPreview,
        },
        Event::ProviderRegistered { subscription: subscription() },
        Event::VmRegistered { vm: model(Placement::Zone(zone())) },
        Event::VmModelChanged { vm: model(set()) },
        Event::VmRemoved { vm: vm() },
    ]
}

fn rollout() -> Vec<Event> {
    let rollout = rollout_id();
    let actor = || Actor { name: "ada".into(), reason: "monthly".into() };
    let tally = Tally { healthy: 4, failed: 3, skipped: 2, deferred: 1 };
    let policy = Policy { bake: Duration::hours(1), ..Policy::default() };
    let planned = PlannedRegion { region: region(), vms: 10, why: "the smallest".into() };
    let r = || rollout.clone();
    let baked = r#"{"queries": [
        {"name": "errors", "promql": "rate(errors[5m])", "above": 0.05, "scope": "phase", "during": "bake"},
        {"name": "orders", "promql": "rate(orders[5m])", "below": 10, "scope": "region", "during": "both"}
    ]}"#;
    let baked: Policy = serde_json::from_str(baked).unwrap();
    vec![
        Event::RolloutRequested { rollout: r(), policy: policy.clone(), actor: actor(), on_demand: None },
        Event::RolloutRequested {
            rollout: r(),
            policy,
            actor: actor(),
            on_demand: Some(OnDemand { vm: vm(), not_after: at("2026-01-13T22:15:00Z") }),
        },
        Event::RolloutPlanned { rollout: r(), phases: vec![PlannedPhase { regions: vec![planned] }] },
        Event::PhaseStarted { rollout: r(), phase: 0 },
        Event::TurnGranted { rollout: r(), phase: 0, region: region(), round: 2 },
        Event::TurnEnded { rollout: r(), phase: 0, region: region(), round: 2, tally, patches: patches() },
        Event::PhasePassed { rollout: r(), phase: 0, tally },
        Event::PhaseFailed { rollout: r(), phase: 0, tally, why: "3 of 7 VMs failed".into() },
        Event::RolloutHalted {
            rollout: r(),
            phase: 0,
            region: Some(region()),
            why: "boom".into(),
            evidence: HaltEvidence::default(),
        },
        Event::RolloutHalted {
            rollout: r(),
            phase: 1,
            region: None,
            why: "boom".into(),
            evidence: evidence(),
        },
        Event::RolloutPaused { rollout: r(), actor: actor() },
        Event::RolloutResumed { rollout: r(), accepted: 3, actor: actor() },
        Event::RolloutRetried { rollout: r(), regions: vec![region()], actor: actor() },
        Event::RegionSkipped { rollout: r(), region: region(), actor: actor() },
        Event::RolloutCancelled { rollout: r(), actor: actor() },
        Event::RolloutExpired { rollout: r(), why: "its 30 days are over".into() },
        Event::RolloutCompleted { rollout: r(), tally },
        Event::PolicyChanged { rollout: r(), policy: full_policy(), actor: actor() },
        Event::PolicyChanged {
            rollout: r(),
            policy: Policy { analysis: Some(Analysis::default()), ..full_policy() },
            actor: actor(),
        },
        Event::PhaseApproved { rollout: r(), phase: 1, actor: actor() },
        Event::BakeWatchRequested {
            rollout: rollout_id(),
            phase: 1,
            watch: 2,
            regions: vec![region()],
            queries: baked.queries,
            silence_seconds: 900,
            until: at("2026-01-14T12:00:00Z"),
        },
        Event::PatchesCertified { rollout: r(), phase: 0, patches: vec![package()] },
        Event::PatchBarred { rollout: r(), patch: package(), failed: 3, tried: 4, why: "3 of 4".into() },
        Event::RhythmDeclared { rhythm: Some(Rhythm::default()), actor: actor() },
    ]
}

fn evidence() -> HaltEvidence {
    let signals = vec![Said { what: "ill after its patch: unit down".into(), vms: 3 }];
    let comparison = Some(Comparison { patched_ill: 3, patched_well: 17, control_ill: 1, control_well: 19 });
    HaltEvidence { failed: 3, vms: vec![vm()], signals, in_common: patches(), comparison }
}

fn package() -> PackageVersion {
    PackageVersion { name: "openssl".into(), version: "3.0.2-0ubuntu1.19".into() }
}

fn patches() -> Vec<PatchTally> {
    vec![PatchTally { patch: package(), healthy: 4, failed: 1 }]
}

/// No field as it is by default.
fn full_policy() -> Policy {
    let day = |text: &str| text.parse().unwrap();
    Policy {
        canaries: vec![region()],
        max_in_flight: Some(7),
        blackouts: vec![Blackout { from: day("2026-12-24"), to: day("2026-12-26") }],
        budgets: Budgets::all(10, 2),
        on_failure: OnFailure::Continue,
        approvals: Approvals::BetweenPhases,
        reboot: RebootSetting::Never,
        classifications: vec![Classification::Critical],
        include: vec![Mask::new("lib*").unwrap()],
        exclude: vec![Mask::new("*-dev").unwrap()],
        patches: PatchChoice::Certified,
        certify_phases: 2,
        breaker: Breaker { failures: 5, percent: 50 },
        deadline_days: 20,
        retry_nights: 5,
        ..Policy::default()
    }
}

fn run() -> Vec<Event> {
    let rollout = rollout_id();
    let r = || rollout.clone();
    let member = Member {
        vm: vm(),
        subscription: SubscriptionId::new("retail").unwrap(),
        placement: Placement::Standalone,
        window: Window::default_off_peak(),
        time_zone: chrono_tz::Asia::Kathmandu,
    };
    let started = |round, retries| {
        let (rollout, policy) = (r(), Policy::default());
        Event::RunStarted { rollout, region: region(), phase: 1, round, policy, retries }
    };
    let step = || StepKey::UpdateDomain { set: AvailabilitySetId::new("db").unwrap(), update_domain: 4 };
    let order = Order {
        id: order_id(),
        rollout: r(),
        vm: vm(),
        not_after: at("2026-01-13T22:15:00Z"),
        deadline: at("2026-01-13T23:45:00Z"),
        reboot: RebootSetting::IfRequired,
        selection: Selection {
            classifications: vec![Classification::Critical, Classification::Security],
            include: vec![Mask::new("lib*").unwrap()],
            exclude: vec![Mask::new("*-dev").unwrap()],
            certified: Some(vec![package()]),
            barred: vec![package()],
        },
        // As in every log of before there were signatures: they stay readable.
        signature: None,
    };
    let tally = Tally { healthy: 1, ..Tally::default() };
    vec![
        started(1, 0),
        started(2, 1),
        Event::RunEnlisted { rollout: r(), members: vec![member.clone()] },
        Event::StageStarted { rollout: r(), stage: StageKey::Zoneless },
        Event::StageEnded { rollout: r(), stage: StageKey::Zone(zone()) },
        Event::StepStarted { rollout: r(), step: step(), vms: vec![vm()] },
        Event::StepEnded {
            rollout: r(),
            step: StepKey::ZoneBatch { zone: zone(), batch: 2 },
            tally,
            patches: patches(),
        },
        Event::WatchRequested { rollout: r(), vms: vec![vm()] },
        Event::OrderPlaced { order },
        Event::VmDeferred { rollout: r(), vm: vm(), why: "silent".into() },
        Event::VmSkipped { rollout: r(), vm: vm(), why: "ill".into() },
        Event::VmSettled {
            rollout: r(),
            vm: vm(),
            order: order_id(),
            outcome: Outcome::Failed { why: "boom".into() },
            blamed: vec![Blame { patch: package(), direct: true }],
        },
        Event::RunHeld { rollout: r(), stops: 1, why: "paused".into() },
        Event::RunReleased { rollout: r(), accepted: true },
        Event::RunHalted {
            rollout: r(),
            step: StepKey::Batch(3),
            why: "boom".into(),
            evidence: HaltEvidence::default(),
        },
        Event::RunHalted { rollout: r(), step: StepKey::Batch(3), why: "boom".into(), evidence: evidence() },
        Event::RunCut { rollout: r(), why: "tried again".into() },
        Event::RunYielded { rollout: r(), to: rollout_id(), member: member.clone() },
        Event::ControlsRequested { rollout: r(), sample: order_id(), vms: vec![vm()] },
        Event::ControlsJudged { rollout: r(), sample: order_id(), ill: 1, well: 19 },
        Event::RunCompleted { rollout: r(), round: 1, tally, patches: patches() },
        Event::AssessmentsRequested {
            region: region(),
            vms: vec![vm()],
            not_after: at("2026-01-13T22:15:00Z"),
        },
    ]
}

fn agent() -> Vec<Event> {
    let (vm, order) = (vm, order_id);
    let identity = AgentIdentity {
        agent_version: "0.1.0".into(),
        boot_id: "b".into(),
        os: "Debian".into(),
        back_end: "apt".into(),
    };
    let patch = Patch {
        name: "openssl".into(),
        version: "1.1".into(),
        classification: Classification::Security,
        obstacle: Some("held".into()),
    };
    let outcome = PatchOutcome {
        name: "openssl".into(),
        version: "1.1".into(),
        classification: Classification::Security,
        state: PatchState::Excluded,
        detail: "held".into(),
    };
    let result = InstallReport {
        patches: vec![outcome],
        reboot: RebootStatus::Completed,
        boot_id: "b".into(),
        window_exceeded: true,
        error: Some("no space".into()),
    };
    let refused = RefusedOrder { code: "Expired".into(), why: "too late".into() };
    vec![
        Event::EnrolmentTokenIssued {
            vm: vm(),
            token_sha256: "aa".into(),
            expires: at("2026-01-13T23:00:00Z"),
        },
        Event::AgentEnrolled { vm: vm(), token_sha256: "aa".into(), key_sha256: "bb".into() },
        Event::AgentCertified {
            vm: vm(),
            key_sha256: "cc".into(),
            former_sha256: "bb".into(),
            ends: at("2026-01-20T23:00:00Z"),
        },
        Event::AgentConnected { vm: vm(), identity },
        Event::AgentEnabled { vm: vm(), report: 1 },
        Event::AgentAssessed {
            vm: vm(),
            report: 2,
            assessment: Assessment {
                patches: vec![patch],
                reboot_pending: true,
                warnings: vec!["slow".into()],
            },
        },
        Event::AssessmentWished {
            vm: vm(),
            not_after: at("2026-01-13T12:30:00Z"),
            actor: Actor { name: "ada".into(), reason: "before the audit".into() },
        },
        Event::AssessmentFailed { vm: vm(), report: 7, why: "apt is gone".into() },
        Event::AgentChecked {
            vm: vm(),
            report: 8,
            requirements: vec![Requirement {
                code: "DiskSpace".into(),
                state: RequirementState::Unmet,
                sentence: "/var/cache/apt has 3 MiB left: 200 are needed".into(),
            }],
        },
        Event::OrderAccepted { vm: vm(), report: 3, order: order(), began: at("2026-01-13T22:01:00Z") },
        Event::OrderFinished { vm: vm(), report: 4, order: order(), result },
        Event::OrderRefused { vm: vm(), report: 5, order: order(), refused },
        Event::AgentRebooted { vm: vm(), report: 6, order: order(), boot_id: "c".into() },
    ]
}

fn health() -> Vec<Event> {
    let signal = Signal::heartbeat(vm(), at("2026-01-13T22:30:00Z"), "b", Some("unit down".into()));
    let query = Source::Query(SourceName::new("errors").unwrap());
    let mut queried = Signal::of(query, vm(), at("2026-01-13T22:31:00Z"), Some("0.06 is above 0.05".into()));
    queried.findings = vec!["unit x.service has failed".into()];
    vec![
        Event::WatchOpened {
            vm: vm(),
            rollout: rollout_id(),
            baseline: Baseline::Ill { ailment: "disk full".into() },
            sample: None,
        },
        Event::WatchOpened {
            vm: vm(),
            rollout: rollout_id(),
            baseline: Baseline::Well,
            sample: Some(OrderId::new("controls-1").unwrap()),
        },
        Event::HealthConfirmed { vm: vm(), order: order_id() },
        Event::HealthFailed { vm: vm(), order: order_id(), signal },
        Event::HealthFailed { vm: vm(), order: order_id(), signal: queried },
        Event::HealthUnknown { vm: vm(), order: order_id(), why: "no signal".into() },
        Event::BakeConfirmed { rollout: rollout_id(), phase: 1, watch: 2 },
        Event::BakeFailed {
            rollout: rollout_id(),
            phase: 1,
            watch: 3,
            query: SourceName::new("errors").unwrap(),
            ailment: "0.06 is above 0.05".into(),
        },
        Event::BakeUnknown {
            rollout: rollout_id(),
            phase: 1,
            watch: 4,
            why: "nothing from query errors".into(),
        },
    ]
}
