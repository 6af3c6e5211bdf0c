//! A night of many turns: what goes first and last, what gives way, what is told.

use super::*;

#[tokio::test]
async fn the_package_manager_goes_first_and_kernels_last_and_all_is_downloaded_before() {
    let bench = Bench::new(lacking(&["kernel-x", "a", "pm-tool", "b"]));
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    let log = bench.log();
    let first_install = log.iter().position(|entry| entry.starts_with("install")).unwrap();
    let downloads: Vec<&String> = log.iter().filter(|entry| entry.starts_with("download")).collect();
    assert_eq!(&downloads[..3], ["download pm-tool", "download a b", "download kernel-x"]);
    assert!(
        log[..first_install].iter().filter(|entry| entry.starts_with("download")).count() == 3,
        "{log:?}"
    );
    assert_eq!(bench.installs(), ["install pm-tool", "install a b", "install kernel-x"]);
    assert_eq!(bench.result().reboot, RebootStatus::Completed);
}

#[tokio::test]
async fn a_reboot_that_is_due_already_comes_before_everything_else() {
    let bench = Bench::new(Machine { reboot_required: true, ..lacking(&["a"]) });
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    let log = bench.log();
    let at = |what: &str| log.iter().position(|entry| entry == what).unwrap();
    assert!(at("reboot") < at("refresh") && at("reboot") < at("install a"), "{log:?}");
    assert_eq!(bench.result().reboot, RebootStatus::Completed);
}

#[tokio::test]
async fn a_machine_that_asks_for_a_reboot_for_ever_gets_three() {
    let bench = Bench::new(Machine { reboot_required: true, always_asks: true, ..lacking(&["a"]) });
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    assert_eq!(bench.log().iter().filter(|entry| *entry == "reboot").count(), 3);
    assert_eq!(bench.result().reboot, RebootStatus::Required);
    assert_eq!(bench.states()["a"], PatchState::Installed);
}

#[tokio::test]
async fn what_another_pulls_down_is_tried_in_smaller_batches() {
    let names: Vec<String> = (10..50).map(|number| format!("p{number}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push("aborts");
    let bench = Bench::new(Machine { aborts: Some("aborts".into()), ..lacking(&names) });
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    assert_eq!(bench.result().count(PatchState::Installed), 40);
    assert_eq!(bench.states()["aborts"], PatchState::Failed);
    // All, ten batches of four, and the culprit by itself.
    assert_eq!(bench.installs().len(), 12, "{:?}", bench.installs());
    let result = bench.result();
    assert_eq!((result.accounted(), result.skipped()), (41, 0));
}

#[tokio::test]
async fn the_measured_pace_of_the_machine_is_kept_and_bounds_the_next_batch() {
    // Twenty minutes for one package: the average rises, and the next process knows it.
    let bench = Bench::new(Machine { takes: Some(Duration::minutes(20)), ..lacking(&["a"]) });
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    let average = bench.engine().average_package();
    assert!(average > Duration::seconds(300) && average < Duration::seconds(400), "{average}");
    bench.fake.machine.lock().unwrap().lacks = lacking(&["b", "c"]).lacks;
    // By the configured pace both would fit.
    let deadline = Duration::seconds(900) + average + Duration::seconds(60);
    let order = Order {
        id: "o-2".parse().unwrap(),
        not_after: bench.clock.now() + NIGHT * 9,
        ..bench.order(deadline)
    };
    bench.engine().carry_out(order).await.unwrap();
    let last = bench.results().pop().unwrap();
    assert!(last.window_exceeded);
    assert_eq!((last.count(PatchState::Installed), last.count(PatchState::Pending)), (1, 1));
}

#[tokio::test]
async fn a_clock_that_is_set_back_in_the_night_gives_the_order_no_more_time() {
    let bench =
        Bench::new(Machine { takes: Some(Duration::minutes(30)), ..lacking(&["pm-tool", "a", "kernel"]) });
    let order = Order { reboot: RebootSetting::Never, ..bench.order(Duration::minutes(62)) };
    let engine = bench.engine();
    let is_set = async {
        while bench.installs().is_empty() {
            tokio::task::yield_now().await;
        }
        bench.clock.set(bench.clock.now() - Duration::days(1));
    };
    let (done, ()) = tokio::join!(engine.carry_out(order), is_set);
    done.unwrap();
    assert_eq!(bench.installs(), ["install pm-tool", "install a"]);
    assert!(bench.result().window_exceeded);
    assert_eq!(bench.states()["kernel"], PatchState::Pending);
}

#[tokio::test]
async fn a_newer_order_takes_over_between_two_batches() {
    let bench = Bench::new(lacking(&["pm-tool", "a"]));
    let older = bench.order(NIGHT);
    let newer = Order {
        id: "o-2".parse().unwrap(),
        not_after: older.not_after + Duration::hours(1),
        ..older.clone()
    };
    let engine = bench.engine();
    let newest = engine.newest();
    let installing = || !bench.installs().is_empty();
    let arrives = async {
        while !installing() {
            tokio::task::yield_now().await;
        }
        newest.note(&newer);
    };
    bench.fake.machine.lock().unwrap().takes = Some(Duration::minutes(30));
    let (done, ()) = tokio::join!(engine.carry_out(older.clone()), arrives);
    done.unwrap();
    let first = bench.results().pop().unwrap();
    assert!(first.error.as_ref().unwrap().contains("superseded by order o-2"), "{first:?}");
    assert_eq!((first.count(PatchState::Installed), first.count(PatchState::Pending)), (1, 1));
    engine.carry_out(newer).await.unwrap();
    assert_eq!(bench.results().pop().unwrap().count(PatchState::Installed), 1);
    // One that comes later still, and is older, is not begun at all.
    let late = Order { id: "o-0".parse().unwrap(), ..older };
    engine.carry_out(late).await.unwrap();
    let last = bench.reports().pop().unwrap();
    assert!(matches!(&last.body, Body::Refused(_, refused) if refused.code == "Superseded"), "{last:?}");
}

#[tokio::test]
async fn native_updates_that_somebody_turned_on_again_are_told_at_the_next_assessment() {
    let bench = Bench::new(lacking(&["a"]));
    let warnings = |bench: &Bench| match bench.reports().pop().unwrap().body {
        Body::Assessed(assessment) => assessment.warnings,
        other => panic!("{other:?}"),
    };
    bench.fake.machine.lock().unwrap().native = Some("the image's own".into());
    bench.engine().assess(false).await.unwrap();
    assert!(warnings(&bench).is_empty(), "Nightshift does not patch this machine yet");
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    assert!(warnings(&bench).is_empty());
    bench.fake.machine.lock().unwrap().native = Some("yum-cron".into());
    bench.engine().assess(false).await.unwrap();
    assert!(warnings(&bench)[0].contains("yum-cron"), "{:?}", warnings(&bench));
}

#[tokio::test]
async fn an_assessment_that_fails_is_told_with_its_reason() {
    let bench = Bench::new(Machine { unreadable: true, ..lacking(&["a"]) });
    bench.engine().assess(false).await.unwrap();
    let last = bench.reports().pop().unwrap();
    assert!(matches!(&last.body, Body::NotAssessed(why) if why.contains("garbage")), "{last:?}");
}

#[tokio::test]
async fn ten_thousand_patches_are_accounted_for_one_by_one() {
    let names: Vec<String> = (0..10_000).map(|number| format!("package-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let bench = Bench::new(Machine { aborts: Some("package-777".into()), ..lacking(&names) });
    bench.fake.machine.lock().unwrap().lacks[5_000].obstacle = Some("held".repeat(500));
    let order = Order { deadline: bench.clock.now() + NIGHT * 100, ..bench.order(NIGHT) };
    bench.engine().carry_out(order).await.unwrap();
    let result = bench.result();
    assert_eq!(
        (result.accounted(), result.count(PatchState::Installed), result.skipped()),
        (10_000, 9_998, 1)
    );
    assert_eq!(result.error, None);
    let wire = nightshift_protocol::events::v1::InstallReport::from(&result);
    assert!(prost::Message::encoded_len(&wire) < 900 << 10);
}

#[tokio::test]
async fn an_enablement_that_was_cut_short_is_resumed_by_the_next_order() {
    let bench = Bench::new(Machine { broken: Some("dpkg is busy".into()), ..lacking(&["a"]) });
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    let enabled =
        |bench: &Bench| bench.reports().iter().filter(|report| report.body == Body::Enabled).count();
    assert_eq!((enabled(&bench), bench.installs().len()), (0, 0));
    bench.fake.machine.lock().unwrap().broken = None;
    let next =
        Order { id: "o-2".parse().unwrap(), not_after: bench.clock.now() + NIGHT * 2, ..bench.order(NIGHT) };
    bench.engine().carry_out(next).await.unwrap();
    assert_eq!((enabled(&bench), bench.installs().len()), (1, 1));
}
