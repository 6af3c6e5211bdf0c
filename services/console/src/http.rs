//! JSON and live events over HTTP, for browsers and scripts. The JSON is the protobuf API's own mapping.

use crate::desk::{self, Desk};
use crate::owners::Connections;
use crate::reading::{Parameters, moment};
use crate::view::View;
use crate::{arm, events, foreign, identity, page, service, wishes};
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use futures::stream::{Stream, StreamExt as _};
use nightshift_domain::{Partition, RolloutId, Time, VmId};
use nightshift_event_log::{ReadError, Recorded};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::json::event_json;
use nightshift_runtime::Host;
use nightshift_runtime::access::{self, Access, Caller};
use nightshift_runtime::status::{id, invalid, unreadable};
use serde::Deserialize;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

/// What every answer is made of.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) host: Host<View>,
    pub(crate) desk: Desk,
    pub(crate) owners: Connections,
    pub(crate) shutdown: CancellationToken,
}

/// Everything that HTTP serves. Who asks is found out before anything else is done.
pub(crate) fn router(
    arm: arm::Door,
    desk: Desk,
    access: Access,
    shutdown: CancellationToken,
    host_names: Vec<String>,
) -> Router {
    let door = Door { host: arm.host.clone(), desk, owners: arm.owners.clone(), shutdown };
    let served = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/openapi.json", get(openapi))
        .route("/v1/vms", get(vms))
        .route("/v1/vms/{vm}", get(vm))
        .route("/v1/rollouts", get(rollouts).post(wishes::start))
        .route("/v1/rollouts/{rollout}", get(rollout))
        .route("/v1/events/{partition}", get(live_events))
        .route("/v1/vms/{vm}/explain", get(explain))
        .route("/v1/vms/{vm}/health", get(health))
        .merge(desk::http::router())
        .route("/v1/me", get(me))
        .merge(wishes::router())
        .with_state(door)
        .route("/identity", get(identity::show).with_state(access.clone()))
        .merge(page::router())
        .fallback_service(arm::router(arm));
    access::guard(served, access::Door::Http, access)
        .layer(middleware::from_fn_with_state(Arc::from(host_names), foreign::refuse))
}

/// What [`crate::arm`] serves; kept by hand, and held to by a test that tries it all.
async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../openapi.json"))
}

/// As whom the caller's wishes go into the log.
async fn me(Extension(caller): Extension<Caller>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "name": caller.name() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Page {
    region: String,
    page_size: u32,
    page_token: String,
    filter: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct RolloutsPage {
    page_size: u32,
    page_token: String,
}

async fn vms(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Parameters(page): Parameters<Page>,
) -> Result<Json<api::ListVmsResponse>, Refused> {
    let Page { region, page_size, page_token, filter } = page;
    let request = api::ListVmsRequest { region, page_size, page_token, filter };
    Ok(Json(service::list_vms(&door.host, caller, request).await?))
}

async fn vm(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Path(vm): Path<String>,
) -> Result<Json<api::VmView>, Refused> {
    Ok(Json(service::get_vm(&door.host, caller, id::<VmId>(vm, "vm")?).await?))
}

async fn explain(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Path(vm): Path<String>,
) -> Result<Json<api::ExplainVmResponse>, Refused> {
    Ok(Json(service::explain_vm(&door.host, caller, id::<VmId>(vm, "vm")?).await?))
}

/// As the health-monitor knows the VM.
async fn health(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Path(vm): Path<String>,
) -> Result<Json<api::GetVmHealthResponse>, Refused> {
    Ok(Json(door.owners.health(&caller).get_vm_health(api::GetVmHealthRequest { vm }).await?.into_inner()))
}

async fn rollouts(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Parameters(RolloutsPage { page_size, page_token }): Parameters<RolloutsPage>,
) -> Result<Json<api::ListRolloutsResponse>, Refused> {
    let request = api::ListRolloutsRequest { page_size, page_token };
    Ok(Json(service::list_rollouts(&door.host, caller, request).await?))
}

async fn rollout(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Path(rollout): Path<String>,
) -> Result<Json<api::RolloutView>, Refused> {
    Ok(Json(service::get_rollout(&door.host, caller, id::<RolloutId>(rollout, "rollout")?).await?))
}

/// Where the events begin; at the partition's first if neither is said.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Begin {
    /// After this position.
    after: Option<u64>,
    /// With the first event that was decided at this moment or later.
    #[serde(deserialize_with = "moment")]
    from: Option<Time>,
}

/// A partition as server-sent events. A browser that connects again says by `Last-Event-ID` where it was, and that counts.
async fn live_events(
    State(door): State<Door>,
    Path(partition): Path<String>,
    Parameters(begin): Parameters<Begin>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, axum::Error>>>, Refused> {
    let partition: Partition = partition.parse().map_err(|error| invalid("partition", error))?;
    let log = door.desk.log;
    let after = match (headers.get("last-event-id").map(|id| id.to_str().map(str::parse)), begin) {
        (Some(Ok(Ok(position))), _) => position,
        (Some(_), _) => return Err(invalid("Last-Event-ID", "Last-Event-ID: not a position").into()),
        (None, Begin { after: Some(_), from: Some(_) }) => {
            return Err(invalid("from", "after and from: name one of them").into());
        }
        (None, Begin { from: Some(from), .. }) => {
            let before = events::before(log.clone(), partition.clone(), from).await;
            before.map_err(|error| unreadable(&error))?
        }
        (None, Begin { after, from: None }) => after.unwrap_or(0),
    };
    let events = events::read(log, partition, after, true).await.map_err(|error| unreadable(&error))?;
    let events = events.map(sse_event).take_until(door.shutdown.cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn sse_event(event: Result<Recorded, ReadError>) -> Result<SseEvent, axum::Error> {
    let recorded = event.map_err(axum::Error::new)?;
    let json = event_json(&recorded.envelope).map_err(axum::Error::new)?;
    SseEvent::default().id(recorded.position.to_string()).json_data(json)
}

/// A refusal as HTTP says it.
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let code = match status.code() {
            Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::FailedPrecondition => StatusCode::CONFLICT,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(code, status.message())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(serde_json::json!({ "error": { "message": self.message } }))).into_response()
    }
}
