//! `nightshift rollout …`

mod past;
mod preview;

use crate::arguments::{Rollout, Servers, Wish};
use crate::output::{Format, remark, table, toned};
use crate::summary;
use crate::{clients, exit, pages, policy_file, watch};
use anyhow::Context as _;
use nightshift_domain::policy::Policy;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;
use tonic::Code;

/// How often, and how many times, it is looked whether the console has read of a new rollout: for ten seconds.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: u32 = 100;

pub(crate) async fn run(command: Rollout, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    match command {
        Rollout::Start { rollout, policy, wish, watch: then_watch, plain } => {
            let policy = policy.as_deref().map(policy_file::read).transpose()?.unwrap_or_default();
            let started = start(servers, &rollout, &policy, wish).await?;
            if then_watch {
                if !output.is_for_programs() {
                    say_plan(&started);
                }
                until_known(servers, &rollout).await?;
                return watch::run(servers, rollout, plain, output).await;
            }
            if output.is_for_programs() { output.print(&started)? } else { say_plan(&started) }
        }
        Rollout::Preview { policy, simulate } => {
            preview::run(servers, policy.as_deref(), simulate, output).await?;
        }
        Rollout::List => list(servers, output).await?,
        Rollout::Show { rollout } => {
            let request = api::GetRolloutRequest { rollout };
            let response = clients::console(servers).await?.get_rollout(request).await?.into_inner();
            let view = response.rollout.context("the console sent no rollout")?;
            output.answer(&view, summary::text(&view))?;
        }
        Rollout::Watch(wanted) => return watch::run(servers, wanted.rollout, wanted.plain, output).await,
        Rollout::Timeline { rollout } => past::timeline(servers, rollout, output).await?,
        Rollout::Report { rollout } => past::report(servers, rollout, output).await?,
        Rollout::Machines { rollout } => past::machines(servers, rollout, output).await?,
        steer => return wish(steer, servers, output).await,
    }
    Ok(exit::DONE)
}

/// What people wish of a rollout that is there.
async fn wish(command: Rollout, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    let mut planner = clients::rollouts(servers).await?;
    match command {
        Rollout::Pause { rollout, wish } => {
            let said = format!("{rollout}: no new order until it is resumed");
            let request = api::PauseRolloutRequest {
                rollout,
                idempotency_key: wish.key.clone(),
                actor: Some(actor(wish)),
            };
            done(&planner.pause_rollout(request).await?.into_inner(), said, output)
        }
        Rollout::Resume { rollout, wish } => {
            let said = format!("{rollout} goes on");
            let request = api::ResumeRolloutRequest {
                rollout,
                idempotency_key: wish.key.clone(),
                actor: Some(actor(wish)),
            };
            done(&planner.resume_rollout(request).await?.into_inner(), said, output)
        }
        Rollout::Retry { rollout, wish } => {
            let said = format!("{rollout}: the failed are tried again");
            let request = api::RetryRolloutRequest {
                rollout,
                idempotency_key: wish.key.clone(),
                actor: Some(actor(wish)),
            };
            done(&planner.retry_rollout(request).await?.into_inner(), said, output)
        }
        Rollout::SkipRegion { rollout, region, wish } => {
            let said = format!("{rollout}: {region} is taken out");
            let request = api::SkipRegionRequest {
                rollout,
                region,
                idempotency_key: wish.key.clone(),
                actor: Some(actor(wish)),
            };
            done(&planner.skip_region(request).await?.into_inner(), said, output)
        }
        Rollout::Approve { rollout, phase, wish } => {
            let said = format!("{rollout}: phase {phase} may start");
            let request = api::ApprovePhaseRequest {
                rollout,
                phase,
                idempotency_key: wish.key.clone(),
                actor: Some(actor(wish)),
            };
            done(&planner.approve_phase(request).await?.into_inner(), said, output)
        }
        Rollout::Policy { rollout, policy, wish } => {
            let said = format!("{rollout}: the policy is changed");
            let policy = Some((&policy_file::read(&policy)?).into());
            let request = api::ChangePolicyRequest {
                rollout,
                policy,
                idempotency_key: wish.key.clone(),
                actor: Some(actor(wish)),
            };
            done(&planner.change_policy(request).await?.into_inner(), said, output)
        }
        Rollout::Cancel { rollout, wish } => {
            let said = format!("{rollout} is cancelled; what is in flight settles first");
            let request = api::CancelRolloutRequest {
                rollout,
                idempotency_key: wish.key.clone(),
                actor: Some(actor(wish)),
            };
            done(&planner.cancel_rollout(request).await?.into_inner(), said, output)
        }
        // `run` answers all others.
        other => anyhow::bail!("{other:?} is no wish"),
    }
}

/// What a wish came to: programs are given the answer, people told beside it.
fn done(answer: &impl Serialize, said: String, output: Format) -> anyhow::Result<ExitCode> {
    if output.is_for_programs() {
        output.print(answer)?
    } else {
        remark(said)
    }
    Ok(exit::DONE)
}

/// Asks for a rollout.
async fn start(
    servers: &Servers,
    rollout: &str,
    policy: &Policy,
    wish: Wish,
) -> anyhow::Result<api::StartRolloutResponse> {
    let request = api::StartRolloutRequest {
        rollout: rollout.to_owned(),
        policy: Some(policy.into()),
        idempotency_key: wish.key.clone(),
        actor: Some(actor(wish)),
    };
    Ok(clients::rollouts(servers).await?.start_rollout(request).await?.into_inner())
}

/// Says what was planned.
fn say_plan(started: &api::StartRolloutResponse) {
    for (number, phase) in (1..).zip(&started.phases) {
        for region in &phase.regions {
            remark(format_args!("phase {number}  {:<20} {}", region.region, region.why));
        }
    }
}

/// Waits until the console, which reads the log by itself, has read of the rollout.
async fn until_known(servers: &Servers, rollout: &str) -> anyhow::Result<()> {
    let mut console = clients::console(servers).await?;
    let mut looks = 0;
    loop {
        match console.get_rollout(api::GetRolloutRequest { rollout: rollout.to_owned() }).await {
            Err(status) if status.code() == Code::NotFound && looks < LOOKS => {
                looks += 1;
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Err(status) => return Err(status.into()),
            Ok(_) => return Ok(()),
        }
    }
}

async fn list(servers: &Servers, output: Format) -> anyhow::Result<()> {
    let mut console = clients::console(servers).await?;
    let rollouts = pages::all(async |page_token| {
        let request = api::ListRolloutsRequest { page_token, ..Default::default() };
        let page = console.list_rollouts(request).await?.into_inner();
        Ok((page.rollouts, page.next_page_token))
    });
    let rollouts = rollouts.await?;
    if output.is_for_programs() {
        return output.print(&rollouts);
    }
    let counted = ["HEALTHY", "FAILED", "SKIPPED", "DEFERRED"];
    let mut rows = table(&[["ROLLOUT", "STATE"].as_slice(), &counted, &["WHY"]].concat());
    for rollout in &rollouts {
        let tally = rollout.tally.unwrap_or_default();
        let counts = [tally.healthy, tally.failed, tally.skipped, tally.deferred];
        let state = rollout.state();
        let mut row = vec![toned(None, &rollout.rollout), toned(summary::tone(state), summary::state(state))];
        let cells = counted.iter().zip(counts);
        row.extend(cells.map(|(heading, count)| toned(summary::count_tone(heading, count), count)));
        let on_demand = rollout.on_demand.as_ref().map(|on_demand| format!("on demand: VM {}", on_demand.vm));
        row.push(toned(None, on_demand.unwrap_or_else(|| rollout.why.clone())));
        rows.add_row(row);
    }
    crate::output::print(&rows)
}

pub(crate) fn actor(wish: Wish) -> wire::Actor {
    wire::Actor { name: wish.actor, reason: wish.reason }
}
