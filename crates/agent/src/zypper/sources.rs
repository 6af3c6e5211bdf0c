//! Asking the sources for news, and what to make of their answers.

use super::install::LOCKED;
use super::{READING, Zypper, parse, xml};
use crate::back_end::BackEndError;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long to wait before each further try to reach the sources.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(4)];
/// Where libzypp keeps what the sources answered.
const RAW: &str = "/var/cache/zypp/raw";

/// Asks the sources for news; those that do not answer are named. Keys that nobody trusts yet are not trusted here.
pub(super) async fn refresh(zypper: &Zypper) -> Vec<String> {
    let mut waits = AGAIN_AFTER.iter();
    loop {
        let arguments = ["--non-interactive", "--xmlout", "refresh"];
        let mut warnings = match zypper.programs.run("zypper", &arguments, READING).await {
            Ok(said) if said.success() => Vec::new(),
            // It has waited long enough, and nothing is to be had before the other program lets go.
            Ok(said) if said.code == Some(LOCKED) => {
                return parse::messages(&xml::elements(&said.out).0, &["error"]);
            }
            Ok(said) => match parse::messages(&xml::elements(&said.out).0, &["error", "warning"]) {
                none if none.is_empty() => {
                    vec![format!("the package sources did not answer: {}", said.err.trim())]
                }
                messages => messages,
            },
            Err(error) => vec![error.to_string()],
        };
        if let Ok(sources) = enabled(zypper).await {
            warnings.extend(sources.iter().filter_map(|alias| nonsense(alias)));
        }
        let Some(wait) = waits.next().filter(|_| !warnings.is_empty()) else { return warnings };
        tokio::time::sleep(*wait).await;
    }
}

/// What is wrong with the sources that the last assessment rests on. That there is none that answered is an error: the
/// machine would seem to lack nothing.
pub(super) async fn check(zypper: &Zypper, skipped: &[String]) -> Result<Vec<String>, BackEndError> {
    let sources = enabled(zypper).await?;
    if sources.is_empty() {
        return Err(BackEndError::new("no package source is defined: nobody knows what the machine lacks"));
    }
    let mut warnings = Vec::new();
    for alias in &sources {
        let quoted = format!("'{alias}'");
        let left_out = skipped.iter().find(|line| line.starts_with("Skipping") && line.contains(&quoted));
        warnings.extend(nonsense(alias).or(left_out.cloned()));
    }
    if warnings.len() == sources.len() {
        return Err(BackEndError(format!("no package source answers: {}", warnings.join("; "))));
    }
    Ok(warnings)
}

async fn enabled(zypper: &Zypper) -> Result<Vec<String>, BackEndError> {
    let arguments = ["--non-interactive", "--xmlout", "repos", "--show-enabled-only"];
    let said = zypper.readers.run("zypper", &arguments, READING).await?;
    let elements = xml::answer(&said.out).map_err(BackEndError)?;
    let sources = elements.iter().filter(|element| element.name == "repo");
    Ok(sources.map(|element| element.attribute("alias").to_owned()).collect())
}

/// zypper takes any answer for a repository's index, also a proxy's page that asks to sign in: such a source seems to
/// be there and to have nothing.
fn nonsense(alias: &str) -> Option<String> {
    let index = Path::new(RAW).join(alias.replace('/', "_")).join("repodata/repomd.xml");
    let text = fs::read_to_string(index).ok()?;
    let is_index = xml::elements(&text).0.iter().any(|element| element.name == "repomd");
    let quoted: String = text.trim().chars().take(60).collect();
    (!is_index).then(|| format!("source '{alias}' answered with something that is no index: {quoted:?}"))
}
