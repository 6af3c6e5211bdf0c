//! The orders of a run that are not settled, found by what is due: no decision looks at each of them.

use crate::event::Order;
use crate::id::VmId;
use crate::mind::Time;
use chrono::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Which VMs are in flight.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Flights {
    /// By their orders' deadlines: no time limit ends before its order's deadline and the policy's grace.
    deadlines: BTreeSet<(Time, VmId)>,
    /// Of them, those with nothing more to wait for.
    over: BTreeSet<VmId>,
}

impl Flights {
    pub fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }

    pub fn len(&self) -> usize {
        self.deadlines.len()
    }

    pub fn begin(&mut self, order: &Order) {
        self.deadlines.insert((order.deadline, order.vm.clone()));
    }

    pub fn end(&mut self, order: &Order) {
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
