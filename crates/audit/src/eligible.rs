//! Which VMs a rollout may touch: the auditor's own list (rule S8, REQUIREMENTS.md C1 and C2).

use nightshift_domain::fleet::{Image, PatchMode, Vm};

const MICROSOFT: (&str, &str) = ("MicrosoftWindowsServer", "WindowsServer");
const UBUNTU: (&str, &str) = ("Canonical", "UbuntuServer");
const RED_HAT: (&str, &str) = ("RedHat", "RHEL");

/// Publisher and offer of each image, and its SKUs, separated by spaces. One that ends with a dot stands for all that
/// begin with it. First the reference's own, then those of today's wider list, which REQUIREMENTS.md C1 asks to ship
/// too.
const IMAGES: [((&str, &str), &str); 21] = [
    (UBUNTU, "18.04-LTS"),
    (RED_HAT, "7."),
    (MICROSOFT, "2012-R2-Datacenter 2016-Datacenter 2016-Datacenter-Server-Core"),
    (MICROSOFT, "2019-Datacenter 2019-Datacenter-Core"),
    (UBUNTU, "16.04-LTS 18.04-LTS-gen2"),
    (("Canonical", "0001-com-ubuntu-server-focal"), "20_04-lts 20_04-lts-gen2"),
    (("Canonical", "0001-com-ubuntu-pro-bionic"), "pro-18_04-lts"),
    (("Canonical", "0001-com-ubuntu-server-jammy"), "22_04-lts 22_04-lts-gen2"),
    (("Canonical", "ubuntu-24_04-lts"), "server server-gen1"),
    (RED_HAT, "8. 9. 7-LVM 8-LVM 9-LVM 7lvm-gen2 8-lvm-gen2 9-lvm-gen2"),
    (("SUSE", "sles-12-sp5"), "gen1 gen2"),
    (("SUSE", "sles-15-sp5"), "gen1 gen2"),
    (("SUSE", "sles-15-sp6"), "gen1 gen2"),
    (("Oracle", "Oracle-Linux"), "ol7. ol8. ol9."),
    (("almalinux", "almalinux-x86_64"), "8-gen1 8-gen2 9-gen1 9-gen2"),
    (("Debian", "debian-11"), "11 11-gen2"),
    (("Debian", "debian-12"), "12 12-gen2"),
    (
        MICROSOFT,
        "2008-R2-SP1 2012-R2-Datacenter-gensecond 2016-Datacenter-gensecond 2016-Datacenter-smalldisk",
    ),
    (MICROSOFT, "2019-Datacenter-gensecond 2019-Datacenter-smalldisk 2022-Datacenter 2022-Datacenter-Core"),
    (MICROSOFT, "2022-Datacenter-g2 2022-Datacenter-Azure-Edition 2022-Datacenter-Azure-Edition-Core"),
    (MICROSOFT, "2025-Datacenter 2025-Datacenter-g2 2025-Datacenter-Azure-Edition"),
];

/// Why a VM's own model forbids a rollout to patch it; `None` if it does not. `more` are the images that the operator
/// declared beside the list.
pub(crate) fn obstacle(vm: &Vm, more: &[Image]) -> Option<String> {
    if vm.patch_mode != PatchMode::AutomaticByPlatform {
        return Some(format!("its patch mode is {:?}, not AutomaticByPlatform", vm.patch_mode));
    }
    let listed = IMAGES.iter().any(|((publisher, offer), skus)| {
        skus.split(' ').any(|sku| stands_for(publisher, offer, sku, &vm.image))
    });
    let declared = || more.iter().any(|i| stands_for(&i.publisher, &i.offer, &i.sku, &vm.image));
    if listed || declared() {
        return None;
    }
    let Image { publisher, offer, sku } = &vm.image;
    Some(format!("its image {publisher}:{offer}:{sku} is not supported"))
}

/// Whether an entry of a list means the image; letters' case does not matter, as in Azure.
fn stands_for(publisher: &str, offer: &str, sku: &str, image: &Image) -> bool {
    let [sku, of_image] = [sku, &image.sku].map(str::to_ascii_lowercase);
    publisher.eq_ignore_ascii_case(&image.publisher)
        && offer.eq_ignore_ascii_case(&image.offer)
        && if sku.ends_with('.') { of_image.starts_with(&sku) } else { of_image == sku }
}
