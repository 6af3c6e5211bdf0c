//! S6: the VM's own window.

use crate::cases::{Case, each_breaks_only, each_holds};
use crate::labels::label_at;
use crate::story::{Story, vm};
use chrono::Duration;
use chrono_tz::{America, Asia, Tz};
use nightshift_audit::Rule;
use nightshift_domain::Event;
use nightshift_domain::fleet::Placement;
use nightshift_domain::policy::Blackout;
use nightshift_domain::window::Window;

/// The fleet and the run agree that the VM has this window, in this zone.
fn sleeps(story: &mut Story, run: &str, name: &str, window: Window, zone: Tz) {
    story.model(name, |vm| (vm.window, vm.time_zone) = (Some(window), Some(zone)));
    story.member(run, name, |member| (member.window, member.time_zone) = (window, zone));
}

fn keep_free(story: &mut Story, day: &str) {
    let day = day.parse().unwrap();
    story.policy(|policy| policy.blackouts = vec![Blackout { from: day, to: day }]);
}

fn window(start: &str, end: &str) -> Window {
    Window::parse(start, end).unwrap()
}

#[test]
fn s6_is_broken() {
    each_breaks_only(
        Rule::S6,
        &[
            Case {
                what: "the VM's window opens later",
                spoil: |story| {
                    sleeps(story, "z1a", "z1a", window("23:59", "06:00"), chrono_tz::Europe::Berlin)
                },
                events: ("VmRegistered z1a", "OrderPlaced z1a"),
            },
            Case {
                what: "the VM lives where it is day",
                spoil: |story| sleeps(story, "z1a", "z1a", window("22:00", "06:00"), America::Los_Angeles),
                events: ("VmRegistered z1a", "OrderPlaced z1a"),
            },
            Case {
                what: "the deadline is after the window closes",
                spoil: |story| story.order("z1a", |order| order.deadline += Duration::hours(8)),
                events: ("VmRegistered z1a", "OrderPlaced z1a"),
            },
            Case {
                what: "the order may begin after its own deadline",
                spoil: |story| {
                    story.order("z1a", |order| order.not_after = order.deadline + Duration::seconds(1))
                },
                events: ("VmRegistered z1a", "OrderPlaced z1a"),
            },
            Case {
                what: "the longest work does not fit any more",
                spoil: |story| {
                    sleeps(story, "e1", "e1", window("22:00", "23:00"), chrono_tz::Europe::Berlin);
                    story.order("e1", |order| order.deadline -= Duration::minutes(60));
                },
                events: ("VmRegistered e1", "OrderPlaced e1"),
            },
            Case {
                what: "the longest work does not fit any more if it begins at its last moment",
                spoil: |story| {
                    sleeps(story, "z1a", "z1a", window("22:00", "23:32"), chrono_tz::Europe::Berlin);
                    let accepted = story.time("OrderAccepted z1a");
                    story.order("z1a", |order| order.not_after = accepted + Duration::seconds(1));
                },
                events: ("VmRegistered z1a", "OrderPlaced z1a"),
            },
            Case {
                what: "the night ends on a day that the policy keeps free",
                spoil: |story| keep_free(story, "2026-01-11"),
                events: ("RolloutRequested monthly", "OrderPlaced e1"),
            },
            Case {
                what: "the night begins on a day that the policy keeps free",
                spoil: |story| keep_free(story, "2026-01-09"),
                events: ("RolloutRequested monthly", "OrderPlaced z1a"),
            },
            Case {
                what: "the run has the VM under another window than the fleet",
                spoil: |story| story.member("z1a", "z1a", |member| member.window = window("21:00", "06:00")),
                events: ("VmRegistered z1a", "RunEnlisted z1a"),
            },
            Case {
                what: "the run has the VM in another time zone than the fleet",
                spoil: |story| story.member("z1a", "z1a", |member| member.time_zone = America::New_York),
                events: ("VmRegistered z1a", "RunEnlisted z1a"),
            },
            Case {
                what: "nobody knows in which time zone the VM is",
                spoil: |story| {
                    story.edit("TopologyDeclared", |event| {
                        let Event::TopologyDeclared { topology } = event else { unreachable!() };
                        topology.regions.clear();
                    });
                },
                events: ("VmRegistered z1a", "OrderPlaced z1a"),
            },
            Case {
                what: "the window was moved after the run enlisted the VM, and before its order",
                spoil: |story| {
                    let mut moved = vm("e2", "east", Placement::Standalone);
                    moved.window = Some(window("02:00", "06:00"));
                    story.insert_after("VmRegistered e2", [Event::VmModelChanged { vm: moved }]);
                    let minutes =
                        (story.time("OrderPlaced e2") - story.time("VmModelChanged e2")).num_minutes();
                    story.delay("VmModelChanged e2", minutes - 6);
                },
                events: ("VmModelChanged e2", "OrderPlaced e2"),
            },
        ],
    );
}

#[test]
fn work_that_begins_after_the_window_is_also_past_its_last_moment() {
    let mut story = Story::clean();
    story.delay("OrderAccepted e2", 60 * 9);
    let (records, report) = (story.records(), story.audit());
    for rule in [Rule::S6, Rule::S9] {
        let broken = report.of(rule).next().expect("it is broken");
        let events = (label_at(&records, &broken.first), label_at(&records, &broken.second));
        assert_eq!(events, ("OrderPlaced e2".to_owned(), "OrderAccepted e2".to_owned()));
    }
    assert_eq!(report.violations.len(), 2, "{report}");
}

#[test]
fn s6_holds() {
    each_holds(&[
        ("a window and a zone of the VM's own", |story| {
            sleeps(story, "z1a", "z1a", window("01:00", "05:00"), Asia::Karachi);
        }),
        ("a deadline at the very end of the window", |story| {
            // West's windows close at 06:00, 05:00 UTC.
            story.order("z1a", |order| order.deadline = "2026-01-10T05:00:00Z".parse().unwrap());
        }),
        ("a day that is kept free, with no night that touches it", |story| keep_free(story, "2026-01-12")),
        ("a night that ends with the day before", |story| {
            keep_free(story, "2026-01-11");
            for name in ["e1", "e2"] {
                sleeps(story, "e1", name, window("20:00", "00:00"), chrono_tz::Europe::Berlin);
                let accepted = story.time(&format!("OrderAccepted {name}"));
                story.order(name, |order| order.not_after = accepted);
            }
        }),
        ("an order that may begin until its deadline", |story| {
            story.order("z1a", |order| order.not_after = order.deadline);
        }),
        ("the longest work fits to the second", |story| {
            // It may begin until 22:02, and 90 minutes are the longest.
            sleeps(story, "z1a", "z1a", window("22:00", "23:32"), chrono_tz::Europe::Berlin);
            let accepted = story.time("OrderAccepted z1a");
            story.order("z1a", |order| order.not_after = accepted);
        }),
        ("a window that was moved after the order was given cannot call it back", |story| {
            let mut moved = vm("e2", "east", Placement::Standalone);
            moved.window = Some(window("02:00", "06:00"));
            story.tell_fleet_at("OrderAccepted e2", Event::VmModelChanged { vm: moved });
        }),
    ]);
}
