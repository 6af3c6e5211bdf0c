//! S3, S4, S5: a VM is ordered only where it was enlisted. One that changed its zone, its update domain, its
//! subscription or its region after its round noted it, and before its order, is not: the layout of the round does not
//! know its new place. (A VM that left the fleet or is not eligible any more is S8's to tell, a changed window S6's.)

use crate::findings::Findings;
use crate::history::History;
use crate::report::Rule::{S3, S4, S5};
use nightshift_domain::fleet::Placement;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for flight in history.all_flights() {
        let (vm, placed) = (&flight.order.vm, flight.placed);
        let (Some((enlisted, member)), Some((said, last))) =
            (flight.enlisted, history.fleet.models(vm, placed.at).last())
        else {
            continue;
        };
        let rule = match (&member.placement, &last.placement) {
            (Placement::Zone(_), _) | (_, Placement::Zone(_)) => S3,
            (Placement::AvailabilitySet { .. }, _) | (_, Placement::AvailabilitySet { .. }) => S4,
            (Placement::Standalone, Placement::Standalone) => S5,
        };
        let stays = history.fleet.models(vm, placed.at).any(|(_, model)| {
            model.region == *flight.region
                && model.placement == member.placement
                && model.subscription == member.subscription
        });
        // What was wrong from the start is told where it was enlisted.
        let moved = !stays && said.at > enlisted.at;
        findings.test(rule, !moved, said, placed, || {
            format!("VM {vm} is ordered where it was when it was enlisted, and is not there any more")
        });
    }
}
