//! Which VMs a person means: words that all have to fit.

use crate::overview;
use crate::promise::Standing as Promise;
use crate::view::View;
use crate::views;
use nightshift_domain::Time;
use nightshift_domain::fleet::{AssessmentMode, Os, PatchMode, Placement, Vm};
use nightshift_domain::rollout::Status;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::words;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Filter(Vec<Term>);

#[derive(Debug, Clone, PartialEq)]
enum Term {
    /// A part of the VM's name, its resource's or its group's.
    Word(String),
    /// One of the patterns fits the value of the key.
    Key(Key, Vec<String>),
}

macro_rules! keys {
    ($($key:ident = $name:literal),*) => {
        #[derive(Debug, Clone, Copy, PartialEq)]
        enum Key { $($key),* }
        const KEYS: &[(&str, Key)] = &[$(($name, Key::$key)),*];
    };
}

keys! {
    Region = "region", Zone = "zone", Set = "set", UpdateDomain = "ud", Subscription = "subscription",
    Group = "group", Os = "os", Image = "image", Mode = "mode", Assessment = "assessment",
    TimeZone = "timezone", State = "state", Eligible = "eligible", Agent = "agent", Pending = "pending",
    Promise = "promise"
}

impl Filter {
    /// Reads what a person typed.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let term = |word: &str| match word.split_once(':') {
            None => Ok(Term::Word(word.to_ascii_lowercase())),
            Some((name, value)) => {
                let key = KEYS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
                let Some((_, key)) = key else {
                    let known: Vec<&str> = KEYS.iter().map(|(known, _)| *known).collect();
                    return Err(format!("filter: \"{name}\" is no key; there are {}", known.join(", ")));
                };
                let patterns = value.to_ascii_lowercase().split(',').map(str::to_owned).collect();
                Ok(Term::Key(*key, patterns))
            }
        };
        let mut terms: Vec<Term> = text.split_whitespace().map(term).collect::<Result<_, _>>()?;
        // What is cheap to ask rules most machines out.
        terms.sort_by_key(|term| matches!(term, Term::Key(..)));
        Ok(Self(terms))
    }

    /// Whether everything fits, and so nobody has to be looked at.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the VM is meant.
    pub(crate) fn fits(&self, view: &View, vm: &Vm, now: Time) -> bool {
        self.0.iter().all(|term| match term {
            Term::Word(word) => {
                let names = [vm.id.as_str(), vm.name(), vm.resource_group.as_str()];
                names.iter().any(|name| contains(name, word))
            }
            Term::Key(key, patterns) => {
                let value = value(*key, view, vm, now);
                patterns.iter().any(|pattern| fits(&value, pattern))
            }
        })
    }
}

fn value(key: Key, view: &View, vm: &Vm, now: Time) -> String {
    let fleet = &view.planner.fleet;
    let machine = || view.machines.get(&vm.id);
    match key {
        Key::Region => vm.region.to_string(),
        Key::Zone => match &vm.placement {
            Placement::Zone(zone) => zone.to_string(),
            _ => String::new(),
        },
        Key::Set => match &vm.placement {
            Placement::AvailabilitySet { set, .. } => set.to_string(),
            _ => String::new(),
        },
        Key::UpdateDomain => match &vm.placement {
            Placement::AvailabilitySet { update_domain, .. } => update_domain.to_string(),
            _ => String::new(),
        },
        Key::Subscription => vm.subscription.to_string(),
        Key::Group => vm.resource_group.clone(),
        Key::Os => match vm.os {
            Os::Linux => "linux".to_owned(),
            Os::Windows => "windows".to_owned(),
        },
        Key::Image => format!("{}:{}:{}", vm.image.publisher, vm.image.offer, vm.image.sku),
        Key::Mode => match vm.patch_mode {
            PatchMode::AutomaticByPlatform => "automaticbyplatform".to_owned(),
            PatchMode::AutomaticByOS => "automaticbyos".to_owned(),
            PatchMode::Manual => "manual".to_owned(),
            PatchMode::ImageDefault => "imagedefault".to_owned(),
        },
        Key::Assessment => match vm.assessment_mode {
            AssessmentMode::AutomaticByPlatform => "automaticbyplatform".to_owned(),
            AssessmentMode::ImageDefault => "imagedefault".to_owned(),
        },
        Key::TimeZone => fleet.time_zone(vm).map(|zone| zone.name().to_owned()).unwrap_or_default(),
        Key::State => match views::standing(view, vm) {
            // No run knows it yet, but a plan does: as Tonight counts it.
            api::VmProgress::Unspecified if is_planned(view, vm) => "waiting".to_owned(),
            // A filter is words with spaces between.
            standing => words::progress(standing).unwrap_or("none").replace(' ', "-"),
        },
        Key::Eligible => yes(fleet.ineligible(vm).is_none()),
        Key::Agent => yes(machine().is_some_and(|machine| machine.identity.is_some())),
        Key::Pending => {
            let assessed = machine().and_then(|machine| machine.assessed.as_ref());
            yes(assessed.is_some_and(|(_, assessment)| assessment.critical_and_security() > 0))
        }
        Key::Promise => match view.promise.standing(&vm.id, now) {
            _ if fleet.ineligible(vm).is_some() => String::new(),
            Promise::Kept => "kept".to_owned(),
            Promise::AtRisk => "at-risk".to_owned(),
            Promise::Broken => "broken".to_owned(),
        },
    }
}

/// Whether the rollout under way will come to the VM.
fn is_planned(view: &View, vm: &Vm) -> bool {
    let newest = overview::newest(view).and_then(|id| view.planner.rollouts.get(&id));
    newest.is_some_and(|rollout| {
        let open = !matches!(rollout.status, Status::Completed { .. });
        open && rollout.phases.iter().any(|phase| phase.turns.contains_key(&vm.region))
            && view.planner.fleet.ineligible(vm).is_none()
    })
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

/// Without case; the needle is in lower case already. Allocates nothing: it is asked of every VM of a fleet.
fn contains(text: &str, needle: &str) -> bool {
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    needle.is_empty() || text.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle))
}

/// `*` stands for any characters; without one the whole value has to be the same. Without case.
fn fits(value: &str, pattern: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = value.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_the_whole_value_without_case() {
        for (value, pattern, does) in [
            ("West-Europe", "west-europe", true),
            ("west-europe", "west", false),
            ("west-europe", "west*", true),
            ("west-europe", "*europe", true),
            ("west-europe", "w*t-*pe", true),
            ("west-europe", "*us*", false),
            ("", "*", true),
            ("", "", true),
            ("aba", "ab*ba", false),
        ] {
            assert_eq!(fits(value, pattern), does, "{value} {pattern}");
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused_with_those_that_there_are() {
        let error = Filter::parse("web colour:red").unwrap_err();
        assert!(error.contains("\"colour\"") && error.contains("region"), "{error}");
        let filter = Filter::parse("Web STATE:failed,deferred").unwrap();
        let words =
            [Term::Word("web".into()), Term::Key(Key::State, vec!["failed".into(), "deferred".into()])];
        assert_eq!(filter, Filter(words.into()));
    }

    #[test]
    fn words_are_found_anywhere_in_a_name() {
        assert!(contains("weu-WEB-01", "web"));
        assert!(contains("weu", ""));
        assert!(!contains("we", "web"));
    }
}
