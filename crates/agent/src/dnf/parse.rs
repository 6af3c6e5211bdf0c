//! What dnf and yum print, read.

use super::dialect::{Dialect, MARK};
use crate::back_end::{Said, Trouble};
use crate::rpm::{self, Evr, full_name, nevra};
use nightshift_domain::patch::Classification;
use std::collections::BTreeMap;

/// Words for causes that pass by themselves: a lock, the network, sources that moved on.
const PASSING: [&str; 9] = [
    "already locked by",
    "holding the yum lock",
    "Failed to download",
    "Error downloading packages",
    "Cannot download",
    "No more mirrors",
    "Curl error",
    "No match for argument",
    "No package ",
];
/// `exit_on_lock`'s exit code.
const LOCKED: i32 = 200;

/// A version that is newer than what is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) name: String,
    pub(super) evr: Evr,
}

/// A version that an advisory is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advised {
    pub(super) name: String,
    pub(super) evr: Evr,
    pub(super) classification: Classification,
}

/// The updates that were listed. What is no update, and no package manager's noise either, is an error.
pub(super) fn updates(dialect: Dialect, text: &str, native: &str) -> Result<Vec<Update>, String> {
    let wrong =
        |line: &str| format!("{} answered with something that is no list: {line:?}", dialect.program());
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let updates = match dialect {
        Dialect::Dnf => {
            let lines = lines.iter().filter(|line| line.starts_with(MARK));
            lines.map(|line| marked(line, native).ok_or_else(|| wrong(line))).collect::<Result<_, _>>()?
        }
        Dialect::Yum => columns(text, native),
    };
    // Plug-ins may add words of their own to a list; words alone are none.
    match (lines.first(), Vec::is_empty(&updates)) {
        (Some(line), true) => Err(wrong(line)),
        _ => Ok(updates),
    }
}

fn marked(line: &str, native: &str) -> Option<Update> {
    let [name, epoch, version, release, architecture] =
        line.strip_prefix(MARK)?.split('|').collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let evr = Evr::parse(&format!("{epoch}:{version}-{release}"))?;
    rpm::is_name(name).then(|| Update { name: full_name(name, architecture, native), evr })
}

/// yum's `NAME.ARCHITECTURE  VERSION  REPOSITORY`, which may go on in the next line, up to the obsoleted ones.
fn columns(text: &str, native: &str) -> Vec<Update> {
    let list = text.lines().take_while(|line| !line.starts_with("Obsoleting Packages"));
    let words: Vec<&str> = list.flat_map(str::split_whitespace).collect();
    let one = |words: &[&str]| {
        let (name, architecture) = words[0].rsplit_once('.')?;
        let evr = Evr::parse(words[1])?;
        rpm::is_name(name).then(|| Update { name: full_name(name, architecture, native), evr })
    };
    words.windows(2).filter_map(one).collect()
}

/// `ADVISORY  SEVERITY/Sec.  NEVRA`, or a kind without a severity. Red Hat's word for the worst is Critical.
pub(super) fn advisories(text: &str, native: &str) -> Vec<Advised> {
    let one = |line: &str| {
        let [_, kind, package] = line.split_whitespace().collect::<Vec<_>>()[..] else { return None };
        let classification = match kind.strip_suffix("/Sec.") {
            Some("Critical") => Classification::Critical,
            Some(_) => Classification::Security,
            None if kind == "security" => Classification::Security,
            None => Classification::Other,
        };
        let (name, evr, architecture) = nevra(package)?;
        Some(Advised { name: full_name(name, architecture, native), evr, classification })
    };
    text.lines().filter_map(one).collect()
}

/// `needs-restarting -r`; `None` if it said neither.
pub(super) fn wants_reboot(said: &str) -> Option<bool> {
    if said.contains("Reboot is required") {
        return Some(true);
    }
    ["Reboot should not be necessary", "Reboot is probably not necessary"]
        .iter()
        .any(|words| said.contains(words))
        .then_some(false)
}

/// Why a set of packages does not go in: dnf's first problem with what it names as its cause, or its first error.
pub(super) fn problem(err: &str) -> String {
    let lines: Vec<&str> = err.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let Some(at) = lines.iter().position(|line| line.starts_with("Problem")) else {
        let error = lines.iter().find_map(|line| line.strip_prefix("Error: ")).or(lines.first().copied());
        return error.unwrap_or("it gave no reason").to_owned();
    };
    let causes = lines[at + 1..].iter().map_while(|line| line.strip_prefix("- "));
    let (_, what) = lines[at].split_once(": ").unwrap_or(("", lines[at]));
    std::iter::once(what).chain(causes).take(3).collect::<Vec<_>>().join("; ")
}

/// What an install said.
pub(super) fn said(code: Option<i32>, (out, err): &(String, String), native: &str) -> Said {
    let text = format!("{out}\n{err}");
    let mut errors = block(out, "Failed:", native, "dnf says that it failed");
    errors.extend(block(out, "Skipped:", native, "dnf skipped it: what it needs is not to be had"));
    errors.extend(rpm::failures(&text, native));
    let passing = code == Some(LOCKED) || PASSING.iter().any(|words| text.contains(words));
    let failed = !matches!(code, Some(0) | None) || err.lines().any(|line| line.starts_with("Error: "));
    let trouble = (failed || passing).then(|| {
        let lock = err.lines().find(|line| line.contains("locked by") || line.contains("yum lock"));
        Trouble { sentence: lock.map_or_else(|| problem(err), str::to_owned), passing }
    });
    Said { errors, warnings: rpm::warnings(&text, native), trouble }
}

/// The packages in dnf's list under a headline, to which one sentence applies.
fn block(out: &str, headline: &str, native: &str, sentence: &str) -> BTreeMap<String, String> {
    let lines = out.lines().skip_while(|line| line.trim_end() != headline).skip(1);
    let words = lines.take_while(|line| line.starts_with(' ')).flat_map(str::split_whitespace);
    let names = words.filter_map(nevra).map(|(name, _, architecture)| full_name(name, architecture, native));
    names.map(|name| (name, sentence.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evr(text: &str) -> Evr {
        Evr::parse(text).unwrap()
    }

    #[test]
    fn updates_are_read_among_the_words_of_plug_ins() {
        let text = "Updating Subscription Management repositories.\n\
            nightshift|fx-both|0|1.1|1|noarch\nnightshift|glibc|2|2.34|60.el9|i686\n";
        let updates = updates(Dialect::Dnf, text, "x86_64").unwrap();
        assert_eq!(updates[0], Update { name: "fx-both".into(), evr: evr("1.1-1") });
        assert_eq!(updates[1], Update { name: "glibc.i686".into(), evr: evr("2:2.34-60.el9") });
    }

    #[test]
    fn garbage_is_an_error_that_quotes_it() {
        for garbage in ["<html>Sign in</html>\n", "nightshift|a|b\n", "nightshift|-y|0|1|1|noarch\n"] {
            let error = updates(Dialect::Dnf, garbage, "x86_64").unwrap_err();
            assert!(error.contains(garbage.trim()), "{error}");
        }
        assert_eq!(updates(Dialect::Dnf, "\n", "x86_64"), Ok(Vec::new()));
    }

    /// After yum's manual page.
    #[test]
    fn yums_columns_may_wrap() {
        let text = "\nkernel.x86_64    3.10.0-1160.el7    updates\npython-very-long-name-of-a-package.noarch\n\
            \x20     1:2.0-1.el7   updates\nObsoleting Packages\nold.noarch 1-1 updates\n";
        let updates = updates(Dialect::Yum, text, "x86_64").unwrap();
        let names: Vec<&str> = updates.iter().map(|update| &*update.name).collect();
        assert_eq!(names, ["kernel", "python-very-long-name-of-a-package"]);
        assert_eq!(updates[1].evr, evr("1:2.0-1.el7"));
    }

    #[test]
    fn severities_become_classifications() {
        let text = "FX-SA-2 Critical/Sec.  fx-crit-1.1-1.noarch\nFX-SA-3 Moderate/Sec.  fx-both-1.1-1.noarch\n\
            FX-BA-1 bugfix         fx-both-1.2-1.noarch\nFX-EA-1 enhancement fx-x-1-1.i686\nupdateinfo list done\n";
        let seen: Vec<_> =
            advisories(text, "x86_64").into_iter().map(|one| (one.name, one.classification)).collect();
        let expected = [
            ("fx-crit", Classification::Critical),
            ("fx-both", Classification::Security),
            ("fx-both", Classification::Other),
            ("fx-x.i686", Classification::Other),
        ];
        assert_eq!(seen, expected.map(|(name, class)| (name.to_owned(), class)));
    }

    #[test]
    fn ten_thousand_updates_are_read() {
        let text: String = (0..10_000).map(|n| format!("{MARK}package-{n}|0|1.{n}|1.el9|x86_64\n")).collect();
        assert_eq!(updates(Dialect::Dnf, &text, "x86_64").unwrap().len(), 10_000);
    }

    #[test]
    fn what_an_install_said_is_told_by_package() {
        let out = "  Running scriptlet: fx-pre-1.1-1.noarch  3/10 \n\
            error: %prein(fx-pre-1.1-1.noarch) scriptlet failed, exit status 1\n\
            warning: %post(fx-fail-1.1-1.noarch) scriptlet failed, exit status 1\n\n\
            Upgraded:\n  fx-app-1.1-1.noarch      fx-both-1.1-1.noarch     \nSkipped:\n  fx-sh-1.1-1.noarch\n\
            Failed:\n  fx-pre-1.0-1.noarch     fx-pre-1.1-1.noarch                   \n\n";
        let said = said(Some(1), &(out.to_owned(), "Error: Transaction failed\n".to_owned()), "x86_64");
        assert_eq!(said.errors.keys().collect::<Vec<_>>(), ["fx-pre", "fx-sh"]);
        assert!(said.errors["fx-pre"].contains("%prein"), "{said:?}");
        assert!(said.warnings["fx-fail"].contains("%post"), "{said:?}");
        assert_eq!(said.trouble, Some(Trouble { sentence: "Transaction failed".into(), passing: false }));
    }

    #[test]
    fn a_lock_passes() {
        let err = "RPMDB already locked by 65\n  The application with PID 65 is: dnf\n";
        let said = said(Some(200), &(String::new(), err.to_owned()), "x86_64");
        assert_eq!(
            said.trouble.unwrap(),
            Trouble { sentence: "RPMDB already locked by 65".into(), passing: true }
        );
    }

    #[test]
    fn a_missing_plug_in_says_nothing_of_reboots() {
        assert_eq!(wants_reboot("No such command: needs-restarting.\n"), None);
        assert_eq!(
            wants_reboot("Core libraries...\n\nReboot is required to fully utilize these updates."),
            Some(true)
        );
        assert_eq!(wants_reboot("Reboot should not be necessary.\n"), Some(false));
    }

    #[test]
    fn problems_name_their_cause() {
        let err = "Error: \n Problem: cannot install the best update candidate for package a-1.0-1.noarch\n  \
            - nothing provides b >= 2 needed by a-1.1-1.noarch\n(try to add '--skip-broken')\n";
        assert!(
            problem(err).ends_with("nothing provides b >= 2 needed by a-1.1-1.noarch"),
            "{}",
            problem(err)
        );
        assert_eq!(problem("Error: No packages marked for upgrade.\n"), "No packages marked for upgrade.");
    }
}
