//! Death at every step of the journal, with each real package manager on a whole machine: one order runs undisturbed and
//! its steps are taken down; then the agent is killed, and the plug pulled, before and after each of them.

use crate::machine::{Agent, Life, Machine, states};
use nightshift_agent::report::Body;
use nightshift_domain::agent::{InstallReport, RequirementState};
use nightshift_domain::event::Order;
use nightshift_domain::patch::PatchState::{self, Failed, Installed};
use nightshift_domain::patch::{RebootSetting, RebootStatus};
use nightshift_domain::selection::Mask;
use nightshift_machines::Manager;
use serde_json::Value;
use std::sync::Mutex;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Death {
    Kill,
    PowerCut,
}

/// Where an agent stands when it dies.
#[derive(Debug, Clone, Copy)]
struct At {
    /// `before` or `after` the write.
    moment: &'static str,
    /// The number of the write in the whole order.
    write: usize,
}

const SLOW: &str = "fx-slow";

/// A package that fails, one whose script can be held, one more, and what asks for a reboot.
fn packages(manager: Manager) -> [(&'static str, PatchState); 4] {
    match manager {
        Manager::Apt => {
            [("fx-fail", Failed), ("fx-kernel", Installed), ("fx-sec", Installed), (SLOW, Installed)]
        }
        // Goes last, in a batch of its own.
        Manager::Dnf => {
            [("fx-pre", Failed), ("fx-sec", Installed), (SLOW, Installed), ("linux-firmware", Installed)]
        }
        // Its patch asks for the reboot.
        Manager::Zypper => {
            [("fx-kernel", Installed), ("fx-pre", Failed), ("fx-sec", Installed), (SLOW, Installed)]
        }
    }
}

fn order(machine: &Machine, manager: Manager) -> Order {
    let mut order = Order { reboot: RebootSetting::IfRequired, ..machine.order("o-1") };
    order.selection.include = packages(manager).map(|(name, _)| Mask::new(name).unwrap()).to_vec();
    order
}

/// In a few words, what the journal says.
fn name(stage: &Value) -> String {
    let Some(stage) = stage.as_object() else { return stage.as_str().unwrap().to_owned() };
    let (name, work) = stage.iter().next().unwrap();
    let batch = match (&work["batch"], &work["batch"]["running"]) {
        (Value::Null, _) => "",
        (_, Value::Null) => " (batch named)",
        _ => " (batch runs)",
    };
    format!("{name}{batch}")
}

/// Whether the batch that runs has the package whose script can be held.
fn runs_slow(stage: &Value) -> bool {
    let batch = &stage["Installing"]["batch"];
    let packages = batch["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    !batch["running"].is_null() && packages.iter().any(|package| package["name"] == SLOW)
}

/// One life after the other until the order is over; or until an agent stands still at this write: then it is handed over.
fn live(machine: &Machine, order: &Order, at: At) -> (Vec<Value>, Result<InstallReport, Agent>) {
    let mut journal = Vec::new();
    loop {
        let boots = machine.boots();
        let left = (at.write - journal.len()).to_string();
        let mut agent = machine.begin_until(order, &[at.moment, &left]);
        let Life { journal: written, stands_still, result } = agent.life();
        journal.extend(written);
        if stands_still {
            return (journal, Err(agent));
        }
        if let Some(result) = result {
            return (journal, Ok(result));
        }
        drop(agent);
        machine.until_booted(boots + 1);
    }
}

fn undisturbed(machine: &Machine, order: &Order) -> (Vec<Value>, InstallReport) {
    let (journal, result) = live(machine, order, At { moment: "after", write: usize::MAX });
    (journal, result.unwrap_or_else(|_| panic!("no order has so many steps")))
}

/// `held`: the script of a package is in the middle of its work when the agent dies.
fn die_and_go_on(manager: Manager, at: At, held: bool, death: Death) {
    let mut machine = Machine::new(manager);
    let order = order(&machine, manager);
    if held {
        machine.shell("touch /etc/fx-slow-hold");
    }
    let (journal, stands) = live(&machine, &order, at);
    let Err(agent) = stands else { panic!("{manager:?}: write {at:?} was never made: {journal:?}") };
    if held {
        machine.until("fx-slow's script runs", "test -e /run/fx-slow-started");
    }
    match death {
        Death::Kill => agent.kill(&machine),
        Death::PowerCut => {
            machine.power_cut();
            if held {
                said_to_be_half_done(&machine, manager);
            }
            machine.shell("rm -f /etc/fx-slow-hold");
            drop(agent);
        }
    }
    let (_, result) = std::thread::scope(|scope| {
        if held {
            // Only when the next agent is there to wait for it.
            scope.spawn(|| machine.shell("until pidof order; do sleep 0.02; done; rm -f /etc/fx-slow-hold"));
        }
        undisturbed(&machine, &order)
    });
    let last = journal.last().map(name).unwrap_or_default();
    check(
        &machine,
        manager,
        &result,
        death,
        &format!("{manager:?}, {death:?} {at:?} (last written: {last})"),
    );
}

/// Before anything is repaired, the machine itself says what is wrong with it.
fn said_to_be_half_done(machine: &Machine, manager: Manager) {
    let half_done = machine.half_done();
    assert!(half_done.iter().any(|name| name == SLOW), "{manager:?}: {half_done:?}");
    let sound = machine.doctor("DatabaseSound");
    assert!(
        sound.state == RequirementState::AtRisk && sound.sentence.contains(SLOW),
        "{manager:?}: {sound:?}"
    );
}

fn check(machine: &Machine, manager: Manager, result: &InstallReport, death: Death, what: &str) {
    let states = states(result);
    for (package, state) in packages(manager) {
        assert_eq!(states[package], state, "{what}: {package}: {result:?}");
        let version = match (manager, state) {
            (_, Installed) => "1.1",
            (Manager::Apt, _) => "1.1 half-configured",
            (Manager::Dnf | Manager::Zypper, _) => "1.0",
        };
        assert_eq!(machine.installed(package), version, "{what}: {package}");
    }
    assert_eq!((&result.error, result.window_exceeded), (&None, false), "{what}");
    // A power cut boots the machine too.
    let rebooted = match death {
        Death::Kill => result.reboot == RebootStatus::Completed,
        Death::PowerCut => matches!(result.reboot, RebootStatus::Completed | RebootStatus::NotNeeded),
    };
    assert!(rebooted && !machine.ask::<bool>("reboot-required", None).unwrap(), "{what}: {result:?}");
    let runs = machine.shell("wc -l < /var/log/fx-slow-runs");
    assert!(runs == "1" || (death == Death::PowerCut && runs == "2"), "{what}: its script ran {runs} times");
    let half_done = machine.half_done();
    let expected: &[&str] = if manager == Manager::Apt { &["fx-fail"] } else { &[] };
    assert_eq!(half_done, expected, "{what}");
    let reports = machine.reports();
    let numbers: Vec<u64> = reports.iter().map(|report| report.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{what}");
    let count = |kind: fn(&Body) -> bool| reports.iter().filter(|report| kind(&report.body)).count();
    assert_eq!(count(|body| matches!(body, Body::Accepted(_))), 1, "{what}: {reports:?}");
    assert_eq!(count(|body| matches!(body, Body::Finished(..))), 1, "{what}: {reports:?}");
    assert_eq!(count(|body| matches!(body, Body::Enabled)), 1, "{what}: {reports:?}");
}

fn die_at_every_step(manager: Manager, death: Death) {
    let machine = Machine::new(manager);
    let (steps, result) = undisturbed(&machine, &order(&machine, manager));
    let names: Vec<String> = steps.iter().map(name).collect();
    check(&machine, manager, &result, Death::Kill, &format!("{manager:?}, undisturbed"));
    let batches = names.iter().filter(|name| name.ends_with("(batch runs)")).count();
    assert!(batches >= 2 && names.iter().any(|name| name.starts_with("Rebooting")), "{names:?}");
    // The last try: the first may have been aborted by the package that fails.
    let in_a_script = steps.iter().rposition(runs_slow);
    assert!(in_a_script.is_some(), "{names:?}");
    let deaths = (0..steps.len()).flat_map(|write| ["before", "after"].map(|moment| At { moment, write }));
    let queue = Mutex::new(deaths);
    let next = || queue.lock().unwrap().next();
    let work = || {
        while let Some(at) = next() {
            let held = at.moment == "after" && in_a_script == Some(at.write);
            die_and_go_on(manager, at, held, death);
        }
    };
    // Half of the time is waiting.
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    println!(
        "{manager:?}, {death:?}: {} deaths at {} steps: {}",
        2 * steps.len(),
        steps.len(),
        names.join(", ")
    );
}

#[test]
fn apt_kill_9() {
    die_at_every_step(Manager::Apt, Death::Kill);
}

#[test]
fn apt_power_cut() {
    die_at_every_step(Manager::Apt, Death::PowerCut);
}

#[test]
fn dnf_kill_9() {
    die_at_every_step(Manager::Dnf, Death::Kill);
}

#[test]
fn dnf_power_cut() {
    die_at_every_step(Manager::Dnf, Death::PowerCut);
}

#[test]
fn zypper_kill_9() {
    die_at_every_step(Manager::Zypper, Death::Kill);
}

#[test]
fn zypper_power_cut() {
    die_at_every_step(Manager::Zypper, Death::PowerCut);
}
