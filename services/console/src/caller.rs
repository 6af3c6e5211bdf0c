//! Who asks. Here is the one place where a token is to be checked: everything behind this layer finds the caller in the
//! request's extensions, and the caller's name goes into the events of what they wish.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use nightshift_domain::rollout::Actor;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// As it goes into the log.
    pub(crate) name: String,
}

impl Caller {
    /// As the one who wishes something, and why.
    pub(crate) fn wishes(&self, reason: &str) -> Actor {
        Actor { name: self.name.clone(), reason: reason.to_owned() }
    }
}

/// The layer. Nobody is told from anybody yet: the door listens on the loopback address unless told otherwise.
pub(crate) async fn identify(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Caller { name: "somebody at the REST door".to_owned() });
    next.run(request).await
}
