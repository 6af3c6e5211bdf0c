//! What stops a machine from being patched, told in plain words; bad nights that end in a clear state.

use crate::archive::run;
use crate::interruptions::hold;
use crate::machine::Machine;
use chrono::{Duration, Utc};
use nightshift_agent::back_end::BackEnd as _;
use nightshift_agent::doctor;
use nightshift_agent::report::Body;
use nightshift_agent::spool::Spool;
use nightshift_agent::store::Store;
use nightshift_domain::agent::{Requirement, RequirementState};
use nightshift_domain::event::Order;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

fn find<'a>(found: &'a [Requirement], code: &str) -> &'a Requirement {
    found.iter().find(|requirement| requirement.code == code).unwrap_or_else(|| panic!("{code}: {found:?}"))
}

#[tokio::test]
async fn a_sound_machine_has_nothing_that_stops_it() {
    let machine = Machine::new();
    machine.apt().disable_native_updates().await.unwrap();
    let found = doctor::examine(&machine.apt(), None).await;
    let stops = found.iter().find(|requirement| requirement.state == RequirementState::Unmet);
    assert_eq!(stops, None);
    for code in
        ["PackageManagerWorks", "SourcesAnswer", "DiskSpace", "NativeUpdatesOff", "LockFree", "DatabaseSound"]
    {
        assert_eq!(find(&found, code).state, RequirementState::Met, "{found:?}");
    }
}

#[tokio::test]
async fn each_ailment_is_named_with_what_to_do() {
    let machine = Machine::new();
    let sources = machine.root("etc/apt/sources.list");
    let text = fs::read_to_string(&sources).unwrap() + "deb [trusted=yes] file:/no/such/mirror ./\n";
    fs::write(&sources, text).unwrap();
    fs::write(machine.root("run/reboot-required"), "").unwrap();
    machine.carry_out(machine.order("o-1")).await;
    let _held = hold(&machine.root("var/lib/dpkg/lock-frontend"));
    fs::write(machine.root("etc/apt/apt.conf.d/99-zz"), "APT::Periodic::Unattended-Upgrade \"1\";\n")
        .unwrap();
    let mut config = machine.config.clone();
    config.gateway = "https://127.0.0.1:1".into();
    let found = doctor::examine(&machine.apt(), Some(&config)).await;
    let cases = [
        ("SourcesAnswer", RequirementState::AtRisk, "/no/such/mirror"),
        ("NativeUpdatesOff", RequirementState::AtRisk, "APT::Periodic::Unattended-Upgrade is '1'"),
        ("DatabaseSound", RequirementState::AtRisk, "fx-fail 1.1 half-configured"),
        ("NoRebootDue", RequirementState::AtRisk, "a reboot is due"),
        ("GatewayAnswers", RequirementState::Unmet, "127.0.0.1:1"),
        ("AuthorityKnown", RequirementState::Unmet, "authority"),
        ("Enrolled", RequirementState::AtRisk, "token"),
    ];
    for (code, state, words) in cases {
        let found = find(&found, code);
        assert!(found.state == state && found.sentence.contains(words), "{found:?}");
    }
}

#[tokio::test]
async fn a_lock_that_is_held_by_another_program_is_told_with_the_program() {
    let machine = Machine::new();
    let lock = machine.root("var/lib/dpkg/lock-frontend");
    let script = "import fcntl, sys, time\nf = open(sys.argv[1], 'w')\nfcntl.lockf(f, fcntl.LOCK_EX)\nprint('held', flush=True)\ntime.sleep(600)";
    let mut child = Command::new("python3")
        .args(["-c", script])
        .arg(&lock)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 4];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
    let found = doctor::examine(&machine.apt(), None).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let found = find(&found, "LockFree");
    assert!(found.state == RequirementState::AtRisk && found.sentence.contains("python3"), "{found:?}");
}

#[tokio::test]
async fn a_database_that_is_locked_for_the_whole_window_ends_the_order_with_that_reason() {
    let machine = Machine::new();
    let held = hold(&machine.root("var/lib/dpkg/lock"));
    let order = Order { deadline: Utc::now() + Duration::seconds(1), ..machine.order("o-1") };
    let result = machine.carry_out(order).await;
    assert!(result.error.as_ref().unwrap().contains("busy until the order's deadline"), "{result:?}");
    assert_eq!(machine.installs(), 0);
    drop(held);
    let result = machine.carry_out(machine.order("o-2")).await;
    assert_eq!(machine.installed("fx-sec"), "1.1 installed");
    assert_eq!(result.error, None);
}

#[tokio::test]
async fn a_clock_a_day_off_refuses_every_order_until_it_is_right() {
    let machine = Machine::new();
    let engine = machine.engine();
    engine.welcomed().note(Duration::days(-1), String::new());
    engine.carry_out(machine.order("o-1")).await.unwrap();
    let last = machine.reports().pop().unwrap();
    assert!(
        matches!(&last.body, Body::Refused(_, refused) if refused.code == "ClockWrong" && refused.why.contains("1440 minutes behind")),
        "{last:?}"
    );
    assert_eq!(machine.installs(), 0);
    engine.welcomed().note(Duration::zero(), String::new());
    engine.carry_out(machine.order("o-2")).await.unwrap();
    assert_eq!(machine.installed("fx-sec"), "1.1 installed");
}

#[tokio::test]
async fn a_source_that_answers_with_a_web_page_ends_the_order_with_apt_s_own_words() {
    let machine = Machine::new();
    let html = "<!DOCTYPE html><html><body>please log in</body></html>\n";
    let portal = machine.root("portal");
    fs::create_dir_all(portal.join("security")).unwrap();
    for file in ["Release", "Packages"] {
        fs::write(portal.join("security").join(file), html).unwrap();
    }
    let text = format!("deb [trusted=yes] file:{}/security ./\n", portal.display());
    let sources = machine.root("etc/apt/sources.list");
    let good = fs::read_to_string(&sources).unwrap();
    fs::write(&sources, good.clone() + &text).unwrap();
    let result = machine.carry_out(machine.order("o-1")).await;
    // apt itself reads nothing any more, of no source: there is nothing to be installed, and the reason is its own.
    assert!(result.error.as_ref().unwrap().contains("Unable to parse package file"), "{result:?}");
    assert_eq!(machine.installs(), 0);
    let told = machine.reports().into_iter().find_map(|report| match report.body {
        Body::Checked(found) => Some(found),
        _ => None,
    });
    assert_eq!(find(&told.unwrap(), "PackageManagerWorks").state, RequirementState::Unmet);
    fs::write(&sources, good).unwrap();
    let result = machine.carry_out(machine.order("o-2")).await;
    assert_eq!((result.error, machine.installed("fx-sec").as_str()), (None, "1.1 installed"));
}

/// A small disk of its own, which goes with this value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(&at));
        Self(at)
    }

    /// Takes all but so many bytes.
    fn fill(&self, left: usize) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        let written = (24 << 20) - left;
        // The last of it may not fit: then the disk is as full as it can be.
        let _ = file.write_all(&vec![1; written]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[tokio::test]
async fn a_full_disk_ends_in_a_reason_and_nothing_is_begun_that_cannot_be_written_down() {
    let mut machine = Machine::new();
    let disk = SmallDisk::mount(machine.root("state"));
    machine.config.state_dir = Some(disk.0.clone());
    let store = Store::on_disk(&disk.0).unwrap();
    let engine = machine.engine_on(store.clone());
    disk.fill(4 << 20);
    engine.carry_out(machine.order("o-1")).await.unwrap();
    let reports = Spool::open(store.clone()).unwrap().after(0);
    let Body::Finished(_, result) = &reports.last().unwrap().body else { panic!("{reports:?}") };
    assert!(result.error.as_ref().unwrap().starts_with("DiskSpace: "), "{result:?}");
    assert_eq!(machine.installed("fx-sec"), "1.0 installed");
    disk.fill(0);
    let error = engine.carry_out(machine.order("o-2")).await.unwrap_err();
    assert!(error.to_string().contains("state cannot be kept"), "{error}");
    assert_eq!(machine.installed("fx-sec"), "1.0 installed");
    fs::remove_file(disk.0.join("filler")).unwrap();
    machine.engine_on(store).carry_out(machine.order("o-2")).await.unwrap();
    assert_eq!(machine.installed("fx-sec"), "1.1 installed");
}

#[tokio::test]
async fn an_install_that_is_stuck_is_told_with_what_runs_and_never_killed() {
    let mut machine = Machine::new();
    machine.config.timings.stuck_seconds = 1;
    fs::write(machine.root("etc/fx-slow-hold"), "").unwrap();
    let engine = machine.engine();
    let stuck = engine.stuck();
    let release = async {
        while stuck.get().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let what = stuck.get().unwrap();
        fs::remove_file(machine.root("etc/fx-slow-hold")).unwrap();
        what
    };
    let (result, what) = tokio::join!(engine.carry_out(machine.order("o-1")), release);
    result.unwrap();
    assert!(what.contains("not killed") && what.contains("fx-slow.postinst"), "{what}");
    assert_eq!(stuck.get(), None);
    assert_eq!(machine.installed("fx-slow"), "1.1 installed");
}
