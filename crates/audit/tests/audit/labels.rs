//! A short name for each event of a story, so that a case can say which events it means.

use nightshift_audit::Record;
use nightshift_domain::Event;
use nightshift_domain::event::Event::*;

/// The event's kind and what it is about, for example `OrderPlaced a1` or `TurnGranted west`.
pub fn label(event: &Event) -> String {
    let kind = kind(event);
    match event {
        PhaseStarted { phase, .. }
        | PhaseApproved { phase, .. }
        | PhasePassed { phase, .. }
        | PhaseFailed { phase, .. } => {
            format!("{kind} {phase}")
        }
        TurnGranted { region, round, .. }
        | TurnEnded { region, round, .. }
        | RunStarted { region, round, .. } => match round {
            1 => format!("{kind} {region}"),
            later => format!("{kind} {region} {later}"),
        },
        RunEnlisted { members, .. } => format!("{kind} {}", members[0].vm),
        StageStarted { stage, .. } | StageEnded { stage, .. } => format!("{kind} {stage}"),
        StepStarted { vms, .. } => format!("{kind} {}", vms[0]),
        StepEnded { step, .. } => format!("{kind} {step}"),
        RolloutRequested { rollout, .. } | RolloutPlanned { rollout, .. } => format!("{kind} {rollout}"),
        other => match other.vm() {
            Some(vm) => format!("{kind} {vm}"),
            None => kind,
        },
    }
}

fn kind(event: &Event) -> String {
    let text = format!("{event:?}");
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// The label of the event at that place.
pub fn label_at(records: &[Record], place: &nightshift_audit::EventRef) -> String {
    let same = |r: &&Record| r.partition == place.partition && r.position == place.position;
    let record = records.iter().find(same).expect("a violation names events of the log");
    assert_eq!(kind(&record.event), place.event_type);
    assert_eq!(record.at, place.at);
    label(&record.event)
}
