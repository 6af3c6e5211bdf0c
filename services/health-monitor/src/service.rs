//! The gRPC of health-monitor.

use crate::reports::Reports;
use nightshift_domain::health::{Baseline, Source};
use nightshift_domain::monitor::{Monitor, SourceView, VmHealth};
use nightshift_domain::{Event, Refusal, RegionName, Time, VmId};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::health_service_server::{HealthService, HealthServiceServer};
use nightshift_protocol::convert::timestamp;
use nightshift_runtime::status::{id, invalid, refused};
use nightshift_runtime::{Host, Page};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// VMs of one page.
const PAGE: usize = 500;
/// Reports of one call.
const MOST_REPORTS: usize = 10_000;

pub(crate) fn routes(host: Host<Monitor>, reports: Reports) -> Routes {
    Routes::new(HealthServiceServer::new(Monitoring { host, reports }))
}

struct Monitoring {
    host: Host<Monitor>,
    reports: Reports,
}

#[tonic::async_trait]
impl HealthService for Monitoring {
    async fn get_vm_health(
        &self,
        request: Request<api::GetVmHealthRequest>,
    ) -> Result<Response<api::GetVmHealthResponse>, Status> {
        let vm: VmId = id(request.into_inner().vm, "vm")?;
        let not_found = refused(&Refusal::no_vm(&vm));
        let health = self.host.look(move |monitor, _| monitor.health(&vm)).await?;
        health.map(|health| Response::new(view(health))).ok_or(not_found)
    }

    async fn list_region_health(
        &self,
        request: Request<api::ListRegionHealthRequest>,
    ) -> Result<Response<api::ListRegionHealthResponse>, Status> {
        let request = request.into_inner();
        let region: RegionName = id(request.region, "region")?;
        let page = Page::of("ListRegionHealth", PAGE, request.page_size, &request.page_token)?;
        let list = move |monitor: &Monitor, _: Time| {
            let vms = monitor.vms_of(&region, page.after());
            page.cut(vms.filter_map(|vm| Some((vm.clone(), monitor.health(vm)?))))
        };
        let (vms, next_page_token) = self.host.look(list).await?;
        let vms = vms.into_iter().map(view).collect();
        Ok(Response::new(api::ListRegionHealthResponse { vms, next_page_token }))
    }

    async fn report_signals(
        &self,
        request: Request<api::ReportSignalsRequest>,
    ) -> Result<Response<api::ReportSignalsResponse>, Status> {
        let reports = request.into_inner().reports;
        if reports.len() > MOST_REPORTS {
            let sentence = format!("reports: {} in one call: send at most {MOST_REPORTS}", reports.len());
            return Err(invalid("reports", sentence));
        }
        let refused = self.reports.take(reports).await?;
        Ok(Response::new(api::ReportSignalsResponse { refused }))
    }
}

fn view(health: VmHealth) -> api::GetVmHealthResponse {
    let agent = health.sources.iter().find(|view| view.source == Source::Agent);
    let newest = agent.and_then(|agent| agent.newest.as_ref());
    api::GetVmHealthResponse {
        vm: health.vm.to_string(),
        region: health.region.to_string(),
        last_signal: newest.map(|signal| timestamp(signal.at)),
        ailment: newest.and_then(|signal| signal.ailment.clone()).unwrap_or_default(),
        boot_id: newest.map(|signal| signal.boot_id.clone()).unwrap_or_default(),
        findings: newest.map(|signal| signal.findings.clone()).unwrap_or_default(),
        watched: health.watch.is_some(),
        watch: health.watch.map(|watch| api::Watch {
            rollout: watch.rollout.to_string(),
            state: watch.state,
            verdict_due: watch.due.map(timestamp),
        }),
        sources: health.sources.iter().map(source).collect(),
        baseline: health.baseline.map(baseline),
        verdict: health.verdict.and_then(|(at, event)| verdict(at, event)),
    }
}

fn source(view: &SourceView) -> api::SourceHealth {
    let newest = view.newest.as_ref();
    api::SourceHealth {
        source: view.source.to_string(),
        required: view.required,
        last_signal: newest.map(|signal| timestamp(signal.at)),
        ailment: newest.and_then(|signal| signal.ailment.clone()).unwrap_or_default(),
    }
}

fn baseline((at, baseline): (Time, Baseline)) -> api::Said {
    let (what, why) = match baseline {
        Baseline::Well => ("well", String::new()),
        Baseline::Flawed { findings } => ("flawed", findings.join(", ")),
        Baseline::Ill { ailment } => ("ill", ailment),
        Baseline::Silent => ("silent", "no signal".to_owned()),
        Baseline::Unknown { why } => ("unknown", why),
    };
    api::Said { at: Some(timestamp(at)), what: what.to_owned(), why }
}

fn verdict(at: Time, event: Event) -> Option<api::Said> {
    let (what, why) = match event {
        Event::HealthConfirmed { .. } => ("confirmed", String::new()),
        Event::HealthFailed { signal, .. } => {
            ("failed", format!("{}: {}", signal.source, signal.ailment.unwrap_or_default()))
        }
        Event::HealthUnknown { why, .. } => ("unknown", why),
        _ => return None,
    };
    Some(api::Said { at: Some(timestamp(at)), what: what.to_owned(), why })
}
