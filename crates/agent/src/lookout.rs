//! What the agent says of its machine's health: heartbeats, and while the machine is watched, the policy's probes.

use crate::back_end::{BackEnd, BackEndError};
use crate::config::{BackEndChoice, Config};
use crate::engine::Stuck;
use crate::findings::{findings, full_disk};
use crate::probes::Probes;
use crate::worker::Desk;
use chrono::Duration;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use nightshift_clock::Clock;
use nightshift_domain::Time;
use nightshift_domain::policy::Probe;
use nightshift_protocol::agent::v1 as wire;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};

/// On a machine that nobody watches, what the findings of its programs are good for: a guest is to be quiet.
const FINDINGS_KEEP: Duration = Duration::minutes(5);
/// While an order is at work its machine's services come and go: probes wait, and look so often whether it is over.
const LOOK_AGAIN: Duration = Duration::seconds(5);

/// Looks at the machine.
pub(crate) struct Lookout {
    back_end: Arc<dyn BackEnd>,
    probes: Probes,
    clock: Clock,
    desk: Desk,
    /// An install that makes no progress ails the machine.
    stuck: Stuck,
    /// The machine's `/`; none if it is simulated.
    root: Option<PathBuf>,
    least_free_mebibytes: u64,
    /// The probes of the policy that watches the machine; `None` if none does.
    watch: watch::Sender<Option<Vec<Probe>>>,
    found: Mutex<Option<(Time, Vec<String>)>>,
}

impl Lookout {
    pub fn new(config: &Config, back_end: Arc<dyn BackEnd>, clock: Clock, desk: Desk, stuck: Stuck) -> Self {
        Self {
            back_end,
            probes: Probes::new(config),
            clock,
            desk,
            stuck,
            root: (config.back_end != BackEndChoice::Simulated).then(|| config.root.clone()),
            least_free_mebibytes: config.least_free_mebibytes.into(),
            watch: watch::Sender::new(None),
            found: Mutex::default(),
        }
    }

    /// From now on these probes are run, and no others.
    pub fn watch(&self, probes: Option<Vec<Probe>>) {
        self.watch.send_if_modified(|known| {
            let new = *known != probes;
            *known = probes;
            new
        });
    }

    /// Returns when the machine begins or ceases to be watched, or is watched with other probes.
    pub async fn changes(&self) {
        // The sender lives as long as the lookout: there is no error to meet.
        drop(self.watch.subscribe().changed().await);
    }

    /// How the machine is now. What was seen while an order was at work is looked at again if it has ended meanwhile.
    pub async fn heartbeat(&self) -> Result<wire::Heartbeat, BackEndError> {
        loop {
            let busy = self.desk.is_busy();
            let boot_id = self.back_end.boot_id()?;
            let known = self.stuck.get().or(self.back_end.ailment().await);
            let ailment = match known.or_else(|| self.full_disk()) {
                None => self.probes.ailment().await,
                ailment => ailment,
            };
            let findings = if busy { Vec::new() } else { self.findings().await };
            if busy && !self.desk.is_busy() {
                self.forget_findings();
                continue;
            }
            return Ok(wire::Heartbeat { boot_id, ailment, findings });
        }
    }

    /// Runs the policy's probes for ever; ends only when nobody takes their results any more.
    pub async fn run_probes(&self, results: mpsc::Sender<wire::Probed>) {
        let mut watch = self.watch.subscribe();
        loop {
            let probes = watch.borrow_and_update().clone().unwrap_or_default();
            let mut running: FuturesUnordered<_> =
                probes.iter().map(|probe| self.run_probe(probe, &results)).collect();
            tokio::select! {
                Some(()) = running.next() => return,
                changed = watch.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn run_probe(&self, probe: &Probe, results: &mpsc::Sender<wire::Probed>) {
        loop {
            if self.desk.is_busy() {
                self.clock.sleep(LOOK_AGAIN.min(probe.interval)).await;
                continue;
            }
            let ailment = self.probes.look(probe).await;
            // An order that came meanwhile may have taken down what was looked at.
            if self.desk.is_busy() {
                continue;
            }
            let result = wire::Probed { name: probe.name.to_string(), ailment };
            if results.send(result).await.is_err() {
                return;
            }
            self.clock.sleep(probe.interval).await;
        }
    }

    fn full_disk(&self) -> Option<String> {
        full_disk(self.root.as_deref()?, self.least_free_mebibytes)
    }

    async fn findings(&self) -> Vec<String> {
        let Some(root) = &self.root else { return Vec::new() };
        let now = self.clock.now();
        let watched = self.watch.borrow().is_some();
        let kept = self.found().clone().filter(|(at, _)| !watched && now - *at < FINDINGS_KEEP);
        if let Some((_, kept)) = kept {
            return kept;
        }
        let found = findings(root).await;
        *self.found() = Some((now, found.clone()));
        found
    }

    fn forget_findings(&self) {
        *self.found() = None;
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Option<(Time, Vec<String>)>> {
        // What was found is whole at every moment, whoever panicked while holding it.
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
