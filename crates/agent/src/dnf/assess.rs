//! What the machine lacks, and how urgent it is. Reads only, from what the last refresh fetched, and waits for no lock.

use super::parse::{self, Advised, Update};
use super::{Dnf, READING};
use crate::back_end::{BackEnd as _, BackEndError};
use crate::programs::Output;
use crate::rpm::{Database, Evr};
use nightshift_domain::patch::{Assessment, Classification, Patch};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long to wait before each further try to reach the sources.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(4)];
const EXCLUDED: &str = "excluded by the machine's own configuration (exclude, versionlock)";
/// `check-update` of yum ends so if there are updates.
const UPDATES: i32 = 100;

/// Asks the sources for news; those that do not answer are named.
pub(super) async fn refresh(dnf: &Dnf) -> Vec<String> {
    let mut waits = AGAIN_AFTER.iter();
    loop {
        let warnings = match dnf.programs.run(dnf.dialect.program(), dnf.dialect.refresh(), READING).await {
            Ok(said) => complaints(&said),
            Err(error) => vec![error.to_string()],
        };
        let Some(wait) = waits.next().filter(|_| !warnings.is_empty()) else { return warnings };
        tokio::time::sleep(*wait).await;
    }
}

/// dnf ends with 0 although sources did not answer, and says so in between.
fn complaints(said: &Output) -> Vec<String> {
    let is_one = |line: &&str| {
        ["Error: ", "Ignoring repositories: ", "Failed ", "RPMDB already locked", "Metadata already locked"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let lines: Vec<String> = said.err.lines().filter(is_one).map(str::to_owned).collect();
    if lines.is_empty() && !said.success() {
        return vec![format!("the package sources did not answer: {}", parse::problem(&said.err))];
    }
    lines
}

/// The whole assessment.
pub(super) async fn assess(dnf: &Dnf) -> Result<Assessment, BackEndError> {
    let database = Database::read(&dnf.programs).await?;
    let mut warnings = Vec::new();
    let all = listed(dnf, &database, true, &mut warnings).await?;
    let allowed = listed(dnf, &database, false, &mut Vec::new()).await?;
    let said = ask(dnf, dnf.dialect.advisories(), &mut Vec::new()).await?;
    let advisories = parse::advisories(&said.out, database.native());
    if advisories.is_empty() && !all.is_empty() {
        warnings
            .push("no source says which updates are for security (no updateinfo): all count as Other".into());
    }
    for (name, _) in database.duplicates() {
        warnings.push(format!("{name} is installed in two versions: an upgrade was interrupted"));
    }
    let patches = patches(&all, &allowed, &advisories, &database);
    let reboot_pending = dnf.reboot_required().await?;
    Ok(Assessment { patches, reboot_pending, warnings })
}

async fn listed(
    dnf: &Dnf,
    database: &Database,
    everything: bool,
    warnings: &mut Vec<String>,
) -> Result<Vec<Update>, BackEndError> {
    let said = ask(dnf, &dnf.dialect.updates(everything), warnings).await?;
    parse::updates(dnf.dialect, &said.out, database.native()).map_err(BackEndError)
}

/// Asks of what was fetched before. Sources of which nothing was ever fetched are left out and named; if that is all of
/// them they are asked once, and if still none answers, nobody knows what the machine lacks.
async fn ask(dnf: &Dnf, question: &[&str], warnings: &mut Vec<String>) -> Result<Output, BackEndError> {
    let program = dnf.dialect.program();
    let with = |options: &[&'static str]| {
        let mut arguments = options.to_vec();
        arguments.extend(["-q", "-C"]);
        arguments.into_iter().map(str::to_owned).chain(question.iter().map(|word| (*word).to_owned()))
    };
    let strict: Vec<String> = with(&[]).collect();
    let strict: Vec<&str> = strict.iter().map(String::as_str).collect();
    let said = dnf.programs.run(program, &strict, READING).await?;
    if answers(&said) {
        return Ok(said);
    }
    let why = parse::problem(&said.err);
    let lenient: Vec<String> =
        with(&["--setopt=skip_if_unavailable=1", "--setopt=*.skip_if_unavailable=1"]).collect();
    let lenient: Vec<&str> = lenient.iter().map(String::as_str).collect();
    for fetched in [false, true] {
        if fetched {
            warnings.extend(refresh(dnf).await);
        }
        let said = dnf.programs.run(program, &lenient, READING).await?;
        if answers(&said) && (!said.out.trim().is_empty() || has_any_package(dnf).await?) {
            warnings.push(format!("a source is left out: {why}"));
            return Ok(said);
        }
    }
    Err(BackEndError(format!("no package source answers: {why}")))
}

fn answers(said: &Output) -> bool {
    matches!(said.code, Some(0 | UPDATES))
}

async fn has_any_package(dnf: &Dnf) -> Result<bool, BackEndError> {
    let arguments = ["-q", "-C", "--setopt=skip_if_unavailable=1", "list", "--available"];
    let said = dnf.programs.run(dnf.dialect.program(), &arguments, READING).await?;
    Ok(said.success() && !said.out.trim().is_empty())
}

/// One patch for each package that could be newer. One that an advisory calls a security fix goes to the lowest version
/// that has every such fix: what came after it is not security.
fn patches(all: &[Update], allowed: &[Update], advisories: &[Advised], database: &Database) -> Vec<Patch> {
    let (all, allowed) = (by_name(all), by_name(allowed));
    let urgent = urgent(advisories, database);
    let one = |(name, versions): (&&str, &Vec<&Evr>)| {
        let (wanted, classification) = match urgent.get(name) {
            Some((evr, classification)) => (Some(*evr), *classification),
            None => (None, Classification::Other),
        };
        let of_allowed = allowed.get(name).and_then(|versions| target(versions, wanted));
        let (version, obstacle) = match of_allowed {
            Some(version) => (version, None),
            None => (target(versions, wanted).or(versions.last().copied())?, Some(EXCLUDED.to_owned())),
        };
        Some(Patch { name: (*name).to_owned(), version: version.to_string(), classification, obstacle })
    };
    all.iter().filter_map(one).collect()
}

/// The versions of each package, lowest first.
fn by_name(updates: &[Update]) -> BTreeMap<&str, Vec<&Evr>> {
    let mut names: BTreeMap<&str, Vec<&Evr>> = BTreeMap::new();
    updates.iter().for_each(|update| names.entry(&update.name).or_default().push(&update.evr));
    names.values_mut().for_each(|versions| versions.sort());
    names
}

/// Of each package with security advisories: the version that has every fix, and the worst classification.
fn urgent<'a>(
    advisories: &'a [Advised],
    database: &Database,
) -> BTreeMap<&'a str, (&'a Evr, Classification)> {
    let mut urgent: BTreeMap<&str, (&Evr, Classification)> = BTreeMap::new();
    for Advised { name, evr, classification } in advisories {
        let news = database.newest(name).is_none_or(|installed| installed < evr);
        if *classification == Classification::Other || !news {
            continue;
        }
        let entry = urgent.entry(name).or_insert((evr, *classification));
        *entry = (entry.0.max(evr), entry.1.min(*classification));
    }
    urgent
}

fn target<'a>(versions: &[&'a Evr], wanted: Option<&Evr>) -> Option<&'a Evr> {
    match wanted {
        Some(wanted) => versions.iter().find(|version| **version >= wanted).copied(),
        None => versions.last().copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(name: &str, evr: &str) -> Update {
        Update { name: name.into(), evr: Evr::parse(evr).unwrap() }
    }

    fn advised(name: &str, evr: &str, classification: Classification) -> Advised {
        Advised { name: name.into(), evr: Evr::parse(evr).unwrap(), classification }
    }

    #[test]
    fn a_fix_goes_to_the_lowest_version_that_has_every_fix() {
        let all = [update("a", "1.1-1"), update("a", "1.2-1"), update("a", "1.3-1"), update("b", "2-1")];
        let advisories = [
            advised("a", "1.1-1", Classification::Critical),
            advised("a", "1.2-1", Classification::Security),
            advised("a", "1.3-1", Classification::Other),
            advised("gone", "9-1", Classification::Critical),
        ];
        let patches = patches(&all, &all, &advisories, &Database::default());
        let seen: Vec<_> = patches.iter().map(|p| (&*p.name, &*p.version, p.classification)).collect();
        assert_eq!(seen, [("a", "1.2-1", Classification::Critical), ("b", "2-1", Classification::Other)]);
    }

    #[test]
    fn what_the_machine_excludes_is_told_with_its_reason() {
        let all = [update("a", "1.1-1"), update("b", "1.1-1"), update("b", "1.2-1")];
        let allowed = [update("b", "1.2-1")];
        let advisories = [advised("b", "1.1-1", Classification::Security)];
        let patches = patches(&all, &allowed, &advisories, &Database::default());
        assert_eq!(patches[0].obstacle.as_deref(), Some(EXCLUDED));
        assert_eq!((&*patches[1].version, &patches[1].obstacle), ("1.2-1", &None));
    }
}
