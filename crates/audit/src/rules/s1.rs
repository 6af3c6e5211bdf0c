//! S1: no two geo-paired regions have VMs in flight at the same time; the turns see to it (DESIGN.md, idea 4).

use crate::Record;
use crate::findings::Findings;
use crate::fleet::paired_in;
use crate::flight::{Airborne, Flight};
use crate::history::History;
use crate::report::Rule::S1;
use nightshift_domain::topology::Topology;
use nightshift_domain::{Event, RegionName, RolloutId};
use std::collections::BTreeMap;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    flights_of_pairs(history, findings);
    flights_in_turns(history, findings);
    rounds_in_turns(history, findings);
    turns_of_pairs(history, findings);
}

enum Moment<'f, 'a> {
    Ends(&'f Flight<'a>),
    /// A topology comes into force; with the one before it, if any.
    Declared(Option<&'a Topology>, &'a Topology),
    Begins(&'f Flight<'a>),
}

impl Moment<'_, '_> {
    /// The order within one moment. A flight is over in the moment in which it is settled.
    fn rank(&self) -> u8 {
        match self {
            Moment::Ends(_) => 0,
            Moment::Declared(..) => 1,
            Moment::Begins(_) => 2,
        }
    }
}

/// By time, for the pair's events are in another partition: where a flight begins, and where a new topology makes
/// a pair of two regions, nothing is in flight in the other region.
fn flights_of_pairs(history: &History<'_>, findings: &mut Findings) {
    let mut moments = Vec::new();
    let mut before = None;
    for version in history.fleet.topology.lasting() {
        moments.push((version.from, Moment::Declared(before, version.value)));
        before = Some(version.value);
    }
    for flight in history.all_flights() {
        moments.push((flight.placed.at, Moment::Begins(flight)));
        moments.extend(flight.settled.map(|settled| (settled.at, Moment::Ends(flight))));
    }
    moments.sort_by_key(|(at, moment)| (*at, moment.rank()));

    let mut airborne = Airborne::none();
    for (at, moment) in moments {
        match moment {
            Moment::Ends(flight) => airborne.ends(&flight.region, flight),
            Moment::Declared(before, topology) => {
                let regions: Vec<_> = airborne.first_of_each().collect();
                for (index, (one, first)) in regions.iter().enumerate() {
                    for (other, second) in &regions[index + 1..] {
                        let already = before.is_some_and(|before| paired_in(before, one, other));
                        if !already && paired_in(topology, one, other) {
                            let (first, second) = in_order(first, second);
                            let sentence = format!(
                                "{one} and {other} became geo-paired at {at} with VMs of both in flight"
                            );
                            findings.collide(S1, first.placed, second.placed, sentence);
                        }
                    }
                }
            }
            Moment::Begins(flight) => {
                findings.tested(S1);
                for (region, other) in airborne.beside(&flight.region) {
                    if history.fleet.paired(region, flight.region, at) {
                        let sentence = format!(
                            "VM {} of region {} is ordered while VM {} of its geo-pair {region} is in flight",
                            flight.order.vm, flight.region, other.order.vm
                        );
                        findings.collide(S1, other.placed, flight.placed, sentence);
                    }
                }
                // One that is settled in the moment of its order has ended before it began, and keeps nobody waiting.
                if flight.settled.is_none_or(|settled| settled.at > at) {
                    airborne.begins(flight.region, flight);
                }
            }
        }
    }
}

fn in_order<'f, 'a>(one: &'f Flight<'a>, other: &'f Flight<'a>) -> (&'f Flight<'a>, &'f Flight<'a>) {
    if one.placed.at <= other.placed.at { (one, other) } else { (other, one) }
}

/// By time, for turns are in another partition: a flight begins in a turn of its rollout in its region, and does not
/// outlast it.
fn flights_in_turns(history: &History<'_>, findings: &mut Findings) {
    for flight in history.all_flights() {
        let (rollout, region, vm) = (&flight.order.rollout, flight.region, &flight.order.vm);
        let turns = history.rollouts.get(rollout).map_or(&[][..], |rollout| rollout.turns(region));
        let Some(turn) = turns.iter().rfind(|turn| turn.holds(flight.placed.at)) else {
            let earlier = turns.iter().rfind(|turn| turn.granted.at < flight.placed.at);
            let run = history.runs.get(region, rollout);
            let started = run.and_then(|run| run.round_at(flight.placed.position)).map(|round| round.started);
            let first = earlier.and_then(|turn| turn.ended).or(started).unwrap_or(flight.placed);
            findings.test(S1, false, first, flight.placed, || {
                format!("VM {vm} is ordered while rollout {rollout} holds no turn in region {region}")
            });
            continue;
        };
        let outlasted = turn.ended.filter(|ended| flight.settled.is_none_or(|settled| settled.at > ended.at));
        findings.test(S1, outlasted.is_none(), flight.placed, outlasted.unwrap_or(flight.placed), || {
            format!("the turn of region {region} ends while VM {vm} is in flight")
        });
    }
}

/// By time: each round of a run is in the turn that was granted for it, and the turn ends only when the run said that
/// its round is completed.
fn rounds_in_turns(history: &History<'_>, findings: &mut Findings) {
    for (region, rollout, run) in history.runs.all() {
        let turns = history.rollouts.get(rollout).map_or(&[][..], |rollout| rollout.turns(region));
        for round in &run.rounds {
            let (phase, number) = (round.phase, round.number);
            let of_round = || turns.iter().filter(|turn| (turn.phase, turn.round) == (phase, number));
            let held = of_round().any(|turn| turn.holds(round.started.at));
            let turn = of_round().next_back().or(turns.last());
            let first = turn.map_or(round.started, |turn| turn.ended.unwrap_or(turn.granted));
            findings.test(S1, held, first, round.started, || {
                format!(
                    "the run of rollout {rollout} in region {region} starts round {number} out of its turn"
                )
            });
        }
        for turn in turns {
            let Some(ended) = turn.ended else { continue };
            let round = run.rounds.iter().rfind(|round| round.number == turn.round);
            let over = round.is_none_or(|round| round.completed.is_some_and(|done| done.at <= ended.at));
            let first = round.map_or(turn.granted, |round| round.completed.unwrap_or(round.started));
            findings.test(S1, over, first, ended, || {
                let number = turn.round;
                format!(
                    "the turn of region {region} ends before round {number} of rollout {rollout} is completed"
                )
            });
        }
    }
}

/// By position: a region is granted a turn only while its pair holds none, of whatever rollout.
fn turns_of_pairs(history: &History<'_>, findings: &mut Findings) {
    let mut open = BTreeMap::<(&RegionName, &RolloutId), &Record>::new();
    for record in &history.rollout {
        match &record.event {
            Event::TurnGranted { rollout, region, .. } => {
                findings.tested(S1);
                for ((other, of), granted) in &open {
                    if history.fleet.paired(region, other, record.at) {
                        let sentence = format!(
                            "region {region} is granted a turn while its geo-pair {other} holds one of rollout {of}"
                        );
                        findings.collide(S1, granted, record, sentence);
                    }
                }
                open.insert((region, rollout), record);
            }
            Event::TurnEnded { rollout, region, .. } => {
                open.remove(&(region, rollout));
            }
            _ => {}
        }
    }
}
