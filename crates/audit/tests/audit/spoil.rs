//! The means to spoil a story. An event is named by its label (see `labels`); the first that bears it is meant.

use crate::labels::label;
use crate::story::Story;
use chrono::Duration;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::event::{Order, Outcome};
use nightshift_domain::fleet::Vm;
use nightshift_domain::layout::Member;
use nightshift_domain::policy::Policy;
use nightshift_domain::{Event, Partition, Time};

impl Story {
    fn find(&self, wanted: &str) -> usize {
        let found = self.entries.iter().position(|(.., event)| label(event) == wanted);
        found.unwrap_or_else(|| panic!("no {wanted} in the story"))
    }

    /// From here on the tallies are as they are told.
    pub fn as_told(&mut self) {
        crate::count::count(&mut self.entries);
        self.tallies_as_told = true;
    }

    /// A new event of the fleet, at the time of another.
    pub fn tell_fleet_at(&mut self, anchor: &str, event: Event) {
        self.entries.push((Partition::Fleet, self.time(anchor), event));
    }

    /// The log ends with this event.
    pub fn cut_after(&mut self, last: &str) {
        let index = self.find(last);
        self.entries.truncate(index + 1);
    }

    /// Removes the last of several with the same label.
    pub fn remove_last(&mut self, wanted: &str) {
        let found = self.entries.iter().rposition(|(.., event)| label(event) == wanted);
        self.entries.remove(found.unwrap_or_else(|| panic!("no {wanted} in the story")));
    }

    pub fn remove(&mut self, wanted: &str) {
        self.entries.remove(self.find(wanted));
    }

    pub fn edit(&mut self, wanted: &str, change: impl FnOnce(&mut Event)) {
        let index = self.find(wanted);
        change(&mut self.entries[index].2);
    }

    /// The event happens so many minutes later; its place stays.
    pub fn delay(&mut self, wanted: &str, minutes: i64) {
        self.delay_by(wanted, Duration::minutes(minutes));
    }

    /// The event happens so much later; its place stays.
    pub fn delay_by(&mut self, wanted: &str, by: Duration) {
        let index = self.find(wanted);
        self.entries[index].1 += by;
        if let Event::OrderAccepted { began, .. } = &mut self.entries[index].2 {
            *began += by;
        }
    }

    /// When the event happens.
    pub fn time(&self, wanted: &str) -> Time {
        self.entries[self.find(wanted)].1
    }

    /// The event takes the place before another; its time stays.
    pub fn move_before(&mut self, wanted: &str, anchor: &str) {
        let entry = self.entries.remove(self.find(wanted));
        self.entries.insert(self.find(anchor), entry);
    }

    /// The event takes the place after another; its time stays.
    pub fn move_after(&mut self, wanted: &str, anchor: &str) {
        let entry = self.entries.remove(self.find(wanted));
        self.entries.insert(self.find(anchor) + 1, entry);
    }

    /// A new event, in the place and at the time of another, before it.
    pub fn insert_before(&mut self, anchor: &str, event: Event) {
        let index = self.find(anchor);
        let (partition, at, _) = &self.entries[index];
        self.entries.insert(index, (partition.clone(), *at, event));
    }

    /// New events, at the time of another, after it, in their order.
    pub fn insert_after(&mut self, anchor: &str, events: impl IntoIterator<Item = Event>) {
        let index = self.find(anchor);
        let (partition, at, _) = self.entries[index].clone();
        let entries: Vec<_> = events.into_iter().map(|event| (partition.clone(), at, event)).collect();
        self.entries.splice(index + 1..index + 1, entries);
    }

    /// The event, to be told again.
    pub fn copy(&self, wanted: &str) -> Event {
        self.entries[self.find(wanted)].2.clone()
    }

    /// Changes what was registered of a VM.
    pub fn model(&mut self, vm: &str, change: impl FnOnce(&mut Vm)) {
        self.edit(&format!("VmRegistered {vm}"), |event| {
            let Event::VmRegistered { vm } = event else { unreachable!() };
            change(vm);
        });
    }

    /// Changes what a run noted of a VM.
    pub fn member(&mut self, run: &str, vm: &str, change: impl FnOnce(&mut Member)) {
        self.edit(&format!("RunEnlisted {run}"), |event| {
            let Event::RunEnlisted { members, .. } = event else { unreachable!() };
            change(members.iter_mut().find(|member| member.vm.as_str() == vm).unwrap());
        });
    }

    /// Changes a VM's order.
    pub fn order(&mut self, vm: &str, change: impl FnOnce(&mut Order)) {
        self.edit(&format!("OrderPlaced {vm}"), |event| {
            let Event::OrderPlaced { order } = event else { unreachable!() };
            change(order);
        });
    }

    /// Changes what a VM's agent reported of its order.
    pub fn result(&mut self, vm: &str, change: impl FnOnce(&mut InstallReport)) {
        self.edit(&format!("OrderFinished {vm}"), |event| {
            let Event::OrderFinished { result, .. } = event else { unreachable!() };
            change(result);
        });
    }

    /// A VM's order ends badly.
    pub fn fails(&mut self, vm: &str) {
        self.edit(&format!("VmSettled {vm}"), |event| {
            let Event::VmSettled { outcome, .. } = event else { unreachable!() };
            *outcome = Outcome::Failed { why: "it is ill".into() };
        });
    }

    /// Changes the policy that was asked for, and that the runs took up.
    pub fn policy(&mut self, change: impl Fn(&mut Policy)) {
        for (.., event) in &mut self.entries {
            if let Event::RolloutRequested { policy, .. } | Event::RunStarted { policy, .. } = event {
                change(policy);
            }
        }
    }
}
