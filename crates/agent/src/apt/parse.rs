//! What apt and dpkg print, read.

use super::debian;
use crate::back_end::{Package, Standing};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Labels of archives that hold nothing but security fixes, whatever their suites are called.
pub(super) const SECURITY_LABELS: [&str; 3] = ["Debian-Security", "UbuntuESM", "UbuntuESMApps"];

/// What apt says that it would do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Simulation {
    /// What would be unpacked.
    pub(super) installs: Vec<Step>,
    /// What would be configured; that which is not unpacked too was left half-done.
    pub(super) configures: Vec<Step>,
    /// What it will not touch: held, or not possible without more than was asked for.
    pub(super) kept_back: Vec<String>,
    /// What it leaves for a later day because it is rolled out in phases; older versions do not tell it apart.
    pub(super) phased: Vec<String>,
    /// What only Ubuntu Pro's archives (ESM) would fix, which this machine may not use.
    pub(super) needs_pro: Vec<String>,
}

/// One `Inst` or `Conf` line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: String,
    /// The version that is installed; a package that is new has none.
    pub(super) old: Option<String>,
    pub(super) new: String,
    /// Where the new version can be had.
    origins: Vec<Origin>,
}

#[derive(Debug, PartialEq, Eq)]
struct Origin {
    label: String,
    suite: String,
}

impl Step {
    /// Whether the version comes from a security archive. The suite's first part changes with the years ("stable",
    /// "oldstable", "bookworm"), its end does not.
    pub(super) fn is_security(&self) -> bool {
        let of_security = |origin: &Origin| {
            origin.suite.ends_with("-security") || SECURITY_LABELS.contains(&origin.label.as_str())
        };
        self.origins.iter().any(of_security)
    }
}

impl Simulation {
    /// Of a whole answer, which ends with a count: an answer without one would seem to say that nothing is lacking.
    pub(super) fn whole(text: &str) -> Result<Self, String> {
        let counts = |line: &str| {
            let of_apt_2 = line.contains(" upgraded, ") && line.contains(" newly installed, ");
            let of_apt_3 = line.trim_start().starts_with("Upgrading: ") && line.contains(", Installing: ");
            of_apt_2 || of_apt_3
        };
        if text.lines().any(counts) {
            return Ok(Self::read(text));
        }
        let quoted: String = text.trim().chars().take(80).collect();
        Err(format!("apt-get answered with something that is no simulation: {quoted:?}"))
    }

    pub(super) fn read(text: &str) -> Self {
        let mut simulation = Self::default();
        let mut names = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("Inst ") {
                simulation.installs.extend(step(rest));
            } else if let Some(rest) = line.strip_prefix("Conf ") {
                simulation.configures.extend(step(rest));
            } else if !line.starts_with(' ') {
                names = Block::headed(line);
            } else if let Some(block) = &names {
                let list = match block {
                    Block::KeptBack => &mut simulation.kept_back,
                    Block::Phased => &mut simulation.phased,
                    Block::NeedsPro => &mut simulation.needs_pro,
                };
                list.extend(line.split_whitespace().map(str::to_owned));
            }
        }
        simulation
    }
}

/// A list of names under a headline, as apt 2 and apt 3 write it.
enum Block {
    KeptBack,
    Phased,
    NeedsPro,
}

impl Block {
    fn headed(line: &str) -> Option<Self> {
        match line.trim_end() {
            "The following packages have been kept back:" | "Not upgrading:" => Some(Self::KeptBack),
            "The following upgrades have been deferred due to phasing:"
            | "Not upgrading yet due to phasing:" => Some(Self::Phased),
            // Words of Ubuntu's Pro client, which apt calls: today's, and those of 18.04.
            pro if pro.starts_with("The following security updates require Ubuntu Pro") => {
                Some(Self::NeedsPro)
            }
            pro if pro.contains("could receive security updates with UA ") => Some(Self::NeedsPro),
            _ => None,
        }
    }
}

/// `NAME [OLD] (NEW LABEL:VERSION/SUITE, LABEL:VERSION/SUITE [ARCH]) [...]`; labels may contain spaces.
fn step(text: &str) -> Option<Step> {
    let (head, rest) = text.split_once(" (")?;
    let (name, old) = match head.split_once(" [") {
        Some((name, old)) => (name, Some(old.strip_suffix(']')?.to_owned())),
        None => (head, None),
    };
    let inside = rest.rsplit_once(')').map_or(rest, |(inside, _)| inside);
    let (new, origins) = inside.split_once(' ')?;
    let origins = origins.rsplit_once(" [").map_or(origins, |(origins, _)| origins);
    let origins = origins.split(", ").map(origin).collect();
    Some(Step { name: name.to_owned(), old, new: new.to_owned(), origins })
}

fn origin(text: &str) -> Origin {
    let (release, suite) = text.rsplit_once('/').unwrap_or((text, ""));
    let label = release.rsplit_once(':').map_or(release, |(label, _)| label);
    Origin { label: label.to_owned(), suite: suite.to_owned() }
}

/// What `apt-cache policy` says of one package.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) installed: Option<String>,
    pub(super) candidate: Option<String>,
    /// The percentage of machines that get the candidate already, where it is rolled out in phases.
    pub(super) phased: Option<String>,
}

impl Policy {
    pub(super) fn read(text: &str) -> Vec<Self> {
        let mut policies: Vec<Self> = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_suffix(':').filter(|_| !line.starts_with(' ')) {
                let name = name.to_owned();
                policies.push(Self { name, installed: None, candidate: None, phased: None });
            } else if let Some(policy) = policies.last_mut() {
                policy.take(line);
            }
        }
        policies
    }

    fn take(&mut self, line: &str) {
        let version = |text: &str| (text != "(none)").then(|| text.to_owned());
        if let Some(text) = line.strip_prefix("  Installed: ") {
            self.installed = version(text);
        } else if let Some(text) = line.strip_prefix("  Candidate: ") {
            self.candidate = version(text);
        } else if let Some((entry, phase)) = line.split_once(" (phased ") {
            let of_candidate = entry.split_whitespace().next() == self.candidate.as_deref();
            if of_candidate {
                self.phased = Some(phase.trim_end_matches(')').to_owned());
            }
        }
    }
}

/// What the package database holds.
#[derive(Debug, Default)]
pub(super) struct Database {
    /// By name, and by name and architecture.
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    version: String,
    status: String,
}

impl Database {
    /// Of `dpkg-query` lines `NAME<TAB>ARCHITECTURE<TAB>VERSION<TAB>STATUS`. A name without an architecture is that
    /// of the machine's own. What is no such line is an error: everything would seem to be missing.
    pub(super) fn read(text: &str, native: &str) -> Result<Self, String> {
        let mut entries = BTreeMap::new();
        for line in text.lines() {
            let [name, architecture, version, status] = line.split('\t').collect::<Vec<_>>()[..] else {
                let quoted: String = line.chars().take(80).collect();
                return Err(format!(
                    "dpkg-query answered with something that is no list of packages: {quoted:?}"
                ));
            };
            let entry = Entry { version: version.to_owned(), status: status.to_owned() };
            if architecture == native || architecture == "all" {
                entries.insert(name.to_owned(), entry.clone());
            }
            entries.insert(format!("{name}:{architecture}"), entry);
        }
        Ok(Self { entries })
    }

    /// Packages that are neither installed nor removed, each with its state.
    pub(super) fn half_done(&self) -> Vec<String> {
        let sound = ["installed", "config-files", "not-installed"];
        let unsound = self.entries.iter().filter(|(_, entry)| !sound.contains(&entry.status.as_str()));
        // Each is there by its name, and by its name and architecture.
        let once = unsound.filter(|(name, _)| !name.contains(':'));
        once.map(|(name, Entry { version, status })| format!("{name} {version} {status}")).collect()
    }

    /// Success is the wanted version or a newer one, and fully installed: a package whose script failed is at its
    /// new version already, but half-configured.
    pub(super) fn standing(&self, package: &Package) -> Standing {
        let Some(Entry { version, status }) = self.entries.get(&package.name) else {
            return Standing::Not("not installed".into());
        };
        let reached = debian::compare(version, &package.version) != Ordering::Less;
        if reached && status == "installed" {
            return Standing::Installed;
        }
        Standing::Not(format!("{version} {status}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_simulation_ends_with_a_count() {
        let apt_3 = "Summary:\n  Upgrading: 0, Installing: 0, Removing: 0, Not Upgrading: 3\n";
        let apt_2 = "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n";
        assert!([apt_2, apt_3].into_iter().all(|text| Simulation::whole(text).is_ok()));
        for text in
            ["", "<html>Sign in</html>", "Inst fx-sec [1.0] (1.1 Debian-Security:12/stable-security [all])\n"]
        {
            assert!(Simulation::whole(text).unwrap_err().contains("no simulation"), "{text}");
        }
    }

    /// Recorded on Debian 12 (apt 2.6), the last three lines on machines with more sources.
    const UPGRADE: &str = "\
Reading package lists...
Calculating upgrade...
The following NEW packages will be installed:
  fx-newpkg-2
The following packages have been kept back:
  fx-app fx-conflict
  fx-held
The following packages will be upgraded:
  fx-both fx-sec
7 upgraded, 1 newly installed, 0 to remove and 3 not upgraded.
Inst fx-both [1.0] (1.1 Debian-Security:12/stable-security [all])
Inst fx-newpkg-2 (2.0 Debian-Security:12/stable-security [all])
Inst fx-lib [1.0] (1.1 Debian:12/stable-updates [all])
Conf fx-both (1.1 Debian-Security:12/stable-security [all])
Conf fx-fail (1.1 Debian-Security:12/stable-security [all])
Inst bash [5.2.15-2+b8] (5.2.15-2+b13 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64])
Inst libc6:i386 [2.36-9] (2.36-10 Debian Backports:stable-backports/oldstable-backports [i386]) [libc6:amd64 ]
Inst vim [2:9.0-1] (2:9.0-2 My Mirror, Inc.:1.0/bookworm-security [amd64])
";

    fn find<'a>(simulation: &'a Simulation, name: &str) -> &'a Step {
        simulation.installs.iter().find(|step| step.name == name).unwrap()
    }

    #[test]
    fn a_recorded_simulation_is_read() {
        let simulation = Simulation::read(UPGRADE);
        assert_eq!(simulation.kept_back, ["fx-app", "fx-conflict", "fx-held"]);
        assert_eq!(find(&simulation, "fx-both").old.as_deref(), Some("1.0"));
        assert_eq!(find(&simulation, "fx-newpkg-2").old, None);
        assert_eq!(find(&simulation, "libc6:i386").new, "2.36-10");
        let security: Vec<&str> =
            simulation.installs.iter().filter(|step| step.is_security()).map(|step| &*step.name).collect();
        assert_eq!(security, ["fx-both", "fx-newpkg-2", "bash", "vim"]);
        assert_eq!(simulation.configures.len(), 2);
    }

    #[test]
    fn labels_with_spaces_stay_whole() {
        let simulation = Simulation::read(UPGRADE);
        let expected = Origin { label: "Debian Backports".into(), suite: "oldstable-backports".into() };
        assert_eq!(find(&simulation, "libc6:i386").origins, [expected]);
    }

    #[test]
    fn phased_upgrades_are_told_apart_where_apt_does() {
        let text = "The following upgrades have been deferred due to phasing:\n  a b\n\
            Not upgrading:\n  c\nInst x [1] (2 L:1/s [all])\n";
        let simulation = Simulation::read(text);
        assert_eq!(simulation.phased, ["a", "b"]);
        assert_eq!(simulation.kept_back, ["c"]);
        assert_eq!(simulation.installs.len(), 1);
    }

    /// After the sources of Ubuntu's Pro client; never recorded on a machine.
    #[test]
    fn what_needs_ubuntu_pro_is_told_apart() {
        let text = "The following security updates require Ubuntu Pro with 'esm-infra' enabled:\n  libx vim\n\
            Learn more about Ubuntu Pro at https://ubuntu.com/pro\n\
            *The following packages could receive security updates with UA Infra: ESM service enabled:\n  old\n\
            Inst x [1] (2 L:1/s [all])\n";
        let simulation = Simulation::read(text);
        assert_eq!(simulation.needs_pro, ["libx", "vim", "old"]);
        assert_eq!(simulation.installs.len(), 1);
    }

    #[test]
    fn a_policy_is_read_with_the_phase_of_its_candidate() {
        let text = "\
fx-phased:
  Installed: 1.0
  Candidate: 1.1
  Version table:
     1.1 500 (phased 0%)
        500 file:/repo/updates ./ Packages
 *** 1.0 500
        100 /var/lib/dpkg/status
libc6:i386:
  Installed: (none)
  Candidate: 2.36
";
        let policies = Policy::read(text);
        assert_eq!(policies[0].phased.as_deref(), Some("0%"));
        assert_eq!(policies[0].candidate.as_deref(), Some("1.1"));
        assert_eq!((policies[1].name.as_str(), &policies[1].installed), ("libc6:i386", &None));
    }

    #[test]
    fn only_the_wanted_version_fully_installed_counts() {
        let text = "a\tall\t1.1\tinstalled\nb\tall\t1.1\thalf-configured\nc\tamd64\t1.0\tinstalled\n\
            d\ti386\t2.0\tinstalled\n";
        assert!(Database::read("<html>\n", "amd64").unwrap_err().contains("<html>"));
        let database = Database::read(text, "amd64").unwrap();
        let standing =
            |name: &str| database.standing(&Package { name: name.to_owned(), version: "1.1".into() });
        assert_eq!(standing("a"), Standing::Installed);
        assert_eq!(standing("b"), Standing::Not("1.1 half-configured".into()));
        assert_eq!(standing("c"), Standing::Not("1.0 installed".into()));
        assert_eq!(standing("d"), Standing::Not("not installed".into()));
        assert_eq!(standing("d:i386"), Standing::Installed);
    }
}
