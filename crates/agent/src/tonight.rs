//! `nightshift-agent assess --local`: what would be installed tonight, with no server at all.

use nightshift_domain::patch::{Assessment, Classification, Patch};
use nightshift_domain::policy::Policy;
use nightshift_domain::selection::Choice;
use serde::Serialize;

/// What a rollout with the default policy would make of the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tonight {
    /// Would be installed, as far as the window lasts.
    pub install: Vec<Line>,
    /// Would be left as they are, each with the reason.
    pub leave: Vec<Line>,
    /// Whether the machine waits for a reboot, which would come first.
    pub reboot_pending: bool,
    /// What was not as it should be.
    pub warnings: Vec<String>,
}

/// One patch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The package.
    pub name: String,
    /// The version.
    pub version: String,
    /// How urgent it is.
    pub classification: Classification,
    /// Why it would be left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Tonight {
    /// By the safe defaults of a rollout.
    pub fn of(assessment: Assessment) -> Self {
        let selection = Policy::default().selection();
        let (mut install, mut leave) = (Vec::new(), Vec::new());
        for patch in assessment.patches {
            let why = match selection.choose(&patch) {
                Choice::NotSelected => Some("a rollout installs Critical and Security only".to_owned()),
                Choice::Excluded(why) => Some(why),
                Choice::Selected => patch.obstacle.clone(),
            };
            let Patch { name, version, classification, .. } = patch;
            let list = if why.is_none() { &mut install } else { &mut leave };
            list.push(Line { name, version, classification, why });
        }
        Self { install, leave, reboot_pending: assessment.reboot_pending, warnings: assessment.warnings }
    }

    /// For people.
    pub fn print(&self) {
        if self.install.is_empty() {
            println!("Tonight nothing would be installed.");
        } else {
            println!("Tonight would be installed:");
        }
        self.install.iter().for_each(|line| println!("  {line}"));
        if !self.leave.is_empty() {
            println!("Would be left:");
        }
        self.leave.iter().for_each(|line| println!("  {line}"));
        if self.reboot_pending {
            println!("A reboot is due: it would come first.");
        }
        self.warnings.iter().for_each(|warning| println!("warning: {warning}"));
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<9} {} {}", format!("{:?}", self.classification), self.name, self.version)?;
        self.why.as_ref().map_or(Ok(()), |why| write!(f, "  ({why})"))
    }
}
