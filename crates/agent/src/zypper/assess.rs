//! What the machine lacks, and how urgent it is. Reads only, from what the last refresh fetched, and waits for no lock.

use super::parse::{self, Fix, Needed, Update};
use super::xml::{self, Element};
use super::{QUIETLY, READING, Zypper, sources};
use crate::back_end::{BackEnd as _, BackEndError, Package};
use crate::rpm::{Database, Evr};
use nightshift_domain::patch::{Assessment, Classification, Patch};
use std::collections::{BTreeMap, BTreeSet};

const LOCKED: &str = "locked (zypper addlock)";
const KEPT_BACK: &str = "kept back by the package manager";

/// The whole assessment.
pub(super) async fn assess(zypper: &Zypper) -> Result<Assessment, BackEndError> {
    let database = Database::read(&zypper.programs).await?;
    let allowed = ask(zypper, &["list-updates"]).await?;
    let all = ask(zypper, &["list-updates", "--all"]).await?;
    let mut warnings = sources::check(zypper, &parse::messages(&all, &["error", "warning"])).await?;
    let locked = parse::locked(&ask(zypper, &["locks"]).await?);
    let (needed, fixes) = security(zypper, &database).await?;
    for (name, _) in database.duplicates() {
        warnings.push(format!("{name} is installed in two versions: an upgrade was interrupted"));
    }
    let native = database.native();
    let (all, allowed) = (parse::updates(&all, native), parse::updates(&allowed, native));
    let mut patches = patches(&all, &allowed, &urgent(&needed, &fixes, &database), &locked);
    for patch in patches.iter_mut().filter(|patch| patch.classification != Classification::Other) {
        if patch.obstacle.as_deref() == Some(KEPT_BACK) {
            let package = Package { name: patch.name.clone(), version: patch.version.clone() };
            patch.obstacle = zypper.simulate(&[package]).await.err().map(|error| error.to_string());
        }
    }
    Ok(Assessment { patches, reboot_pending: zypper.reboot_required().await?, warnings })
}

/// The packages, at the versions that have the fixes, of needed patches that ask for a reboot.
pub(super) async fn asking_for_a_reboot(zypper: &Zypper) -> Result<Vec<Package>, BackEndError> {
    let database = Database::read(&zypper.programs).await?;
    let (needed, fixes) = security(zypper, &database).await?;
    let asks = |fix: &&Fix| needed.iter().any(|patch| patch.reboot && patch.name == fix.patch);
    let packages = fixes.iter().filter(asks).filter(|fix| is_news(fix, &database));
    Ok(packages.map(|fix| Package { name: fix.name.clone(), version: fix.evr.to_string() }).collect())
}

async fn security(zypper: &Zypper, database: &Database) -> Result<(Vec<Needed>, Vec<Fix>), BackEndError> {
    let needed = parse::needed(&ask(zypper, &["list-patches"]).await?);
    if needed.is_empty() {
        return Ok((needed, Vec::new()));
    }
    let mut arguments = vec!["--non-interactive", "--no-refresh", "info", "-t", "patch"];
    arguments.extend(needed.iter().map(|patch| patch.name.as_str()));
    let said = zypper.readers.run("zypper", &arguments, READING).await?;
    if !answers(said.code) {
        let why = said.err.lines().next().unwrap_or("it gave no reason");
        return Err(BackEndError(format!("zypper info -t patch: {why}")));
    }
    Ok((needed, parse::fixes(&said.out, database.native())))
}

async fn ask(zypper: &Zypper, question: &[&str]) -> Result<Vec<Element>, BackEndError> {
    let arguments: Vec<&str> = QUIETLY.iter().chain(question).copied().collect();
    let said = zypper.readers.run("zypper", &arguments, READING).await?;
    let elements = xml::answer(&said.out).map_err(BackEndError)?;
    match answers(said.code) {
        true => Ok(elements),
        false => Err(BackEndError(format!("zypper {}: {}", question.join(" "), parse::problem(&elements)))),
    }
}

/// 106: sources were left out, and are named.
fn answers(code: Option<i32>) -> bool {
    matches!(code, Some(0 | 106))
}

fn is_news(fix: &Fix, database: &Database) -> bool {
    database.newest(&fix.name).is_some_and(|installed| *installed < fix.evr)
}

/// Of each package with needed security patches: the version that has every fix, and the worst classification.
fn urgent<'a>(
    needed: &[Needed],
    fixes: &'a [Fix],
    database: &Database,
) -> BTreeMap<&'a str, (&'a Evr, Classification)> {
    let classes: BTreeMap<&str, Classification> =
        needed.iter().map(|patch| (patch.name.as_str(), patch.classification)).collect();
    let mut urgent: BTreeMap<&str, (&Evr, Classification)> = BTreeMap::new();
    for fix in fixes.iter().filter(|fix| is_news(fix, database)) {
        let Some(class) = classes.get(fix.patch.as_str()) else { continue };
        let entry = urgent.entry(&fix.name).or_insert((&fix.evr, *class));
        *entry = (entry.0.max(&fix.evr), entry.1.min(*class));
    }
    urgent
}

fn patches(
    all: &[Update],
    allowed: &[Update],
    urgent: &BTreeMap<&str, (&Evr, Classification)>,
    locked: &[String],
) -> Vec<Patch> {
    let newest: BTreeMap<&str, &Evr> = all.iter().map(|update| (&*update.name, &update.evr)).collect();
    let allowed: BTreeSet<&str> = allowed.iter().map(|update| &*update.name).collect();
    let names: BTreeSet<&str> = newest.keys().chain(urgent.keys()).copied().collect();
    let one = |name: &str| {
        let (version, classification) = match urgent.get(name) {
            Some((evr, classification)) => (*evr, *classification),
            None => (*newest.get(name)?, Classification::Other),
        };
        let obstacle = match allowed.contains(name) {
            true => None,
            false if locked.iter().any(|lock| lock == name) => Some(LOCKED.to_owned()),
            false => Some(KEPT_BACK.to_owned()),
        };
        Some(Patch { name: name.to_owned(), version: version.to_string(), classification, obstacle })
    };
    names.into_iter().filter_map(one).collect()
}
