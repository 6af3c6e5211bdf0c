//! The failures of a round, counted against the budgets of its steps, its zones and its region.

use crate::Record;
use crate::allowance;
use crate::findings::Findings;
use crate::history::History;
use crate::report::Rule::S7;
use nightshift_domain::fleet::Placement;
use nightshift_domain::layout::{Member, StepKey};
use nightshift_domain::patch::Blame;
use nightshift_domain::policy::Policy;
use nightshift_domain::selection::PackageVersion;
use nightshift_domain::{RolloutId, VmId, ZoneName};
use std::collections::{BTreeMap, BTreeSet};

/// A zone, or all that is in none.
type Part<'a> = Option<&'a ZoneName>;

struct Failure<'a> {
    step: Option<&'a StepKey>,
    blamed: &'a [Blame],
    settled: &'a Record,
}

/// Failures that count, at some moment.
#[derive(Default)]
struct Counts<'a> {
    steps: BTreeMap<&'a StepKey, usize>,
    parts: BTreeMap<Part<'a>, usize>,
    all: usize,
    newest: Option<&'a Record>,
}

impl<'a> Counts<'a> {
    fn add(&mut self, failure: &Failure<'a>) {
        self.all += 1;
        self.newest = Some(failure.settled);
        if let Some(step) = failure.step {
            *self.steps.entry(step).or_default() += 1;
            *self.parts.entry(part_of(step)).or_default() += 1;
        }
    }
}

/// What failed in a run, up to some position.
#[derive(Default)]
pub(super) struct Failures<'a> {
    /// VMs of the round: all, by part, by step that has started.
    members: usize,
    parts: BTreeMap<Part<'a>, usize>,
    steps: BTreeMap<&'a StepKey, usize>,
    /// Failures of the round that nobody accepted.
    failures: BTreeMap<&'a VmId, Failure<'a>>,
    /// VMs whose failures were accepted, or are of an earlier round.
    known: BTreeSet<&'a VmId>,
    retries: u32,
    counts: Counts<'a>,
    /// How many versions were barred when it was counted.
    barred: usize,
    /// The policies by which the counts were last seen to be within all budgets.
    good: Option<Vec<*const Policy>>,
}

impl<'a> Failures<'a> {
    pub fn begin_round(&mut self, retries: u32) {
        self.accept();
        // A person had the failed tried again: who fails again counts anew.
        if retries > self.retries {
            self.known.clear();
        }
        self.retries = retries;
        self.members = 0;
        self.parts.clear();
        self.steps.clear();
        self.good = None;
    }

    pub fn enlist(&mut self, members: &'a [Member]) {
        self.members += members.len();
        for member in members {
            let part = match &member.placement {
                Placement::Zone(zone) => Some(zone),
                Placement::AvailabilitySet { .. } | Placement::Standalone => None,
            };
            *self.parts.entry(part).or_default() += 1;
        }
        self.good = None;
    }

    pub fn start_step(&mut self, step: &'a StepKey, vms: usize) {
        self.steps.insert(step, vms);
    }

    pub fn failed(
        &mut self,
        vm: &'a VmId,
        step: Option<&'a StepKey>,
        blamed: &'a [Blame],
        settled: &'a Record,
    ) {
        if !self.known.contains(vm) {
            self.failures.insert(vm, Failure { step, blamed, settled });
            self.recount();
        }
    }

    /// A person accepted them.
    pub fn accept(&mut self) {
        self.known.extend(std::mem::take(&mut self.failures).into_keys());
        self.recount();
    }

    /// To be counted anew before the next test.
    fn recount(&mut self) {
        self.barred = usize::MAX;
        self.good = None;
    }

    fn count(&mut self, history: &History<'a>, rollout: &RolloutId, at: &Record) {
        let rollout = history.rollouts.get(rollout);
        let barred = rollout.map_or(0, |rollout| rollout.barred_by(at.at));
        if self.barred == barred {
            return;
        }
        let versions = rollout.map_or(&[][..], |rollout| &rollout.barred[..barred]);
        let barred_now: BTreeSet<&PackageVersion> = versions.iter().map(|(_, patch)| *patch).collect();
        let excused =
            |failure: &Failure<'_>| failure.blamed.iter().any(|blame| barred_now.contains(&blame.patch));
        let mut counting: Vec<_> = self.failures.values().filter(|failure| !excused(failure)).collect();
        counting.sort_by_key(|failure| failure.settled.position);
        self.counts = Counts::default();
        counting.into_iter().for_each(|failure| self.counts.add(failure));
        (self.barred, self.good) = (barred, None);
    }

    /// A step that another one is to follow.
    pub fn step_within_budget(
        &mut self,
        history: &History<'a>,
        rollout: &RolloutId,
        step: &StepKey,
        record: &Record,
        findings: &mut Findings,
    ) {
        self.count(history, rollout, record);
        let mut wrong = history.policies(rollout, record.at).map(|(_, policy)| self.over(step, policy));
        let wrong = wrong.try_fold(None, |_, over| over.map(Some)).flatten();
        let first = self.failures.values().filter(|failure| failure.step == Some(step));
        let first = first.map(|failure| failure.settled).max_by_key(|settled| settled.position);
        findings.test(S7, wrong.is_none(), first.unwrap_or(record), record, || {
            format!("another step starts after {}", wrong.unwrap_or_default())
        });
    }

    /// The budgets of all steps, of all parts and of the region.
    pub fn within_budgets(
        &mut self,
        history: &History<'a>,
        rollout: &RolloutId,
        record: &Record,
        findings: &mut Findings,
    ) {
        findings.tested(S7);
        if self.failures.is_empty() {
            return;
        }
        self.count(history, rollout, record);
        let policies: Vec<&Policy> = history.policies(rollout, record.at).map(|(_, policy)| policy).collect();
        let same: Vec<*const Policy> = policies.iter().map(|policy| std::ptr::from_ref(*policy)).collect();
        if self.good.as_ref() == Some(&same) {
            return;
        }
        let mut spent = None;
        for policy in policies {
            spent = self.spent(policy);
            if spent.is_none() {
                self.good = Some(same);
                return;
            }
        }
        if let (Some(what), Some(newest)) = (spent, self.counts.newest) {
            findings.collide(S7, newest, record, format!("an order is placed after {what}"));
        }
    }

    /// What is spent under this policy.
    fn spent(&self, policy: &Policy) -> Option<String> {
        if let Some(over) = self.counts.steps.keys().find_map(|step| self.over(step, policy)) {
            return Some(over);
        }
        let parts = self.counts.parts.iter().find_map(|(part, failed)| {
            let vms = self.parts.get(part).copied().unwrap_or_default();
            let allowed = allowance::failures(policy.budgets.zone, vms);
            let name = part.map_or_else(|| "outside zones".to_owned(), |zone| format!("in zone {zone}"));
            (*failed > allowed).then(|| format!("{failed} of {vms} VMs {name} failed; {allowed} may"))
        });
        let (failed, vms) = (self.counts.all, self.members);
        let allowed = allowance::failures(policy.budgets.region, vms);
        let of_region = || {
            (failed > allowed).then(|| format!("{failed} of {vms} VMs of the region failed; {allowed} may"))
        };
        parts.or_else(of_region)
    }

    fn over(&self, step: &StepKey, policy: &Policy) -> Option<String> {
        let failed = self.counts.steps.get(step).copied().unwrap_or_default();
        let vms = self.steps.get(step).copied().unwrap_or_default();
        let allowed = allowance::failures(policy.budgets.step, vms);
        (failed > allowed).then(|| format!("{failed} of {vms} VMs of {step} failed; {allowed} may"))
    }
}

fn part_of(step: &StepKey) -> Part<'_> {
    match step {
        StepKey::ZoneBatch { zone, .. } => Some(zone),
        StepKey::UpdateDomain { .. } | StepKey::Batch(_) => None,
    }
}
