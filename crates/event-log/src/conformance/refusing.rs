//! Checks on appends that must not be taken.

use super::sample::{self, Pen, draft, read_all};
use super::{Broken, Log, Outcome, ensure};
use crate::{AppendError, Write};
use nightshift_domain::{Chain, Follow, Partition};

pub(super) async fn ids_elsewhere(log: Log) -> Outcome {
    let partition = Partition::Region(sample::region()?);
    let event = sample::agent_event("vm-a", 1)?;
    let pen = Pen::for_event(&log, &partition, &event);
    let write = pen.write(vec![event.clone(), event.clone(), event.clone()]);
    let [a, b, c] = [0, 1, 2].map(|index: usize| write.events[index].clone());
    let heads = log.append(&partition, vec![write]).await?;
    let new = draft(event.clone());
    let orders = [
        vec![b.clone(), a.clone(), c.clone()],
        vec![a.clone(), new.clone(), c.clone()],
        vec![a.clone(), c, b],
    ];
    for events in orders {
        let write = Write { events, ..pen.write(Vec::new()) };
        let answer = log.append(&partition, vec![write]).await;
        let refused = matches!(&answer, Err(AppendError::Rejected { cause, .. }) if cause.contains("already in the log"));
        ensure!(refused, "the same ids in another order: {answer:?}");
    }
    let moved = Write { expected: heads[0], events: vec![a], ..pen.write(Vec::new()) };
    let answer = log.append(&partition, vec![moved]).await;
    let refused =
        matches!(&answer, Err(AppendError::Rejected { cause, .. }) if cause.contains("already in the log"));
    ensure!(refused, "the same id once more, further on: {answer:?}");
    let events = read_all(&log, &Follow::all(partition)).await?;
    ensure!(events.len() == 3, "{} events", events.len());
    Ok(())
}

pub(super) async fn bad_writes(log: Log) -> Outcome {
    let region = Partition::Region(sample::region()?);
    let event = sample::agent_event("vm-a", 1)?;
    let pen = Pen::for_event(&log, &region, &event);
    let write = || pen.write(vec![event.clone()]);
    let fleet = Pen::for_event(&log, &Partition::Fleet, &sample::fleet_event(1)?);
    let twin = draft(event.clone());
    let other = sample::agent_event("vm-b", 1)?;
    let many = pen.write(vec![event.clone(); 1_001]);
    let cases: Vec<(&str, Vec<Write>, &[&str])> = vec![
        ("nothing", Vec::new(), &["nothing"]),
        ("an empty write", vec![pen.write(Vec::new())], &["agent.vm-a", "no event"]),
        ("another partition", vec![fleet.write(vec![sample::fleet_event(1)?])], &["fleet", "region.west"]),
        ("a chain twice", vec![write(), write()], &["agent.vm-a", "twice"]),
        ("another chain's event", vec![pen.write(vec![other])], &["agent.vm-a", "agent.vm-b"]),
        (
            "a region as a chain",
            vec![Write { chain: Chain::Whole(region.clone()), ..write() }],
            &["region.west", "no chain"],
        ),
        ("an id twice", vec![Write { events: vec![twin.clone(), twin], ..write() }], &["id", "twice"]),
        ("too many", vec![many], &["1001", "1000"]),
    ];
    for (name, writes, words) in cases {
        match log.append(&region, writes).await {
            Err(AppendError::Rejected { partition, cause }) => {
                ensure!(partition == region, "{name}: {partition}");
                let missing = words.iter().find(|word| !cause.contains(**word));
                ensure!(missing.is_none(), "{name}: \"{cause}\" does not say \"{}\"", missing.unwrap_or(&""));
            }
            other => return Err(Broken::new(format!("{name} gives {other:?}"))),
        }
    }
    let events = read_all(&log, &Follow::all(region)).await?;
    ensure!(events.is_empty(), "{} events of rejected writes", events.len());
    Ok(())
}
