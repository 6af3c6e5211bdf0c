//! The minds of Nightshift and their words.
//!
//! Everything here is plain, synchronous and deterministic: the time is an argument, nothing does I/O, nothing
//! draws a random number. The same code decides in production, in the simulator and in tests.
//!
//! A *mind* ([`Mind`]) is one account of facts with three verbs: [`Mind::apply`], [`Mind::decide`] and
//! [`Mind::next_wake`].

pub mod agent;
pub mod analysis;
pub mod chain;
pub mod coordinator;
pub mod event;
pub mod explain;
pub mod fisher;
pub mod fleet;
pub mod gate;
pub mod gateway;
pub mod halt;
pub mod health;
pub mod id;
pub mod layout;
pub mod mind;
pub mod monitor;
pub mod on_demand;
pub mod order;
pub mod patch;
pub mod plan;
pub mod planner;
pub mod policy;
pub mod refusal;
pub mod rhythm;
pub mod rollout;
pub mod run;
pub mod selection;
pub mod topology;
pub mod window;

pub use event::{Aggregate, Chain, Event, Partition};
pub use id::{
    AvailabilitySetId, ConsumerName, OrderId, RegionName, RolloutId, SourceName, SubscriptionId, VmId,
    WebhookName, ZoneName,
};
pub use mind::{Decision, Fact, Follow, Mind, Time};
pub use refusal::Refusal;
