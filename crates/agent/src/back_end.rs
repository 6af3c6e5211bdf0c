//! What the engine needs of a package manager and its machine. No policy is in here: what to install, when, and
//! what to make of the result is the engine's.

use async_trait::async_trait;
use nightshift_domain::patch::Assessment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// A package at the version that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Package {
    /// Its name, with its architecture (`libc6:i386`) where that is not the machine's.
    pub name: String,
    /// The version.
    pub version: String,
}

/// An install that runs, whether this process started it or the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The process.
    pub pid: u32,
    /// When it started, in the kernel's ticks: tells it from a later process of the same number.
    pub started: u64,
    /// Where its output goes.
    pub log: String,
}

/// What an install said. Whether a package is in is for the package database to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// What went wrong, per package.
    pub errors: BTreeMap<String, String>,
    /// What went wrong with a package that is in all the same, per package: an rpm whose `%post` failed.
    pub warnings: BTreeMap<String, String>,
    /// What went wrong with the whole.
    pub trouble: Option<Trouble>,
}

/// What kept a whole install from its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// For people.
    pub sentence: String,
    /// Whether it will pass by itself (a lock, the network): the packages are pending then, not failed.
    pub passing: bool,
}

/// Where a package stands, by the package database, against the version that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// This version or a newer one is fully installed.
    Installed,
    /// Something else; the text says what (`1.0 installed`, `1.1 half-configured`).
    Not(String),
}

/// Why a set of packages cannot be installed together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// As things are it never can (another package would have to go).
    #[error("{0}")]
    Impossible(String),
    /// The sources moved on since the assessment, or do not answer.
    #[error("{0}")]
    Stale(String),
}

/// Something that a package manager could not do; a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BackEndError(pub String);

impl BackEndError {
    /// With this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// A package manager and its machine.
#[async_trait]
pub trait BackEnd: Send + Sync + 'static {
    /// As the gateway is told it (`apt`, `simulated`).
    fn name(&self) -> &'static str;

    /// The operating system as it names itself.
    fn os(&self) -> String;

    /// New with every boot.
    fn boot_id(&self) -> Result<String, BackEndError>;

    /// Ends what an install before left half-done, after waiting for one that still runs. Does nothing if all is well.
    async fn repair(&self) -> Result<(), BackEndError>;

    /// The folder that stands for the machine's `/`; `None` if it only seems to be a machine.
    fn root(&self) -> Option<&Path> {
        None
    }

    /// Whether the package is one of the package manager's own: those go first, by themselves.
    fn is_own(&self, _package: &str) -> bool {
        false
    }

    /// Whether its new version asks for a reboot as a rule (kernels, the C library): those go last, by themselves.
    fn asks_for_reboot(&self, _package: &str) -> bool {
        false
    }

    /// Who holds the package database at the moment, for people; `None` if nobody does, or that cannot be told.
    async fn lock_holder(&self) -> Option<String> {
        None
    }

    /// Packages that an install left half-done, for people.
    async fn half_done(&self) -> Result<Vec<String>, BackEndError> {
        Ok(Vec::new())
    }

    /// Which native automatic updates are on, for people; `None` if none is.
    async fn native_updates(&self) -> Result<Option<String>, BackEndError> {
        Ok(None)
    }

    /// Turns native automatic updates off; does nothing if they are.
    async fn disable_native_updates(&self) -> Result<(), BackEndError>;

    /// Takes back what [`BackEnd::disable_native_updates`] did.
    async fn restore_native_updates(&self) -> Result<(), BackEndError>;

    /// Asks the sources for news. What did not answer is named in the warnings; the old news serve on.
    async fn refresh(&self) -> Vec<String>;

    /// What the machine lacks. Changes nothing, waits for no lock.
    async fn assess(&self) -> Result<Assessment, BackEndError>;

    /// Whether these packages can be installed together.
    async fn plan(&self, packages: &[Package]) -> Result<(), PlanError>;

    /// Fetches them without installing; may be dropped at any time.
    async fn download(&self, packages: &[Package]) -> Result<(), BackEndError>;

    /// Starts installing them. Once started it ends by itself, whatever becomes of the agent.
    async fn install(&self, packages: &[Package]) -> Result<Running, BackEndError>;

    /// Waits for an install, and says what it said.
    async fn wait(&self, running: &Running) -> Said;

    /// What is to be put right after an install of these packages, and whenever one was interrupted.
    async fn tidy(&self) -> Result<(), BackEndError> {
        Ok(())
    }

    /// Where each of these packages stands, by name.
    async fn standings(&self, packages: &[Package]) -> Result<BTreeMap<String, Standing>, BackEndError>;

    /// Whether the machine waits for a reboot.
    async fn reboot_required(&self) -> Result<bool, BackEndError>;

    /// Tells the machine to reboot; returns as soon as it is told.
    async fn reboot(&self) -> Result<(), BackEndError>;

    /// What ails the machine by the package manager's own account; `None` if nothing.
    async fn ailment(&self) -> Option<String> {
        None
    }

    /// Returns when the machine goes down under the agent. A real machine takes the agent with it: only a simulated
    /// one ever returns.
    async fn goes_down(&self) {
        std::future::pending().await
    }

    /// Returns when a machine that went down is up again.
    async fn comes_up(&self) {}
}
