//! The orders of a run that are not settled, found by what is due: no decision looks at each of them.

use super::progress::as_list;
use crate::event::Order;
use crate::fleet::Kin;
use crate::id::VmId;
use crate::mind::Time;
use chrono::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Which VMs are in flight.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Flights {
    /// By their orders' deadlines: no time limit ends before its order's deadline and the policy's grace.
    deadlines: BTreeSet<(Time, VmId)>,
    /// Of them, those with nothing more to wait for.
    over: BTreeSet<VmId>,
    /// How many of them are kin.
    #[serde(with = "as_list")]
    kin: BTreeMap<Kin, usize>,
}

impl Flights {
    pub fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }

    pub fn len(&self) -> usize {
        self.deadlines.len()
    }

    /// How many of these kin are in flight.
    pub fn of_kin(&self, kin: &Kin) -> usize {
        self.kin.get(kin).copied().unwrap_or_default()
    }

    pub fn begin(&mut self, order: &Order, kin: Option<Kin>) {
        self.deadlines.insert((order.deadline, order.vm.clone()));
        kin.into_iter().for_each(|kin| *self.kin.entry(kin).or_default() += 1);
    }

    pub fn end(&mut self, order: &Order, kin: Option<Kin>) {
        if let Some(count) = kin.and_then(|kin| self.kin.get_mut(&kin)) {
            *count = count.saturating_sub(1);
        }
        self.deadlines.remove(&(order.deadline, order.vm.clone()));
        self.over.remove(&order.vm);
    }

    /// Nothing more is to be waited for.
    pub fn is_over(&mut self, vm: &VmId) {
        self.over.insert(vm.clone());
    }

    /// VMs to settle, and VMs whose time limit may be over.
    pub fn due(&self, now: Time, grace: Duration) -> impl Iterator<Item = &VmId> {
        self.over.iter().chain(self.overdue(now, grace).filter(|vm| !self.over.contains(*vm)))
    }

    /// VMs whose time limit may be over.
    pub fn overdue(&self, now: Time, grace: Duration) -> impl Iterator<Item = &VmId> {
        self.deadlines.iter().take_while(move |(deadline, _)| *deadline + grace <= now).map(|(_, vm)| vm)
    }

    /// When the next VM joins those of [`Flights::overdue`].
    pub fn next(&self, now: Time, grace: Duration) -> Option<Time> {
        self.deadlines.iter().map(|(deadline, _)| *deadline + grace).find(|at| *at > now)
    }
}
