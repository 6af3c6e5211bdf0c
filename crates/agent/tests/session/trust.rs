//! A gateway, or a broker behind it, that was taken over: what it makes up or alters is not carried out.

use crate::{Night, new_key};
use nightshift_agent::simulated::Settings;
use nightshift_domain::event::Order;
use nightshift_domain::patch::RebootSetting;
use std::fs;

/// Orders under identities of their own, each wrong in another way, with the code of its refusal.
fn forgeries(night: &Night) -> Vec<(&'static str, Order)> {
    let named = |id: &str| Order { id: id.parse().unwrap(), ..night.order() };
    let signed = |id: &str| night.key.sign(named(id));
    vec![
        ("Unsigned", named("without-signature")),
        ("UnknownKey", new_key().sign(named("of-a-strange-key"))),
        ("Forged", Order { id: "other-id".parse().unwrap(), ..signed("o-9") }),
        (
            "Forged",
            Order {
                vm: night.config.vm.clone(),
                ..night.key.sign(Order {
                    vm: "vm-2".parse().unwrap(),
                    ..named("of-another-machine-with-its-name-altered")
                })
            },
        ),
        ("NotMine", night.key.sign(Order { vm: "vm-2".parse().unwrap(), ..named("of-another-machine") })),
        ("Forged", Order { reboot: RebootSetting::Never, ..signed("with-another-reboot") }),
        ("Forged", Order { deadline: night.order().deadline, ..signed("with-more-time") }),
    ]
}

#[tokio::test]
async fn what_no_trusted_coordinator_signed_is_refused_with_code_and_reason() {
    let night = Night::new().await;
    let forgeries = forgeries(&night);
    // One more under the identity of a true order: it must not be the end of that one.
    let altered = Order { reboot: RebootSetting::Never, ..night.key.sign(night.order()) };
    night.gateway.told().forged = forgeries.iter().map(|(_, order)| order.clone()).chain([altered]).collect();
    night.place(night.order());
    let agent = night.start(Settings::default());
    night.until(|told| !told.finished().is_empty()).await;
    let boots = agent.machine.boots();
    agent.end().await;

    let told = night.gateway.told();
    let refused = told.refused();
    for (code, order) in &forgeries {
        let (said, why) = refused[order.id.as_str()];
        assert_eq!(said, *code, "{}: {why}", order.id);
        assert!(why.len() > 20, "{}: {why}", order.id);
    }
    assert_eq!(refused["o-1"].0, "Forged");
    // The true order alone was carried out, as it was placed: with its reboot.
    let finished: Vec<&str> = told.finished().iter().map(|finished| finished.order.as_str()).collect();
    assert_eq!((finished, boots), (vec!["o-1"], 2));
}

#[tokio::test]
async fn keys_are_replaced_under_a_running_agent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("order-keys.pem");
    let mut night = Night::new().await;
    let (former, next) = (night.config.order_keys.clone(), new_key());
    fs::write(&file, &former).unwrap();
    night.config.order_keys = file.display().to_string();
    let early = next.sign(Order { id: "early".parse().unwrap(), ..night.order() });
    night.gateway.told().forged = vec![early];
    let agent = night.start(Settings::default());
    night.until(|told| told.refused().contains_key("early")).await;
    assert_eq!(night.gateway.told().refused()["early"].0, "UnknownKey");

    // Both for a while; then an order that the next key signed is carried out.
    fs::write(&file, format!("{former}{}", next.public_pem())).unwrap();
    night.gateway.told().forged.clear();
    night.gateway.told().order = Some(next.sign(night.order()));
    night.restart_gateway().await;
    night.until(|told| !told.finished().is_empty()).await;
    agent.end().await;
}
