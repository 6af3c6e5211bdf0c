//! An overlay of the host's root file system in namespaces of its own, and what the host must have for it.

use crate::run;
use anyhow::{Context as _, bail, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const BOOT: &str = include_str!("boot.sh");
/// New namespaces, all but the network's; when `unshare` ends, so does all that runs in them.
const UNSHARE: [&str; 8] =
    ["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child=KILL", "--propagation", "private"];
/// What a machine is made with, each with Debian's package of it.
const NEEDED: [(&str, &str); 7] = [
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    ("hostname", "hostname"),
    ("mount", "mount"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
];
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where a machine lives, and what it sees of the host.
#[derive(Debug, Clone)]
pub(crate) struct Sandbox {
    folder: PathBuf,
    name: String,
    binds: Vec<PathBuf>,
}

impl Sandbox {
    pub(crate) fn create(folder: &Path, name: &str, binds: &[PathBuf]) -> anyhow::Result<Self> {
        for part in ["upper", "work", "root"] {
            fs::create_dir_all(folder.join(part)).with_context(|| folder.display().to_string())?;
        }
        // It becomes the machine's /, which all its users must enter.
        fs::set_permissions(folder.join("upper"), fs::Permissions::from_mode(0o755))?;
        let seen = |bind: &PathBuf| bind.canonicalize().with_context(|| bind.display().to_string());
        let binds = binds.iter().map(seen).collect::<anyhow::Result<_>>()?;
        Ok(Self { folder: folder.canonicalize()?, name: name.to_owned(), binds })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it writes: the machine's disk as far as it differs from the host's.
    pub(crate) fn upper(&self) -> PathBuf {
        self.folder.join("upper")
    }

    /// What booting said, if anything: only trouble does.
    pub(crate) fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// Boots it with this as its first process, which ends at the latest when the calling thread does: nothing is left
    /// of a program that was killed.
    pub(crate) fn command(&self, command: &[String]) -> Command {
        let binds = self.binds.iter().map(|bind| bind.display().to_string()).collect::<Vec<_>>().join("\n");
        let mut boot = plain("setpriv");
        boot.args(["--pdeathsig", "KILL", "unshare"]).args(UNSHARE);
        boot.args(["/bin/bash", "-c", BOOT, "boot"]).arg(&self.folder).arg(&self.name).arg(binds);
        boot.args(command);
        boot
    }

    /// Runs a command in the one whose first process has this number.
    pub(crate) fn enter(pid: u32, command: &[&str]) -> Command {
        let mut enter = plain("nsenter");
        enter.args(["--target", &pid.to_string()]);
        enter.args(["--mount", "--pid", "--uts", "--ipc", "--root", "--wd", "--"]).args(command);
        enter
    }
}

/// Says what to do if machines with these programs, each with Debian's package of it, cannot be made here.
pub(crate) fn check(programs: &[(&str, &str)]) -> anyhow::Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "sandboxed machines need root: run this as root");
    let missing = NEEDED.iter().chain(programs).filter(|(program, _)| !is_installed(program));
    let missing: Vec<_> =
        missing.map(|(program, package)| format!("{program} (package {package})")).collect();
    if !missing.is_empty() {
        bail!("sandboxed machines need Debian or Ubuntu, and here is no {}", missing.join(", no "));
    }
    run(plain("unshare").args(UNSHARE).arg("true")).context(
        "this host does not let root make namespaces: run on a machine of its own, or in a container with \
         --privileged",
    )?;
    Ok(())
}

fn is_installed(program: &str) -> bool {
    std::env::split_paths(PATH).any(|folder| folder.join(program).is_file())
}

/// A command with the environment of a machine, not of whoever tests or shows it.
fn plain(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs([("PATH", PATH), ("HOME", "/root"), ("LC_ALL", "C.UTF-8")]).stdin(Stdio::null());
    command
}
