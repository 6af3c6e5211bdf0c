//! `nightshift completions`, `nightshift man`: what a shell and `man` know of the command line.

use crate::arguments::Arguments;
use crate::exit;
use crate::output::{Format, print, remark};
use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// The script that a shell reads.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "nightshift", &mut script);
    // Written at once, so that nobody who reads a part of it makes this panic.
    std::io::stdout().write_all(&script)?;
    Ok(exit::DONE)
}

/// A page for each command.
pub(crate) fn pages(folder: &Path, output: Format) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    clap_mangen::generate_to(Arguments::command(), folder).with_context(|| folder.display().to_string())?;
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("nightshift") && name.ends_with(".1") {
            pages.push(name);
        }
    }
    pages.sort();
    if output.is_for_programs() {
        output.print(&pages)?;
    } else {
        remark(format_args!("{} pages", pages.len()));
        print(format_args!("man -l {}", folder.join("nightshift.1").display()))?;
    }
    Ok(exit::DONE)
}
