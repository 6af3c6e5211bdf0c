//! The demo on simulated machines: real services, real gRPC and TLS, a clock on which a day takes 15 seconds.

use super::report::Report;
use super::roll_out;
use crate::arguments::Demo;
use crate::fleet_file::{self, DeclaredFleet};
use crate::stack::{Listen, Stack};
use crate::watch::Bars;
use crate::{clients, enrolment};
use anyhow::Context as _;
use chrono::{DateTime, Duration, Utc};
use nightshift_agent::config::Config;
use nightshift_agent::run::{back_end, run as run_agent};
use nightshift_domain::policy::{Budgets, Policy};
use nightshift_domain::{RegionName, VmId};
use nightshift_runtime::Clock;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::task::JoinSet;

/// The demo's fleet.
pub const EXAMPLE: &str = include_str!("../../../../examples/fleet.toml");
/// A day in 15 seconds.
pub const SPEED: u32 = 5_760;
/// Signals are that far apart, so that 300 machines leave a small processor room to breathe at this speed.
const HEARTBEAT_SECONDS: u32 = 15 * 60;

/// Patch Tuesday of January 2026, half an hour before night falls on Hong Kong.
fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_768_311_000, 0).unwrap_or_default()
}

/// A policy for a fleet that is looked at for a minute: what takes days elsewhere takes hours here.
pub fn policy() -> Policy {
    Policy {
        phase_shares: vec![10, 50, 100],
        batch_percent: 50,
        soak: Duration::minutes(20),
        bake: Duration::hours(2),
        longest_work: Duration::minutes(60),
        grace: Duration::hours(4),
        silence: Duration::minutes(60),
        retry_nights: 1,
        budgets: Budgets::all(10, 0),
        ..Policy::default()
    }
}

pub(super) async fn run(demo: &Demo, data: PathBuf, bars: &mut Bars) -> anyhow::Result<Report> {
    let fleet = match &demo.fleet {
        Some(path) => fleet_file::read(path)?,
        None => fleet_file::parse(EXAMPLE).context("the example fleet")?,
    };
    let bad_region = demo.bad_patch.as_deref().map(|name| known_region(&fleet, name)).transpose()?;
    let listen = Listen { http: demo.http.unwrap_or(Listen::free().http), ..Listen::free() };
    let simulated = Simulated::start(&fleet, bad_region.as_ref(), data, listen).await?;
    let page = simulated.page()?;
    eprintln!("the page  {page}");
    simulated.clock.set_speed(demo.speed.unwrap_or(SPEED));
    let report = roll_out(&simulated.stack, &policy(), bars).await?;
    if demo.stay {
        eprintln!("{report}\n\neverything goes on, until Ctrl-C: {page}");
        tokio::signal::ctrl_c().await?;
    }
    simulated.end().await?;
    Ok(report)
}

/// Services that are real around machines that are not: each with its agent, enrolment, certificate and session.
pub struct Simulated {
    /// The services.
    pub stack: Stack,
    /// The time of all of them; slow until somebody sets its speed.
    pub clock: Clock,
    agents: JoinSet<anyhow::Result<()>>,
}

impl Simulated {
    /// Starts everything; when this returns, every machine that is on is connected. The patches of the bad region's
    /// machines make them ill.
    pub async fn start(
        fleet: &DeclaredFleet,
        bad_region: Option<&RegionName>,
        data: PathBuf,
        listen: Listen,
    ) -> anyhow::Result<Self> {
        // Slow until every agent is there: what takes seconds of yours would be hours of theirs.
        let clock = Clock::fast(start(), 1);
        let stack = Stack::start(data, clock.clone(), listen).await?;
        clients::fleet(&stack.servers).await?.declare_fleet(fleet.request()).await?;
        let agents = start_agents(&stack, fleet, bad_region, &clock).await?;
        enrolment::connected(&stack.servers, agents.len()).await?;
        Ok(Self { stack, clock, agents })
    }

    /// Where the page is, with the admin's token: what comes after the # is sent to nobody.
    pub fn page(&self) -> anyhow::Result<String> {
        let token = match &self.stack.servers.token_file {
            Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
            None => String::new(),
        };
        Ok(format!("http://{}/#token={}", self.stack.http, token.trim()))
    }

    /// Ends everything.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.stack.shutdown.cancel();
        while let Some(ended) = self.agents.join_next().await {
            ended??;
        }
        self.stack.ended().await
    }
}

fn known_region(fleet: &DeclaredFleet, name: &str) -> anyhow::Result<RegionName> {
    let regions = fleet.topology.regions.keys();
    let known = regions.clone().find(|region| region.as_str() == name).cloned();
    known.with_context(|| {
        let all = regions.map(RegionName::as_str).collect::<Vec<_>>().join(", ");
        format!("--bad-patch {name}: not a region of the fleet; its regions are {all}")
    })
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
    let gateway = format!("https://{}", stack.agents);
    let mut agents = JoinSet::new();
    let order_keys = enrolment::order_keys(&stack.servers).await?;
    for issued in enrolment::tokens(&stack.servers, running.keys().copied()).await? {
        let vm = VmId::new(issued.vm)?;
        let bad = bad_region.is_some_and(|bad| running.get(&vm) == Some(&bad));
        let mut config =
            Config::simulated(vm, gateway.clone(), issued.token, issued.authority_pem, &order_keys);
        config.heartbeat_seconds = HEARTBEAT_SECONDS;
        // They have the gateway to themselves: whoever misses it comes again at once.
        config.reconnect_at_most_milliseconds = 1_000;
        config.simulated.bad_patch = bad;
        let (back_end, clock) = (back_end(&config, clock)?, clock.clone());
        let shutdown = stack.shutdown.clone();
        agents.spawn(async move { Ok(run_agent(config, back_end, clock, shutdown).await?) });
    }
    Ok(agents)
}
