//! What zypper prints, read.

use super::xml::{self, Element};
use crate::back_end::{Said, Trouble};
use crate::rpm::{self, Evr, full_name, is_name};
use nightshift_domain::patch::Classification;
use std::collections::BTreeMap;

/// Exit codes (zypper(8)) of installs that went well as far as they go: a reboot is needed, zypper itself was updated
/// and is to be run again, a script after an install failed.
const WELL: [i32; 4] = [0, 102, 103, 107];
/// The system is locked; a package is not to be had any more; sources were left out.
const PASSING: [i32; 3] = [7, 104, 106];
const PASSING_WORDS: [&str; 4] =
    ["System management is locked", "No provider of", "Failed to provide", "Download (curl) error"];

/// A version that is newer than what is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) name: String,
    pub(super) evr: Evr,
}

/// A security patch that the machine needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needed {
    pub(super) name: String,
    pub(super) classification: Classification,
    pub(super) reboot: bool,
}

/// What a patch is about: a package, and the version that has the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fix {
    pub(super) patch: String,
    pub(super) name: String,
    pub(super) evr: Evr,
}

/// Of `list-updates`.
pub(super) fn updates(elements: &[Element], native: &str) -> Vec<Update> {
    let packages = elements.iter().filter(|e| e.name == "update" && e.attribute("kind") == "package");
    let one = |element: &Element| {
        let name = full_name(element.attribute("name"), element.attribute("arch"), native);
        let evr = Evr::parse(element.attribute("edition"))?;
        is_name(&name).then_some(Update { name, evr })
    };
    packages.filter_map(one).collect()
}

/// Of `list-patches`, which does not filter by category itself when it writes XML.
pub(super) fn needed(elements: &[Element]) -> Vec<Needed> {
    let patches = elements.iter().filter(|e| e.name == "update" && e.attribute("kind") == "patch");
    let security = patches.filter(|e| e.attribute("category") == "security" && is_name(e.attribute("name")));
    let needed = security.filter(|e| matches!(e.attribute("status"), "needed" | ""));
    needed
        .map(|element| Needed {
            name: element.attribute("name").to_owned(),
            classification: match element.attribute("severity") {
                "critical" => Classification::Critical,
                _ => Classification::Security,
            },
            reboot: element.attribute("restart") == "true",
        })
        .collect()
}

/// Of `info -t patch`: a patch conflicts with every version before the one that has its fix. Only lines that begin
/// at the margin are keys: the description is free text.
pub(super) fn fixes(text: &str, native: &str) -> Vec<Fix> {
    let mut fixes = Vec::new();
    let (mut patch, mut among_conflicts) = ("", false);
    for line in text.lines() {
        let conflict = match line.starts_with(' ') {
            true if among_conflicts => Some(line),
            true => None,
            false => {
                let (key, value) = line.split_once(':').unwrap_or((line, ""));
                among_conflicts = key.trim_end() == "Conflicts";
                if key.trim_end() == "Name" {
                    patch = value.trim();
                }
                among_conflicts.then_some(value)
            }
        };
        let words: Vec<&str> = conflict.unwrap_or_default().split_whitespace().collect();
        let [package, "<", version] = words[..] else { continue };
        let (name, architecture) = match package.rsplit_once('.') {
            Some((name, architecture)) if architecture == native || architecture == "noarch" => {
                (name, native)
            }
            _ => (package, native),
        };
        if let Some(evr) = Evr::parse(version).filter(|_| is_name(name)) {
            fixes.push(Fix { patch: patch.to_owned(), name: full_name(name, architecture, native), evr });
        }
    }
    fixes
}

/// Names that are locked (`addlock`).
pub(super) fn locked(elements: &[Element]) -> Vec<String> {
    let names = elements.iter().filter(|element| element.name == "name" && element.parent == "lock");
    names.map(|element| element.text.trim().to_owned()).collect()
}

/// Messages of these types, one line each.
pub(super) fn messages(elements: &[Element], types: &[&str]) -> Vec<String> {
    let of_type = elements.iter().filter(|e| e.name == "message" && types.contains(&e.attribute("type")));
    of_type.map(|element| one_line(&element.text)).filter(|text| !text.is_empty()).collect()
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect::<Vec<_>>().join(" ")
}

/// Why a set of packages does not go in.
pub(super) fn problem(elements: &[Element]) -> String {
    let problem = elements.iter().find(|e| e.name == "description" && e.parent == "prompt");
    let problem = problem.and_then(|element| element.text.lines().find(|line| !line.trim().is_empty()));
    let error = || messages(elements, &["error", "warning"]).into_iter().next();
    problem.map(str::to_owned).or_else(error).unwrap_or_else(|| "zypper gave no reason".to_owned())
}

/// What would have to go.
pub(super) fn removals(elements: &[Element]) -> Vec<&str> {
    let removed = elements.iter().filter(|e| e.name == "solvable" && e.parent == "to-remove");
    removed.filter(|e| e.attribute("type") == "package").map(|e| e.attribute("name")).collect()
}

/// What an install said.
pub(super) fn said(code: Option<i32>, (out, err): &(String, String), native: &str) -> Said {
    let (elements, _) = xml::elements(out);
    let text: String = elements.iter().map(|element| format!("{}\n", element.text)).collect();
    let errors: BTreeMap<String, String> = rpm::failures(&text, native);
    let told = messages(&elements, &["error"]);
    let passing = code.is_some_and(|code| PASSING.contains(&code))
        || PASSING_WORDS.iter().any(|words| told.iter().any(|line| line.contains(words)));
    let failed = code.map_or(!told.is_empty(), |code| !WELL.contains(&code));
    let trouble = (failed || passing).then(|| {
        let sentence = match told.first().map(String::as_str).or_else(|| err.lines().next()) {
            Some(line) => line.to_owned(),
            None => problem(&elements),
        };
        Trouble { sentence, passing }
    });
    Said { errors, warnings: rpm::warnings(&text, native), trouble }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evr(text: &str) -> Evr {
        Evr::parse(text).unwrap()
    }

    /// Recorded with zypper 1.14.42; the second as newer ones write it.
    const INFO: &str = "\
Information for patch FX-SA-3:
------------------------------
Name        : FX-SA-3
Severity    : moderate
Description : 
    fx-both
    Conflicts   : fx-victim < 9-1
Provides    : patch:FX-SA-3 = 1
Conflicts   : fx-both < 1.1-1


Information for patch SUSE-2:
-----------------------------
Name        : SUSE-2
Conflicts   : [3]
    glibc.x86_64 < 2.31-150300.1
    glibc.i686 < 2.31-150300.1
    srcpackage:glibc < 2.31-150300.1
";

    #[test]
    fn a_patch_is_about_what_it_conflicts_with_and_not_what_its_description_says() {
        let fix = |patch: &str, name: &str, version: &str| Fix {
            patch: patch.into(),
            name: name.into(),
            evr: evr(version),
        };
        let expected = [
            fix("FX-SA-3", "fx-both", "1.1-1"),
            fix("SUSE-2", "glibc", "2.31-150300.1"),
            fix("SUSE-2", "glibc.i686", "2.31-150300.1"),
        ];
        assert_eq!(fixes(INFO, "x86_64"), expected);
    }

    #[test]
    fn patches_are_filtered_by_what_they_are() {
        let patch = |name: &str, category: &str, severity: &str, restart: &str| {
            format!(
                "<update kind=\"patch\" name=\"{name}\" edition=\"1\" status=\"needed\" category=\"{category}\" \
                 severity=\"{severity}\" restart=\"{restart}\"/>"
            )
        };
        let list = [
            patch("A", "security", "critical", "true"),
            patch("B", "security", "low", "false"),
            patch("C", "recommended", "critical", "false"),
        ];
        let elements = xml::answer(&format!("<stream>{}</stream>", list.concat())).unwrap();
        let expected = [("A", Classification::Critical, true), ("B", Classification::Security, false)];
        let expected = expected.map(|(name, classification, reboot)| Needed {
            name: name.into(),
            classification,
            reboot,
        });
        assert_eq!(needed(&elements), expected);
    }

    #[test]
    fn ten_thousand_updates_are_read() {
        let one = |n| {
            format!(
                "<update kind=\"package\" name=\"p-{n}\" edition=\"1.{n}-1\" arch=\"noarch\"><summary>x</summary></update>"
            )
        };
        let text = format!("<stream>{}</stream>", (0..10_000).map(one).collect::<String>());
        assert_eq!(updates(&xml::answer(&text).unwrap(), "x86_64").len(), 10_000);
    }

    /// Recorded with zypper 1.14.42.
    #[test]
    fn a_script_before_the_install_that_fails_is_told_with_its_package() {
        let out = "<stream><message type=\"error\">Installation of fx-pre-1.1-1.noarch failed:\n\
            error: %prein(fx-pre-1.1-1.noarch) scriptlet failed, exit status 1\n\
            error: fx-pre-1.1-1.noarch: install failed\n</message></stream>";
        let said = said(Some(8), &(out.into(), String::new()), "x86_64");
        assert!(said.errors["fx-pre"].contains("%prein"), "{said:?}");
        assert!(said.trouble.is_some_and(|trouble| !trouble.passing));
    }

    #[test]
    fn exit_codes_say_what_passes() {
        let of =
            |code, out: &str| said(Some(code), &(format!("<stream>{out}</stream>"), String::new()), "x86_64");
        for code in WELL {
            assert_eq!(of(code, "").trouble, None, "{code}");
        }
        let locked = "<message type=\"error\">System management is locked by the application with pid 67 (zypper).\
            \nClose this application before trying again.</message>";
        assert!(of(7, locked).trouble.is_some_and(|t| t.passing && t.sentence.contains("pid 67")));
        assert!(of(106, "").trouble.is_some_and(|trouble| trouble.passing));
        assert!(of(4, "").trouble.is_some_and(|trouble| !trouble.passing));
    }
}
