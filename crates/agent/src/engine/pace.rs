//! How long this machine takes for one package: measured with each batch, and kept.

use super::Engine;
use crate::store::{Secrecy, StoreError};
use chrono::Duration;
use nightshift_domain::mind::Time;

const PACE: &str = "pace";
/// What the newest batch weighs in the average; so many of the older ones fade.
const NEWEST_WEIGHS: f64 = 0.3;
/// A batch that took more than so many times the configured average counts as that: one night on a machine that
/// stood still must not keep every later window closed.
const SLOWEST: f64 = 10.0;

impl Engine {
    /// The average install of one package: measured, or as configured where nothing was measured yet.
    pub(super) fn average_package(&self) -> Duration {
        seconds(self.measured().unwrap_or(self.configured()))
    }

    /// What must be left for the first package of a batch.
    pub(super) fn longest_package(&self) -> Duration {
        self.timings.longest_package().max(self.average_package())
    }

    /// Takes a batch of so many packages into the average, which began then and ended now.
    pub(super) fn measure(&self, packages: usize, began: Time) -> Result<(), StoreError> {
        let took = (self.now() - began).num_milliseconds().max(0);
        let count = u32::try_from(packages).unwrap_or(u32::MAX).max(1);
        let newest = (Duration::milliseconds(took).as_seconds_f64() / f64::from(count))
            .min(SLOWEST * self.configured());
        let average = self.measured().unwrap_or(self.configured());
        let average = average + NEWEST_WEIGHS * (newest - average);
        self.store.put(PACE, format!("{average:.3}").as_bytes(), Secrecy::Open)
    }

    /// A number that cannot be read is measured anew.
    fn measured(&self) -> Option<f64> {
        let bytes = self.store.get(PACE).ok().flatten()?;
        let average: f64 = String::from_utf8(bytes).ok()?.trim().parse().ok()?;
        (average.is_finite() && average >= 0.0).then_some(average.max(0.001))
    }

    fn configured(&self) -> f64 {
        f64::from(self.timings.average_package_seconds.max(1))
    }
}

fn seconds(count: f64) -> Duration {
    // At most SLOWEST times a u32: far inside of what fits.
    #[allow(clippy::cast_possible_truncation, reason = "bounded above")]
    Duration::milliseconds((count * 1_000.0).ceil() as i64)
}
