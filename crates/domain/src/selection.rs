//! Which patches an order may install.

use crate::patch::{Classification, Patch};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One version of one package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PackageVersion {
    /// The package.
    pub name: String,
    /// The version, as the package manager writes it.
    pub version: String,
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// A package's name, in which `*` stands for any characters, also none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mask(String);

/// A text that can be no package's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mask \"{0}\": use 1 to 128 printable characters without spaces; * stands for any")]
pub struct InvalidMask(String);

impl Mask {
    /// Takes a mask.
    ///
    /// # Errors
    /// If it is empty, too long or holds anything but printable ASCII characters.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidMask> {
        let text = text.into();
        let fits = (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
        if fits { Ok(Self(text)) } else { Err(InvalidMask(text.chars().take(128).collect())) }
    }

    /// The mask as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a package's name is meant.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let parts: Vec<&str> = parts.collect();
        let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
        for part in middle {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

impl TryFrom<String> for Mask {
    type Error = InvalidMask;
    fn try_from(text: String) -> Result<Self, InvalidMask> {
        Self::new(text)
    }
}

impl From<Mask> for String {
    fn from(mask: Mask) -> String {
        mask.0
    }
}

/// Which patches an order may install.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selection {
    /// Only of these classifications.
    pub classifications: Vec<Classification>,
    /// Only packages that one of these matches; all if empty.
    pub include: Vec<Mask>,
    /// No package that one of these matches.
    pub exclude: Vec<Mask>,
    /// Only these versions; any if absent.
    pub certified: Option<Vec<PackageVersion>>,
    /// None of these versions.
    pub barred: Vec<PackageVersion>,
}

/// What a selection says of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// To be installed.
    Selected,
    /// Not of a classification that was asked for.
    NotSelected,
    /// Of one, but ruled out; the sentence says by what.
    Excluded(String),
}

impl Selection {
    /// What is to become of a patch.
    pub fn choose(&self, patch: &Patch) -> Choice {
        if !self.classifications.contains(&patch.classification) {
            return Choice::NotSelected;
        }
        let is = |package: &PackageVersion| package.name == patch.name && package.version == patch.version;
        if self.barred.iter().any(is) {
            return Choice::Excluded("barred: failures gathered on this version".to_owned());
        }
        if let Some(mask) = self.exclude.iter().find(|mask| mask.matches(&patch.name)) {
            return Choice::Excluded(format!("the policy excludes {}", mask.as_str()));
        }
        if !self.include.is_empty() && !self.include.iter().any(|mask| mask.matches(&patch.name)) {
            return Choice::Excluded("the policy's include list does not name it".to_owned());
        }
        match &self.certified {
            Some(certified) if !certified.iter().any(is) => Choice::Excluded(
                "not in the rollout's certified set: it waits for its own rollout".to_owned(),
            ),
            _ => Choice::Selected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(name: &str, version: &str, classification: Classification) -> Patch {
        Patch { name: name.into(), version: version.into(), classification, obstacle: None }
    }

    fn masks(masks: &[&str]) -> Vec<Mask> {
        masks.iter().map(|mask| Mask::new(*mask).unwrap()).collect()
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (mask, good, bad) in [
            ("openssl", vec!["openssl"], vec!["openssl3", "libopenssl", ""]),
            ("linux-*", vec!["linux-", "linux-image-6"], vec!["linux", "a-linux-b"]),
            ("*-dev", vec!["a-dev", "-dev"], vec!["dev", "a-dev2"]),
            ("a*b*c", vec!["abc", "aXbYc", "abbc"], vec!["ac", "acb", "ab"]),
            ("*", vec!["anything", ""], vec![]),
            ("ab*ab", vec!["abab", "abXab"], vec!["ab", "aba"]),
        ] {
            let mask = Mask::new(mask).unwrap();
            good.iter().for_each(|name| assert!(mask.matches(name), "{mask:?} {name}"));
            bad.iter().for_each(|name| assert!(!mask.matches(name), "{mask:?} {name}"));
        }
        assert!(Mask::new("a b").unwrap_err().to_string().contains("\"a b\""));
    }

    #[test]
    fn each_rule_has_its_say() {
        let package =
            |name: &str, version: &str| PackageVersion { name: name.into(), version: version.into() };
        let selection = Selection {
            classifications: vec![Classification::Security],
            include: masks(&["lib*", "openssl"]),
            exclude: masks(&["libx*"]),
            certified: Some(vec![package("openssl", "3.1"), package("libc", "2"), package("libxml", "1")]),
            barred: vec![package("libc", "2")],
        };
        let choice = |name, version, class| selection.choose(&patch(name, version, class));
        assert_eq!(choice("openssl", "3.1", Classification::Security), Choice::Selected);
        assert_eq!(choice("openssl", "3.1", Classification::Other), Choice::NotSelected);
        let excluded = [("openssl", "3.2", "certified"), ("libc", "2", "barred"), ("libxml", "1", "libx*")];
        for (name, version, why) in excluded.into_iter().chain([("vim", "9", "include")]) {
            match choice(name, version, Classification::Security) {
                Choice::Excluded(sentence) => assert!(sentence.contains(why), "{sentence}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
