//! Events to write, and a pen that writes them to one chain.

use super::{Broken, Log};
use crate::{AppendError, Draft, Head, Recorded, Write};
use chrono::DateTime;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use nightshift_domain::id::InvalidId;
use nightshift_domain::{Chain, Event, Follow, OrderId, Partition, RegionName, RolloutId, Time, VmId};
use std::time::Duration;
use uuid::Uuid;

/// How long something may take that should come at once.
const SOON: Duration = Duration::from_secs(30);

/// The region that most checks write to.
pub fn region() -> Result<RegionName, InvalidId> {
    RegionName::new("west")
}

/// An event of partition `fleet`.
pub fn fleet_event(number: usize) -> Result<Event, InvalidId> {
    Ok(Event::VmRemoved { vm: VmId::new(format!("vm-{number}"))? })
}

/// An event of a run in a region.
pub fn run_event(rollout: &str, why: &str) -> Result<Event, InvalidId> {
    Ok(Event::RunHeld { rollout: RolloutId::new(rollout)?, stops: 1, why: why.into() })
}

/// An event of an agent in a region.
pub fn agent_event(vm: &str, report: u64) -> Result<Event, InvalidId> {
    Ok(Event::AgentEnabled { vm: VmId::new(vm)?, report })
}

/// An event about a VM's health in a region.
pub fn health_event(vm: &str, why: &str) -> Result<Event, InvalidId> {
    Ok(Event::HealthUnknown { vm: VmId::new(vm)?, order: OrderId::new("order-1")?, why: why.into() })
}

/// A draft with a new id.
pub fn draft(event: Event) -> Draft {
    let at = Time::from(DateTime::UNIX_EPOCH) + chrono::Duration::nanoseconds(1_700_000_000_123_456_789);
    Draft { id: Uuid::new_v4(), source: "conformance", at, event, traceparent: None, command: None }
}

/// Writes to one chain and knows its head.
#[derive(Clone)]
pub struct Pen {
    log: Log,
    chain: Chain,
    /// The newest event.
    pub head: Head,
}

impl Pen {
    /// A pen for a chain without events.
    pub fn new(log: &Log, chain: Chain) -> Self {
        Self { log: log.clone(), chain, head: Head::START }
    }

    /// A pen for the chain that holds such events.
    pub fn for_event(log: &Log, partition: &Partition, event: &Event) -> Self {
        Self::new(log, Chain::of(partition, &event.aggregate()))
    }

    /// The events as a write to the end of the chain.
    pub fn write(&self, events: Vec<Event>) -> Write {
        Write {
            chain: self.chain.clone(),
            expected: self.head,
            events: events.into_iter().map(draft).collect(),
        }
    }

    /// Appends events and moves on.
    pub async fn append(&mut self, events: Vec<Event>) -> Result<Head, AppendError> {
        let heads = self.log.append(&self.chain.partition(), vec![self.write(events)]).await?;
        self.head = heads.first().copied().unwrap_or(Head::START);
        Ok(self.head)
    }
}

/// Everything that is followed, from its first event.
pub(super) async fn read_all(log: &Log, follow: &Follow) -> Result<Vec<Recorded>, Broken> {
    let mut events = Vec::new();
    let mut after = 0;
    loop {
        let page = log.read(follow, after, 700).await?;
        events.extend(page.events);
        after = page.read_to;
        if page.at_end {
            return Ok(events);
        }
    }
}

pub(super) type Events = BoxStream<'static, Result<Recorded, crate::ReadError>>;

/// The next events of a subscription.
pub(super) async fn take(events: &mut Events, count: usize) -> Result<Vec<Recorded>, Broken> {
    let mut taken = Vec::new();
    while taken.len() < count {
        match tokio::time::timeout(SOON, events.next()).await {
            Ok(Some(event)) => taken.push(event?),
            Ok(None) => return Err(Broken::new("the subscription ended")),
            Err(_) => return Err(Broken::new(format!("{} of {count} events after {SOON:?}", taken.len()))),
        }
    }
    Ok(taken)
}

pub(super) fn positions(events: &[Recorded]) -> Vec<u64> {
    events.iter().map(|recorded| recorded.position).collect()
}
