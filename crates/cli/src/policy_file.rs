//! The policy file: a rollout's policy in TOML; and the rhythm file, which has one in it. Whatever is wrong in it is named with its file, line, field and value.

use crate::fleet_file::{Mistake, Source};
use nightshift_domain::policy::Policy;
use nightshift_domain::rhythm::Rhythm;
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

/// Reads a rhythm file: when rollouts start by themselves, with their `[policy]`.
pub(crate) fn read_rhythm(path: &Path) -> anyhow::Result<Rhythm> {
    Ok(parse_rhythm(&Source::read(path)?)?)
}

fn parse_rhythm(source: &Source) -> Result<Rhythm, Mistake> {
    let rhythm: Rhythm = source.parse()?;
    rhythm.validate().map_err(|error| source.place_of(error.field).mistake(error.to_string()))?;
    let field = |field: &str| source.place_of(&format!("policy.{field}"));
    rhythm.policy.validate().map_err(|error| field(&error.field).mistake(error.to_string()))?;
    Ok(rhythm)
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
    fn the_example_names_every_value_with_its_default() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/policy.toml"));
        assert_eq!(read(path).unwrap(), Policy::default());
        let text = std::fs::read_to_string(path).unwrap();
        let serde_json::Value::Object(fields) = serde_json::to_value(Policy::default()).unwrap() else {
            panic!()
        };
        for field in fields.keys() {
            let names = |line: &str| {
                line.trim_start_matches("# ").trim_start_matches('[').starts_with(field.as_str())
            };
            assert!(text.lines().any(names), "{field}");
        }
        // What a comment shows can be written.
        let shown = text.lines().find_map(|line| line.split_once("own time zone: ")).unwrap().1;
        assert_eq!(parse(&Source::new("", format!("blackouts = {shown}"))).unwrap().blackouts.len(), 1);
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

    #[test]
    fn a_rhythm_has_its_mistakes_named_as_well() {
        let parse = |text: &str| parse_rhythm(&Source::new("rhythm.toml", text));
        assert_eq!(parse("").unwrap(), Rhythm::default());
        assert_eq!(parse("week = 1\nweekday = \"Sun\"\nat = \"06:30:00\"").unwrap().week, 1);
        let cases = [
            ("week = 5", "rhythm.toml, line 1: ", "week = 5"),
            ("week = 1\ndays_after = 20", "rhythm.toml, line 2: ", "days_after = 20"),
            ("week = 1\n[policy]\nbatch_percent = 0", "rhythm.toml, line 3: ", "batch_percent = 0"),
            ("when = 3", "rhythm.toml, line 1: ", "when"),
        ];
        for (text, place, clue) in cases {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(place) && error.contains(clue), "{error}");
        }
    }
}
