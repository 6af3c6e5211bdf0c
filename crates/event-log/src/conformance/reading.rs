//! Checks on reading.

use super::sample::{self, Pen, draft, positions, read_all, take};
use super::{Broken, Log, Outcome, ensure};
use crate::{ReadError, Recorded, Write};
use nightshift_domain::{Follow, Partition};
use nightshift_protocol::envelope::Command;

pub(super) async fn order(log: Log) -> Outcome {
    let partition = Partition::Fleet;
    let mut pen = Pen::for_event(&log, &partition, &sample::fleet_event(0)?);
    let mut written = Vec::new();
    ensure!(log.newest(&partition).await? == 0, "a partition without events has a newest one");
    for round in 0..5 {
        let events =
            (0..=round).map(|n| sample::fleet_event(10 * round + n)).collect::<Result<Vec<_>, _>>()?;
        let write = pen.write(events);
        written.extend(write.events.iter().map(|draft| draft.id.to_string()));
        let heads = log.append(&partition, vec![write]).await?;
        ensure!(heads.len() == 1, "{} heads for one write", heads.len());
        pen.head = heads[0];
        ensure!(pen.head.position == written.len() as u64, "head {:?} after {}", pen.head, written.len());
        let newest = log.newest(&partition).await?;
        ensure!(newest == pen.head.position, "newest {newest}, head {:?}", pen.head);
    }
    let events = read_all(&log, &Follow::all(partition)).await?;
    let expected: Vec<u64> = (1..=written.len() as u64).collect();
    ensure!(positions(&events) == expected, "positions {:?}", positions(&events));
    let ids: Vec<String> = events.iter().map(|recorded| recorded.envelope.id.clone()).collect();
    ensure!(ids == written, "ids {ids:?}, written {written:?}");
    Ok(())
}

pub(super) async fn attributes(log: Log) -> Outcome {
    let partition = Partition::Region(sample::region()?);
    let event = sample::run_event("r-1", "Übergröße \"' \n")?;
    let mut draft = draft(event.clone());
    draft.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    draft.command = Some(Command { key: "a/b=?\"~".into(), caller: [1; 32], request: [255; 32], events: 1 });
    let pen = Pen::for_event(&log, &partition, &event);
    let write = Write { events: vec![draft.clone()], ..pen.write(Vec::new()) };
    let sealed = write.envelopes();
    let heads = log.append(&partition, vec![write]).await?;
    let events = read_all(&log, &Follow::all(partition.clone())).await?;
    let [Recorded { envelope, .. }] = events.as_slice() else {
        return Err(Broken::new(format!("{} events", events.len())));
    };
    ensure!(*envelope == sealed[0].0, "{envelope:?} instead of {:?}", sealed[0].0);
    ensure!(envelope.hash() == heads[0].hash, "the head's hash is not the event's");
    let fact = envelope.fact().map_err(|error| Broken::new(error.to_string()))?;
    ensure!(fact.event == event && fact.at == draft.at && fact.partition == partition, "{fact:?}");
    Ok(())
}

/// 30 events in a region, kinds in turn: run, agent, health.
async fn mixed(log: &Log) -> Result<Partition, Broken> {
    let partition = Partition::Region(sample::region()?);
    let mut pens = Vec::new();
    for event in
        [sample::run_event("r-1", "")?, sample::agent_event("vm-1", 0)?, sample::health_event("vm-1", "")?]
    {
        pens.push(Pen::for_event(log, &partition, &event));
    }
    for n in 0..10 {
        pens[0].append(vec![sample::run_event("r-1", &n.to_string())?]).await?;
        pens[1].append(vec![sample::agent_event("vm-1", n)?]).await?;
        pens[2].append(vec![sample::health_event("vm-1", &n.to_string())?]).await?;
    }
    Ok(partition)
}

pub(super) async fn paging(log: Log) -> Outcome {
    let partition = Partition::Region(sample::region()?);
    let whole = Follow::all(partition.clone());
    let nothing = log.read(&whole, 0, 10).await?;
    ensure!(nothing.events.is_empty() && nothing.at_end && nothing.read_to == 0, "nothing is {nothing:?}");
    mixed(&log).await?;
    for (follow, expected) in [
        (whole.clone(), (1..=30).collect::<Vec<u64>>()),
        (Follow::kind(partition.clone(), "run"), (1..=30).step_by(3).collect()),
        (Follow::kind(partition.clone(), "health"), (3..=30).step_by(3).collect()),
        (Follow::kind(partition.clone(), "upkeep"), Vec::new()),
    ] {
        for limit in [1, 4, 7, 30, 31, 1_000] {
            for start in [0, 1, 14, 29, 30] {
                let wanted: Vec<u64> =
                    expected.iter().copied().filter(|position| *position > start).collect();
                let read = pages(&log, &follow, start, limit).await?;
                ensure!(
                    read == wanted,
                    "{follow:?} after {start} by {limit}: {read:?} instead of {wanted:?}"
                );
            }
        }
    }
    let end = log.read(&whole, 30, 5).await?;
    ensure!(end.events.is_empty() && end.at_end && end.read_to == 30, "the end is {end:?}");
    Ok(())
}

async fn pages(log: &Log, follow: &Follow, start: u64, limit: usize) -> Result<Vec<u64>, Broken> {
    let mut read = Vec::new();
    let mut after = start;
    loop {
        let page = log.read(follow, after, limit).await?;
        ensure!(page.read_to >= after, "read to {} after {after}", page.read_to);
        ensure!(page.events.len() <= 2 * limit, "{} events by {limit}", page.events.len());
        let within = |recorded: &Recorded| recorded.position > after && recorded.position <= page.read_to;
        ensure!(page.events.iter().all(within), "events outside of {after}..={}", page.read_to);
        ensure!(page.at_end || page.read_to > after, "no end and no progress at {after}");
        read.extend(positions(&page.events));
        after = page.read_to;
        if page.at_end {
            ensure!(after == 30, "the end is at {after}");
            return Ok(read);
        }
    }
}

pub(super) async fn subscriptions(log: Log) -> Outcome {
    let partition = mixed(&log).await?;
    let mut followers = Vec::new();
    for start in [0, 7, 30] {
        for kind in [None, Some("run"), Some("agent"), Some("stream-test")] {
            let follow = Follow { partition: partition.clone(), kind };
            followers.push((start, kind, log.subscribe(&follow, start).await?));
        }
    }
    let writers = (0..4).map(|writer| tokio::spawn(write_twenty(log.clone(), partition.clone(), writer)));
    for writer in futures::future::join_all(writers.collect::<Vec<_>>()).await {
        writer.map_err(Broken::from)??;
    }
    let all = read_all(&log, &Follow::all(partition.clone())).await?;
    ensure!(all.len() == 30 + 4 * 40, "{} events", all.len());
    for (start, kind, mut events) in followers {
        let chosen = |recorded: &&Recorded| {
            let is_kind =
                recorded.envelope.aggregate().is_ok_and(|of| kind.is_none_or(|kind| of.kind == kind));
            recorded.position > start && is_kind
        };
        let expected: Vec<Recorded> = all.iter().filter(chosen).cloned().collect();
        let seen = take(&mut events, expected.len()).await?;
        ensure!(seen == expected, "{kind:?} after {start}: saw {:?}", positions(&seen));
        let more = futures::FutureExt::now_or_never(futures::StreamExt::next(&mut events));
        ensure!(more.is_none(), "{kind:?} after {start}: one more: {more:?}");
    }
    Ok(())
}

async fn write_twenty(log: Log, partition: Partition, writer: usize) -> Outcome {
    let vm = format!("vm-w{writer}");
    let mut run = Pen::for_event(&log, &partition, &sample::run_event(&vm, "")?);
    let mut agent = Pen::for_event(&log, &partition, &sample::agent_event(&vm, 0)?);
    for n in 0..10 {
        run.append(vec![sample::run_event(&vm, &n.to_string())?]).await?;
        agent.append((0..3).map(|m| sample::agent_event(&vm, 3 * n + m)).collect::<Result<_, _>>()?).await?;
    }
    Ok(())
}

pub(super) async fn first_event(log: Log) -> Outcome {
    let follow = Follow::all(Partition::Rollout);
    let mut early = log.subscribe(&follow, 0).await?;
    let rollout = nightshift_domain::RolloutId::new("r-1")?;
    let event = nightshift_domain::Event::PhaseStarted { rollout, phase: 1 };
    let mut pen = Pen::for_event(&log, &Partition::Rollout, &event);
    pen.append(vec![event.clone(), event.clone()]).await?;
    ensure!(positions(&take(&mut early, 2).await?) == [1, 2], "not the first events");
    pen.append(vec![event]).await?;
    ensure!(positions(&take(&mut early, 1).await?) == [3], "not the next event");
    Ok(())
}

pub(super) async fn went_back(log: Log) -> Outcome {
    let partition = Partition::Fleet;
    let follow = Follow::all(partition.clone());
    let mut pen = Pen::for_event(&log, &partition, &sample::fleet_event(0)?);
    pen.append(vec![sample::fleet_event(1)?, sample::fleet_event(2)?]).await?;
    let read = log.read(&follow, 5, 10).await.err();
    let subscribed = log.subscribe(&follow, 5).await.err();
    for error in [read, subscribed] {
        let went_back = matches!(&error, Some(ReadError::WentBack { newest: 2, seen: 5, .. }));
        ensure!(went_back, "position 5 of 2 gives {error:?}");
    }
    Ok(())
}

pub(super) async fn partitions(log: Log) -> Outcome {
    ensure!(log.partitions().await?.is_empty(), "an empty log has partitions");
    let region = Partition::Region(sample::region()?);
    let _listener = log.subscribe(&Follow::all(Partition::Rollout), 0).await?;
    Pen::for_event(&log, &Partition::Fleet, &sample::fleet_event(0)?)
        .append(vec![sample::fleet_event(0)?])
        .await?;
    let event = sample::agent_event("vm-1", 1)?;
    Pen::for_event(&log, &region, &event).append(vec![event]).await?;
    let partitions = log.partitions().await?;
    ensure!(partitions == [Partition::Fleet, region], "{partitions:?}");
    Ok(())
}
