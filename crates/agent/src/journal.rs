//! What the agent must remember of each order, written before it acts. By it an order runs at most once, and goes
//! on where a kill or a power cut stopped it.

use crate::engine::Work;
use crate::report::Body;
use crate::store::{Secrecy, Store, StoreError};
use chrono::Duration;
use nightshift_domain::OrderId;
use nightshift_domain::agent::{InstallReport, RefusedOrder};
use nightshift_domain::event::Order;
use nightshift_domain::mind::Time;
use serde::{Deserialize, Serialize};

const PART: &str = "orders";
/// How long after its last valid moment an ended order is remembered. Asked for again later, it is refused because
/// it expired: forgetting it cannot make it run twice.
const MEMORY: Duration = Duration::days(180);

/// One order and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The order as it was placed.
    pub order: Order,
    /// How far it is.
    pub stage: Stage,
    /// The number of the report that tells of the newest stage that is told of: whoever finds that the spool never
    /// had it sends it, so that a crash between journal and spool loses no report and doubles none.
    pub report: u64,
}

/// How far an order is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Stage {
    /// To be carried out; nothing was touched yet.
    Accepted,
    /// Patches are being installed.
    Installing(Work),
    /// The machine is about to go down, or just came back.
    Rebooting {
        /// The boot that is to end.
        boot_id: String,
        /// If this boot still lasts then, the reboot failed.
        give_up: Time,
        /// The work so far.
        work: Work,
    },
    /// Over.
    Finished(InstallReport),
    /// Never carried out.
    Refused(RefusedOrder),
}

impl Record {
    /// Whether the order still wants work.
    pub fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Finished(_) | Stage::Refused(_))
    }

    /// What the newest stage that is told of says.
    pub fn body(&self) -> Body {
        let id = self.order.id.clone();
        match &self.stage {
            Stage::Accepted => Body::Accepted(id),
            Stage::Installing(work) | Stage::Rebooting { work, .. } => match &work.rebooted_into {
                Some(boot_id) => Body::Rebooted(id, boot_id.clone()),
                None => Body::Accepted(id),
            },
            Stage::Finished(result) => Body::Finished(id, result.clone()),
            Stage::Refused(refused) => Body::Refused(id, refused.clone()),
        }
    }
}

/// The journal: one document per order.
#[derive(Debug, Clone)]
pub struct Journal {
    store: Store,
}

impl Journal {
    /// Opens the journal and forgets what is long over.
    pub fn open(store: Store, now: Time) -> Result<Self, StoreError> {
        let journal = Self { store };
        for record in journal.records()? {
            if !record.is_open() && record.order.not_after + MEMORY < now {
                journal.store.remove(&document(&record.order.id))?;
            }
        }
        Ok(journal)
    }

    /// Writes how far an order is; when this returns it survives a power cut.
    pub fn put(&self, record: &Record) -> Result<(), StoreError> {
        let name = document(&record.order.id);
        let bytes = serde_json::to_vec_pretty(record).map_err(|error| StoreError::new(&name, error))?;
        self.store.put(&name, &bytes, Secrecy::Open)
    }

    /// What is known of an order.
    pub fn get(&self, order: &OrderId) -> Result<Option<Record>, StoreError> {
        self.read(&document(order))
    }

    /// The orders that still want work.
    pub fn open_orders(&self) -> Result<Vec<Record>, StoreError> {
        Ok(self.records()?.into_iter().filter(Record::is_open).collect())
    }

    /// All orders that are remembered.
    pub fn records(&self) -> Result<Vec<Record>, StoreError> {
        let names = self.store.list(PART)?;
        names.iter().filter_map(|name| self.read(name).transpose()).collect()
    }

    fn read(&self, name: &str) -> Result<Option<Record>, StoreError> {
        let Some(bytes) = self.store.get(name)? else { return Ok(None) };
        let damaged = |error| StoreError::new(name, format!("the order's journal cannot be read: {error}"));
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }
}

fn document(order: &OrderId) -> String {
    format!("{PART}/{order}.json")
}
