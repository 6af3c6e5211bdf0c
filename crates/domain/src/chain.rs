//! Where in the log an event lives: partition, aggregate, chain.

use crate::id::{RegionName, RolloutId, VmId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A totally ordered part of the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Partition {
    /// VMs, subscriptions, topology. Written by rollout-planner.
    Fleet,
    /// Rollouts, phases, turns. Written by rollout-planner.
    Rollout,
    /// What happens in one region. Written by region-coordinator, agent-gateway and health-monitor.
    Region(RegionName),
}

/// A text that names no partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a partition: use fleet, rollout or region.<name>")]
pub struct InvalidPartition(pub String);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Partition::Fleet => f.write_str("fleet"),
            Partition::Rollout => f.write_str("rollout"),
            Partition::Region(name) => write!(f, "region.{name}"),
        }
    }
}

impl std::str::FromStr for Partition {
    type Err = InvalidPartition;
    fn from_str(text: &str) -> Result<Self, InvalidPartition> {
        let invalid = || InvalidPartition(text.chars().take(128).collect());
        match text {
            "fleet" => Ok(Partition::Fleet),
            "rollout" => Ok(Partition::Rollout),
            _ => {
                let name = text.strip_prefix("region.").ok_or_else(invalid)?;
                Ok(Partition::Region(RegionName::new(name).map_err(|_| invalid())?))
            }
        }
    }
}

impl From<Partition> for String {
    fn from(partition: Partition) -> String {
        partition.to_string()
    }
}

impl TryFrom<String> for Partition {
    type Error = InvalidPartition;
    fn try_from(text: String) -> Result<Self, InvalidPartition> {
        text.parse()
    }
}

/// What an event is about: one subject of its partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Aggregate {
    /// The kind: `vm`, `subscription`, `topology`, `rollout`, `run`, `agent`, `health` or `bake`.
    pub kind: String,
    /// Which one of the kind.
    pub id: String,
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.id)
    }
}

/// A sequence of events with one expected version and one line of hashes.
///
/// The `fleet` and `rollout` partitions are one chain each: the planner decides on the whole partition or not at
/// all, which makes a turn granted twice impossible. In a region's partition each aggregate is a chain of its own, because three
/// services write there side by side. See `docs/adr/0002-chains.md`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Chain {
    /// All events of the partition.
    Whole(Partition),
    /// The events of one aggregate of a region.
    Of(RegionName, Aggregate),
}

impl Chain {
    /// The partition in which the chain lives.
    pub fn partition(&self) -> Partition {
        match self {
            Chain::Whole(partition) => partition.clone(),
            Chain::Of(region, _) => Partition::Region(region.clone()),
        }
    }

    /// The chain to which an event about this aggregate belongs.
    pub fn of(partition: &Partition, aggregate: &Aggregate) -> Self {
        match partition {
            Partition::Region(region) => Chain::Of(region.clone(), aggregate.clone()),
            whole => Chain::Whole(whole.clone()),
        }
    }

    /// The chain of a rollout's run in a region.
    pub fn run(region: &RegionName, rollout: &RolloutId) -> Self {
        Chain::Of(region.clone(), Aggregate { kind: "run".into(), id: rollout.to_string() })
    }

    /// The chain of an agent's reports.
    pub fn agent(region: &RegionName, vm: &VmId) -> Self {
        Chain::Of(region.clone(), Aggregate { kind: "agent".into(), id: vm.to_string() })
    }

    /// The chain of a VM's health verdicts.
    pub fn health(region: &RegionName, vm: &VmId) -> Self {
        Chain::Of(region.clone(), Aggregate { kind: "health".into(), id: vm.to_string() })
    }

    /// The chain of what the queries say of a region while its phase bakes.
    pub fn bake(region: &RegionName, rollout: &RolloutId) -> Self {
        Chain::Of(region.clone(), Aggregate { kind: "bake".into(), id: rollout.to_string() })
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Chain::Whole(partition) => write!(f, "{partition}"),
            Chain::Of(region, aggregate) => write!(f, "region.{region}/{aggregate}"),
        }
    }
}

impl From<Chain> for String {
    fn from(chain: Chain) -> String {
        chain.to_string()
    }
}

impl TryFrom<String> for Chain {
    type Error = InvalidPartition;
    fn try_from(text: String) -> Result<Self, InvalidPartition> {
        let Some((partition, aggregate)) = text.split_once('/') else {
            return Ok(Chain::Whole(text.parse()?));
        };
        let invalid = || InvalidPartition(text.clone());
        let (kind, id) = aggregate.split_once('.').ok_or_else(invalid)?;
        match partition.parse()? {
            Partition::Region(region) => {
                Ok(Chain::Of(region, Aggregate { kind: kind.into(), id: id.into() }))
            }
            _ => Err(invalid()),
        }
    }
}
