//! Resource groups and subscriptions: whatever VMs and registrations of features name.

use super::Asked;
use super::answer::answer;
use super::error::{ArmError, Result};
use super::render;
use crate::view::View;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use nightshift_domain::SubscriptionId;
use nightshift_domain::fleet::Vm;
use nightshift_runtime::access::Issuer;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const TENANT: &str = Issuer::TENANT;

fn first<'a>(view: &'a View, subscription: &SubscriptionId, group: &str) -> Option<&'a Vm> {
    let (_, id) = view.index.of(subscription, Some(group), None).next()?;
    view.planner.fleet.vms.get(id)
}

/// A group is there as long as a VM is in it.
pub(super) fn check<'a>(view: &'a View, subscription: &SubscriptionId, group: &str) -> Result<&'a Vm> {
    let missing = || {
        let sentence = format!("resource group '{group}' could not be found");
        ArmError::not_found("ResourceGroupNotFound", sentence)
    };
    first(view, subscription, group).ok_or_else(missing)
}

fn document(vm: &Vm) -> Value {
    let group = render::group(vm);
    json!({
        "id": format!("/subscriptions/{}/resourceGroups/{group}", vm.subscription),
        "name": group,
        "type": "Microsoft.Resources/resourceGroups",
        "location": vm.region,
        "properties": { "provisioningState": "Succeeded" },
    })
}

/// `/subscriptions/S/resourcegroups/G`
pub(super) async fn one(asked: Asked, subscription: SubscriptionId, group: String) -> Result<Response> {
    let look = move |view: &View, _| check(view, &subscription, &group).map(document);
    let found = asked.door.host.look(look).await?;
    match asked.method {
        Method::HEAD => Ok(match found {
            Ok(_) => StatusCode::NO_CONTENT.into_response(),
            Err(_) => StatusCode::NOT_FOUND.into_response(),
        }),
        Method::GET => Ok(answer(StatusCode::OK, found?)),
        _ => Err(asked.not_allowed(&[Method::GET, Method::HEAD])),
    }
}

/// `/subscriptions/S/resourcegroups`
pub(super) async fn list(asked: Asked, subscription: SubscriptionId) -> Result<Response> {
    asked.only(&Method::GET)?;
    let look = move |view: &View, _| -> Vec<Value> {
        let groups = view.index.groups(&subscription);
        groups.iter().filter_map(|group| first(view, &subscription, group)).map(document).collect()
    };
    Ok(answer(StatusCode::OK, json!({ "value": asked.door.host.look(look).await? })))
}

fn known(view: &View) -> BTreeSet<SubscriptionId> {
    let fleet = &view.planner.fleet;
    let registered = fleet.features.keys().map(|(subscription, _)| subscription.clone());
    view.index.subscriptions().into_iter().chain(registered).chain(fleet.providers.iter().cloned()).collect()
}

fn subscription_document(subscription: &SubscriptionId) -> Value {
    json!({
        "id": format!("/subscriptions/{subscription}"),
        "subscriptionId": subscription,
        "tenantId": TENANT,
        "displayName": subscription,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionPolicies": { "spendingLimit": "Off" },
    })
}

/// `/subscriptions`
pub(super) async fn subscriptions(asked: Asked) -> Result<Response> {
    asked.only(&Method::GET)?;
    let mut known = asked.door.host.look(|view, _| known(view)).await?;
    known.retain(|subscription| asked.caller.sees(subscription));
    let value: Vec<_> = known.iter().map(subscription_document).collect();
    Ok(answer(StatusCode::OK, json!({ "value": value })))
}

/// `/subscriptions/S`
pub(super) async fn subscription(asked: Asked, subscription: SubscriptionId) -> Result<Response> {
    asked.only(&Method::GET)?;
    let wanted = subscription.clone();
    if !asked.door.host.look(move |view, _| known(view).contains(&wanted)).await? {
        let sentence = format!("the subscription '{subscription}' could not be found");
        return Err(ArmError::not_found("SubscriptionNotFound", sentence));
    }
    Ok(answer(StatusCode::OK, subscription_document(&subscription)))
}

/// `/tenants`
pub(super) fn tenants(asked: &Asked) -> Result<Response> {
    asked.only(&Method::GET)?;
    let tenant =
        json!({ "id": format!("/tenants/{TENANT}"), "tenantId": TENANT, "displayName": "Nightshift" });
    Ok(answer(StatusCode::OK, json!({ "value": [tenant] })))
}

/// `/subscriptions/S/locations`
pub(super) async fn locations(asked: Asked, subscription: SubscriptionId) -> Result<Response> {
    asked.only(&Method::GET)?;
    let look = |view: &View, _| -> Vec<Value> {
        let regions = view.planner.fleet.topology.regions.values();
        let document = |region: &nightshift_domain::topology::Region| json!({ "name": region.name, "displayName": region.name, "pair": region.pair });
        regions.map(document).collect()
    };
    let mut value = asked.door.host.look(look).await?;
    for region in &mut value {
        let name = region["name"].as_str().unwrap_or_default().to_owned();
        let pair = region["pair"].take();
        let paired = pair.as_str().map(|pair| json!([{ "name": pair }])).unwrap_or(json!([]));
        *region = json!({
            "id": format!("/subscriptions/{subscription}/locations/{name}"),
            "name": name,
            "displayName": name,
            "regionalDisplayName": name,
            "type": "Region",
            "metadata": { "regionType": "Physical", "regionCategory": "Other", "pairedRegion": paired },
        });
    }
    Ok(answer(StatusCode::OK, json!({ "value": value })))
}

/// `/metadata/endpoints`: what a client needs to know to register this as a cloud of its own. `az` reads the list that
/// versions from 2019-05-01 on have; earlier ones have one document.
pub(super) fn endpoints(asked: &Asked) -> Result<Response> {
    asked.only(&Method::GET)?;
    let base = asked.base();
    let authentication = json!({
        "loginEndpoint": base,
        "audiences": [base, format!("{base}/")],
        "tenant": TENANT,
        "identityProvider": "AAD",
    });
    if asked.version.0.as_str() < "2019-05-01" {
        let body = json!({
            "galleryEndpoint": base,
            "graphEndpoint": base,
            "portalEndpoint": base,
            "authentication": authentication,
        });
        return Ok(answer(StatusCode::OK, body));
    }
    let cloud = json!({
        "name": "Nightshift",
        "portal": base,
        "resourceManager": format!("{base}/"),
        "authentication": authentication,
        "graph": base,
        "graphAudience": base,
        "microsoftGraphResourceId": base,
        "gallery": base,
        "batch": base,
        "media": base,
        "vmImageAliasDoc": base,
        "sqlManagement": base,
        "suffixes": {},
    });
    let one_only = asked.version.0.as_str() >= "2022-09-01";
    Ok(answer(StatusCode::OK, if one_only { cloud } else { json!([cloud]) }))
}
