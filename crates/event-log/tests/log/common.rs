//! What the tests of this folder share.

use nightshift_domain::{Chain, Follow, Partition};
use nightshift_event_log::conformance::{Pen, agent_event};
use nightshift_event_log::{AppendError, EventLog, Head, Recorded};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

pub type Log = Arc<dyn EventLog>;

pub fn west() -> Partition {
    "region.west".parse().unwrap()
}

pub fn random(below: u64) -> u64 {
    (Uuid::new_v4().as_u128() % u128::from(below)) as u64
}

pub async fn read_all(log: &Log, partition: &Partition) -> Vec<Recorded> {
    let mut events = Vec::new();
    let mut after = 0;
    loop {
        let page = log.read(&Follow::all(partition.clone()), after, 1_000).await.unwrap();
        events.extend(page.events);
        after = page.read_to;
        if page.at_end {
            return events;
        }
    }
}

/// The newest event of each chain; panics if a chain is broken, a position is missing or an id occurs twice.
pub fn whole(events: &[Recorded]) -> BTreeMap<Chain, Head> {
    let mut heads: BTreeMap<Chain, Head> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for (recorded, position) in events.iter().zip(1..) {
        assert_eq!(recorded.position, position);
        let chain = recorded.envelope.chain().unwrap();
        let head = heads.entry(chain.clone()).or_insert(Head::START);
        assert_eq!(recorded.envelope.previous_hash, head.hash, "{chain} breaks at {position}");
        *head = Head { position, hash: recorded.envelope.hash() };
        assert!(ids.insert(recorded.envelope.id.clone()), "{} twice", recorded.envelope.id);
    }
    heads
}

/// Everything that was acknowledged is there, where it was acknowledged.
pub fn assert_there(events: &[Recorded], acknowledged: &HashMap<String, u64>) {
    let there: HashMap<&str, u64> =
        events.iter().map(|recorded| (recorded.envelope.id.as_str(), recorded.position)).collect();
    for (id, position) in acknowledged {
        assert_eq!(there.get(id.as_str()), Some(position), "{id} was acknowledged at {position}");
    }
}

/// Appends one to three events at a time to a chain of its own until told to stop, trying again what is unknown;
/// tells every acknowledged id with its position.
pub async fn write_on(
    log: Log,
    vm: String,
    heads: BTreeMap<Chain, Head>,
    stop: Arc<AtomicBool>,
    mut acknowledged: impl FnMut(String, u64),
) {
    let partition = west();
    let event = agent_event(&vm, 0).unwrap();
    let mut pen = Pen::for_event(&log, &partition, &event);
    pen.head = heads.get(&Chain::of(&partition, &event.aggregate())).copied().unwrap_or(Head::START);
    while !stop.load(Ordering::Relaxed) {
        let write = pen.write(vec![event.clone(); 1 + random(3) as usize]);
        let ids: Vec<String> = write.events.iter().map(|draft| draft.id.to_string()).collect();
        let head = loop {
            match log.append(&partition, vec![write.clone()]).await {
                Ok(heads) => break heads[0],
                Err(AppendError::Unknown { .. }) => {}
                Err(other) => panic!("{vm}: {other}"),
            }
        };
        pen.head = head;
        let first = head.position + 1 - ids.len() as u64;
        ids.into_iter().zip(first..).for_each(|(id, position)| acknowledged(id, position));
    }
}
