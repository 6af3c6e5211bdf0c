//! A region as cells: how many VMs of each step stand where. However large the region is, there are few of them.

use nightshift_domain::fleet::Fleet;
use nightshift_domain::layout::{Member, Stage, stages};
use nightshift_domain::run::{Run, Standing};
use nightshift_domain::{RegionName, VmId};
use nightshift_protocol::api::v1 as api;
use std::collections::BTreeMap;

/// A region has no more cells than this, or one for each stage.
const MOST: usize = 48;

/// How many VMs stand where, in the order of `VmProgress` from WAITING.
pub(super) type Counts = [u32; 7];

/// One step, as far as cells need it.
struct Piece {
    stage: String,
    open: bool,
    stage_ended: bool,
    lane: usize,
    name: String,
    counts: Counts,
    started: bool,
    ended: bool,
}

/// The cells of a region's run, and the sum over them.
pub(super) fn of_run(
    run: &Run,
    progress: impl Fn(&Standing) -> api::VmProgress,
) -> (Vec<api::StageOverview>, Counts) {
    let open = run.current_stage();
    let pieces = run.parts().map(|part| {
        let mut counts = Counts::default();
        for standing in part.step.vms.iter().filter_map(|vm| run.standing(vm)) {
            count(&mut counts, progress(standing));
        }
        Piece {
            stage: part.stage.to_string(),
            open: open == Some(part.stage),
            stage_ended: run.has_ended(part.stage),
            lane: part.lane,
            name: part.step.key.to_string(),
            counts,
            started: part.started,
            ended: part.ended,
        }
    });
    let pieces: Vec<Piece> = pieces.collect();
    let mut all = Counts::default();
    // Members of earlier rounds, who are in no step of this one, count as well.
    run.standings().for_each(|(_, standing)| count(&mut all, progress(standing)));
    (fold(pieces), all)
}

/// The cells that a region would have if its run began now.
pub(super) fn as_planned(members: &[Member], batch_percent: u8) -> (Vec<api::StageOverview>, Counts) {
    let cut = stages(members, batch_percent);
    let piece = |stage: &Stage, lane: usize, name: String, vms: &[VmId]| Piece {
        stage: stage.key.to_string(),
        open: false,
        stage_ended: false,
        lane,
        name,
        counts: [u32::try_from(vms.len()).unwrap_or(u32::MAX), 0, 0, 0, 0, 0, 0],
        started: false,
        ended: false,
    };
    let mut pieces = Vec::new();
    for stage in &cut {
        for (lane, steps) in stage.lanes.iter().enumerate() {
            pieces.extend(steps.iter().map(|step| piece(stage, lane, step.key.to_string(), &step.vms)));
        }
    }
    let mut all = Counts::default();
    pieces.iter().for_each(|piece| add(&mut all, &piece.counts));
    (fold(pieces), all)
}

/// Every region's members, in one pass over the fleet.
pub(super) fn members(fleet: &Fleet) -> BTreeMap<RegionName, Vec<Member>> {
    let mut members: BTreeMap<RegionName, Vec<Member>> = BTreeMap::new();
    for vm in fleet.vms.values().filter(|vm| fleet.ineligible(vm).is_none()) {
        if let Some(member) = Member::of(vm, fleet) {
            members.entry(vm.region.clone()).or_default().push(member);
        }
    }
    members
}

/// Steps become cells; too many steps become a cell for each lane, too many lanes one for each stage.
fn fold(pieces: Vec<Piece>) -> Vec<api::StageOverview> {
    let lanes = count_distinct(&pieces, |piece| (piece.stage.clone(), piece.lane));
    let key = |piece: &Piece| match (pieces.len() <= MOST, lanes <= MOST) {
        (true, _) => piece.name.clone(),
        (false, true) => lane_name(piece),
        (false, false) => piece.stage.clone(),
    };
    let mut stages: Vec<api::StageOverview> = Vec::new();
    for piece in &pieces {
        if stages.last().is_none_or(|stage| stage.stage != piece.stage) {
            let stage = piece.stage.clone();
            stages.push(api::StageOverview {
                stage,
                open: piece.open,
                ended: piece.stage_ended,
                cells: Vec::new(),
            });
        }
        let Some(stage) = stages.last_mut() else { continue };
        let name = key(piece);
        match stage.cells.iter_mut().rev().find(|cell| cell.name == name) {
            Some(cell) => {
                cell.counts.iter_mut().zip(&piece.counts).for_each(|(sum, more)| *sum += more);
                cell.started |= piece.started;
                cell.ended &= piece.ended;
            }
            None => stage.cells.push(api::Cell {
                name,
                counts: piece.counts.to_vec(),
                started: piece.started,
                ended: piece.ended,
            }),
        }
    }
    stages
}

/// What the steps of a lane have in common: the availability set, or that they are batches.
fn lane_name(piece: &Piece) -> String {
    match piece.name.rsplit_once('/') {
        Some((lane, _)) => lane.to_owned(),
        None => "batches".to_owned(),
    }
}

fn count_distinct<K: Ord>(pieces: &[Piece], key: impl Fn(&Piece) -> K) -> usize {
    pieces.iter().map(key).collect::<std::collections::BTreeSet<_>>().len()
}

fn count(counts: &mut Counts, progress: api::VmProgress) {
    // WAITING is 1; a standing is never unspecified.
    let place = usize::try_from(progress as i32 - 1).unwrap_or(0);
    if let Some(count) = counts.get_mut(place) {
        *count += 1;
    }
}

/// Adds counts up.
pub(super) fn add(sum: &mut Counts, more: &[u32]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]
mod tests {
    use super::*;

    fn piece(stage: &str, lane: usize, name: String) -> Piece {
        Piece {
            stage: stage.into(),
            open: false,
            stage_ended: false,
            lane,
            name,
            counts: [1, 0, 0, 2, 0, 0, 0],
            started: true,
            ended: true,
        }
    }

    #[test]
    fn few_steps_are_a_cell_each_in_their_stage() {
        let pieces = vec![
            piece("zone 1", 0, "zone 1/batch 1".into()),
            piece("zone 1", 0, "zone 1/batch 2".into()),
            piece("outside zones", 0, "set/update domain 0".into()),
        ];
        let stages = fold(pieces);
        let cells = |stage: usize| stages[stage].cells.iter().map(|cell| cell.name.as_str()).collect();
        let (first, second): (Vec<&str>, Vec<&str>) = (cells(0), cells(1));
        assert_eq!(first, ["zone 1/batch 1", "zone 1/batch 2"]);
        assert_eq!(second, ["set/update domain 0"]);
        assert_eq!(stages[0].cells[0].counts, [1, 0, 0, 2, 0, 0, 0]);
    }

    #[test]
    fn many_steps_are_a_cell_for_each_set_and_nobody_is_lost() {
        let mut pieces: Vec<Piece> = (0..40)
            .flat_map(|set| (0..3).map(move |ud| (set, ud)))
            .map(|(set, ud)| piece("outside zones", set, format!("set-{set}/update domain {ud}")))
            .collect();
        pieces[1].ended = false;
        let stages = fold(pieces);
        assert_eq!(stages[0].cells.len(), 40);
        assert_eq!(stages[0].cells[0].name, "set-0");
        assert_eq!(stages[0].cells[0].counts, [3, 0, 0, 6, 0, 0, 0]);
        assert!(!stages[0].cells[0].ended, "a cell has ended when all of it has");
        assert!(stages[0].cells[1].ended);
    }

    #[test]
    fn very_many_sets_are_one_cell_for_the_stage() {
        let pieces = (0..1_000).map(|set| piece("outside zones", set, format!("set-{set}/update domain 0")));
        let stages = fold(pieces.collect());
        assert_eq!(stages[0].cells.len(), 1);
        assert_eq!(stages[0].cells[0].counts[3], 2_000);
    }
}
