//! One rollout: phases, turns, gates.

use serde::{Deserialize, Serialize};

/// Who wished something, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The person or program.
    pub name: String,
    /// In their own words.
    pub reason: String,
}

/// How many VMs ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Patched and health-confirmed.
    pub healthy: u32,
    /// Ordered, and not so.
    pub failed: u32,
    /// Not to be patched by this rollout.
    pub skipped: u32,
    /// Powered off or silent; next time.
    pub deferred: u32,
}

impl Tally {
    /// VMs that were ordered and settled.
    pub fn ordered(&self) -> u32 {
        self.healthy + self.failed
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.healthy += other.healthy;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.deferred += other.deferred;
    }
}
