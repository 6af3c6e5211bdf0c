//! What rpm's database holds: the only judge of what is installed.

use super::{Evr, READING, full_name, says};
use crate::back_end::{BackEndError, Package, Standing};
use crate::programs::Programs;
use std::collections::BTreeMap;

const FORMAT: &str = "%{NAME}|%{EPOCHNUM}|%{VERSION}|%{RELEASE}|%{ARCH}|%{INSTALLTIME}\\n";
/// Packages of which several versions may be installed side by side: dnf's `installonlypkgs`, zypper's `multiversion`.
const SIDE_BY_SIDE: [&str; 5] = [
    "installonlypkg(kernel)",
    "installonlypkg(kernel-module)",
    "installonlypkg(vm)",
    "multiversion(kernel)",
    "kernel",
];

/// Every installed package.
#[derive(Debug, Default)]
pub(crate) struct Database {
    entries: BTreeMap<String, Vec<Entry>>,
    side_by_side: Vec<String>,
    native: String,
}

#[derive(Debug, Clone)]
struct Entry {
    evr: Evr,
    installed_at: u64,
}

impl Database {
    /// Asks rpm.
    pub(crate) async fn read(programs: &Programs) -> Result<Self, BackEndError> {
        let native = says(programs, "%{_arch}").await?;
        let listed = programs.read("rpm", &["-qa", "--qf", FORMAT], READING).await?;
        let mut arguments = vec!["-q", "--qf", "%{NAME}\\n", "--whatprovides"];
        arguments.extend(SIDE_BY_SIDE);
        // It fails where nothing provides one of them, and says so among its answers.
        let several = programs.run("rpm", &arguments, READING).await?;
        Self::of(&listed.out, &several.out, native).map_err(BackEndError)
    }

    /// Of rpm's lines `NAME|EPOCH|VERSION|RELEASE|ARCHITECTURE|SECONDS`, and of the names of what may be there twice.
    fn of(listed: &str, several: &str, native: String) -> Result<Self, String> {
        let side_by_side = several.lines().map(str::to_owned).collect();
        let mut database = Self { entries: BTreeMap::new(), side_by_side, native };
        for line in listed.lines().filter(|line| !line.trim().is_empty()) {
            let not_understood =
                || format!("rpm answered with something that is no list of packages: {line:?}");
            let [name, epoch, version, release, architecture, seconds] =
                line.split('|').collect::<Vec<_>>()[..]
            else {
                return Err(not_understood());
            };
            if name == "gpg-pubkey" {
                continue;
            }
            let evr = Evr::parse(&format!("{epoch}:{version}-{release}")).ok_or_else(not_understood)?;
            let installed_at = seconds.parse().map_err(|_| not_understood())?;
            let name = full_name(name, architecture, &database.native);
            database.entries.entry(name).or_default().push(Entry { evr, installed_at });
        }
        Ok(database)
    }

    /// The machine's own architecture.
    pub(crate) fn native(&self) -> &str {
        &self.native
    }

    /// The newest installed version.
    pub(crate) fn newest(&self, name: &str) -> Option<&Evr> {
        self.entries.get(name)?.iter().map(|entry| &entry.evr).max()
    }

    /// Success is the wanted version or a newer one, and no other beside it: an upgrade that was interrupted leaves both.
    pub(crate) fn standing(&self, package: &Package) -> Standing {
        let (Some(newest), Some(wanted)) = (self.newest(&package.name), Evr::parse(&package.version)) else {
            return Standing::Not("not installed".into());
        };
        if let Some(older) = self.older(&package.name) {
            let older: Vec<String> = older.iter().map(ToString::to_string).collect();
            return Standing::Not(format!("{newest} installed, and {} beside it", older.join(", ")));
        }
        if *newest >= wanted { Standing::Installed } else { Standing::Not(format!("{newest} installed")) }
    }

    /// What an install that was interrupted left behind, for people.
    pub(crate) fn half_done(&self) -> Vec<String> {
        self.duplicates().map(|(name, _)| format!("{name} is there in two versions")).collect()
    }

    /// Where each of these packages stands, by name.
    pub(crate) fn standings(&self, packages: &[Package]) -> BTreeMap<String, Standing> {
        packages.iter().map(|package| (package.name.clone(), self.standing(package))).collect()
    }

    /// What is installed in more than one version and must not be, with all but its newest version.
    pub(crate) fn duplicates(&self) -> impl Iterator<Item = (&str, Vec<&Evr>)> {
        self.entries.keys().filter_map(|name| Some((name.as_str(), self.older(name)?)))
    }

    fn older(&self, name: &str) -> Option<Vec<&Evr>> {
        let entries = self.entries.get(name).filter(|entries| entries.len() > 1)?;
        if self.side_by_side.iter().any(|several| several == name) {
            return None;
        }
        let mut versions: Vec<&Evr> = entries.iter().map(|entry| &entry.evr).collect();
        versions.sort();
        versions.pop();
        Some(versions)
    }

    /// Which of these packages were installed after a moment (seconds since 1970).
    pub(crate) fn installed_after(&self, moment: u64, names: &[&str]) -> Vec<&str> {
        let newer = |entries: &Vec<Entry>| entries.iter().any(|entry| entry.installed_at > moment);
        let named = self.entries.iter().filter(|(name, _)| names.contains(&name.as_str()));
        named.filter(|(_, entries)| newer(entries)).map(|(name, _)| name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "a|0|1.1|1|noarch|100\nb|2|1.0|1.el9|x86_64|200\nb|0|9.0|1|i686|50\n\
        twice|0|1.0|1|noarch|10\ntwice|0|1.1|1|noarch|20\nkernel-core|0|5|1|x86_64|10\nkernel-core|0|6|1|x86_64|90\n\
        gpg-pubkey|0|fd431d51|4ae0493b|(none)|1\n";

    fn database() -> Database {
        Database::of(LISTED, "kernel-core\nno package provides multiversion(kernel)\n", "x86_64".into())
            .unwrap()
    }

    #[test]
    fn only_the_wanted_version_alone_counts() {
        let database = database();
        let standing = |name: &str, version: &str| {
            database.standing(&Package { name: name.to_owned(), version: version.into() })
        };
        assert_eq!(standing("a", "1.1-1"), Standing::Installed);
        assert_eq!(standing("a", "1.2-1"), Standing::Not("1.1-1 installed".into()));
        assert_eq!(standing("b", "2:1.0-1.el9"), Standing::Installed);
        assert_eq!(standing("b.i686", "9.0-1"), Standing::Installed);
        assert_eq!(standing("c", "1-1"), Standing::Not("not installed".into()));
        assert_eq!(standing("twice", "1.1-1"), Standing::Not("1.1-1 installed, and 1.0-1 beside it".into()));
        assert_eq!(standing("kernel-core", "6-1"), Standing::Installed);
        assert_eq!(database.installed_after(80, &["kernel-core", "a", "twice"]), ["a", "kernel-core"]);
    }

    #[test]
    fn what_is_no_list_is_an_error_that_quotes_it() {
        let error = Database::of("a|0|1|1|noarch|5\n<html>\n", "", "x86_64".into()).unwrap_err();
        assert!(error.contains("<html>"), "{error}");
    }
}
