//! Which VMs a rollout may touch: the auditor's own list (rule S8, REQUIREMENTS.md C1 and C2).

use nightshift_domain::fleet::{Image, PatchMode, Vm};

/// How the SKU of a supported image is written.
enum Sku {
    /// Exactly so.
    Is(&'static str),
    /// Any release of a major version: the text up to and with the dot.
    Release(&'static str),
}

const MICROSOFT: &str = "MicrosoftWindowsServer";

/// Publisher, offer and SKU of each image, one a line. The last two are of today's wider list, which
/// REQUIREMENTS.md C1 asks to ship too.
const IMAGES: [(&str, &str, Sku); 9] = [
    ("Canonical", "UbuntuServer", Sku::Is("18.04-LTS")),
    ("RedHat", "RHEL", Sku::Release("7.")),
    (MICROSOFT, "WindowsServer", Sku::Is("2012-R2-Datacenter")),
    (MICROSOFT, "WindowsServer", Sku::Is("2016-Datacenter")),
    (MICROSOFT, "WindowsServer", Sku::Is("2016-Datacenter-Server-Core")),
    (MICROSOFT, "WindowsServer", Sku::Is("2019-Datacenter")),
    (MICROSOFT, "WindowsServer", Sku::Is("2019-Datacenter-Core")),
    ("Canonical", "0001-com-ubuntu-server-jammy", Sku::Is("22_04-lts")),
    ("Debian", "debian-12", Sku::Is("12")),
];

/// Why a VM's own model forbids a rollout to patch it; `None` if it does not.
pub(crate) fn obstacle(vm: &Vm) -> Option<String> {
    if vm.patch_mode != PatchMode::AutomaticByPlatform {
        return Some(format!("its patch mode is {:?}, not AutomaticByPlatform", vm.patch_mode));
    }
    let Image { publisher, offer, sku } = &vm.image;
    let listed = IMAGES.iter().any(|(known_publisher, known_offer, known_sku)| {
        publisher.eq_ignore_ascii_case(known_publisher)
            && offer.eq_ignore_ascii_case(known_offer)
            && match known_sku {
                Sku::Is(exactly) => sku.eq_ignore_ascii_case(exactly),
                Sku::Release(major) => sku.starts_with(major),
            }
    });
    (!listed).then(|| format!("its image {publisher}:{offer}:{sku} is not supported"))
}
