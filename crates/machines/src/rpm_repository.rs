//! Two tiny rpm repositories, what machines were made from and the updates to it with their advisories: packages that
//! behave in every way that packages do.

use crate::run;
use anyhow::Context as _;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repositories `base` and `updates` below one folder.
#[derive(Debug, Clone)]
pub struct RpmRepository {
    root: PathBuf,
}

/// One package at one version.
#[derive(Default)]
struct Package {
    name: &'static str,
    version: &'static str,
    /// More lines of its head.
    head: &'static str,
    /// What runs before its install, and after.
    pre: &'static str,
    post: &'static str,
    /// The advisory that its version came with: kind, severity, and whether it wants a reboot.
    advisory: Option<(&'static str, &'static str, bool)>,
}

/// Packages that the image has at 1.0.
pub(crate) const INSTALLED: [&str; 18] = [
    "fx-sh",
    "fx-sec",
    "fx-plain",
    "fx-both",
    "fx-crit",
    "fx-lib",
    "fx-app",
    "fx-newdep",
    "fx-fail",
    "fx-pre",
    "fx-slow",
    "fx-kernel",
    "fx-held",
    "fx-conflict",
    "fx-victim",
    "fx-broken",
    "linux-firmware",
    "fx-low",
];

const BUG: Option<(&str, &str, bool)> = Some(("bugfix", "None", false));
const IMPORTANT: Option<(&str, &str, bool)> = Some(("security", "Important", false));

/// What there is newer than 1.0.
fn newer() -> Vec<Package> {
    let package = |name, advisory| Package { name, version: "1.1", advisory, ..Package::default() };
    let unless_told = "[ -e /etc/fx-fail-ok ] || { echo boom >&2; exit 1; }";
    // For as long as its file says, and for as long as it is held.
    let takes_time = "echo once >> /run/fx-slow-started; echo once >> /var/log/fx-slow-runs\n\
        sleep \"$(cat /etc/fx-slow-seconds 2>/dev/null || echo 0)\"\n\
        while [ -e /etc/fx-slow-hold ]; do sleep 0.05; done";
    vec![
        package("fx-sec", IMPORTANT),
        package("fx-plain", BUG),
        package("fx-crit", Some(("security", "Critical", false))),
        package("fx-low", Some(("security", "Low", false))),
        // The security fix hides behind a newer version that is none.
        package("fx-both", Some(("security", "Moderate", false))),
        Package { version: "1.2", ..package("fx-both", BUG) },
        // A security fix that needs a plain update, and one that needs a package that is not there.
        Package { head: "Requires: fx-lib >= 1.1\n", ..package("fx-app", IMPORTANT) },
        package("fx-lib", BUG),
        Package { head: "Requires: fx-newpkg-2\n", ..package("fx-newdep", IMPORTANT) },
        package("fx-newpkg-2", None),
        // A script that fails after the install is a warning to rpm, one before it ends it.
        Package { post: unless_told, ..package("fx-fail", IMPORTANT) },
        Package { pre: unless_told, ..package("fx-pre", IMPORTANT) },
        Package { post: takes_time, ..package("fx-slow", IMPORTANT) },
        // The patch asks for a reboot (zypper); the package's name does (dnf).
        package("fx-kernel", Some(("security", "Critical", true))),
        package("linux-firmware", IMPORTANT),
        package("fx-held", IMPORTANT),
        Package { head: "Conflicts: fx-victim\n", ..package("fx-conflict", IMPORTANT) },
        Package { head: "Requires: fx-nowhere\n", ..package("fx-broken", IMPORTANT) },
    ]
}

impl RpmRepository {
    /// Builds the repositories in this folder.
    pub fn build(root: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(root).with_context(|| root.display().to_string())?;
        let root = &root.canonicalize()?;
        let scratch = root.join("build");
        let base = INSTALLED.iter().map(|name| Package {
            name,
            version: "1.0",
            head: match *name {
                "fx-app" => "Requires: fx-lib\n",
                // What every package with a script needs, and no fixture would have.
                "fx-sh" => "Provides: /bin/sh\n",
                _ => "",
            },
            ..Package::default()
        });
        for (folder, packages) in [("base", base.collect()), ("updates", newer())] {
            build(&packages, &scratch, &root.join(folder))?;
        }
        fs::remove_dir_all(&scratch)?;
        fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Where they are.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Builds the packages and their index.
fn build(packages: &Vec<Package>, scratch: &Path, into: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(into)?;
    fs::create_dir_all(scratch)?;
    let define = |name: &str, value: String| ["--define".to_owned(), format!("{name} {value}")];
    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.args(["-bb", "--quiet"]);
    rpmbuild.args(define("_topdir", scratch.join("top").display().to_string()));
    rpmbuild.args(define("_rpmdir", into.display().to_string()));
    rpmbuild.args(define("_rpmfilename", "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm".to_owned()));
    rpmbuild.args(define("_build_id_links", "none".to_owned()));
    rpmbuild.args(define("_binary_payload", "w0.gzdio".to_owned()));
    for package in packages {
        let spec = scratch.join(format!("{}-{}.spec", package.name, package.version));
        fs::write(&spec, package.spec())?;
        rpmbuild.arg(&spec);
    }
    run(&mut rpmbuild).context("rpmbuild (Debian's package rpm) is needed")?;
    run(Command::new("createrepo_c").arg("-q").arg(into)).context("createrepo_c is needed")?;
    let advisories = advisories(packages)?;
    if !advisories.is_empty() {
        let list = scratch.join("updateinfo.xml");
        let text = format!("<?xml version='1.0' encoding='UTF-8'?><updates>{advisories}</updates>");
        fs::write(&list, text)?;
        run(Command::new("modifyrepo_c").arg(&list).arg(into.join("repodata")))?;
    }
    Ok(())
}

fn advisories(packages: &[Package]) -> anyhow::Result<String> {
    let mut text = String::new();
    for (number, Package { name, version, advisory, .. }) in packages.iter().enumerate() {
        let Some((kind, severity, reboot)) = advisory else { continue };
        let reboot = if *reboot { "<reboot_suggested>True</reboot_suggested>" } else { "" };
        let date = "date='2026-01-01 00:00:00'";
        write!(
            text,
            "<update from='fx' status='stable' type='{kind}' version='1'><id>FX-{number}</id>\
             <title>FX-{number} {name}</title><severity>{severity}</severity><issued {date}/><updated {date}/>\
             <description>{name}\nConflicts   : fx-victim &lt; 9-1</description>\
             <references/><pkglist><collection short='u'><name>updates</name>\
             <package name='{name}' version='{version}' release='1' epoch='0' arch='noarch' \
             src='{name}-{version}-1.src.rpm'><filename>{name}-{version}-1.noarch.rpm</filename>{reboot}</package>\
             </collection></pkglist></update>"
        )?;
    }
    Ok(text)
}

impl Package {
    fn spec(&self) -> String {
        let Self { name, version, head, pre, post, .. } = self;
        let script = |kind: &str, text: &str| match text {
            "" => String::new(),
            text => format!("%{kind} -p /bin/sh\n{text}\n"),
        };
        format!(
            "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: fixture\nLicense: none\nBuildArch: noarch\n\
             {head}%description\nfixture\n%install\nmkdir -p %{{buildroot}}/usr/share/{name}\n\
             echo {name} {version} > %{{buildroot}}/usr/share/{name}/version\n%files\n/usr/share/{name}\n{}{}",
            script("pre", pre),
            script("post", post)
        )
    }
}
