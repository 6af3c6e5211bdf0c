//! A rollout in words.

use crate::color::{Tone, paint};
use crate::times;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use nightshift_protocol::words;
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

/// The same in its colour.
pub(crate) fn painted(of: api::RolloutState) -> String {
    tone(of).map_or_else(|| state(of).to_owned(), |tone| paint(tone, state(of)))
}

/// What a rollout's state is to its reader.
pub(crate) fn tone(state: api::RolloutState) -> Option<Tone> {
    match state {
        api::RolloutState::Halted | api::RolloutState::Expired => Some(Tone::Bad),
        api::RolloutState::Paused | api::RolloutState::Cancelled => Some(Tone::Warn),
        api::RolloutState::Completed => Some(Tone::Good),
        api::RolloutState::Running | api::RolloutState::Unspecified => None,
    }
}

/// Where a VM stands, in a word.
pub(crate) fn progress(progress: api::VmProgress) -> &'static str {
    words::progress(progress).unwrap_or("-")
}

/// What that is to its reader.
pub(crate) fn progress_tone(progress: api::VmProgress) -> Option<Tone> {
    match progress {
        api::VmProgress::Healthy => Some(Tone::Good),
        api::VmProgress::Failed => Some(Tone::Bad),
        api::VmProgress::Deferred | api::VmProgress::Skipped => Some(Tone::Warn),
        _ => None,
    }
}

/// What a count of VMs under this heading is to its reader; nothing if there are none.
pub(crate) fn count_tone(heading: &str, count: u32) -> Option<Tone> {
    match heading {
        _ if count == 0 => None,
        "HEALTHY" => Some(Tone::Good),
        "FAILED" => Some(Tone::Bad),
        "SKIPPED" | "DEFERRED" => Some(Tone::Warn),
        _ => None,
    }
}

/// Whether there is nothing more to watch: it is over or halted, and nothing is in flight any more.
pub(crate) fn has_ended(rollout: &api::RolloutView) -> bool {
    let regions = || rollout.phases.iter().flat_map(|phase| &phase.regions);
    let busy = regions().any(|region| region.in_flight + region.soaking > 0);
    !busy
        && !matches!(
            rollout.state(),
            api::RolloutState::Running | api::RolloutState::Paused | api::RolloutState::Unspecified
        )
}

/// How many VMs of a region are settled.
pub(crate) fn settled(region: &api::RegionView) -> u32 {
    let tally = region.tally.unwrap_or_default();
    tally.healthy + tally.failed + tally.skipped + tally.deferred
}

/// A region under way, in one line: how many VMs stand where, its stage, and who did not end healthy last.
pub(crate) fn counts(phase: &api::PhaseView, region: &api::RegionView) -> String {
    let tally = region.tally.unwrap_or_default();
    let mut parts = Vec::new();
    let counted = [
        (region.in_flight, "in flight"),
        (region.soaking, "soaking"),
        (tally.healthy, "healthy"),
        (tally.failed, "FAILED"),
        (tally.skipped, "skipped"),
        (tally.deferred, "deferred"),
    ];
    parts.extend(
        counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")),
    );
    if !region.stage.is_empty() {
        parts.push(region.stage.clone());
    } else if parts.is_empty() || phase.state() == api::PhaseState::Baking {
        parts.push(phase_state(phase.state()).to_owned());
    }
    if let Some(exception) = region.exceptions.last() {
        parts.push(format!("({}: {})", exception.vm, exception.why));
    }
    parts.join(", ")
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
    write!(text, "rollout {}: {}", rollout.rollout, painted(rollout.state()))?;
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
                let progress = progress(exception.progress());
                writeln!(text, "      {:<16} {progress}: {}", exception.vm, exception.why)?;
            }
        }
    }
    Ok(())
}

/// What a gate waits for, a line for each condition.
fn write_conditions(text: &mut String, whole: &str, conditions: &[api::Condition]) -> std::fmt::Result {
    conditions.iter().try_for_each(|one| writeln!(text, "  {whole}: {}", condition(one)))
}

/// One condition of a gate.
pub(crate) fn condition(condition: &api::Condition) -> String {
    let state = match condition.state() {
        api::ConditionState::Met => "ok",
        api::ConditionState::Closed => "CLOSED",
        api::ConditionState::Waits | api::ConditionState::Unspecified => "waits",
    };
    let until = condition.until.map(|at| format!(", until {} UTC", times::minute(Some(at))));
    format!("{state:<6} {}{}", condition.sentence, until.unwrap_or_default())
}

/// What a halt rests on: how many, which, what was said of them, and what they have in common.
pub(crate) fn write_evidence(
    text: &mut String,
    phase: u32,
    evidence: &wire::HaltEvidence,
) -> std::fmt::Result {
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
