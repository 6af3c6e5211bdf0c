//! The terminal while it is all ours, and as it was before afterwards.

use anyhow::Context as _;
use ratatui::{DefaultTerminal, Frame};

/// The whole terminal. It is given back when this goes, and when anything panics (ratatui's hook).
pub(super) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn enter() -> anyhow::Result<Self> {
        let terminal = ratatui::try_init().inspect_err(|_| ratatui::restore());
        Ok(Self { terminal: terminal.context("the terminal cannot be taken; --plain needs none")? })
    }

    /// Draws what is different from the drawing before.
    pub(super) fn draw(&mut self, drawing: impl FnOnce(&mut Frame<'_>)) -> anyhow::Result<()> {
        self.terminal.draw(drawing)?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
