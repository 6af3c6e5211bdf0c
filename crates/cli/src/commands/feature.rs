//! `nightshift feature …`

use crate::arguments::{Feature, Servers};
use crate::failure::Failure;
use crate::output::{Format, print, table};
use crate::{clients, exit, pages};
use nightshift_domain::fleet::Feature as Known;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use std::process::ExitCode;

pub(crate) async fn run(command: Feature, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    match command {
        Feature::List { subscription } => list(subscription.unwrap_or_default(), servers, output).await?,
        Feature::Register { subscription, feature } => {
            let said =
                format!("{subscription} asks for {feature}; `nightshift feature list` says how far it is");
            let registration = Some(registration(subscription, &feature)?);
            let request = api::RegisterFeatureRequest { registration, ..Default::default() };
            let done = clients::fleet(servers).await?.register_feature(request).await?.into_inner();
            output.answer(&done, said)?;
        }
        Feature::Unregister { subscription, feature } => {
            let said = format!("{subscription} is without {feature}");
            let registration = Some(registration(subscription, &feature)?);
            let request = api::UnregisterFeatureRequest { registration, ..Default::default() };
            let done = clients::fleet(servers).await?.unregister_feature(request).await?.into_inner();
            output.answer(&done, said)?;
        }
        Feature::Provider { subscription } => {
            let said = format!("{subscription} has registered Microsoft.Compute");
            let request = api::RegisterProviderRequest { subscription, ..Default::default() };
            let done = clients::fleet(servers).await?.register_provider(request).await?.into_inner();
            output.answer(&done, said)?;
        }
    }
    Ok(exit::DONE)
}

async fn list(subscription: String, servers: &Servers, output: Format) -> anyhow::Result<()> {
    let mut planner = clients::fleet(servers).await?;
    let features = pages::all(async |page_token| {
        let subscription = subscription.clone();
        let request = api::ListFeaturesRequest { subscription, page_token, ..Default::default() };
        let page = planner.list_features(request).await?.into_inner();
        Ok((page.features, page.next_page_token))
    });
    let features = features.await?;
    if output.is_for_programs() {
        return output.print(&features);
    }
    let mut rows = table(&["SUBSCRIPTION", "FEATURE", "STATE"]);
    for feature in features {
        let state = match feature.state() {
            api::RegistrationState::Registered => "registered",
            api::RegistrationState::Registering => "registering",
            api::RegistrationState::Unspecified => "unknown",
        };
        let registration = feature.registration.unwrap_or_default();
        let name =
            nightshift_protocol::convert::feature(registration.feature).map(|known| format!("{known:?}"));
        rows.add_row([registration.subscription, name.unwrap_or_else(|_| "unknown".into()), state.into()]);
    }
    print(rows)
}

fn registration(subscription: String, feature: &str) -> anyhow::Result<api::FeatureRegistration> {
    let all = [Known::InGuestAutoPatchVMPreview, Known::InGuestPatchVMPreview];
    let known = all.into_iter().find(|known| format!("{known:?}").eq_ignore_ascii_case(feature));
    let known = known.ok_or_else(|| {
        let [one, other] = all.map(|known| format!("{known:?}"));
        Failure::usage(format!("FEATURE \"{feature}\": write {one} or {other}"))
            .next("nightshift feature list")
    })?;
    Ok(api::FeatureRegistration { subscription, feature: wire::Feature::from(known).into() })
}
