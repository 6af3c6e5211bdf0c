//! What people have installed on single VMs, beside all rollouts: who wished it, where it is, why it waits, until when.

use crate::view::View;
use crate::views;
use nightshift_domain::explain::explain_in;
use nightshift_domain::fleet::Vm;
use nightshift_domain::on_demand::OnDemand;
use nightshift_domain::rollout::{Rollout, Status};
use nightshift_domain::{RegionName, RolloutId, Time};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;

/// Installs that are named.
const NAMED: usize = 24;

/// One that is not over.
pub(super) struct Open<'a> {
    id: &'a RolloutId,
    rollout: &'a Rollout,
    on_demand: &'a OnDemand,
    region: Option<&'a RegionName>,
    progress: api::VmProgress,
}

/// All that are not over, oldest first, of VMs that may be seen; `None` is asked of VMs that have left the fleet.
pub(super) fn open(view: &View, sees: impl Fn(Option<&Vm>) -> bool) -> Vec<Open<'_>> {
    let rollouts = view.planner.rollouts.iter();
    let mut open: Vec<Open<'_>> = rollouts
        .filter(|(_, rollout)| !matches!(rollout.status, Status::Completed { .. }))
        .filter_map(|(id, rollout)| Some((id, rollout, rollout.on_demand.as_ref()?)))
        .filter(|(_, _, on_demand)| sees(view.planner.fleet.vms.get(&on_demand.vm)))
        .filter_map(|(id, rollout, on_demand)| {
            // Where it was planned: the VM itself may be elsewhere by now.
            let region = rollout.turns().next().map(|(_, region, _)| region);
            let run = region.and_then(|region| views::run(view, id, region));
            let standing = run.and_then(|run| run.standing(&on_demand.vm));
            let progress = standing.map_or(api::VmProgress::Waiting, views::progress);
            // A VM that is settled is done with, though its turn may end a moment later.
            is_open(progress).then_some(Open { id, rollout, on_demand, region, progress })
        })
        .collect();
    open.sort_by_key(|install| (install.rollout.requested, install.id));
    open
}

fn is_open(progress: api::VmProgress) -> bool {
    matches!(progress, api::VmProgress::Waiting | api::VmProgress::InFlight | api::VmProgress::Soaking)
}

/// The first of them, explained. Only of those that are named the reason is looked for.
pub(super) fn shown(open: &[Open<'_>], view: &View, now: Time) -> Vec<api::InstallOverview> {
    open.iter().take(NAMED).map(|install| install.shown(view, now)).collect()
}

impl Open<'_> {
    fn shown(&self, view: &View, now: Time) -> api::InstallOverview {
        let Self { id, rollout, on_demand, region, progress } = self;
        let explained = explain_in(id, &on_demand.vm, &view.planner, &view.coordinator, now);
        // The last link decides.
        let reason = explained.and_then(|mut explained| explained.reasons.pop());
        let (why, until) = reason.map(|reason| (reason.sentence, reason.until)).unwrap_or_default();
        api::InstallOverview {
            rollout: id.to_string(),
            vm: on_demand.vm.to_string(),
            region: region.map(ToString::to_string).unwrap_or_default(),
            progress: (*progress).into(),
            why,
            until: until.map(timestamp),
            actor: Some((&rollout.actor).into()),
            requested_at: Some(timestamp(rollout.requested)),
            not_after: Some(timestamp(on_demand.not_after)),
            state: views::state(&rollout.status).into(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]
mod tests {
    use super::*;
    use chrono::Duration;
    use nightshift_domain::agent::InstallReport;
    use nightshift_domain::fleet::{AssessmentMode, Feature, Image, Os, PatchMode, Placement};
    use nightshift_domain::health::Baseline;
    use nightshift_domain::on_demand::InstallWish;
    use nightshift_domain::patch::{Classification, RebootSetting, RebootStatus};
    use nightshift_domain::rollout::Actor;
    use nightshift_domain::topology::{Region, Topology};
    use nightshift_domain::window::Window;
    use nightshift_domain::{Decision, Event, Fact, Mind as _, Partition, SubscriptionId, VmId};

    /// A view, and the minds that it is folded with, in one.
    struct World {
        now: Time,
        view: View,
    }

    impl World {
        /// At noon, with machines of two subscriptions in turn.
        fn new(vms: usize) -> Self {
            let mut world = Self { now: "2026-03-02T12:00:00Z".parse().unwrap(), view: View::default() };
            let here = Region {
                name: RegionName::new("here").unwrap(),
                time_zone: chrono_tz::Tz::UTC,
                pair: None,
                zones: Default::default(),
            };
            let topology = Topology::new(Window::default_off_peak(), [here]).unwrap();
            let opted_in =
                ["bank", "retail"].map(|name| (subscription(name), Feature::InGuestAutoPatchVMPreview));
            let vms = (0..vms).map(vm).collect();
            let declared = world.view.planner.declare_fleet(topology, &opted_in, vms).unwrap();
            world.take(declared);
            world.settle();
            world
        }

        fn take(&mut self, decisions: Vec<Decision>) {
            for Decision { chain, events } in decisions {
                events.into_iter().for_each(|event| self.fact(chain.partition(), event));
            }
        }

        fn fact(&mut self, partition: Partition, event: Event) {
            self.view.apply(&Fact { partition, at: self.now, event });
        }

        fn here(&mut self, event: Event) {
            self.fact(Partition::Region(RegionName::new("here").unwrap()), event);
        }

        /// Everything that follows at this moment.
        fn settle(&mut self) -> Vec<Event> {
            let mut all = Vec::new();
            loop {
                let mut decisions = self.view.planner.decide(self.now);
                decisions.extend(self.view.coordinator.decide(self.now));
                if decisions.is_empty() {
                    return all;
                }
                all.extend(decisions.iter().flat_map(|decision| decision.events.clone()));
                self.take(decisions);
            }
        }

        fn install(&mut self, id: &str, place: usize) {
            let wish = InstallWish {
                vm: name(place),
                classifications: vec![Classification::Critical],
                include: Vec::new(),
                exclude: Vec::new(),
                reboot: RebootSetting::Never,
                longest_work: Duration::minutes(60),
                within: Duration::hours(24),
            };
            let asked = self.view.planner.install(&rollout(id), &wish, actor(), self.now).unwrap();
            self.take(asked);
        }

        fn shown(&self) -> Vec<api::InstallOverview> {
            shown(&open(&self.view, |_| true), &self.view, self.now)
        }

        fn only(&self) -> api::InstallOverview {
            let mut shown = self.shown();
            assert_eq!(shown.len(), 1, "{shown:?}");
            shown.remove(0)
        }
    }

    fn subscription(name: &str) -> SubscriptionId {
        SubscriptionId::new(name).unwrap()
    }

    fn rollout(id: &str) -> RolloutId {
        RolloutId::new(id).unwrap()
    }

    fn name(place: usize) -> VmId {
        VmId::new(format!("vm-{place:02}")).unwrap()
    }

    fn actor() -> Actor {
        Actor { name: "olga".into(), reason: "it cannot wait".into() }
    }

    fn vm(place: usize) -> Vm {
        Vm {
            id: name(place),
            subscription: subscription(if place.is_multiple_of(2) { "bank" } else { "retail" }),
            resource_group: "group".into(),
            region: RegionName::new("here").unwrap(),
            placement: Placement::Standalone,
            os: Os::Linux,
            image: Image {
                publisher: "Canonical".into(),
                offer: "UbuntuServer".into(),
                sku: "18.04-LTS".into(),
            },
            patch_mode: PatchMode::AutomaticByPlatform,
            time_zone: None,
            window: None,
            automatic_updates: None,
            assessment_mode: AssessmentMode::default(),
            reboot: None,
            resource: None,
        }
    }

    #[test]
    fn an_install_is_there_from_the_wish_until_it_is_settled() {
        let mut world = World::new(2);
        assert_eq!(world.shown(), []);
        world.install("urgent", 0);
        let asked = world.only();
        assert_eq!(
            (asked.rollout.as_str(), asked.vm.as_str(), asked.region.as_str()),
            ("urgent", "vm-00", "here")
        );
        assert_eq!((asked.progress(), asked.state()), (api::VmProgress::Waiting, api::RolloutState::Running));
        assert_eq!(asked.actor.as_ref().map(|actor| actor.name.as_str()), Some("olga"));
        assert_eq!(asked.requested_at, Some(timestamp(world.now)));
        assert_eq!(asked.not_after, Some(timestamp(world.now + Duration::hours(24))));
        assert!(!asked.why.is_empty());

        world.settle();
        let night: Time = "2026-03-02T22:00:00Z".parse().unwrap();
        let waits = world.only();
        assert!(waits.why.contains("its window 22:00–06:00 (UTC) is closed"), "{}", waits.why);
        assert_eq!(waits.until, Some(timestamp(night)));

        world.now = night;
        world.settle();
        let (vm, id) = (name(0), rollout("urgent"));
        world.here(Event::WatchOpened {
            vm: vm.clone(),
            rollout: id,
            baseline: Baseline::Well,
            sample: None,
        });
        let decided = world.settle();
        let order = decided.iter().find_map(|event| match event {
            Event::OrderPlaced { order } => Some(order.id.clone()),
            _ => None,
        });
        let order = order.unwrap();
        assert_eq!(world.only().progress(), api::VmProgress::InFlight);

        let result = InstallReport {
            patches: Vec::new(),
            reboot: RebootStatus::NotNeeded,
            boot_id: "b".into(),
            window_exceeded: false,
            error: None,
        };
        world.here(Event::OrderFinished { vm: vm.clone(), report: 1, order: order.clone(), result });
        world.settle();
        assert_eq!(world.only().progress(), api::VmProgress::Soaking);

        world.here(Event::HealthConfirmed { vm, order });
        // What ends its turn and its rollout has not followed yet: it is over for whoever looks.
        let settled = world.view.coordinator.decide(world.now);
        world.take(settled);
        assert_eq!(world.shown(), []);
        world.settle();
        assert_eq!(world.shown(), []);
    }

    #[test]
    fn what_a_person_stopped_says_so_and_what_was_cancelled_is_gone() {
        let mut world = World::new(2);
        world.install("urgent", 1);
        let paused = world.view.planner.pause(&rollout("urgent"), actor()).unwrap();
        world.take(paused);
        assert_eq!(world.only().state(), api::RolloutState::Paused);
        let cancelled = world.view.planner.cancel(&rollout("urgent"), actor()).unwrap();
        world.take(cancelled);
        world.settle();
        assert_eq!(world.shown(), []);
    }

    #[test]
    fn the_oldest_that_may_be_seen_are_named_and_all_of_them_counted() {
        let mut world = World::new(30);
        for place in (0..30).rev() {
            world.install(&format!("of-{place:02}"), place);
            world.now += Duration::minutes(1);
        }
        world.settle();
        let vms = |open: &[Open<'_>]| -> Vec<String> {
            shown(open, &world.view, world.now).into_iter().map(|install| install.vm).collect()
        };
        let all = open(&world.view, |_| true);
        let oldest: Vec<String> = (6..30).rev().map(|place| name(place).to_string()).collect();
        assert_eq!((all.len(), vms(&all)), (30, oldest));
        let banks = open(&world.view, |vm| vm.is_some_and(|vm| vm.subscription == subscription("bank")));
        let oldest: Vec<String> =
            (0..30).rev().filter(|place| place % 2 == 0).map(|place| name(place).to_string()).collect();
        assert_eq!((banks.len(), vms(&banks)), (15, oldest));
    }

    #[test]
    fn an_install_on_a_machine_that_has_left_is_nobodys_in_particular() {
        let mut world = World::new(2);
        world.install("urgent", 0);
        let removed = world.view.planner.remove_vm(&name(0), None).unwrap();
        world.take(removed);
        assert_eq!(open(&world.view, |vm| vm.is_some()).len(), 0);
        let shown = world.only();
        assert_eq!((shown.region.as_str(), shown.why.as_str()), ("here", "VM \"vm-00\" is not in the fleet"));
    }
}
