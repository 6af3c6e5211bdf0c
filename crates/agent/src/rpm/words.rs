//! What rpm says of single packages: their scripts, and disks that have no room for them. dnf and zypper both pass it on, each among its own words.

use super::nevra;
use std::collections::BTreeMap;

/// Packages that did not go in, by name: a script before the install (`%pre`) that fails ends the install of its
/// package, and a disk that is too full that of all that were to go in with it.
pub(crate) fn failures(text: &str, native: &str) -> BTreeMap<String, String> {
    let mut failures = said(text, "error: %", native);
    failures.extend(text.lines().filter_map(|line| {
        let (package, what) = line.trim().strip_prefix("installing package ")?.split_once(' ')?;
        let (name, _, architecture) = nevra(package).filter(|_| what.starts_with("needs "))?;
        Some((super::full_name(name, architecture, native), format!("it {what}")))
    }));
    failures
}

/// Packages that are in although a script failed, by name: what comes after the install (`%post`) changes nothing any
/// more.
pub(crate) fn warnings(text: &str, native: &str) -> BTreeMap<String, String> {
    said(text, "warning: %", native)
}

/// `error: %prein(fx-pre-1.1-1.noarch) scriptlet failed, exit status 1`, anywhere in a line: progress shares it.
fn said(text: &str, how: &str, native: &str) -> BTreeMap<String, String> {
    let one = |line: &str| {
        let (_, rest) = line.split_once(how)?;
        let (script, rest) = rest.split_once('(')?;
        let (package, what) = rest.split_once(')')?;
        let (name, _, architecture) = nevra(package)?;
        Some((super::full_name(name, architecture, native), format!("its %{script}{what}")))
    };
    text.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded with dnf 4.14; zypper quotes it with a tab before it.
    #[test]
    fn a_disk_without_room_is_told_by_package() {
        let text = "Error: Transaction test error:\n  installing package fx-sec-1.1-1.noarch needs 4KB more space on \
            the /usr/share/fx-sec filesystem\n\nError Summary\n";
        let said = failures(text, "x86_64");
        assert_eq!(said["fx-sec"], "it needs 4KB more space on the /usr/share/fx-sec filesystem");
    }

    #[test]
    fn scripts_that_failed_are_told_by_package() {
        let text = "Running scriptlet: x 3/10 \nerror: %prein(fx-pre-1.1-1.noarch) scriptlet failed, exit status 1\n\
            warning: %post(fx-fail-1:1.1-1.i686) scriptlet failed, exit status 2\nerror: fx-pre: install failed\n";
        assert_eq!(failures(text, "x86_64")["fx-pre"], "its %prein scriptlet failed, exit status 1");
        assert_eq!(warnings(text, "x86_64")["fx-fail.i686"], "its %post scriptlet failed, exit status 2");
        assert_eq!(failures(text, "x86_64").len(), 1);
    }
}
