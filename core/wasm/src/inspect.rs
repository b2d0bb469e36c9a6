//! What a component says of itself, without running it.

use crate::load;
use wasmparser::{Parser, Payload};
use weir_policy::{LoadError, Manifest};

/// A component's manifest, its borders and its size.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// What it says of itself.
    pub manifest: Manifest,
    /// What it imports, as `weir:policy/request@0.3.1`.
    pub imports: Vec<String>,
    /// What it exports, in the same form.
    pub exports: Vec<String>,
    /// How large it is.
    pub sizes: Sizes,
}

/// How large a component is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// The file.
    pub component: u64,
    /// Instructions of all functions.
    pub code: u64,
    /// Constant data, which a fresh instance begins with.
    pub data: u64,
    /// Linear memory that a fresh instance begins with.
    pub memory: u64,
    /// Names and other sections that are not run.
    pub custom: u64,
}

/// Reads a component's manifest, imports, exports and sizes.
///
/// # Errors
/// The bytes are no component, or its manifest is missing or wrong.
pub fn inspect(component: &[u8]) -> Result<Inspected, LoadError> {
    let manifest = load::manifest("component", component)?;
    let Borders { imports, exports, sizes } = borders("component", component)?;
    Ok(Inspected { manifest, imports, exports, sizes })
}

/// What a component imports and exports, and its size.
pub(crate) struct Borders {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    pub(crate) sizes: Sizes,
}

/// Only the outermost level counts: what passes between the parts of a component is its own affair.
pub(crate) fn borders(file: &str, component: &[u8]) -> Result<Borders, LoadError> {
    let broken = |e: wasmparser::BinaryReaderError| LoadError::new(file, e.message());
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_u32);
    let mut sizes = Sizes { component: component.len() as u64, ..Sizes::default() };
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(broken)?;
        sizes.add(&payload).map_err(broken)?;
        match payload {
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
    Ok(Borders { imports, exports, sizes })
}

impl Sizes {
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), wasmparser::BinaryReaderError> {
        match payload {
            Payload::CodeSectionEntry(body) => self.code += body.range().len() as u64,
            Payload::CustomSection(section) => self.custom += section.data().len() as u64,
            Payload::DataSection(section) => {
                for segment in section.clone() {
                    self.data += segment?.data.len() as u64;
                }
            }
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    let memory = memory?;
                    let page = 1_u64 << memory.page_size_log2.unwrap_or(16).min(16);
                    self.memory = self.memory.saturating_add(memory.initial.saturating_mul(page));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
