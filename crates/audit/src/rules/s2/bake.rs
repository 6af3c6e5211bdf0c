//! What the policy's queries said of a phase's regions while it baked.

use super::Phases;
use crate::Record;
use crate::findings::Findings;
use crate::report::Rule::S2;
use nightshift_domain::policy::{During, Query};
use nightshift_domain::{Event, RegionName};

/// A wish to ask queries while a phase bakes.
pub(super) struct Watch<'a> {
    pub record: &'a Record,
    pub phase: u32,
    pub watch: u32,
    pub queries: &'a [Query],
}

impl<'a> Phases<'_, 'a> {
    /// Every query that the policy has for a bake was asked after the last region had ended, and was well in each region.
    pub(super) fn was_well_while_it_baked(&self, phase: u32, record: &'a Record, findings: &mut Findings) {
        let Some((said, policy)) = self.policy else { return };
        let asked: Vec<&Query> = policy.queries.iter().filter(|query| query.during != During::Soak).collect();
        if asked.is_empty() {
            return;
        }
        let what = format!("phase {phase} of rollout {} passes", self.rollout);
        let watch = self.watches.iter().rfind(|watch| watch.phase == phase);
        let Some(watch) = watch.filter(|watch| watch.queries.iter().eq(asked.iter().copied())) else {
            findings.collide(
                S2,
                said,
                record,
                format!("{what}, and its policy's queries were not asked while it baked"),
            );
            return;
        };
        for region in self.counted(phase) {
            let ended = self.first_turn(region).and_then(|turn| turn.ended);
            if let Some((ended, _)) = ended.filter(|(ended, _)| ended.position > watch.record.position) {
                findings.collide(
                    S2,
                    ended,
                    record,
                    format!("{what}; its queries were asked before region {region} had ended"),
                );
            }
            let answer = self.answer(region, watch.watch).filter(|answer| answer.at <= record.at);
            let is_well = answer.is_some_and(|answer| matches!(answer.event, Event::BakeConfirmed { .. }));
            findings.test(S2, is_well, answer.unwrap_or(watch.record), record, || {
                format!("{what}, and while it baked its queries were not known to be well in region {region}")
            });
        }
    }

    /// The first answer to the watch in the region.
    fn answer(&self, region: &RegionName, wanted: u32) -> Option<&'a Record> {
        let mut records = self.history.regions.get(region)?.iter().copied();
        records.find(|record| match &record.event {
            Event::BakeConfirmed { rollout, watch, .. }
            | Event::BakeFailed { rollout, watch, .. }
            | Event::BakeUnknown { rollout, watch, .. } => rollout == self.rollout && *watch == wanted,
            _ => false,
        })
    }
}
