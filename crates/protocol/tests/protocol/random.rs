//! Random values come back the same; random bytes never make it panic.

use crate::examples::examples;
use crate::{over_headers, seal};
use chrono::Duration;
use nightshift_domain::event::{Order, Outcome, Signature};
use nightshift_domain::fleet::{AssessmentMode, Image, Os, PatchMode, Placement, Resource, Vm};
use nightshift_domain::halt::HaltEvidence;
use nightshift_domain::layout::{Member, StepKey};
use nightshift_domain::on_demand::OnDemand;
use nightshift_domain::patch::{Blame, Classification, PatchTally, RebootSetting};
use nightshift_domain::policy::{Budgets, Policy};
use nightshift_domain::rollout::{Actor, Tally};
use nightshift_domain::selection::{Mask, PackageVersion, Selection};
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;
use nightshift_domain::{Event, Partition, Time};
use nightshift_protocol::convert::{time, timestamp};
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::events::v1 as wire;
use nightshift_protocol::json::event_json;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Any identifier, of whichever kind is asked for.
fn id<T: TryFrom<String, Error: std::fmt::Debug> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?".prop_map(|text| T::try_from(text).unwrap())
}

/// Any moment that a protobuf Timestamp has in JSON: of the years 1 to 9999, to the nanosecond.
fn moment() -> impl Strategy<Value = Time> {
    let second = |text: &str| text.parse::<Time>().unwrap().timestamp();
    (second("0001-01-01T00:00:00Z")..=second("9999-12-31T23:59:59Z"), 0_u32..1_000_000_000)
        .prop_map(|(s, n)| Time::from_timestamp(s, n).unwrap())
}

fn window() -> impl Strategy<Value = Window> {
    let text = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    (0_u32..1_440, 1_u32..1_440)
        .prop_map(move |(start, long)| Window::parse(&text(start), &text((start + long) % 1_440)).unwrap())
}

fn time_zone() -> impl Strategy<Value = chrono_tz::Tz> {
    select(chrono_tz::TZ_VARIANTS.to_vec())
}

fn placement() -> impl Strategy<Value = Placement> {
    prop_oneof![
        id().prop_map(Placement::Zone),
        (id(), any::<u8>())
            .prop_map(|(set, update_domain)| Placement::AvailabilitySet { set, update_domain }),
        Just(Placement::Standalone),
    ]
}

fn vm() -> impl Strategy<Value = Vm> {
    use PatchMode::{AutomaticByOS, AutomaticByPlatform, ImageDefault, Manual};
    let image = any::<(String, String, String)>();
    let image = image.prop_map(|(publisher, offer, sku)| Image { publisher, offer, sku });
    let os = select(vec![Os::Linux, Os::Windows]);
    let patch_mode = select(vec![AutomaticByPlatform, AutomaticByOS, Manual, ImageDefault]);
    let who = (id(), id(), any::<String>(), id(), placement());
    let assessed = select(vec![AssessmentMode::AutomaticByPlatform, AssessmentMode::ImageDefault]);
    let resource = any::<(String, String)>().prop_map(|(name, body)| Resource { name, body });
    let reboot = select(vec![RebootSetting::IfRequired, RebootSetting::Never, RebootSetting::Always]);
    let own =
        (option::of(time_zone()), option::of(window()), assessed, option::of(reboot), option::of(resource));
    let what = (os, image, patch_mode, own);
    (who, what).prop_map(|(who, what)| {
        let (id, subscription, resource_group, region, placement) = who;
        let (os, image, patch_mode, (time_zone, window, assessment_mode, reboot, resource)) = what;
        let automatic_updates = None;
        Vm {
            id,
            subscription,
            resource_group,
            region,
            placement,
            os,
            image,
            patch_mode,
            time_zone,
            window,
            automatic_updates,
            assessment_mode,
            reboot,
            resource,
        }
    })
}

fn topology() -> impl Strategy<Value = Topology> {
    let region = (id(), time_zone(), proptest::collection::btree_set(id(), 0..4))
        .prop_map(|(name, time_zone, zones)| Region { name, time_zone, pair: None, zones });
    (window(), vec(region, 0..5)).prop_map(|(window, regions)| {
        let mut topology = Topology::new(window, regions).unwrap();
        // Each names the first as its pair, and the first the last: pairs of a topology are of that topology.
        let names: Vec<_> = topology.regions.keys().cloned().collect();
        for region in topology.regions.values_mut() {
            region.pair = names.iter().rev().find(|name| **name != region.name).cloned();
        }
        topology
    })
}

fn seconds() -> impl Strategy<Value = Duration> {
    // The longest that chrono holds, in whole seconds.
    (-(i64::MAX / 1_000)..=i64::MAX / 1_000).prop_map(Duration::seconds)
}

fn policy() -> impl Strategy<Value = Policy> {
    let shares = (vec(any::<u8>(), 0..6), any::<u8>(), any::<u8>(), any::<u32>(), vec(mask(), 0..3));
    (shares, seconds(), seconds(), seconds(), seconds(), seconds()).prop_map(
        |(shares, soak, bake, longest_work, grace, silence)| {
            let (phase_shares, batch_percent, percent, vms, include) = shares;
            Policy {
                phase_shares,
                batch_percent,
                soak,
                bake,
                longest_work,
                grace,
                silence,
                budgets: Budgets::all(percent, vms),
                max_in_flight: Some(vms),
                deadline_days: vms,
                retry_nights: vms,
                include,
                ..Policy::default()
            }
        },
    )
}

fn order() -> impl Strategy<Value = Order> {
    use Classification::{Critical, Other, Security};
    let reboot = select(vec![RebootSetting::IfRequired, RebootSetting::Never, RebootSetting::Always]);
    let classifications = vec(select(vec![Critical, Security, Other]), 0..4);
    let certified = option::of(vec(package(), 0..4));
    let selection = (classifications, vec(mask(), 0..3), vec(mask(), 0..3), certified, vec(package(), 0..3));
    let selection = selection.prop_map(|(classifications, include, exclude, certified, barred)| Selection {
        classifications,
        include,
        exclude,
        certified,
        barred,
    });
    let signature = option::of(any::<(String, Vec<u8>)>().prop_map(|(key, value)| Signature { key, value }));
    (id(), id(), id(), moment(), moment(), reboot, selection, signature).prop_map(
        |(id, rollout, vm, not_after, deadline, reboot, selection, signature)| Order {
            id,
            rollout,
            vm,
            not_after,
            deadline,
            reboot,
            selection,
            signature,
        },
    )
}

fn mask() -> impl Strategy<Value = Mask> {
    "[!-~]{1,128}".prop_map(|text| Mask::new(text).unwrap())
}

fn package() -> impl Strategy<Value = PackageVersion> {
    any::<(String, String)>().prop_map(|(name, version)| PackageVersion { name, version })
}

fn blame() -> impl Strategy<Value = Blame> {
    (package(), any::<bool>()).prop_map(|(patch, direct)| Blame { patch, direct })
}

fn member() -> impl Strategy<Value = Member> {
    (id(), id(), placement(), window(), time_zone()).prop_map(
        |(vm, subscription, placement, window, time_zone)| Member {
            vm,
            subscription,
            placement,
            window,
            time_zone,
        },
    )
}

fn step() -> impl Strategy<Value = StepKey> {
    prop_oneof![
        (id(), any::<u8>()).prop_map(|(set, update_domain)| StepKey::UpdateDomain { set, update_domain }),
        any::<u32>().prop_map(StepKey::Batch),
        (id(), any::<u32>()).prop_map(|(zone, batch)| StepKey::ZoneBatch { zone, batch }),
    ]
}

fn tally() -> impl Strategy<Value = Tally> {
    any::<[u32; 4]>().prop_map(|[healthy, failed, skipped, deferred]| Tally {
        healthy,
        failed,
        skipped,
        deferred,
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Healthy), any::<String>().prop_map(|why| Outcome::Failed { why })]
}

/// Events whose fields have the most room.
fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        topology().prop_map(|topology| Event::TopologyDeclared { topology }),
        vm().prop_map(|vm| Event::VmModelChanged { vm }),
        (id(), policy(), ".+", any::<String>(), option::of((id(), moment()))).prop_map(
            |(rollout, policy, name, reason, on_demand)| {
                let on_demand = on_demand.map(|(vm, not_after)| OnDemand { vm, not_after });
                Event::RolloutRequested { rollout, policy, actor: Actor { name, reason }, on_demand }
            }
        ),
        (id(), any::<u32>(), option::of(id()), any::<String>()).prop_map(|(rollout, phase, region, why)| {
            let evidence = HaltEvidence { failed: phase, ..HaltEvidence::default() };
            Event::RolloutHalted { rollout, phase, region, why, evidence }
        }),
        (id(), vec(member(), 0..5)).prop_map(|(rollout, members)| Event::RunEnlisted { rollout, members }),
        (id(), step(), vec(id(), 0..5)).prop_map(|(rollout, step, vms)| Event::StepStarted {
            rollout,
            step,
            vms
        }),
        (id(), step(), tally(), package()).prop_map(|(rollout, step, tally, patch)| {
            let patches = vec![PatchTally { patch, healthy: tally.healthy, failed: tally.failed }];
            Event::StepEnded { rollout, step, tally, patches }
        }),
        order().prop_map(|order| Event::OrderPlaced { order }),
        (id(), id(), id(), outcome(), vec(blame(), 0..3)).prop_map(
            |(rollout, vm, order, outcome, blamed)| Event::VmSettled { rollout, vm, order, outcome, blamed }
        ),
    ]
}

/// Everything that can be asked of an envelope, whatever is in it.
fn look_at(envelope: &Envelope) {
    drop((envelope.fact(), envelope.chain(), event_json(envelope), envelope.hash(), envelope.headers()));
    // What was read once is read again and hashes alike.
    let again = Envelope::decode(&envelope.encode()).unwrap();
    assert_eq!((again.hash(), &again), (envelope.hash(), envelope));
}

proptest! {
    #[test]
    fn any_event_at_any_time_comes_back_the_same(event in event(), at in moment(), region in id()) {
        let partition = Partition::Region(region);
        let sealed = Envelope { time: at, ..seal(&partition, &event) };
        for came_back in [Envelope::decode(&sealed.encode()).unwrap(), over_headers(&sealed)] {
            prop_assert_eq!(&came_back, &sealed);
            prop_assert_eq!(came_back.hash(), sealed.hash());
            prop_assert_eq!(&came_back.fact().unwrap().event, &event);
        }
    }

    #[test]
    fn any_event_comes_back_from_json_the_same(event in event()) {
        let on_the_wire = wire::Event::from(&event);
        let json = serde_json::to_string(&on_the_wire).unwrap();
        prop_assert_eq!(serde_json::from_str::<wire::Event>(&json).unwrap(), on_the_wire);
    }

    #[test]
    fn any_moment_comes_back_to_the_nanosecond(at in moment()) {
        prop_assert_eq!(time(Some(timestamp(at)), "at").unwrap(), at);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        if let Ok(envelope) = Envelope::decode(&bytes) {
            look_at(&envelope);
        }
        let (partition, event) = examples().remove(0);
        look_at(&Envelope { data: bytes, ..seal(&partition, &event) });
    }

    /// Damaged goods get further than noise does: most of an envelope is as it should be.
    #[test]
    fn no_damage_makes_it_panic(
        which in 0..examples().len(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        in_data: bool,
    ) {
        let (partition, event) = examples().swap_remove(which);
        let sealed = seal(&partition, &event);
        let mut bytes = if in_data { sealed.data.clone() } else { sealed.encode() };
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if in_data {
            look_at(&Envelope { data: bytes, ..sealed });
        } else if let Ok(envelope) = Envelope::decode(&bytes) {
            look_at(&envelope);
        }
    }

    #[test]
    fn no_subject_makes_it_panic(subject: String) {
        let (partition, event) = examples().remove(0);
        look_at(&Envelope { subject, ..seal(&partition, &event) });
    }

    #[test]
    fn no_headers_make_it_panic(values in vec(any::<String>(), 8)) {
        let get = |name: &str| match name {
            "ce-specversion" => Some("1.0".to_owned()),
            "ce-datacontenttype" => Some("application/protobuf".to_owned()),
            other => values.get(other.len() % values.len()).cloned(),
        };
        drop(Envelope::from_headers(get, Vec::new()));
    }
}
