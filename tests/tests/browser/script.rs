//! Runs a script in Node, which drives Chromium.

use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};

/// One browser at a time: two at once would wait for one another's processors.
static ALONE: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

pub async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

/// What the script said, if something on the page is not as it should be; else that is printed. A test says so only after it
/// ended its services: a runtime that is dropped under them may wait for them without end.
pub async fn run(name: &str, page: &str, more: &[(&str, &str)]) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = root.join("../target/tools").canonicalize().expect("run `cargo xtask tools` first");
    assert!(tools.join("node_modules/playwright-core").is_dir(), "run `cargo xtask tools` first");
    let mut command = Command::new("node");
    command.arg(root.join("tests/browser").join(name)).kill_on_drop(true);
    command.env("PAGE", page).env("TOOLS", &tools).env("SHOTS", shots(root)).envs(more.iter().copied());
    let output = command.stdin(Stdio::null()).output().await.expect("Node.js is needed to drive the browser");
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(format!("{name}: {said}\n{wrong}"));
    }
    println!("{said}");
    Ok(())
}

/// Fails the test with what the script said.
pub fn judge(outcome: Result<(), String>) {
    outcome.unwrap_or_else(|said| panic!("{said}"));
}

/// Where screenshots go: into the documentation if the environment says so, else beside what was built.
fn shots(root: &Path) -> std::path::PathBuf {
    let folder = match std::env::var_os("NIGHTSHIFT_SCREENSHOTS") {
        Some(folder) => root.join("..").join(folder),
        None => root.join("../target/screenshots"),
    };
    std::fs::create_dir_all(&folder).unwrap();
    folder.canonicalize().unwrap()
}
