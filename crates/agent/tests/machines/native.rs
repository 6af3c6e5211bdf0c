//! Native automatic updates: off, restored as they were, and told when somebody turns them on again.

use crate::machine::Machine;
use nightshift_agent::report::{Body, Report};
use nightshift_domain::agent::RequirementState::{AtRisk, Met};
use nightshift_machines::Manager;

/// Units of the kinds there are: a timer that is on (ON), one that is there and off (OFF), a service that others start.
const UNITS: &str = "cd /usr/lib/systemd/system; \
    printf '[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n' > ON; cp ON OFF; systemctl enable ON; \
    printf '[Service]\nExecStart=/bin/true\n' > packagekit.service";

struct Native {
    manager: Manager,
    /// Timers: the first is on, the second is not.
    timers: [&'static str; 2],
    /// A file that is edited too, and what turns it on again.
    setting: Option<(&'static str, &'static str)>,
}

const NATIVE: [Native; 2] = [
    Native {
        manager: Manager::Dnf,
        timers: ["dnf-automatic.timer", "dnf-automatic-install.timer"],
        setting: None,
    },
    Native {
        manager: Manager::Zypper,
        timers: ["transactional-update.timer", "os-update.timer"],
        setting: Some(("/etc/sysconfig/automatic_online_update", "AOU_ENABLE_CRONJOB=\"true\"")),
    },
];

/// What the agent's own round through the machine says of native updates.
fn drift(machine: &Machine) -> Option<String> {
    machine.ask::<Vec<Report>>("round", None).unwrap();
    let assessed = |body: Body| match body {
        Body::Assessed(assessment) => Some(assessment),
        _ => None,
    };
    let last = machine.reports().into_iter().rev().find_map(|report| assessed(report.body)).unwrap();
    last.warnings.into_iter().find(|warning| warning.contains("native automatic updates"))
}

fn off_and_on(Native { manager, timers: [on, off], setting }: &Native) {
    let machine = Machine::new(*manager);
    let state = |unit: &str| machine.shell(&format!("systemctl is-enabled {unit}"));
    let states = || [on, off, "packagekit.service"].map(state);
    let file = || setting.map(|(path, _)| machine.shell(&format!("cat {path}"))).unwrap_or_default();
    machine.shell(
        &UNITS.replace("OFF", off).replace("ON ", &format!("{on} ")).replace("ON;", &format!("{on};")),
    );
    let (before, before_in_file) = (states(), file());
    assert_eq!(before, ["enabled", "disabled", "static"]);
    let found = machine.doctor("NativeUpdatesOff");
    assert!(found.state == AtRisk && found.sentence.contains(on), "{found:?}");
    assert!(found.sentence.contains("packagekit.service") && !found.sentence.contains(off), "{found:?}");
    assert!(setting.is_none_or(|(path, _)| found.sentence.contains(path)), "{found:?}");

    machine.carry_out(&machine.order("o-1"));
    assert_eq!(states(), ["disabled", "disabled", "masked"]);
    assert_eq!(machine.doctor("NativeUpdatesOff").state, Met);
    assert_eq!(drift(&machine), None);
    // Somebody turns them on again: told, and the next order turns them off.
    let edit = setting.map(|(path, line)| format!("sed -i 's/^AOU_ENABLE_CRONJOB=.*/{line}/' {path}"));
    machine.shell(&format!("systemctl enable {on}; {}", edit.clone().unwrap_or_default()));
    let told = drift(&machine).unwrap();
    assert!(told.contains("turned on again") && told.contains(on), "{told}");
    assert!(setting.is_none_or(|(path, _)| told.contains(path)), "{told}");
    machine.carry_out(&machine.order("o-2"));
    assert_eq!(states(), ["disabled", "disabled", "masked"]);
    assert_eq!(drift(&machine), None);

    // Who leaves gets back what was there at the beginning.
    machine.tell("restore");
    machine.tell("restore");
    assert_eq!(states(), before);
    assert_eq!(file(), before_in_file);
}

#[test]
fn dnf_s_are_off_told_of_when_they_come_back_and_restored() {
    off_and_on(&NATIVE[0]);
}

#[test]
fn zypper_s_are_off_told_of_when_they_come_back_and_restored() {
    off_and_on(&NATIVE[1]);
}
