//! Native automatic updates that somebody turned on again: two cooks in one kitchen.

use super::{ENABLED, Engine, EngineError};

impl Engine {
    /// A sentence for people if native updates are on though Nightshift turned them off. The next order turns them off
    /// again; what was there before Nightshift came is kept as it is.
    pub(super) async fn drift(&self) -> Result<Option<String>, EngineError> {
        if self.store.get(ENABLED)?.is_none() {
            return Ok(None);
        }
        let on = match self.back_end.native_updates().await {
            Ok(on) => on,
            Err(error) => {
                return Ok(Some(format!("native automatic updates could not be looked at: {error}")));
            }
        };
        Ok(on.map(|what| {
            format!("native automatic updates were turned on again ({what}): the next order turns them off")
        }))
    }
}
