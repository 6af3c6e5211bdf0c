//! The desk's gRPC.

use super::Desk;
use crate::overview;
use crate::service::named;
use futures::stream::{self, BoxStream, StreamExt as _};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::lookback_service_server::LookbackService;
use nightshift_protocol::api::v1::overview_service_server::OverviewService;
use nightshift_runtime::access::Caller;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// What is and what was, until the service ends.
#[derive(Clone)]
pub(crate) struct Looks {
    pub(crate) desk: Desk,
    pub(crate) shutdown: CancellationToken,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl OverviewService for Looks {
    async fn get_overview(
        &self,
        request: Request<api::GetOverviewRequest>,
    ) -> Answer<api::GetOverviewResponse> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.desk.overview(&caller, request.into_inner()).await?))
    }

    type WatchOverviewStream = BoxStream<'static, Result<api::WatchOverviewResponse, Status>>;

    async fn watch_overview(
        &self,
        request: Request<api::WatchOverviewRequest>,
    ) -> Answer<Self::WatchOverviewStream> {
        let caller = Caller::of(&request)?;
        let api::WatchOverviewRequest { rollout, after } = request.into_inner();
        let overviews = overview::watch(self.desk.watcher.clone(), caller, named(&rollout)?, &after);
        Ok(Response::new(overviews.take_until(self.shutdown.clone().cancelled_owned()).boxed()))
    }

    async fn get_topology(&self, _: Request<api::GetTopologyRequest>) -> Answer<api::GetTopologyResponse> {
        Ok(Response::new(self.desk.topology().await?))
    }

    async fn preview_rollout(
        &self,
        request: Request<api::PreviewRolloutRequest>,
    ) -> Answer<api::PreviewRolloutResponse> {
        Ok(Response::new(self.desk.preview(request.into_inner()).await?))
    }
}

#[tonic::async_trait]
impl LookbackService for Looks {
    async fn get_vm_history(
        &self,
        request: Request<api::GetVmHistoryRequest>,
    ) -> Answer<api::GetVmHistoryResponse> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.desk.vm_history(caller, &request.into_inner().vm).await?))
    }

    async fn get_vm_signals(
        &self,
        request: Request<api::GetVmSignalsRequest>,
    ) -> Answer<api::GetVmSignalsResponse> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.desk.vm_signals(caller, &request.into_inner().vm).await?))
    }

    async fn get_timeline(
        &self,
        request: Request<api::GetTimelineRequest>,
    ) -> Answer<api::GetTimelineResponse> {
        Ok(Response::new(self.desk.timeline(&request.into_inner().rollout).await?))
    }

    async fn get_report(&self, request: Request<api::GetReportRequest>) -> Answer<api::GetReportResponse> {
        Ok(Response::new(self.desk.report(&request.into_inner().rollout).await?))
    }

    type ListReportRowsStream = BoxStream<'static, Result<api::ListReportRowsResponse, Status>>;

    async fn list_report_rows(
        &self,
        request: Request<api::ListReportRowsRequest>,
    ) -> Answer<Self::ListReportRowsStream> {
        let (_, _, rows) = self.desk.rows(&request.into_inner().rollout).await?;
        let rows: Vec<_> = rows.all().map(|row| Ok(api::ListReportRowsResponse { row: Some(row) })).collect();
        Ok(Response::new(stream::iter(rows).boxed()))
    }

    async fn get_compliance(
        &self,
        _: Request<api::GetComplianceRequest>,
    ) -> Answer<api::GetComplianceResponse> {
        Ok(Response::new(self.desk.compliance().await?))
    }

    async fn audit(&self, _: Request<api::AuditRequest>) -> Answer<api::AuditResponse> {
        Ok(Response::new(self.desk.audit().await?))
    }
}
