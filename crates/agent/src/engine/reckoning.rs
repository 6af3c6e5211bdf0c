//! The time by which an order's window is measured. The machine's clock may be set in the middle of the night; what an
//! order may still do must not grow by that.

use super::Engine;
use nightshift_clock::Reckoning;
use nightshift_domain::mind::Time;
use std::sync::PoisonError;

impl Engine {
    /// From now on: an order is taken up. What another process began is reckoned by the clock alone.
    pub(super) fn reckon(&self) {
        *self.reckoning.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.reckoning();
    }

    /// Now, for the order under way: by the clock, or by what the kernel has counted, whichever is later.
    pub(super) fn now(&self) -> Time {
        self.reckoning().now()
    }

    /// Waits until then.
    pub(super) async fn sleep_until(&self, moment: Time) {
        self.reckoning().sleep_until(moment).await;
    }

    fn reckoning(&self) -> Reckoning {
        // It is whole at every moment, whoever panicked while holding it.
        self.reckoning.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
