//! What a person had installed on one VM: the order is on that VM and no other (S8: nobody asked for more), and placed in
//! time (S9).

use crate::findings::Findings;
use crate::history::History;
use crate::report::Rule::{S8, S9};

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for flight in history.all_flights() {
        let Some(on_demand) = flight.on_demand else { continue };
        let rollout = history.rollouts.get(&flight.order.rollout);
        let asked = rollout.and_then(|rollout| rollout.requested()).unwrap_or(flight.placed);
        let (vm, wished) = (&flight.order.vm, &on_demand.vm);
        findings.test(S8, vm == wished, asked, flight.placed, || {
            format!("VM {vm} is ordered on demand, and it was VM {wished} that a person asked for")
        });
        let (not_after, until) = (flight.order.not_after, on_demand.not_after);
        findings.test(S9, not_after <= until, asked, flight.placed, || {
            format!(
                "the order of VM {vm} may begin until {not_after}, and a person asked for it until {until}"
            )
        });
    }
}
