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
        let fast = Arc::new(Mutex::new(Fast { now: start, read: Instant::now(), factor }));
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

    /// Waits for so much fleet time.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + duration).await;
    }

    /// Waits until the fleet's time is `moment`; at once if it already is.
    pub async fn sleep_until(&self, moment: DateTime<Utc>) {
        // A clock may be set, or stride shorter than the machine's: so look again and again.
        const LONGEST_NAP: RealDuration = RealDuration::from_secs(60);
        loop {
            let Ok(left) = (moment - self.now()).to_std() else { return };
            if left.is_zero() {
                return;
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
        }
    }

    /// How many times as fast as the machine's clock this one runs.
    pub fn factor(&self) -> u32 {
        match &self.0 {
            Kind::System => 1,
            Kind::Fast { fast, .. } => lock(fast).factor,
        }
    }
}

fn stride(fast: &Mutex<Fast>) -> MutexGuard<'_, Fast> {
    let mut fast = lock(fast);
    let elapsed = fast.read.elapsed();
    fast.read = Instant::now();
    let counted = elapsed.min(LONGEST_STRIDE) * fast.factor;
    fast.now += Duration::from_std(counted).unwrap_or(Duration::zero());
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
