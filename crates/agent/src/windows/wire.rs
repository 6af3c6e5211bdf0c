//! What the scripts answer, and what it means.

use crate::back_end::Package;
use nightshift_domain::patch::{Classification, Patch};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Categories of Microsoft's catalogue, by their fixed identities.
const CRITICAL_UPDATES: &str = "e6cf1350-c01b-414d-a61f-263d14d133b4";
const SECURITY_UPDATES: &str = "0fa1201d-4330-4fa8-8ae9-b877473b6441";
const DEFINITION_UPDATES: &str = "e0789628-ce08-4437-be74-2495b842f43b";

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine {
    pub(super) os: String,
    pub(super) boot: String,
    /// How the Windows Update service starts: `Automatic`, `Manual`, `Disabled`; or `missing`.
    pub(super) service: String,
    pub(super) reboot_required: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Found {
    /// `OperationResultCode`: 2 succeeded, 3 with errors, 4 failed, 5 aborted.
    pub(super) result: i32,
    pub(super) updates: Vec<Update>,
    pub(super) warnings: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Update {
    #[serde(flatten)]
    identity: Identity,
    title: String,
    kb: Vec<String>,
    severity: String,
    categories: Vec<String>,
    hidden: bool,
    asks_user: bool,
}

/// An update at one revision: what Windows Update calls a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Identity {
    id: String,
    revision: u32,
}

/// What a download or an install did.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    pub(super) result: i32,
    pub(super) missing: Vec<String>,
    pub(super) updates: Vec<Outcome>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    #[serde(flatten)]
    pub(super) identity: Identity,
    pub(super) result: i32,
    pub(super) hresult: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Standings {
    pub(super) updates: Vec<Stand>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Stand {
    #[serde(flatten)]
    pub(super) identity: Identity,
    pub(super) standing: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Policy {
    pub(super) before: Option<u32>,
}

/// An answer, or a sentence that quotes what came instead.
pub(super) fn read<T: DeserializeOwned>(script: &str, text: &str) -> Result<T, String> {
    // PowerShell may begin with a byte order mark.
    serde_json::from_str(text.trim().trim_start_matches('\u{feff}')).map_err(|error| {
        let quoted: String = text.trim().chars().take(80).collect();
        format!("the script {script} answered with something that is no answer ({error}): {quoted:?}")
    })
}

impl Identity {
    /// The version of a package: `UPDATE-ID.REVISION`.
    pub(super) fn version(&self) -> String {
        format!("{}.{}", self.id, self.revision)
    }

    /// Of a package; `None` if its version is no update's identity.
    pub(super) fn of(package: &Package) -> Option<Self> {
        let (id, revision) = package.version.split_once('.')?;
        let identity = Self { id: id.to_owned(), revision: revision.parse().ok()? };
        uuid::Uuid::parse_str(&identity.id).ok().map(|_| identity)
    }
}

/// Critical: the category Critical Updates, or a security update of Microsoft's severity Critical. Security: every other
/// security update. Definition updates never are either.
fn classification(update: &Update) -> Classification {
    let is = |category: &str| update.categories.iter().any(|own| own.eq_ignore_ascii_case(category));
    let critical = is(CRITICAL_UPDATES) || (is(SECURITY_UPDATES) && update.severity == "Critical");
    match (is(DEFINITION_UPDATES), critical, is(SECURITY_UPDATES)) {
        (true, _, _) | (false, false, false) => Classification::Other,
        (false, true, _) => Classification::Critical,
        (false, false, true) => Classification::Security,
    }
}

/// Patches, each under the number of its article: where several updates share one, each has the beginning of its
/// identity too.
pub(super) fn patches(updates: &[Update]) -> (Vec<Patch>, Vec<String>) {
    let mut sharing: BTreeMap<&str, u32> = BTreeMap::new();
    updates.iter().filter_map(|u| u.kb.first()).for_each(|kb| *sharing.entry(kb).or_default() += 1);
    let mut warnings = Vec::new();
    let mut patches = Vec::new();
    for update in updates {
        let article = update.kb.first().filter(|kb| kb.chars().all(|c| c.is_ascii_digit()) && !kb.is_empty());
        let beginning = update.identity.id.get(..8).unwrap_or_default();
        let name = match article {
            Some(kb) if sharing.get(kb.as_str()) == Some(&1) => format!("KB{kb}"),
            Some(kb) => format!("KB{kb}-{beginning}"),
            None => update.identity.id.clone(),
        };
        let package = Package { name, version: update.identity.version() };
        if Identity::of(&package).is_none() {
            warnings.push(format!(
                "Windows Update named {:?} {:?}, which is no update",
                update.title, package.version
            ));
            continue;
        }
        let obstacle = match (update.hidden, update.asks_user) {
            (true, _) => Some("hidden by the administrator".to_owned()),
            (false, true) => Some("its install may ask a person".to_owned()),
            (false, false) => None,
        };
        let Package { name, version } = package;
        patches.push(Patch { name, version, classification: classification(update), obstacle });
    }
    (patches, warnings)
}
