//! `cargo xtask package`: the agent as .deb and .rpm.
//!
//! One tree of files for both, made of what lies in `deploy/`; dpkg-deb and rpmbuild, of Debian's packages dpkg and rpm,
//! make packages of it.

use crate::steps::{root, run};
use anyhow::{Context as _, bail, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Needs no library of the machine: the same program on every Linux, however old.
const STATIC_TARGET: &str = "x86_64-unknown-linux-musl";

/// `cargo xtask package [--agent PROGRAM] [--version VERSION] [--out FOLDER]`
struct Wish {
    /// The program to pack; built for that if absent.
    agent: Option<PathBuf>,
    version: String,
    out: PathBuf,
}

pub(crate) fn package(arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let mut wish = Wish::read(arguments)?;
    let agent = wish.agent.clone().map_or_else(build, Ok)?;
    fs::create_dir_all(&wish.out)?;
    // rpmbuild takes only whole paths.
    wish.out = wish.out.canonicalize()?;
    let work = wish.out.join("work");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    let tree = work.join("tree");
    lay_out(&tree, &agent)?;
    deb(&wish, &tree, &agent)?;
    rpm(&wish, &tree, &work)?;
    Ok(fs::remove_dir_all(&work)?)
}

impl Wish {
    fn read(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let mut wish = Self { agent: None, version, out: root().join("target/packages") };
        while let Some(option) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{option} wants a value"))?;
            match option.as_str() {
                "--agent" => wish.agent = Some(value.into()),
                "--version" => wish.version = value,
                "--out" => wish.out = value.into(),
                _ => bail!("{option}: say --agent PROGRAM, --version VERSION or --out FOLDER"),
            }
        }
        Ok(wish)
    }
}

/// Builds the agent as it is shipped: static where rustup has the target and musl's compiler is there.
fn build() -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--profile", "agent", "-p", "nightshift-agent"]).current_dir(root());
    let installed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    let has_target =
        installed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(STATIC_TARGET));
    let has_compiler = Command::new("musl-gcc").arg("--version").output().is_ok();
    if has_target && has_compiler {
        cargo.args(["--target", STATIC_TARGET]).env("CC_x86_64_unknown_linux_musl", "musl-gcc");
        run(&mut cargo)?;
        return Ok(root().join("target").join(STATIC_TARGET).join("agent/nightshift-agent"));
    }
    eprintln!(
        "xtask: the agent will need this machine's C library or a newer one. For one that needs none: \
         `rustup target add {STATIC_TARGET}`, and Debian's musl-tools"
    );
    run(&mut cargo)?;
    Ok(root().join("target/agent/nightshift-agent"))
}

fn lay_out(tree: &Path, agent: &Path) -> anyhow::Result<()> {
    let deploy = root().join("deploy");
    place(agent, &tree.join("usr/bin/nightshift-agent"), 0o755)?;
    let unit = "usr/lib/systemd/system/nightshift-agent.service";
    place(&deploy.join("systemd/nightshift-agent.service"), &tree.join(unit), 0o644)?;
    let example = "usr/share/doc/nightshift-agent/agent.toml";
    place(&deploy.join("config/agent.toml"), &tree.join(example), 0o644)?;
    place(&deploy.join("agent/default"), &tree.join("etc/default/nightshift-agent"), 0o644)?;
    let manual = tree.join("usr/share/man/man8/nightshift-agent.8");
    place(&deploy.join("agent/nightshift-agent.8"), &manual, 0o644)?;
    run(Command::new("gzip").args(["-9", "-n"]).arg(&manual))?;
    // Where the operator's own files go.
    fs::create_dir_all(tree.join("etc/nightshift"))?;
    for folder in
        ["", "etc", "etc/nightshift", "etc/default", "usr", "usr/bin", "usr/share/doc/nightshift-agent"]
    {
        fs::set_permissions(tree.join(folder), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn place(from: &Path, to: &Path, mode: u32) -> anyhow::Result<()> {
    let parent = to.parent().context("a file in a folder")?;
    fs::create_dir_all(parent)?;
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

fn deb(wish: &Wish, tree: &Path, agent: &Path) -> anyhow::Result<()> {
    let control = tree.join("DEBIAN");
    let ours = root().join("deploy/agent/deb");
    for script in ["postinst", "prerm", "postrm"] {
        place(&ours.join(script), &control.join(script), 0o755)?;
    }
    place(&ours.join("conffiles"), &control.join("conffiles"), 0o644)?;
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no name of Debian's is known for {other}"),
    };
    let depends = if is_static(agent)? { "" } else { "Depends: libc6, libgcc-s1\n" };
    let text = fs::read_to_string(ours.join("control"))?
        .replace("@VERSION@", &wish.version)
        .replace("@ARCHITECTURE@", architecture)
        .replace("@DEPENDS@", depends);
    fs::write(control.join("control"), text)?;
    let file = wish.out.join(format!("nightshift-agent_{}_{architecture}.deb", wish.version));
    let mut build = Command::new("dpkg-deb");
    run(build.args(["--root-owner-group", "-Zxz", "--build"]).arg(tree).arg(&file))?;
    // Not of the tree that rpm takes.
    Ok(fs::remove_dir_all(control)?)
}

fn rpm(wish: &Wish, tree: &Path, work: &Path) -> anyhow::Result<()> {
    let spec = root().join("deploy/agent/nightshift-agent.spec");
    let define = |name: &str, value: &dyn std::fmt::Display| format!("{name} {value}");
    let top = work.join("rpmbuild");
    let mut build = Command::new("rpmbuild");
    build.args(["-bb", "--quiet", "--define", &define("_topdir", &top.display())]);
    build.args(["--define", &define("agent_tree", &tree.display())]);
    build.args(["--define", &define("agent_version", &wish.version)]);
    // Of the oldest format that every rpm since RHEL 7 reads.
    build.args(["--define", "_binary_payload w6.xzdio"]);
    run(build.arg(spec)).context("rpmbuild is in Debian's package rpm")?;
    let made = top.join("RPMS").join(std::env::consts::ARCH);
    let mut count = 0;
    for entry in fs::read_dir(&made).with_context(|| made.display().to_string())? {
        let file = entry?;
        fs::copy(file.path(), wish.out.join(file.file_name()))?;
        count += 1;
    }
    ensure!(count == 1, "{}: {count} packages where one was to be made", made.display());
    Ok(())
}

/// Whether the program needs no library of the machine.
fn is_static(program: &Path) -> anyhow::Result<bool> {
    let said = Command::new("ldd").arg(program).output().context("ldd")?;
    let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    Ok(said.contains("statically linked") || said.contains("not a dynamic executable"))
}
