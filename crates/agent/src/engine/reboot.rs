//! Reboots: before anything else where one is due already, and after the installs.

use super::{Engine, EngineError, Work};
use crate::journal::{Record, Stage};
use nightshift_domain::event::Order;
use nightshift_domain::patch::{RebootSetting, RebootStatus};

/// How often a machine is rebooted for one order: one that asks again and again must not go on all night.
const MOST_REBOOTS: u32 = 3;

impl Engine {
    /// Whether the machine is to be rebooted before it is touched: package managers on a half-new system are a risk.
    pub(super) async fn reboots_first(&self, order: &Order, work: &Work) -> Result<bool, EngineError> {
        let may = order.reboot != RebootSetting::Never && work.reboots == 0 && self.reboot_fits(order);
        Ok(may && self.back_end.reboot_required().await?)
    }

    pub(super) async fn reboot_or_finish(
        &self,
        record: Record,
        mut work: Work,
    ) -> Result<Record, EngineError> {
        let required = self.back_end.reboot_required().await?;
        let rebooted = work.rebooted_into.is_some();
        let wanted = match record.order.reboot {
            RebootSetting::Never => false,
            RebootSetting::IfRequired => required,
            RebootSetting::Always => required || !rebooted,
        };
        // A newer order reboots by its own rules.
        let wanted = wanted && work.superseded.is_none();
        let tried_too_often = work.reboots >= MOST_REBOOTS;
        if wanted && !tried_too_often && self.reboot_fits(&record.order) {
            return self.reboot(record, work).await;
        }
        if wanted && tried_too_often {
            work.warnings
                .push(format!("the machine was rebooted {MOST_REBOOTS} times and still asks for it"));
        }
        work.window_exceeded |= wanted && !tried_too_often;
        let status = match (rebooted, required || wanted) {
            (true, false) => RebootStatus::Completed,
            (_, true) => RebootStatus::Required,
            (false, false) => RebootStatus::NotNeeded,
        };
        self.finish(record.order, work, status).await
    }

    pub(super) async fn reboot(&self, mut record: Record, work: Work) -> Result<Record, EngineError> {
        let boot_id = self.back_end.boot_id()?;
        let give_up = self.now() + self.timings.reboot();
        record.stage = Stage::Rebooting { boot_id, give_up, work };
        self.journal.put(&record)?;
        Ok(record)
    }

    /// Tells the machine to reboot until it did or its time is over. To tell it twice does no harm, and a crash
    /// between the journal and the command must not leave it untold. In the new boot the order begins anew with what
    /// is left of its window.
    pub(super) async fn await_reboot(&self, mut record: Record) -> Result<Record, EngineError> {
        let Stage::Rebooting { boot_id, give_up, mut work } = record.stage.clone() else { return Ok(record) };
        if self.back_end.boot_id()? == boot_id && self.now() < give_up {
            tracing::info!(order = %record.order.id, "rebooting the machine");
            self.back_end.reboot().await?;
            // As a rule the machine takes the agent with it.
            while self.now() < give_up && self.back_end.boot_id()? == boot_id {
                self.sleep_until(give_up.min(self.now() + self.timings.reboot() / 60)).await;
            }
        }
        let now_in = self.back_end.boot_id()?;
        if now_in == boot_id {
            return self.finish(record.order, work, RebootStatus::Failed).await;
        }
        work.rebooted_into = Some(now_in);
        work.reboots += 1;
        work.rounds = 0;
        record = self.announce(record.order, Stage::Installing(work.clone()))?;
        // A machine that went down in the middle of something else may need it.
        self.repair(&record.order).await?;
        let standings = self.back_end.standings(&work.outstanding()).await?;
        work.recount(&standings);
        record.stage = Stage::Installing(work);
        Ok(record)
    }

    fn reboot_fits(&self, order: &Order) -> bool {
        self.now() + self.timings.reboot() <= order.deadline
    }
}
