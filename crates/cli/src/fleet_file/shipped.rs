//! The topologies that come with Nightshift.

/// Each by its name with its text, a topology file like a user's own.
pub const SHIPPED: &[(&str, &str)] = &[
    ("azure", include_str!("../../../../topologies/azure.toml")),
    ("aws", include_str!("../../../../topologies/aws.toml")),
    ("gcp", include_str!("../../../../topologies/gcp.toml")),
    ("on-premises", include_str!("../../../../topologies/on-premises.toml")),
];
