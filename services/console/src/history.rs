//! Everything that the log says of one machine, in sentences.

use crate::events;
use futures::StreamExt as _;
use nightshift_domain::event::Outcome;
use nightshift_domain::health::Baseline;
use nightshift_domain::patch::PatchState;
use nightshift_domain::{Event, Follow, Partition, RegionName, Time, VmId};
use nightshift_event_log::{EventLog, Recorded};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use nightshift_runtime::status::{damaged, unreadable};
use std::sync::Arc;
use tonic::Status;

/// Reads a machine's history: of its own chains, and of its region's runs.
pub(crate) async fn read(
    log: Arc<dyn EventLog>,
    region: RegionName,
    vm: VmId,
) -> Result<api::GetVmHistoryResponse, Status> {
    let mut entries = Vec::new();
    let region = Partition::Region(region);
    for follow in [
        Follow::kind(Partition::Fleet, "vm"),
        Follow::kind(region.clone(), "agent"),
        Follow::kind(region.clone(), "health"),
        Follow::kind(region, "run"),
    ] {
        let is_run = follow.kind == Some("run");
        let own = format!("{}.{vm}", follow.kind.unwrap_or_default());
        let partition = follow.partition.clone();
        let mut events = events::pages(log.clone(), follow, 0);
        while let Some(recorded) = events.next().await {
            let Recorded { position, envelope } = recorded.map_err(|error| unreadable(&error))?;
            // Of other machines' chains nothing has to be decoded.
            if !is_run && !envelope.subject.ends_with(&own) {
                continue;
            }
            let fact = envelope.fact().map_err(damaged)?;
            let Some(sentence) = (fact.event.vm() == Some(&vm)).then(|| sentence(&fact.event)).flatten()
            else {
                continue;
            };
            let what = envelope.event_type.rsplit('.').next().unwrap_or_default().to_owned();
            entries.push((fact.at, entry(fact.at, &partition, position, what, sentence)));
        }
    }
    entries.sort_by_key(|(at, _)| *at);
    Ok(api::GetVmHistoryResponse { entries: entries.into_iter().map(|(_, entry)| entry).collect() })
}

fn entry(
    at: Time,
    partition: &Partition,
    position: u64,
    what: String,
    sentence: String,
) -> api::HistoryEntry {
    let (at, partition) = (Some(timestamp(at)), partition.to_string());
    api::HistoryEntry { at, partition, position, what, sentence }
}

/// What happened to the machine, for people; `None` of what is nobody's concern.
fn sentence(event: &Event) -> Option<String> {
    Some(match event {
        Event::VmRegistered { .. } => "it entered the fleet".to_owned(),
        Event::VmModelChanged { .. } => "its model changed".to_owned(),
        Event::VmRemoved { .. } => "it left the fleet".to_owned(),
        Event::EnrolmentTokenIssued { .. } => "a token for its agent was issued".to_owned(),
        Event::AgentEnrolled { .. } => "its agent enrolled".to_owned(),
        Event::AgentCertified { .. } => "its agent got a certificate".to_owned(),
        Event::AgentConnected { identity, .. } => {
            format!(
                "its agent {} spoke after a boot ({}, {})",
                identity.agent_version, identity.os, identity.back_end
            )
        }
        Event::AgentEnabled { .. } => "native automatic updates are off: Nightshift patches it".to_owned(),
        Event::AgentAssessed { assessment, .. } => format!(
            "it was assessed: {} critical and security patches are missing, {} others",
            assessment.critical_and_security(),
            assessment.other()
        ),
        Event::AssessmentWished { actor, .. } => format!("{} had it assessed: {}", actor.name, actor.reason),
        Event::AssessmentFailed { why, .. } => format!("it could not be assessed: {why}"),
        Event::AgentChecked { requirements, .. } => {
            format!("its agent looked at what it needs: {} things", requirements.len())
        }
        Event::WatchOpened { baseline, .. } => match baseline {
            Baseline::Well => "it was well before its patch".to_owned(),
            Baseline::Flawed { findings } => format!("it was well but for: {}", findings.join("; ")),
            Baseline::Ill { ailment } => format!("it was ill already: {ailment}"),
            Baseline::Silent => "it was silent".to_owned(),
            Baseline::Unknown { why } => format!("how it was is not known: {why}"),
        },
        Event::OrderPlaced { order } => format!("rollout {} ordered its patches", order.rollout),
        Event::OrderAccepted { .. } => "its agent began".to_owned(),
        Event::OrderRefused { refused, .. } => format!("its agent refused the order: {}", refused.why),
        Event::AgentRebooted { .. } => "it was rebooted".to_owned(),
        Event::OrderFinished { result, .. } => match result.failure() {
            Some(why) => format!("its agent ended the order: {why}"),
            None => format!("{} patches were installed", result.count(PatchState::Installed)),
        },
        Event::HealthConfirmed { .. } => "it stayed well: confirmed".to_owned(),
        Event::HealthFailed { signal, .. } => {
            format!("{} says that it is ill: {}", signal.source, signal.ailment.as_deref().unwrap_or("ill"))
        }
        Event::HealthUnknown { why, .. } => format!("how it is after its patch is not known: {why}"),
        Event::VmSettled { outcome: Outcome::Healthy, .. } => "settled: healthy".to_owned(),
        Event::VmSettled { outcome: Outcome::Failed { why }, .. } => format!("settled: failed, {why}"),
        Event::VmSkipped { why, .. } => format!("skipped: {why}"),
        Event::VmDeferred { why, .. } => format!("deferred: {why}"),
        _ => return None,
    })
}
