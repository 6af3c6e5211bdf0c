//! Opting in: features, and the provider whose registration completes it (REQUIREMENTS.md D1).

use super::answer::answer;
use super::error::{ArmError, Result};
use super::{Asked, version};
use crate::view::View;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use nightshift_domain::SubscriptionId;
use nightshift_domain::fleet::{Feature, Registration};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use serde_json::{Value, json};

const COMPUTE: &str = "Microsoft.Compute";
const KNOWN: [(&str, Feature); 2] = [
    ("InGuestAutoPatchVMPreview", Feature::InGuestAutoPatchVMPreview),
    ("InGuestPatchVMPreview", Feature::InGuestPatchVMPreview),
];

fn feature(name: &str) -> Result<(&'static str, Feature)> {
    let found = KNOWN.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names: Vec<_> = KNOWN.iter().map(|(known, _)| *known).collect();
        let sentence = format!("the feature '{name}' could not be found; there are {}", names.join(" and "));
        ArmError::not_found("FeatureNotFound", sentence)
    })
}

fn document(view: &View, subscription: &SubscriptionId, (name, feature): (&str, Feature)) -> Value {
    let state = match view.planner.fleet.registration(subscription, feature) {
        None => "NotRegistered",
        Some(Registration::Registering) => "Registering",
        Some(Registration::Registered) => "Registered",
    };
    let provider = format!("/subscriptions/{subscription}/providers/Microsoft.Features/providers/{COMPUTE}");
    json!({
        "id": format!("{provider}/features/{name}"),
        "name": format!("{COMPUTE}/{name}"),
        "type": "Microsoft.Features/providers/features",
        "properties": { "state": state },
    })
}

/// `…/features/F`
pub(super) async fn one(asked: Asked, subscription: SubscriptionId, name: String) -> Result<Response> {
    asked.only(&Method::GET)?;
    let known = feature(&name)?;
    let body = asked.door.host.look(move |view, _| document(view, &subscription, known)).await?;
    Ok(answer(StatusCode::OK, body))
}

/// `…/features`
pub(super) async fn list(asked: Asked, subscription: SubscriptionId) -> Result<Response> {
    asked.only(&Method::GET)?;
    let look = move |view: &View, _| KNOWN.map(|known| document(view, &subscription, known));
    Ok(answer(StatusCode::OK, json!({ "value": asked.door.host.look(look).await? })))
}

/// `…/features/F/register`, or `/unregister`
pub(super) async fn register(
    asked: Asked,
    subscription: SubscriptionId,
    name: String,
    wanted: bool,
) -> Result<Response> {
    asked.only(&Method::POST)?;
    let known = feature(&name)?;
    let number = wire::Feature::from(known.1).into();
    let registration = api::FeatureRegistration { subscription: subscription.to_string(), feature: number };
    let (registration, mut planner) = (Some(registration), asked.door.owners.fleet(&asked.caller));
    if wanted {
        planner.register_feature(api::RegisterFeatureRequest { registration, ..Default::default() }).await?;
    } else {
        planner
            .unregister_feature(api::UnregisterFeatureRequest { registration, ..Default::default() })
            .await?;
    }
    let of = subscription.clone();
    let done = move |view: &View| view.planner.fleet.registration(&of, known.1).is_some() == wanted;
    asked.door.read_back(done).await?;
    let body = asked.door.host.look(move |view, _| document(view, &subscription, known)).await?;
    Ok(answer(StatusCode::OK, body))
}

/// The providers that this door has, with the types that they have.
const PROVIDERS: [&str; 3] = [COMPUTE, "Microsoft.Features", "Microsoft.Resources"];

fn provider_document(view: &View, subscription: &SubscriptionId, namespace: &str) -> Value {
    let fleet = &view.planner.fleet;
    let locations: Vec<_> = fleet.topology.regions.keys().collect();
    let types: &[(&str, &[&str])] = match namespace {
        COMPUTE => &[
            ("virtualMachines", version::COMPUTE),
            ("locations/operations", version::COMPUTE),
            ("locations/virtualMachines", version::COMPUTE),
        ],
        "Microsoft.Features" => &[("features", version::FEATURES), ("providers", version::FEATURES)],
        _ => &[("subscriptions", version::RESOURCES), ("resourceGroups", version::RESOURCES)],
    };
    let types = types.iter().map(|(name, versions)| {
        json!({ "resourceType": name, "locations": locations, "apiVersions": versions, "capabilities": "None" })
    });
    // Only Compute asks for anything; the rest of Azure Resource Manager is always there.
    let registered = namespace != COMPUTE || fleet.providers.contains(subscription);
    json!({
        "id": format!("/subscriptions/{subscription}/providers/{namespace}"),
        "namespace": namespace,
        "registrationState": if registered { "Registered" } else { "NotRegistered" },
        "registrationPolicy": if namespace == COMPUTE { "RegistrationRequired" } else { "RegistrationFree" },
        "resourceTypes": types.collect::<Vec<_>>(),
    })
}

fn provider(namespace: &str) -> Result<&'static str> {
    let found = PROVIDERS.into_iter().find(|known| known.eq_ignore_ascii_case(namespace));
    found.ok_or_else(|| {
        let sentence = format!("the resource namespace '{namespace}' is invalid");
        ArmError::not_found("InvalidResourceNamespace", sentence)
    })
}

/// `/subscriptions/S/providers/N`
pub(super) async fn show_provider(
    asked: Asked,
    subscription: SubscriptionId,
    namespace: String,
) -> Result<Response> {
    asked.only(&Method::GET)?;
    let known = provider(&namespace)?;
    let body = asked.door.host.look(move |view, _| provider_document(view, &subscription, known)).await?;
    Ok(answer(StatusCode::OK, body))
}

/// `/subscriptions/S/providers`
pub(super) async fn providers(asked: Asked, subscription: SubscriptionId) -> Result<Response> {
    asked.only(&Method::GET)?;
    let look = move |view: &View, _| PROVIDERS.map(|known| provider_document(view, &subscription, known));
    Ok(answer(StatusCode::OK, json!({ "value": asked.door.host.look(look).await? })))
}

/// `/subscriptions/S/providers/N/register`
pub(super) async fn register_provider(
    asked: Asked,
    subscription: SubscriptionId,
    namespace: String,
) -> Result<Response> {
    asked.only(&Method::POST)?;
    let known = provider(&namespace)?;
    if known == COMPUTE {
        let request =
            api::RegisterProviderRequest { subscription: subscription.to_string(), ..Default::default() };
        asked.door.owners.fleet(&asked.caller).register_provider(request).await?;
        let of = subscription.clone();
        asked.door.read_back(move |view| view.planner.fleet.providers.contains(&of)).await?;
    }
    let body = asked.door.host.look(move |view, _| provider_document(view, &subscription, known)).await?;
    Ok(answer(StatusCode::OK, body))
}
