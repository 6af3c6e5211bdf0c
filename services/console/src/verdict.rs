//! What the auditor says of this log: its own crate, which shares no code with those who decide.

use crate::events;
use futures::StreamExt as _;
use nightshift_audit::{EventRef, Record, Report, Violation};
use nightshift_event_log::EventLog;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use nightshift_runtime::status::{damaged, failed, unreadable};
use std::sync::Arc;
use tokio::sync::Mutex;
use tonic::Status;

/// One audit at a time: each reads the whole log.
#[derive(Clone, Default)]
pub(crate) struct Auditor(Arc<Mutex<()>>);

impl Auditor {
    /// Reads the log and audits it.
    pub(crate) async fn audit(&self, log: &Arc<dyn EventLog>) -> Result<api::AuditResponse, Status> {
        let _one_at_a_time = self.0.lock().await;
        let records = read(log).await?;
        let newest = records.iter().map(|record| record.at).max();
        let audited = tokio::task::spawn_blocking(move || nightshift_audit::audit(records)).await;
        let report = audited.map_err(failed)?;
        Ok(api::AuditResponse { as_of: newest.map(timestamp), ..response(&report) })
    }
}

async fn read(log: &Arc<dyn EventLog>) -> Result<Vec<Record>, Status> {
    let mut records = Vec::new();
    for partition in log.partitions().await.map_err(|error| unreadable(&error))? {
        let mut events = events::read(log.clone(), partition.clone(), 0, false)
            .await
            .map_err(|error| unreadable(&error))?;
        while let Some(recorded) = events.next().await {
            let recorded = recorded.map_err(|error| unreadable(&error))?;
            let fact = recorded.envelope.fact().map_err(damaged)?;
            let (partition, position) = (partition.clone(), recorded.position);
            records.push(Record { partition, position, at: fact.at, event: fact.event });
        }
    }
    Ok(records)
}

fn response(report: &Report) -> api::AuditResponse {
    let rules = report.rules.iter().map(|one| api::AuditedRule {
        rule: one.rule.to_string(),
        says: one.rule.says().to_owned(),
        checked: one.checked,
        violations: u32::try_from(report.of(one.rule).count()).unwrap_or(u32::MAX),
    });
    api::AuditResponse {
        events: report.events,
        orders: report.orders,
        rules: rules.collect(),
        violations: report.violations.iter().map(violation).collect(),
        as_of: None,
    }
}

fn violation(Violation { rule, sentence, first, second }: &Violation) -> api::AuditViolation {
    api::AuditViolation {
        rule: rule.to_string(),
        sentence: sentence.clone(),
        first: Some(event(first)),
        second: Some(event(second)),
    }
}

fn event(EventRef { partition, position, at, event_type }: &EventRef) -> api::AuditEvent {
    api::AuditEvent {
        partition: partition.to_string(),
        position: *position,
        at: Some(timestamp(*at)),
        what: event_type.clone(),
    }
}
