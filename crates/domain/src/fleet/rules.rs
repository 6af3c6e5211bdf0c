//! What a VM's model may be, and how it may change (REQUIREMENTS.md C2, C3).

use super::{Os, PatchMode, Placement, Vm};
use crate::refusal::Refusal;
use crate::topology::Topology;

/// Whether the model is one that can be.
pub(super) fn check(topology: &Topology, vm: &Vm) -> Result<(), Refusal> {
    let Some(region) = topology.regions.get(&vm.region) else {
        let sentence =
            format!("VM \"{}\": region = \"{}\" is not a region of the topology", vm.id, vm.region);
        return Err(Refusal::new("UnknownRegion", sentence).about("vm.region"));
    };
    if let Placement::Zone(zone) = &vm.placement
        && !region.zones.contains(zone)
    {
        let sentence =
            format!("VM \"{}\": zone = \"{zone}\" is not a zone of region \"{}\"", vm.id, vm.region);
        return Err(Refusal::new("UnknownZone", sentence).about("vm.zone"));
    }
    let wrong_family = match vm.patch_mode {
        PatchMode::AutomaticByPlatform => None,
        PatchMode::AutomaticByOS | PatchMode::Manual => (vm.os != Os::Windows).then_some("Windows"),
        PatchMode::ImageDefault => (vm.os != Os::Linux).then_some("Linux"),
    };
    if let Some(family) = wrong_family {
        let sentence = format!("VM \"{}\": patch_mode = {:?} is for {family} only", vm.id, vm.patch_mode);
        return Err(Refusal::new("PatchModeNotSupported", sentence).about("vm.patch_mode"));
    }
    check_automatic_updates(vm)
}

/// Windows: the automatic modes need `enableAutomaticUpdates`, Manual needs it off; Linux does not know it.
fn check_automatic_updates(vm: &Vm) -> Result<(), Refusal> {
    let enabled = vm.automatic_updates;
    let refuse = |must: &str| {
        let value = enabled.map_or("absent (true)".to_owned(), |enabled| enabled.to_string());
        let sentence = format!("VM \"{}\": automatic_updates = {value}: {must}", vm.id);
        Err(Refusal::new("AutomaticUpdatesNotSupported", sentence).about("vm.automatic_updates"))
    };
    match (vm.os, vm.patch_mode) {
        (Os::Linux, _) if enabled.is_some() => refuse("is for Windows only"),
        (Os::Linux, _) => Ok(()),
        (Os::Windows, PatchMode::Manual) if enabled.unwrap_or(true) => refuse("mode Manual needs false"),
        (Os::Windows, mode) if mode != PatchMode::Manual && enabled == Some(false) => {
            refuse(&format!("mode {mode:?} needs true"))
        }
        (Os::Windows, _) => Ok(()),
    }
}

/// Whether the one model may become the other.
pub(super) fn check_change(known: &Vm, wished: &Vm) -> Result<(), Refusal> {
    let refuse =
        |code, what: String| Err(Refusal::new(code, format!("VM \"{}\": {what}", known.id)).about(&known.id));
    if known.os != wished.os {
        return refuse(
            "OsChangeNotAllowed",
            format!("os = {:?}: it was created as {:?}", wished.os, known.os),
        );
    }
    if known.region != wished.region {
        let what = format!("region = \"{}\": it is in \"{}\"; remove it first", wished.region, known.region);
        return refuse("RegionChangeNotAllowed", what);
    }
    let manual = |vm: &Vm| vm.patch_mode == PatchMode::Manual;
    if known.os == Os::Windows && manual(known) != manual(wished) {
        let (from, to) = (known.patch_mode, wished.patch_mode);
        return refuse(
            "PatchModeChangeNotAllowed",
            format!("patch_mode = {to:?}: it cannot change from {from:?}"),
        );
    }
    if known.automatic_updates.unwrap_or(true) != wished.automatic_updates.unwrap_or(true) {
        let what = "automatic_updates can be set only when the VM is created".to_owned();
        return refuse("AutomaticUpdatesChangeNotAllowed", what);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Fleet, Image};
    use crate::window::Window;

    fn vm(os: Os, patch_mode: PatchMode, automatic_updates: Option<bool>) -> Vm {
        let image = Image { publisher: "p".into(), offer: "o".into(), sku: "s".into() };
        Vm {
            id: crate::VmId::new("vm").unwrap(),
            subscription: crate::SubscriptionId::new("sub").unwrap(),
            resource_group: "group".into(),
            region: crate::RegionName::new("here").unwrap(),
            placement: Placement::Standalone,
            os,
            image,
            patch_mode,
            time_zone: None,
            window: None,
            automatic_updates,
            assessment_mode: Default::default(),
            reboot: None,
            resource: None,
        }
    }

    fn topology() -> Topology {
        let region = crate::topology::Region {
            name: crate::RegionName::new("here").unwrap(),
            time_zone: chrono_tz::Tz::UTC,
            pair: None,
            zones: Default::default(),
        };
        Topology::new(Window::default_off_peak(), [region]).unwrap()
    }

    /// REQUIREMENTS.md C2 and C3, as a table.
    #[test]
    fn each_mode_has_its_family_and_its_automatic_updates() {
        use Os::{Linux, Windows};
        use PatchMode::{AutomaticByOS, AutomaticByPlatform, ImageDefault, Manual};
        let good = [
            (Linux, AutomaticByPlatform, None),
            (Linux, ImageDefault, None),
            (Windows, AutomaticByPlatform, None),
            (Windows, AutomaticByPlatform, Some(true)),
            (Windows, AutomaticByOS, Some(true)),
            (Windows, Manual, Some(false)),
        ];
        for (os, mode, updates) in good {
            check(&topology(), &vm(os, mode, updates)).unwrap();
        }
        let bad = [
            (Linux, AutomaticByOS, None, "PatchModeNotSupported"),
            (Linux, Manual, None, "PatchModeNotSupported"),
            (Windows, ImageDefault, None, "PatchModeNotSupported"),
            (Linux, AutomaticByPlatform, Some(true), "AutomaticUpdatesNotSupported"),
            (Windows, AutomaticByPlatform, Some(false), "AutomaticUpdatesNotSupported"),
            (Windows, AutomaticByOS, Some(false), "AutomaticUpdatesNotSupported"),
            (Windows, Manual, Some(true), "AutomaticUpdatesNotSupported"),
            (Windows, Manual, None, "AutomaticUpdatesNotSupported"),
        ];
        for (os, mode, updates, code) in bad {
            assert_eq!(check(&topology(), &vm(os, mode, updates)).unwrap_err().code, code, "{os:?} {mode:?}");
        }
    }

    #[test]
    fn manual_and_automatic_never_become_each_other() {
        use PatchMode::{AutomaticByOS, AutomaticByPlatform, Manual};
        let windows = |mode, updates| vm(Os::Windows, mode, updates);
        check_change(&windows(AutomaticByOS, None), &windows(AutomaticByPlatform, Some(true))).unwrap();
        let manual = windows(Manual, Some(false));
        let refused = [
            (windows(AutomaticByOS, None), manual.clone(), "PatchModeChangeNotAllowed"),
            (manual.clone(), windows(AutomaticByPlatform, None), "PatchModeChangeNotAllowed"),
            (manual.clone(), windows(Manual, None), "AutomaticUpdatesChangeNotAllowed"),
            (manual, vm(Os::Linux, PatchMode::ImageDefault, None), "OsChangeNotAllowed"),
        ];
        for (from, to, code) in refused {
            assert_eq!(check_change(&from, &to).unwrap_err().code, code);
        }
    }

    #[test]
    fn a_feature_is_asked_for_and_then_in_force_and_each_refusal_has_its_code() {
        let mut fleet = Fleet::default();
        let (subscription, feature) =
            (crate::SubscriptionId::new("sub").unwrap(), crate::fleet::Feature::InGuestPatchVMPreview);
        let code = |fleet: &Fleet| fleet.feature_refusal(&subscription, feature).map(|refusal| refusal.code);
        let apply = |fleet: &mut Fleet, events: Vec<crate::Event>| {
            for event in events {
                let at = crate::Time::UNIX_EPOCH;
                fleet.apply(&crate::Fact { partition: crate::Partition::Fleet, at, event });
            }
        };
        assert_eq!(code(&fleet).as_deref(), Some("FeatureNotRegistered"));
        let asked = fleet.request_feature(&subscription, feature);
        apply(&mut fleet, asked);
        assert_eq!(code(&fleet).as_deref(), Some("FeatureRegistering"));
        let registered = fleet.registrations();
        apply(&mut fleet, registered);
        assert_eq!(code(&fleet), None);
        assert!(fleet.registrations().is_empty() && fleet.request_feature(&subscription, feature).is_empty());
        let given_up = fleet.unregister_feature(&subscription, feature);
        apply(&mut fleet, given_up);
        assert_eq!(code(&fleet).as_deref(), Some("FeatureNotRegistered"));
    }
}
