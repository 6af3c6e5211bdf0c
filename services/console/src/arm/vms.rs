//! VMs: put, patched, read, listed, removed.

use super::answer::{answer, answer_with_etag, check_conditions};
use super::error::{ArmError, Result};
use super::model::{self, Subject};
use super::path::VmName;
use super::{Asked, document, instance_view, render};
use crate::index::Index;
use crate::view::View;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use nightshift_domain::SubscriptionId;
use nightshift_domain::fleet::Vm;
use nightshift_protocol::api::v1 as api;
use serde_json::{Value, json};

/// VMs of one page.
const PAGE: usize = 200;
/// A PATCH that came second is tried again on what came first, so many times.
const TRIES: usize = 5;

/// `…/virtualMachines/V`
pub(super) async fn one(asked: Asked, subscription: SubscriptionId, at: VmName) -> Result<Response> {
    match asked.method {
        Method::GET => get(asked, subscription, at).await,
        Method::PUT | Method::PATCH => put(asked, subscription, at).await,
        Method::DELETE => delete(asked, subscription, at).await,
        _ => Err(asked.not_allowed(&[Method::GET, Method::PUT, Method::PATCH, Method::DELETE])),
    }
}

async fn get(asked: Asked, subscription: SubscriptionId, at: VmName) -> Result<Response> {
    let expand = match asked.query.get("$expand") {
        None | Some("") => false,
        Some(wanted) if wanted.eq_ignore_ascii_case("instanceView") => true,
        Some(wanted) if wanted.eq_ignore_ascii_case("userData") => false,
        Some(other) => {
            let sentence = format!("$expand = '{other}': it is instanceView or userData");
            return Err(ArmError::invalid("$expand", sentence));
        }
    };
    let found = asked.door.host.look(move |view, now| {
        let vm = find(view, &subscription, &at)?;
        let mut body = render::vm(vm);
        if expand {
            document::set(&mut body, "properties.instanceView", instance_view::of(view, vm, now));
        }
        Ok::<_, ArmError>((body, render::etag(vm)))
    });
    let (body, etag) = found.await??;
    Ok(answer_with_etag(StatusCode::OK, body, &etag))
}

/// The VM, or that there is none.
pub(super) fn find<'a>(view: &'a View, subscription: &SubscriptionId, at: &VmName) -> Result<&'a Vm> {
    let id = view.index.find(subscription, &at.group, &at.name);
    let vm = id.and_then(|id| view.planner.fleet.vms.get(id));
    vm.ok_or_else(|| {
        let sentence = format!(
            "the Resource 'Microsoft.Compute/virtualMachines/{}' under resource group '{}' was not found",
            at.name, at.group
        );
        ArmError::not_found("ResourceNotFound", sentence)
    })
}

async fn put(asked: Asked, subscription: SubscriptionId, at: VmName) -> Result<Response> {
    let body = asked.json()?;
    // Only a wish that rests on nothing that its caller saw may be decided anew on what came first.
    let conditional =
        [header::IF_MATCH, header::IF_NONE_MATCH].iter().any(|name| asked.headers.contains_key(name));
    let mut tries = if conditional { 1 } else { TRIES };
    loop {
        tries -= 1;
        match put_once(&asked, &subscription, &at, &body).await {
            Err(error) if error.came_second() && tries > 0 => {}
            answered => return answered,
        }
    }
}

async fn put_once(
    asked: &Asked,
    subscription: &SubscriptionId,
    at: &VmName,
    body: &Value,
) -> Result<Response> {
    let (headers, version, method) = (asked.headers.clone(), asked.version.clone(), asked.method.clone());
    let (subscription, at, body) = (subscription.clone(), at.clone(), body.clone());
    let wished = asked.door.host.look(move |view, _| {
        let known = find(view, &subscription, &at);
        check_conditions(&headers, known.as_ref().ok().map(|vm| render::etag(vm)).as_deref())?;
        let (known, document) = if method == Method::PATCH {
            let vm = known?;
            let mut document = render::owned(vm);
            document::patch(&mut document, &body);
            (Some(vm), document)
        } else {
            (known.ok(), body)
        };
        let (group, name) = (at.group.as_str(), at.name.as_str());
        let known = known.map(|vm| (vm, render::owned(vm)));
        model::read(
            &Subject { subscription: &subscription, group, name, version: &version, known },
            document,
            view,
        )
    });
    let wished = wished.await??;
    let created = wished.seen.is_none();
    let request = api::PutVmRequest {
        vm: Some((&wished.vm).into()),
        seen: wished.seen.as_ref().map(Into::into),
        any_update_domain: wished.any_update_domain,
        ..Default::default()
    };
    let put = asked.door.owners.fleet(&asked.caller).put_vm(request).await?.into_inner().vm;
    let vm = put.and_then(|vm| Vm::try_from(vm).ok()).unwrap_or(wished.vm);
    let written = vm.clone();
    asked.door.read_back(move |view| view.planner.fleet.vms.get(&written.id) == Some(&written)).await?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(answer_with_etag(status, render::vm(&vm), &render::etag(&vm)))
}

async fn delete(asked: Asked, subscription: SubscriptionId, at: VmName) -> Result<Response> {
    let headers = asked.headers.clone();
    let found = asked.door.host.look(move |view, _| {
        let found = find(view, &subscription, &at).ok().cloned();
        check_conditions(&headers, found.as_ref().map(render::etag).as_deref()).map(|()| found)
    });
    let Some(vm) = found.await?? else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let conditional = asked.headers.contains_key(header::IF_MATCH);
    let request = api::RemoveVmRequest {
        vm: vm.id.to_string(),
        seen: conditional.then(|| (&vm).into()),
        ..Default::default()
    };
    match asked.door.owners.fleet(&asked.caller).remove_vm(request).await.map_err(ArmError::from) {
        // Another was first.
        Err(error) if error.status == StatusCode::NOT_FOUND => {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        removed => removed?,
    };
    asked.door.read_back(move |view| !view.planner.fleet.vms.contains_key(&vm.id)).await?;
    Ok(StatusCode::OK.into_response())
}

/// Which VMs a list is about.
pub(super) enum Which {
    All,
    Group(String),
    Location(String),
}

/// VMs, a page at a time.
pub(super) async fn list(asked: Asked, subscription: SubscriptionId, which: Which) -> Result<Response> {
    asked.only(&Method::GET)?;
    let group = if let Which::Group(group) = &which { Some(group.as_str()) } else { None };
    let after = match asked.query.get("$skiptoken") {
        // One that is no place in this list would give some other page, or none, and be taken for the truth.
        Some(token) if !Index::is_place(&subscription, group, token) => {
            let sentence = format!("$skiptoken = '{token}': it is not from a nextLink of this list");
            return Err(ArmError::invalid("$skiptoken", sentence));
        }
        token => token.map(str::to_owned),
    };
    let size = match asked.query.get("$top").map(str::parse::<usize>) {
        None => PAGE,
        Some(Ok(top)) if top > 0 => top.min(PAGE),
        Some(_) => {
            let top = asked.query.get("$top").unwrap_or_default();
            return Err(ArmError::invalid("$top", format!("$top = '{top}': it must be a number from 1")));
        }
    };
    let expand = asked.query.get("$expand").is_some_and(|wanted| wanted.eq_ignore_ascii_case("instanceView"))
        || asked.query.get("statusOnly").is_some_and(|wanted| wanted.eq_ignore_ascii_case("true"));
    let page = asked.door.host.look(move |view, now| -> Result<(Vec<Value>, Option<String>)> {
        let (group, region) = match &which {
            Which::All => (None, None),
            Which::Group(group) => (Some(group.as_str()), None),
            Which::Location(location) => {
                let Some(region) = model::region_of(view, location) else { return Ok((Vec::new(), None)) };
                (None, Some(region))
            }
        };
        if let Some(group) = group {
            super::groups::check(view, &subscription, group)?;
        }
        let vms = view.index.of(&subscription, group, after.as_deref());
        let vms = vms.filter_map(|(path, id)| Some((path, view.planner.fleet.vms.get(id)?)));
        let mut vms = vms.filter(|(_, vm)| region.is_none_or(|region| vm.region == *region));
        let (mut page, mut last) = (Vec::new(), None);
        for (path, vm) in vms.by_ref().take(size) {
            let mut body = render::vm(vm);
            if expand {
                document::set(&mut body, "properties.instanceView", instance_view::of(view, vm, now));
            }
            page.push(body);
            last = Some(path.to_owned());
        }
        let more = vms.next().is_some();
        Ok((page, last.filter(|_| more)))
    });
    let (page, last) = page.await??;
    let mut body = json!({ "value": page });
    if let Some(last) = last {
        body["nextLink"] = json!(asked.link(&[("$skiptoken", &last)]));
    }
    Ok(answer(StatusCode::OK, body))
}

/// `…/virtualMachines/V/instanceView`
pub(super) async fn instance_view(
    asked: Asked,
    subscription: SubscriptionId,
    at: VmName,
) -> Result<Response> {
    asked.only(&Method::GET)?;
    let look =
        move |view: &View, now| find(view, &subscription, &at).map(|vm| instance_view::of(view, vm, now));
    Ok(answer(StatusCode::OK, asked.door.host.look(look).await??))
}
