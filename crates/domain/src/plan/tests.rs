use super::*;
use crate::fleet::{Feature, Image, Os, PatchMode, Placement, Registration, Vm};
use crate::id::{SubscriptionId, VmId};
use crate::topology::{Region, Topology};
use crate::window::Window;
use proptest::prelude::*;

/// Each region with its VMs and its pair.
fn fleet(regions: &[(&str, u32, Option<&str>)]) -> Fleet {
    let name = |text: &str| RegionName::new(text).unwrap();
    let region = |(region, _, pair): &(&str, u32, Option<&str>)| Region {
        name: name(region),
        time_zone: chrono_tz::Tz::UTC,
        pair: pair.map(name),
        zones: Default::default(),
    };
    let topology = Topology::new(Window::default_off_peak(), regions.iter().map(region)).unwrap();
    let subscription = SubscriptionId::new("sub").unwrap();
    let mut fleet = Fleet::new(topology, [], BTreeMap::new());
    fleet
        .features
        .insert((subscription.clone(), Feature::InGuestAutoPatchVMPreview), Registration::Registered);
    for (region, vms, _) in regions {
        for number in 0..*vms {
            let id = VmId::new(format!("{region}-{number:04}")).unwrap();
            let vm = Vm {
                id: id.clone(),
                subscription: subscription.clone(),
                resource_group: "rg".into(),
                region: name(region),
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
                assessment_mode: Default::default(),
                reboot: None,
                resource: None,
            };
            fleet.vms.insert(id, vm);
        }
    }
    fleet
}

fn names(plan: &[PlannedPhase]) -> Vec<Vec<&str>> {
    plan.iter().map(|phase| phase.regions.iter().map(|planned| planned.region.as_str()).collect()).collect()
}

fn canaries(names: &[&str]) -> Vec<RegionName> {
    names.iter().map(|name| RegionName::new(*name).unwrap()).collect()
}

fn why<'a>(plan: &'a [PlannedPhase], region: &str) -> &'a str {
    let mut regions = plan.iter().flat_map(|phase| &phase.regions);
    &regions.find(|planned| planned.region.as_str() == region).unwrap().why
}

#[test]
fn exposure_grows_from_the_smallest_region() {
    let fleet = fleet(&[("a", 1, None), ("b", 4, None), ("c", 15, None), ("d", 30, None), ("e", 50, None)]);
    let plan = plan(&fleet, &[1, 5, 20, 50, 100], &[]);
    assert_eq!(names(&plan), [vec!["a"], vec!["b"], vec!["c"], vec!["d"], vec!["e"]]);
    assert_eq!(why(&plan, "c"), "15 VMs: 20 % of the fleet when its phase ends, within this phase's 20 %");
}

#[test]
fn equal_regions_pass_over_the_shares_that_none_fits() {
    let fleet = fleet(&[
        ("a", 10, None),
        ("b", 10, None),
        ("c", 10, None),
        ("d", 10, None),
        ("e", 10, None),
        ("f", 10, None),
    ]);
    let plan = plan(&fleet, &[1, 5, 20, 50, 100], &[]);
    assert_eq!(names(&plan), [vec!["a"], vec!["b", "c"], vec!["d", "e", "f"]]);
    assert!(why(&plan, "a").contains("alone, though over the first share of 1 %"), "{}", why(&plan, "a"));
    assert!(why(&plan, "b").contains("50 % (no region left fitted 5 % or 20 %)"), "{}", why(&plan, "b"));
}

#[test]
fn pairs_are_kept_apart_and_the_pair_is_named() {
    // The hub is the pair of three; only its own pair is declared both ways.
    let fleet =
        fleet(&[("hub", 10, Some("a")), ("a", 11, Some("hub")), ("b", 12, Some("hub")), ("c", 13, None)]);
    let plan = plan(&fleet, &[100], &[]);
    assert_eq!(names(&plan), [vec!["hub", "c"], vec!["a", "b"]]);
    assert!(why(&plan, "b").ends_with("; not in phase 1, where its geo-pair hub is"), "{}", why(&plan, "b"));
    assert!(!why(&plan, "c").contains("geo-pair"));
}

#[test]
fn a_pair_held_back_by_a_share_phase_is_explained_too() {
    let fleet = fleet(&[("a", 1, Some("b")), ("b", 2, None), ("c", 3, None), ("d", 94, None)]);
    let plan = plan(&fleet, &[10, 50, 100], &[]);
    assert_eq!(names(&plan), [vec!["a", "c"], vec!["b"], vec!["d"]]);
    assert_eq!(
        why(&plan, "b"),
        "2 VMs: 6 % of the fleet when its phase ends, within this phase's 50 %; \
         not in phase 1, where its geo-pair a is"
    );
}

#[test]
fn canaries_go_first_in_phases_of_their_own() {
    let fleet = fleet(&[
        ("a", 1, None),
        ("b", 30, Some("c")),
        ("c", 40, None),
        ("d", 5, None),
        ("e", 90, None),
        ("empty", 0, None),
    ]);
    let plan = plan(&fleet, &[50, 100], &canaries(&["e", "c", "b", "empty", "elsewhere"]));
    assert_eq!(names(&plan), [vec!["b", "e"], vec!["c"], vec!["a", "d"]]);
    assert!(why(&plan, "e").contains("a canary"), "{}", why(&plan, "e"));
    assert!(why(&plan, "c").ends_with("not in phase 1, where its geo-pair b is"), "{}", why(&plan, "c"));
    // What the canaries touched counts: 50 % is spent.
    assert!(why(&plan, "a").contains("100 % (no region left fitted 50 %)"), "{}", why(&plan, "a"));
}

#[test]
fn a_chain_that_first_fit_would_cut_in_three_goes_in_two_phases() {
    // a - c - d - b: a and b first, then c cannot go with d.
    let fleet = fleet(&[("a", 1, Some("c")), ("b", 2, Some("d")), ("c", 3, Some("d")), ("d", 4, None)]);
    assert_eq!(names(&plan(&fleet, &[100], &[])), [vec!["a", "d"], vec!["b", "c"]]);
}

#[test]
fn nobody_eligible_makes_no_phase() {
    assert!(plan(&fleet(&[("a", 0, None)]), &[5, 100], &canaries(&["a"])).is_empty());
}

/// The fewest groups that keep pairs apart, by trying all.
fn fewest(regions: &[&RegionName], topology: &Topology) -> usize {
    fn fits(regions: &[&RegionName], topology: &Topology, groups: &mut Vec<usize>, most: usize) -> bool {
        let Some(region) = regions.get(groups.len()) else { return true };
        (0..most).any(|group| {
            let mut before = groups.iter().zip(regions);
            if before.any(|(other, name)| *other == group && topology.paired(name, region)) {
                return false;
            }
            groups.push(group);
            let all = fits(regions, topology, groups, most);
            groups.pop();
            all
        })
    }
    (0..).find(|most| fits(regions, topology, &mut Vec::new(), *most)).unwrap()
}

/// Whether following pairs from some region leads back to it after an odd number of steps above one.
fn has_odd_ring(pair: impl Fn(usize) -> Option<usize>) -> bool {
    (0..60).any(|start| {
        let next = |region: &usize| pair(*region);
        let back = std::iter::successors(pair(start), next).take(60).position(|region| region == start);
        back.is_some_and(|steps| steps % 2 == 0 && steps > 0)
    })
}

const LETTERS: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];

prop_compose! {
    /// Up to nine regions; each may name any other as its pair.
    fn any_fleet()(regions in prop::collection::vec((0_u32..40, prop::option::of(0_usize..9)), 1..=9)) -> Fleet {
        let count = regions.len();
        let region = |(index, (vms, pair)): (usize, &(u32, Option<usize>))| {
            let pair = pair.map(|pair| pair % count).filter(|pair| *pair != index);
            (LETTERS[index], *vms, pair.map(|pair| LETTERS[pair]))
        };
        fleet(&regions.iter().enumerate().map(region).collect::<Vec<_>>())
    }
}

fn any_shares() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::btree_set(1_u8..100, 0..5).prop_map(|shares| shares.into_iter().chain([100]).collect())
}

fn any_canaries() -> impl Strategy<Value = Vec<RegionName>> {
    prop::sample::subsequence(LETTERS.to_vec(), 0..4).prop_map(|names| canaries(&names))
}

fn size(phase: &PlannedPhase) -> u64 {
    phase.regions.iter().map(|region| u64::from(region.vms)).sum()
}

fn regions(phases: &[PlannedPhase]) -> Vec<&RegionName> {
    phases.iter().flat_map(|phase| &phase.regions).map(|planned| &planned.region).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn every_plan_keeps_the_rules(fleet in any_fleet(), shares in any_shares(), canaries in any_canaries()) {
        let plan = plan(&fleet, &shares, &canaries);
        prop_assert_eq!(&plan, &super::plan(&fleet, &shares, &canaries));
        let topology = &fleet.topology;

        // Every region that has VMs, once, and no pair in a phase.
        let mut placed = regions(&plan);
        placed.sort();
        let mut eligible: Vec<_> = fleet.vms.values().map(|vm| &vm.region).collect();
        eligible.sort();
        eligible.dedup();
        prop_assert_eq!(placed, eligible);
        for phase in &plan {
            prop_assert!(!phase.regions.is_empty());
            for (one, other) in phase.regions.iter().flat_map(|one| phase.regions.iter().map(move |other| (one, other))) {
                prop_assert!(!topology.paired(&one.region, &other.region));
            }
        }

        // Canaries first, by themselves, in as few phases as can be.
        let is_canary = |phase: &PlannedPhase| canaries.contains(&phase.regions[0].region);
        let (first, later) = plan.split_at(plan.iter().take_while(|phase| is_canary(phase)).count());
        prop_assert!(regions(first).iter().all(|region| canaries.contains(region)));
        prop_assert!(!regions(later).iter().any(|region| canaries.contains(region)));
        prop_assert_eq!(first.len(), fewest(&regions(first), topology));

        // The shares, in order; each region in the earliest phase that is open to it.
        let total: u64 = plan.iter().map(size).sum();
        let mut touched: u64 = first.iter().map(size).sum();
        let mut left = shares.iter().copied();
        let mut bounds = Vec::new();
        for (number, phase) in later.iter().enumerate() {
            touched += size(phase);
            let fits = |share: u8| touched * 100 <= total * u64::from(share);
            let alone = first.is_empty() && number == 0 && !fits(shares[0]);
            let share = if alone { left.next().unwrap() } else { left.find(|share| fits(*share)).unwrap_or(100) };
            if alone {
                prop_assert_eq!(phase.regions.len(), 1);
                let smallest = later.iter().flat_map(|phase| &phase.regions).map(|region| region.vms).min();
                prop_assert_eq!(Some(phase.regions[0].vms), smallest);
            } else {
                prop_assert!(fits(share));
            }
            for region in later[number + 1..].iter().flat_map(|phase| &phase.regions) {
                let paired = phase.regions.iter().find(|here| topology.paired(&here.region, &region.region));
                let too_big = (touched + u64::from(region.vms)) * 100 > total * u64::from(share);
                prop_assert!(paired.is_some() || too_big, "{:?} could be in phase {number} of {plan:?}", region.region);
                if share == 100 {
                    prop_assert!(region.why.contains("geo-pair"), "{}", region.why);
                }
            }
            bounds.push(share);
        }

        // From the last share on, as few phases as can be.
        let start = bounds.iter().position(|share| *share == 100).unwrap_or(later.len());
        prop_assert_eq!(later.len() - start, fewest(&regions(&later[start..]), topology));
        prop_assert!(start < shares.len());
    }

    #[test]
    fn sixty_regions_need_two_phases_or_three_where_there_is_an_odd_ring(
        pairs in prop::collection::vec(prop::option::weighted(0.9, 0_usize..60), 60),
    ) {
        let names: Vec<_> = (0..60).map(|number| format!("r{number:02}")).collect();
        let pair = |index: usize| pairs[index].filter(|pair| *pair != index);
        let region = |index: usize| (names[index].as_str(), 1, pair(index).map(|pair| names[pair].as_str()));
        let fleet = fleet(&(0..60).map(region).collect::<Vec<_>>());
        let phases = plan(&fleet, &[100], &[]).len();
        let fewest = if (0..60).all(|index| pair(index).is_none()) { 1 } else if has_odd_ring(pair) { 3 } else { 2 };
        prop_assert_eq!(phases, fewest);
    }

    #[test]
    fn without_shares_there_are_as_few_phases_as_the_pairs_allow(fleet in any_fleet()) {
        let plan = plan(&fleet, &[100], &[]);
        prop_assert_eq!(plan.len(), fewest(&regions(&plan), &fleet.topology));
    }
}
