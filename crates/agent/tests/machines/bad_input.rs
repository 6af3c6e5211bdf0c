//! A package manager that talks nonsense, a disk that is full where a package goes, ten thousand pending patches: each ends
//! in a clear state with its reason, and nothing half-done is forgotten.

use crate::machine::{Machine, detail, states};
use nightshift_agent::report::Body;
use nightshift_domain::agent::{Requirement, RequirementState};
use nightshift_domain::event::Order;
use nightshift_domain::patch::Classification::Security;
use nightshift_domain::patch::PatchState::{Failed, Installed};
use nightshift_domain::selection::Mask;
use nightshift_machines::Manager;

const PAGE: &str = "<html><body>Sign in to the network</body></html>";

/// What an order finds out about one requirement.
fn told(machine: &Machine, code: &str) -> Option<Requirement> {
    let found = |body: Body| match body {
        Body::Checked(found) => found.into_iter().find(|requirement| requirement.code == code),
        _ => None,
    };
    machine.reports().into_iter().rev().find_map(|report| found(report.body))
}

/// The program that changes and the one that knows what is installed, each replaced for one order.
fn talks_nonsense(manager: Manager, programs: [&str; 2]) {
    let machine = Machine::new(manager);
    let answers = [format!("echo '{PAGE}'"), "echo 'Segmentation fault' >&2; kill -SEGV $$".to_owned()];
    let mut number = 0;
    for (program, answer) in
        programs.iter().flat_map(|program| answers.iter().map(move |text| (program, text)))
    {
        number += 1;
        machine.shell(&format!(
            "mv /usr/bin/{program} /usr/bin/{program}.true; printf '#!/bin/sh\\n%s\\n' \"{answer}\" > /usr/bin/{program}; \
             chmod 755 /usr/bin/{program}"
        ));
        let result = machine.carry_out(&machine.order(&format!("o-{number}")));
        machine.shell(&format!("mv /usr/bin/{program}.true /usr/bin/{program}"));
        let what = format!("{program}: {answer}: {result:?}");
        let error = result.error.as_ref().unwrap_or_else(|| panic!("{what}"));
        // It names who talks, or quotes what was said.
        let speaks = [*program, "rpm", "dnf", "zypper", "apt", "Sign in", "Segmentation fault"];
        assert!(speaks.iter().any(|words| error.contains(words)), "{what}");
        assert_eq!(machine.installed("fx-sec"), "1.0", "{what}");
        assert!(result.patches.is_empty(), "{what}");
    }
    let result = machine.carry_out(&machine.order("o-9"));
    assert_eq!((&result.error, machine.installed("fx-sec").as_str()), (&None, "1.1"), "{result:?}");
    assert_eq!(told(&machine, "PackageManagerWorks").unwrap().state, RequirementState::Met);
}

#[test]
fn an_apt_that_talks_nonsense_ends_the_order_with_that_reason() {
    talks_nonsense(Manager::Apt, ["apt-get", "dpkg-query"]);
}

#[test]
fn a_dnf_that_talks_nonsense_ends_the_order_with_that_reason() {
    talks_nonsense(Manager::Dnf, ["dnf", "rpm"]);
}

#[test]
fn a_zypper_that_talks_nonsense_ends_the_order_with_that_reason() {
    talks_nonsense(Manager::Zypper, ["zypper", "rpm"]);
}

/// One package's files lie on a disk that has no room, the other's do not.
fn has_no_room(manager: Manager) {
    let machine = Machine::new(manager);
    machine.shell(
        "mount -t tmpfs -o size=4k tmpfs /usr/share/fx-sec; yes > /usr/share/fx-sec/filler; mkdir -p /usr/share/fx-both",
    );
    let mut order = machine.order("o-1");
    order.selection.include = ["fx-sec", "fx-both"].map(|name| Mask::new(name).unwrap()).to_vec();
    let result = machine.carry_out(&order);
    assert_eq!(states(&result)["fx-both"], Installed, "{result:?}");
    assert_eq!(states(&result)["fx-sec"], Failed, "{result:?}");
    let why = detail(&result, "fx-sec");
    assert!(why.contains("space") || why.contains("needs"), "{why}");
    // Room is made: the next order ends what this one could not.
    machine.shell("umount /usr/share/fx-sec");
    let result = machine.carry_out(&Order { id: "o-2".parse().unwrap(), ..order });
    assert_eq!(states(&result)["fx-sec"], Installed, "{result:?}");
    assert_eq!((machine.installed("fx-sec").as_str(), machine.half_done().len()), ("1.1", 0));
}

#[test]
fn a_full_disk_fails_with_apt_what_does_not_fit_and_nothing_else() {
    has_no_room(Manager::Apt);
}

#[test]
fn a_full_disk_fails_with_dnf_what_does_not_fit_and_nothing_else() {
    has_no_room(Manager::Dnf);
}

#[test]
fn a_full_disk_fails_with_zypper_what_does_not_fit_and_nothing_else() {
    has_no_room(Manager::Zypper);
}

const MANY: usize = 10_000;

/// Ten thousand installed packages, each with a security fix in the news that is not to be had.
fn many(manager: Manager) -> String {
    let apt = "cd /tmp; mkdir many; cat /var/lib/dpkg/status > status; \
        seq 0 9999 | awk '{ \
          printf \"Package: fx-many-%d\\nStatus: install ok installed\\nMaintainer: t <t@t>\\nArchitecture: all\\nVersion: 1.0\\nDescription: x\\n\\n\", $1 >> \"status\"; \
          printf \"Package: fx-many-%d\\nMaintainer: t <t@t>\\nArchitecture: all\\nVersion: 1.1\\nFilename: ./fx-many-%d.deb\\nSize: 9\\nSHA256: 0000000000000000000000000000000000000000000000000000000000000000\\nDescription: x\\n\\n\", $1, $1 > \"many/Packages\" }'; \
        cp status /var/lib/dpkg/status; \
        (echo 'Origin: Debian'; echo 'Label: Debian-Security'; echo 'Suite: stable-security'; \
         echo 'Date: Thu, 01 Jan 2026 00:00:00 +0000'; echo 'SHA256:'; \
         echo \" $(sha256sum < many/Packages | cut -d' ' -f1) $(stat -c %s many/Packages) Packages\") > many/Release; \
        echo 'deb [trusted=yes] file:/tmp/many ./' >> /etc/apt/sources.list; apt-get -qq update";
    let rpm = "cd /tmp; mkdir many new; \
        (printf 'Name: fx-many\\nVersion: 1.0\\nRelease: 1\\nSummary: x\\nLicense: x\\nBuildArch: noarch\\n%%description\\nx\\n'; \
         seq 0 9999 | awk '{ printf \"%%package -n fx-many-%d\\nSummary: x\\n%%description -n fx-many-%d\\nx\\n%%files -n fx-many-%d\\n\", $1, $1, $1 }') > many.spec; \
        rpmbuild -bb --quiet --define '_topdir /tmp/top' --define '_rpmdir /tmp/many' \
          --define '_rpmfilename %%{NAME}.rpm' --define '_build_id_links none' --define '_binary_payload w0.gzdio' many.spec; \
        find many -name '*.rpm' > list; rpm -i --justdb --nodeps --nosignature --nodigest list; \
        createrepo_c -q many; zcat many/repodata/*primary.xml.gz | sed 's/ver=\"1.0\"/ver=\"1.1\"/g' > primary.xml; \
        rm -rf many/repodata; createrepo_c -q new; modifyrepo_c --mdtype primary primary.xml new/repodata; \
        (echo \"<updates><update from='fx' status='stable' type='security' version='1'><id>FX-MANY</id><title>x</title><severity>Important</severity>\"; \
         echo \"<issued date='2026-01-01 00:00:00'/><updated date='2026-01-01 00:00:00'/><description>x</description><references/><pkglist><collection short='u'><name>u</name>\"; \
         seq 0 9999 | awk '{ printf \"<package name=\\\"fx-many-%d\\\" version=\\\"1.1\\\" release=\\\"1\\\" epoch=\\\"0\\\" arch=\\\"noarch\\\"><filename>fx-many-%d.rpm</filename></package>\\n\", $1, $1 }'; \
         echo '</collection></pkglist></update></updates>') > updateinfo.xml; modifyrepo_c updateinfo.xml new/repodata; ";
    match manager {
        Manager::Apt => apt.to_owned(),
        Manager::Dnf => format!(
            "{rpm} printf '[many]\\nname=many\\nbaseurl=file:///tmp/new\\ngpgcheck=0\\n' > /etc/yum.repos.d/many.repo; dnf -q makecache"
        ),
        Manager::Zypper => format!(
            "{rpm} printf '[many]\\nname=many\\nenabled=1\\nautorefresh=1\\nbaseurl=dir:/tmp/new\\ntype=rpm-md\\ngpgcheck=0\\n' \
             > /etc/zypp/repos.d/many.repo; zypper -q -n refresh"
        ),
    }
}

/// What an order makes of so many is the engine's (engine/tests/night.rs); here they are seen and classified.
fn are_all_seen(manager: Manager) {
    let machine = Machine::new(manager);
    let made = machine.shell(&many(manager));
    let assessment = machine.assess();
    let many = assessment.patches.iter().filter(|patch| patch.name.starts_with("fx-many-"));
    let sound = many.clone().filter(|patch| patch.classification == Security && patch.obstacle.is_none());
    assert_eq!((many.count(), sound.count()), (MANY, MANY), "{made}\n{:?}", assessment.warnings);
    assert!(assessment.patches.iter().any(|patch| patch.name == "fx-sec"));
}

#[test]
fn ten_thousand_pending_patches_are_seen_with_apt() {
    are_all_seen(Manager::Apt);
}

#[test]
fn ten_thousand_pending_patches_are_seen_with_dnf() {
    are_all_seen(Manager::Dnf);
}

#[test]
fn ten_thousand_pending_patches_are_seen_with_zypper() {
    are_all_seen(Manager::Zypper);
}
