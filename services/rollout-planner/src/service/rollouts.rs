//! The rollouts' gRPC.

use super::fleet::check_owner;
use super::{Planning, actor, rollout_id};
use chrono::Duration;
use nightshift_domain::on_demand::InstallWish;
use nightshift_domain::patch::{Classification, RebootSetting};
use nightshift_domain::planner::Planner;
use nightshift_domain::policy::Policy;
use nightshift_domain::rhythm::Rhythm;
use nightshift_domain::rollout::Actor;
use nightshift_domain::selection::Mask;
use nightshift_domain::{Decision, Event, Refusal, RegionName, RolloutId};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::rollout_service_server::RolloutService;
use nightshift_protocol::convert::timestamp;
use nightshift_protocol::events::v1 as wire;
use nightshift_runtime::Terms;
use nightshift_runtime::access::Caller;
use nightshift_runtime::status::{self, invalid, required};
use tonic::{Request, Response, Status};
use uuid::Uuid;

#[tonic::async_trait]
impl RolloutService for Planning {
    async fn start_rollout(
        &self,
        request: Request<api::StartRolloutRequest>,
    ) -> Result<Response<api::StartRolloutResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        let id = rollout_id(request.rollout)?;
        let policy = match request.policy {
            None => Policy::default(),
            policy => required(policy, "policy")?,
        };
        let actor = actor(&caller, request.actor)?;
        let started = id.clone();
        let start = move |planner: &Planner, _| planner.start(&started, policy.clone(), actor.clone());
        let facts = self.0.wish(terms, start).await?;
        let planned = facts.iter().find_map(|fact| match &fact.event {
            Event::RolloutPlanned { phases, .. } => Some(phases.iter().map(Into::into).collect()),
            _ => None,
        });
        if let Some(phases) = planned {
            return Ok(Response::new(api::StartRolloutResponse { phases }));
        }
        // It had been started before.
        let planned = move |planner: &Planner| {
            let phases = planner.rollouts.get(&id).map(|rollout| &rollout.phases);
            phases.into_iter().flatten().map(|phase| (&phase.planned).into()).collect()
        };
        let phases = self.0.look(move |planner, _| planned(planner)).await?;
        Ok(Response::new(api::StartRolloutResponse { phases }))
    }

    async fn pause_rollout(
        &self,
        request: Request<api::PauseRolloutRequest>,
    ) -> Result<Response<api::PauseRolloutResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        self.wish(&caller, terms, request.rollout, request.actor, Planner::pause).await?;
        Ok(Response::new(api::PauseRolloutResponse {}))
    }

    async fn resume_rollout(
        &self,
        request: Request<api::ResumeRolloutRequest>,
    ) -> Result<Response<api::ResumeRolloutResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        self.wish(&caller, terms, request.rollout, request.actor, Planner::resume).await?;
        Ok(Response::new(api::ResumeRolloutResponse {}))
    }

    async fn retry_rollout(
        &self,
        request: Request<api::RetryRolloutRequest>,
    ) -> Result<Response<api::RetryRolloutResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        self.wish(&caller, terms, request.rollout, request.actor, Planner::retry).await?;
        Ok(Response::new(api::RetryRolloutResponse {}))
    }

    async fn skip_region(
        &self,
        request: Request<api::SkipRegionRequest>,
    ) -> Result<Response<api::SkipRegionResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        let id = rollout_id(request.rollout)?;
        let region: RegionName = status::id(request.region, "region")?;
        let actor = actor(&caller, request.actor)?;
        self.0.wish(terms, move |planner, _| planner.skip_region(&id, &region, actor.clone())).await?;
        Ok(Response::new(api::SkipRegionResponse {}))
    }

    async fn cancel_rollout(
        &self,
        request: Request<api::CancelRolloutRequest>,
    ) -> Result<Response<api::CancelRolloutResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        self.wish(&caller, terms, request.rollout, request.actor, Planner::cancel).await?;
        Ok(Response::new(api::CancelRolloutResponse {}))
    }

    async fn install_patches(
        &self,
        request: Request<api::InstallPatchesRequest>,
    ) -> Result<Response<api::InstallPatchesResponse>, Status> {
        let (caller, terms, mut request) = Terms::of(request)?;
        let id = rollout_id(match std::mem::take(&mut request.rollout) {
            // With an idempotency key it comes out the same again.
            name if name.is_empty() => match terms.seed() {
                Some(seed) => format!("install-{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, &seed)),
                None => format!("install-{}", Uuid::new_v4()),
            },
            name => name,
        })?;
        let actor = actor(&caller, request.actor.take())?;
        let wish = install_wish(request)?;
        let asked = id.clone();
        let install = move |planner: &Planner, now| {
            check_owner(planner, &caller, &wish.vm)?;
            planner.install(&asked, &wish, actor.clone(), now)
        };
        let facts = self.0.wish(terms, install).await?;
        let made = facts.iter().find_map(|fact| match &fact.event {
            Event::RolloutRequested { on_demand, .. } => on_demand.as_ref(),
            _ => None,
        });
        let rollout = id.to_string();
        if let Some(made) = made {
            let not_after = Some(timestamp(made.not_after));
            return Ok(Response::new(api::InstallPatchesResponse { rollout, not_after }));
        }
        // It had been asked for before.
        let not_after = move |planner: &Planner, _| {
            let on_demand = planner.rollouts.get(&id).and_then(|rollout| rollout.on_demand.as_ref());
            on_demand.map(|on_demand| timestamp(on_demand.not_after))
        };
        let not_after = self.0.look(not_after).await?;
        Ok(Response::new(api::InstallPatchesResponse { rollout, not_after }))
    }

    async fn approve_phase(
        &self,
        request: Request<api::ApprovePhaseRequest>,
    ) -> Result<Response<api::ApprovePhaseResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        let id = rollout_id(request.rollout)?;
        let actor = actor(&caller, request.actor)?;
        let phase =
            request.phase.checked_sub(1).ok_or_else(|| invalid("phase", "phase = 0: phases count from 1"))?;
        self.0.wish(terms, move |planner, _| planner.approve(&id, phase, actor.clone())).await?;
        Ok(Response::new(api::ApprovePhaseResponse {}))
    }

    async fn change_policy(
        &self,
        request: Request<api::ChangePolicyRequest>,
    ) -> Result<Response<api::ChangePolicyResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        let id = rollout_id(request.rollout)?;
        let policy = required::<_, Policy>(request.policy, "policy")?;
        let actor = actor(&caller, request.actor)?;
        let change = move |planner: &Planner, _| planner.change_policy(&id, policy.clone(), actor.clone());
        self.0.wish(terms, change).await?;
        Ok(Response::new(api::ChangePolicyResponse {}))
    }

    async fn declare_rhythm(
        &self,
        request: Request<api::DeclareRhythmRequest>,
    ) -> Result<Response<api::DeclareRhythmResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        let rhythm =
            request.rhythm.map(|rhythm| required::<_, Rhythm>(Some(rhythm), "rhythm")).transpose()?;
        let actor = actor(&caller, request.actor)?;
        let declare = move |planner: &Planner, _| planner.declare_rhythm(rhythm.clone(), actor.clone());
        self.0.wish(terms, declare).await?;
        Ok(Response::new(api::DeclareRhythmResponse {}))
    }

    async fn get_rhythm(
        &self,
        _: Request<api::GetRhythmRequest>,
    ) -> Result<Response<api::GetRhythmResponse>, Status> {
        let look = |planner: &Planner, now| {
            let rhythm = planner.rhythm.as_ref();
            let next = rhythm.and_then(|rhythm| rhythm.next(now)).map(timestamp);
            api::GetRhythmResponse { rhythm: rhythm.map(Into::into), next }
        };
        Ok(Response::new(self.0.look(look).await?))
    }
}

type Wish = fn(&Planner, &RolloutId, Actor) -> Result<Vec<Decision>, Refusal>;

impl Planning {
    async fn wish(
        &self,
        caller: &Caller,
        terms: Terms,
        rollout: String,
        said: Option<wire::Actor>,
        wish: Wish,
    ) -> Result<(), Status> {
        let id = rollout_id(rollout)?;
        let actor = actor(caller, said)?;
        self.0.wish(terms, move |planner, _| wish(planner, &id, actor.clone())).await?;
        Ok(())
    }
}

/// How long an order may take, and how long the wish for one may wait, if nobody says.
const DEFAULT_WORK_SECONDS: u32 = 90 * 60;
const DEFAULT_WITHIN_SECONDS: u32 = 30 * 60;
const LONGEST_WITHIN_SECONDS: u32 = 7 * 24 * 60 * 60;

fn install_wish(request: api::InstallPatchesRequest) -> Result<InstallWish, Status> {
    let or = |seconds: u32, default| if seconds == 0 { default } else { seconds };
    let within = or(request.within_seconds, DEFAULT_WITHIN_SECONDS);
    if within > LONGEST_WITHIN_SECONDS {
        let sentence = format!("within_seconds = {within}: at most a week, {LONGEST_WITHIN_SECONDS}");
        return Err(invalid("within_seconds", sentence));
    }
    let longest_work = or(request.maximum_duration_seconds, DEFAULT_WORK_SECONDS);
    let masks = |field: &str, masks: Vec<String>| {
        let masks = masks.into_iter().map(Mask::new).collect::<Result<Vec<_>, _>>();
        masks.map_err(|error| invalid(field, error))
    };
    let classification = |value: i32| {
        let known = wire::Classification::try_from(value).ok().and_then(|known| known.try_into().ok());
        known.ok_or_else(|| {
            let sentence = format!("classifications: {value} is none of Critical, Security and Other");
            invalid("classifications", sentence)
        })
    };
    let classifications = request.classifications.iter().map(|value| classification(*value));
    let classifications = classifications.collect::<Result<Vec<Classification>, _>>()?;
    let urgent = vec![Classification::Critical, Classification::Security];
    let reboot = match wire::RebootSetting::try_from(request.reboot) {
        Ok(wire::RebootSetting::Unspecified) => Some(RebootSetting::IfRequired),
        known => known.ok().and_then(|known| known.try_into().ok()),
    };
    let unknown = || invalid("reboot", format!("reboot = {}: unknown", request.reboot));
    Ok(InstallWish {
        vm: status::id(request.vm, "vm")?,
        classifications: if classifications.is_empty() { urgent } else { classifications },
        include: masks("include", request.include)?,
        exclude: masks("exclude", request.exclude)?,
        reboot: reboot.ok_or_else(unknown)?,
        longest_work: Duration::seconds(i64::from(longest_work)),
        within: Duration::seconds(i64::from(within)),
    })
}
