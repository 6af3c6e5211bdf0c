//! Which package manager a machine has.

use crate::back_end::BackEndError;
use crate::config::{BackEndChoice, Config};
use crate::host::Host;
use crate::programs::is_installed;

/// Each with its programs, any of which will do, and the families of os-release(5) that live by it.
const KNOWN: [(BackEndChoice, &[&str], &[&str]); 4] = [
    (BackEndChoice::Apt, &["apt-get"], &["debian", "ubuntu"]),
    (BackEndChoice::Dnf, &["dnf", "yum"], &["rhel", "fedora", "centos", "almalinux", "rocky", "ol", "amzn"]),
    (BackEndChoice::Zypper, &["zypper"], &["suse", "sles", "opensuse"]),
    (BackEndChoice::Windows, &["powershell.exe"], &[]),
];

/// The one that the machine's family lives by, else the only one that is installed: a machine may well have the tools of
/// another family, to build packages with.
pub(crate) fn back_end(config: &Config) -> Result<BackEndChoice, BackEndError> {
    choose(&Host::new(config).family(), is_installed).map_err(BackEndError)
}

fn choose(family: &[String], is_installed: impl Fn(&str) -> bool) -> Result<BackEndChoice, String> {
    let here = |programs: &[&str]| programs.iter().any(|program| is_installed(program));
    let found: Vec<_> = KNOWN.iter().filter(|(_, programs, _)| here(programs)).collect();
    let of_family = |families: &[&str]| family.iter().any(|word| families.contains(&word.as_str()));
    if let Some((choice, ..)) = found.iter().find(|(_, _, families)| of_family(families)) {
        return Ok(*choice);
    }
    match found.as_slice() {
        [(choice, ..)] => Ok(*choice),
        [] => {
            let looked: Vec<&str> = KNOWN.iter().flat_map(|(_, programs, _)| *programs).copied().collect();
            Err(format!("`back_end`: auto: this machine has none of {}", looked.join(", ")))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|(_, programs, _)| programs[0]).collect();
            let family = if family.is_empty() { "nothing".to_owned() } else { family.join(", ") };
            Err(format!(
                "`back_end`: auto: this machine has {}, and its os-release names {family}, which is the family of \
                 none: say which with `back_end`",
                names.join(" and ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose_of(family: &str, installed: &[&str]) -> Result<BackEndChoice, String> {
        let family: Vec<String> = family.split_whitespace().map(str::to_owned).collect();
        choose(&family, |program| installed.contains(&program))
    }

    #[test]
    fn the_family_decides_and_then_what_is_there() {
        assert_eq!(choose_of("debian", &["apt-get", "dnf"]), Ok(BackEndChoice::Apt));
        assert_eq!(choose_of("almalinux rhel centos fedora", &["apt-get", "dnf"]), Ok(BackEndChoice::Dnf));
        assert_eq!(choose_of("rhel fedora", &["yum"]), Ok(BackEndChoice::Dnf));
        assert_eq!(choose_of("sles suse", &["apt-get", "dnf", "zypper"]), Ok(BackEndChoice::Zypper));
        assert_eq!(choose_of("strange", &["apt-get"]), Ok(BackEndChoice::Apt));
    }

    #[test]
    fn whoever_is_not_told_apart_is_told_what_was_looked_for() {
        let none = choose_of("alpine", &["apk"]).unwrap_err();
        assert!(none.contains("apt-get") && none.contains("yum"), "{none}");
        let two = choose_of("strange", &["apt-get", "dnf"]).unwrap_err();
        assert!(two.contains("apt-get and dnf") && two.contains("strange"), "{two}");
    }
}
