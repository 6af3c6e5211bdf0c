//! The one clock of a process. Minds never see it: they are given its time.
//!
//! A room of its own, because the agent needs nothing else of what services share.

use chrono::{DateTime, Duration, Utc};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration as RealDuration, Instant};
use tokio::sync::watch;

/// The time of the fleet: the machine's, or for a demo a faster one.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    System,
    Fast { fast: Arc<Mutex<Fast>>, speed: Arc<watch::Sender<u32>> },
}

/// A clock that runs `factor` times as fast as the machine's, in strides: it only advances while its process runs,
/// so that a machine that stalls for a second does not make hours of fleet time pass unseen.
#[derive(Debug)]
struct Fast {
    now: DateTime<Utc>,
    /// How much fleet time has passed, whatever the clock was set to.
    passed: Duration,
    read: Instant,
    factor: u32,
}

/// The most real time that one stride of a fast clock takes into account. The ticker strides every
/// [`TICK`]; a stride of much more means that the process did not run.
const LONGEST_STRIDE: RealDuration = RealDuration::from_millis(40);
const TICK: RealDuration = RealDuration::from_millis(5);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that begins at `start` and runs `factor` times as fast as the machine's, for as long as the tokio
    /// runtime it is made in runs.
    pub fn fast(start: DateTime<Utc>, factor: u32) -> Self {
        let factor = factor.max(1);
        let fast =
            Arc::new(Mutex::new(Fast { now: start, passed: Duration::zero(), read: Instant::now(), factor }));
        let ticking = Arc::downgrade(&fast);
        tokio::spawn(async move {
            while let Some(fast) = ticking.upgrade() {
                drop(stride(&fast));
                drop(fast);
                tokio::time::sleep(TICK).await;
            }
        });
        Self(Kind::Fast { fast, speed: Arc::new(watch::Sender::new(factor)) })
    }

    /// From now on a fast clock runs so many times as fast as the machine's. The machine's own clock stays as it is.
    pub fn set_speed(&self, factor: u32) {
        if let Kind::Fast { fast, speed } = &self.0 {
            let factor = factor.max(1);
            stride(fast).factor = factor;
            speed.send_replace(factor);
        }
    }

    /// Now.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Kind::System => Utc::now(),
            Kind::Fast { fast, .. } => stride(fast).now,
        }
    }

    /// Sets a fast clock, as people and time servers set a machine's: it leaps, and no time passes by that. The machine's
    /// own clock stays as it is.
    pub fn set(&self, now: DateTime<Utc>) {
        if let Kind::Fast { fast, .. } = &self.0 {
            stride(fast).now = now;
        }
    }

    /// From now on time is reckoned as well as read.
    pub fn reckoning(&self) -> Reckoning {
        let passed = match &self.0 {
            Kind::System => Duration::zero(),
            Kind::Fast { fast, .. } => stride(fast).passed,
        };
        Reckoning { clock: self.clone(), began: self.now(), passed, counted: Instant::now() }
    }

    /// Waits for so much fleet time, whatever the clock is set back to meanwhile.
    pub async fn sleep(&self, duration: Duration) {
        let reckoning = self.reckoning();
        reckoning.sleep_until(reckoning.began + duration).await;
    }

    /// Waits until the fleet's time is `moment`; at once if it already is.
    pub async fn sleep_until(&self, moment: DateTime<Utc>) {
        while self.nap(moment - self.now()).await {}
    }

    /// Naps for a part of what is left; returns whether anything is.
    async fn nap(&self, left: Duration) -> bool {
        // A clock may be set, or stride shorter than the machine's: so look again and again.
        const LONGEST_NAP: RealDuration = RealDuration::from_secs(60);
        let left = left.to_std().unwrap_or_default();
        if left.is_zero() {
            return false;
        }
        let nap = (left / self.factor()).max(RealDuration::from_millis(1));
        let nap = tokio::time::sleep(nap.min(LONGEST_NAP));
        match &self.0 {
            Kind::System => nap.await,
            Kind::Fast { speed, .. } => {
                let mut speed = speed.subscribe();
                tokio::select! {
                    () = nap => {}
                    // The sender is kept by the clock itself.
                    _ = speed.changed() => {}
                }
            }
        }
        true
    }

    /// How many times as fast as the machine's clock this one runs.
    pub fn factor(&self) -> u32 {
        match &self.0 {
            Kind::System => 1,
            Kind::Fast { fast, .. } => lock(fast).factor,
        }
    }
}

/// The time since one moment, read from the clock and counted besides, whichever is later: a clock that is set back makes
/// nothing last longer. One that is set forward is believed.
#[derive(Debug, Clone)]
pub struct Reckoning {
    clock: Clock,
    began: DateTime<Utc>,
    /// What a fast clock had counted by then.
    passed: Duration,
    /// What the kernel counts since (CLOCK_MONOTONIC).
    counted: Instant,
}

impl Reckoning {
    /// Now, by the clock or by what was counted.
    pub fn now(&self) -> DateTime<Utc> {
        let counted = match &self.clock.0 {
            Kind::System => Duration::from_std(self.counted.elapsed()).unwrap_or(Duration::zero()),
            Kind::Fast { fast, .. } => stride(fast).passed - self.passed,
        };
        self.clock.now().max(self.began + counted)
    }

    /// Waits until it is `moment` by this reckoning; at once if it already is.
    pub async fn sleep_until(&self, moment: DateTime<Utc>) {
        while self.clock.nap(moment - self.now()).await {}
    }
}

fn stride(fast: &Mutex<Fast>) -> MutexGuard<'_, Fast> {
    let mut fast = lock(fast);
    let elapsed = fast.read.elapsed();
    fast.read = Instant::now();
    let counted = elapsed.min(LONGEST_STRIDE) * fast.factor;
    let counted = Duration::from_std(counted).unwrap_or(Duration::zero());
    fast.now += counted;
    fast.passed += counted;
    fast
}

fn lock(fast: &Mutex<Fast>) -> MutexGuard<'_, Fast> {
    // A clock is whole at every moment, whoever panicked while reading it.
    fast.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_that_is_set_back_makes_no_reckoning_longer_and_one_that_is_set_forward_is_believed() {
        let start: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::fast(start, 5760);
        let reckoning = clock.reckoning();
        clock.set(start - Duration::days(1));
        reckoning.sleep_until(start + Duration::minutes(10)).await;
        assert!(clock.now() < start, "{}", clock.now());
        clock.set(start + Duration::days(1));
        assert!(reckoning.now() >= start + Duration::days(1));
        let reckoning = Clock::system().reckoning();
        assert!(reckoning.now() >= reckoning.began && reckoning.now() <= Utc::now() + Duration::seconds(1));
    }

    #[tokio::test]
    async fn a_fast_clock_runs_fast_but_never_leaps() {
        let start = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::fast(start, 5760);
        clock.sleep(Duration::minutes(10)).await;
        assert!(clock.now() >= start + Duration::minutes(10));
        let before = clock.now();
        std::thread::sleep(RealDuration::from_millis(200));
        let leap = clock.now() - before;
        assert!(leap <= Duration::from_std(LONGEST_STRIDE * 5760).unwrap(), "{leap}");
    }
}
