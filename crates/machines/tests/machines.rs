//! Real machines, real apt. Root is needed, and Debian.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use nightshift_machines::{AptRepository, Image, Machine};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Makes this program boot a machine in the folder it names, and end without a goodbye.
const CRASH_IN: &str = "NIGHTSHIFT_TEST_CRASH_IN";

fn image(folder: &Path) -> Image {
    let repository = AptRepository::build(&folder.join("repository")).unwrap();
    Image::prepare(&folder.join("image"), &repository).unwrap()
}

fn machine(folder: &Path, name: &str, image: &Image) -> Machine {
    let agent = vec!["/bin/sleep".to_owned(), "1000".to_owned()];
    Machine::create(&folder.join(name), name, image, &[], agent).unwrap()
}

fn said(machine: &Machine, command: &[&str]) -> String {
    String::from_utf8(machine.exec(command).unwrap().stdout).unwrap().trim().to_owned()
}

fn shell(machine: &Machine, script: &str) {
    let output = machine.exec(&["/bin/sh", "-c", script]).unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn agent_pid(machine: &Machine) -> String {
    until("the agent runs", || !said(machine, &["cat", "/run/nightshift-agent.pid"]).is_empty());
    said(machine, &["cat", "/run/nightshift-agent.pid"])
}

/// The processes that were started with this folder as an argument, by their numbers.
fn processes(folder: &Path) -> Vec<PathBuf> {
    let folder = folder.display().to_string();
    let mine = |path: &PathBuf| {
        fs::read(path.join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&folder))
    };
    fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path()).filter(mine).collect()
}

#[test]
fn a_machine_boots_patches_reboots_and_leaves_the_host_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = machine(folder.path(), "vm-1", &image(folder.path()));
    assert_eq!(machine.package("fx-sec").unwrap(), ("1.0".to_owned(), "installed".to_owned()));
    machine.power_on().unwrap();
    let boot_id = || said(&machine, &["cat", "/proc/sys/kernel/random/boot_id"]);
    let first = boot_id();
    shell(&machine, "apt-get -y -qq install fx-sec=1.1 fx-kernel=1.1");
    assert_eq!(said(&machine, &["cat", "/run/reboot-required.pkgs"]), "fx-kernel");
    let reboot = Machine::reboot_command();
    let reboot: Vec<&str> = reboot.iter().map(String::as_str).collect();
    machine.exec(&reboot).unwrap();
    until("the machine rebooted", || {
        machine.boots() == 2 && boot_id().len() == first.len() && boot_id() != first
    });
    assert_eq!(said(&machine, &["cat", "/run/reboot-required.pkgs"]), "");

    // Pulling the plug in the middle of a postinst leaves what a power cut leaves.
    shell(&machine, "echo 1000 > /etc/fx-slow-seconds; apt-get -y -qq install fx-slow=1.1 >/dev/null 2>&1 &");
    let half_done = ("1.1".to_owned(), "half-configured".to_owned());
    until("the install is at its postinst", || machine.package("fx-slow").unwrap() == half_done);
    machine.power_off();
    assert_eq!(machine.package("fx-slow").unwrap(), half_done);
    assert_eq!(machine.package("fx-sec").unwrap().0, "1.1");
    assert!(!Path::new("/usr/share/fx-sec").exists(), "the host was touched");
}

#[test]
fn six_machines_of_one_image_are_soon_up_and_each_is_its_own() {
    let began = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path());
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut machines: Vec<Machine> = names.iter().map(|name| machine(folder.path(), name, &image)).collect();
    machines[0].keep_only(&["fx-sec", "fx-both"]).unwrap();
    machines.iter_mut().for_each(|machine| machine.power_on().unwrap());
    for (machine, name) in machines.iter().zip(names) {
        assert_eq!(said(machine, &["hostname"]), name);
    }
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert!(machines[0].package("fx-fail").is_err());
    assert_eq!(machines[1].package("fx-fail").unwrap().0, "1.0");
    shell(&machines[1], "touch /etc/of-b /tmp/of-b /run/of-b");
    let seen = machines[2].exec(&["ls", "/etc/of-b", "/tmp/of-b", "/run/of-b"]).unwrap();
    assert!(seen.stdout.is_empty(), "{}", String::from_utf8_lossy(&seen.stdout));

    machines[5].power_off();
    fs::remove_dir_all(folder.path().join("f/work")).unwrap();
    machines[5].power_on().unwrap();
    until("it gave up", || machines[5].package("fx-sec").is_err());
    let error = format!("{:#}", machines[5].package("fx-sec").unwrap_err());
    assert!(error.contains("an overlay of / is made there"), "{error}");
}

#[test]
fn an_agent_that_is_killed_comes_back_and_one_that_is_stopped_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = machine(folder.path(), "vm-1", &image(folder.path()));
    machine.write("/etc/nightshift/agent.toml", "vm = \"vm-1\"").unwrap();
    machine.power_on().unwrap();
    assert_eq!(said(&machine, &["cat", "/etc/nightshift/agent.toml"]), "vm = \"vm-1\"");
    assert!(machine.write("/etc/nightshift/agent.toml", "").is_err(), "it is on");
    let first = agent_pid(&machine);
    machine.kill_agent().unwrap();
    until("another agent runs", || !["", &first].contains(&&*agent_pid(&machine)));
    machine.stop_agent().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        !machine
            .exec(&["/bin/sh", "-c", "kill -0 \"$(cat /run/nightshift-agent.pid)\""])
            .unwrap()
            .status
            .success()
    );
    machine.power_off();
    machine.power_on().unwrap();
    agent_pid(&machine);
    assert_eq!(machine.boots(), 2);
}

#[test]
fn nothing_is_left_of_a_program_that_crashed() {
    const ME: &str = "nothing_is_left_of_a_program_that_crashed";
    if let Some(folder) = std::env::var_os(CRASH_IN) {
        let folder = Path::new(&folder);
        let mut machine = machine(folder, "vm-1", &image(folder));
        machine.power_on().unwrap();
        agent_pid(&machine);
        assert!(!processes(folder).is_empty());
        std::process::abort();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut me = Command::new(std::env::current_exe().unwrap());
    let ended = me.args(["--exact", ME]).env(CRASH_IN, folder.path()).output().unwrap();
    assert_eq!(ended.status.code(), None, "{}", String::from_utf8_lossy(&ended.stdout));
    until("the machine's processes are gone", || processes(folder.path()).is_empty());
}
