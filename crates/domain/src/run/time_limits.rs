//! No host, and no service, can hold a run for ever: every standing has its time limit (REQUIREMENTS.md F5).

use super::{Standing, Work};
use crate::event::{Order, Outcome};
use crate::mind::Time;
use crate::policy::Policy;
use chrono::Duration;

/// How long an order may take to reach its agent and be begun: without this room, one that is placed late in the
/// night would only expire on its way.
pub(super) const DELIVERY: Duration = Duration::minutes(5);

/// How long the health-monitor may take to answer, over what silence takes.
pub(crate) const ANSWER: Duration = Duration::minutes(30);

/// When a VM that was called for its baseline is deferred without one.
pub(super) fn baseline_overdue(since: Time, policy: &Policy) -> Time {
    since + policy.silence + ANSWER
}

/// When controls that have no verdict are judged without it.
pub(super) fn controls_overdue(since: Time, policy: &Policy) -> Time {
    baseline_overdue(since, policy) + policy.soak + policy.silence + policy.silence + ANSWER
}

/// When nothing more is expected of an order, in the state that its work is in.
///
/// An order's `not_after` is not enough: one that was accepted in time may be at work while its report waits for a
/// gateway that is away. `None` if it is over already.
pub(super) fn order_overdue(order: &Order, work: &Work, policy: &Policy) -> Option<Time> {
    match work {
        Work::Placed | Work::Accepted => Some(order.deadline + policy.grace),
        Work::Soaking { since } => {
            // A machine of which nothing is heard is unknown after soak and silence; a monitor that has just been
            // restarted listens for another silence first.
            let verdict = *since + policy.soak + policy.silence + policy.silence + ANSWER;
            Some(verdict.max(order.deadline + policy.grace))
        }
        Work::Over(_) => None,
    }
}

/// How an order ends, if it has ended or its time is over.
pub(super) fn order_outcome(order: &Order, work: &Work, policy: &Policy, now: Time) -> Option<Outcome> {
    let overdue = order_overdue(order, work, policy).is_none_or(|at| now >= at);
    let why = match work {
        Work::Over(outcome) => return Some(outcome.clone()),
        _ if !overdue => return None,
        Work::Placed => format!("the order was never accepted by {}", order.deadline),
        Work::Accepted => format!("the order was accepted, but never finished by {}", order.deadline),
        Work::Soaking { .. } => "no verdict on its health came: the health-monitor is away".to_owned(),
    };
    Some(Outcome::Failed { why })
}

impl Standing {
    /// When the standing's time is over; `None` if it waits for its step or window, or is over.
    pub(super) fn time_limit(&self, policy: &Policy) -> Option<Time> {
        match self {
            Standing::Called { since } => Some(baseline_overdue(*since, policy)),
            Standing::InFlight(flight) => order_overdue(&flight.order, &flight.work, policy),
            _ => None,
        }
    }
}
