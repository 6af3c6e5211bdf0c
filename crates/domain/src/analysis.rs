//! Analysis: whether a patch does harm, by comparing machines that have it with machines of the same phase that do not yet.
//!
//! The rule. While machines of a region soak, some that wait for their patch are watched for as long, by the same
//! signals: the controls. After each step, and once more at the phase's gate over all its regions, Fisher's exact test asks
//! how likely so many of the ill would be among the patched if the patch made no difference.
//!
//! 1. *Harm*: at least `failures` patched machines fell ill, and the chance is below the level of this look. The k-th
//!    look of a region's round has `percent` / k(k+1): however many looks there are, together they raise a false alarm
//!    with at most `percent` (the levels sum to it). The gate looks once, with the whole `percent`.
//! 2. *Outage*: at least `failures` controls fell ill, at a rate of at least half the patched ones', and the test does not
//!    find the patched worse off at one in twenty: it is not the patch.
//! 3. Else nothing is told, and the failure budgets decide alone, as they do in any case.

use crate::fisher::chance;
use crate::id::OrderId;
use serde::{Deserialize, Serialize};

/// What the names of samples of controls begin with: no order's does.
pub(crate) const SAMPLE: &str = "controls-";

/// Whether a verdict told of this order is one on a control.
pub fn is_sample(order: &OrderId) -> bool {
    order.as_str().starts_with(SAMPLE)
}

/// What an analysis asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Analysis {
    /// How often a harmless patch may halt a region's round, or a phase's gate, in percent.
    pub percent: u8,
    /// Machines that are watched beside those that soak, at a time, in a region.
    pub controls: u32,
    /// As many patched machines must have fallen ill, or as many controls for an outage.
    pub failures: u32,
}

impl Default for Analysis {
    fn default() -> Self {
        Self { percent: 1, controls: 20, failures: 3 }
    }
}

/// Patched machines beside controls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Comparison {
    /// Patched machines that fell ill or silent in their soak. One whose installation failed is none of them.
    pub patched_ill: u32,
    /// Patched machines that were well through it.
    pub patched_well: u32,
    /// Controls, well when they were chosen, that fell ill or silent.
    pub control_ill: u32,
    /// Controls that stayed well.
    pub control_well: u32,
}

/// What a comparison tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// Nothing yet.
    Undecided,
    /// The patch does harm.
    Harm,
    /// Machines fall ill with the patch and without it.
    Outage,
}

/// Of the test that the patched are not worse off, for an outage.
const NO_WORSE: f64 = 0.05;

impl Comparison {
    /// The chance of so many ill among the patched, if the patch made no difference.
    pub fn chance(&self) -> f64 {
        chance(self.patched_ill, self.patched_well, self.control_ill, self.control_well)
    }

    /// What the so-many-th look (from 1) of a region's round tells; `None` is the gate's one look.
    pub fn finding(&self, analysis: &Analysis, look: Option<u32>) -> Finding {
        let looks = look.map_or(1.0, |k| f64::from(k) * f64::from(k + 1));
        let level = f64::from(analysis.percent) / 100.0 / looks;
        if self.patched_ill >= analysis.failures && self.chance() < level {
            return Finding::Harm;
        }
        let (patched, controls) =
            (self.patched_ill + self.patched_well, self.control_ill + self.control_well);
        let (of_controls, of_patched) = (u64::from(self.control_ill), u64::from(self.patched_ill));
        // control_ill / controls >= patched_ill / patched / 2, without a division.
        let as_often = 2 * of_controls * u64::from(patched) >= of_patched * u64::from(controls);
        if self.control_ill >= analysis.failures && as_often && self.chance() >= NO_WORSE {
            return Finding::Outage;
        }
        Finding::Undecided
    }
}

impl std::ops::AddAssign for Comparison {
    fn add_assign(&mut self, other: Self) {
        self.patched_ill += other.patched_ill;
        self.patched_well += other.patched_well;
        self.control_ill += other.control_ill;
        self.control_well += other.control_well;
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { patched_ill, patched_well, control_ill, control_well } = self;
        let (patched, controls) = (patched_ill + patched_well, control_ill + control_well);
        write!(
            f,
            "{patched_ill} of {patched} patched VMs fell ill, and {control_ill} of {controls} not patched yet; by chance \
             alone in {:.4} of cases",
            self.chance()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seeded stream of numbers in 0..1,000 (splitmix64).
    struct Draws(u64);

    impl Draws {
        fn below(&mut self, per_mille: u64) -> bool {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (mixed ^ (mixed >> 31)) % 1_000 < per_mille
        }
    }

    /// A region's round: steps of so many VMs, as many controls beside each, and a look after each. Illness without the
    /// patch, and that it adds, are in per mille.
    fn alarms(seed: u64, steps: u32, vms: u32, controls: u32, noise: u64, harm: u64) -> bool {
        let mut draws = Draws(seed.wrapping_mul(0xD1B5_4A32_D192_ED03));
        let mut comparison = Comparison::default();
        let analysis = Analysis::default();
        (1..=steps).any(|look| {
            for _ in 0..vms {
                let ill = draws.below(noise) || draws.below(harm);
                *(if ill { &mut comparison.patched_ill } else { &mut comparison.patched_well }) += 1;
            }
            for _ in 0..controls {
                let ill = draws.below(noise);
                *(if ill { &mut comparison.control_ill } else { &mut comparison.control_well }) += 1;
            }
            comparison.finding(&analysis, Some(look)) == Finding::Harm
        })
    }

    fn rate(worlds: u64, steps: u32, vms: u32, controls: u32, noise: u64, harm: u64) -> f64 {
        let alarmed = (0..worlds).filter(|seed| alarms(*seed, steps, vms, controls, noise, harm)).count();
        alarmed as f64 / worlds as f64
    }

    /// The promise is one in a hundred rounds, with a look after each of 20 steps.
    #[test]
    fn false_alarms_stay_under_the_stated_level_however_ill_the_fleet_is() {
        for noise in [0, 5, 20, 100, 300, 700] {
            let rate = rate(1_000, 20, 20, 20, noise, 0);
            assert!(rate <= 0.01, "{rate} of the rounds in a fleet with {noise} per mille ill");
        }
    }

    /// Misses: what is found, of what harm, by how many machines. These are the figures of docs/decisions.md.
    #[test]
    fn harm_is_found_at_the_stated_sizes() {
        // 50 % harm among 2 % noise within 40 patched machines; 20 % within 200; 10 % within 400.
        for (steps, harm, least) in [(2, 500, 0.99), (10, 200, 0.99), (20, 100, 0.95)] {
            let found = rate(500, steps, 20, 20, 20, harm);
            assert!(found >= least, "{found} of the rounds with {harm} per mille harm in {steps} steps");
        }
    }

    #[test]
    fn an_outage_is_none_of_the_patches_doing_and_a_healthy_majority_hides_no_harm() {
        let analysis = Analysis::default();
        let told = |patched_ill, patched_well, control_ill, control_well| {
            Comparison { patched_ill, patched_well, control_ill, control_well }.finding(&analysis, Some(1))
        };
        assert_eq!(told(18, 2, 17, 3), Finding::Outage);
        assert_eq!(told(20, 0, 20, 0), Finding::Outage);
        // A patch that harms in the middle of an outage is worse than the outage.
        assert_eq!(told(40, 0, 12, 28), Finding::Harm);
        // Nine in ten are well, which is within many a budget.
        assert_eq!(told(20, 180, 0, 200), Finding::Harm);
        assert_eq!(told(2, 0, 0, 200), Finding::Undecided, "too few");
        assert_eq!(told(5, 15, 0, 0), Finding::Undecided, "nobody to compare with");
        assert_eq!(told(0, 20, 9, 11), Finding::Outage, "though no patched one is ill");
    }
}
