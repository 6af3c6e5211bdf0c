//! What is refused, as Azure Resource Manager says it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nightshift_runtime::CommandError;
use serde_json::{Value, json};
use tonic::{Code, Status};

/// An error of Azure Resource Manager: a stable code for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArmError {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
    /// The property that it is about.
    pub(crate) target: Option<String>,
    /// The methods that there are instead, as the header has them.
    pub(crate) allow: Option<String>,
}

pub(crate) type Result<T> = std::result::Result<T, ArmError>;

impl ArmError {
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), target: None, allow: None }
    }

    pub(crate) fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// A value that cannot be.
    pub(crate) fn invalid(target: &str, message: impl Into<String>) -> Self {
        Self::bad("InvalidParameter", message).about(target)
    }

    pub(crate) fn not_found(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(crate) fn about(self, target: &str) -> Self {
        Self { target: Some(target.to_owned()), ..self }
    }

    /// The inner part of the body, which a failed operation carries too.
    pub(crate) fn detail(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(target) = &self.target {
            error["target"] = json!(target);
        }
        error
    }

    /// A refusal of a mind. Its sentence stays; its code becomes the one that Azure's clients know.
    fn refused(code: &str, sentence: &str) -> Option<Self> {
        let (status, azure, target) = match code {
            "VmNotFound" => (404, "ResourceNotFound", None),
            "UnknownRegion" => (400, "LocationNotAvailableForResourceType", Some("location")),
            "UnknownZone" => (400, "InvalidAvailabilityZone", Some("zones")),
            "PatchModeNotSupported" => (400, "InvalidParameter", Some("patchSettings.patchMode")),
            "AutomaticUpdatesNotSupported" => {
                (400, "InvalidParameter", Some("windowsConfiguration.enableAutomaticUpdates"))
            }
            "ImageNotSupported" => (400, "InvalidParameter", Some("imageReference")),
            "OsChangeNotAllowed" => (409, "PropertyChangeNotAllowed", Some("osDisk.osType")),
            "RegionChangeNotAllowed" => (409, "InvalidResourceLocation", Some("location")),
            "PatchModeChangeNotAllowed" => (409, "PropertyChangeNotAllowed", Some("patchSettings.patchMode")),
            "AutomaticUpdatesChangeNotAllowed" => {
                (409, "PropertyChangeNotAllowed", Some("windowsConfiguration.enableAutomaticUpdates"))
            }
            "FeatureNotRegistered" | "FeatureRegistering" => {
                (409, "SubscriptionNotRegisteredForFeature", None)
            }
            "PatchModeNotAutomaticByPlatform" | "OutsideWindow" => (409, "OperationNotAllowed", None),
            "InstallUnderWay" => (409, "Conflict", None),
            "AgentNotEnrolled" => (409, "OperationNotAllowed", None),
            "AuthorizationFailed" => (403, "AuthorizationFailed", None),
            "ProviderNotRegistered" => (409, "MissingSubscriptionRegistration", None),
            "VmChangedConflict" => (412, "PreconditionFailed", None),
            "VmNameExists" => (409, "Conflict", None),
            "BodyTooLarge" => (413, "RequestContentTooLarge", None),
            "RegionNotMine" => (503, "ServiceUnavailable", None),
            _ => return None,
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = Self::new(status, azure, sentence);
        Some(Self { target: target.map(str::to_owned), ..error })
    }

    /// Whether the thing was changed by another while this one was about to.
    pub(crate) fn came_second(&self) -> bool {
        self.status == StatusCode::PRECONDITION_FAILED || self.code == "Conflict"
    }
}

impl From<Status> for ArmError {
    fn from(status: Status) -> Self {
        let message = status.message();
        let known = message.split_once(": ").and_then(|(code, sentence)| Self::refused(code, sentence));
        known.unwrap_or_else(|| match status.code() {
            Code::InvalidArgument => Self::bad("InvalidParameter", message),
            Code::NotFound => Self::not_found("ResourceNotFound", message),
            Code::FailedPrecondition => Self::new(StatusCode::CONFLICT, "Conflict", message),
            // The owner did not believe a token that this door believed: their keys differ, or it has just expired.
            Code::Unauthenticated => {
                Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
            }
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message),
        })
    }
}

impl From<CommandError> for ArmError {
    fn from(error: CommandError) -> Self {
        Status::from(error).into()
    }
}

impl IntoResponse for ArmError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.detail() }))).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(allow) = self.allow.and_then(|methods| HeaderValue::try_from(methods).ok()) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }
}
