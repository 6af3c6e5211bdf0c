//! The account of one order's work: every assessed patch, what became of it so far, and what runs right now.

use crate::back_end::{Package, Running, Said, Standing};
use nightshift_domain::OrderId;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::patch::{Assessment, Patch, PatchOutcome, PatchState, RebootStatus};
use nightshift_domain::selection::{Choice, Selection};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most that an account may say in bytes: far below the log's largest message (1 MiB in NATS).
const LARGEST_ACCOUNT: usize = 600 << 10;
/// How long what is said of one patch may be in an account that is too large.
const SHORT: usize = 80;
/// How often one package is tried under one order.
const MOST_ATTEMPTS: u32 = 2;

/// The work of an order, as the journal keeps it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    targets: Vec<Target>,
    /// How many patches the assessments named: the account is right only if it has as many.
    #[serde(default)]
    assessed: usize,
    /// Whether the machine was rebooted before anything else, and is still to be assessed.
    #[serde(default)]
    pub unassessed: bool,
    /// How often the machine was rebooted for the order.
    #[serde(default)]
    pub reboots: u32,
    /// A newer order, before which this one gives way.
    #[serde(default)]
    pub superseded: Option<OrderId>,
    /// What is being installed; set before it starts.
    pub batch: Option<Batch>,
    /// Whether patches were left because the window would have been exceeded.
    pub window_exceeded: bool,
    /// The boot that the order's own reboot led to.
    pub rebooted_into: Option<String>,
    /// How often the machine was assessed anew after everything was tried.
    pub rounds: u32,
    /// What the sources did not answer when the work began.
    pub warnings: Vec<String>,
}

/// One assessed patch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Target {
    #[serde(flatten)]
    outcome: PatchOutcome,
    /// How often its install was tried and failed by its own fault, or by itself.
    attempts: u32,
    /// How many batches failed with it in them, and with nothing said of it: another pulled it down.
    #[serde(default)]
    pulled_down: u32,
}

/// Packages that are installed in one go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The packages.
    pub packages: Vec<Package>,
    /// The install, once it was started.
    pub running: Option<Running>,
}

impl Work {
    /// Takes every assessed patch in, once; those that the selection chooses, and that have no obstacle, are to be
    /// installed.
    pub fn take_all(&mut self, assessment: Assessment, selection: &Selection) {
        let mut known = self.known();
        for patch in assessment.patches {
            let choice = selection.choose(&patch);
            self.add(patch, choice, &mut known);
        }
    }

    /// Takes in what a later assessment found to be wanted; returns whether there is anything new to install.
    pub fn take_in(&mut self, assessment: &Assessment, selection: &Selection) -> bool {
        let mut known = self.known();
        for patch in &assessment.patches {
            match selection.choose(patch) {
                Choice::NotSelected => {}
                choice => self.add(patch.clone(), choice, &mut known),
            }
        }
        !self.to_install().is_empty()
    }

    /// What is accounted for already: there may be thousands.
    fn known(&self) -> BTreeSet<Package> {
        self.targets.iter().map(Target::package).collect()
    }

    fn add(&mut self, patch: Patch, choice: Choice, known: &mut BTreeSet<Package>) {
        if !known.insert(Package { name: patch.name.clone(), version: patch.version.clone() }) {
            return;
        }
        let (state, detail) = match (choice, patch.obstacle) {
            (Choice::NotSelected, obstacle) => (PatchState::NotSelected, obstacle.unwrap_or_default()),
            (Choice::Excluded(why), _) => (PatchState::Excluded, why),
            (Choice::Selected, Some(obstacle)) => (PatchState::Excluded, obstacle),
            (Choice::Selected, None) => (PatchState::Pending, String::new()),
        };
        let Patch { name, version, classification, .. } = patch;
        let outcome = PatchOutcome { name, version, classification, state, detail };
        self.assessed += 1;
        self.targets.push(Target { outcome, attempts: 0, pulled_down: 0 });
    }

    /// What is selected and was not tried too often.
    pub fn to_install(&self) -> Vec<Package> {
        self.packages(|target| target.outcome.state == PatchState::Pending && target.attempts < MOST_ATTEMPTS)
    }

    /// What failed and deserves another try: what failed by its own fault by itself; what another pulled down in
    /// batches of a tenth, and then by itself.
    pub fn to_retry(&self) -> Vec<Vec<Package>> {
        let open =
            |target: &Target| target.outcome.state == PatchState::Failed && target.attempts < MOST_ATTEMPTS;
        let together =
            self.packages(|target| open(target) && target.attempts == 0 && target.pulled_down == 1);
        let alone = self.packages(|target| open(target) && (target.attempts > 0 || target.pulled_down > 1));
        let batches = together.chunks(together.len().div_ceil(10).max(1)).map(<[Package]>::to_vec);
        batches.chain(alone.into_iter().map(|package| vec![package])).collect()
    }

    /// Whether the order's installs are over, whatever is left.
    pub fn is_stopped(&self) -> bool {
        self.window_exceeded || self.superseded.is_some()
    }

    /// What was selected and is not known to be in.
    pub fn outstanding(&self) -> Vec<Package> {
        self.packages(|target| matches!(target.outcome.state, PatchState::Pending | PatchState::Failed))
    }

    /// What was not selected; it may have come along as a dependency.
    pub fn not_selected(&self) -> Vec<Package> {
        self.packages(|target| target.outcome.state == PatchState::NotSelected)
    }

    fn packages(&self, which: impl Fn(&Target) -> bool) -> Vec<Package> {
        self.targets.iter().filter(|target| which(target)).map(Target::package).collect()
    }

    /// The package cannot be installed as things are.
    pub fn exclude(&mut self, package: &Package, why: &str) {
        self.set(package, PatchState::Excluded, why);
    }

    /// The package cannot be installed now; the cause will pass.
    pub fn postpone(&mut self, package: &Package, why: &str) {
        self.set(package, PatchState::Pending, why);
        if let Some(target) = self.find(package) {
            target.attempts = MOST_ATTEMPTS;
        }
    }

    /// Judges the batch that ran by the package database; what the install said only explains.
    pub fn judge(&mut self, standings: &BTreeMap<String, Standing>, said: &Said) {
        let Some(batch) = self.batch.take() else { return };
        let alone = batch.packages.len() == 1;
        for package in &batch.packages {
            let passing = said.trouble.as_ref().is_some_and(|trouble| trouble.passing);
            let to_blame = alone || passing || said.errors.contains_key(&package.name);
            let Some(target) = self.find(package) else { continue };
            target.try_over(to_blame, alone);
            let Some(Standing::Not(standing)) = standings.get(&package.name) else {
                target.outcome.state = PatchState::Installed;
                target.outcome.detail = said.warnings.get(&package.name).cloned().unwrap_or_default();
                continue;
            };
            let error = said.errors.get(&package.name);
            let state = if error.is_none() && passing { PatchState::Pending } else { PatchState::Failed };
            let said = error.or(said.trouble.as_ref().map(|trouble| &trouble.sentence));
            let why = said.map_or_else(|| "the install said nothing".to_owned(), String::clone);
            target.outcome.state = state;
            target.outcome.detail = format!("{why} (now: {standing})");
        }
    }

    /// Judges a batch of which nobody knows how it ended: what is not in is to be tried again.
    pub fn judge_interrupted(&mut self, standings: &BTreeMap<String, Standing>, said: &Said) {
        let Some(batch) = self.batch.take() else { return };
        for package in batch.packages.iter().filter(|package| !said.errors.contains_key(&package.name)) {
            let Some(target) = self.find(package) else { continue };
            target.attempts += 1;
            if let Some(Standing::Not(standing)) = standings.get(&package.name) {
                target.outcome.detail = format!("its install was interrupted (now: {standing})");
            }
        }
        let with_errors =
            batch.packages.into_iter().filter(|package| said.errors.contains_key(&package.name));
        self.batch = Some(Batch { packages: with_errors.collect(), running: None });
        self.judge(standings, said);
        self.recount(standings);
    }

    /// Counts as installed what is in by now, whichever way it came.
    pub fn recount(&mut self, standings: &BTreeMap<String, Standing>) {
        for target in &mut self.targets {
            let open = matches!(target.outcome.state, PatchState::Pending | PatchState::Failed);
            if open && standings.get(&target.outcome.name) == Some(&Standing::Installed) {
                target.outcome.state = PatchState::Installed;
                target.outcome.detail.clear();
            }
        }
    }

    /// Says of what was not selected, and is in all the same, how that came. It stays not selected: nobody ordered
    /// it, a selected patch needs it.
    pub fn explain_dependencies(&mut self, standings: &BTreeMap<String, Standing>) {
        for target in &mut self.targets {
            let not_selected = target.outcome.state == PatchState::NotSelected;
            if not_selected && standings.get(&target.outcome.name) == Some(&Standing::Installed) {
                target.outcome.detail = "came along: a selected patch needs it".into();
            }
        }
    }

    /// The account as it is reported.
    pub fn report(&self, reboot: RebootStatus, boot_id: String) -> InstallReport {
        let mut patches: Vec<_> = self.targets.iter().map(|target| target.outcome.clone()).collect();
        shorten(&mut patches);
        let mut report =
            InstallReport { patches, reboot, boot_id, window_exceeded: self.window_exceeded, error: None };
        let newer = self.superseded.as_ref();
        report.error =
            newer.map(|newer| format!("superseded by order {newer}: what is left waits for that one"));
        // It cannot be otherwise as long as this file is right; if it is not, nobody is to be told wrong numbers.
        let (said, assessed) = (report.accounted(), self.assessed.max(self.targets.len()));
        if said != assessed {
            report.error = Some(format!("of {assessed} assessed patches {said} are accounted for"));
        }
        report
    }

    fn set(&mut self, package: &Package, state: PatchState, why: &str) {
        if let Some(target) = self.find(package) {
            target.outcome.state = state;
            target.outcome.detail = why.to_owned();
        }
    }

    fn find(&mut self, package: &Package) -> Option<&mut Target> {
        self.targets.iter_mut().find(|target| target.is(&package.name, &package.version))
    }
}

/// Of a very large account every patch stays, and of what failed the beginning of its reason.
fn shorten(patches: &mut [PatchOutcome]) {
    let size = |patch: &PatchOutcome| patch.name.len() + patch.version.len() + patch.detail.len() + 16;
    if patches.iter().map(size).sum::<usize>() <= LARGEST_ACCOUNT {
        return;
    }
    for patch in patches {
        let kept = if patch.state == PatchState::Failed { SHORT } else { 0 };
        patch.detail = patch.detail.chars().take(kept).collect();
    }
}

impl Target {
    /// Takes note of a try that ended, well or not.
    fn try_over(&mut self, to_blame: bool, alone: bool) {
        match to_blame {
            // It was tried before, with others and then with fewer: this was the last way.
            true if alone && self.pulled_down > 0 => self.attempts = MOST_ATTEMPTS,
            true => self.attempts += 1,
            false => self.pulled_down += 1,
        }
    }

    fn is(&self, name: &str, version: &str) -> bool {
        self.outcome.name == name && self.outcome.version == version
    }

    fn package(&self) -> Package {
        Package { name: self.outcome.name.clone(), version: self.outcome.version.clone() }
    }
}
