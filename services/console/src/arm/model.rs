//! The document of a VM as somebody put it, as the model that Nightshift goes by.

use super::document;
use super::document::{at, boolean, list, object, set_if_absent, text};
use super::error::{ArmError, Result};
use super::tags::{self, TIME_ZONE_TAG, UPDATE_DOMAIN_TAG, WINDOW_TAG};
use super::version::Version;
use crate::view::View;
use nightshift_domain::fleet::{AssessmentMode, Image, Os, PatchMode, Placement, Resource, Vm, Wished};
use nightshift_domain::patch::RebootSetting;
use nightshift_domain::{AvailabilitySetId, RegionName, SubscriptionId, VmId, ZoneName};
use serde_json::{Value, json};

const LINUX: &str = "properties.osProfile.linuxConfiguration";
const WINDOWS: &str = "properties.osProfile.windowsConfiguration";
/// What a VM was made from or where it stands: a PUT that does not name it leaves it as it is.
const FIXED: [&str; 5] = [
    "location",
    "zones",
    "properties.availabilitySet",
    "properties.storageProfile.imageReference",
    "properties.storageProfile.osDisk.osType",
];
/// What the platform answers for.
const READ_ONLY: [&str; 10] = [
    "id",
    "name",
    "type",
    "etag",
    "resources",
    "systemData",
    "properties.provisioningState",
    "properties.instanceView",
    "properties.vmId",
    "properties.timeCreated",
];
/// What Azure never gives back either, and what has no place in a log.
const SECRET: [&str; 6] = [
    "properties.osProfile.adminPassword",
    "properties.osProfile.customData",
    "properties.osProfile.secrets",
    "properties.osProfile.windowsConfiguration.additionalUnattendContent",
    "properties.osProfile.windowsConfiguration.winRM",
    "properties.userData",
];

/// What a wish for a VM is about.
pub(super) struct Subject<'a> {
    pub(super) subscription: &'a SubscriptionId,
    pub(super) group: &'a str,
    pub(super) name: &'a str,
    pub(super) version: &'a Version,
    /// The VM that is there, with its document.
    pub(super) known: Option<(&'a Vm, Value)>,
}

/// Reads the document of a VM.
pub(super) fn read(subject: &Subject, mut document: Value, view: &View) -> Result<Wished> {
    if !document.is_object() {
        return Err(ArmError::bad("InvalidRequestContent", "the request's body must be a JSON object"));
    }
    document::drop_nulls(&mut document);
    let known = subject.known.as_ref();
    for path in FIXED {
        if let Some(value) = known.and_then(|(_, document)| at(document, path)).cloned() {
            set_if_absent(&mut document, path, value);
        }
    }
    let known = known.map(|(vm, _)| *vm);
    object(&document, "properties")?;
    tags::check(&document)?;
    let os = os(&document, known)?;
    if subject.version.is_limited() && os == Os::Linux && at(&document, &settings(os)).is_some() {
        let sentence = "patchSettings of Linux VMs need API version 2020-12-01 or higher";
        return Err(ArmError::invalid(&settings(os), sentence));
    }
    let region = region(&document, view)?;
    let (placement, any_update_domain) = placement(subject, &document, view, &region)?;
    let automatic_updates = boolean(&document, &format!("{WINDOWS}.enableAutomaticUpdates"))?
        .or_else(|| known.and_then(|vm| vm.automatic_updates));
    let patch_mode = patch_mode(&document, os, known, automatic_updates)?;
    check_settings(&document, os, patch_mode)?;
    let vm = Vm {
        id: identity(subject, view, known)?,
        subscription: subject.subscription.clone(),
        resource_group: known.map_or(subject.group, |vm| vm.resource_group.as_str()).to_owned(),
        region,
        placement,
        os,
        image: image(&document)?,
        patch_mode,
        time_zone: tags::time_zone(&document)?,
        window: tags::window(&document)?,
        automatic_updates,
        assessment_mode: assessment_mode(&document, os, known)?,
        reboot: reboot(&document, os)?,
        resource: Some(Resource {
            name: known.map_or(subject.name, |vm| vm.name()).to_owned(),
            body: kept(document),
        }),
    };
    Ok(Wished { vm, seen: known.cloned(), any_update_domain })
}

/// What is kept of a document: all but what the platform answers for and what has no place in a log.
fn kept(mut document: Value) -> String {
    READ_ONLY.iter().chain(&SECRET).for_each(|path| document::remove(&mut document, path));
    document.to_string()
}

/// Where the patch settings of this family are.
pub(super) fn settings(os: Os) -> String {
    format!("{}.patchSettings", if os == Os::Linux { LINUX } else { WINDOWS })
}

fn identity(subject: &Subject, view: &View, known: Option<&Vm>) -> Result<VmId> {
    if let Some(vm) = known {
        return Ok(vm.id.clone());
    }
    let identity = view.planner.fleet.identity_for(subject.subscription, subject.group, subject.name);
    identity.map_err(|error| ArmError::bad("InvalidResourceName", error.to_string()))
}

fn os(document: &Value, known: Option<&Vm>) -> Result<Os> {
    let (linux, windows) = (object(document, LINUX)?.is_some(), object(document, WINDOWS)?.is_some());
    let path = "properties.storageProfile.osDisk.osType";
    let disk = match text(document, path)? {
        None => None,
        Some(name) if name.eq_ignore_ascii_case("linux") => Some(Os::Linux),
        Some(name) if name.eq_ignore_ascii_case("windows") => Some(Os::Windows),
        Some(other) => {
            return Err(ArmError::invalid(path, format!("osType '{other}': it is Linux or Windows")));
        }
    };
    let configured = match (linux, windows) {
        (true, true) => {
            let sentence = "only one of linuxConfiguration and windowsConfiguration can be given";
            return Err(ArmError::invalid("properties.osProfile", sentence));
        }
        (true, false) => Some(Os::Linux),
        (false, true) => Some(Os::Windows),
        (false, false) => None,
    };
    if let (Some(disk), Some(configured)) = (disk, configured)
        && disk != configured
    {
        let sentence =
            format!("a configuration for {configured:?} does not fit an osDisk of osType {disk:?}");
        return Err(ArmError::invalid("properties.osProfile", sentence));
    }
    let publisher = text(document, "properties.storageProfile.imageReference.publisher")?;
    let made_from = publisher.map(|name| match name.to_ascii_lowercase().starts_with("microsoftwindows") {
        true => Os::Windows,
        false => Os::Linux,
    });
    Ok(configured.or(disk).or(known.map(|vm| vm.os)).or(made_from).unwrap_or(Os::Linux))
}

/// The topology's region that this location names: `West Europe`, `westeurope` and `west-europe` are one.
pub(super) fn region_of<'a>(view: &'a View, location: &str) -> Option<&'a RegionName> {
    let plain = |text: &str| text.to_ascii_lowercase().replace([' ', '-'], "");
    let wanted = plain(location);
    view.planner.fleet.topology.regions.keys().find(|region| plain(region.as_str()) == wanted)
}

fn region(document: &Value, view: &View) -> Result<RegionName> {
    let Some(location) = text(document, "location")? else {
        let sentence = "the location property is required for this definition";
        return Err(ArmError::bad("LocationRequired", sentence).about("location"));
    };
    region_of(view, location).cloned().ok_or_else(|| {
        let known: Vec<_> = view.planner.fleet.topology.regions.keys().map(RegionName::as_str).collect();
        let sentence = format!(
            "the provided location '{location}' is not available for resource type \
             'Microsoft.Compute/virtualMachines'; the available regions are '{}'",
            known.join(", ")
        );
        ArmError::bad("LocationNotAvailableForResourceType", sentence).about("location")
    })
}

/// Zone or availability set, and whether Nightshift is to choose the update domain.
fn placement(
    subject: &Subject,
    document: &Value,
    view: &View,
    region: &RegionName,
) -> Result<(Placement, bool)> {
    let zones = list(document, "zones")?.map(Vec::as_slice).unwrap_or_default();
    let set = text(document, "properties.availabilitySet.id")?;
    match (zones, set) {
        ([], None) => Ok((Placement::Standalone, false)),
        ([zone], None) => Ok((Placement::Zone(zone_of(zone, view, region)?), false)),
        ([], Some(set)) => {
            let set = availability_set(subject, set, view, region)?;
            let tag = tags::tag(document, UPDATE_DOMAIN_TAG)?;
            let domain = tag.map(|text| {
                let wrong = format!("tag {UPDATE_DOMAIN_TAG} = '{text}': it is a number from 0 to 19");
                let domain = text.parse().ok().filter(|domain| *domain < 20);
                domain.ok_or_else(|| ArmError::invalid("tags", wrong))
            });
            let domain: Option<u8> = domain.transpose()?;
            let update_domain = domain.unwrap_or_default();
            Ok((Placement::AvailabilitySet { set, update_domain }, domain.is_none()))
        }
        ([_, _, ..], _) => Err(ArmError::invalid("zones", "a VM can be in one zone only")),
        (_, Some(_)) => {
            Err(ArmError::invalid("zones", "a VM can be in a zone or in an availability set, not in both"))
        }
    }
}

/// The region's zone that is meant: `1` is also the one whose name ends with `-1`.
fn zone_of(zone: &Value, view: &View, region: &RegionName) -> Result<ZoneName> {
    let refuse = |known: String| {
        let sentence =
            format!("the zone {zone} is not supported in region '{region}'; its zones are '{known}'");
        ArmError::bad("InvalidAvailabilityZone", sentence).about("zones")
    };
    let Some(wanted) = zone.as_str() else { return Err(refuse("strings".into())) };
    let zones = view.planner.fleet.topology.regions.get(region).map(|region| &region.zones);
    let mut zones = zones.into_iter().flatten();
    let names: Vec<&str> = zones.clone().map(ZoneName::as_str).collect();
    let ending = format!("-{}", wanted.to_ascii_lowercase());
    let is =
        |zone: &&ZoneName| zone.as_str().eq_ignore_ascii_case(wanted) || zone.as_str().ends_with(&ending);
    zones.find(is).cloned().ok_or_else(|| refuse(names.join(", ")))
}

/// A set is one of its subscription and group; in the fleet it is one of its region. Where two groups of a region name
/// theirs alike, the second one's gets a name of its own.
fn availability_set(
    subject: &Subject,
    id: &str,
    view: &View,
    region: &RegionName,
) -> Result<AvailabilitySetId> {
    let path = "properties.availabilitySet.id";
    let segments: Vec<&str> = id.trim_matches('/').split('/').collect();
    let is = |place: usize, name: &str| segments.get(place).is_some_and(|it| it.eq_ignore_ascii_case(name));
    let (Some(group), Some(name), true) = (
        segments.get(3),
        segments.get(7),
        segments.len() == 8 && is(0, "subscriptions") && is(2, "resourceGroups") && is(6, "availabilitySets"),
    ) else {
        let sentence = format!(
            "'{id}' is not the id of an availability set: \
             /subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/availabilitySets/NAME"
        );
        return Err(ArmError::invalid(path, sentence));
    };
    let fleet = &view.planner.fleet;
    let of_other_group = |set: &AvailabilitySetId| {
        fleet.vms.values().any(|vm| {
            let in_set = matches!(&vm.placement, Placement::AvailabilitySet { set: its, .. } if its == set);
            let same =
                vm.subscription == *subject.subscription && vm.resource_group.eq_ignore_ascii_case(group);
            in_set && vm.region == *region && !same
        })
    };
    let plain = AvailabilitySetId::new(name.to_ascii_lowercase()).ok();
    if let Some(set) = plain.filter(|set| !of_other_group(set)) {
        return Ok(set);
    }
    let identity = nightshift_domain::fleet::Fleet::default().identity_for(
        subject.subscription,
        group,
        &format!("{name}.set"),
    );
    let set = identity.ok().and_then(|identity| AvailabilitySetId::new(identity.as_str()).ok());
    set.ok_or_else(|| ArmError::invalid(path, format!("'{name}' cannot be the name of an availability set")))
}

fn image(document: &Value) -> Result<Image> {
    let path = "properties.storageProfile.imageReference";
    let part = |name: &str| text(document, &format!("{path}.{name}"));
    part("version")?;
    if let (Some(publisher), Some(offer), Some(sku)) = (part("publisher")?, part("offer")?, part("sku")?) {
        let [publisher, offer, sku] = [publisher, offer, sku].map(str::to_owned);
        return Ok(Image { publisher, offer, sku });
    }
    // An image of the owner's own, by its id, or a disk that was brought along.
    let id = part("id")?.or(part("sharedGalleryImageId")?).or(part("communityGalleryImageId")?);
    let sku = id.and_then(|id| id.rsplit('/').next()).unwrap_or("none");
    Ok(Image { publisher: "custom".into(), offer: "image".into(), sku: sku.to_owned() })
}

fn patch_mode(
    document: &Value,
    os: Os,
    known: Option<&Vm>,
    automatic_updates: Option<bool>,
) -> Result<PatchMode> {
    let path = format!("{}.patchMode", settings(os));
    let named = text(document, &path)?.map(|name| {
        let modes = [
            ("AutomaticByPlatform", PatchMode::AutomaticByPlatform),
            ("AutomaticByOS", PatchMode::AutomaticByOS),
            ("Manual", PatchMode::Manual),
            ("ImageDefault", PatchMode::ImageDefault),
        ];
        let found = modes.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let wrong = || {
            let sentence = format!(
                "patchMode '{name}' is not one of AutomaticByPlatform, AutomaticByOS, Manual and ImageDefault"
            );
            ArmError::invalid(&path, sentence)
        };
        found.map(|(_, mode)| mode).ok_or_else(wrong)
    });
    let default = match (os, automatic_updates) {
        (Os::Linux, _) => PatchMode::ImageDefault,
        (Os::Windows, Some(false)) => PatchMode::Manual,
        (Os::Windows, _) => PatchMode::AutomaticByOS,
    };
    Ok(named.transpose()?.or(known.map(|vm| vm.patch_mode)).unwrap_or(default))
}

fn assessment_mode(document: &Value, os: Os, known: Option<&Vm>) -> Result<AssessmentMode> {
    let path = format!("{}.assessmentMode", settings(os));
    let named = one_of(document, &path, &["ImageDefault", "AutomaticByPlatform"])?;
    Ok(match named {
        Some("AutomaticByPlatform") => AssessmentMode::AutomaticByPlatform,
        Some(_) => AssessmentMode::ImageDefault,
        None => known.map(|vm| vm.assessment_mode).unwrap_or_default(),
    })
}

/// Whether the VM may be rebooted, where its document says so.
fn reboot(document: &Value, os: Os) -> Result<Option<RebootSetting>> {
    let path = format!("{}.automaticByPlatformSettings.rebootSetting", settings(os));
    let named = one_of(document, &path, &["Unknown", "IfRequired", "Never", "Always"])?;
    Ok(named.and_then(|name| match name {
        "IfRequired" => Some(RebootSetting::IfRequired),
        "Never" => Some(RebootSetting::Never),
        "Always" => Some(RebootSetting::Always),
        _ => None,
    }))
}

/// The name, of these, that a document gives.
fn one_of(document: &Value, path: &str, names: &[&'static str]) -> Result<Option<&'static str>> {
    let Some(given) = text(document, path)? else { return Ok(None) };
    let found = names.iter().find(|name| name.eq_ignore_ascii_case(given));
    let wrong = || ArmError::invalid(path, format!("'{given}' is not one of {}", names.join(", ")));
    found.map(|name| Some(*name)).ok_or_else(wrong)
}

/// Settings that the minds do not read must still be some that Azure knows.
fn check_settings(document: &Value, os: Os, mode: PatchMode) -> Result<()> {
    let settings = settings(os);
    object(document, &settings)?;
    let configuration = if os == Os::Linux { LINUX } else { WINDOWS };
    boolean(document, &format!("{configuration}.provisionVMAgent"))?;
    let by_platform = format!("{settings}.automaticByPlatformSettings");
    if object(document, &by_platform)?.is_some() && mode != PatchMode::AutomaticByPlatform {
        let sentence =
            format!("automaticByPlatformSettings need patchMode AutomaticByPlatform; it is {mode:?}");
        return Err(ArmError::invalid(&by_platform, sentence));
    }
    boolean(document, &format!("{by_platform}.bypassPlatformSafetyChecksOnUserSchedule"))?;
    Ok(())
}

/// The document of a VM that was declared otherwise: what a person would have put.
pub(super) fn declared(vm: &Vm) -> Value {
    let mut document = json!({ "location": vm.region, "properties": {} });
    let mut tag = |name: &str, value: String| document["tags"][name] = json!(value);
    if let Some(zone) = vm.time_zone {
        tag(TIME_ZONE_TAG, zone.name().to_owned());
    }
    if let Some(window) = vm.window {
        tag(WINDOW_TAG, format!("{}-{}", window.start_text(), window.end_text()));
    }
    match &vm.placement {
        Placement::Standalone => {}
        Placement::Zone(zone) => document["zones"] = json!([zone]),
        Placement::AvailabilitySet { set, update_domain } => {
            document["tags"][UPDATE_DOMAIN_TAG] = json!(update_domain.to_string());
            let group = format!("/subscriptions/{}/resourceGroups/{}", vm.subscription, vm.resource_group);
            let id = format!("{group}/providers/Microsoft.Compute/availabilitySets/{set}");
            document::set(&mut document, "properties.availabilitySet.id", json!(id));
        }
    }
    document
}
