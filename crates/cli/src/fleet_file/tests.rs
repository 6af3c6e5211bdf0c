use super::*;

const GOOD: &str = r#"[[region]]
name = "west"
time_zone = "Europe/Amsterdam"
zones = ["west-1"]

[[region]]
name = "east"
time_zone = "Europe/Warsaw"
pair = "west"

[[subscription]]
name = "retail"
features = ["InGuestAutoPatchVMPreview"]

[[image]]
name = "ubuntu"
os = "Linux"
publisher = "Canonical"
offer = "UbuntuServer"
sku = "18.04-LTS"

[[vms]]
prefix = "web"
count = 3
region = "west"
subscription = "retail"
resource_group = "rg"
image = "ubuntu"
patch_mode = "AutomaticByPlatform"
zones = ["west-1"]
powered_off = 1

[[vms]]
prefix = "db"
count = 2
region = "east"
subscription = "retail"
resource_group = "rg"
image = "ubuntu"
patch_mode = "AutomaticByPlatform"
"#;

/// What is said of a text with one thing replaced.
fn error_of(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    format!("{:#}", parse(&text.replacen(from, to, 1)).unwrap_err())
}

#[test]
fn a_group_expands_to_its_vms() {
    let fleet = parse(GOOD).unwrap();
    let ids: Vec<_> = fleet.vms.iter().map(|vm| vm.id.as_str()).collect();
    assert_eq!(ids, ["web-01", "web-02", "web-03", "db-01", "db-02"]);
    assert_eq!(fleet.powered_off.len(), 1);
}

#[test]
fn the_example_fleet_is_good_and_of_the_promised_size() {
    let fleet = parse(include_str!("../../../../examples/fleet.toml")).unwrap();
    assert_eq!(fleet.topology.regions.len(), 6);
    assert!((250..=350).contains(&fleet.vms.len()), "{}", fleet.vms.len());
}

#[test]
fn each_mistake_is_named_with_its_line_field_and_value() {
    let cases = [
        ("pair = \"west\"", "pair = \"wset\"", 9, "region \"east\": pair = \"wset\" is not a region"),
        ("pair = \"west\"", "pair = \"east\"", 9, "region \"east\": pair = \"east\" is the region itself"),
        ("Europe/Amsterdam", "Europe/Amsterdm", 3, "time_zone = \"Europe/Amsterdm\""),
        ("time_zone = \"Europe/Warsaw\"\n", "", 7, "region \"east\": time_zone is missing"),
        ("name = \"east\"", "name = \"west\"", 7, "region \"west\" is declared twice, first in line 2"),
        ("region = \"west\"", "region = \"nowhere\"", 25, "region = \"nowhere\" is not a region"),
        (
            "zones = [\"west-1\"]\npowered",
            "zones = [\"west-9\"]\npowered",
            30,
            "zones = \"west-9\" is not a zone of region \"west\": \"west-1\"",
        ),
        (
            "powered_off = 1",
            "availability_set = { name = \"set\", update_domains = 2 }",
            31,
            "zones = \"west-1\" and availability_set = \"set\"",
        ),
        (
            "zones = [\"west-1\"]\npowered_off = 1",
            "availability_set = { name = \"set\", update_domains = 0 }",
            30,
            "update_domains = 0",
        ),
        (
            "powered_off = 1",
            "window = { start = \"22:00\", end = \"22:00\" }",
            31,
            "window 22:00–22:00 has no length",
        ),
        ("powered_off = 1", "window = { start = \"22:00\", end = \"6h\" }", 31, "window end = \"6h\""),
        (
            "[[region]]",
            "[window]\nstart = \"22:00\"\nend = \"22:00\"\n[[region]]",
            3,
            "window 22:00–22:00 has no length",
        ),
        (
            "prefix = \"db\"",
            "prefix = \"web\"",
            34,
            "VM \"web-01\" is declared twice, first by the group of line 23",
        ),
        (
            "subscription = \"retail\"",
            "subscription = \"bank\"",
            26,
            "subscription = \"bank\" is not declared",
        ),
        ("image = \"ubuntu\"", "image = \"debian\"", 28, "image = \"debian\" is not declared"),
        ("AutomaticByPlatform", "Manual", 29, "patch_mode = Manual is for Windows only"),
        ("AutomaticByPlatform", "Sometimes", 29, "patch_mode = \"Sometimes\""),
        ("powered_off = 1", "automatic_updates = true", 31, "automatic_updates = true: is for Windows only"),
        ("prefix = \"web\"", "prefix = \"Web\"", 23, "prefix = \"Web\": VM \"Web-01\" is not an identifier"),
        ("name = \"retail\"", "name = \"Retail\"", 12, "name = \"Retail\": subscription \"Retail\" is not"),
        ("powered_off = 1", "powered_off = 4", 31, "powered_off = 4 is more than count = 3"),
        ("count = 3", "count = 4000000000", 24, "count = 4000000000: the fleet would have 4000000000 VMs"),
        ("count = 2", "count = 999998", 35, "count = 999998: the fleet would have 1000001 VMs"),
        ("count = 3", "cuont = 3", 24, "cuont = 3: unknown field"),
        ("count = 3", "count = \"three\"", 24, "count = \"three\""),
        ("count = 3", "count =", 24, "count ="),
    ];
    for (from, to, line, clue) in cases {
        let error = error_of(GOOD, from, to);
        assert!(error.starts_with(&format!("the fleet file, line {line}: ")), "{clue}: {error}");
        assert!(error.contains(clue), "{clue}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

const ON_AZURE: &str = r#"topology = "azure"

[[region]]
name = "westeurope"
pair = "germanywestcentral"

[[region]]
name = "our-cellar"
time_zone = "Europe/Berlin"
"#;

#[test]
fn every_shipped_topology_is_good() {
    let sizes: Vec<_> = SHIPPED
        .iter()
        .map(|(name, text)| {
            let topology = Regions::of_file(&Source::new(*name, *text)).map(|all| all.topology().unwrap());
            (*name, topology.unwrap().regions.len())
        })
        .collect();
    assert_eq!(sizes, [("azure", 59), ("aws", 34), ("gcp", 42), ("on-premises", 2)]);
}

#[test]
fn azure_has_its_pairs_zones_and_nights() {
    let topology = parse("topology = \"azure\"").unwrap().topology;
    let region = |name: &str| &topology.regions[&name.parse().unwrap()];
    let pair = |name| region(name).pair.as_ref().map(|pair| pair.as_str());
    for (one, other) in [("westeurope", "northeurope"), ("eastus", "westus"), ("japaneast", "japanwest")] {
        assert_eq!((pair(one), pair(other)), (Some(other), Some(one)));
    }
    let one_way = topology.regions.values().filter(|region| {
        region.pair.as_ref().is_some_and(|pair| topology.regions[pair].pair.as_ref() != Some(&region.name))
    });
    let one_way: Vec<_> = one_way.map(|region| region.name.as_str()).collect();
    assert_eq!(one_way, ["brazilsouth", "brazilsoutheast", "westindia", "westus3"]);
    assert_eq!(pair("brazilsouth"), Some("southcentralus"));
    assert_eq!(pair("westindia"), Some("southindia"));
    assert_eq!(pair("polandcentral"), None);
    let zones = |name| region(name).zones.iter().map(|zone| zone.as_str()).collect::<Vec<_>>();
    assert_eq!(zones("westeurope"), ["1", "2", "3"]);
    assert!(zones("westus").is_empty());
    assert_eq!(region("westus3").time_zone, chrono_tz::America::Phoenix);
}

#[test]
fn a_fleet_file_adds_to_a_topology_and_changes_it() {
    let topology = parse(ON_AZURE).unwrap().topology;
    assert_eq!(topology.regions.len(), 60);
    let changed = &topology.regions[&"westeurope".parse().unwrap()];
    assert_eq!(changed.pair, Some("germanywestcentral".parse().unwrap()));
    assert_eq!((changed.time_zone, changed.zones.len()), (chrono_tz::Europe::Amsterdam, 3));
    let error = error_of(ON_AZURE, "germanywestcentral", "germanywest");
    assert!(
        error.starts_with("the fleet file, line 5: region \"westeurope\": pair = \"germanywest\""),
        "{error}"
    );
    let error = error_of(ON_AZURE, "azure", "azur");
    assert!(error.starts_with("the fleet file, line 1: topology = \"azur\" is neither"), "{error}");
}

#[test]
fn a_topology_file_stands_beside_the_fleet_file_and_its_mistakes_are_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = folder.path().join("fleet.toml");
    std::fs::write(&fleet, "topology = \"sites.toml\"\n").unwrap();
    let missing = format!("{:#}", read(&fleet).unwrap_err());
    assert!(missing.contains("fleet.toml, line 1: topology = \"sites.toml\""), "{missing}");

    let good = SHIPPED.iter().find(|(name, _)| *name == "on-premises").unwrap().1;
    let sites = folder.path().join("sites.toml");
    std::fs::write(&sites, good).unwrap();
    let declared = read(&fleet).unwrap();
    assert_eq!(declared.topology.window.start_text(), "20:00");
    assert_eq!(declared.topology.images.len(), 1);

    for (from, to, clue) in [
        ("pair = \"fallback-site\"", "pair = \"nowhere\"", "pair = \"nowhere\" is not a region"),
        ("pair = \"fallback-site\"", "pair = \"headquarters\"", "is the region itself"),
        ("time_zone = \"Europe/Berlin\"", "time_zone = \"Europe/Bonn\"", "time_zone = \"Europe/Bonn\""),
        ("end = \"05:00\"", "end = \"20:00\"", "no length"),
        ("sku = \"3.\"", "sku = \"3.\"\nversion = 3", "version = 3: unknown field"),
    ] {
        let text = good.replacen(from, to, 1);
        let line = 1 + text.lines().position(|line| line.starts_with(to.lines().last().unwrap())).unwrap();
        std::fs::write(&sites, &text).unwrap();
        let error = format!("{:#}", read(&fleet).unwrap_err());
        assert!(error.contains(&format!("sites.toml, line {line}: ")) && error.contains(clue), "{error}");
    }
}

#[test]
fn an_image_of_ones_own_can_be_declared_as_supported() {
    let text = GOOD.replace("sku = \"18.04-LTS\"", "sku = \"golden\"\nsupported = true");
    let fleet = parse(&text).unwrap().into_fleet();
    assert!(fleet.vms.values().all(|vm| fleet.ineligible(vm).is_none()));
    let fleet = parse(&text.replace("supported = true", "")).unwrap().into_fleet();
    assert!(fleet.vms.values().all(|vm| fleet.ineligible(vm).is_some()));
}
