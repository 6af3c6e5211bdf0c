//! Planning, downloading and installing named versions, and putting right what an interruption left.

use super::parse::Simulation;
use super::{Apt, READING, debian};
use crate::back_end::{BackEndError, Package, PlanError, Running, Said, Trouble};
use crate::durable;
use crate::programs::written;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Nothing is removed for a patch, and nothing that is not there is added but as a dependency.
const CAREFUL: [&str; 2] = ["--no-remove", "--only-upgrade"];
/// The administrator's configuration files win. Without it dpkg asks, and nobody answers.
const KEEP_CONFIGURATION: [&str; 2] = ["--force-confdef", "--force-confold"];
/// Words of apt and dpkg for causes that pass by themselves: a lock, the network, sources that moved on.
const PASSING: [&str; 7] = [
    "Could not get lock",
    "Unable to lock",
    "Unable to acquire",
    "dpkg was interrupted",
    "was not found",
    "Unable to fetch",
    "Failed to fetch",
];
const DOWNLOAD: Duration = Duration::from_secs(6 * 3600);
const LOCK_POLL: Duration = Duration::from_secs(1);
/// Names of packages that are marked as installed automatically and named by an install that runs.
const AUTO_MARKS: &str = "auto-marks";

impl Apt {
    pub(super) async fn simulate_install(&self, packages: &[Package]) -> Result<(), PlanError> {
        let named = named(packages).map_err(|error| PlanError::Impossible(error.to_string()))?;
        let mut arguments = vec!["-s", "-q"];
        arguments.extend(CAREFUL);
        arguments.push("install");
        arguments.extend(named.iter().map(String::as_str));
        let stale = |error: BackEndError| PlanError::Stale(error.to_string());
        let output = self.programs.run("apt-get", &arguments, READING).await.map_err(stale)?;
        if output.success() {
            return Ok(());
        }
        let why = first_error(&output.err).unwrap_or("apt gave no reason").to_owned();
        if why.contains("was not found") {
            return Err(PlanError::Stale(format!("the sources have moved on: {why}")));
        }
        Err(PlanError::Impossible(match removals(&output.out).as_slice() {
            [] => why,
            removed => format!("would remove {}", removed.join(", ")),
        }))
    }

    pub(super) async fn fetch(&self, packages: &[Package]) -> Result<(), BackEndError> {
        let named = named(packages)?;
        let mut arguments = vec!["-y", "-q", "--download-only"];
        arguments.extend(CAREFUL);
        arguments.extend(["-o", "DPkg::Lock::Timeout=120", "install"]);
        arguments.extend(named.iter().map(String::as_str));
        let output = self.programs.run("apt-get", &arguments, DOWNLOAD).await?;
        if output.success() {
            return Ok(());
        }
        let why = first_error(&output.err).unwrap_or("apt gave no reason");
        Err(BackEndError(format!("the download failed: {why}")))
    }

    pub(super) async fn start_install(&self, packages: &[Package]) -> Result<Running, BackEndError> {
        let named = named(packages)?;
        self.save_auto_marks(packages).await?;
        let keep = KEEP_CONFIGURATION.map(|option| format!("Dpkg::Options::={option}"));
        let mut arguments = vec!["-y", "-q"];
        arguments.extend(CAREFUL);
        arguments.extend(keep.iter().flat_map(|option| ["-o", option]));
        // The status goes where the output goes: a file descriptor of its own cannot be handed over without unsafe
        // code, and its lines are told apart by how they begin.
        arguments.extend([
            "-o",
            "DPkg::Lock::Timeout=120",
            "-o",
            "Dpkg::Use-Pty=0",
            "-o",
            "APT::Status-Fd=1",
        ]);
        arguments.push("install");
        arguments.extend(named.iter().map(String::as_str));
        self.programs.start("apt-get", &arguments)
    }

    /// Ends what was unpacked and not configured. A package whose script fails stays as it is: that keeps nothing
    /// else from its patches.
    pub(super) async fn configure_all(&self) -> Result<(), BackEndError> {
        let options = self.dpkg_options().await?;
        let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
        arguments.extend(KEEP_CONFIGURATION);
        arguments.extend(["--configure", "-a"]);
        loop {
            let said = self.programs.run_to_its_end("dpkg", &arguments).await?;
            match said.err.lines().find(|line| line.contains("lock") && line.contains("another process")) {
                None => return Ok(()),
                Some(line) => tracing::info!(line, "waiting for another program to let go of dpkg"),
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }

    /// An interruption while packages were unpacked may leave some without what they need.
    pub(super) async fn fix_broken(&self) -> Result<(), BackEndError> {
        let simulated =
            self.programs.run("apt-get", &["-s", "-q", "--no-remove", "-f", "install"], READING).await?;
        if !simulated.success() || Simulation::read(&simulated.out).installs.is_empty() {
            return Ok(());
        }
        let keep = KEEP_CONFIGURATION.map(|option| format!("Dpkg::Options::={option}"));
        let mut arguments = vec!["-y", "-q", "--no-remove", "-o", "DPkg::Lock::Timeout=120"];
        arguments.extend(keep.iter().flat_map(|option| ["-o", option]));
        arguments.extend(["-f", "install"]);
        self.programs.run_to_its_end("apt-get", &arguments).await.map(drop)
    }

    /// What apt itself would give dpkg on this machine.
    async fn dpkg_options(&self) -> Result<Vec<String>, BackEndError> {
        let arguments = ["dump", "--format", "%v%n", "DPkg::Options"];
        let output = self.programs.read("apt-config", &arguments, READING).await?;
        Ok(output.out.lines().filter(|line| line.starts_with("--")).map(str::to_owned).collect())
    }

    /// To name a package makes apt forget that it came as a dependency, and later never remove it again.
    async fn save_auto_marks(&self, packages: &[Package]) -> Result<(), BackEndError> {
        let output = self.programs.read("apt-mark", &["showauto"], READING).await?;
        let automatic: BTreeSet<&str> = output.out.split_whitespace().collect();
        let names = packages.iter().map(|package| package.name.as_str());
        let marked: Vec<&str> = names.filter(|name| automatic.contains(name)).collect();
        // What a crash left unrestored is restored with these.
        let mut text = fs::read_to_string(self.auto_marks()).unwrap_or_default();
        marked.iter().for_each(|name| text.push_str(&format!("{name}\n")));
        if text.is_empty() {
            return Ok(());
        }
        let path = self.auto_marks();
        durable::write(&path, text.as_bytes(), 0o644).map_err(|error| failed(&path, &error))
    }

    pub(super) async fn restore_auto_marks(&self) -> Result<(), BackEndError> {
        let path = self.auto_marks();
        let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
        let mut arguments = vec!["auto"];
        arguments.extend(text.split_whitespace().filter(|name| debian::is_name(name)));
        if arguments.len() > 1 {
            self.programs.read("apt-mark", &arguments, READING).await?;
        }
        durable::remove(&path).map_err(|error| failed(&path, &error))
    }

    fn auto_marks(&self) -> PathBuf {
        self.folder.join(AUTO_MARKS)
    }
}

fn failed(path: &Path, error: &std::io::Error) -> BackEndError {
    BackEndError(format!("{}: {error}", path.display()))
}

/// `NAME=VERSION`, each checked: an argument that begins with `-`, or is a path, would mean something else.
fn named(packages: &[Package]) -> Result<Vec<String>, BackEndError> {
    let check = |package: &Package| {
        if debian::is_name(&package.name) && debian::is_version(&package.version) {
            return Ok(format!("{}={}", package.name, package.version));
        }
        Err(BackEndError(format!("{:?} {:?} is no package and version", package.name, package.version)))
    };
    packages.iter().map(check).collect()
}

/// What an install said in its files.
pub(super) fn said(running: &Running) -> Said {
    let (out, err) = written(running);
    Said { errors: package_errors(&out), trouble: trouble(&err), ..Said::default() }
}

/// `pmerror:NAME[:ARCHITECTURE]:PERCENT:MESSAGE`, anywhere in a line: others write into it too. For a package that
/// cannot be unpacked the name is that of its file.
fn package_errors(out: &str) -> BTreeMap<String, String> {
    let error = |line: &str| {
        let (_, rest) = line.split_once("pmerror:")?;
        let mut parts = rest.splitn(3, ':');
        let (name, second, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let message = match second.parse::<f64>() {
            Ok(_) => rest,
            Err(_) => rest.split_once(':')?.1,
        };
        let file = name.rsplit_once('/').map_or(name, |(_, file)| file);
        let name = file.split_once('_').map_or(file, |(name, _)| name);
        Some((name.to_owned(), message.to_owned()))
    };
    out.lines().filter_map(error).collect()
}

fn trouble(err: &str) -> Option<Trouble> {
    let sentence = first_error(err)?;
    let passing = err.lines().any(|line| PASSING.iter().any(|words| line.contains(words)));
    Some(Trouble { sentence: sentence.to_owned(), passing })
}

fn first_error(err: &str) -> Option<&str> {
    err.lines().find_map(|line| line.strip_prefix("E: "))
}

/// The names in apt's block of packages that would have to go.
fn removals(out: &str) -> Vec<&str> {
    let block = out
        .lines()
        .skip_while(|line| *line != "The following packages will be REMOVED:" && *line != "REMOVING:");
    let names = block.skip(1).take_while(|line| line.starts_with(' '));
    names.flat_map(str::split_whitespace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_by_package() {
        let out = "pmstatus:fx-fail:52.3:Configuring fx-fail (amd64)\n\
            Setting uppmerror:fx-fail:52.3810:installed fx-fail package post-installation script: exit status 1\n\
            pmerror:libc6:i386:9.5:broken\n\
            pmerror:/var/cache/apt/archives/vim_2%3a9.0_amd64.deb:10:trying to overwrite '/x'\n";
        let errors = package_errors(out);
        assert!(errors["fx-fail"].starts_with("installed fx-fail package"), "{errors:?}");
        assert_eq!(errors["libc6"], "broken");
        assert_eq!(errors["vim"], "trying to overwrite '/x'");
    }

    #[test]
    fn a_lock_passes_a_failed_script_does_not() {
        let lock =
            "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7908 (python3)\n";
        assert!(trouble(lock).unwrap().passing);
        let script = "fx-fail: boom\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n";
        assert!(!trouble(script).unwrap().passing);
        assert_eq!(trouble("dpkg: warning\n"), None);
    }

    #[test]
    fn nothing_that_is_no_package_becomes_an_argument() {
        for (name, version) in [("-y", "1"), ("a", "1"), ("vim", "1;reboot"), ("../vim", "1"), ("vim", "")] {
            let package = Package { name: name.into(), version: version.into() };
            assert!(named(&[package]).is_err(), "{name} {version}");
        }
    }

    #[test]
    fn removals_are_named() {
        let out = "Reading state information...\nThe following packages will be REMOVED:\n  fx-victim other\n\
            The following packages will be upgraded:\n  fx-conflict\n";
        assert_eq!(removals(out), ["fx-victim", "other"]);
    }
}
