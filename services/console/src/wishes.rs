//! What people wish of rollouts, over HTTP: passed on to rollout-planner, which owns them, under the caller's name.

use crate::http::{Door, Refused};
use crate::reading::Body;
use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Extension, Json, Router};
use nightshift_domain::policy::Policy;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use nightshift_runtime::access::Caller;
use nightshift_runtime::status::invalid;
use serde::Deserialize;
use tonic::Status;

pub(crate) fn router() -> Router<Door> {
    Router::new()
        .route("/v1/rollouts/{rollout}/pause", post(pause))
        .route("/v1/rollouts/{rollout}/resume", post(resume))
        .route("/v1/rollouts/{rollout}/retry", post(retry))
        .route("/v1/rollouts/{rollout}/skip-region", post(skip_region))
        .route("/v1/rollouts/{rollout}/approve", post(approve))
        .route("/v1/rollouts/{rollout}/cancel", post(cancel))
}

/// Why, in the caller's own words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SkipRegion {
    region: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approve {
    /// From 1, as people count.
    phase: u32,
    reason: String,
}

/// A rollout to start.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    rollout: String,
    /// The default policy if absent.
    policy: Option<wire::Policy>,
    reason: String,
}

type Done = Result<Json<()>, Refused>;

async fn pause(
    State(door): State<Door>,
    Path(rollout): Path<String>,
    Extension(caller): Extension<Caller>,
    Body(Wish { reason }): Body<Wish>,
) -> Done {
    let request = api::PauseRolloutRequest { rollout, actor: actor(&caller, &reason)?, ..Default::default() };
    door.owners.rollouts(&caller).pause_rollout(request).await?;
    Ok(Json(()))
}

async fn resume(
    State(door): State<Door>,
    Path(rollout): Path<String>,
    Extension(caller): Extension<Caller>,
    Body(Wish { reason }): Body<Wish>,
) -> Done {
    let request =
        api::ResumeRolloutRequest { rollout, actor: actor(&caller, &reason)?, ..Default::default() };
    door.owners.rollouts(&caller).resume_rollout(request).await?;
    Ok(Json(()))
}

async fn retry(
    State(door): State<Door>,
    Path(rollout): Path<String>,
    Extension(caller): Extension<Caller>,
    Body(Wish { reason }): Body<Wish>,
) -> Done {
    let request = api::RetryRolloutRequest { rollout, actor: actor(&caller, &reason)?, ..Default::default() };
    door.owners.rollouts(&caller).retry_rollout(request).await?;
    Ok(Json(()))
}

async fn skip_region(
    State(door): State<Door>,
    Path(rollout): Path<String>,
    Extension(caller): Extension<Caller>,
    Body(SkipRegion { region, reason }): Body<SkipRegion>,
) -> Done {
    let request =
        api::SkipRegionRequest { rollout, region, actor: actor(&caller, &reason)?, ..Default::default() };
    door.owners.rollouts(&caller).skip_region(request).await?;
    Ok(Json(()))
}

async fn approve(
    State(door): State<Door>,
    Path(rollout): Path<String>,
    Extension(caller): Extension<Caller>,
    Body(Approve { phase, reason }): Body<Approve>,
) -> Done {
    let request =
        api::ApprovePhaseRequest { rollout, phase, actor: actor(&caller, &reason)?, ..Default::default() };
    door.owners.rollouts(&caller).approve_phase(request).await?;
    Ok(Json(()))
}

async fn cancel(
    State(door): State<Door>,
    Path(rollout): Path<String>,
    Extension(caller): Extension<Caller>,
    Body(Wish { reason }): Body<Wish>,
) -> Done {
    let request =
        api::CancelRolloutRequest { rollout, actor: actor(&caller, &reason)?, ..Default::default() };
    door.owners.rollouts(&caller).cancel_rollout(request).await?;
    Ok(Json(()))
}

/// `POST /v1/rollouts`
pub(crate) async fn start(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Body(Start { rollout, policy, reason }): Body<Start>,
) -> Result<Json<api::StartRolloutResponse>, Refused> {
    let policy = Some(policy.unwrap_or_else(|| (&Policy::default()).into()));
    let request =
        api::StartRolloutRequest { rollout, policy, actor: actor(&caller, &reason)?, ..Default::default() };
    Ok(Json(door.owners.rollouts(&caller).start_rollout(request).await?.into_inner()))
}

/// Who goes into the log, and why. A wish without a reason is nobody's.
fn actor(caller: &Caller, reason: &str) -> Result<Option<wire::Actor>, Status> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(invalid("reason", "reason = \"\": say why, in your own words; it goes into the log"));
    }
    Ok(Some((&caller.wishes(reason)).into()))
}
