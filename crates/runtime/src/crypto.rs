//! The cryptography behind TLS: ring, for everything in a process.

/// Makes ring the process's choice, which HTTP clients and servers need before their first TLS. Whoever comes first has
/// installed the same.
pub fn install() {
    drop(rustls::crypto::ring::default_provider().install_default());
}
