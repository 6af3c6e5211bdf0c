//! A file with one VM: TOML, or the JSON in which `vm show` prints it.

use super::entries::WindowEntry;
use super::source::{Mistake, Source};
use crate::failure::Failure;
use chrono_tz::Tz;
use nightshift_domain::fleet::{AssessmentMode, Image, Os, PatchMode, Placement, Vm};
use nightshift_domain::patch::RebootSetting;
use nightshift_domain::{AvailabilitySetId, RegionName, SubscriptionId, VmId, ZoneName};
use nightshift_protocol::events::v1 as wire;
use serde::Deserialize;
use std::path::Path;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VmEntry {
    id: VmId,
    subscription: SubscriptionId,
    resource_group: String,
    region: RegionName,
    zone: Option<ZoneName>,
    availability_set: Option<Spanned<AvailabilitySetId>>,
    #[serde(default)]
    update_domain: Option<Spanned<u8>>,
    os: Os,
    image: Image,
    patch_mode: PatchMode,
    time_zone: Option<Tz>,
    window: Option<WindowEntry>,
    automatic_updates: Option<bool>,
    #[serde(default)]
    assessment_mode: AssessmentMode,
    reboot: Option<RebootSetting>,
}

/// Reads a file with one VM; `.json` is JSON, everything else TOML. The update domain may be left out if any will do.
pub(crate) fn read(path: &Path, any_update_domain: bool) -> anyhow::Result<Vm> {
    match path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        true => Ok(read_shown(path)?),
        false => Ok(of_toml(&Source::read(path)?, any_update_domain)?),
    }
}

/// Reads a file with what `vm show --output json` printed, whatever its name.
pub(crate) fn read_shown(path: &Path) -> Result<Vm, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    of_json(&text).map_err(|error| wrong(&error))
}

/// Reads the TOML of one VM.
#[cfg(test)]
pub(crate) fn parse(text: &str) -> anyhow::Result<Vm> {
    Ok(of_toml(&Source::new("vm.toml", text), false)?)
}

fn of_toml(source: &Source, any_update_domain: bool) -> Result<Vm, Mistake> {
    let entry: VmEntry = source.parse()?;
    let placement = match (entry.zone, entry.availability_set, entry.update_domain) {
        (Some(_), Some(set), _) => {
            let both = "availability_set: a VM is in a zone or in an availability set, never in both";
            return Err(source.mistake(&set, both));
        }
        (Some(zone), None, None) => Placement::Zone(zone),
        (None, Some(set), Some(domain)) => {
            Placement::AvailabilitySet { set: set.into_inner(), update_domain: domain.into_inner() }
        }
        // Nightshift chooses; what stands here is passed over.
        (None, Some(set), None) if any_update_domain => {
            Placement::AvailabilitySet { set: set.into_inner(), update_domain: 0 }
        }
        (None, Some(set), None) => {
            let missing = "availability_set: write its update_domain as well, or say --any-update-domain";
            return Err(source.mistake(&set, missing));
        }
        (_, None, Some(domain)) => {
            return Err(source.mistake(&domain, "update_domain: only a VM of an availability_set has one"));
        }
        (None, None, None) => Placement::Standalone,
    };
    Ok(Vm {
        id: entry.id,
        subscription: entry.subscription,
        resource_group: entry.resource_group,
        region: entry.region,
        placement,
        os: entry.os,
        image: entry.image,
        patch_mode: entry.patch_mode,
        time_zone: entry.time_zone,
        window: entry.window.map(|window| window.read(source)).transpose()?,
        automatic_updates: entry.automatic_updates,
        assessment_mode: entry.assessment_mode,
        reboot: entry.reboot,
        resource: None,
    })
}

/// Of a VM, or of all that is known of it.
fn of_json(text: &str) -> Result<Vm, String> {
    let mut value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if value.get("vm").is_some_and(serde_json::Value::is_object) {
        value = value["vm"].take();
    }
    let wire: wire::Vm = serde_json::from_value(value).map_err(|error| error.to_string())?;
    Vm::try_from(wire).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../../examples/vm.toml");

    #[test]
    fn the_json_of_a_vm_is_the_same_vm() {
        let vm = parse(EXAMPLE).unwrap();
        let json = serde_json::to_string(&wire::Vm::from(&vm)).unwrap();
        assert_eq!(of_json(&json), Ok(vm.clone()));
        assert_eq!(of_json(&format!("{{\"vm\": {json}, \"why\": \"\"}}")), Ok(vm));
        assert!(of_json("{\"id\": \"a\"}").is_err() && of_json("{").is_err());
    }

    #[test]
    fn each_mistake_is_named_with_its_line() {
        let cases = [
            ("patch_mode", "patch_mode = \"Auto\"", "patch_mode"),
            ("zone", "zone = \"1\"\nupdate_domain = 2", "update_domain"),
            ("zone", "zone = \"1\"\navailability_set = \"a\"", "never in both"),
            ("zone", "availability_set = \"a\"", "write its update_domain"),
            ("window", "window = { start = \"22\", end = \"06:00\" }", "start = \"22\""),
            ("region", "region = \"west-europe\"\nregoin = \"x\"", "regoin"),
        ];
        for (field, wrong, clue) in cases {
            let line = |line: &str| line.starts_with(&format!("{field} "));
            let lines = EXAMPLE.lines().map(|text| if line(text) { wrong } else { text });
            let error = parse(&lines.collect::<Vec<_>>().join("\n")).unwrap_err().to_string();
            assert!(error.starts_with("vm.toml, line ") && error.contains(clue), "{field}: {error}");
        }
    }
}
