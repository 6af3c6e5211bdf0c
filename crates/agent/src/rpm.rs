//! What dnf, yum and zypper have in common: rpm's names and versions, its database and its locks.

mod database;
mod locks;
mod repair;
mod version;
mod words;

pub(crate) use database::Database;
pub(crate) use locks::Locks;
pub(crate) use repair::remove_older;
pub(crate) use version::{Evr, is_name};
pub(crate) use words::{failures, warnings};

use crate::back_end::{BackEndError, Package};
use crate::programs::Programs;
use std::time::Duration;

/// How long a look into the database may take.
const READING: Duration = Duration::from_secs(300);

/// A machine whose version of one of these is newer than its boot waits for a reboot: the list of `needs-restarting -r`,
/// for machines without that plug-in.
pub(crate) const REBOOT_AFTER: [&str; 13] = [
    "kernel",
    "kernel-core",
    "kernel-rt",
    "kernel-rt-core",
    "kernel-uek",
    "glibc",
    "gnutls",
    "openssl-libs",
    "linux-firmware",
    "microcode_ctl",
    "systemd",
    "dbus",
    "dbus-broker",
];

/// Whether a machine with a new version of it waits for a reboot as a rule; flavours of kernels too.
pub(crate) fn asks_for_reboot(package: &str) -> bool {
    let (name, _) = split_architecture(package);
    REBOOT_AFTER.contains(&name) || name.starts_with("kernel-")
}

/// rpm, dnf, yum, zypper and what they are made of.
pub(crate) fn is_of_package_manager(package: &str) -> bool {
    let (name, _) = split_architecture(package);
    let own =
        ["rpm", "rpm-libs", "yum", "dnf", "dnf-data", "zypper", "libzypp", "libsolv", "libdnf", "librepo"];
    own.contains(&name)
        || ["python3-dnf", "libsolv-", "libdnf5", "dnf5"].iter().any(|start| name.starts_with(start))
}

/// What rpm makes of a macro on this machine.
async fn says(programs: &Programs, name: &str) -> Result<String, BackEndError> {
    Ok(programs.read("rpm", &["--eval", name], READING).await?.out.trim().to_owned())
}

/// The machine's own architecture, by rpm's name; empty if rpm does not say.
pub(crate) async fn architecture(programs: &Programs) -> String {
    says(programs, "%{_arch}").await.unwrap_or_default()
}

/// The package as it is named on the machine: with its architecture (`glibc.i686`) where that is not the machine's own.
pub(crate) fn full_name(name: &str, architecture: &str, native: &str) -> String {
    if architecture == native || architecture == "noarch" {
        return name.to_owned();
    }
    format!("{name}.{architecture}")
}

/// A package's name, its architecture if it has one, and its version, each checked: an argument that begins with `-`,
/// is a path, or holds a wildcard would mean something else.
pub(crate) fn checked(package: &Package) -> Result<(&str, Option<&str>, Evr), BackEndError> {
    let wrong =
        || BackEndError(format!("{:?} {:?} is no package and version", package.name, package.version));
    let evr = Evr::parse(&package.version).ok_or_else(wrong)?;
    if !is_name(&package.name) {
        return Err(wrong());
    }
    let (name, architecture) = split_architecture(&package.name);
    Ok((name, architecture, evr))
}

/// Architectures of packages for machines that are not of that architecture alone: what rpm calls multilib.
const ARCHITECTURES: [&str; 14] = [
    "i386", "i486", "i586", "i686", "athlon", "x86_64", "aarch64", "armv7hl", "ppc64", "ppc64le", "ppc",
    "s390", "s390x", "riscv64",
];

/// `glibc.i686` is glibc for i686; `python3.11` is a name.
fn split_architecture(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('.') {
        Some((name, architecture)) if ARCHITECTURES.contains(&architecture) => (name, Some(architecture)),
        _ => (name, None),
    }
}

/// `NAME-VERSION-RELEASE.ARCHITECTURE`, where VERSION may begin with `EPOCH:`; read from its end, as names hold `-` too.
pub(crate) fn nevra(text: &str) -> Option<(&str, Evr, &str)> {
    let (rest, architecture) = text.rsplit_once('.')?;
    let (rest, release) = rest.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    let evr = Evr::parse(&format!("{version}-{release}"))?;
    is_name(name).then_some((name, evr, architecture))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nevras_are_read_from_their_end() {
        let (name, evr, architecture) = nevra("java-11-openjdk-1:11.0.9-2.el8_2.x86_64").unwrap();
        assert_eq!(
            (name, &*evr.to_string(), architecture),
            ("java-11-openjdk", "1:11.0.9-2.el8_2", "x86_64")
        );
        assert!(nevra("<html>").is_none() && nevra("a-b.c").is_none());
    }

    #[test]
    fn nothing_that_is_no_package_becomes_an_argument() {
        let package = |name: &str, version: &str| Package { name: name.into(), version: version.into() };
        for (name, version) in [
            ("-y", "1-1"),
            ("vim", "1;reboot-1"),
            ("../vim", "1-1"),
            ("vim", ""),
            ("vim*", "1-1"),
            ("vim", "*"),
        ] {
            assert!(checked(&package(name, version)).is_err(), "{name} {version}");
        }
        let (package, evr) = (package("glibc.i686", "2.34-1.el9"), "2.34-1.el9");
        let (name, architecture, read) = checked(&package).unwrap();
        assert_eq!((name, architecture, &*read.to_string()), ("glibc", Some("i686"), evr));
        assert_eq!(split_architecture("python3.11"), ("python3.11", None));
    }
}
