//! What an agent signs when it asks for another certificate.

/// The bytes that the key which the agent has signs, as `RenewRequest` in `agent/v1/agent.proto` describes them.
pub fn signed_bytes(vm: &str, certificate_request_pem: &str) -> Vec<u8> {
    format!("nightshift renewal 1\n{vm}\n{certificate_request_pem}").into_bytes()
}
