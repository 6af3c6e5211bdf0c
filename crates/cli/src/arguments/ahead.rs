//! Before, or without, an installation.

use crate::fleet_file;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `nightshift plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// A fleet file (TOML); see examples/fleet.toml.
    #[arg(long, value_name = "FILE")]
    pub fleet: PathBuf,
    /// A policy file (TOML); safe defaults if absent.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// `nightshift forecast`
#[derive(Debug, Args)]
pub struct Forecast {
    /// A fleet file (TOML), for a rollout that has not started; without it, the rollout that is under way.
    #[arg(long)]
    pub fleet: Option<PathBuf>,
    /// A policy file (TOML); safe defaults if absent.
    #[arg(long, requires = "fleet")]
    pub policy: Option<PathBuf>,
    /// When the rollout starts (RFC 3339); now if absent.
    #[arg(long, requires = "fleet")]
    pub start: Option<chrono::DateTime<chrono::Utc>>,
    /// A log that `events export` wrote, instead of the installation's own.
    #[arg(long, conflicts_with = "fleet")]
    pub log: Option<PathBuf>,
    /// Which rollout that is under way; the newest if absent.
    #[arg(long, conflicts_with = "fleet")]
    pub rollout: Option<String>,
}

/// `nightshift simulate`
#[derive(Debug, Args)]
pub struct Simulate {
    /// A fleet file (TOML); a synthetic fleet of --vms if absent.
    #[arg(long)]
    pub fleet: Option<PathBuf>,
    /// VMs of a synthetic fleet.
    #[arg(long, default_value_t = 1_000, conflicts_with = "fleet", value_parser = vms)]
    pub vms: usize,
    /// A policy file (TOML); safe defaults if absent.
    #[arg(long)]
    pub policy: Option<PathBuf>,
    /// How many histories.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub seeds: u64,
    /// The first one's seed; the same seed is the same history.
    // So that the last one's is a number too.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..1 << 63))]
    pub seed: u64,
    /// For how many days.
    #[arg(long, default_value_t = 35, value_parser = clap::value_parser!(i64).range(1..=3_660))]
    pub days: i64,
    /// all, none, or some of power, patches, reports, signals, services, clocks, people.
    #[arg(long, default_value = "none")]
    pub faults: String,
    /// A patch that makes this share of the machines ill, in percent.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub bad_patch: Option<u32>,
    /// How far a patch that makes so many percent of the machines ill gets before it is halted, as a table: for example
    /// 1,5,20,100.
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["bad_patch", "faults", "days", "timeline", "log"], value_parser = clap::value_parser!(u32).range(0..=100))]
    pub harm: Vec<u32>,
    /// From this phase on.
    #[arg(long, default_value_t = 1)]
    pub from_phase: u32,
    /// When it starts (RFC 3339); now if absent.
    #[arg(long)]
    pub start: Option<chrono::DateTime<chrono::Utc>>,
    /// Write a timeline (SVG) of the first history here: regions over nights.
    #[arg(long)]
    pub timeline: Option<PathBuf>,
    /// Write the log of the first history here, for `nightshift audit FILE`.
    #[arg(long)]
    pub log: Option<PathBuf>,
}

/// As many VMs as a fleet may have.
fn vms(text: &str) -> Result<usize, String> {
    let most = fleet_file::MOST_VMS;
    let fits = text.parse().ok().filter(|vms| (1..=most).contains(vms));
    fits.and_then(|vms| usize::try_from(vms).ok()).ok_or_else(|| format!("write a number from 1 to {most}"))
}

/// `nightshift demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// A patch that breaks every machine of this region.
    #[arg(long, value_name = "REGION", conflicts_with = "real")]
    pub bad_patch: Option<String>,
    /// Another fleet than the example.
    #[arg(long, conflicts_with = "real")]
    pub fleet: Option<PathBuf>,
    /// Six sandboxed Debian machines that install real packages with apt; needs root.
    #[arg(long)]
    pub real: bool,
    /// Keep everything in this folder; it must not exist yet. Otherwise nothing is kept.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Keep everything running after the end, for the page, until Ctrl-C.
    #[arg(long, conflicts_with_all = ["real", "json"])]
    pub stay: bool,
    /// How many times as fast as yours the demo's clock runs; 5,760 if absent: a day in 15 seconds.
    #[arg(long, conflicts_with = "real")]
    pub speed: Option<u32>,
    /// Where the page is served; at a free port of the loopback address if absent.
    #[arg(long, conflicts_with = "real")]
    pub http: Option<SocketAddr>,
}
