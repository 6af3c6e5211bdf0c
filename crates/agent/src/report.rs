//! What the agent reports, as it keeps it and as it goes over the wire.

use nightshift_domain::OrderId;
use nightshift_domain::agent::{InstallReport, RefusedOrder, Requirement};
use nightshift_domain::mind::Time;
use nightshift_domain::patch::Assessment;
use nightshift_protocol::agent::v1 as wire;
use nightshift_protocol::convert::timestamp;
use serde::{Deserialize, Serialize};

/// A report, numbered; kept until the gateway says that it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Rises with each report of this machine.
    pub number: u64,
    /// By the clock of the machine.
    pub at: Time,
    /// What is reported.
    pub body: Body,
}

/// What is reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// Native automatic updates are off.
    Enabled,
    /// What the machine lacks.
    Assessed(Assessment),
    /// The machine could not be assessed; a sentence says why.
    NotAssessed(String),
    /// What the machine must have to be patched.
    Checked(Vec<Requirement>),
    /// The order is in the journal and begins.
    Accepted(OrderId),
    /// The order ended.
    Finished(OrderId, InstallReport),
    /// The order will not be carried out.
    Refused(OrderId, RefusedOrder),
    /// An order came under this identity that is not believed. The true one is not ended by that.
    NotBelieved(OrderId, RefusedOrder),
    /// The machine is back from the order's reboot, in this boot.
    Rebooted(OrderId, String),
}

impl Body {
    /// The order that this report ends, if it ends one.
    pub fn ends(&self) -> Option<&OrderId> {
        match self {
            Body::Finished(order, _) | Body::Refused(order, _) => Some(order),
            _ => None,
        }
    }
}

impl From<&Report> for wire::Report {
    fn from(report: &Report) -> Self {
        use wire::report::Body as Wire;
        let body = match &report.body {
            Body::Enabled => Wire::Enabled(wire::Enabled {}),
            Body::Assessed(assessment) => {
                Wire::Assessed(wire::Assessed { assessment: Some(assessment.into()) })
            }
            Body::NotAssessed(why) => Wire::NotAssessed(wire::NotAssessed { why: why.clone() }),
            Body::Checked(requirements) => {
                Wire::Checked(wire::Checked { requirements: requirements.iter().map(Into::into).collect() })
            }
            Body::Accepted(order) => Wire::Accepted(wire::Accepted { order: order.to_string() }),
            Body::Finished(order, result) => {
                Wire::Finished(wire::Finished { order: order.to_string(), result: Some(result.into()) })
            }
            Body::Refused(order, refused) | Body::NotBelieved(order, refused) => {
                Wire::Refused(wire::Refused {
                    order: order.to_string(),
                    code: refused.code.clone(),
                    why: refused.why.clone(),
                })
            }
            Body::Rebooted(order, boot_id) => {
                Wire::Rebooted(wire::Rebooted { order: order.to_string(), boot_id: boot_id.clone() })
            }
        };
        Self { number: report.number, at: Some(timestamp(report.at)), body: Some(body) }
    }
}
