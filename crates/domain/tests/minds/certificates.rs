//! With which keys a machine may speak, and until when it may have another certificate.

use crate::world::{region, topology, vm, vm_id};
use chrono::Duration;
use nightshift_domain::fleet::Fleet;
use nightshift_domain::gateway::Gateway;
use nightshift_domain::{Decision, Event, Fact, Mind, Partition, Refusal, Time};

const DAY: Duration = Duration::days(1);
const GRACE: Duration = Duration::days(30);

fn noon() -> Time {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

/// One machine that enrolled at noon with key `k1`, whose certificate is good for a week.
struct Desk(Gateway);

impl Desk {
    fn new() -> Self {
        let mut desk = Self(Gateway::default());
        let declared = Fleet::default().declare(topology(&[], &["a"]), &[], vec![vm("a", 1)]);
        declared.unwrap().into_iter().for_each(|event| desk.take(Partition::Fleet, event));
        let token = desk.0.issue_token(&vm_id("a-1"), "t".into(), noon() + DAY).unwrap();
        desk.facts(Some(token));
        let enrolled = desk.0.enrol(&vm_id("a-1"), "t", "k1", noon() + DAY * 7, noon()).unwrap();
        desk.facts(enrolled);
        desk
    }

    fn take(&mut self, partition: Partition, event: Event) {
        self.0.apply(&Fact { partition, at: noon(), event });
    }

    fn facts(&mut self, decision: Option<Decision>) {
        let events = decision.into_iter().flat_map(|decision| decision.events);
        events.for_each(|event| self.take(Partition::Region(region("a")), event));
    }

    /// Asks with this key for a certificate for that one; how many facts that makes.
    fn renew(&mut self, asking: &str, new: &str, now: Time) -> Result<usize, Refusal> {
        let decided = self.0.renew(&vm_id("a-1"), asking, new, now + DAY * 7, now, GRACE)?;
        let count = decided.iter().map(|decision| decision.events.len()).sum();
        self.facts(decided);
        Ok(count)
    }

    fn speaks(&self, key: &str) -> bool {
        self.0.authenticate(&vm_id("a-1"), key).is_ok()
    }
}

#[test]
fn the_former_key_is_good_beside_the_new_one_until_the_next_renewal() {
    let mut desk = Desk::new();
    assert_eq!(desk.renew("k1", "k2", noon() + DAY * 4), Ok(1));
    assert!(desk.speaks("k1") && desk.speaks("k2") && !desk.speaks("k3"));
    // The answer was lost: the same again is no new fact, and no new right.
    assert_eq!(desk.renew("k1", "k2", noon() + DAY * 4), Ok(0));
    assert_eq!(desk.renew("k2", "k3", noon() + DAY * 9), Ok(1));
    assert!(!desk.speaks("k1") && desk.speaks("k2") && desk.speaks("k3"));
    assert_eq!(desk.renew("k1", "k4", noon() + DAY * 9).unwrap_err().code, "KeyNotCurrent");
}

#[test]
fn a_new_key_that_was_lost_before_it_was_used_is_replaced_by_the_former_one() {
    let mut desk = Desk::new();
    desk.renew("k1", "lost", noon() + DAY * 4).unwrap();
    assert_eq!(desk.renew("k1", "k2", noon() + DAY * 5), Ok(1));
    assert!(desk.speaks("k1") && desk.speaks("k2") && !desk.speaks("lost"));
    assert_eq!(desk.renew("k2", "k3", noon() + DAY * 8), Ok(1));
}

#[test]
fn a_machine_that_was_off_renews_within_the_grace_and_enrols_anew_after_it() {
    let last = noon() + DAY * 7 + GRACE;
    assert_eq!(Desk::new().renew("k1", "k2", last), Ok(1));
    let mut desk = Desk::new();
    let refused = desk.renew("k1", "k2", last + Duration::seconds(1)).unwrap_err();
    assert_eq!(refused.code, "CertificateEnded");
    assert!(refused.is_denied());
    assert!(refused.sentence.contains("nightshift vm token a-1"), "{refused}");
    assert!(refused.sentence.contains("2026-04-08 12:00:00 UTC"), "{refused}");
    // The way back: a new token.
    let token = desk.0.issue_token(&vm_id("a-1"), "t2".into(), last + DAY).unwrap();
    desk.facts(Some(token));
    let enrolled = desk.0.enrol(&vm_id("a-1"), "t2", "k1", last + DAY * 7, last).unwrap();
    desk.facts(enrolled);
    assert_eq!(desk.renew("k1", "k2", last + DAY), Ok(1));
}

#[test]
fn the_former_key_has_no_grace() {
    let mut desk = Desk::new();
    desk.renew("k1", "k2", noon() + DAY * 4).unwrap();
    assert_eq!(desk.renew("k1", "k3", noon() + DAY * 8).unwrap_err().code, "CertificateEnded");
    assert_eq!(desk.renew("k2", "k3", noon() + DAY * 8), Ok(1));
}

#[test]
fn a_key_that_never_enrolled_renews_nothing() {
    let mut desk = Desk::new();
    assert_eq!(desk.renew("other", "k2", noon()).unwrap_err().code, "KeyNotCurrent");
    let unknown = desk.0.renew(&vm_id("a-2"), "k1", "k2", noon(), noon(), GRACE).unwrap_err();
    assert_eq!(unknown.code, "KeyNotCurrent");
}
