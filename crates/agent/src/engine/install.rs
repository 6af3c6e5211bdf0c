//! Installing what is selected: planned by simulation, downloaded whole, in batches that end before the deadline,
//! judged by the package database.

use super::{Engine, EngineError, Work};
use crate::back_end::{Package, PlanError, Said};
use crate::engine::work::Batch;
use crate::journal::{Record, Stage};
use chrono::Duration;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nightshift_domain::event::Order;
use nightshift_domain::mind::Time;
use nightshift_domain::patch::RebootSetting;

/// The most packages in one go: a longer command line gains nothing, and one that goes wrong takes less along.
const LARGEST_BATCH: i32 = 300;
/// How often the machine is assessed anew for patches that only show when others are in.
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
            work = self.retry_singly(record, work).await?;
            if work.window_exceeded || work.rounds >= MOST_ROUNDS {
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
            Some(running) => self.back_end.wait(running).await,
            None => Said::default(),
        };
        self.repair(order).await?;
        self.tidy().await;
        let standings = self.back_end.standings(&work.outstanding()).await?;
        work.judge_interrupted(&standings, &said);
        Ok(work)
    }

    async fn install_selected(&self, record: &mut Record, mut work: Work) -> Result<Work, EngineError> {
        loop {
            let packages = work.to_install();
            if packages.is_empty() {
                return Ok(work);
            }
            if self.largest_batch(&record.order) == 0 {
                work.window_exceeded = true;
                return Ok(work);
            }
            let groups = self.plan(&packages, &mut work).await;
            for group in groups {
                work = self.install_group(record, work, group).await?;
                if work.window_exceeded {
                    return Ok(work);
                }
            }
        }
    }

    async fn install_group(
        &self,
        record: &mut Record,
        mut work: Work,
        group: Vec<Package>,
    ) -> Result<Work, EngineError> {
        // In full first: the install must not depend on the network in the middle of the window.
        if let Err(why) = self.download(&record.order, &group).await {
            group.iter().for_each(|package| work.postpone(package, &why));
            work.window_exceeded |= self.largest_batch(&record.order) == 0;
            return Ok(work);
        }
        let mut rest = group.as_slice();
        while !rest.is_empty() {
            let size = self.largest_batch(&record.order).min(rest.len());
            if size == 0 {
                work.window_exceeded = true;
                return Ok(work);
            }
            let (batch, later) = rest.split_at(size);
            work = self.install_batch(record, work, batch).await?;
            rest = later;
        }
        Ok(work)
    }

    /// One more try for each package that failed, by itself: in a batch another may have pulled it down.
    async fn retry_singly(&self, record: &mut Record, mut work: Work) -> Result<Work, EngineError> {
        for package in work.to_retry() {
            if self.largest_batch(&record.order) == 0 {
                work.window_exceeded = true;
                return Ok(work);
            }
            work = self.install_batch(record, work, &[package]).await?;
        }
        Ok(work)
    }

    async fn install_batch(
        &self,
        record: &mut Record,
        mut work: Work,
        packages: &[Package],
    ) -> Result<Work, EngineError> {
        work.batch = Some(Batch { packages: packages.to_vec(), running: None });
        self.save(record, &work)?;
        let running = self.back_end.install(packages).await?;
        work.batch = Some(Batch { packages: packages.to_vec(), running: Some(running.clone()) });
        self.save(record, &work)?;
        let said = self.back_end.wait(&running).await;
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

    /// Parts the packages into groups that can each be installed in one go. What cannot be installed at all is noted
    /// and left out: in a batch it would keep everything else out too.
    async fn plan(&self, packages: &[Package], work: &mut Work) -> Vec<Vec<Package>> {
        let mut refused = Vec::new();
        let groups = self.part(packages, &mut refused).await;
        for (package, error) in refused {
            match error {
                PlanError::Impossible(why) => work.exclude(&package, &why),
                PlanError::Stale(why) => work.postpone(&package, &why),
            }
        }
        groups
    }

    /// Halves what does not go together until it does.
    fn part<'a>(
        &'a self,
        packages: &'a [Package],
        refused: &'a mut Vec<(Package, PlanError)>,
    ) -> BoxFuture<'a, Vec<Vec<Package>>> {
        async move {
            let Err(error) = self.back_end.plan(packages).await else { return vec![packages.to_vec()] };
            if let [package] = packages {
                refused.push((package.clone(), error));
                return Vec::new();
            }
            let (left, right) = packages.split_at(packages.len() / 2);
            let mut groups = self.part(left, refused).await;
            groups.append(&mut self.part(right, refused).await);
            groups
        }
        .boxed()
    }

    /// Downloads until the install could not end in time any more; once more, with fresh news, if it fails.
    async fn download(&self, order: &Order, packages: &[Package]) -> Result<(), String> {
        let cut_off = self.last_end(order) - self.timings.longest_package();
        let twice = async {
            if self.back_end.download(packages).await.is_ok() {
                return Ok(());
            }
            self.back_end.refresh().await;
            self.back_end.download(packages).await.map_err(|error| error.to_string())
        };
        tokio::select! {
            result = twice => result,
            () = self.clock.sleep_until(cut_off) => Err("the download did not end in time".to_owned()),
        }
    }

    /// How many packages can be begun now and end in time.
    fn largest_batch(&self, order: &Order) -> usize {
        let left = self.last_end(order) - self.clock.now() - self.timings.longest_package();
        if left < Duration::zero() {
            return 0;
        }
        let average = self.timings.average_package().num_seconds().max(1);
        let more = i32::try_from(left.num_seconds() / average).unwrap_or(LARGEST_BATCH);
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
