//! How long to wait before the gateway is tried again.

use std::time::Duration;

/// The first wait is up to this: what a fleet of 10,000 needs to come back at 500 a second.
const FIRST: Duration = Duration::from_secs(20);

/// The wait after a session that ended (`failures` is 0), or after so many tries in a row that led to none. `random` is
/// from 0 to 1, different on every machine and at every try.
///
/// Anything from nothing to the whole of a span, the first time already: agents that lose their gateway together must not
/// come back together. The span doubles with each failure, up to `longest`, so that a gateway that stays away is asked ever
/// less often.
pub(crate) fn wait(failures: u32, longest: Duration, random: f64) -> Duration {
    FIRST.saturating_mul(1 << failures.min(16)).min(longest).mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    const AGENTS: usize = 10_000;
    const LONGEST: Duration = Duration::from_secs(300);

    /// A gateway dies at 0 and is back after `outage`. In which second each agent tried, and when each was back.
    fn storm(outage: Duration) -> (Vec<usize>, Vec<Duration>) {
        let mut rng = StdRng::seed_from_u64(4);
        let mut tries = vec![0; 3_600];
        let mut back = Vec::new();
        for _ in 0..AGENTS {
            let (mut now, mut failures) = (Duration::ZERO, 0);
            loop {
                now += wait(failures, LONGEST, rng.random());
                tries[now.as_secs() as usize] += 1;
                if now >= outage {
                    break;
                }
                failures += 1;
            }
            back.push(now - outage);
        }
        (tries, back)
    }

    #[test]
    fn ten_thousand_agents_that_lose_their_gateway_at_once_do_not_come_back_at_once() {
        // It was only restarted: 500 a second are the mean of the span, the rest is chance.
        let (tries, back) = storm(Duration::ZERO);
        assert!(tries.iter().max().unwrap() < &600, "{:?}", &tries[..25]);
        assert!(tries[..20].iter().all(|tries| *tries > 400), "{:?}", &tries[..25]);
        assert!(back.iter().all(|wait| *wait <= FIRST));
    }

    #[test]
    fn a_gateway_that_stays_away_is_asked_ever_less_often_and_all_are_back_soon_after_it() {
        let outage = Duration::from_secs(1_800);
        let (tries, back) = storm(outage);
        let in_minute = |minute: usize| tries[minute * 60..][..60].iter().sum::<usize>();
        assert!(in_minute(25) * 4 < in_minute(0), "{} {}", in_minute(0), in_minute(25));
        assert!(tries[1_800..].iter().max().unwrap() < &200, "the way back is a storm");
        assert!(back.iter().all(|wait| *wait <= LONGEST));
    }

    #[test]
    fn the_longest_wait_is_what_is_configured() {
        for failures in [0, 1, 16, u32::MAX] {
            assert_eq!(wait(failures, Duration::from_millis(200), 1.0), Duration::from_millis(200));
            assert_eq!(wait(failures, LONGEST, 0.0), Duration::ZERO);
        }
        assert_eq!([0, 1, 2].map(|failures| wait(failures, LONGEST, 1.0).as_secs()), [20, 40, 80]);
    }
}
