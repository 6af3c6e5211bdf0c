//! Colours: the one place that decides whether there are any. Texts are painted always; what prints them takes the paint
//! off where it is not wanted (anstream).

use anstream::ColorChoice;
use anstyle::{AnsiColor, Effects, Style};
use clap::ValueEnum as _;
use std::ffi::OsString;

/// `--color`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// On a terminal, unless NO_COLOR, CLICOLOR=0 or TERM=dumb say otherwise; with CLICOLOR_FORCE everywhere.
    #[default]
    Auto,
    /// Everywhere, whatever the environment says.
    Always,
    /// Nowhere.
    Never,
}

/// What a text is to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// It waits for somebody.
    Warn,
    /// Something is broken.
    Bad,
    /// A heading.
    Head,
    /// By the way.
    Dim,
}

/// Decides before the command line is read, because its errors and its help have colours as well.
pub fn decide(words: impl Iterator<Item = OsString>) {
    let choice = match asked(words) {
        Choice::Auto => ColorChoice::Auto,
        Choice::Always => ColorChoice::Always,
        Choice::Never => ColorChoice::Never,
    };
    choice.write_global();
    // Tables are always painted by their library: it would ask NO_COLOR by itself, and not --color.
    crossterm::style::force_color_output(true);
}

/// The last `--color` before a `--`; what is no colour choice is named by the command line's own reading.
fn asked(words: impl Iterator<Item = OsString>) -> Choice {
    let mut words = words.map(|word| word.to_string_lossy().into_owned()).take_while(|word| word != "--");
    let mut choice = Choice::Auto;
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--color") {
            Some("") => words.next(),
            Some(rest) => rest.strip_prefix('=').map(ToOwned::to_owned),
            None => None,
        };
        let value = value.and_then(|value| Choice::from_str(&value, false).ok());
        choice = value.unwrap_or(choice);
    }
    choice
}

/// Whether standard output shows colours: for the live view, which draws by itself.
pub fn on_stdout() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != ColorChoice::Never
}

/// The text in the colour of its tone.
pub fn paint(tone: Tone, text: &str) -> String {
    let style = style(tone);
    format!("{style}{text}{style:#}")
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Good => Style::new().fg_color(Some(AnsiColor::Green.into())),
        Tone::Warn => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
        Tone::Bad => Style::new().fg_color(Some(AnsiColor::Red.into())).effects(Effects::BOLD),
        Tone::Head => Style::new().effects(Effects::BOLD),
        Tone::Dim => Style::new().effects(Effects::DIMMED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_choice_before_the_end_of_options_counts() {
        let of = |line: &str| asked(line.split(' ').map(OsString::from));
        for (line, choice) in [
            ("vm list", Choice::Auto),
            ("vm list --color never", Choice::Never),
            ("--color=always vm list", Choice::Always),
            ("--color=always vm list --color never", Choice::Never),
            ("vm show -- --color=never", Choice::Auto),
            ("--color purple --color", Choice::Auto),
            ("--colorful never", Choice::Auto),
        ] {
            assert_eq!(of(line), choice, "{line}");
        }
    }
}
