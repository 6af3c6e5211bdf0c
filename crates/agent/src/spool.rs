//! Reports that the gateway has not stored yet. None is ever lost, no number is ever used twice.

use crate::report::{Body, Report};
use crate::store::{Secrecy, Store, StoreError};
use nightshift_domain::OrderId;
use nightshift_domain::mind::Time;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

const PART: &str = "spool";
/// The highest number that was forgotten: it must outlive the reports, or their numbers would be used again.
const FORGOTTEN: &str = "spool/forgotten";

/// The spool; cheap to clone, every clone is the same one. Only one task may append (the worker): a gap in the
/// numbers would be taken for reports that were stored.
#[derive(Debug, Clone)]
pub struct Spool {
    store: Store,
    state: Arc<Mutex<State>>,
    newest: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    waiting: BTreeMap<u64, Report>,
    next: u64,
}

impl Spool {
    /// Opens the spool as the process before left it.
    pub fn open(store: Store) -> Result<Self, StoreError> {
        let forgotten = forgotten(&store)?;
        let mut waiting = BTreeMap::new();
        for name in store.list(PART)? {
            let bytes = store.get(&name)?.unwrap_or_default();
            let report: Report =
                serde_json::from_slice(&bytes).map_err(|error| StoreError::new(&name, damaged(&error)))?;
            // A power cut in the middle of forgetting leaves some of them behind.
            if report.number <= forgotten {
                store.remove(&name)?;
            } else {
                waiting.insert(report.number, report);
            }
        }
        let newest = waiting.keys().next_back().copied().unwrap_or(0).max(forgotten);
        let state = Arc::new(Mutex::new(State { waiting, next: newest + 1 }));
        Ok(Self { store, state, newest: watch::Sender::new(newest) })
    }

    /// The number that the next report will have.
    pub fn next(&self) -> u64 {
        self.lock().next
    }

    /// Keeps a report under the next number; when this returns it survives a power cut.
    pub fn append(&self, at: Time, body: Body) -> Result<u64, StoreError> {
        let number = self.next();
        let report = Report { number, at, body };
        let bytes = serde_json::to_vec(&report).map_err(|error| StoreError::new(PART, error))?;
        self.store.put(&document(number), &bytes, Secrecy::Open)?;
        let mut state = self.lock();
        state.waiting.insert(number, report);
        state.next = number + 1;
        drop(state);
        self.newest.send_replace(number);
        Ok(number)
    }

    /// Keeps a report that the journal announced under this number, unless it was kept already.
    pub fn append_as(&self, number: u64, at: Time, body: Body) -> Result<(), StoreError> {
        if self.next() <= number {
            self.append(at, body)?;
        }
        Ok(())
    }

    /// The gateway stored this report and all before it.
    pub fn forget(&self, up_to: u64) -> Result<(), StoreError> {
        let mut state = self.lock();
        let gone: Vec<u64> = state.waiting.range(..=up_to).map(|(number, _)| *number).collect();
        if gone.is_empty() && up_to < state.next {
            return Ok(());
        }
        self.store.put(FORGOTTEN, up_to.to_string().as_bytes(), Secrecy::Open)?;
        for number in gone {
            self.store.remove(&document(number))?;
            state.waiting.remove(&number);
        }
        // A machine that was set back to an old image does not use numbers again that it used before.
        state.next = state.next.max(up_to + 1);
        Ok(())
    }

    /// The waiting reports with higher numbers than this, in their order.
    pub fn after(&self, number: u64) -> Vec<Report> {
        self.lock().waiting.range(number + 1..).map(|(_, report)| report.clone()).collect()
    }

    /// How many reports wait to be stored.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Whether the end of this order waits to be stored.
    pub fn holds_end_of(&self, order: &OrderId) -> bool {
        self.lock().waiting.values().any(|report| report.body.ends() == Some(order))
    }

    /// Changes whenever there is a new report.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is changed after the store, in one go.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn document(number: u64) -> String {
    // As many digits as the largest number has: the order of the names is that of the numbers.
    format!("{PART}/{number:020}.json")
}

fn forgotten(store: &Store) -> Result<u64, StoreError> {
    let Some(bytes) = store.get(FORGOTTEN)? else { return Ok(0) };
    let text = String::from_utf8_lossy(&bytes);
    text.trim()
        .parse()
        .map_err(|_| StoreError::new(FORGOTTEN, format!("\"{text}\" is not a report's number")))
}

fn damaged(error: &serde_json::Error) -> String {
    format!("the report cannot be read ({error}): remove the file if it is damaged, and the report is lost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Time {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn numbers(spool: &Spool) -> Vec<u64> {
        spool.after(0).iter().map(|report| report.number).collect()
    }

    #[test]
    fn numbers_rise_from_1_and_are_never_used_again_across_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Spool::open(Store::on_disk(folder.path()).unwrap()).unwrap();
        let spool = open();
        assert_eq!(spool.append(at(), Body::Enabled).unwrap(), 1);
        assert_eq!(spool.append(at(), Body::Enabled).unwrap(), 2);
        let spool = open();
        assert_eq!(numbers(&spool), [1, 2]);
        spool.forget(2).unwrap();
        let spool = open();
        assert!(numbers(&spool).is_empty());
        assert_eq!(spool.append(at(), Body::Enabled).unwrap(), 3);
    }

    #[test]
    fn a_power_cut_while_forgetting_leaves_no_report_that_was_stored() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::on_disk(folder.path()).unwrap();
        let spool = Spool::open(store.clone()).unwrap();
        spool.append(at(), Body::Enabled).unwrap();
        // What forget(1) does before it removes the file.
        store.put(FORGOTTEN, b"1", Secrecy::Open).unwrap();
        let spool = Spool::open(store).unwrap();
        assert!(numbers(&spool).is_empty());
        assert_eq!(spool.next(), 2);
    }

    #[test]
    fn a_gateway_that_knows_more_reports_than_the_machine_raises_the_numbers() {
        let spool = Spool::open(Store::in_memory()).unwrap();
        spool.forget(41).unwrap();
        assert_eq!(spool.append(at(), Body::Enabled).unwrap(), 42);
    }

    #[test]
    fn an_announced_report_is_kept_once() {
        let spool = Spool::open(Store::in_memory()).unwrap();
        spool.append_as(1, at(), Body::Enabled).unwrap();
        spool.append_as(1, at(), Body::Enabled).unwrap();
        assert_eq!(numbers(&spool), [1]);
    }
}
