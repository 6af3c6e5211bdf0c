//! The agent's packages, installed, upgraded and removed for real on a sandboxed machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nightshift_machines::{AptRepository, Image, Machine};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const CONFIG: &str = "/etc/nightshift/agent.toml";
/// What the agent writes to turn Debian's own updates off.
const DROP_IN: &str = "/etc/apt/apt.conf.d/99-nightshift";
const UNIT: &str = "/usr/lib/systemd/system/nightshift-agent.service";

struct Bench {
    folder: tempfile::TempDir,
    machine: Machine,
}

impl Bench {
    /// A machine that is off, and the packages of two versions. The program in them is this build's: how it was compiled
    /// makes no difference to what is tried here.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let agent = folder.path().join("nightshift-agent");
        run(Command::new("strip").arg("-o").arg(&agent).arg(binary("nightshift-agent")));
        let packages = folder.path().join("packages");
        for version in ["0.1.0", "0.2.0"] {
            let mut xtask = Command::new(binary("xtask"));
            xtask.args(["package", "--version", version, "--agent"]).arg(&agent);
            run(xtask.arg("--out").arg(&packages));
        }
        let repository = AptRepository::build(&folder.path().join("repository")).unwrap();
        let image = Image::prepare(&folder.path().join("image"), &repository).unwrap();
        let agent = vec!["/bin/sleep".to_owned(), "1000".to_owned()];
        let machine = Machine::create(&folder.path().join("vm"), "vm", &image, &[packages], agent).unwrap();
        Self { folder, machine }
    }

    /// The path of the package with this ending, of this version.
    fn package(&self, version: &str, ending: &str) -> String {
        let files = fs::read_dir(self.folder.path().join("packages")).unwrap();
        let mut files = files.map(|file| file.unwrap().path().display().to_string());
        let package = files.find(|file| file.contains(version) && file.ends_with(ending));
        package.unwrap_or_else(|| panic!("no {ending} of {version}"))
    }

    /// What the machine says to this script, which must end well.
    fn sh(&self, script: &str) -> String {
        let output = self.machine.exec(&["/bin/sh", "-ec", script]).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {} {said}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn has(&self, path: &str) -> bool {
        self.machine.exec(&["test", "-e", path]).unwrap().status.success()
    }

    fn enabled(&self) -> bool {
        self.machine
            .exec(&["systemctl", "--quiet", "is-enabled", "nightshift-agent"])
            .unwrap()
            .status
            .success()
    }

    /// What the first version must leave behind, whichever package manager brought it.
    fn check_installed(&self) {
        assert!(self.sh("nightshift-agent --version").starts_with("nightshift-agent "));
        assert_eq!(self.sh("stat -c '%a %U' /usr/bin/nightshift-agent"), "755 root");
        assert!(self.sh("zcat /usr/share/man/man8/nightshift-agent.8.gz").contains("SETTING UP"));
        let example = self.sh("cat /usr/share/doc/nightshift-agent/agent.toml");
        assert!(example.contains("order_keys = "), "{example}");
        // From the next boot on; but its condition keeps it still, because nobody configured it.
        assert!(self.enabled());
        assert!(!self.has(CONFIG));
        let unit = self.sh(&format!("cat {UNIT}"));
        assert!(unit.contains(&format!("ConditionPathExists={CONFIG}\n")));
        // Stopping the agent must not end what installs.
        assert!(unit.contains("\nKillMode=process\n"), "{unit}");
        let verified = self.machine.exec(&["systemd-analyze", "verify", UNIT]).unwrap();
        let said = String::from_utf8_lossy(&verified.stderr);
        let about_us: Vec<&str> = said.lines().filter(|line| line.contains("nightshift")).collect();
        assert!(verified.status.success() && about_us.is_empty(), "{said}");
    }

    /// What an operator does: the configuration, a value in the environment, and a first night, after which native
    /// updates are off.
    fn configure(&self) {
        let config = "vm = \"vm-1\"\ngateway = \"https://gateway:7709\"\nauthority = \"/a\"\norder_keys = \"/k\"\nback_end = \"apt\"\n";
        self.sh(&format!(
            "printf '%s' '{config}' > {CONFIG}; echo RUST_LOG=debug >> /etc/default/nightshift-agent; \
             echo 'APT::Periodic::Unattended-Upgrade \"0\";' > {DROP_IN}; \
             mkdir -p /var/lib/nightshift-agent; echo journal > /var/lib/nightshift-agent/enabled"
        ));
    }

    fn check_kept(&self) {
        assert!(self.sh("cat /etc/default/nightshift-agent").ends_with("RUST_LOG=debug"));
        assert!(self.has(CONFIG) && self.has("/var/lib/nightshift-agent/enabled"));
    }

    fn check_removed(&self) {
        assert!(!self.has("/usr/bin/nightshift-agent") && !self.has(UNIT));
        assert!(!self.enabled());
        // It left: native updates are as they were. What the operator and the agent wrote is nobody's but theirs.
        assert!(!self.has(DROP_IN));
        assert!(self.has(CONFIG) && self.has("/var/lib/nightshift-agent/enabled"));
    }
}

fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.is_file(), "{} is missing: run `cargo xtask test`", path.display());
    path
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {} {said}", String::from_utf8_lossy(&output.stdout));
}

/// Both in one test: the packages are made once.
#[test]
fn the_packages_are_installed_upgraded_and_removed() {
    let bench = Bench::new();
    let dpkg =
        |action: &str, what: &str| bench.sh(&format!("DEBIAN_FRONTEND=noninteractive dpkg {action} {what}"));
    dpkg("--install", &bench.package("0.1.0", ".deb"));
    bench.check_installed();
    bench.configure();
    dpkg("--install", &bench.package("0.2.0", ".deb"));
    assert_eq!(bench.machine.package("nightshift-agent").unwrap(), ("0.2.0".into(), "installed".into()));
    bench.check_kept();
    assert!(bench.enabled());
    dpkg("--remove", "nightshift-agent");
    bench.check_removed();
    bench.check_kept();
    dpkg("--purge", "nightshift-agent");
    for gone in ["/etc/nightshift", "/var/lib/nightshift-agent", "/etc/default/nightshift-agent"] {
        assert!(!bench.has(gone), "{gone}");
    }

    // A fresh database knows none of what Debian brought: /bin/sh and the C library are there all the same.
    let rpm =
        |action: &str, what: &str| bench.sh(&format!("rpm --dbpath /var/lib/fresh-rpm {action} {what}"));
    rpm("--initdb", "");
    rpm("--install --nodeps", &bench.package("0.1.0", ".rpm"));
    bench.check_installed();
    bench.configure();
    rpm("--upgrade --nodeps", &bench.package("0.2.0", ".rpm"));
    assert_eq!(rpm("--query --queryformat '%{VERSION}'", "nightshift-agent"), "0.2.0");
    bench.check_kept();
    assert!(bench.enabled());
    rpm("--erase", "nightshift-agent");
    bench.check_removed();
    // What was changed is set aside, not lost.
    assert!(bench.sh("cat /etc/default/nightshift-agent.rpmsave").ends_with("RUST_LOG=debug"));
}
