//! A small Debian-like archive, made with Debian's own tools: what can go wrong with patches, one package each.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// One package at one version.
#[derive(Default)]
struct Deb {
    name: &'static str,
    version: &'static str,
    /// More lines of its control file.
    control: &'static str,
    /// What its post-installation script does; `$R` is the machine's root.
    script: &'static str,
    /// The text of its configuration file.
    conffile: &'static str,
}

/// Suites and their labels, as Debian calls them.
const SUITES: [(&str, &str, &str); 3] = [
    ("base", "oldstable", "Debian"),
    ("updates", "oldstable-updates", "Debian"),
    ("security", "oldstable-security", "Debian-Security"),
];

/// What every machine has, at 1.0.
pub const INSTALLED: [&str; 14] = [
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

const FAILS: &str = r#"[ -e "$R/etc/fx-fail-ok" ] || { echo "fx-fail: boom" >&2; exit 1; }"#;
const WANTS_REBOOT: &str = r#"mkdir -p "$R/run"; echo required > "$R/run/reboot-required"; echo fx-kernel >> "$R/run/reboot-required.pkgs""#;
/// Runs until the test removes the file: no test has to guess how long.
const SLOW: &str =
    r#"echo started >> "$R/run/fx-slow-starts"; while [ -e "$R/etc/fx-slow-hold" ]; do sleep 0.05; done"#;

fn debs() -> Vec<(&'static str, Deb)> {
    let deb = |name, version| Deb { name, version, ..Deb::default() };
    let mut debs: Vec<(&str, Deb)> = INSTALLED.map(|name| ("base", deb(name, "1.0"))).into();
    debs.retain(|(_, deb)| !["fx-app", "fx-conf"].contains(&deb.name));
    debs.extend([
        ("base", Deb { control: "Depends: fx-lib\n", ..deb("fx-app", "1.0") }),
        ("base", Deb { conffile: "setting=1\n", ..deb("fx-conf", "1.0") }),
        ("security", deb("fx-sec", "1.1")),
        ("updates", deb("fx-plain", "1.1")),
        // A security fix hidden behind a newer version without one.
        ("security", deb("fx-both", "1.1")),
        ("updates", deb("fx-both", "1.2")),
        // A security fix that needs something that is none.
        ("security", Deb { control: "Depends: fx-lib (>= 1.1)\n", ..deb("fx-app", "1.1") }),
        ("updates", deb("fx-lib", "1.1")),
        ("security", Deb { control: "Depends: fx-newpkg-2\n", ..deb("fx-newdep", "1.1") }),
        ("security", deb("fx-newpkg-2", "2.0")),
        ("security", Deb { script: FAILS, ..deb("fx-fail", "1.1") }),
        ("security", Deb { script: WANTS_REBOOT, ..deb("fx-kernel", "1.1") }),
        ("security", Deb { script: SLOW, ..deb("fx-slow", "1.1") }),
        ("security", deb("fx-held", "1.1")),
        ("updates", Deb { control: "Phased-Update-Percentage: 0\n", ..deb("fx-phased", "1.1") }),
        ("security", Deb { control: "Conflicts: fx-victim\n", ..deb("fx-conflict", "1.1") }),
        ("security", Deb { conffile: "setting=2\n", ..deb("fx-conf", "1.1") }),
    ]);
    debs
}

/// The archive; made once per run of the tests.
pub fn archive() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let folder = own_folder("archive");
        for (suite, _, _) in SUITES {
            fs::create_dir_all(folder.join(suite)).unwrap();
        }
        let trees = tempfile::tempdir().unwrap();
        debs().iter().for_each(|(suite, deb)| build(deb, trees.path(), &folder.join(suite)));
        SUITES.iter().for_each(|(folder_name, suite, label)| index(&folder.join(folder_name), suite, label));
        folder
    })
}

/// A folder of this run of the tests; those of runs that are over are removed.
pub fn own_folder(kind: &str) -> PathBuf {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(parent).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let run = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-'));
        if run.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
    let folder = parent.join(format!("{kind}-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    folder
}

fn build(deb: &Deb, trees: &Path, into: &Path) {
    let Deb { name, version, control, script, conffile } = deb;
    let tree = trees.join(format!("{name}_{version}"));
    let (debian, share) = (tree.join("DEBIAN"), tree.join("usr/share").join(name));
    fs::create_dir_all(&debian).unwrap();
    fs::create_dir_all(&share).unwrap();
    fs::set_permissions(&debian, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(share.join("version"), version).unwrap();
    let head = format!("Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: t <t@t>\n");
    fs::write(debian.join("control"), format!("{head}{control}Description: fixture\n")).unwrap();
    if !script.is_empty() {
        let path = debian.join("postinst");
        let text = format!("#!/bin/sh\nR=\"${{DPKG_ROOT:-}}\"\n[ \"$1\" = configure ] || exit 0\n{script}\n");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    if !conffile.is_empty() {
        fs::create_dir_all(tree.join("etc")).unwrap();
        fs::write(tree.join(format!("etc/{name}.conf")), conffile).unwrap();
        fs::write(debian.join("conffiles"), format!("/etc/{name}.conf\n")).unwrap();
    }
    let file = into.join(format!("{name}_{version}.deb"));
    run(Command::new("dpkg-deb").args(["-Znone", "--root-owner-group", "-b"]).arg(&tree).arg(file));
}

fn index(folder: &Path, suite: &str, label: &str) {
    let packages = run(Command::new("dpkg-scanpackages").args(["-m", "."]).current_dir(folder));
    fs::write(folder.join("Packages"), &packages).unwrap();
    let sum = run(Command::new("sha256sum").arg(folder.join("Packages")));
    let sum = sum.split_whitespace().next().unwrap();
    let release = format!(
        "Origin: Debian\nLabel: {label}\nSuite: {suite}\nCodename: {suite}\nVersion: 12\n\
         Date: Thu, 01 Jan 2026 00:00:00 +0000\nArchitectures: all amd64\nComponents: main\nSHA256:\n {sum} {} Packages\n",
        packages.len()
    );
    fs::write(folder.join("Release"), release).unwrap();
}

/// Runs a tool that must succeed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
