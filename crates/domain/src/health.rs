//! Health: signals in, verdicts out (REQUIREMENTS.md B3, docs/health.md).

use crate::id::{SourceName, VmId};
use crate::mind::Time;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One word on a VM's health. May be lost, doubled or late; never enters the log but as a verdict's evidence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signal {
    /// The machine.
    pub vm: VmId,
    /// When it was received or measured, by the clock of who did.
    pub at: Time,
    /// The boot that it speaks of; empty if its source does not know.
    pub boot_id: String,
    /// `None` if the machine is well, or what ails it.
    pub ailment: Option<String>,
    /// Whose word it is.
    #[serde(default)]
    pub source: Source,
    /// What else the agent found not to be as it should, each in its own words (a failed unit, a package that is half
    /// installed): held against a patch only where the baseline did not have it.
    #[serde(default)]
    pub findings: Vec<String>,
}

impl Signal {
    /// A heartbeat of the machine's agent.
    pub fn heartbeat(vm: VmId, at: Time, boot_id: impl Into<String>, ailment: Option<String>) -> Self {
        Self { boot_id: boot_id.into(), ..Self::of(Source::Agent, vm, at, ailment) }
    }

    /// The word of any source.
    pub fn of(source: Source, vm: VmId, at: Time, ailment: Option<String>) -> Self {
        Self { vm, at, boot_id: String::new(), ailment, source, findings: Vec::new() }
    }
}

/// Whose word a signal is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The machine's agent: its heartbeat and what its own configuration has it look at. Always required.
    #[default]
    Agent,
    /// A probe of the policy, run by the agent.
    Probe(SourceName),
    /// A reporter: a load balancer, a hypervisor, a monitoring system.
    Report(SourceName),
    /// A query of the policy, made by the health-monitor.
    Query(SourceName),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Agent => f.pad("agent"),
            Source::Probe(name) => write!(f, "probe {name}"),
            Source::Report(name) => write!(f, "report {name}"),
            Source::Query(name) => write!(f, "query {name}"),
        }
    }
}

/// How a VM was before its patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Baseline {
    /// Well: may be ordered.
    Well,
    /// Well, but for flaws that are not held against the patch: may be ordered.
    Flawed {
        /// What the agent found before the patch.
        findings: Vec<String>,
    },
    /// Ill already: skipped (rule S10).
    Ill {
        /// What ails it.
        ailment: String,
    },
    /// No signal: powered off or cut off; deferred (REQUIREMENTS.md A6).
    Silent,
    /// Its agent is heard, but a required source is not: deferred, for unknown is never well.
    Unknown {
        /// Which.
        why: String,
    },
}
