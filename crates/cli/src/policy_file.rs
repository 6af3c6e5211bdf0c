//! The policy file: a rollout's policy in TOML. Whatever is wrong in it is named with its file, line, field and value.

use crate::fleet_file::{Mistake, Source};
use nightshift_domain::policy::Policy;
use nightshift_domain::topology::Topology;
use std::path::Path;

/// Reads a policy file.
pub fn read(path: &Path) -> anyhow::Result<Policy> {
    Ok(parse(&Source::read(path)?)?)
}

/// Reads a policy file for a fleet with this topology: its canaries must be regions of it.
pub(crate) fn read_for(path: &Path, topology: &Topology) -> anyhow::Result<Policy> {
    let source = Source::read(path)?;
    let policy = parse(&source)?;
    match policy.canaries.iter().find(|region| !topology.regions.contains_key(*region)) {
        Some(region) => {
            let sentence = format!("canaries = \"{region}\" is not a region of the topology");
            Err(source.place_of("canaries").mistake(sentence).into())
        }
        None => Ok(policy),
    }
}

fn parse(source: &Source) -> Result<Policy, Mistake> {
    let policy: Policy = source.parse()?;
    policy.validate().map_err(|error| source.place_of(&error.field).mistake(error.to_string()))?;
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(&Source::new("policy.toml", text)).unwrap_err().to_string()
    }

    #[test]
    fn each_mistake_is_named_with_its_line_field_and_value() {
        assert_eq!(parse(&Source::new("policy.toml", "")).unwrap(), Policy::default());
        let cases = [
            ("# speed\nphase_shares = [5, 5, 100]", "policy.toml, line 2: ", "phase_shares = [5, 5, 100]"),
            ("soak_seconds = 60\n\n[budgets.zone]\npercent = 101", "policy.toml, line 4: ", "101"),
            ("bake_seconds = 60\nbaek = 3", "policy.toml, line 2: ", "baek = 3"),
            ("batch_percent = \"many\"", "policy.toml, line 1: ", "batch_percent = \"many\""),
        ];
        for (text, place, clue) in cases {
            let error = error(text);
            assert!(error.starts_with(place) && error.contains(clue), "{error}");
        }
    }
}
