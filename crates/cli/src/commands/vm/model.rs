//! `nightshift vm put`, `change` and `remove`: what a VM is.

use crate::arguments::{Model, Servers};
use crate::clients::{self, Authorized};
use crate::failure::Failure;
use crate::fleet_file;
use crate::output::Format;
use anyhow::Context as _;
use nightshift_domain::VmId;
use nightshift_domain::fleet::{AssessmentMode, PatchMode, Vm};
use nightshift_domain::patch::RebootSetting;
use nightshift_domain::window::Window;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::console_service_client::ConsoleServiceClient;
use nightshift_protocol::events::v1 as wire;
use std::path::Path;
use tonic::Code;

/// A VM becomes what the file says. It is put in the place of exactly what was seen, or, if nothing is said to have been,
/// of what is there now: whoever changed it since is not written over.
pub(super) async fn put(
    servers: &Servers,
    file: &Path,
    any_update_domain: bool,
    seen_before: Option<&Path>,
    output: Format,
) -> anyhow::Result<()> {
    let mut wished = fleet_file::read_vm(file, any_update_domain)?;
    let seen = match seen_before {
        Some(path) => Some(before(path, &wished.id)?),
        None => seen(&mut clients::console(servers).await?, wished.id.as_str()).await?,
    };
    if wished.resource.is_none() {
        // What clients of Azure Resource Manager put is theirs; a file of ours does not take it away.
        wished.resource = seen.clone().map(Vm::try_from).transpose()?.and_then(|seen| seen.resource);
    }
    send(servers, &wished, seen, any_update_domain, output).await
}

/// Some of a VM becomes different.
pub(super) async fn change(
    servers: &Servers,
    vm: String,
    model: &Model,
    output: Format,
) -> anyhow::Result<()> {
    // What cannot be read is said before anybody is asked.
    let change = Change::read(model)?;
    let mut console = clients::console(servers).await?;
    let request = api::GetVmRequest { vm };
    let view = console.get_vm(request).await?.into_inner().vm.context("the console sent no VM")?;
    let seen = view.vm.context("the console sent a VM without its model")?;
    let mut wished = Vm::try_from(seen.clone())?;
    change.apply(&mut wished);
    send(servers, &wished, Some(seen), false, output).await
}

/// A VM leaves the fleet.
pub(super) async fn remove(servers: &Servers, vm: String, output: Format) -> anyhow::Result<()> {
    VmId::new(vm.clone()).map_err(|error| Failure::usage(error.to_string()).next("nightshift vm list"))?;
    let said = format!("{vm} has left the fleet");
    let request = api::RemoveVmRequest { vm, ..Default::default() };
    let done = clients::fleet(servers).await?.remove_vm(request).await?.into_inner();
    output.answer(&done, said)
}

/// The VM as somebody saw it and kept it.
fn before(path: &Path, vm: &VmId) -> anyhow::Result<wire::Vm> {
    let seen = fleet_file::read_shown_vm(path)?;
    if seen.id != *vm {
        let sentence = format!("--seen {}: it is VM \"{}\", not \"{vm}\"", path.display(), seen.id);
        return Err(Failure::usage(sentence).next(format!("nightshift vm show {vm} --json")).into());
    }
    Ok(wire::Vm::from(&seen))
}

async fn seen(console: &mut ConsoleServiceClient<Authorized>, vm: &str) -> anyhow::Result<Option<wire::Vm>> {
    match console.get_vm(api::GetVmRequest { vm: vm.to_owned() }).await {
        Ok(answer) => Ok(answer.into_inner().vm.and_then(|view| view.vm)),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status.into()),
    }
}

async fn send(
    servers: &Servers,
    wished: &Vm,
    seen: Option<wire::Vm>,
    any_update_domain: bool,
    output: Format,
) -> anyhow::Result<()> {
    let wire = wire::Vm::from(wished);
    let said = match &seen {
        None => "has entered the fleet",
        Some(seen) if *seen == wire => "is as it was",
        Some(_) => "is changed",
    };
    let request = api::PutVmRequest { vm: Some(wire), seen, any_update_domain, ..Default::default() };
    let put = clients::fleet(servers).await?.put_vm(request).await?.into_inner();
    output.answer(&put, format_args!("{} {said}", wished.id))
}

/// What becomes different; an inner none is what stands in for the VM's own.
#[derive(Default)]
struct Change {
    patch_mode: Option<PatchMode>,
    assessment_mode: Option<AssessmentMode>,
    reboot: Option<Option<RebootSetting>>,
    time_zone: Option<Option<chrono_tz::Tz>>,
    window: Option<Option<Window>>,
}

impl Change {
    fn read(model: &Model) -> anyhow::Result<Self> {
        let mut change = Self::default();
        if let Some(text) = &model.patch_mode {
            let modes = [
                PatchMode::AutomaticByPlatform,
                PatchMode::AutomaticByOS,
                PatchMode::Manual,
                PatchMode::ImageDefault,
            ];
            change.patch_mode = Some(named("--patch-mode", text, modes)?);
        }
        if let Some(text) = &model.assessment_mode {
            let modes = [AssessmentMode::AutomaticByPlatform, AssessmentMode::ImageDefault];
            change.assessment_mode = Some(named("--assessment-mode", text, modes)?);
        }
        if let Some(text) = &model.reboot {
            let settings = [RebootSetting::IfRequired, RebootSetting::Never, RebootSetting::Always];
            change.reboot = Some(match text.as_str() {
                "policy" => None,
                text => Some(named("--reboot", text, settings)?),
            });
        }
        if let Some(text) = &model.time_zone {
            let wrong = || {
                let sentence = "write an IANA name such as Europe/Berlin, or region for its region's";
                Failure::usage(format!("--time-zone \"{text}\" is no time zone: {sentence}"))
            };
            change.time_zone = Some(match text.as_str() {
                "region" => None,
                text => Some(text.parse().map_err(|_| wrong())?),
            });
        }
        if let Some(text) = &model.window {
            change.window = Some(match text.as_str() {
                "fleet" => None,
                text => Some(window(text)?),
            });
        }
        Ok(change)
    }

    fn apply(self, vm: &mut Vm) {
        vm.patch_mode = self.patch_mode.unwrap_or(vm.patch_mode);
        vm.assessment_mode = self.assessment_mode.unwrap_or(vm.assessment_mode);
        vm.reboot = self.reboot.unwrap_or(vm.reboot);
        vm.time_zone = self.time_zone.unwrap_or(vm.time_zone);
        vm.window = self.window.unwrap_or(vm.window);
    }
}

fn named<T: std::fmt::Debug + Copy, const N: usize>(
    option: &str,
    text: &str,
    all: [T; N],
) -> Result<T, Failure> {
    let found = all.into_iter().find(|one| format!("{one:?}").eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let all = all.map(|one| format!("{one:?}")).join(", ");
        Failure::usage(format!("{option} \"{text}\": write one of {all}"))
    })
}

fn window(text: &str) -> Result<Window, Failure> {
    let halves = text.split_once('-').or_else(|| text.split_once('–'));
    let (start, end) = halves.ok_or_else(|| {
        Failure::usage(format!("--window \"{text}\": write HH:MM-HH:MM, such as 22:00-06:00"))
    })?;
    Window::parse(start, end).map_err(|error| Failure::usage(format!("--window: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(model: Model) -> Result<Change, String> {
        Change::read(&model).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_stays_and_what_is_wrong_is_named() {
        let text = include_str!("../../../../../examples/vm.toml");
        let mut vm = fleet_file::parse_vm(text).unwrap();
        let before = vm.clone();
        let model = Model { window: Some("23:30-05:00".into()), ..Model::default() };
        read(model).unwrap().apply(&mut vm);
        assert_eq!(vm.window, Some(Window::parse("23:30", "05:00").unwrap()));
        assert_eq!(Vm { window: before.window, ..vm.clone() }, before);
        let model = Model {
            window: Some("fleet".into()),
            time_zone: Some("region".into()),
            reboot: Some("policy".into()),
            patch_mode: Some("imagedefault".into()),
            ..Model::default()
        };
        read(model).unwrap().apply(&mut vm);
        assert_eq!((vm.window, vm.time_zone, vm.reboot), (None, None, None));
        assert_eq!(vm.patch_mode, PatchMode::ImageDefault);
        for (model, clue) in [
            (
                Model { patch_mode: Some("Auto".into()), ..Model::default() },
                "--patch-mode \"Auto\": write one of Automatic",
            ),
            (
                Model { reboot: Some("no".into()), ..Model::default() },
                "--reboot \"no\": write one of IfRequired, ",
            ),
            (Model { time_zone: Some("Mars".into()), ..Model::default() }, "--time-zone \"Mars\""),
            (
                Model { window: Some("22:00".into()), ..Model::default() },
                "--window \"22:00\": write HH:MM-HH:MM",
            ),
            (Model { window: Some("22:00-22:00".into()), ..Model::default() }, "has no length"),
        ] {
            let error = read(model).err().unwrap();
            assert!(error.contains(clue), "{error}");
        }
    }
}
