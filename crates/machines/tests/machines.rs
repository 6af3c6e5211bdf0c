//! Real machines, real apt. Root is needed, and Debian.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use nightshift_machines::{AptRepository, Image, Machine};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_machine_boots_patches_reboots_and_leaves_the_host_alone() {
    let folder = open_folder();
    let repository = AptRepository::build(&folder.path().join("repository")).unwrap();
    let image = Image::prepare(&folder.path().join("image"), &repository).unwrap();
    let agent = vec!["/bin/sleep".to_owned(), "1000".to_owned()];
    let mut machine = Machine::create(&folder.path().join("vm"), "vm-1", &image, &[], agent).unwrap();
    assert_eq!(machine.package("fx-sec").unwrap(), ("1.0".to_owned(), "installed".to_owned()));

    machine.power_on().unwrap();
    let boot_id = || {
        let output = machine.exec(&["cat", "/proc/sys/kernel/random/boot_id"]).unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    until("the machine is up", || {
        machine.exec(&["test", "-e", "/run/nightshift-agent.pid"]).unwrap().status.success()
    });
    let first = boot_id();
    let installed = machine.exec(&["apt-get", "-y", "-qq", "install", "fx-sec=1.1"]).unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let reboot = Machine::reboot_command();
    let reboot: Vec<&str> = reboot.iter().map(String::as_str).collect();
    machine.exec(&reboot).unwrap();
    until("the machine rebooted", || {
        machine.boots() == 2 && boot_id().len() == first.len() && boot_id() != first
    });

    // Pulling the plug in the middle of a postinst leaves what a power cut leaves.
    machine.exec(&["/bin/sh", "-c", "echo 1000 > /etc/fx-slow-seconds"]).unwrap();
    let install = "apt-get -y -qq install fx-slow=1.1 >/dev/null 2>&1 &";
    machine.exec(&["/bin/sh", "-c", install]).unwrap();
    until("the install is at its postinst", || machine.package("fx-slow").unwrap().1 == "half-configured");
    machine.power_off();
    assert_eq!(machine.package("fx-slow").unwrap(), ("1.1".to_owned(), "half-configured".to_owned()));
    assert_eq!(machine.package("fx-sec").unwrap().0, "1.1");
    assert!(!Path::new("/usr/share/fx-sec").exists(), "the host was touched");
}
