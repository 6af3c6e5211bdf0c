//! The command line.

use crate::commands;
use clap::{Args, Parser, Subcommand, ValueEnum};
use nightshift_domain::SubscriptionId;
use nightshift_runtime::access::Role;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Patches the operating systems of a fleet, availability first.
#[derive(Debug, Parser)]
#[command(name = "nightshift", version, about)]
pub struct Arguments {
    /// Where the installation answers.
    #[command(flatten)]
    pub servers: Servers,
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where the services of an installation answer. The defaults are those of `nightshift up`.
#[derive(Debug, Clone, Args)]
pub struct Servers {
    /// The console's gRPC.
    #[arg(long, global = true, env = "NIGHTSHIFT_CONSOLE", default_value = "http://127.0.0.1:7700")]
    pub console: String,
    /// The rollout-planner's gRPC.
    #[arg(long, global = true, env = "NIGHTSHIFT_PLANNER", default_value = "http://127.0.0.1:7701")]
    pub planner: String,
    /// The gRPC of the region-coordinators, separated by commas: all whose orders new agents are to carry out.
    #[arg(
        long,
        global = true,
        env = "NIGHTSHIFT_COORDINATORS",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:7702"
    )]
    pub coordinators: Vec<String>,
    /// The agent-gateway's gRPC for people.
    #[arg(long, global = true, env = "NIGHTSHIFT_GATEWAY", default_value = "http://127.0.0.1:7704")]
    pub gateway: String,
    /// The health-monitor's gRPC.
    #[arg(long, global = true, env = "NIGHTSHIFT_HEALTH", default_value = "http://127.0.0.1:7703")]
    pub health: String,
    /// The file with your token. Without it: the variable NIGHTSHIFT_TOKEN, then what `nightshift up` left in its folder
    /// here (nightshift-data/admin.token).
    #[arg(long, global = true, env = "NIGHTSHIFT_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// The token itself; of the environment, for a command line can be read by others.
    #[arg(skip = std::env::var("NIGHTSHIFT_TOKEN").ok())]
    pub token: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run all services in this process, with everything in one folder.
    Up(Up),
    /// See a whole rollout in less than two minutes, on simulated machines or (--real) on sandboxed ones.
    Demo(Demo),
    /// Declare the fleet.
    #[command(subcommand)]
    Fleet(Fleet),
    /// Look at VMs; issue enrolment tokens for their agents.
    #[command(subcommand)]
    Vm(Vm),
    /// What a rollout over a fleet file would do: phases, regions, stages, steps and batches, with the reasons.
    Plan(Plan),
    /// Start, watch and steer rollouts.
    #[command(subcommand)]
    Rollout(Rollout),
    /// Read the log.
    #[command(subcommand)]
    Events(Events),
    /// Receivers that are sent events by HTTP.
    #[command(subcommand)]
    Webhook(Webhook),
    /// The rollout that starts by itself every month.
    #[command(subcommand)]
    Rhythm(Rhythm),
    /// The calendar of a rollout before it starts, and how far a bad patch could get.
    Forecast(Forecast),
    /// Run the very minds over a fleet on a virtual clock, with faults: a what-if for operators, a proof for developers.
    Simulate(Simulate),
    /// Why a VM is, or is not, being patched now, and when that could change.
    Explain {
        /// The VM.
        vm: String,
    },
    /// How VMs are: signals, baseline, verdict.
    Health(Health),
    /// Prove from the log alone that no safety rule was broken.
    Audit {
        /// A log that `events export` wrote; the installation's own if absent.
        file: Option<PathBuf>,
    },
    /// A NATS user for each service, who may write its own subjects and no others: secret keys, and the part of
    /// nats-server's configuration that lets them in.
    NatsUsers {
        /// Where they are written; nothing that is there is written over.
        folder: PathBuf,
        /// Also a user who reads the event stream by a durable consumer of this name, and does nothing else; several,
        /// separated by commas.
        #[arg(long = "consumer", value_name = "NAME", value_delimiter = ',')]
        consumers: Vec<crate::nats_users::Consumer>,
    },
    /// Tokens with which people and programs say who they are.
    #[command(subcommand)]
    Token(Token),
    /// Be the agent, as `nightshift-agent` is: what the machines of `demo --real` run.
    #[command(subcommand, hide = true)]
    Agent(nightshift_agent::command::Command),
}

/// `nightshift up`
#[derive(Debug, Args)]
pub struct Up {
    /// Where everything is kept.
    #[arg(long, default_value = DATA)]
    pub data: PathBuf,
    /// A fleet to declare at the start.
    #[arg(long)]
    pub fleet: Option<PathBuf>,
    /// The address that the services listen on; their ports are 7700 to 7704, 7709 for agents and 7780 for HTTP.
    #[arg(long, default_value = "127.0.0.1")]
    pub address: std::net::IpAddr,
    /// Serve HTTP over TLS, with a certificate of this installation's own authority, which is made in its folder.
    #[arg(long)]
    pub tls: bool,
    /// Where agents connect, if not at port 7709 of the address.
    #[arg(long)]
    pub agents_listen: Option<SocketAddr>,
    /// Receivers that are sent events by HTTP, as `[[webhooks]]` of this file (TOML) says: docs/events.md.
    #[arg(long, value_name = "FILE")]
    pub webhooks: Option<PathBuf>,
}

/// `nightshift webhook …`
#[derive(Debug, Subcommand)]
pub enum Webhook {
    /// All of them: how far each is, and what it does not take.
    List,
    /// Try again at once what a receiver did not take, also one that said that it is gone.
    Retry {
        /// The webhook.
        webhook: String,
    },
}

/// `nightshift token …`
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Print a token of an installation's own issuer. It cannot be taken back: let it be short.
    Issue {
        /// The name that goes into events.
        #[arg(long)]
        name: String,
        /// reader, operator, approver or admin; several, separated by commas.
        #[arg(long, required = true, value_delimiter = ',')]
        role: Vec<Role>,
        /// Only for these subscriptions, separated by commas; for all if absent.
        #[arg(long, value_delimiter = ',')]
        subscription: Vec<SubscriptionId>,
        /// How long it is good for, such as 8h, 30m or 7d.
        #[arg(long, default_value = "8h", value_parser = commands::token::duration)]
        ttl: std::time::Duration,
        /// The folder with the issuer's key.
        #[arg(long, default_value = DATA)]
        data: PathBuf,
    },
    /// Print the public keys (JWKS) by which services check such tokens: `access.keys` of each. An issuer's key is made in the
    /// folder if there is none.
    Keys {
        /// The folder with the issuer's key.
        #[arg(long, default_value = DATA)]
        data: PathBuf,
    },
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

/// `nightshift fleet …`
#[derive(Debug, Subcommand)]
pub enum Fleet {
    /// Bring regions, subscriptions and VMs to what the file says. VMs that it does not name stay.
    Apply {
        /// A fleet file (TOML); see examples/fleet.toml.
        file: PathBuf,
    },
}

/// `nightshift vm …`
#[derive(Debug, Subcommand)]
pub enum Vm {
    /// All VMs with their patch status.
    List {
        /// Only this region.
        #[arg(long)]
        region: Option<String>,
    },
    /// One VM in full.
    Show {
        /// The VM.
        vm: String,
    },
    /// Have a VM assessed now, at any hour; installs nothing.
    Assess {
        /// The VM.
        vm: String,
        /// Do not wait for its end.
        #[arg(long)]
        no_wait: bool,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// Have patches installed on a VM now, beside all rollouts; inside its off-peak window.
    Install(Install),
    /// Issue a one-time token for the enrolment of the VM's agent.
    Token {
        /// The VM.
        vm: String,
        /// Write `token` and `authority.pem` into this folder instead of printing them.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// `nightshift vm install`
#[derive(Debug, Args)]
pub struct Install {
    /// The VM.
    pub vm: String,
    /// How urgent the patches are that are meant: critical, security, other; the first two if none is named.
    #[arg(long = "class", value_delimiter = ',')]
    pub classes: Vec<Class>,
    /// Only packages of these names, in which `*` stands for any characters.
    #[arg(long, value_delimiter = ',')]
    pub include: Vec<String>,
    /// No package of these names.
    #[arg(long, value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// Whether the VM may be rebooted.
    #[arg(long, default_value = "if-required")]
    pub reboot: Reboot,
    /// How long the work may take, as 90m or 2h; it must fit into what is left of the VM's window.
    #[arg(long, default_value = "90m", value_parser = commands::token::duration)]
    pub longest: std::time::Duration,
    /// How long to wait for the VM's window, and for geo-pairs that are being patched, as 30m or 12h.
    #[arg(long, default_value = "30m", value_parser = commands::token::duration)]
    pub within: std::time::Duration,
    /// Do not wait for its end.
    #[arg(long)]
    pub no_wait: bool,
    /// Who and why.
    #[command(flatten)]
    pub wish: Wish,
}

/// How urgent a patch is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Class {
    /// A security patch that its vendor calls critical.
    Critical,
    /// Any other security patch.
    Security,
    /// Everything else.
    Other,
}

/// Whether a VM may be rebooted for its patches.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Reboot {
    /// Where a patch requires it.
    IfRequired,
    /// Not at all.
    Never,
    /// Once, in any case.
    Always,
}

/// `nightshift health`
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Health {
    /// One VM in full.
    pub vm: Option<String>,
    /// All VMs of this region.
    #[arg(long)]
    pub region: Option<String>,
}

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

/// Where `nightshift up` keeps everything.
pub const DATA: &str = "nightshift-data";

/// Who wishes something, and why. Both go into the log.
#[derive(Debug, Clone, Args)]
pub struct Wish {
    /// Why, in your own words.
    #[arg(long, default_value = "")]
    pub reason: String,
    /// Who you are, where nobody has a token; whoever has one is who the token says.
    #[arg(long, env = "USER", default_value = "unknown")]
    pub actor: String,
}

/// `nightshift rollout …`
#[derive(Debug, Subcommand)]
pub enum Rollout {
    /// Start a rollout over all eligible VMs.
    Start {
        /// Its name, for example 2026-11.
        rollout: String,
        /// A policy file (TOML); safe defaults if absent.
        #[arg(long)]
        policy: Option<PathBuf>,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
        /// Watch it until it ends.
        #[arg(long)]
        watch: bool,
    },
    /// All rollouts.
    List,
    /// One rollout: phases, regions, what failed and why.
    Show {
        /// The rollout.
        rollout: String,
    },
    /// Follow a rollout until it ends.
    Watch {
        /// The rollout.
        rollout: String,
    },
    /// No new order until it is resumed.
    Pause {
        /// The rollout.
        rollout: String,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// Let a paused or halted rollout go on; the failures of a halted one are thereby accepted.
    Resume {
        /// The rollout.
        rollout: String,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// Have the failed tried again, at once; a halted rollout goes on with that. Who fails again counts anew.
    Retry {
        /// The rollout.
        rollout: String,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// Take a region out of a rollout; what is in flight settles first. A halted rollout stays halted until it is resumed.
    SkipRegion {
        /// The rollout.
        rollout: String,
        /// The region.
        region: String,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// Let a phase start, where the policy asks for a person's approval.
    Approve {
        /// The rollout.
        rollout: String,
        /// The phase, from 1.
        phase: u32,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// Change the policy of a rollout that is under way.
    Policy {
        /// The rollout.
        rollout: String,
        /// The new policy (TOML); its shares and canaries must be as they were.
        policy: PathBuf,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// End a rollout; what is in flight settles first.
    Cancel {
        /// The rollout.
        rollout: String,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
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
    #[arg(long, default_value_t = 1_000, conflicts_with = "fleet")]
    pub vms: usize,
    /// A policy file (TOML); safe defaults if absent.
    #[arg(long)]
    pub policy: Option<PathBuf>,
    /// How many histories.
    #[arg(long, default_value_t = 1)]
    pub seeds: u64,
    /// The first one's seed; the same seed is the same history.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// For how many days.
    #[arg(long, default_value_t = 35)]
    pub days: i64,
    /// all, none, or some of power, patches, reports, signals, services, clocks, people.
    #[arg(long, default_value = "none")]
    pub faults: String,
    /// A patch that makes this share of the machines ill, in percent.
    #[arg(long)]
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

/// `nightshift rhythm …`
#[derive(Debug, Subcommand)]
pub enum Rhythm {
    /// From now on a rollout starts every month.
    Declare {
        /// A rhythm file (TOML): week, weekday, days_after, at and [policy]; the day after the second Tuesday if absent.
        file: Option<PathBuf>,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// No rollout starts by itself any more.
    Stop {
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
    /// What is declared, and when the next rollout starts.
    Show,
}

/// `nightshift events …`
#[derive(Debug, Subcommand)]
pub enum Events {
    /// Write the whole log into a file, for `nightshift audit FILE` and for your own records.
    Export {
        /// The file; one JSON document a line.
        file: PathBuf,
    },
    /// Print events as they come.
    Tail {
        /// `fleet`, `rollout` or `region.<name>`; all if absent.
        #[arg(long)]
        partition: Option<String>,
        /// Only what is there, not what comes.
        #[arg(long)]
        no_follow: bool,
        /// Events after this position (of each partition).
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
}
