//! `nightshift nats-users`

use crate::exit;
use crate::failure::Failure;
use crate::nats_users::{self, Consumer};
use crate::output::{Format, print};
use anyhow::Context as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::ExitCode;
use tempfile::NamedTempFile;

/// The file that nats-server's configuration includes.
const CONFIGURATION: &str = "users.conf";
/// How a secret key's file ends.
const KEY: &str = "nk";

pub(crate) fn run(folder: &Path, consumers: &[Consumer], output: Format) -> anyhow::Result<ExitCode> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let there = keys(folder)?;
    // A file of the folder is wrong, which the command line names.
    let wrong = |error: anyhow::Error| {
        Failure::usage(format!("{}/{error:#}", folder.display()))
            .next("move that file away, or name another folder")
    };
    let (made, configuration) = nats_users::issue_beside(&there, consumers).map_err(wrong)?;
    nobody_is_locked_out(folder, &configuration)?;
    for (name, seed) in &made {
        keep(&folder.join(format!("{name}.{KEY}")), seed)?;
    }
    replace(folder, &configuration).with_context(|| folder.join(CONFIGURATION).display().to_string())?;
    let made: Vec<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
    let kept: Vec<&str> = there.keys().map(String::as_str).collect();
    if output.is_for_programs() {
        let told = json!({ "folder": folder, "configuration": CONFIGURATION, "users": made, "kept": kept });
        output.print(&told)?;
        return Ok(exit::DONE);
    }
    if !made.is_empty() {
        print(format_args!("{}: a secret key each for {}", folder.display(), made.join(", ")))?;
    }
    if !kept.is_empty() {
        print(format_args!("{}: kept as they are: {}", folder.display(), kept.join(", ")))?;
    }
    print(format_args!("nats-server: include \"{}\"", folder.join(CONFIGURATION).display()))?;
    print("each service:  log.login = { nkey_seed = \"…/<service>.nk\" }")?;
    Ok(exit::DONE)
}

/// The keys that are there, by their users' names.
fn keys(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut keys = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_stem().filter(|_| path.extension().is_some_and(|extension| extension == KEY));
        let Some(name) = name else { continue };
        let seed = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        keys.insert(name.to_string_lossy().into_owned(), seed);
    }
    Ok(keys)
}

/// Refuses to leave out anybody whom the present configuration lets in: whose key was moved from here to its service is not
/// to be given another one by accident.
fn nobody_is_locked_out(folder: &Path, configuration: &str) -> anyhow::Result<()> {
    let path = folder.join(CONFIGURATION);
    let present = match fs::read_to_string(&path) {
        Ok(present) => present,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let Some((_, name)) = nats_users::let_in(&present)
        .find(|(key, _)| nats_users::let_in(configuration).all(|(kept, _)| kept != *key))
    else {
        return Ok(());
    };
    let (path, folder) = (path.display(), folder.display());
    let sentence = format!("{path} lets in {name} by a key that is not in {folder}: nothing was changed");
    Err(Failure::new(exit::REFUSED, sentence)
        .next(format!("put {name}.{KEY} back there, or name another folder"))
        .next(format!("or, for a new key in its place, move {path} away"))
        .into())
}

/// Keys that are in use are never written over: whoever wants new ones says so by another folder.
fn keep(path: &Path, seed: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("{} cannot be written anew", path.display()))?;
    writeln!(file, "{seed}").with_context(|| path.display().to_string())
}

/// All of it or nothing: a server that is started meanwhile reads the former one, or this one. It holds no secret.
fn replace(folder: &Path, configuration: &str) -> anyhow::Result<()> {
    let mut part = NamedTempFile::new_in(folder)?;
    part.as_file().set_permissions(Permissions::from_mode(0o644))?;
    writeln!(part, "{configuration}")?;
    part.as_file().sync_all()?;
    part.persist(folder.join(CONFIGURATION))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_is_added_to_users_that_keep_their_keys() {
        let folder = tempfile::tempdir().unwrap();
        let add = |consumers: &[&str]| {
            let consumers: Vec<Consumer> = consumers.iter().map(|name| name.parse().unwrap()).collect();
            run(folder.path(), &consumers, Format::Json)
        };
        let users = || fs::read_to_string(folder.path().join(CONFIGURATION)).unwrap();
        add(&[]).unwrap();
        let (before, first) = (keys(folder.path()).unwrap(), users());
        add(&["warehouse"]).unwrap();
        let (after, second) = (keys(folder.path()).unwrap(), users());
        assert!(before.iter().all(|(name, seed)| after[name] == *seed));
        assert_eq!(after.len(), before.len() + 1);
        // Everybody who was let in still is, by the same key.
        let let_in = |text: &str| -> Vec<String> {
            text.lines().filter(|line| line.contains("nkey:")).map(ToOwned::to_owned).collect()
        };
        assert_eq!(let_in(&second)[..before.len()], let_in(&first));
        assert!(let_in(&second)[before.len()].contains("# warehouse"));
        // The former consumer stays when another comes; and who is there already is not made again.
        add(&["archive", "warehouse"]).unwrap();
        assert_eq!(let_in(&users()).len(), before.len() + 2);
        assert_eq!(keys(folder.path()).unwrap()["warehouse"], after["warehouse"]);
        let modes = fs::metadata(folder.path().join("archive.nk")).unwrap().permissions().mode();
        assert_eq!(modes & 0o777, 0o600);

        // A key that was moved to where its service runs is not made anew.
        fs::rename(folder.path().join("console.nk"), folder.path().join("moved")).unwrap();
        let error = add(&[]).unwrap_err();
        assert_eq!(exit::of_error(&error), exit::REFUSED);
        assert!(error.to_string().contains("users.conf lets in console by a key"), "{error}");
        assert!(!folder.path().join("console.nk").exists());

        fs::write(folder.path().join("console.nk"), "no seed").unwrap();
        let error = add(&[]).unwrap_err();
        assert_eq!(exit::of_error(&error), exit::USAGE);
        assert!(error.to_string().contains("/console.nk: "), "{error}");
        assert_eq!(let_in(&users()).len(), before.len() + 2);
    }
}
