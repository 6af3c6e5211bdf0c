//! Resources by their path: subscription, group, name, all without case.

use nightshift_domain::{Event, SubscriptionId, VmId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A group that was declared without a name.
const NAMELESS: &str = "nightshift";

/// Which VM is which resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Index {
    /// `subscription/group/name`, in lower case.
    by_path: BTreeMap<String, VmId>,
    paths: BTreeMap<VmId, String>,
}

impl Index {
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::VmRegistered { vm } | Event::VmModelChanged { vm } => {
                self.forget(&vm.id);
                let path = path(&vm.subscription, &vm.resource_group, vm.name());
                self.by_path.insert(path.clone(), vm.id.clone());
                self.paths.insert(vm.id.clone(), path);
            }
            Event::VmRemoved { vm } => self.forget(vm),
            _ => {}
        }
    }

    fn forget(&mut self, vm: &VmId) {
        if let Some(path) = self.paths.remove(vm) {
            self.by_path.remove(&path);
        }
    }

    pub(crate) fn find(&self, subscription: &SubscriptionId, group: &str, name: &str) -> Option<&VmId> {
        self.by_path.get(&path(subscription, group, name))
    }

    /// The VMs of a subscription, or of one of its groups, after the path where a page ended.
    pub(crate) fn of<'a>(
        &'a self,
        subscription: &SubscriptionId,
        group: Option<&str>,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a VmId)> {
        let prefix = prefix(subscription, group);
        let from = match after {
            Some(after) if after >= prefix.as_str() => Bound::Excluded(after.to_owned()),
            _ => Bound::Included(prefix.clone()),
        };
        let range = self.by_path.range((from, Bound::Unbounded));
        range.take_while(move |(path, _)| path.starts_with(&prefix)).map(|(path, vm)| (path.as_str(), vm))
    }

    /// Whether a page of these VMs can have ended at this path: whether it is the path of one, be it there or not any more.
    pub(crate) fn is_place(subscription: &SubscriptionId, group: Option<&str>, path: &str) -> bool {
        let within = path.strip_prefix(&prefix(subscription, None));
        let named = within.and_then(|within| within.split_once('/'));
        named.is_some_and(|(group, name)| !group.is_empty() && !name.is_empty())
            && path.starts_with(&prefix(subscription, group))
    }

    /// Every subscription that owns VMs.
    pub(crate) fn subscriptions(&self) -> Vec<SubscriptionId> {
        self.distinct(String::new()).into_iter().filter_map(|text| SubscriptionId::new(text).ok()).collect()
    }

    /// Every group of a subscription, in lower case.
    pub(crate) fn groups(&self, subscription: &SubscriptionId) -> Vec<String> {
        self.distinct(format!("{subscription}/"))
    }

    /// The next parts of all paths that begin so. Each is one look-up: what is behind it is leapt over.
    fn distinct(&self, prefix: String) -> Vec<String> {
        let mut found = Vec::new();
        let mut from = Bound::Included(prefix.clone());
        while let Some((path, _)) = self.by_path.range((from, Bound::Unbounded)).next() {
            let Some((next, _)) = path.strip_prefix(prefix.as_str()).and_then(|rest| rest.split_once('/'))
            else {
                break;
            };
            found.push(next.to_owned());
            // The character after "/": the first path that does not begin with this part.
            from = Bound::Included(format!("{prefix}{next}0"));
        }
        found
    }
}

/// How the paths begin of a subscription's VMs, or of one of its groups'.
fn prefix(subscription: &SubscriptionId, group: Option<&str>) -> String {
    let group = group.map(|group| format!("{}/", group.to_ascii_lowercase())).unwrap_or_default();
    format!("{subscription}/{group}")
}

fn path(subscription: &SubscriptionId, group: &str, name: &str) -> String {
    let group = if group.is_empty() { NAMELESS } else { group };
    format!("{subscription}/{}/{}", group.to_ascii_lowercase(), name.to_ascii_lowercase())
}
