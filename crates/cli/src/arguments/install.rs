//! Patches on one VM.

use super::Wish;
use crate::commands;
use clap::{Args, ValueEnum};

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
    #[arg(long, default_value = "90m", value_parser = commands::token::some_time)]
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
