//! A person's wish to have a machine assessed (REQUIREMENTS.md D4).

use crate::world::{actor, region, topology, vm, vm_id};
use nightshift_domain::fleet::{Feature, Fleet};
use nightshift_domain::gateway::{Gateway, Report};
use nightshift_domain::patch::Assessment;
use nightshift_domain::{Decision, Event, Fact, Mind, Partition, Time};

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

const NOON: &str = "2026-03-02T12:00:00Z";
const HALF_PAST: &str = "2026-03-02T12:30:00Z";

fn take(gateway: &mut Gateway, partition: Partition, event: Event) {
    gateway.apply(&Fact { partition, at: at(NOON), event });
}

fn agent(gateway: &mut Gateway, event: Event) {
    take(gateway, Partition::Region(region("a")), event);
}

/// One machine, with this feature registered.
fn gateway(feature: Feature) -> Gateway {
    let mut gateway = Gateway::default();
    let subscription = vm("a", 1).subscription;
    let declared =
        Fleet::default().declare(topology(&[], &["a"]), &[(subscription, feature)], vec![vm("a", 1)]);
    declared.unwrap().into_iter().for_each(|event| take(&mut gateway, Partition::Fleet, event));
    gateway
}

fn enrol(gateway: &mut Gateway) {
    let enrolled =
        Event::AgentEnrolled { vm: vm_id("a-1"), token_sha256: "aa".into(), key_sha256: "bb".into() };
    agent(gateway, enrolled);
}

#[test]
fn a_wish_is_a_fact_at_any_hour_until_the_agent_answers() {
    for answer in [Report::Assessed(Assessment::default()), Report::NotAssessed("apt is gone".into())] {
        let mut gateway = gateway(Feature::InGuestPatchVMPreview);
        enrol(&mut gateway);
        assert_eq!(gateway.open_assessment(&vm_id("a-1"), at(NOON)), None);
        let Decision { events, .. } = gateway.wish_assessment(&vm_id("a-1"), at(HALF_PAST), actor()).unwrap();
        events.into_iter().for_each(|event| agent(&mut gateway, event));
        assert_eq!(gateway.open_assessment(&vm_id("a-1"), at(NOON)), Some(at(HALF_PAST)));
        let Decision { events, .. } = gateway.report(&vm_id("a-1"), 1, answer).unwrap().unwrap();
        events.into_iter().for_each(|event| agent(&mut gateway, event));
        assert_eq!(gateway.open_assessment(&vm_id("a-1"), at(NOON)), None);
        assert_eq!(gateway.last_report(&vm_id("a-1")), 1);
    }
}

#[test]
fn a_wish_that_nobody_may_have_or_could_answer_is_refused_with_its_reason() {
    let code = |gateway: &Gateway, vm: &str| {
        gateway.wish_assessment(&vm_id(vm), at(HALF_PAST), actor()).unwrap_err().code
    };
    let mut other = gateway(Feature::InGuestAutoPatchVMPreview);
    enrol(&mut other);
    assert_eq!(code(&other, "a-1"), "FeatureNotRegistered");
    assert_eq!(code(&other, "b-1"), "VmNotFound");
    assert_eq!(code(&gateway(Feature::InGuestPatchVMPreview), "a-1"), "AgentNotEnrolled");
}
