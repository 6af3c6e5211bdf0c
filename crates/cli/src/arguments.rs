//! The command line.

use clap::{Args, Parser, Subcommand};
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
    /// The agent-gateway's gRPC for people.
    #[arg(long, global = true, env = "NIGHTSHIFT_GATEWAY", default_value = "http://127.0.0.1:7704")]
    pub gateway: String,
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
    /// Start, watch and steer rollouts.
    #[command(subcommand)]
    Rollout(Rollout),
    /// Read the log.
    #[command(subcommand)]
    Events(Events),
    /// Prove from the log alone that no safety rule was broken.
    Audit,
    /// Be the agent, as `nightshift-agent` is: what the machines of `demo --real` run.
    #[command(subcommand, hide = true)]
    Agent(nightshift_agent::command::Command),
}

/// `nightshift up`
#[derive(Debug, Args)]
pub struct Up {
    /// Where everything is kept.
    #[arg(long, default_value = "nightshift-data")]
    pub data: PathBuf,
    /// A fleet to declare at the start.
    #[arg(long)]
    pub fleet: Option<PathBuf>,
    /// The address that the services listen on; their ports are 7700 to 7704, 7709 for agents and 7780 for HTTP.
    #[arg(long, default_value = "127.0.0.1")]
    pub address: std::net::IpAddr,
    /// Where agents connect, if not at port 7709 of the address.
    #[arg(long)]
    pub agents_listen: Option<SocketAddr>,
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
    /// Issue a one-time token for the enrolment of the VM's agent.
    Token {
        /// The VM.
        vm: String,
        /// Write `token` and `authority.pem` into this folder instead of printing them.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// Who wishes something, and why. Both go into the log.
#[derive(Debug, Clone, Args)]
pub struct Wish {
    /// Why, in your own words.
    #[arg(long, default_value = "")]
    pub reason: String,
    /// Who you are.
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
    /// End a rollout; what is in flight settles first.
    Cancel {
        /// The rollout.
        rollout: String,
        /// Who and why.
        #[command(flatten)]
        wish: Wish,
    },
}

/// `nightshift events …`
#[derive(Debug, Subcommand)]
pub enum Events {
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
