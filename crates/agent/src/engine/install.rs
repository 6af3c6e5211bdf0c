//! Installing what is selected: planned by simulation, downloaded whole, in batches that end before the deadline,
//! judged by the package database.

use super::{Engine, EngineError, Work};
use crate::back_end::{Package, Said};
use crate::engine::work::Batch;
use crate::journal::{Record, Stage};
use chrono::Duration;
use nightshift_domain::event::Order;
use nightshift_domain::mind::Time;
use nightshift_domain::patch::RebootSetting;

/// The most packages in one go: a longer command line gains nothing, and one that goes wrong takes less along.
const LARGEST_BATCH: i32 = 300;
/// How often, in each boot, the machine is assessed anew for patches that only show when others are in.
const MOST_ROUNDS: u32 = 2;

impl Engine {
    /// Installs all that is selected and fits.
    pub(super) async fn install_all(&self, record: &mut Record, mut work: Work) -> Result<Work, EngineError> {
        if work.batch.is_some() {
            work = self.recover(&record.order, work).await?;
            self.save(record, &work)?;
        }
        loop {
            work = self.install_selected(record, work).await?;
            work = self.retry(record, work).await?;
            if work.is_stopped() || work.rounds >= MOST_ROUNDS {
                return Ok(work);
            }
            work.rounds += 1;
            let assessment = self.back_end.assess().await?;
            if !work.take_in(&assessment, &record.order.selection) {
                return Ok(work);
            }
        }
    }

    /// Takes over a batch of the process before: waits for it if it still runs, else repairs what it left.
    async fn recover(&self, order: &Order, mut work: Work) -> Result<Work, EngineError> {
        let Some(batch) = work.batch.clone() else { return Ok(work) };
        let said = match &batch.running {
            Some(running) => self.await_install(running).await,
            None => Said::default(),
        };
        self.repair(order).await?;
        self.tidy().await;
        let standings = self.back_end.standings(&work.outstanding()).await?;
        work.judge_interrupted(&standings, &said);
        Ok(work)
    }

    /// All is planned and downloaded before the first package is installed: the package manager's own, then the rest,
    /// and last what asks for a reboot. A package manager that is new may see other patches: then all begins anew.
    async fn install_selected(&self, record: &mut Record, mut work: Work) -> Result<Work, EngineError> {
        loop {
            let packages = work.to_install();
            if packages.is_empty() || self.is_over(&record.order, &mut work) {
                return Ok(work);
            }
            let (own, others): (Vec<_>, Vec<_>) =
                packages.into_iter().partition(|package| self.back_end.is_own(&package.name));
            let (last, rest): (Vec<_>, Vec<_>) =
                others.into_iter().partition(|package| self.back_end.asks_for_reboot(&package.name));
            let first = self.prepare(&record.order, &own, &mut work).await;
            let mut later = self.prepare(&record.order, &rest, &mut work).await;
            later.extend(self.prepare(&record.order, &last, &mut work).await);
            let has_own = !first.is_empty();
            for group in if has_own { first } else { later } {
                work = self.install_group(record, work, &group).await?;
            }
            if work.is_stopped() {
                return Ok(work);
            }
            if has_own {
                let assessment = self.back_end.assess().await?;
                work.take_in(&assessment, &record.order.selection);
            }
        }
    }

    /// Groups that can each be installed in one go, downloaded in full. What cannot be had now is pending.
    async fn prepare(&self, order: &Order, packages: &[Package], work: &mut Work) -> Vec<Vec<Package>> {
        let mut groups = Vec::new();
        if packages.is_empty() {
            return groups;
        }
        for group in self.plan(packages, work).await {
            match self.download(order, &group).await {
                Ok(()) => groups.push(group),
                Err(why) => group.iter().for_each(|package| work.postpone(package, &why)),
            }
        }
        groups
    }

    async fn install_group(
        &self,
        record: &mut Record,
        mut work: Work,
        group: &[Package],
    ) -> Result<Work, EngineError> {
        let mut rest = group;
        while !rest.is_empty() && !self.is_over(&record.order, &mut work) {
            let size = self.largest_batch(&record.order).clamp(1, rest.len());
            let (batch, later) = rest.split_at(size);
            work = self.install_batch(record, work, batch).await?;
            rest = later;
        }
        Ok(work)
    }

    /// Tries again what failed, in smaller batches and then by itself: in a batch another may have pulled it down.
    async fn retry(&self, record: &mut Record, mut work: Work) -> Result<Work, EngineError> {
        loop {
            let groups = work.to_retry();
            if groups.is_empty() || work.is_stopped() {
                return Ok(work);
            }
            for group in groups {
                work = self.install_group(record, work, &group).await?;
            }
        }
    }

    async fn install_batch(
        &self,
        record: &mut Record,
        mut work: Work,
        packages: &[Package],
    ) -> Result<Work, EngineError> {
        work.batch = Some(Batch { packages: packages.to_vec(), running: None });
        self.save(record, &work)?;
        let began = self.now();
        let running = self.back_end.install(packages).await?;
        work.batch = Some(Batch { packages: packages.to_vec(), running: Some(running.clone()) });
        self.save(record, &work)?;
        let said = self.await_install(&running).await;
        self.measure(packages.len(), began)?;
        self.tidy().await;
        let standings = self.back_end.standings(&work.outstanding()).await?;
        work.judge(&standings, &said);
        work.recount(&standings);
        self.save(record, &work)?;
        if said.trouble.is_some_and(|trouble| trouble.passing) {
            // It was in someone's way, or someone left something half-done: the next try is to find it clean.
            self.repair(&record.order).await?;
        }
        Ok(work)
    }

    /// Downloads until the install could not end in time any more; once more, with fresh news, if it fails.
    async fn download(&self, order: &Order, packages: &[Package]) -> Result<(), String> {
        let cut_off = self.last_end(order) - self.longest_package();
        let twice = async {
            if self.back_end.download(packages).await.is_ok() {
                return Ok(());
            }
            self.back_end.refresh().await;
            self.back_end.download(packages).await.map_err(|error| error.to_string())
        };
        tokio::select! {
            result = twice => result,
            () = self.sleep_until(cut_off) => Err("the download did not end in time".to_owned()),
        }
    }

    /// Whether nothing more may be begun: between two batches, never within one.
    fn is_over(&self, order: &Order, work: &mut Work) -> bool {
        work.superseded = work.superseded.take().or_else(|| self.newest.after(order));
        work.window_exceeded |= self.largest_batch(order) == 0;
        work.is_stopped()
    }

    /// How many packages can be begun now and end in time.
    fn largest_batch(&self, order: &Order) -> usize {
        let left = self.last_end(order) - self.now() - self.longest_package();
        if left < Duration::zero() {
            return 0;
        }
        let average = self.average_package().num_milliseconds().max(1);
        let more = i32::try_from(left.num_milliseconds() / average).unwrap_or(LARGEST_BATCH);
        usize::try_from(more.saturating_add(1).min(LARGEST_BATCH)).unwrap_or(0)
    }

    /// When the last install must have ended: a reboot that may follow has its time kept back.
    fn last_end(&self, order: &Order) -> Time {
        match order.reboot {
            RebootSetting::Never => order.deadline,
            RebootSetting::IfRequired | RebootSetting::Always => order.deadline - self.timings.reboot(),
        }
    }

    /// What cannot be put right now is no reason to lose the account of what was installed.
    async fn tidy(&self) {
        if let Err(error) = self.back_end.tidy().await {
            tracing::warn!(%error, "not everything could be put right after an install");
        }
    }

    fn save(&self, record: &mut Record, work: &Work) -> Result<(), EngineError> {
        record.stage = Stage::Installing(work.clone());
        Ok(self.journal.put(record)?)
    }
}
