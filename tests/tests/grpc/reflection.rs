//! A client without the contract's files.

use crate::examples::python;
use crate::world::World;
use std::path::Path;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_proto_files_lists_services_and_calls_a_unary_and_a_streamed_method() {
    let world = World::new().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grpc/reflection.py");
    let token = std::fs::read_to_string(world.stack.servers.token_file.as_ref().unwrap()).unwrap();
    let mut command = Command::new(python());
    command.arg(script).kill_on_drop(true);
    command.env("CONSOLE", world.stack.servers.console.trim_start_matches("http://"));
    let output = command.env("TOKEN", token.trim()).output().await.unwrap();
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let lines: Vec<&str> = told.lines().collect();
    let [services, vms, events] = lines.as_slice() else { panic!("{told}") };
    for service in
        ["nightshift.api.v1.ConsoleService", "nightshift.api.v1.FleetService", "grpc.health.v1.Health"]
    {
        assert!(services.split(' ').any(|there| there == service), "{services}");
    }
    assert!(vms.starts_with("vms weu-") && vms.split(' ').count() == 4, "{vms}");
    assert_eq!(*events, "events 3 True");
}
