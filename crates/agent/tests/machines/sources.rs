//! Sources that are gone, or answer with a proxy's page. With apt: tests/apt/doctor.rs.

use crate::machine::Machine;
use nightshift_machines::Manager;

#[test]
fn dnf_goes_on_as_long_as_one_source_answers() {
    let machine = Machine::new(Manager::Dnf);
    machine.shell(
        "mkdir -p /tmp/page/repodata; echo '<html><body>Sign in</body></html>' > /tmp/page/repodata/repomd.xml; \
         printf '[page]\nname=page\nbaseurl=file:///tmp/page\n[gone]\nname=gone\nbaseurl=file:///no/such\n' \
         > /etc/yum.repos.d/bad.repo",
    );
    let warnings: Vec<String> = machine.ask("refresh", None).unwrap();
    let text = warnings.join("\n");
    assert!(text.contains("'page'") && text.contains("'gone'"), "{text}");
    let assessment = machine.assess();
    assert!(assessment.critical_and_security() > 10, "{assessment:?}");
    assert!(assessment.warnings.iter().any(|warning| warning.contains("left out")), "{assessment:?}");
    machine.shell("rm -rf /etc/yum.repos.d/fx.repo /var/cache/dnf");
    let error = machine.ask::<serde_json::Value>("assess", None).unwrap_err();
    assert!(error.contains("no package source answers"), "{error}");
}

#[test]
fn zypper_goes_on_as_long_as_one_source_answers() {
    let machine = Machine::new(Manager::Zypper);
    machine.shell(
        "mkdir -p /tmp/page/repodata; echo '<html><body>Sign in</body></html>' > /tmp/page/repodata/repomd.xml; \
         for source in page:/tmp/page gone:/no/such; do name=${source%%:*}; \
         printf '[%s]\\nname=%s\\nenabled=1\\nautorefresh=1\\nbaseurl=dir:%s\\ntype=rpm-md\\ngpgcheck=0\\n' \
         $name $name ${source#*:} > /etc/zypp/repos.d/$name.repo; done",
    );
    let warnings: Vec<String> = machine.ask("refresh", None).unwrap();
    let text = warnings.join("\n");
    // zypper takes the page for an index; nobody else does.
    assert!(text.contains("'page'") && text.contains("Sign in") && text.contains("'gone'"), "{text}");
    let assessment = machine.assess();
    assert!(assessment.critical_and_security() > 10, "{assessment:?}");
    assert!(assessment.warnings.iter().any(|warning| warning.contains("'page'")), "{assessment:?}");
    machine.shell("rm /etc/zypp/repos.d/fx-* /etc/zypp/repos.d/gone.repo");
    let error = machine.ask::<serde_json::Value>("assess", None).unwrap_err();
    assert!(error.contains("no package source answers"), "{error}");
    machine.shell("rm /etc/zypp/repos.d/*");
    let error = machine.ask::<serde_json::Value>("assess", None).unwrap_err();
    assert!(error.contains("no package source is defined"), "{error}");
}
