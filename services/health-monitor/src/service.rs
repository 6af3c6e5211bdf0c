//! The gRPC of health-monitor.

use nightshift_domain::VmId;
use nightshift_domain::monitor::Monitor;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::health_service_server::{HealthService, HealthServiceServer};
use nightshift_protocol::convert::timestamp;
use nightshift_runtime::Host;
use nightshift_runtime::status::invalid;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

pub(crate) fn routes(host: Host<Monitor>) -> Routes {
    Routes::new(HealthServiceServer::new(Monitoring(host)))
}

struct Monitoring(Host<Monitor>);

#[tonic::async_trait]
impl HealthService for Monitoring {
    async fn get_vm_health(
        &self,
        request: Request<api::GetVmHealthRequest>,
    ) -> Result<Response<api::GetVmHealthResponse>, Status> {
        let vm = VmId::new(request.into_inner().vm).map_err(invalid)?;
        let health = self.0.look(move |monitor, _| health(monitor, &vm)).await?;
        Ok(Response::new(health))
    }
}

fn health(monitor: &Monitor, vm: &VmId) -> api::GetVmHealthResponse {
    let signal = monitor.signal(vm);
    api::GetVmHealthResponse {
        vm: vm.to_string(),
        last_signal: signal.map(|signal| timestamp(signal.at)),
        ailment: signal.and_then(|signal| signal.ailment.clone()).unwrap_or_default(),
        watched: monitor.is_watched(vm),
    }
}
