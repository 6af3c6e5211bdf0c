//! Carries out orders. It knows windows, batches, reboots and the journal, but no package manager.

mod checks;
mod drift;
mod install;
mod newest;
mod pace;
mod plan;
mod reboot;
mod reckoning;
#[cfg(test)]
mod tests;
mod watchdog;
mod work;

pub use newest::Newest;
pub use watchdog::Stuck;
pub(crate) use watchdog::what_runs;
pub use work::{Batch, Work};

use crate::back_end::{BackEnd, BackEndError};
use crate::config::Timings;
use crate::journal::{Journal, Record, Stage};
use crate::report::Body;
use crate::spool::Spool;
use crate::store::{Secrecy, Store, StoreError};
use crate::welcomed::Welcomed;
use nightshift_clock::{Clock, Reckoning};
use nightshift_domain::agent::{InstallReport, RefusedOrder};
use nightshift_domain::event::Order;
use nightshift_domain::patch::{Assessment, RebootStatus};
use nightshift_domain::{OrderId, VmId};
use std::sync::{Arc, Mutex};

/// Remembers that native automatic updates were reported as off.
const ENABLED: &str = "enabled";

/// The engine of one agent. Only one task may use it at a time: the spool's numbers are announced in the journal.
pub struct Engine {
    vm: VmId,
    back_end: Arc<dyn BackEnd>,
    clock: Clock,
    timings: Timings,
    store: Store,
    journal: Journal,
    spool: Spool,
    newest: Newest,
    stuck: Stuck,
    welcomed: Welcomed,
    reckoning: Mutex<Reckoning>,
}

/// What ends an order's work from outside of it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The machine could not do what the engine needs.
    #[error(transparent)]
    BackEnd(#[from] BackEndError),
    /// The agent's own documents could not be written: it must not act.
    #[error("the agent's state cannot be kept: {0}")]
    Store(#[from] StoreError),
}

impl Engine {
    /// An engine on what the process before left.
    pub fn open(
        vm: VmId,
        back_end: Arc<dyn BackEnd>,
        clock: Clock,
        timings: Timings,
        store: Store,
        spool: Spool,
    ) -> Result<Self, StoreError> {
        let journal = Journal::open(store.clone(), clock.now())?;
        let (newest, stuck, welcomed) = Default::default();
        let reckoning = Mutex::new(clock.reckoning());
        Ok(Self { vm, back_end, clock, timings, store, journal, spool, newest, stuck, welcomed, reckoning })
    }

    /// Where the orders that arrive are to be noted: the one that is under way gives way to a newer one.
    pub fn newest(&self) -> Newest {
        self.newest.clone()
    }

    /// Where it is to be noted what the gateway says of its clock.
    pub fn welcomed(&self) -> Welcomed {
        self.welcomed.clone()
    }

    /// What is stuck, if anything is.
    pub fn stuck(&self) -> Stuck {
        self.stuck.clone()
    }

    /// Reports what the machine lacks, or why that cannot be told; changes nothing.
    pub async fn assess(&self, refresh: bool) -> Result<(), EngineError> {
        let warnings = if refresh { self.back_end.refresh().await } else { Vec::new() };
        let assessed = self.back_end.assess().await;
        self.tell_requirements(&warnings, assessed.as_ref()).await?;
        match assessed {
            Ok(mut assessment) => {
                assessment.warnings.extend(self.drift().await?);
                self.report_assessment(assessment, warnings)?;
            }
            Err(error) => {
                tracing::warn!(%error, "the machine could not be assessed");
                self.spool.append(self.clock.now(), Body::NotAssessed(error.to_string()))?;
            }
        }
        Ok(())
    }

    /// The orders that the process before did not end.
    pub fn unfinished(&self) -> Result<Vec<Order>, StoreError> {
        Ok(self.journal.open_orders()?.into_iter().map(|record| record.order).collect())
    }

    /// The journal, to look into.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Sends the report that a crash kept from the spool, if one did.
    pub fn catch_up(&self) -> Result<(), StoreError> {
        let mut records = self.journal.records()?;
        records.sort_by_key(|record| record.report);
        records.iter().try_for_each(|record| self.tell(record))
    }

    /// Carries out an order, goes on with one that was interrupted, or tells again how it ended.
    pub async fn carry_out(&self, order: Order) -> Result<(), EngineError> {
        match self.journal.get(&order.id)? {
            None => self.receive(order).await,
            Some(record) if record.is_open() => self.go_on(record).await,
            Some(record) => {
                self.spool.append(self.clock.now(), record.body())?;
                Ok(())
            }
        }
    }

    async fn receive(&self, order: Order) -> Result<(), EngineError> {
        if order.vm != self.vm {
            let why = format!("the order is for VM \"{}\", this is \"{}\"", order.vm, self.vm);
            return self.refuse(order, "NotMine", why);
        }
        if self.clock.now() > order.not_after {
            let why = format!("it was to begin by {}, it is {}", order.not_after, self.clock.now());
            return self.refuse(order, "Expired", why);
        }
        if let Some(why) = self.wrong_clock() {
            return self.refuse(order, "ClockWrong", why);
        }
        if let Some(newer) = self.newer_than(&order)? {
            return self.refuse(order, "Superseded", format!("order {newer} is newer"));
        }
        let record = self.announce(order, Stage::Accepted)?;
        self.work(record).await
    }

    /// An order that is newer than this one, whether it was carried out already or waits.
    fn newer_than(&self, order: &Order) -> Result<Option<OrderId>, StoreError> {
        let records = self.journal.records()?;
        let carried_out = records.iter().filter(|record| !matches!(record.stage, Stage::Refused(_)));
        let mut known = carried_out.map(|record| &record.order);
        let newer = known.find(|known| known.id != order.id && known.not_after > order.not_after);
        Ok(newer.map(|newer| newer.id.clone()).or_else(|| self.newest.after(order)))
    }

    async fn go_on(&self, record: Record) -> Result<(), EngineError> {
        let late = self.clock.now() > record.order.not_after;
        if record.stage == Stage::Accepted && late {
            // Rule S9: nothing was begun before, so nothing may begin now.
            let why = "the agent was down from before the work began until after it was to begin".to_owned();
            return self.refuse(record.order, "Expired", why);
        }
        self.work(record).await
    }

    fn refuse(&self, order: Order, code: &str, why: String) -> Result<(), EngineError> {
        tracing::warn!(order = %order.id, code, why, "order refused");
        self.announce(order, Stage::Refused(RefusedOrder { code: code.to_owned(), why }))?;
        Ok(())
    }

    /// Works until the order is over. Whatever the machine cannot do ends it with that sentence; only what keeps
    /// the journal from being written stops the agent.
    async fn work(&self, mut record: Record) -> Result<(), EngineError> {
        self.reckon();
        while record.is_open() {
            let order = record.order.clone();
            record = match self.step(record).await {
                Ok(next) => next,
                Err(EngineError::BackEnd(error)) => self.give_up(order, &error).await?,
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }

    async fn step(&self, mut record: Record) -> Result<Record, EngineError> {
        match record.stage.clone() {
            Stage::Accepted => self.begin(record, Work::default()).await,
            Stage::Installing(work) if work.unassessed => self.begin(record, work).await,
            Stage::Installing(work) => {
                let work = self.install_all(&mut record, work).await?;
                self.reboot_or_finish(record, work).await
            }
            Stage::Rebooting { .. } => self.await_reboot(record).await,
            Stage::Finished(_) | Stage::Refused(_) => Ok(record),
        }
    }

    /// Everything up to the first install: the machine is repaired, enabled, rebooted if it waits for that, assessed.
    async fn begin(&self, mut record: Record, mut work: Work) -> Result<Record, EngineError> {
        self.check_machine()?;
        self.repair(&record.order).await?;
        self.enable().await?;
        if self.reboots_first(&record.order, &work).await? {
            work.unassessed = true;
            return self.reboot(record, work).await;
        }
        work.unassessed = false;
        work.warnings = self.back_end.refresh().await;
        let assessed = self.back_end.assess().await;
        self.tell_requirements(&work.warnings, assessed.as_ref()).await?;
        work.take_all(assessed?, &record.order.selection);
        record.stage = Stage::Installing(work);
        self.journal.put(&record)?;
        Ok(record)
    }

    /// Another program may hold the package manager for hours: not longer than the order lasts. What an install of
    /// ours left is repaired even after that.
    async fn repair(&self, order: &Order) -> Result<(), EngineError> {
        let until = order.deadline.max(self.now() + self.longest_package());
        tokio::select! {
            result = self.back_end.repair() => Ok(result?),
            () = self.sleep_until(until) => {
                let holder = self.back_end.lock_holder().await;
                let holder = holder.map(|holder| format!(": {holder} holds its database")).unwrap_or_default();
                let why = format!("the package manager was busy until the order's deadline{holder}");
                Err(BackEndError(why).into())
            }
        }
    }

    async fn enable(&self) -> Result<(), EngineError> {
        self.back_end.disable_native_updates().await?;
        if self.store.get(ENABLED)?.is_none() {
            self.spool.append(self.clock.now(), Body::Enabled)?;
            self.store.put(ENABLED, b"", Secrecy::Open)?;
        }
        Ok(())
    }

    /// Ends the order with a full account, and with a fresh assessment after it.
    async fn finish(
        &self,
        order: Order,
        mut work: Work,
        reboot: RebootStatus,
    ) -> Result<Record, EngineError> {
        let standings = self.back_end.standings(&work.not_selected()).await?;
        work.explain_dependencies(&standings);
        let result = work.report(reboot, self.back_end.boot_id()?);
        let record = self.announce(order, Stage::Finished(result))?;
        match self.back_end.assess().await {
            Ok(assessment) => self.report_assessment(assessment, work.warnings)?,
            Err(error) => tracing::warn!(%error, "no assessment after the order"),
        }
        Ok(record)
    }

    fn report_assessment(&self, mut assessment: Assessment, warnings: Vec<String>) -> Result<(), StoreError> {
        assessment.warnings.splice(0..0, warnings);
        self.spool.append(self.clock.now(), Body::Assessed(assessment)).map(drop)
    }

    /// Ends an order that the machine cannot carry out, with what is known of its patches.
    async fn give_up(&self, order: Order, error: &BackEndError) -> Result<Record, EngineError> {
        tracing::warn!(order = %order.id, %error, "the order could not be carried out");
        let work = match self.journal.get(&order.id)?.map(|record| record.stage) {
            Some(Stage::Installing(work) | Stage::Rebooting { work, .. }) => work,
            _ => Work::default(),
        };
        let reboot = match self.back_end.reboot_required().await {
            Ok(true) => RebootStatus::Required,
            _ if work.rebooted_into.is_some() => RebootStatus::Completed,
            _ => RebootStatus::NotNeeded,
        };
        let boot_id = self.back_end.boot_id().unwrap_or_default();
        let result = InstallReport { error: Some(error.to_string()), ..work.report(reboot, boot_id) };
        self.announce(order, Stage::Finished(result))
    }

    /// Writes a stage to the journal and the report on it to the spool; a crash in between is made good by
    /// [`Engine::catch_up`].
    fn announce(&self, order: Order, stage: Stage) -> Result<Record, EngineError> {
        let record = Record { order, stage, report: self.spool.next() };
        self.journal.put(&record)?;
        self.tell(&record)?;
        Ok(record)
    }

    fn tell(&self, record: &Record) -> Result<(), StoreError> {
        self.spool.append_as(record.report, self.clock.now(), record.body())
    }
}
