//! Which order is the newest: an older one gives way to it.

use nightshift_domain::OrderId;
use nightshift_domain::event::Order;
use nightshift_domain::mind::Time;
use std::sync::{Arc, Mutex, PoisonError};

/// The newest order that this machine was given; cheap to clone, every clone is the same one.
#[derive(Debug, Clone, Default)]
pub struct Newest(Arc<Mutex<Option<(Time, OrderId)>>>);

impl Newest {
    /// Takes note of an order. The newer one is that which may begin later.
    pub fn note(&self, order: &Order) {
        let key = (order.not_after, order.id.clone());
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.as_ref().is_none_or(|known| *known < key) {
            *newest = Some(key);
        }
    }

    /// The order before which this one has to give way, if there is one.
    pub(super) fn after(&self, order: &Order) -> Option<OrderId> {
        let newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = newest.as_ref().filter(|known| **known > (order.not_after, order.id.clone()));
        newer.map(|(_, id)| id.clone())
    }
}
