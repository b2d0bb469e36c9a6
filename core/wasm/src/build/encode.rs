//! Makes a component of a core module for one world.

use super::BuildError;
use wasm_encoder::{Module, RawSection};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// The component of `module` for the world `weir:plugin/plugin` in `world`.
pub(super) fn component(module: &[u8], world: &str) -> Result<Vec<u8>, BuildError> {
    // The libraries' error type is not ours to name; with `#` it prints its whole chain.
    macro_rules! fits {
        ($result:expr) => {
            $result.map_err(|error| BuildError::Component(format!("{error:#}")))?
        };
    }
    let mut resolve = Resolve::default();
    fits!(resolve.push_source("policy.wit", crate::CONTRACT));
    let package = fits!(resolve.push_source("world.wit", world));
    let world = fits!(resolve.select_world(&[package], None));
    let mut module = plain(module)?;
    fits!(wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8));
    let encoder = fits!(ComponentEncoder::default().module(&module));
    Ok(fits!(encoder.validate(true).encode()))
}

/// The module without the worlds that wit-bindgen left in it: each hook of the SDK brings one, used or not, and together
/// they say more than the manifest.
fn plain(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let mut plain = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(|e| BuildError::Component(e.to_string()))?;
        if matches!(&payload, Payload::CustomSection(section) if section.name().starts_with("component-type"))
        {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            plain.section(&RawSection { id, data: &module[range] });
        }
    }
    Ok(plain.finish())
}
