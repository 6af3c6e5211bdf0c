//! What is not as it should be on the machine, beside what ails it: failed systemd units and packages that are half
//! installed. Read only; the health-monitor compares it with what was so before the patch.

use nix::sys::statvfs::statvfs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long one of the machine's own programs may take.
const LIMIT: Duration = Duration::from_secs(10);
/// As many are told; who has more has the same trouble.
const MOST: usize = 50;

/// Failed units and half-installed packages, sorted, each in its own words. What cannot be asked has found nothing.
pub(crate) async fn findings(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    // Made by systemd when it is the init system (sd_booted(3)).
    if root.join("run/systemd/system").exists() {
        let list = ["--no-pager", "--plain", "--no-legend", "--full", "--state=failed", "list-units"];
        findings.extend(failed_units(&said("systemctl", &list).await));
    }
    let database = root.join("var/lib/dpkg");
    if database.join("status").exists() {
        let of = format!("--admindir={}", database.display());
        let list = [&*of, "--show", "--showformat=${db:Status-Abbrev}\\t${binary:Package}\\n"];
        findings.extend(half_installed(&said("dpkg-query", &list).await));
    }
    findings.sort();
    findings.dedup();
    findings.truncate(MOST);
    findings
}

/// A disk with less space than that is an ailment: nothing can be installed safely, and little else works.
pub(crate) fn full_disk(root: &Path, least_mebibytes: u64) -> Option<String> {
    let free = |folder: &'static str| {
        let stat = statvfs(&root.join(folder)).ok()?;
        Some((folder, (u128::from(stat.blocks_available()) * u128::from(stat.fragment_size())) >> 20))
    };
    let full = ["", "var", "boot"].into_iter().filter_map(free);
    let (folder, mebibytes) = full.min_by_key(|(_, mebibytes)| *mebibytes)?;
    let ailment = || format!("only {mebibytes} MiB are free on /{folder}");
    (mebibytes < u128::from(least_mebibytes)).then(ailment)
}

fn failed_units(said: &str) -> impl Iterator<Item = String> {
    let units = said.lines().filter_map(|line| line.split_whitespace().next());
    units.filter(|unit| unit.contains('.')).map(|unit| format!("unit {unit} has failed"))
}

/// The second letter of dpkg's status is the state (dpkg-query(1)); the third says that a package must be installed anew.
fn half_installed(said: &str) -> impl Iterator<Item = String> {
    said.lines().filter_map(|line| {
        let (status, package) = line.split_once('\t')?;
        let state = match (status.chars().nth(1)?, status.chars().nth(2)) {
            (_, Some('R')) => "must be installed anew",
            ('U', _) => "is unpacked, but not configured",
            ('F', _) => "is half configured",
            ('H', _) => "is half installed",
            ('W' | 't', _) => "waits for triggers",
            _ => return None,
        };
        Some(format!("package {package} {state}"))
    })
}

async fn said(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(LIMIT, command.output()).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(Err(error)) => {
            tracing::debug!(program, %error, "it could not be asked");
            String::new()
        }
        Err(_) => {
            tracing::warn!(program, "it did not answer in time");
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn systemd_and_dpkg_are_understood() {
        let units =
            "nginx.service loaded failed failed A web server\n\nsrv-data.mount not-found failed failed x\n";
        let found: Vec<String> = failed_units(units).collect();
        assert_eq!(found, ["unit nginx.service has failed", "unit srv-data.mount has failed"]);
        let packages = "ii \tbash\niU \tcurl\niF \tnginx\niHR\tbroken\nrc \told\nhi \theld\nit \tman-db\n";
        let found: Vec<String> = half_installed(packages).collect();
        let expected = [
            "package curl is unpacked, but not configured",
            "package nginx is half configured",
            "package broken must be installed anew",
            "package man-db waits for triggers",
        ];
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_real_package_database_is_read() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(findings(root.path()).await, Vec::<String>::new());
        let database = root.path().join("var/lib/dpkg");
        fs::create_dir_all(&database).unwrap();
        let package = |name: &str, state: &str| {
            format!(
                "Package: {name}\nStatus: install ok {state}\nMaintainer: x\nArchitecture: all\nVersion: 1\nDescription: x\n\n"
            )
        };
        let text = package("good", "installed") + &package("half", "half-configured");
        fs::write(database.join("status"), text).unwrap();
        assert_eq!(findings(root.path()).await, ["package half is half configured"]);
    }

    #[test]
    fn a_disk_is_full_below_the_owner_s_limit() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(full_disk(root.path(), 0), None);
        let ailment = full_disk(root.path(), u64::MAX).unwrap();
        assert!(ailment.contains("MiB are free on /"), "{ailment}");
    }
}
