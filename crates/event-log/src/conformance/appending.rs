//! Checks on appending.

use super::sample::{self, Pen, draft, read_all};
use super::{Broken, Log, Outcome, ensure};
use crate::{AppendError, Head, Write};
use nightshift_domain::{Chain, Event, Follow, Partition};
use std::collections::BTreeMap;

const WRITERS: usize = 12;
const ROUNDS: usize = 12;

pub(super) async fn race_whole(log: Log) -> Outcome {
    race(log, Partition::Fleet, sample::fleet_event(0)?).await
}

pub(super) async fn race_aggregate(log: Log) -> Outcome {
    race(log, Partition::Region(sample::region()?), sample::run_event("r-1", "race")?).await
}

/// Writers with the same expected head, some with one event and some with several.
async fn race(log: Log, partition: Partition, event: Event) -> Outcome {
    let mut pen = Pen::for_event(&log, &partition, &event);
    for round in 0..ROUNDS {
        let racers = (0..WRITERS).map(|writer| {
            let (log, partition, pen) = (log.clone(), partition.clone(), pen.clone());
            let events = vec![event.clone(); 1 + (writer + round) % 3];
            tokio::spawn(async move { log.append(&partition, vec![pen.write(events)]).await })
        });
        let mut winners = Vec::new();
        for racer in futures::future::join_all(racers.collect::<Vec<_>>()).await {
            match racer? {
                Ok(heads) => winners.extend(heads),
                Err(AppendError::Conflict { chain, expected, .. }) => {
                    let named =
                        chain == Chain::of(&partition, &event.aggregate()) && expected == pen.head.position;
                    ensure!(named, "the conflict names {chain} at {expected}");
                }
                Err(other) => return Err(Broken::new(format!("round {round}: {other}"))),
            }
        }
        ensure!(winners.len() == 1, "round {round}: {} winners", winners.len());
        ensure!(winners[0].position > pen.head.position, "round {round}: the head did not rise");
        pen.head = winners[0];
    }
    let events = read_all(&log, &Follow::all(partition)).await?;
    let newest = events.last().map(|last| Head { position: last.position, hash: last.envelope.hash() });
    ensure!(newest == Some(pen.head), "the newest event is {newest:?}, the last winner's {:?}", pen.head);
    Ok(())
}

pub(super) async fn side_by_side(log: Log) -> Outcome {
    let partition = Partition::Region(sample::region()?);
    let writers = (0..16).map(|writer| {
        let (log, partition) = (log.clone(), partition.clone());
        tokio::spawn(async move {
            let vm = format!("vm-{writer}");
            let mut pen = Pen::for_event(&log, &partition, &sample::agent_event(&vm, 0)?);
            for n in 0..10 {
                pen.append(vec![sample::agent_event(&vm, n)?]).await?;
            }
            Outcome::Ok(())
        })
    });
    for writer in futures::future::join_all(writers.collect::<Vec<_>>()).await {
        writer.map_err(Broken::from)??;
    }
    let events = read_all(&log, &Follow::all(partition)).await?;
    ensure!(events.len() == 160, "{} events", events.len());
    Ok(())
}

pub(super) async fn all_or_nothing(log: Log) -> Outcome {
    let partition = Partition::Region(sample::region()?);
    let event = |vm: &str| sample::agent_event(vm, 1);
    let mut taken = Pen::for_event(&log, &partition, &event("vm-taken")?);
    let stale = taken.clone();
    taken.append(vec![event("vm-taken")?]).await?;
    let pens = [
        Pen::for_event(&log, &partition, &event("vm-a")?),
        Pen::for_event(&log, &partition, &event("vm-b")?),
    ];
    let of = |pen: &Pen, vm: &str| Ok::<Write, Broken>(pen.write(vec![event(vm)?, event(vm)?]));
    for place in 0..3 {
        let mut writes = vec![of(&pens[0], "vm-a")?, of(&pens[1], "vm-b")?];
        writes.insert(place, of(&stale, "vm-taken")?);
        match log.append(&partition, writes).await {
            Err(AppendError::Conflict { chain, expected: 0, .. }) => {
                ensure!(chain.to_string().ends_with("agent.vm-taken"), "the conflict names {chain}");
            }
            other => return Err(Broken::new(format!("a stale write at place {place} gives {other:?}"))),
        }
    }
    let events = read_all(&log, &Follow::all(partition.clone())).await?;
    ensure!(events.len() == 1, "{} events after writes that failed", events.len());
    let writes = vec![of(&pens[1], "vm-b")?, of(&taken, "vm-taken")?, of(&pens[0], "vm-a")?];
    let heads = log.append(&partition, writes).await?;
    let positions: Vec<u64> = heads.iter().map(|head| head.position).collect();
    ensure!(positions == [3, 5, 7], "heads at {positions:?}");
    Ok(())
}

pub(super) async fn retry(log: Log) -> Outcome {
    let partition = Partition::Region(sample::region()?);
    let event = |vm: &str, n| sample::agent_event(vm, n);
    let a = Pen::for_event(&log, &partition, &event("vm-a", 0)?);
    let b = Pen::for_event(&log, &partition, &event("vm-b", 0)?);
    let single = vec![Pen::for_event(&log, &partition, &event("vm-c", 0)?).write(vec![event("vm-c", 1)?])];
    let several = vec![a.write(vec![event("vm-a", 1)?, event("vm-a", 2)?]), b.write(vec![event("vm-b", 1)?])];
    let mut landed = Vec::new();
    for writes in [&single, &several] {
        landed.push(log.append(&partition, writes.clone()).await?);
    }
    for behind in 0..3 {
        for (writes, heads) in [&single, &several].into_iter().zip(&landed) {
            let again = log.append(&partition, writes.clone()).await?;
            ensure!(again == *heads, "with {behind} behind it: {again:?} instead of {heads:?}");
        }
        for (vm, head) in [("vm-c", landed[0][0]), ("vm-a", landed[1][0]), ("vm-b", landed[1][1])] {
            let mut pen = Pen::for_event(&log, &partition, &event(vm, 0)?);
            pen.head = latest(&log, &partition, vm).await?.unwrap_or(head);
            pen.append(vec![event(vm, 3)?]).await?;
        }
    }
    let events = read_all(&log, &Follow::all(partition)).await?;
    ensure!(events.len() == 4 + 9, "{} events", events.len());
    retry_whole(log).await
}

async fn retry_whole(log: Log) -> Outcome {
    let mut pen = Pen::for_event(&log, &Partition::Fleet, &sample::fleet_event(0)?);
    pen.append(vec![sample::fleet_event(0)?]).await?;
    for count in [1, 3] {
        let writes = vec![pen.write((0..count).map(sample::fleet_event).collect::<Result<_, _>>()?)];
        let heads = log.append(&Partition::Fleet, writes.clone()).await?;
        pen.head = heads[0];
        pen.append(vec![sample::fleet_event(7)?]).await?;
        let again = log.append(&Partition::Fleet, writes).await?;
        ensure!(again == heads, "{count} on a whole partition: {again:?} instead of {heads:?}");
    }
    Ok(())
}

async fn latest(log: &Log, partition: &Partition, vm: &str) -> Result<Option<Head>, Broken> {
    let events = read_all(log, &Follow::all(partition.clone())).await?;
    let of_vm = events.iter().rfind(|recorded| recorded.envelope.subject.ends_with(vm));
    Ok(of_vm.map(|recorded| Head { position: recorded.position, hash: recorded.envelope.hash() }))
}

pub(super) async fn hash_chain(log: Log) -> Outcome {
    let region = Partition::Region(sample::region()?);
    let mut pens = Vec::new();
    for n in 0..4 {
        pens.push((Pen::for_event(&log, &region, &sample::agent_event(&format!("vm-{n}"), 0)?), n));
    }
    let mut fleet = Pen::for_event(&log, &Partition::Fleet, &sample::fleet_event(0)?);
    for round in 0..6 {
        for (pen, n) in &mut pens {
            let event = sample::agent_event(&format!("vm-{n}"), round)?;
            pen.append(vec![event; 1 + round as usize % 3]).await?;
        }
        fleet.append(vec![sample::fleet_event(round as usize)?, sample::fleet_event(1)?]).await?;
    }
    for partition in [region, Partition::Fleet] {
        let mut heads: BTreeMap<Chain, [u8; 32]> = BTreeMap::new();
        for recorded in read_all(&log, &Follow::all(partition)).await? {
            let chain = recorded.envelope.chain().map_err(|error| Broken::new(error.to_string()))?;
            let previous = heads.insert(chain.clone(), recorded.envelope.hash()).unwrap_or_default();
            ensure!(recorded.envelope.previous_hash == previous, "{chain} breaks at {}", recorded.position);
        }
    }
    Ok(())
}

pub(super) async fn thousand(log: Log) -> Outcome {
    let region = Partition::Region(sample::region()?);
    let mut fleet = Pen::for_event(&log, &Partition::Fleet, &sample::fleet_event(0)?);
    for round in 1..=2 {
        let events = (0..1_000).map(sample::fleet_event).collect::<Result<_, _>>()?;
        let head = fleet.append(events).await?;
        ensure!(head.position == round * 1_000, "the head is at {}", head.position);
    }
    let mut writes = Vec::new();
    for n in 0..1_000 {
        let event = sample::agent_event(&format!("vm-{n}"), 1)?;
        writes.push(Pen::for_event(&log, &region, &event).write(vec![event]));
    }
    let heads = log.append(&region, writes.clone()).await?;
    ensure!(heads.iter().zip(1..).all(|(head, place)| head.position == place), "heads out of order");
    ensure!(log.append(&region, writes).await? == heads, "other heads when tried again");
    for (partition, count) in [(Partition::Fleet, 2_000), (region, 1_000)] {
        let events = read_all(&log, &Follow::all(partition)).await?;
        ensure!(events.len() == count, "{} events instead of {count}", events.len());
    }
    Ok(())
}

pub(super) async fn large_event(log: Log) -> Outcome {
    let region = Partition::Region(sample::region()?);
    let mut pen = Pen::for_event(&log, &region, &sample::run_event("r-1", "")?);
    for size in [5_000, 100_000, 990_000] {
        pen.append(vec![sample::run_event("r-1", &"x".repeat(size))?]).await?;
    }
    let events = read_all(&log, &Follow::all(region.clone())).await?;
    let sizes: Vec<usize> = events.iter().map(|recorded| recorded.envelope.data.len() / 1_000).collect();
    ensure!(sizes == [5, 100, 990], "{sizes:?}");
    let too_large = draft(sample::run_event("r-1", &"x".repeat(1_100_000))?);
    let write = Write { events: vec![too_large], ..pen.write(Vec::new()) };
    match log.append(&region, vec![write]).await {
        Err(AppendError::Rejected { cause, .. }) if cause.contains("bytes") => Ok(()),
        other => Err(Broken::new(format!("an event that is too large gives {other:?}"))),
    }
}
