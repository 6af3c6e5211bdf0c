//! `nightshift rollout …`

use super::{print, print_json, table};
use crate::arguments::{Rollout, Servers, Wish};
use crate::live::Live;
use crate::{clients, exit, live, pages, policy_file, summary};
use anyhow::Context as _;
use nightshift_domain::policy::Policy;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use std::process::ExitCode;

pub(crate) async fn run(command: Rollout, servers: &Servers, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Rollout::Start { rollout, policy, wish, watch: then_watch } => {
            let policy = policy.as_deref().map(policy_file::read).transpose()?.unwrap_or_default();
            start(servers, &rollout, &policy, wish, json && !then_watch).await?;
            if then_watch {
                return watch(servers, rollout, json).await;
            }
        }
        Rollout::List => list(servers, json).await?,
        Rollout::Show { rollout } => {
            let request = api::GetRolloutRequest { rollout };
            let response = clients::console(servers).await?.get_rollout(request).await?.into_inner();
            let view = response.rollout.context("the console sent no rollout")?;
            if json { print_json(&view)? } else { print(summary::text(&view))? }
        }
        Rollout::Watch { rollout } => return watch(servers, rollout, json).await,
        Rollout::Pause { rollout, wish } => {
            let request =
                api::PauseRolloutRequest { rollout, actor: Some(actor(wish)), ..Default::default() };
            clients::rollouts(servers).await?.pause_rollout(request).await?;
        }
        Rollout::Resume { rollout, wish } => {
            let request =
                api::ResumeRolloutRequest { rollout, actor: Some(actor(wish)), ..Default::default() };
            clients::rollouts(servers).await?.resume_rollout(request).await?;
        }
        Rollout::Retry { rollout, wish } => {
            let request =
                api::RetryRolloutRequest { rollout, actor: Some(actor(wish)), ..Default::default() };
            clients::rollouts(servers).await?.retry_rollout(request).await?;
        }
        Rollout::SkipRegion { rollout, region, wish } => {
            let request =
                api::SkipRegionRequest { rollout, region, actor: Some(actor(wish)), ..Default::default() };
            clients::rollouts(servers).await?.skip_region(request).await?;
        }
        Rollout::Approve { rollout, phase, wish } => {
            let request =
                api::ApprovePhaseRequest { rollout, phase, actor: Some(actor(wish)), ..Default::default() };
            clients::rollouts(servers).await?.approve_phase(request).await?;
        }
        Rollout::Policy { rollout, policy, wish } => {
            let policy = Some((&policy_file::read(&policy)?).into());
            let request =
                api::ChangePolicyRequest { rollout, policy, actor: Some(actor(wish)), ..Default::default() };
            clients::rollouts(servers).await?.change_policy(request).await?;
        }
        Rollout::Cancel { rollout, wish } => {
            let request =
                api::CancelRolloutRequest { rollout, actor: Some(actor(wish)), ..Default::default() };
            clients::rollouts(servers).await?.cancel_rollout(request).await?;
        }
    }
    Ok(exit::DONE)
}

/// Asks for a rollout and says what was planned.
async fn start(
    servers: &Servers,
    rollout: &str,
    policy: &Policy,
    wish: Wish,
    json: bool,
) -> anyhow::Result<()> {
    let request = api::StartRolloutRequest {
        rollout: rollout.to_owned(),
        policy: Some(policy.into()),
        actor: Some(actor(wish)),
        ..Default::default()
    };
    let started = clients::rollouts(servers).await?.start_rollout(request).await?.into_inner();
    if json {
        return print_json(&started);
    }
    for (number, phase) in (1..).zip(&started.phases) {
        for region in &phase.regions {
            eprintln!("phase {number}  {:<20} {}", region.region, region.why);
        }
    }
    Ok(())
}

async fn list(servers: &Servers, json: bool) -> anyhow::Result<()> {
    let mut console = clients::console(servers).await?;
    let rollouts = pages::all(async |page_token| {
        let request = api::ListRolloutsRequest { page_token, ..Default::default() };
        let page = console.list_rollouts(request).await?.into_inner();
        Ok((page.rollouts, page.next_page_token))
    });
    let rollouts = rollouts.await?;
    if json {
        return print_json(&rollouts);
    }
    let mut rows = table(&["ROLLOUT", "STATE", "HEALTHY", "FAILED", "SKIPPED", "DEFERRED", "WHY"]);
    for rollout in &rollouts {
        let tally = rollout.tally.unwrap_or_default();
        let counts =
            [tally.healthy, tally.failed, tally.skipped, tally.deferred].map(|count| count.to_string());
        let [healthy, failed, skipped, deferred] = counts;
        let state = summary::state(rollout.state()).to_owned();
        rows.add_row([
            rollout.rollout.clone(),
            state,
            healthy,
            failed,
            skipped,
            deferred,
            rollout.why.clone(),
        ]);
    }
    print(&rows)?;
    Ok(())
}

async fn watch(servers: &Servers, rollout: String, json: bool) -> anyhow::Result<ExitCode> {
    let last = live::watch(servers, rollout, &mut Live::for_output(json)).await?;
    if json {
        print_json(&last)?
    } else {
        print(summary::text(&last))?
    }
    let halted = last.state() == api::RolloutState::Halted;
    Ok(if halted { ExitCode::from(exit::HALTED) } else { exit::DONE })
}

pub(crate) fn actor(wish: Wish) -> wire::Actor {
    wire::Actor { name: wish.actor, reason: wish.reason }
}
