//! The command line.

mod ahead;
mod fleet;
mod install;
mod installation;
mod log;
mod own;
mod rollout;

pub use ahead::{Demo, Forecast, Plan, Simulate};
pub use fleet::{Feature, Fleet, Health, Model, Region, Report, Vm};
pub use install::{Class, Install, Reboot};
pub use installation::{Flags, Servers};
pub use log::{Audit, Events, Overview, Webhook};
pub use own::{Context, Token, Up};
pub use rollout::{Rhythm, Rollout, Watch, Wish};

use crate::color::Choice;
use crate::output::Format;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Where `nightshift up` keeps everything.
pub const DATA: &str = "nightshift-data";

/// Patches the operating systems of a fleet, availability first.
#[derive(Debug, Parser)]
#[command(name = "nightshift", version, about, after_long_help = crate::exit::HELP, max_term_width = 120)]
pub struct Arguments {
    /// Where the installation answers.
    #[command(flatten)]
    pub installation: Flags,
    /// How answers are written.
    #[command(flatten)]
    pub style: Style,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How answers are written.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "How answers are written")]
pub struct Style {
    /// For people (table), or for programs: JSON, YAML. What comes bit by bit is one line of JSON, or one YAML document, for
    /// each item.
    #[arg(long, short, global = true, value_enum, default_value_t, conflicts_with = "json")]
    pub output: Format,
    /// The same as --output json.
    #[arg(long, global = true)]
    pub json: bool,
    /// Colours: auto is yes on a terminal, if NO_COLOR does not say otherwise; CLICOLOR_FORCE has them everywhere.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub color: Choice,
}

impl Style {
    /// How the answer is to be written.
    pub fn format(self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run all services in this process, with everything in one folder.
    Up(Up),
    /// See a whole rollout in less than two minutes, on simulated machines or (--real) on sandboxed ones.
    Demo(Demo),
    /// Declare the fleet; see what it is declared to be.
    #[command(subcommand)]
    Fleet(Fleet),
    /// Features and the provider that subscriptions opt in by.
    #[command(subcommand)]
    Feature(Feature),
    /// Look at VMs, put, change and remove them; issue enrolment tokens for their agents.
    #[command(subcommand)]
    Vm(Vm),
    /// What happens in regions, and whose orders their agents are to trust.
    #[command(subcommand)]
    Region(Region),
    /// What a rollout over a fleet file would do: phases, regions, stages, steps and batches, with the reasons.
    Plan(Plan),
    /// Start, watch, steer and look back at rollouts.
    #[command(subcommand)]
    Rollout(Rollout),
    /// Where everything stands, on one page: phases, regions, who is to be asked.
    Overview(Overview),
    /// Whether every machine is patched once in every 30 days, and which are late.
    Compliance,
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
    Audit(Audit),
    /// A NATS user for each service, who may write its own subjects and no others: secret keys, and the part of
    /// nats-server's configuration that lets them in.
    NatsUsers {
        /// Where they are written. Keys that are there stay; what is missing is made, and `users.conf` is made of all of them.
        folder: PathBuf,
        /// Also a user who reads the event stream by a durable consumer of this name, and does nothing else; several,
        /// separated by commas.
        #[arg(long = "consumer", value_name = "NAME", value_delimiter = ',')]
        consumers: Vec<crate::nats_users::Consumer>,
    },
    /// Tokens with which people and programs say who they are.
    #[command(subcommand)]
    Token(Token),
    /// Several installations, each by its name: which one is meant, and where it answers.
    #[command(subcommand)]
    Context(Context),
    /// Print the script by which a shell completes this command line: `source <(nightshift completions bash)`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages, one for each command, into a folder: `man -l FOLDER/nightshift.1`.
    Man {
        /// The folder; made if it is not there.
        folder: PathBuf,
    },
    /// Be the agent, as `nightshift-agent` is: what the machines of `demo --real` run.
    #[command(subcommand, hide = true)]
    Agent(nightshift_agent::command::Command),
}
