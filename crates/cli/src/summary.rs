//! A rollout in plain text.

use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use std::fmt::Write as _;

/// A rollout's state in a word.
pub(crate) fn state(state: api::RolloutState) -> &'static str {
    match state {
        api::RolloutState::Unspecified => "unknown",
        api::RolloutState::Running => "running",
        api::RolloutState::Paused => "paused",
        api::RolloutState::Halted => "halted",
        api::RolloutState::Cancelled => "cancelled",
        api::RolloutState::Completed => "completed",
        api::RolloutState::Expired => "expired",
    }
}

/// A phase's state in a word.
pub(crate) fn phase_state(state: api::PhaseState) -> &'static str {
    match state {
        api::PhaseState::Unspecified => "unknown",
        api::PhaseState::Waiting => "waiting",
        api::PhaseState::Running => "running",
        api::PhaseState::Baking => "baking",
        api::PhaseState::Passed => "passed",
        api::PhaseState::Failed => "failed",
    }
}

/// The whole rollout: phases, regions, and every VM that did not end healthy with its reason.
pub(crate) fn text(rollout: &api::RolloutView) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, rollout);
    text
}

fn write(text: &mut String, rollout: &api::RolloutView) -> std::fmt::Result {
    write!(text, "rollout {}: {}", rollout.rollout, state(rollout.state()))?;
    if !rollout.halted_region.is_empty() {
        write!(text, " in {}", rollout.halted_region)?;
    }
    if !rollout.why.is_empty() {
        write!(text, ", because {}", rollout.why)?;
    }
    writeln!(text)?;
    if let Some(evidence) = &rollout.evidence {
        write_evidence(text, rollout.halted_phase, evidence)?;
    }
    for barred in &rollout.barred {
        writeln!(text, "barred: {} {}", barred.name, barred.version)?;
    }
    if rollout.certified > 0 {
        writeln!(text, "certified: {} versions", rollout.certified)?;
    }
    for phase in &rollout.phases {
        let approval = if phase.approval_needed { ", waits for a person's approval" } else { "" };
        writeln!(text, "phase {}: {}{approval}", phase.number, phase_state(phase.state()))?;
        // A gate that was passed is nobody's concern any more.
        if phase.state() != api::PhaseState::Passed {
            write_conditions(text, "gate", &phase.gate)?;
        }
        for region in &phase.regions {
            let tally = region.tally.unwrap_or_default();
            writeln!(
                text,
                "  {:<16} {:>4} VMs  {:>4} healthy {:>3} failed {:>3} skipped {:>3} deferred   {}",
                region.region,
                region.vms,
                tally.healthy,
                tally.failed,
                tally.skipped,
                tally.deferred,
                region.why
            )?;
            if let Some(actor) = &region.skipped_by {
                writeln!(text, "      taken out of the rollout by {}: {}", actor.name, actor.reason)?;
            }
            if region.round > 1 {
                writeln!(text, "      caught up in {} more nights", region.round - 1)?;
            }
            for gate in &region.gates {
                write_conditions(text, &format!("    {}", gate.whole), &gate.conditions)?;
            }
            for exception in &region.exceptions {
                let progress = crate::commands::vm::progress(exception.progress());
                writeln!(text, "      {:<16} {progress}: {}", exception.vm, exception.why)?;
            }
        }
    }
    Ok(())
}

/// What a gate waits for, a line for each condition.
fn write_conditions(text: &mut String, whole: &str, conditions: &[api::Condition]) -> std::fmt::Result {
    for condition in conditions {
        let state = match condition.state() {
            api::ConditionState::Met => "ok",
            api::ConditionState::Closed => "CLOSED",
            api::ConditionState::Waits | api::ConditionState::Unspecified => "waits",
        };
        let until = condition.until.as_ref().and_then(|at| chrono::DateTime::from_timestamp(at.seconds, 0));
        let until = until.map(|at| format!(", until {}", at.format("%F %R UTC"))).unwrap_or_default();
        writeln!(text, "  {whole}: {state:<6} {}{until}", condition.sentence)?;
    }
    Ok(())
}

/// What a halt rests on: how many, which, what was said of them, and what they have in common.
fn write_evidence(text: &mut String, phase: u32, evidence: &wire::HaltEvidence) -> std::fmt::Result {
    if evidence.failed > 0 {
        let more = if evidence.failed as usize > evidence.vms.len() { ", …" } else { "" };
        writeln!(
            text,
            "evidence: {} VMs failed in phase {phase}: {}{more}",
            evidence.failed,
            evidence.vms.join(", ")
        )?;
    }
    if let Some(comparison) = &evidence.comparison {
        let wire::Comparison { patched_ill, patched_well, control_ill, control_well } = *comparison;
        let (patched, controls) = (patched_ill + patched_well, control_ill + control_well);
        writeln!(
            text,
            "  {patched_ill} of {patched} patched VMs fell ill, and {control_ill} of {controls} that were not patched"
        )?;
    }
    for said in &evidence.signals {
        writeln!(text, "  {:>4} VMs: {}", said.vms, said.what)?;
    }
    for wire::PatchTally { patch, failed, healthy } in &evidence.in_common {
        let patch = patch.clone().unwrap_or_default();
        writeln!(
            text,
            "  {failed:>4} of them got {} {}; {healthy} that got it are well",
            patch.name, patch.version
        )?;
    }
    Ok(())
}
