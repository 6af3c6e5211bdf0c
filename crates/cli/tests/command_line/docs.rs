//! Every command that README and docs/ name is one that there is, and the policy that README shows can be read.

use clap::Parser as _;
use clap::error::ErrorKind;
use nightshift_cli::arguments::Arguments;
use std::path::{Path, PathBuf};

fn pages() -> Vec<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut pages = vec![root.join("README.md")];
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages
}

/// Commands of the sh blocks, and what stands between backticks.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut in_block: Option<bool> = None;
    for line in text.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            in_block = if in_block.is_some() { None } else { Some(kind.starts_with("sh") || kind == "bash") };
            continue;
        }
        match in_block {
            Some(true) => commands.extend(line.split(" # ").next().and_then(of_line)),
            Some(false) => {}
            None => commands.extend(line.split('`').skip(1).step_by(2).filter_map(of_line)),
        }
    }
    commands
}

/// The first `nightshift` of a line, up to what a shell takes for itself.
fn of_line(line: &str) -> Option<String> {
    let line = line
        .replace("cargo run --release -- ", "nightshift ")
        .replace("target/release/nightshift ", "nightshift ");
    // Elsewhere in a line it is a name, such as that of a cloud.
    let at = if line.starts_with("nightshift ") { 0 } else { line.find("(nightshift ")? + 1 };
    let command = line[at..].split(['|', ';', '>', '#', '&', ')', '$', '<']).next()?;
    let command = command.split('…').next()?.trim();
    (command != "nightshift").then(|| command.to_owned())
}

/// As a shell cuts it.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in command.chars() {
        match letter {
            '"' | '\'' => quoted = !quoted,
            ' ' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            letter => word.push(letter),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[test]
fn every_command_that_is_named_is_read() {
    let mut seen = 0;
    for page in pages() {
        for command in commands(&std::fs::read_to_string(&page).unwrap()) {
            seen += 1;
            let Err(error) = Arguments::try_parse_from(words(&command)) else { continue };
            // A command that is only named, not given, lacks what it needs; that is all that it may lack.
            let only_named = matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                    | ErrorKind::DisplayHelp
                    | ErrorKind::DisplayVersion
            );
            assert!(only_named, "{}: `{command}`: {error}", page.display());
        }
    }
    assert!(seen > 60, "only {seen} commands were found: are they written otherwise now?");
}

#[test]
fn the_policy_of_the_readme_is_one() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let text = std::fs::read_to_string(root.join("README.md")).unwrap();
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let policy = blocks.filter(|block| block.starts_with("canaries")).collect::<String>();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, policy).unwrap();
    let read = nightshift_cli::policy_file::read(&file).unwrap();
    assert_eq!((read.canaries.len(), read.blackouts.len(), read.budgets.phase.percent), (1, 1, 2));
}
