//! Lists of a large fleet, page by page, while it changes.

use crate::door::{Door, SUBSCRIPTION, linux, regions, vm};
use crate::fleet;
use nightshift_cli::clients;
use nightshift_domain::fleet::Vm;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const VMS: usize = 100_000;
/// Every so many pages, machines come and go.
const CHANGE_EVERY: usize = 50;
const LONGEST_PAGE: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_hundred_thousand_machines_are_listed_each_once_while_others_come_and_go() {
    let door = Door::open().await;
    let mut declared = regions();
    declared.vms = (0..VMS).map(|number| (&machine(number)).into()).collect();
    clients::fleet(&door.stack.servers).await.unwrap().declare_fleet(declared).await.unwrap();
    let place = format!("/subscriptions/{SUBSCRIPTION}");
    let last = format!(
        "{place}/resourceGroups/large/providers/Microsoft.Compute/virtualMachines/{}?api-version=2024-07-01",
        name(VMS - 1)
    );
    let end = Instant::now() + Duration::from_secs(120);
    while door.get(&last).await.status != 200 {
        assert!(Instant::now() < end, "the fleet is not taken in");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    let mut link = format!("{place}/providers/Microsoft.Compute/virtualMachines?api-version=2024-07-01");
    let (mut listed, mut pages, mut longest) = (BTreeMap::<String, usize>::new(), 0, Duration::ZERO);
    let (mut came, mut went) = (Vec::new(), Vec::new());
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        let page = door.get(&link).await.expect(200);
        longest = longest.max(asked.elapsed());
        let value = page.body["value"].as_array().unwrap();
        assert!(value.len() <= LONGEST_PAGE, "{} on a page", value.len());
        for vm in value {
            *listed.entry(vm["name"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        pages += 1;
        match page.body["nextLink"].as_str() {
            Some(next) => link = next.to_owned(),
            None => break,
        }
        if pages % CHANGE_EVERY == 0 {
            // The very machine at which the next page would begin, one long listed, one long before its turn, and a new one.
            let at = pages * LONGEST_PAGE;
            for number in [at - 1, at, at - 1_000, (at + 1_000).min(VMS - 1)] {
                let path = last.replace(&name(VMS - 1), &name(number));
                door.send("DELETE", &path, &[], None).await.expect(200);
                went.push(name(number));
            }
            let new = format!("new-{pages}");
            door.put(&vm(&new, ""), &linux("ImageDefault")).await.expect(201);
            came.push(new);
        }
    }
    println!(
        "{} machines on {pages} pages in {:.1} s, {:.1} ms a page, the longest {:.1} ms",
        listed.len(),
        began.elapsed().as_secs_f64(),
        began.elapsed().as_secs_f64() * 1_000.0 / pages as f64,
        longest.as_secs_f64() * 1_000.0
    );
    assert!(went.len() >= 30 && came.len() >= 8, "{} went, {} came", went.len(), came.len());
    assert!(listed.values().all(|times| *times == 1), "a machine is listed twice");
    for number in 0..VMS {
        let name = name(number);
        assert!(listed.contains_key(&name) || went.contains(&name), "{name} is not listed");
    }
    let others = listed.keys().filter(|name| !name.starts_with("machine-"));
    assert!(others.clone().all(|name| came.contains(name)), "{:?}", others.collect::<Vec<_>>());
    door.stack.shutdown.cancel();
    door.stack.ended().await.unwrap();
}

fn name(number: usize) -> String {
    format!("machine-{number:06}")
}

fn machine(number: usize) -> Vm {
    fleet::vm(name(number), SUBSCRIPTION.into(), "large".into(), "westeurope")
}
