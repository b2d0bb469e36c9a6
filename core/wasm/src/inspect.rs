//! What a component says of itself, without running it.

use crate::load;
use wasmparser::{Parser, Payload};
use weir_policy::{LoadError, Manifest};

/// A component's manifest and its borders.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// What it says of itself.
    pub manifest: Manifest,
    /// What it imports, as `weir:policy/request@0.2.0`.
    pub imports: Vec<String>,
    /// What it exports, in the same form.
    pub exports: Vec<String>,
}

/// Reads a component's manifest, imports and exports.
///
/// # Errors
/// The bytes are no component, or its manifest is missing or wrong.
pub fn inspect(component: &[u8]) -> Result<Inspected, LoadError> {
    let manifest = load::manifest("component", component)?;
    let broken = |e: wasmparser::BinaryReaderError| LoadError::new("component", e.message());
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_u32);
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(broken)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(Inspected { manifest, imports, exports })
}
