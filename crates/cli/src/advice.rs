//! What to do about an error: the next command, by the stable code that a service's refusal begins with.

use crate::exit;
use crate::failure::Failure;
use nightshift_domain::fleet::Feature;
use tonic::{Code, Status};

/// What one who was refused with this code does next. Names in capitals stand for what the sentence names, if it does.
const NEXT: &[(&str, &[&str])] = &[
    ("AgentNotEnrolled", &["nightshift vm token VM --out FOLDER"]),
    ("ApprovalNeeded", &["nightshift rollout show ROLLOUT"]),
    ("AssessmentNotSupported", &["nightshift explain VM"]),
    (
        "AuthenticationFailed",
        &["nightshift token issue --name NAME --role reader", "nightshift context show"],
    ),
    ("AuthorizationFailed", &["nightshift token issue --name NAME --role ROLE"]),
    ("AutomaticUpdatesNotSupported", &["nightshift vm show VM"]),
    ("BodyTooLarge", &["nightshift vm show VM"]),
    ("CertificateEnded", &["nightshift vm token VM --out FOLDER"]),
    ("DuplicateVm", &["nightshift vm show VM"]),
    ("FeatureNotFound", &["nightshift feature list"]),
    ("FeatureNotRegistered", &["nightshift feature register SUBSCRIPTION FEATURE"]),
    ("FeatureRegistering", &["nightshift feature list --subscription SUBSCRIPTION"]),
    ("ImageNotSupported", &["nightshift fleet topology"]),
    (
        "InvalidAuthenticationToken",
        &["nightshift token issue --name NAME --role reader", "nightshift context show"],
    ),
    ("InstallUnderWay", &["nightshift rollout list", "nightshift vm show VM"]),
    ("InvalidEnrolmentToken", &["nightshift vm token VM --out FOLDER"]),
    ("InvalidPolicy", &["nightshift rollout preview --policy FILE"]),
    ("InvalidRhythm", &["nightshift rhythm show"]),
    ("KeyNotCurrent", &["nightshift vm token VM --out FOLDER"]),
    ("NoEligibleVm", &["nightshift vm list --filter eligible:no", "nightshift explain VM"]),
    ("NothingToRetry", &["nightshift rollout show ROLLOUT", "nightshift rollout resume ROLLOUT"]),
    ("OrderNotFound", &["nightshift vm history VM"]),
    (
        "OutsideWindow",
        &[
            "nightshift vm install VM --within 12h --reason WHY",
            "nightshift vm change VM --window HH:MM-HH:MM",
        ],
    ),
    ("PatchModeNotAutomaticByPlatform", &["nightshift vm change VM --patch-mode AutomaticByPlatform"]),
    ("PatchModeNotSupported", &["nightshift vm show VM"]),
    ("PhaseNotFound", &["nightshift rollout show ROLLOUT"]),
    ("PolicyFieldFixed", &["nightshift rollout show ROLLOUT --output yaml"]),
    ("ProviderNotRegistered", &["nightshift feature provider SUBSCRIPTION", "nightshift feature list"]),
    ("RegionInUse", &["nightshift vm list", "nightshift vm remove VM"]),
    ("RegionNotInRollout", &["nightshift rollout show ROLLOUT"]),
    ("RegionsInTurnConflict", &["nightshift region runs"]),
    ("RolloutExists", &["nightshift rollout show ROLLOUT", "nightshift rollout watch ROLLOUT"]),
    ("RolloutNotFound", &["nightshift rollout list"]),
    ("RolloutOnDemand", &["nightshift rollout show ROLLOUT", "nightshift rollout cancel ROLLOUT"]),
    ("RolloutStateConflict", &["nightshift rollout show ROLLOUT"]),
    ("SecondPersonNeeded", &["nightshift token issue --name OTHER --role approver"]),
    ("UnknownRegion", &["nightshift fleet topology"]),
    ("UnknownZone", &["nightshift fleet topology"]),
    ("VmChangedConflict", &["nightshift vm show VM"]),
    ("VmNameExists", &["nightshift vm show VM"]),
    ("VmNotFound", &["nightshift vm list"]),
    ("WebhookNotFound", &["nightshift webhook list"]),
];

/// What to do next, the most likely first.
pub(crate) fn next(error: &anyhow::Error) -> Vec<String> {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.steps().to_vec();
        }
        if let Some(status) = cause.downcast_ref::<Status>() {
            return of_status(status);
        }
    }
    Vec::new()
}

/// The stable code that a refusal begins with: `RolloutNotFound: there is …`.
pub(crate) fn code_word(message: &str) -> Option<&str> {
    let (word, _) = message.split_once(": ")?;
    let is_code = word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.len() > 3
        && word.chars().all(|letter| letter.is_ascii_alphanumeric());
    is_code.then_some(word)
}

fn of_status(status: &Status) -> Vec<String> {
    let message = status.message();
    let row = code_word(message).and_then(|word| NEXT.iter().find(|(code, _)| *code == word));
    let steps = match (row, status.code()) {
        (Some((_, steps)), _) => steps,
        (None, Code::Unavailable | Code::DeadlineExceeded) => {
            ["nightshift context show", "nightshift up"].as_slice()
        }
        (None, Code::Unauthenticated | Code::PermissionDenied) => {
            &["nightshift token issue --name NAME --role ROLE"]
        }
        (None, Code::InvalidArgument) => &["nightshift help"],
        (None, _) if exit::is_of_transport(status) => {
            &["nightshift context show", "or its address begins with https:// and --ca names its authority"]
        }
        (None, Code::Unimplemented) => &["nightshift --version   (the installation may be older or newer)"],
        (None, _) => &["nightshift context show"],
    };
    steps.iter().map(|step| filled(step, message)).collect()
}

/// The step with the names that the sentence has.
fn filled(step: &str, message: &str) -> String {
    let named = [
        ("ROLLOUT", quoted(message, "rollout")),
        ("VM", quoted(message, "VM")),
        ("SUBSCRIPTION", quoted(message, "subscription").or_else(|| bare(message, "subscription"))),
        ("FEATURE", bare(message, "for").filter(|name| is_feature(name))),
        ("ROLE", role(message)),
    ];
    let word = |word: &str| {
        let name = named.iter().find(|(place, _)| *place == word).and_then(|(_, name)| name.as_deref());
        name.unwrap_or(word).to_owned()
    };
    step.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// What stands in quotation marks after this word.
fn quoted(message: &str, word: &str) -> Option<String> {
    let (_, rest) = message.split_once(&format!("{word} \""))?;
    plain(rest.split('"').next()?)
}

/// The word after this one, where names stand without quotation marks.
fn bare(message: &str, word: &str) -> Option<String> {
    let mut words = message.split_whitespace().skip_while(|one| *one != word);
    plain(words.nth(1)?.trim_end_matches([',', ':', '.']))
}

/// What is to be copied into a shell is a plain name or nothing.
fn plain(name: &str) -> Option<String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
}

fn is_feature(name: &str) -> bool {
    let all = [Feature::InGuestAutoPatchVMPreview, Feature::InGuestPatchVMPreview];
    all.iter().any(|feature| format!("{feature:?}") == name)
}

/// The role that was needed.
fn role(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("role ")?;
    let role = rest.split(' ').next()?;
    nightshift_runtime::access::Role::named(role).map(|role| role.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Arguments;
    use clap::Parser as _;

    #[test]
    fn every_step_is_a_command_that_there_is() {
        let fallbacks = [Code::Unavailable, Code::PermissionDenied, Code::InvalidArgument, Code::Internal];
        let fallbacks = fallbacks.map(|code| of_status(&Status::new(code, "it is so")));
        let rows = NEXT.iter().flat_map(|(_, steps)| steps.iter().map(|step| (*step).to_owned()));
        for step in rows.chain(fallbacks.into_iter().flatten()) {
            let step = step.replace("ROLE", "operator");
            let read = Arguments::try_parse_from(step.split_whitespace());
            let is_help = read.as_ref().is_err_and(|error| error.exit_code() == 0);
            assert!(read.is_ok() || is_help, "{step}: {}", read.unwrap_err());
        }
    }

    /// A code that is new in the domain fails this until it has its row.
    #[test]
    fn every_refusal_of_the_domain_has_its_row() {
        let mut codes = Vec::new();
        collect(concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/src").as_ref(), &mut codes);
        assert!(codes.len() > 25, "{codes:?}");
        for code in codes {
            assert!(NEXT.iter().any(|(known, _)| *known == code), "{code}");
        }
    }

    fn collect(folder: &std::path::Path, codes: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, codes);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let calls = text.split("Refusal::new(").skip(1);
            codes.extend(calls.filter_map(|call| {
                let (before, rest) = call.split_once('"')?;
                before.trim().is_empty().then(|| rest.split('"').next().unwrap().to_owned())
            }));
        }
    }

    #[test]
    fn names_of_the_sentence_are_in_the_step() {
        let of = |message: &str| of_status(&Status::failed_precondition(message));
        assert_eq!(
            of("RolloutStateConflict: rollout \"2026-11\" is not paused"),
            ["nightshift rollout show 2026-11"]
        );
        assert_eq!(
            of("AuthorizationFailed: ada: role approver for all subscriptions is needed"),
            ["nightshift token issue --name NAME --role approver"]
        );
        // Nothing that a service says becomes a part of a command line that it could be misread as.
        assert_eq!(
            of("RolloutExists: rollout \"a; rm -rf /\" is there"),
            ["nightshift rollout show ROLLOUT", "nightshift rollout watch ROLLOUT"]
        );
        assert_eq!(
            of("FeatureNotRegistered: subscription lab is not registered for InGuestAutoPatchVMPreview"),
            ["nightshift feature register lab InGuestAutoPatchVMPreview"]
        );
        assert_eq!(
            of("ProviderNotRegistered: subscription bank did not register the provider Microsoft.Compute"),
            ["nightshift feature provider bank", "nightshift feature list"]
        );
        assert_eq!(of("WebhookNotFound: there is no webhook \"a\""), ["nightshift webhook list"]);
        assert_eq!(code_word("vm: missing"), None);
        assert_eq!(code_word("VM: missing"), None);
    }
}
