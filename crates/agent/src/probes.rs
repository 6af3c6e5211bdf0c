//! What ails the machine, by commands that its owner named.

use crate::config::Config;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// The owner's health commands.
#[derive(Debug, Clone)]
pub struct Probes {
    commands: Vec<Vec<String>>,
    limit: Duration,
}

impl Probes {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        let limit = Duration::from_secs(config.health_command_seconds.into());
        Self { commands: config.health_commands.clone(), limit }
    }

    /// What the first command that does not end well says; `None` if all do.
    pub async fn ailment(&self) -> Option<String> {
        for argv in &self.commands {
            if let Err(ailment) = self.ask(argv).await {
                return Some(ailment);
            }
        }
        None
    }

    async fn ask(&self, argv: &[String]) -> Result<(), String> {
        let name = argv.join(" ");
        let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        match tokio::time::timeout(self.limit, command.output()).await {
            Err(_) => Err(format!("`{name}` did not end within {} s", self.limit.as_secs())),
            Ok(Err(error)) => Err(format!("`{name}` could not be run: {error}")),
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => Err(format!("`{name}` ended with {}{}", output.status, first_line(&output))),
        }
    }
}

fn first_line(output: &Output) -> String {
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let said = String::from_utf8_lossy(said);
    let line: String = said.lines().next().unwrap_or_default().chars().take(200).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(commands: &[&[&str]], limit: Duration) -> Probes {
        let owned = |argv: &&[&str]| argv.iter().map(|text| (*text).to_owned()).collect();
        Probes { commands: commands.iter().map(owned).collect(), limit }
    }

    #[tokio::test]
    async fn the_first_ill_command_speaks() {
        let minute = Duration::from_secs(60);
        assert_eq!(probes(&[&["true"]], minute).ailment().await, None);
        let ailment = probes(&[&["true"], &["ls", "/no/such/place"]], minute).ailment().await.unwrap();
        assert!(ailment.contains("/no/such/place") && ailment.contains("exit status: 2"), "{ailment}");
        let ailment = probes(&[&["/no/such/program"]], minute).ailment().await.unwrap();
        assert!(ailment.contains("could not be run"), "{ailment}");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_an_ailment() {
        let ailment = probes(&[&["sleep", "600"]], Duration::from_millis(50)).ailment().await.unwrap();
        assert!(ailment.contains("did not end"), "{ailment}");
    }
}
