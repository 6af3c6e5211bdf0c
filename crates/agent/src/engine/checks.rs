//! What the machine must have to be patched: looked at before it is touched and with each assessment, told when it
//! changes.

use super::{Engine, EngineError};
use crate::back_end::BackEndError;
use crate::report::Body;
use crate::requirements::{first_unmet, native_updates_off, of_machine, of_package_manager};
use crate::store::{Secrecy, StoreError};
use nightshift_domain::agent::Requirement;
use nightshift_domain::patch::Assessment;

/// What was told last.
const TOLD: &str = "requirements";

impl Engine {
    /// An error if the machine lacks something without which nothing is to be begun.
    pub(super) fn check_machine(&self) -> Result<(), EngineError> {
        match first_unmet(&self.of_machine()) {
            None => Ok(()),
            Some(unmet) => Err(BackEndError(format!("{}: {}", unmet.code, unmet.sentence)).into()),
        }
    }

    /// Why no order is to begin by this machine's clock, if that is so.
    pub(super) fn wrong_clock(&self) -> Option<String> {
        first_unmet(&[self.welcomed.clock()]).map(|unmet| unmet.sentence.clone())
    }

    /// Tells how far each requirement is met, if that has changed.
    pub(super) async fn tell_requirements(
        &self,
        warnings: &[String],
        assessed: Result<&Assessment, &BackEndError>,
    ) -> Result<(), StoreError> {
        let mut found = of_package_manager(self.back_end.as_ref(), warnings, assessed);
        found.extend(self.of_machine());
        if found.is_empty() {
            return Ok(());
        }
        found.push(native_updates_off(self.back_end.native_updates().await));
        let bytes = serde_json::to_vec(&found).map_err(|error| StoreError::new(TOLD, error))?;
        if self.store.get(TOLD)?.as_ref() == Some(&bytes) {
            return Ok(());
        }
        self.spool.append(self.clock.now(), Body::Checked(found))?;
        self.store.put(TOLD, &bytes, Secrecy::Open)
    }

    fn of_machine(&self) -> Vec<Requirement> {
        of_machine(self.back_end.as_ref(), self.store.folder(), &self.welcomed)
    }
}
