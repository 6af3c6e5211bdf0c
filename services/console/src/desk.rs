//! Everything that people look at, whichever door they come through: each answer once, for gRPC and HTTP alike.

pub(crate) mod grpc;
pub(crate) mod http;

use crate::history;
use crate::overview::{self, Kept, Overview, Watcher};
use crate::past::Past;
use crate::preview::Previews;
use crate::promise;
use crate::report::{self, Rows};
use crate::service::{named, no_rollout, no_vm};
use crate::spans::Spans;
use crate::topology;
use crate::verdict::Auditor;
use crate::view::View;
use nightshift_domain::rollout::Status as RolloutStatus;
use nightshift_domain::{RegionName, RolloutId, Time, VmId};
use nightshift_event_log::EventLog;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::time;
use nightshift_runtime::access::Caller;
use nightshift_runtime::status::{id, within};
use std::collections::BTreeSet;
use std::sync::Arc;
use tonic::Status;

/// What the answers are made of.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) watcher: Watcher,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) spans: Spans,
    past: Past,
    auditor: Auditor,
    previews: Previews,
}

impl Desk {
    pub(crate) fn new(watcher: Watcher, log: Arc<dyn EventLog>, spans: Spans) -> Self {
        let (past, auditor, previews) = (Past::default(), Auditor::default(), Previews::default());
        Self { watcher, log, spans, past, auditor, previews }
    }

    async fn overview(
        &self,
        caller: &Caller,
        request: api::GetOverviewRequest,
    ) -> Result<api::GetOverviewResponse, Status> {
        let rollout = named(&request.rollout)?;
        let at = request.at.map(|at| time(Some(at), "at").map_err(|error| within("", &error))).transpose()?;
        let found = match at {
            None => {
                let (kept, rollout, caller) = (self.watcher.kept.clone(), rollout.clone(), caller.clone());
                let look = move |view: &View, now| {
                    let found = overview::overview(view, rollout.as_ref(), now, &kept)?;
                    Some(found.seen_by(&caller, view, now))
                };
                self.watcher.host.look(look).await?
            }
            Some(at) => {
                let look = |view: &View| {
                    let found = overview::overview(view, rollout.as_ref(), at, &Kept::default())?;
                    Some(found.seen_by(caller, view, at))
                };
                self.past.look(&self.log, at, look).await?
            }
        };
        let found = found.ok_or_else(|| no_rollout(&request.rollout))?;
        let Overview { head, regions, .. } = found;
        let regions = regions.into_iter().map(|(_, region)| Arc::unwrap_or_clone(region)).collect();
        Ok(api::GetOverviewResponse { overview: Some(head), regions })
    }

    async fn topology(&self) -> Result<api::GetTopologyResponse, Status> {
        Ok(self.watcher.host.look(|view, _| topology::topology(view)).await?)
    }

    async fn preview(
        &self,
        request: api::PreviewRolloutRequest,
    ) -> Result<api::PreviewRolloutResponse, Status> {
        self.previews.preview(&self.watcher.host, request).await
    }

    async fn vm_history(&self, caller: Caller, vm: &str) -> Result<api::GetVmHistoryResponse, Status> {
        let (id, region) = self.vm(caller, vm).await?;
        history::read(self.log.clone(), region, id).await
    }

    async fn vm_signals(&self, caller: Caller, vm: &str) -> Result<api::GetVmSignalsResponse, Status> {
        let (id, _) = self.vm(caller, vm).await?;
        Ok(self.spans.of(&id))
    }

    /// A VM that the caller may see, and its region.
    async fn vm(&self, caller: Caller, vm: &str) -> Result<(VmId, RegionName), Status> {
        let id = id::<VmId>(vm, "vm")?;
        let look = move |view: &View, _| {
            let vm = view.planner.fleet.vms.get(&id).filter(|vm| caller.sees(&vm.subscription))?;
            Some((id, vm.region.clone()))
        };
        self.watcher.host.look(look).await?.ok_or_else(|| no_vm(vm))
    }

    /// The rollout that is named, or the newest, with its regions and their phases (from 1).
    async fn rollout(&self, rollout: &str) -> Result<(RolloutId, Vec<(RegionName, u32)>), Status> {
        let wanted = named(rollout)?;
        let look = move |view: &View, _| {
            let id = wanted.or_else(|| overview::newest(view))?;
            let rollout = view.planner.rollouts.get(&id)?;
            let regions = rollout.turns().map(|(phase, region, _)| (region.clone(), phase + 1));
            Some((id, regions.collect()))
        };
        self.watcher.host.look(look).await?.ok_or_else(|| no_rollout(rollout))
    }

    async fn timeline(&self, rollout: &str) -> Result<api::GetTimelineResponse, Status> {
        let (id, _) = self.rollout(rollout).await?;
        let look = move |view: &View, now: Time| {
            let rollout = view.planner.rollouts.get(&id)?;
            let over = matches!(rollout.status, RolloutStatus::Completed { .. });
            let to = if over { rollout.changed } else { now };
            Some(view.timelines.of(&id, rollout.requested, to))
        };
        self.watcher.host.look(look).await?.ok_or_else(|| no_rollout(rollout))
    }

    async fn rows(&self, rollout: &str) -> Result<(RolloutId, Vec<(RegionName, u32)>, Rows), Status> {
        let (id, regions) = self.rollout(rollout).await?;
        let names: BTreeSet<RegionName> = regions.iter().map(|(region, _)| region.clone()).collect();
        let rows = report::read(self.log.clone(), &id, names.into_iter().collect()).await?;
        Ok((id, regions, rows))
    }

    async fn report(&self, rollout: &str) -> Result<api::GetReportResponse, Status> {
        let (id, regions, rows) = self.rows(rollout).await?;
        let (kept, wanted) = (self.watcher.kept.clone(), id.clone());
        let look = move |view: &View, now| {
            let policy = view.planner.rollouts.get(&wanted).map(|rollout| (&rollout.policy).into());
            (overview::overview(view, Some(&wanted), now, &kept), policy)
        };
        let (found, policy) = self.watcher.host.look(look).await?;
        let (exceptions, all_exceptions) = rows.exceptions();
        Ok(api::GetReportResponse {
            overview: Some(found.ok_or_else(|| no_rollout(&id))?.head),
            policy,
            regions: regions.iter().map(|(region, phase)| rows.region(region, *phase)).collect(),
            versions: rows.versions(),
            exceptions,
            all_exceptions,
        })
    }

    async fn compliance(&self) -> Result<api::GetComplianceResponse, Status> {
        Ok(self.watcher.host.look(promise::compliance).await?)
    }

    async fn audit(&self) -> Result<api::AuditResponse, Status> {
        self.auditor.audit(&self.log).await
    }
}
