//! A tiny Debian archive of packages that behave in every way that packages do.

use crate::run;
use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An archive with the suites of a Debian release: what the image was made from, updates, and security.
#[derive(Debug, Clone)]
pub struct AptRepository {
    root: PathBuf,
}

/// Folder, suite and label of each part of the archive.
pub(crate) const SUITES: [(&str, &str, &str); 3] = [
    ("base", "stable", "Debian"),
    ("updates", "stable-updates", "Debian"),
    ("security", "stable-security", "Debian-Security"),
];

#[derive(Default)]
struct Package {
    folder: &'static str,
    name: &'static str,
    version: &'static str,
    control: &'static str,
    postinst: &'static str,
    conffile: &'static str,
}

/// Packages that the image has at 1.0.
pub(crate) const INSTALLED: [&str; 14] = [
    "fx-sec",
    "fx-plain",
    "fx-both",
    "fx-newdep",
    "fx-fail",
    "fx-kernel",
    "fx-slow",
    "fx-held",
    "fx-phased",
    "fx-conflict",
    "fx-victim",
    "fx-lib",
    "fx-app",
    "fx-conf",
];

/// What there is newer than 1.0.
fn newer() -> Vec<Package> {
    let package = |folder, name, version| Package { folder, name, version, ..Package::default() };
    let fails = "[ -e \"$DPKG_ROOT/etc/fx-fail-ok\" ] || { echo 'fx-fail: boom' >&2; exit 1; }";
    let asks_for_a_reboot = "mkdir -p \"$DPKG_ROOT/run\"\n\
        echo '*** System restart required ***' > \"$DPKG_ROOT/run/reboot-required\"\n\
        echo fx-kernel >> \"$DPKG_ROOT/run/reboot-required.pkgs\"";
    // For as long as its file says, and for as long as it is held.
    let takes_time = "mkdir -p \"$DPKG_ROOT/run\"; echo once >> \"$DPKG_ROOT/run/fx-slow-started\"\n\
        echo once >> \"$DPKG_ROOT/var/log/fx-slow-runs\"\n\
        sleep \"$(cat \"$DPKG_ROOT/etc/fx-slow-seconds\" 2>/dev/null || echo 0)\"\n\
        while [ -e \"$DPKG_ROOT/etc/fx-slow-hold\" ]; do sleep 0.05; done";
    vec![
        package("security", "fx-sec", "1.1"),
        package("updates", "fx-plain", "1.1"),
        // The security fix hides behind a newer version that is none.
        package("security", "fx-both", "1.1"),
        package("updates", "fx-both", "1.2"),
        // A security fix that needs a plain update.
        Package { control: "Depends: fx-lib (>= 1.1)\n", ..package("security", "fx-app", "1.1") },
        package("updates", "fx-lib", "1.1"),
        // One that needs a package that is not installed, as kernels do.
        Package { control: "Depends: fx-newpkg-2\n", ..package("security", "fx-newdep", "1.1") },
        package("security", "fx-newpkg-2", "2.0"),
        Package { postinst: fails, ..package("security", "fx-fail", "1.1") },
        Package { postinst: asks_for_a_reboot, ..package("security", "fx-kernel", "1.1") },
        Package { postinst: takes_time, ..package("security", "fx-slow", "1.1") },
        package("security", "fx-held", "1.1"),
        Package { control: "Phased-Update-Percentage: 0\n", ..package("updates", "fx-phased", "1.1") },
        // Would remove fx-victim.
        Package { control: "Conflicts: fx-victim\n", ..package("security", "fx-conflict", "1.1") },
        Package { conffile: "setting=2", ..package("security", "fx-conf", "1.1") },
    ]
}

impl AptRepository {
    /// Builds the archive in this folder.
    pub fn build(root: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(root).with_context(|| root.display().to_string())?;
        let root = &root.canonicalize()?;
        let scratch = root.join("build");
        let installed = INSTALLED.iter().map(|name| Package {
            folder: "base",
            name,
            version: "1.0",
            control: if *name == "fx-app" { "Depends: fx-lib\n" } else { "" },
            conffile: if *name == "fx-conf" { "setting=1" } else { "" },
            ..Package::default()
        });
        let packages: Vec<Package> = installed.chain(newer()).collect();
        for (folder, suite, label) in SUITES {
            fs::create_dir_all(root.join(folder))?;
            let mut index = String::new();
            for package in packages.iter().filter(|package| package.folder == folder) {
                index.push_str(&package.build(&scratch, root)?);
            }
            fs::write(root.join(folder).join("Packages"), &index)?;
            fs::write(root.join(folder).join("Release"), release(suite, label, &index)?)?;
        }
        fs::remove_dir_all(&scratch)?;
        fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The sources.list that names nothing else.
    pub(crate) fn sources(&self) -> String {
        let line = |(folder, _, _): &(&str, &str, &str)| {
            format!("deb [trusted=yes] file:{}/{folder} ./\n", self.root.display())
        };
        SUITES.iter().map(line).collect()
    }
}

impl Package {
    /// Builds the .deb and returns its entry for the index.
    fn build(&self, scratch: &Path, root: &Path) -> anyhow::Result<String> {
        let Self { folder, name, version, control, .. } = self;
        let tree = scratch.join(format!("{name}-{version}"));
        let debian = tree.join("DEBIAN");
        fs::create_dir_all(&debian)?;
        // dpkg-deb takes no other, whatever the umask.
        fs::set_permissions(&debian, fs::Permissions::from_mode(0o755))?;
        fs::create_dir_all(tree.join("usr/share").join(name))?;
        fs::write(tree.join("usr/share").join(name).join("version"), format!("{name} {version}\n"))?;
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nightshift <tests@example.invalid>\n\
             {control}Description: fixture\n"
        );
        fs::write(debian.join("control"), &control)?;
        if !self.postinst.is_empty() {
            let script = format!("#!/bin/sh\n[ \"$1\" = configure ] || exit 0\n{}\n", self.postinst);
            fs::write(debian.join("postinst"), script)?;
            fs::set_permissions(debian.join("postinst"), fs::Permissions::from_mode(0o755))?;
        }
        if !self.conffile.is_empty() {
            fs::create_dir_all(tree.join("etc"))?;
            fs::write(tree.join(format!("etc/{name}.conf")), format!("{}\n", self.conffile))?;
            fs::write(debian.join("conffiles"), format!("/etc/{name}.conf\n"))?;
        }
        let file = format!("{name}_{version}.deb");
        let path = root.join(folder).join(&file);
        run(Command::new("dpkg-deb").args(["-Znone", "--root-owner-group", "--build"]).arg(&tree).arg(&path))
            .context("dpkg-deb is needed: this runs on Debian and Ubuntu")?;
        let bytes = fs::read(&path)?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        Ok(format!("{control}Filename: ./{file}\nSize: {}\nSHA256: {sha256}\n\n", bytes.len()))
    }
}

fn release(suite: &str, label: &str, index: &str) -> anyhow::Result<String> {
    let date = run(Command::new("date").args(["--utc", "--rfc-email"]))?;
    let mut text = String::new();
    write!(
        text,
        "Origin: Debian\nLabel: {label}\nSuite: {suite}\nCodename: {suite}\nVersion: 12\nDate: {}\n\
         Architectures: all amd64\nComponents: main\nSHA256:\n {} {} Packages\n",
        String::from_utf8_lossy(&date.stdout).trim(),
        hex::encode(Sha256::digest(index)),
        index.len()
    )?;
    Ok(text)
}
