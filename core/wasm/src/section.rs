//! The manifest inside of a component: the custom section `weir:manifest`, YAML.

use std::borrow::Cow;
use wasm_encoder::{ComponentSection, CustomSection, Encode};
use wasmparser::{Parser, Payload};

/// The name of the section.
pub(crate) const MANIFEST: &str = "weir:manifest";

/// Why there is no manifest to be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SectionError {
    #[error("not a WebAssembly component: {0}")]
    NotComponent(String),
    #[error("the component has no manifest")]
    Missing,
    #[error("the manifest is not UTF-8")]
    NotUtf8,
}

/// The manifest's text. Only the outermost level counts: a module inside cannot bring its own.
pub(crate) fn manifest(component: &[u8]) -> Result<&str, SectionError> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|e| SectionError::NotComponent(e.message().to_owned()))? {
            Payload::Version { encoding, .. }
                if depth == 0 && encoding != wasmparser::Encoding::Component =>
            {
                return Err(SectionError::NotComponent("it is a core module".into()));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == MANIFEST => {
                return std::str::from_utf8(section.data()).map_err(|_| SectionError::NotUtf8);
            }
            _ => {}
        }
    }
    Err(SectionError::Missing)
}

/// Adds a manifest at the end of a component.
pub(crate) fn append_manifest(component: &mut Vec<u8>, manifest: &str) {
    let section = CustomSection { name: MANIFEST.into(), data: Cow::Borrowed(manifest.as_bytes()) };
    component.push(section.id());
    section.encode(component);
}
