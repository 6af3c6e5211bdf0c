//! The fleet, its VMs, and how they are.

use super::{Install, Wish};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `nightshift fleet …`
#[derive(Debug, Subcommand)]
pub enum Fleet {
    /// Bring regions, subscriptions and VMs to what the file says. VMs that it does not name stay.
    Apply {
        /// A fleet file (TOML); see examples/fleet.toml.
        file: PathBuf,
    },
    /// What is believed of the world around the fleet: regions, pairs, zones, windows, and how many VMs are where.
    Topology,
}

/// `nightshift feature …`
#[derive(Debug, Subcommand)]
pub enum Feature {
    /// How far each registration is.
    List {
        /// Only this subscription's.
        #[arg(long)]
        subscription: Option<String>,
    },
    /// A subscription asks for a feature: Registering, and soon Registered.
    Register {
        /// The subscription.
        subscription: String,
        /// InGuestAutoPatchVMPreview (automatic patching) or InGuestPatchVMPreview (assessments on demand).
        feature: String,
    },
    /// A subscription gives a feature up.
    Unregister {
        /// The subscription.
        subscription: String,
        /// InGuestAutoPatchVMPreview or InGuestPatchVMPreview.
        feature: String,
    },
    /// A subscription registers the provider Microsoft.Compute, which completes its opt-in.
    Provider {
        /// The subscription.
        subscription: String,
    },
}

/// `nightshift region …`
#[derive(Debug, Subcommand)]
pub enum Region {
    /// The runs that the coordinators know: what each waits for, and when the clock alone changes something.
    Runs {
        /// Only this region's.
        region: Option<String>,
    },
    /// The public keys (PEM) whose orders agents are to carry out: `order-keys.pem` of each machine.
    OrderKeys,
}

/// `nightshift vm …`
#[derive(Debug, Subcommand)]
pub enum Vm {
    /// All VMs with their patch status.
    List {
        /// Only this region.
        #[arg(long)]
        region: Option<String>,
        /// Words that all have to fit: a part of the name, or `key:value`; `a,b` is either, `*` is anything. Keys: region, zone,
        /// set, ud, subscription, group, os, image, mode, assessment, timezone, state, eligible, agent, pending, promise.
        #[arg(long, default_value = "", hide_default_value = true)]
        filter: String,
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
    /// A VM enters the fleet, or becomes what the file says.
    Put {
        /// One VM: TOML, or JSON as `vm show --output json` has it (all of it, or its `vm`); see docs/cli.md.
        file: PathBuf,
        /// Have Nightshift choose the update domain within the availability set.
        #[arg(long)]
        any_update_domain: bool,
        /// What `vm show --output json` printed before: refused if the VM is not so any more. Without it the VM may be in
        /// whatever state it is.
        #[arg(long, value_name = "FILE")]
        seen: Option<PathBuf>,
    },
    /// Change some of a VM; the rest stays as it is.
    Change {
        /// The VM.
        vm: String,
        /// What becomes different.
        #[command(flatten)]
        model: Model,
    },
    /// A VM leaves the fleet.
    Remove {
        /// The VM.
        vm: String,
    },
    /// The agents that the gateway knows: whether they are enrolled, which version, which boot.
    Agents,
    /// Everything that the log says of a VM, oldest first.
    History {
        /// The VM.
        vm: String,
    },
    /// What the console heard of a VM itself: who said what, from when to when.
    Signals {
        /// The VM.
        vm: String,
    },
    /// Say how VMs are, as a load balancer, a hypervisor or your monitoring knows it. May be lost: report again and again.
    Report(Report),
}

/// What of a VM is to be different.
#[derive(Debug, Clone, Default, Args)]
#[group(required = true, multiple = true)]
pub struct Model {
    /// Who patches it: AutomaticByPlatform, AutomaticByOS, Manual or ImageDefault.
    #[arg(long, value_name = "MODE")]
    pub patch_mode: Option<String>,
    /// Who has it assessed: AutomaticByPlatform or ImageDefault.
    #[arg(long, value_name = "MODE")]
    pub assessment_mode: Option<String>,
    /// Whether it may be rebooted for its patches: IfRequired, Never or Always; `policy` for each rollout's own.
    #[arg(long, value_name = "SETTING")]
    pub reboot: Option<String>,
    /// Its own time zone (IANA); `region` for its region's.
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// Its own off-peak window in local time, such as 22:00-06:00; `fleet` for the fleet's.
    #[arg(long, value_name = "HH:MM-HH:MM")]
    pub window: Option<String>,
}

/// `nightshift vm report`
#[derive(Debug, Args)]
pub struct Report {
    /// The VM.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub vm: Option<String>,
    /// Your name, as the policies' reports have it.
    #[arg(long, required_unless_present = "file", conflicts_with = "file")]
    pub source: Option<String>,
    /// What ails it; without this it is well.
    #[arg(long, conflicts_with = "file")]
    pub ailment: Option<String>,
    /// When it was so (RFC 3339); now if absent.
    #[arg(long, conflicts_with = "file")]
    pub at: Option<DateTime<Utc>>,
    /// Many reports, one JSON document a line: {"vm": "…", "source": "…", "ailment": "…", "at": "…"}; - for standard input.
    #[arg(long)]
    pub file: Option<PathBuf>,
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
