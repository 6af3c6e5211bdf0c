//! The demo on simulated machines: real services, real gRPC and TLS, a clock on which a day takes 15 seconds.

use super::report::Report;
use super::roll_out;
use crate::arguments::Demo;
use crate::clients;
use crate::fleet_file::{self, DeclaredFleet};
use crate::live::Live;
use crate::stack::{Listen, Stack};
use anyhow::Context as _;
use chrono::{DateTime, Duration, Utc};
use nightshift_agent::config::Config;
use nightshift_agent::run::{back_end, run as run_agent};
use nightshift_domain::policy::Policy;
use nightshift_domain::{RegionName, VmId};
use nightshift_protocol::api::v1 as api;
use nightshift_runtime::Clock;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::task::JoinSet;

const EXAMPLE: &str = include_str!("../../../../examples/fleet.toml");
/// A day in 15 seconds.
const SPEED: u32 = 5_760;
/// Signals are that far apart, so that 300 machines leave a small processor room to breathe at this speed.
const HEARTBEAT_SECONDS: u32 = 15 * 60;

/// How often, and how many times, the demo looks whether all agents are there: for a minute.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(50);
const CONNECT_TRIES: u32 = 1_200;

/// Patch Tuesday of January 2026, half an hour before night falls on Hong Kong.
fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_768_311_000, 0).unwrap_or_default()
}

/// A policy for a fleet that is looked at for a minute: what takes days elsewhere takes hours here.
fn policy() -> Policy {
    Policy {
        phase_shares: vec![10, 50, 100],
        batch_percent: 50,
        soak: Duration::minutes(20),
        bake: Duration::hours(2),
        longest_work: Duration::minutes(60),
        grace: Duration::hours(4),
        silence: Duration::minutes(60),
        failure_budget_percent: 10,
        failure_budget: 0,
    }
}

pub(super) async fn run(demo: &Demo, data: PathBuf, live: &mut Live) -> anyhow::Result<Report> {
    let fleet = match &demo.fleet {
        Some(path) => fleet_file::read(path)?,
        None => fleet_file::parse(EXAMPLE).context("the example fleet")?,
    };
    let bad_region = demo.bad_patch.as_deref().map(|name| known_region(&fleet, name)).transpose()?;
    // Slow until every agent is there: what takes seconds of yours would be hours of theirs.
    let clock = Clock::fast(start(), 1);
    let stack = Stack::start(data, clock.clone(), Listen::free()).await?;
    clients::fleet(&stack.servers).await?.declare_fleet(fleet.request()).await?;
    let mut agents = start_agents(&stack, &fleet, bad_region.as_ref(), &clock).await?;
    agents_connected(&stack, agents.len()).await?;
    clock.set_speed(SPEED);
    let report = roll_out(&stack, &policy(), live).await?;
    stack.shutdown.cancel();
    while let Some(ended) = agents.join_next().await {
        ended??;
    }
    stack.ended().await?;
    Ok(report)
}

fn known_region(fleet: &DeclaredFleet, name: &str) -> anyhow::Result<RegionName> {
    let regions = fleet.topology.regions.keys();
    let known = regions.clone().find(|region| region.as_str() == name).cloned();
    known.with_context(|| {
        let all = regions.map(RegionName::as_str).collect::<Vec<_>>().join(", ");
        format!("--bad-patch {name}: not a region of the fleet; its regions are {all}")
    })
}

/// Tokens, as soon as the gateway has read of all the machines.
pub(super) async fn tokens(
    stack: &Stack,
    request: api::IssueEnrolmentTokensRequest,
) -> anyhow::Result<api::IssueEnrolmentTokensResponse> {
    let mut gateway = clients::agents(&stack.servers).await?;
    for _ in 0..CONNECT_TRIES {
        match gateway.issue_enrolment_tokens(request.clone()).await {
            Err(status) if status.code() == tonic::Code::NotFound => tokio::time::sleep(LOOK_EVERY).await,
            issued => return Ok(issued?.into_inner()),
        }
    }
    anyhow::bail!("the gateway does not read the log: is the machine overloaded?")
}

/// Waits until so many agents have spoken.
async fn agents_connected(stack: &Stack, wanted: usize) -> anyhow::Result<()> {
    let mut gateway = clients::agents(&stack.servers).await?;
    for _ in 0..CONNECT_TRIES {
        let agents = gateway.list_agents(api::ListAgentsRequest {}).await?.into_inner().agents;
        if agents.iter().filter(|agent| !agent.boot_id.is_empty()).count() >= wanted {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    anyhow::bail!("not all of the {wanted} agents connected: is the machine overloaded?")
}

/// One agent for each machine that is on, each with its own enrolment, certificate and session.
async fn start_agents(
    stack: &Stack,
    fleet: &DeclaredFleet,
    bad_region: Option<&RegionName>,
    clock: &Clock,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let running: BTreeMap<&VmId, &RegionName> = fleet
        .vms
        .iter()
        .filter(|vm| !fleet.powered_off.contains(&vm.id))
        .map(|vm| (&vm.id, &vm.region))
        .collect();
    let request = api::IssueEnrolmentTokensRequest {
        vms: running.keys().map(ToString::to_string).collect(),
        ttl_seconds: 0,
    };
    let issued = tokens(stack, request).await?;
    let gateway = format!("https://{}", stack.agents);
    let mut agents = JoinSet::new();
    for issued in issued.tokens {
        let vm = VmId::new(issued.vm)?;
        let bad = bad_region.is_some_and(|bad| running.get(&vm) == Some(&bad));
        let mut config = Config::simulated(vm, gateway.clone(), issued.token, issued.authority_pem);
        config.heartbeat_seconds = HEARTBEAT_SECONDS;
        config.simulated.bad_patch = bad;
        let (back_end, clock) = (back_end(&config, clock)?, clock.clone());
        let shutdown = stack.shutdown.clone();
        agents.spawn(async move { Ok(run_agent(config, back_end, clock, shutdown).await?) });
    }
    Ok(agents)
}
