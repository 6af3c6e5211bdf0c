//! Which requests are commands: each can have an idempotency key.

use crate::api::v1 as api;

/// A request that changes something, and may be asked for again.
pub trait Keyed: prost::Message + Default {
    /// Its name in the contract.
    const NAME: &'static str;

    /// Takes the idempotency key out of it; empty if there is none.
    fn take_key(&mut self) -> String;
}

macro_rules! commands {
    ($($request:ident),+ $(,)?) => {
        $(
            impl Keyed for api::$request {
                const NAME: &'static str = stringify!($request);

                fn take_key(&mut self) -> String {
                    std::mem::take(&mut self.idempotency_key)
                }
            }
        )+

        /// The names of all of them.
        pub const COMMANDS: &[&str] = &[$(stringify!($request)),+];
    };
}

commands! {
    DeclareFleetRequest,
    PutVmRequest,
    RegisterProviderRequest,
    RemoveVmRequest,
    RegisterFeatureRequest,
    UnregisterFeatureRequest,
    StartRolloutRequest,
    PauseRolloutRequest,
    ResumeRolloutRequest,
    RetryRolloutRequest,
    SkipRegionRequest,
    CancelRolloutRequest,
    InstallPatchesRequest,
    ApprovePhaseRequest,
    ChangePolicyRequest,
    DeclareRhythmRequest,
    AssessVmRequest,
    IssueEnrolmentTokensRequest,
}
