//! Compiles the contract: messages, services, descriptors for reflection, JSON. No protoc is needed.

use prost::Message as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const PACKAGES: [&str; 3] = [".nightshift.events.v1", ".nightshift.agent.v1", ".nightshift.api.v1"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(files(root)?, [root])?;
    let encoded = descriptors.encode_to_vec();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), &encoded)?;
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_fds(descriptors)?;
    // Every field is written, also one that is 0 or empty: a reader of JSON need not know the defaults.
    pbjson_build::Builder::new().register_descriptors(&encoded)?.emit_fields().build(&PACKAGES)?;
    Ok(())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
