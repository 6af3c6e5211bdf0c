//! What an upgrade that was killed leaves in rpm's database: the new version and the old one beside it.

use super::{Database, split_architecture};
use crate::back_end::BackEndError;
use crate::programs::Programs;

/// Removes the older of two versions, without its scripts: those of the newer one ran, or were killed.
pub(crate) async fn remove_older(programs: &Programs, database: &Database) -> Result<(), BackEndError> {
    let older = database.duplicates().flat_map(|(name, versions)| {
        let (name, architecture) = split_architecture(name);
        let suffix = architecture.map(|architecture| format!(".{architecture}")).unwrap_or_default();
        versions.into_iter().map(move |evr| format!("{name}-{evr}{suffix}")).collect::<Vec<_>>()
    });
    let older: Vec<String> = older.collect();
    if older.is_empty() {
        return Ok(());
    }
    let mut arguments = vec!["-e", "--noscripts", "--nodeps"];
    arguments.extend(older.iter().map(String::as_str));
    let said = programs.run_to_its_end("rpm", &arguments).await?;
    if !said.success() {
        // What is still there twice has its standing say so; everything else can be patched.
        tracing::warn!(error = said.err.trim(), "older versions could not be removed");
    }
    Ok(())
}
