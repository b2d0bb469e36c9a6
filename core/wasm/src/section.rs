//! The manifest inside of a component: the custom section `weir:manifest`, YAML.

use std::borrow::Cow;
use wasm_encoder::{ComponentSection, CustomSection, Encode};
use wasmparser::{CustomSectionReader, Parser, Payload};

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
    std::str::from_utf8(section(component)?.data()).map_err(|_| SectionError::NotUtf8)
}

/// A component without its manifest; the rest stays byte for byte.
pub(crate) fn without_manifest(component: &[u8]) -> Result<Vec<u8>, SectionError> {
    let range = section(component)?.range();
    // The section's id and length stand before its name.
    let mut head = vec![0];
    u32::try_from(range.len()).unwrap_or(u32::MAX).encode(&mut head);
    match component[..range.start].strip_suffix(head.as_slice()) {
        Some(before) => Ok([before, &component[range.end..]].concat()),
        None => Err(SectionError::NotComponent("the manifest's length is written in an odd way".into())),
    }
}

fn section(component: &[u8]) -> Result<CustomSectionReader<'_>, SectionError> {
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
                return Ok(section);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_can_be_taken_out_and_put_back() {
        let empty = wasm_encoder::Component::new().finish();
        let mut component = empty.clone();
        // Long enough for a length of two bytes.
        let text = "x".repeat(300);
        append_manifest(&mut component, &text);
        assert_eq!(manifest(&component).ok(), Some(text.as_str()));
        assert_eq!(without_manifest(&component).ok(), Some(empty));
    }
}
