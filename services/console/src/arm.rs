//! The door that Azure's own clients know: Azure Resource Manager's REST, with the reference's paths and bodies
//! (REQUIREMENTS.md C5, D1, D4, D5, E1 to E3).
//!
//! It reads the console's view and decides nothing: what somebody wishes goes to the service that owns it, and the answer
//! is given once the view has read what became of it.

mod answer;
mod document;
mod error;
mod features;
mod groups;
mod install;
mod instance_view;
mod model;
mod operations;
mod path;
mod render;
mod tags;
mod version;
mod vms;

use crate::owners::Connections;
use crate::view::View;
use answer::Query;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, middleware};
use error::{ArmError, Result};
use nightshift_runtime::access::{Caller, Role};
use nightshift_runtime::{CommandError, Host};
use path::{OfSubscription, Place};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::time::Duration;
use version::Version;
use vms::Which;

/// The longest body that is read, in bytes; what is kept of it is bounded by the fleet.
const LARGEST_REQUEST: usize = 1024 * 1024;
/// How long an answer may wait for the view to read what its wish became.
const READ_BACK: Duration = Duration::from_secs(5);

/// What the door stands on.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) host: Host<View>,
    pub(crate) owners: Connections,
    /// Whether it is served over TLS.
    pub(crate) secure: bool,
}

/// Everything below `/subscriptions` and kin.
pub(crate) fn router(door: Door) -> Router {
    Router::new().fallback(serve).with_state(door).layer(middleware::from_fn(answer::mark))
}

/// One request, read.
struct Asked {
    door: Door,
    caller: Caller,
    method: Method,
    path: String,
    headers: HeaderMap,
    query: Query,
    version: Version,
    body: Vec<u8>,
}

async fn serve(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let name = caller.name().to_owned();
    let response = answered(door, caller, request).await.unwrap_or_else(ArmError::into_response);
    tracing::debug!(caller = name, %method, path, status = response.status().as_u16(), "answered");
    response
}

async fn answered(door: Door, caller: Caller, request: Request<Body>) -> Result<Response> {
    let (Parts { method, uri, headers, .. }, body) = request.into_parts();
    let place = Place::of(uri.path())?;
    let query = Query::of(&uri)?;
    let (known, what) = place.versions();
    let version = Version::of(query.get("api-version"), known, what)?;
    let too_long = |_| {
        let sentence = format!("the request's body is longer than {LARGEST_REQUEST} bytes, or was cut off");
        ArmError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestContentTooLarge", sentence)
    };
    let body = to_bytes(body, LARGEST_REQUEST).await.map_err(too_long)?.to_vec();
    let asked = Asked { door, caller, method, path: uri.path().to_owned(), headers, query, version, body };
    let (subscription, place) = match place {
        Place::Endpoints => return groups::endpoints(&asked),
        Place::Tenants => return groups::tenants(&asked),
        Place::Subscriptions => return groups::subscriptions(asked).await,
        Place::In(subscription, place) => (subscription, place),
    };
    // The layer has checked it by its own reading of the path. Should the two ever differ, nothing is told.
    asked.caller.check(Role::Reader, &subscription).map_err(tonic::Status::from)?;
    match place {
        OfSubscription::Itself => groups::subscription(asked, subscription).await,
        OfSubscription::Locations => groups::locations(asked, subscription).await,
        OfSubscription::Groups => groups::list(asked, subscription).await,
        OfSubscription::Group(group) => groups::one(asked, subscription, group).await,
        OfSubscription::Providers => features::providers(asked, subscription).await,
        OfSubscription::Provider(name) => features::show_provider(asked, subscription, name).await,
        OfSubscription::RegisterProvider(name) => {
            features::register_provider(asked, subscription, name).await
        }
        OfSubscription::Features => features::list(asked, subscription).await,
        OfSubscription::Feature(name) => features::one(asked, subscription, name).await,
        OfSubscription::RegisterFeature(name) => features::register(asked, subscription, name, true).await,
        OfSubscription::UnregisterFeature(name) => features::register(asked, subscription, name, false).await,
        OfSubscription::Vms => vms::list(asked, subscription, Which::All).await,
        OfSubscription::VmsOfGroup(group) => vms::list(asked, subscription, Which::Group(group)).await,
        OfSubscription::VmsOfLocation(at) => vms::list(asked, subscription, Which::Location(at)).await,
        OfSubscription::Vm(vm) => vms::one(asked, subscription, vm).await,
        OfSubscription::InstanceView(vm) => vms::instance_view(asked, subscription, vm).await,
        OfSubscription::AssessPatches(vm) => operations::assess(asked, subscription, vm).await,
        OfSubscription::InstallPatches(vm) => install::install(asked, subscription, vm).await,
        OfSubscription::Operation(id) => operations::show(asked, subscription, id).await,
    }
}

impl Place {
    /// The versions that there are for it, and what it is.
    fn versions(&self) -> (&'static [&'static str], &'static str) {
        use OfSubscription::*;
        match self {
            Place::Endpoints => (version::METADATA, "metadata/endpoints"),
            Place::Tenants | Place::Subscriptions => (version::RESOURCES, "subscriptions"),
            Place::In(_, place) => match place {
                Itself | Locations => (version::RESOURCES, "subscriptions"),
                Groups | Group(_) => (version::RESOURCES, "resourceGroups"),
                Providers | Provider(_) | RegisterProvider(_) => (version::RESOURCES, "providers"),
                Features | Feature(_) | RegisterFeature(_) | UnregisterFeature(_) => {
                    (version::FEATURES, "features")
                }
                Vms | VmsOfGroup(_) | VmsOfLocation(_) | Vm(_) | InstanceView(_) | AssessPatches(_)
                | InstallPatches(_) | Operation(_) => (version::COMPUTE, "virtualMachines"),
            },
        }
    }
}

impl Asked {
    fn only(&self, method: &Method) -> Result<()> {
        if self.method == *method { Ok(()) } else { Err(self.not_allowed(std::slice::from_ref(method))) }
    }

    fn not_allowed(&self, allowed: &[Method]) -> ArmError {
        let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let sentence =
            format!("the method {} is not allowed at {}: allowed is {allowed}", self.method, self.path);
        let error = ArmError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", sentence);
        ArmError { allow: Some(allowed), ..error }
    }

    fn json(&self) -> Result<Value> {
        let unreadable = |error| {
            let sentence =
                format!("the request content was invalid and could not be deserialized: '{error}'");
            ArmError::bad("InvalidRequestContent", sentence)
        };
        let body: Value = serde_json::from_slice(&self.body).map_err(unreadable)?;
        if body.is_object() {
            return Ok(body);
        }
        Err(ArmError::bad("InvalidRequestContent", "the request content must be a JSON object"))
    }

    fn base(&self) -> String {
        answer::base(&self.headers, self.door.secure)
    }

    /// This address again, with these parameters beside what was asked for.
    fn link(&self, parameters: &[(&str, &str)]) -> String {
        let mut link = format!("{}{}?api-version={}", self.base(), self.path, self.version.0);
        let kept = ["$expand", "$top", "statusOnly"];
        let kept = kept.into_iter().filter_map(|name| Some((name, self.query.get(name)?)));
        for (name, value) in kept.chain(parameters.iter().copied()) {
            link.push_str(&format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        }
        link
    }
}

impl Door {
    /// Waits until the view has read what an owner wrote: who has had an answer finds it so. A log that is slower than
    /// the longest wait is no error: what was wished is in it.
    async fn read_back(
        &self,
        done: impl Fn(&View) -> bool + Clone + Send + 'static,
    ) -> std::result::Result<(), CommandError> {
        let mut facts = self.host.facts();
        let reading = async {
            loop {
                let done = done.clone();
                if self.host.look(move |view, _| done(view)).await? {
                    return Ok(());
                }
                // A reader that fell behind has news all the same.
                drop(facts.recv().await);
            }
        };
        tokio::time::timeout(READ_BACK, reading).await.unwrap_or(Ok(()))
    }
}
