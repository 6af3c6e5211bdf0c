//! Tags that say what Azure's document has no place for.

use super::document::object;
use super::error::{ArmError, Result};
use chrono_tz::Tz;
use nightshift_domain::window::Window;
use serde_json::Value;

pub(super) const TIME_ZONE_TAG: &str = "nightshift-time-zone";
pub(super) const WINDOW_TAG: &str = "nightshift-window";
pub(super) const UPDATE_DOMAIN_TAG: &str = "nightshift-update-domain";

const WINDOWS_ZONES: &str = include_str!("windows_zones.txt");

/// Every tag is a string.
pub(super) fn check(document: &Value) -> Result<()> {
    let wrong = object(document, "tags")?.and_then(|tags| tags.iter().find(|(_, value)| !value.is_string()));
    match wrong {
        None => Ok(()),
        Some((name, value)) => {
            Err(ArmError::invalid("tags", format!("tag {name} = {value}: it must be a string")))
        }
    }
}

/// The value of a tag.
pub(super) fn tag<'a>(document: &'a Value, name: &str) -> Result<Option<&'a str>> {
    let tags = object(document, "tags")?;
    // Azure's tags have no case.
    let found = tags.and_then(|tags| tags.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)));
    Ok(found.and_then(|(_, value)| value.as_str()))
}

/// The VM's own time zone: an IANA name, or the one that Windows and Azure give it.
pub(super) fn time_zone(document: &Value) -> Result<Option<Tz>> {
    let wrong = |name: &str| {
        let sentence = format!(
            "tag {TIME_ZONE_TAG} = '{name}' is no time zone: write one of IANA, as Europe/Amsterdam, or of Windows, as \
             W. Europe Standard Time"
        );
        ArmError::invalid("tags", sentence)
    };
    let known = |name: &str| name.parse().ok().or_else(|| of_windows(name)).ok_or_else(|| wrong(name));
    tag(document, TIME_ZONE_TAG)?.map(known).transpose()
}

/// The time zone that Windows knows by this name.
fn of_windows(name: &str) -> Option<Tz> {
    let rows = WINDOWS_ZONES.lines().filter_map(|line| line.split_once(" = "));
    let found = rows.into_iter().find(|(windows, _)| windows.eq_ignore_ascii_case(name));
    found.and_then(|(_, iana)| iana.parse().ok())
}

/// The VM's own off-peak window.
pub(super) fn window(document: &Value) -> Result<Option<Window>> {
    let Some(given) = tag(document, WINDOW_TAG)? else { return Ok(None) };
    let wrong = |why: String| ArmError::invalid("tags", format!("tag {WINDOW_TAG} = '{given}': {why}"));
    let (start, end) = given.split_once('-').ok_or_else(|| wrong("write 22:00-06:00".into()))?;
    Window::parse(start.trim(), end.trim()).map(Some).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "all of this is tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn time_zones_have_two_names() {
        let zone = |name: &str| time_zone(&json!({ "tags": { TIME_ZONE_TAG: name } }));
        for (name, known) in [
            ("Asia/Kathmandu", Tz::Asia__Kathmandu),
            ("W. Europe Standard Time", Tz::Europe__Berlin),
            // CLDR keeps the names that zones had first.
            ("nepal standard time", Tz::Asia__Katmandu),
            ("UTC", Tz::UTC),
        ] {
            assert_eq!(zone(name).unwrap(), Some(known), "{name}");
        }
        assert!(zone("Mars Standard Time").unwrap_err().message.contains("Mars Standard Time"));
    }

    #[test]
    fn every_name_of_windows_is_a_zone() {
        let rows: Vec<_> = WINDOWS_ZONES.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(rows.len() > 130, "{}", rows.len());
        for row in rows {
            let (windows, _) = row.split_once(" = ").unwrap();
            assert!(of_windows(windows).is_some(), "{row}");
        }
    }
}
