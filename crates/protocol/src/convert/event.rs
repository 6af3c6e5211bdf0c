//! Every event. One table says of each what its fields are; both directions follow from it.

use super::{DecodeError, Result, all, id, ids, missing, required, time, timestamp};
use crate::events::v1 as wire;
use nightshift_domain::Event;
use nightshift_domain::agent::RefusedOrder;
use wire::event::Kind;

/// How a field travels: `id` (an identifier), `ids`, `optional_id`, `message`, `messages`, `optional_message`, `copy` (the same
/// type on both sides), `text`, `moment`, `feature`, `evidence` (of a halt; nothing where it is empty).
macro_rules! to_wire {
    (id $value:expr) => {
        $value.to_string()
    };
    (ids $value:expr) => {
        $value.iter().map(ToString::to_string).collect()
    };
    (optional_id $value:expr) => {
        $value.as_ref().map(ToString::to_string)
    };
    (message $value:expr) => {
        Some($value.into())
    };
    (messages $value:expr) => {
        $value.iter().map(Into::into).collect()
    };
    (optional_message $value:expr) => {
        $value.as_ref().map(Into::into)
    };
    (copy $value:expr) => {
        *$value
    };
    (text $value:expr) => {
        $value.clone()
    };
    (moment $value:expr) => {
        Some(timestamp(*$value))
    };
    (evidence $value:expr) => {
        (!$value.is_empty()).then(|| $value.into())
    };
    (feature $value:expr) => {
        wire::Feature::from(*$value).into()
    };
}

macro_rules! from_wire {
    (id $field:ident) => {
        id($field, stringify!($field))?
    };
    (ids $field:ident) => {
        ids($field, stringify!($field))?
    };
    (optional_id $field:ident) => {
        $field.map(|text| id(text, stringify!($field))).transpose()?
    };
    (message $field:ident) => {
        required($field, stringify!($field))?
    };
    (messages $field:ident) => {
        all($field, stringify!($field))?
    };
    (optional_message $field:ident) => {
        $field.map(|message| required(Some(message), stringify!($field))).transpose()?
    };
    (copy $field:ident) => {
        $field
    };
    (text $field:ident) => {
        $field
    };
    (moment $field:ident) => {
        time($field, stringify!($field))?
    };
    (evidence $field:ident) => {
        // A log that is older than the field says nothing.
        $field.map(|message| required(Some(message), stringify!($field))).transpose()?.unwrap_or_default()
    };
    (feature $field:ident) => {
        super::fleet::feature($field)?
    };
}

macro_rules! events {
    ($($variant:ident { $($field:ident: $kind:tt),+ })+) => {
        impl From<&Event> for wire::Event {
            fn from(event: &Event) -> Self {
                let kind = match event {
                    $(Event::$variant { $($field),+ } => {
                        Kind::$variant(wire::$variant { $($field: to_wire!($kind $field)),+ })
                    })+
                    Event::OrderRefused { vm, report, order, refused: RefusedOrder { code, why } } => {
                        let (vm, order) = (vm.to_string(), order.to_string());
                        let (code, why) = (code.clone(), why.clone());
                        Kind::OrderRefused(wire::OrderRefused { vm, report: *report, order, code, why })
                    }
                };
                Self { kind: Some(kind) }
            }
        }

        impl TryFrom<wire::Event> for Event {
            type Error = DecodeError;
            fn try_from(event: wire::Event) -> Result<Self> {
                match event.kind.ok_or_else(|| missing("kind"))? {
                    $(Kind::$variant(wire::$variant { $($field),+ }) => {
                        let read = || -> Result<Event> {
                            Ok(Event::$variant { $($field: from_wire!($kind $field)),+ })
                        };
                        read().map_err(|error| error.within(stringify!($variant)))
                    })+
                    Kind::OrderRefused(wire::OrderRefused { vm, report, order, code, why }) => {
                        let (vm, order) = (id(vm, "OrderRefused.vm")?, id(order, "OrderRefused.order")?);
                        Ok(Event::OrderRefused { vm, report, order, refused: RefusedOrder { code, why } })
                    }
                }
            }
        }

        /// The event's name, as in its CloudEvents type.
        pub(crate) fn name(event: &Event) -> &'static str {
            match event {
                $(Event::$variant { .. } => stringify!($variant),)+
                Event::OrderRefused { .. } => "OrderRefused",
            }
        }
    };
}

events! {
    TopologyDeclared { topology: message }
    FeatureRequested { subscription: id, feature: feature }
    FeatureRegistered { subscription: id, feature: feature }
    FeatureUnregistered { subscription: id, feature: feature }
    ProviderRegistered { subscription: id }
    VmRegistered { vm: message }
    VmModelChanged { vm: message }
    VmRemoved { vm: id }
    RolloutRequested { rollout: id, policy: message, actor: message, on_demand: optional_message }
    RolloutPlanned { rollout: id, phases: messages }
    PhaseStarted { rollout: id, phase: copy }
    TurnGranted { rollout: id, phase: copy, region: id, round: copy }
    TurnEnded { rollout: id, phase: copy, region: id, round: copy, tally: message, patches: messages }
    PhasePassed { rollout: id, phase: copy, tally: message }
    PhaseFailed { rollout: id, phase: copy, tally: message, why: text }
    RolloutHalted { rollout: id, phase: copy, region: optional_id, why: text, evidence: evidence }
    RolloutPaused { rollout: id, actor: message }
    RolloutResumed { rollout: id, accepted: copy, actor: message }
    RolloutRetried { rollout: id, regions: ids, actor: message }
    RegionSkipped { rollout: id, region: id, actor: message }
    RolloutCancelled { rollout: id, actor: message }
    RolloutExpired { rollout: id, why: text }
    RolloutCompleted { rollout: id, tally: message }
    PolicyChanged { rollout: id, policy: message, actor: message }
    PhaseApproved { rollout: id, phase: copy, actor: message }
    BakeWatchRequested {
        rollout: id, phase: copy, watch: copy, regions: ids, queries: messages, silence_seconds: copy, until: moment
    }
    PatchesCertified { rollout: id, phase: copy, patches: messages }
    PatchBarred { rollout: id, patch: message, failed: copy, tried: copy, why: text }
    RhythmDeclared { rhythm: optional_message, actor: message }
    RunStarted { rollout: id, region: id, phase: copy, round: copy, policy: message, retries: copy }
    RunEnlisted { rollout: id, members: messages }
    StageStarted { rollout: id, stage: message }
    StageEnded { rollout: id, stage: message }
    StepStarted { rollout: id, step: message, vms: ids }
    StepEnded { rollout: id, step: message, tally: message, patches: messages }
    WatchRequested { rollout: id, vms: ids }
    OrderPlaced { order: message }
    VmDeferred { rollout: id, vm: id, why: text }
    VmSkipped { rollout: id, vm: id, why: text }
    VmSettled { rollout: id, vm: id, order: id, outcome: message, blamed: messages }
    RunHeld { rollout: id, stops: copy, why: text }
    RunReleased { rollout: id, accepted: copy }
    RunHalted { rollout: id, step: message, why: text, evidence: evidence }
    RunCut { rollout: id, why: text }
    RunYielded { rollout: id, to: id, member: message }
    ControlsRequested { rollout: id, sample: id, vms: ids }
    ControlsJudged { rollout: id, sample: id, ill: copy, well: copy }
    RunCompleted { rollout: id, round: copy, tally: message, patches: messages }
    AssessmentsRequested { region: id, vms: ids, not_after: moment }
    EnrolmentTokenIssued { vm: id, token_sha256: text, expires: moment }
    AgentEnrolled { vm: id, token_sha256: text, key_sha256: text }
    AgentCertified { vm: id, key_sha256: text, former_sha256: text, ends: moment }
    AgentConnected { vm: id, identity: message }
    AgentEnabled { vm: id, report: copy }
    AgentAssessed { vm: id, report: copy, assessment: message }
    AssessmentWished { vm: id, not_after: moment, actor: message }
    AssessmentFailed { vm: id, report: copy, why: text }
    AgentChecked { vm: id, report: copy, requirements: messages }
    OrderAccepted { vm: id, report: copy, order: id, began: moment }
    OrderFinished { vm: id, report: copy, order: id, result: message }
    AgentRebooted { vm: id, report: copy, order: id, boot_id: text }
    WatchOpened { vm: id, rollout: id, baseline: message, sample: optional_id }
    HealthConfirmed { vm: id, order: id }
    HealthFailed { vm: id, order: id, signal: message }
    HealthUnknown { vm: id, order: id, why: text }
    BakeConfirmed { rollout: id, phase: copy, watch: copy }
    BakeFailed { rollout: id, phase: copy, watch: copy, query: id, ailment: text }
    BakeUnknown { rollout: id, phase: copy, watch: copy, why: text }
}
