//! The desk's HTTP: the same answers in JSON, live ones as server-sent events, tables as CSV.

use crate::http::{Door, Refused};
use crate::overview;
use crate::reading::{Body, Parameters, moment};
use crate::service::named;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::stream::{Stream, StreamExt as _};
use nightshift_domain::Time;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use nightshift_runtime::access::Caller;
use serde::Deserialize;

pub(crate) fn router() -> Router<Door> {
    Router::new()
        .route("/v1/overview", get(get_overview))
        .route("/v1/overview/live", get(live_overview))
        .route("/v1/topology", get(get_topology))
        .route("/v1/preview", post(preview))
        .route("/v1/vms/{vm}/history", get(vm_history))
        .route("/v1/vms/{vm}/signals", get(vm_signals))
        .route("/v1/timeline", get(timeline))
        .route("/v1/report", get(report))
        .route("/v1/report/machines.json", get(machines_json))
        .route("/v1/report/machines.csv", get(machines_csv))
        .route("/v1/compliance", get(compliance))
        .route("/v1/audit", get(audit))
}

/// Which rollout, and when.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Shown {
    rollout: String,
    #[serde(deserialize_with = "moment")]
    at: Option<Time>,
}

type Found<T> = Result<Json<T>, Refused>;

async fn get_overview(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Parameters(Shown { rollout, at }): Parameters<Shown>,
) -> Found<api::GetOverviewResponse> {
    let request = api::GetOverviewRequest { rollout, at: at.map(timestamp) };
    Ok(Json(door.desk.overview(&caller, request).await?))
}

/// The overview as server-sent events: all of it, or what changed since the reader's `Last-Event-ID`.
async fn live_overview(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Parameters(Shown { rollout, .. }): Parameters<Shown>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, axum::Error>>>, Refused> {
    let after = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let overviews = overview::watch(door.desk.watcher, caller, named(&rollout)?, after);
    let events = overviews.map(|overview| {
        let overview = overview.map_err(axum::Error::new)?;
        Event::default().event("overview").id(overview.id.clone()).json_data(overview)
    });
    // A stream ends with the service, or its readers would keep the service from ending.
    Ok(Sse::new(events.take_until(door.shutdown.cancelled_owned())))
}

async fn get_topology(State(door): State<Door>) -> Found<api::GetTopologyResponse> {
    Ok(Json(door.desk.topology().await?))
}

async fn preview(
    State(door): State<Door>,
    Body(request): Body<api::PreviewRolloutRequest>,
) -> Found<api::PreviewRolloutResponse> {
    Ok(Json(door.desk.preview(request).await?))
}

async fn vm_history(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Path(vm): Path<String>,
) -> Found<api::GetVmHistoryResponse> {
    Ok(Json(door.desk.vm_history(caller, &vm).await?))
}

async fn vm_signals(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Path(vm): Path<String>,
) -> Found<api::GetVmSignalsResponse> {
    Ok(Json(door.desk.vm_signals(caller, &vm).await?))
}

async fn timeline(
    State(door): State<Door>,
    Parameters(Shown { rollout, .. }): Parameters<Shown>,
) -> Found<api::GetTimelineResponse> {
    Ok(Json(door.desk.timeline(&rollout).await?))
}

async fn report(
    State(door): State<Door>,
    Parameters(Shown { rollout, .. }): Parameters<Shown>,
) -> Found<api::GetReportResponse> {
    Ok(Json(door.desk.report(&rollout).await?))
}

async fn machines_json(
    State(door): State<Door>,
    Parameters(Shown { rollout, .. }): Parameters<Shown>,
) -> Found<Vec<api::ReportRow>> {
    let (_, _, rows) = door.desk.rows(&rollout).await?;
    Ok(Json(rows.all().collect()))
}

async fn machines_csv(
    State(door): State<Door>,
    Parameters(Shown { rollout, .. }): Parameters<Shown>,
) -> Result<impl IntoResponse, Refused> {
    let (id, _, rows) = door.desk.rows(&rollout).await?;
    let name = format!("attachment; filename=\"{id}.csv\"");
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, rows.csv()))
}

async fn compliance(State(door): State<Door>) -> Found<api::GetComplianceResponse> {
    Ok(Json(door.desk.compliance().await?))
}

async fn audit(State(door): State<Door>) -> Found<api::AuditResponse> {
    Ok(Json(door.desk.audit().await?))
}
