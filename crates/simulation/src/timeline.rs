//! A rollout as a picture: regions over nights, worth showing to a change board.

use crate::outcome::{Outcome, RolloutOutcome};
use chrono::{Days, NaiveDate};
use nightshift_domain::RegionName;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Phases in turn, told apart by eyes of every kind (Okabe and Ito's palette).
const COLOURS: [&str; 7] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];
const LEFT: u32 = 190;
const TOP: u32 = 92;
const ROW: u32 = 24;
const DAY: u32 = 26;

/// The timeline as an SVG document, with a title, a legend and a text for each night for those who do not see it.
pub fn svg(outcome: &Outcome) -> String {
    let phases = phases(outcome);
    let days = days(outcome);
    let rows: Vec<&RegionName> = phases.iter().map(|(region, _)| region).collect();
    let columns = u32::try_from(days.len()).unwrap_or(u32::MAX);
    let (width, height) = (LEFT + columns * DAY + 20, TOP + rows.len() as u32 * ROW + 70);
    let most = outcome.calendar.values().flat_map(BTreeMap::values).copied().max().unwrap_or(1);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"28\" font-size=\"18\" font-weight=\"600\">{}</text>\n\
         <text x=\"16\" y=\"48\" fill=\"#555\">{}</text>\n",
        title(outcome),
        title(outcome),
        summary(outcome)
    );
    for (column, day) in (0..).zip(&days) {
        let x = LEFT + column * DAY;
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" fill=\"#777\" font-size=\"10\" text-anchor=\"middle\">{}</text>",
            x + DAY / 2,
            TOP - 8,
            day.format("%d.%m")
        );
    }
    for (row, (region, phase)) in (0..).zip(&phases) {
        let y = TOP + row * ROW;
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{region}</text>\
             <line x1=\"{LEFT}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"#eee\"/>",
            LEFT - 8,
            y + 15,
            y + ROW,
            width - 20,
            y + ROW
        );
        let orders = outcome.calendar.get(region);
        for (column, day) in (0..).zip(&days) {
            let Some(count) = orders.and_then(|orders| orders.get(day)) else { continue };
            // The more machines, the taller; one machine is still seen.
            let tall = 4 + (ROW - 8) * count / most.max(1);
            let _ = writeln!(
                text,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{tall}\" rx=\"2\" fill=\"{}\">\
                 <title>{region}, {day}, phase {phase}: {count} VMs ordered</title></rect>",
                LEFT + column * DAY + 2,
                y + ROW - 2 - tall,
                DAY - 4,
                COLOURS[(*phase as usize - 1) % COLOURS.len()]
            );
        }
    }
    legend(&mut text, outcome, TOP + rows.len() as u32 * ROW + 30);
    text + "</svg>\n"
}

fn legend(text: &mut String, outcome: &Outcome, y: u32) {
    let phases = outcome.rollouts.iter().map(|rollout| rollout.phases.len()).max().unwrap_or(0);
    for phase in 0..phases {
        let x = 16 + u32::try_from(phase).unwrap_or(0) * 92;
        let colour = COLOURS[phase % COLOURS.len()];
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"14\" rx=\"2\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"{}\">phase {}</text>",
            y - 11,
            x + 20,
            y,
            phase + 1
        );
    }
    let _ = writeln!(
        text,
        "<text x=\"16\" y=\"{}\" fill=\"#777\">A bar is a night (by UTC day) on which machines of the region were \
         ordered; its height is how many.</text>",
        y + 22
    );
}

fn title(outcome: &Outcome) -> String {
    let names: Vec<String> = outcome.rollouts.iter().map(|rollout| rollout.rollout.to_string()).collect();
    format!("Rollout {}", names.join(", "))
}

fn summary(outcome: &Outcome) -> String {
    let sum = |of: fn(&RolloutOutcome) -> u32| outcome.rollouts.iter().map(of).sum::<u32>();
    format!(
        "{} VMs, {} nights: {} healthy, {} failed, {} skipped, {} deferred",
        outcome.vms,
        outcome.nights(),
        sum(|rollout| rollout.healthy),
        sum(|rollout| rollout.failed),
        sum(|rollout| rollout.skipped),
        sum(|rollout| rollout.deferred)
    )
}

/// Every region with its phase (from 1), in the order of the phases.
fn phases(outcome: &Outcome) -> Vec<(RegionName, u32)> {
    let mut phases = BTreeMap::new();
    for phase in outcome.rollouts.iter().rev().flat_map(|rollout| &rollout.phases) {
        phases.extend(phase.regions.iter().map(|region| (region.clone(), phase.number)));
    }
    let mut phases: Vec<_> = phases.into_iter().collect();
    phases.sort_by_key(|(region, phase)| (*phase, region.clone()));
    phases
}

fn days(outcome: &Outcome) -> Vec<NaiveDate> {
    let all = || outcome.calendar.values().flat_map(BTreeMap::keys).copied();
    let (Some(first), Some(last)) = (all().min(), all().max()) else { return Vec::new() };
    let count = u64::try_from((last - first).num_days()).unwrap_or(0);
    (0..=count).filter_map(|day| first.checked_add_days(Days::new(day))).collect()
}

#[cfg(test)]
mod tests {
    use crate::big::Big;
    use crate::{Faults, Tape, synthetic_fleet};
    use nightshift_domain::policy::Policy;
    use nightshift_domain::{RolloutId, Time};

    #[test]
    fn every_night_of_every_region_is_a_bar_with_its_words() {
        let start: Time = "2026-03-20T12:00:00Z".parse().unwrap();
        let fleet = synthetic_fleet(200, 6).unwrap();
        let mut world = Big::new(1, start, fleet, Faults::none(), Tape::keeping());
        world.start(&RolloutId::new("march").unwrap(), Policy::default()).unwrap();
        world.run(start + chrono::Duration::days(40), |_| {});
        let outcome = world.outcome(1);
        assert_eq!(outcome.violations(), 0, "{}", outcome.audit.unwrap());
        assert_eq!((outcome.rollouts[0].state, outcome.rollouts[0].healthy), ("passed", 200));
        let svg = super::svg(&outcome);
        let bars = outcome.calendar.values().map(|days| days.len()).sum::<usize>();
        assert_eq!(svg.matches("VMs ordered").count(), bars);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("<title>Rollout march</title>") && svg.contains("phase 1"));
    }
}
