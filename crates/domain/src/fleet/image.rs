//! Images, and which of them can be patched (REQUIREMENTS.md C1).

use serde::{Deserialize, Serialize};

/// The image a VM was made from (REQUIREMENTS.md C1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// For example `Canonical`.
    pub publisher: String,
    /// For example `UbuntuServer`.
    pub offer: String,
    /// For example `18.04-LTS`.
    pub sku: String,
}

/// Images that can be patched (REQUIREMENTS.md C1: the first three are the reference's; the rest is of today's lists). A
/// SKU that ends with a dot stands for all that begin with it. Operators add their own in the topology.
const SUPPORTED_IMAGES: &[(&str, &str, &[&str])] = &[
    ("Canonical", "UbuntuServer", &["18.04-LTS"]),
    ("RedHat", "RHEL", &["7."]),
    (
        "MicrosoftWindowsServer",
        "WindowsServer",
        &[
            "2012-R2-Datacenter",
            "2016-Datacenter",
            "2016-Datacenter-Server-Core",
            "2019-Datacenter",
            "2019-Datacenter-Core",
        ],
    ),
    ("Canonical", "UbuntuServer", &["16.04-LTS", "18.04-LTS-gen2"]),
    ("Canonical", "0001-com-ubuntu-server-focal", &["20_04-lts", "20_04-lts-gen2"]),
    ("Canonical", "0001-com-ubuntu-pro-bionic", &["pro-18_04-lts"]),
    ("Canonical", "0001-com-ubuntu-server-jammy", &["22_04-lts", "22_04-lts-gen2"]),
    ("Canonical", "ubuntu-24_04-lts", &["server", "server-gen1"]),
    ("RedHat", "RHEL", &["8.", "9.", "7-LVM", "8-LVM", "9-LVM", "7lvm-gen2", "8-lvm-gen2", "9-lvm-gen2"]),
    ("SUSE", "sles-12-sp5", &["gen1", "gen2"]),
    ("SUSE", "sles-15-sp5", &["gen1", "gen2"]),
    ("SUSE", "sles-15-sp6", &["gen1", "gen2"]),
    ("Oracle", "Oracle-Linux", &["ol7.", "ol8.", "ol9."]),
    ("almalinux", "almalinux-x86_64", &["8-gen1", "8-gen2", "9-gen1", "9-gen2"]),
    ("Debian", "debian-11", &["11", "11-gen2"]),
    ("Debian", "debian-12", &["12", "12-gen2"]),
    (
        "MicrosoftWindowsServer",
        "WindowsServer",
        &[
            "2008-R2-SP1",
            "2012-R2-Datacenter-gensecond",
            "2016-Datacenter-gensecond",
            "2016-Datacenter-smalldisk",
            "2019-Datacenter-gensecond",
            "2019-Datacenter-smalldisk",
            "2022-Datacenter",
            "2022-Datacenter-Core",
            "2022-Datacenter-g2",
            "2022-Datacenter-Azure-Edition",
            "2022-Datacenter-Azure-Edition-Core",
            "2025-Datacenter",
            "2025-Datacenter-g2",
            "2025-Datacenter-Azure-Edition",
        ],
    ),
];

impl Image {
    /// Whether Nightshift knows how to patch machines made from this image.
    pub fn is_supported(&self) -> bool {
        SUPPORTED_IMAGES
            .iter()
            .any(|(publisher, offer, skus)| skus.iter().any(|sku| self.is_of(publisher, offer, sku)))
    }

    /// Whether this is the image that the other one, of a list, stands for.
    pub(crate) fn is(&self, listed: &Image) -> bool {
        self.is_of(&listed.publisher, &listed.offer, &listed.sku)
    }

    /// Without case, as in Azure; a SKU that ends with a dot stands for a whole major version (`7.`).
    fn is_of(&self, publisher: &str, offer: &str, sku: &str) -> bool {
        let begins =
            |text: &str| self.sku.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
        self.publisher.eq_ignore_ascii_case(publisher)
            && self.offer.eq_ignore_ascii_case(offer)
            && if sku.ends_with('.') { begins(sku) } else { self.sku.eq_ignore_ascii_case(sku) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Topology;

    fn image(publisher: &str, offer: &str, sku: &str) -> Image {
        Image { publisher: publisher.into(), offer: offer.into(), sku: sku.into() }
    }

    #[test]
    fn the_references_images_are_known_and_others_can_be_declared() {
        for good in [
            image("Canonical", "UbuntuServer", "18.04-LTS"),
            image("redhat", "rhel", "7.8"),
            image("MicrosoftWindowsServer", "WindowsServer", "2019-datacenter"),
        ] {
            assert!(good.is_supported(), "{good:?}");
        }
        let own = image("own", "golden", "3.4");
        assert!(!own.is_supported() && !image("RedHat", "RHEL", "10.0").is_supported());
        let topology = Topology::empty().with_images(vec![image("Own", "Golden", "3.")]);
        assert!(topology.supports(&own));
        assert!(!topology.supports(&image("own", "golden", "4.0")));
    }
}
