//! The coverage proof: a policy that protects must see all that is served where it is bound, or it is refused at load.
//!
//! What there is to see is a table: for each surface (an API, streamed or not) the directions in which content flows. What
//! a policy protects follows from its hooks. `stream: true` that walks past a guard is the commonest hole in this field;
//! here it is a cell that is listed as missing.

use crate::manifest::{Hook, Manifest, Surface};
use crate::policy::LoadError;
use std::fmt;

/// A direction in which content flows at a surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flow {
    /// From the caller to a model.
    Input,
    /// What a model says.
    Output,
    /// What a model hands to a tool.
    ToolArguments,
}

/// What there is to see at a surface in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    /// Where.
    pub surface: Surface,
    /// In which direction.
    pub flow: Flow,
}

impl fmt::Display for Cell {
    /// `chat-stream × output`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = match self.flow {
            Flow::Input => "input",
            Flow::Output => "output",
            Flow::ToolArguments => "tool arguments",
        };
        write!(f, "{} × {flow}", self.surface.as_str())
    }
}

/// What flows at a surface. A new surface does not compile without a row.
///
/// Vectors, scores, pictures and sound hold no text that a policy could read; a picture's revised prompt and a transcript
/// do.
#[must_use]
pub const fn flows(surface: Surface) -> &'static [Flow] {
    match surface {
        Surface::Chat
        | Surface::ChatStream
        | Surface::Responses
        | Surface::ResponsesStream
        | Surface::Messages
        | Surface::MessagesStream => &[Flow::Input, Flow::Output, Flow::ToolArguments],
        Surface::Images | Surface::Transcription => &[Flow::Input, Flow::Output],
        Surface::CountTokens
        | Surface::Embeddings
        | Surface::Speech
        | Surface::Moderations
        | Surface::Rerank => &[Flow::Input],
    }
}

/// Whether a policy with these hooks means to protect a direction.
fn protects(manifest: &Manifest, flow: Flow) -> bool {
    let any = |hooks: &[Hook]| hooks.iter().any(|hook| manifest.has(*hook));
    match flow {
        Flow::Input => any(&[Hook::Guard, Hook::Redact]),
        Flow::Output | Flow::ToolArguments => any(&[Hook::GuardResponse, Hook::Stream, Hook::Redact]),
    }
}

/// Whether it sees a cell.
fn sees(manifest: &Manifest, cell: Cell) -> bool {
    let asked = manifest.surfaces.contains(&cell.surface)
        && manifest.when.as_ref().is_none_or(|when| !when.leaves_out(cell.surface));
    let streamed = cell.surface.api().1 == Some(true);
    let hooked = match cell.flow {
        _ if manifest.has(Hook::Redact) => true,
        Flow::Input => manifest.has(Hook::Guard),
        Flow::Output | Flow::ToolArguments if streamed => {
            manifest.has(Hook::Stream) || manifest.has(Hook::GuardResponse) && manifest.buffer_streams
        }
        Flow::Output | Flow::ToolArguments => manifest.has(Hook::GuardResponse),
    };
    asked && hooked
}

/// The cells that a policy means to protect and does not see, of what is served where it is bound.
#[must_use]
pub fn missing(manifest: &Manifest, served: &[Surface]) -> Vec<Cell> {
    let cells =
        served.iter().flat_map(|&surface| flows(surface).iter().map(move |&flow| Cell { surface, flow }));
    cells.filter(|cell| protects(manifest, cell.flow) && !sees(manifest, *cell)).collect()
}

/// Refuses a policy that leaves a cell unseen.
///
/// # Errors
/// Lists the cells and says how to mend it.
pub fn check(manifest: &Manifest, served: &[Surface]) -> Result<(), LoadError> {
    let missing = missing(manifest, served);
    if missing.is_empty() {
        return Ok(());
    }
    let cells: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let hint = if missing.iter().any(|cell| cell.flow != Flow::Input) {
        "replies need `guard-response` for whole ones and `stream` (or `buffer_streams: true`) for streamed ones; widen `surfaces` and `when`; or name what may pass unseen under `except` of this policy in weir.yaml"
    } else {
        "widen `surfaces` and `when`; or name what may pass unseen under `except` of this policy in weir.yaml"
    };
    Err(LoadError::new(&manifest.name, format!("these would pass it unseen: {}", cells.join(", ")))
        .hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_llm::api::Api;

    fn manifest(yaml: &str) -> Manifest {
        Manifest::parse_yaml(&format!("name: p\nversion: '1'\n{yaml}\n"), "p").unwrap()
    }

    fn unseen(yaml: &str, served: &[Surface]) -> Vec<String> {
        missing(&manifest(yaml), served).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_api_is_a_surface_streamed_and_not() {
        for api in Api::ALL {
            for stream in [false, true] {
                let surface = Surface::of(api, stream);
                let (of, streamed) = surface.api();
                assert_eq!(of, api);
                assert!(streamed.is_none_or(|is| is == stream || !api.is_conversation()), "{surface:?}");
                assert!(!flows(surface).is_empty());
            }
        }
        assert!(
            Surface::ALL
                .iter()
                .all(|surface| Surface::of(surface.api().0, surface.api().1 == Some(true)) == *surface)
        );
    }

    #[test]
    fn a_guard_of_requests_answers_for_requests_only() {
        assert!(unseen("hooks: [guard]", &Surface::ALL).is_empty());
        assert_eq!(
            unseen(
                "hooks: [guard]\nsurfaces: [chat]",
                &[Surface::Chat, Surface::ChatStream, Surface::Embeddings]
            ),
            ["chat-stream × input", "embeddings × input"]
        );
        assert_eq!(
            unseen("hooks: [guard]\nwhen: { stream: false }", &[Surface::Chat, Surface::ChatStream]),
            ["chat-stream × input"]
        );
    }

    #[test]
    fn a_guard_of_replies_must_see_streams_too() {
        let served = [Surface::Chat, Surface::ChatStream, Surface::Embeddings];
        assert_eq!(
            unseen("hooks: [guard-response]", &served),
            ["chat-stream × output", "chat-stream × tool arguments"]
        );
        assert!(unseen("hooks: [guard-response]\nbuffer_streams: true", &served).is_empty());
        assert!(unseen("hooks: [guard-response, stream]", &served).is_empty());
        assert_eq!(unseen("hooks: [stream]", &served), ["chat × output", "chat × tool arguments"]);
    }

    #[test]
    fn a_redactor_sees_both_ways_by_itself() {
        assert!(unseen("hooks: [redact]", &Surface::ALL).is_empty());
        let without = "hooks: [redact]\nsurfaces: [chat, chat-stream]";
        assert_eq!(unseen(without, &[Surface::Images]), ["images × input", "images × output"]);
    }

    #[test]
    fn what_steers_or_counts_protects_nothing() {
        assert!(unseen("hooks: [route, admit, complete]\nsurfaces: [chat]", &Surface::ALL).is_empty());
    }

    #[test]
    fn the_refusal_lists_the_cells_and_the_way_out() {
        let error = check(&manifest("hooks: [stream]"), &[Surface::Chat]).unwrap_err().to_string();
        assert!(error.contains("chat × output, chat × tool arguments"), "{error}");
        assert!(error.contains("guard-response") && error.contains("except"), "{error}");
    }
}
