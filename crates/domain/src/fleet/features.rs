//! Features that subscriptions register for (REQUIREMENTS.md D1).

use super::{Feature, Fleet};
use crate::event::Event;
use crate::id::SubscriptionId;
use crate::refusal::Refusal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// How far a registration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Registration {
    /// Asked for.
    Registering,
    /// In force.
    Registered,
}

impl Fleet {
    /// How far a subscription's registration for a feature is; `None` if it never asked, or gave it up.
    pub fn registration(&self, subscription: &SubscriptionId, feature: Feature) -> Option<Registration> {
        self.features.get(&(subscription.clone(), feature)).copied()
    }

    /// Why what needs the feature is refused; `None` if the subscription is registered.
    pub fn feature_refusal(&self, subscription: &SubscriptionId, feature: Feature) -> Option<Refusal> {
        let (code, state) = match self.registration(subscription, feature) {
            Some(Registration::Registered) => return None,
            Some(Registration::Registering) => ("FeatureRegistering", "still being registered"),
            None => ("FeatureNotRegistered", "not registered"),
        };
        let sentence = format!("subscription {subscription} is {state} for {feature:?}");
        Some(Refusal::new(code, sentence).about(subscription))
    }

    pub(crate) fn request_feature(&self, subscription: &SubscriptionId, feature: Feature) -> Vec<Event> {
        match self.registration(subscription, feature) {
            Some(_) => Vec::new(),
            None => vec![Event::FeatureRequested { subscription: subscription.clone(), feature }],
        }
    }

    pub(crate) fn unregister_feature(&self, subscription: &SubscriptionId, feature: Feature) -> Vec<Event> {
        match self.registration(subscription, feature) {
            None => Vec::new(),
            Some(_) => vec![Event::FeatureUnregistered { subscription: subscription.clone(), feature }],
        }
    }

    /// Registrations that were asked for come into force as soon as somebody decides: there is nothing to wait for.
    pub(crate) fn registrations(&self) -> Vec<Event> {
        let asked = self.features.iter().filter(|(_, state)| **state == Registration::Registering);
        asked
            .map(|((subscription, feature), _)| Event::FeatureRegistered {
                subscription: subscription.clone(),
                feature: *feature,
            })
            .collect()
    }
}

type Features = BTreeMap<(SubscriptionId, Feature), Registration>;

pub(super) fn as_list<S: Serializer>(features: &Features, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(features)
}

pub(super) fn from_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Features, D::Error> {
    Ok(Vec::<((SubscriptionId, Feature), Registration)>::deserialize(deserializer)?.into_iter().collect())
}
