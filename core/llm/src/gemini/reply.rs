//! A whole reply.

use super::answer::{Out, Reader};
use crate::json::Json;
use crate::neutral::event::Assembler;
use crate::neutral::{Broken, Content, Event, Media, Reply};
use bytes::Bytes;

/// Reads a reply of `generateContent`.
///
/// # Errors
/// [`Broken`]: no reply, or one that reports an error. A prompt that was blocked is a reply: the provider refused.
pub fn read_reply(body: &Bytes) -> Result<Reply, Broken> {
    let json = Json::parse_lenient(body.clone())
        .map_err(|error| Broken::Unreadable(format!("The provider's reply is no JSON: {error}.")))?;
    let (mut reader, mut assembler) = (Reader::default(), Assembler::default());
    let (mut said, mut images) = (None, Vec::new());
    let mut take = |out: Out<'_>| match out {
        Out::Event(Event::Error(error)) => said = Some(error),
        Out::Event(event) => assembler.push(&event),
        Out::Media { choice, media } => {
            let parts = assembler.reply().choices.get(choice as usize).map_or(0, |answer| answer.parts.len());
            images.push((choice as usize, parts, media));
            assembler.push(&Event::Break { choice });
        }
    };
    reader.read(json.root(), &mut take);
    reader.finish(&mut take);
    if let Some(error) = said {
        return Err(Broken::Said(error));
    }
    if reader.is_empty() {
        return Err(Broken::Unreadable("The provider's reply holds no answer.".into()));
    }
    Ok(with_images(assembler.finish(), images))
}

/// Puts images back where they stood: each knows how many other parts came before it.
fn with_images(mut reply: Reply, images: Vec<(usize, usize, Media<'static>)>) -> Reply {
    for (choice, at, media) in images.into_iter().rev() {
        if let Some(answer) = reply.choices.get_mut(choice) {
            answer.parts.insert(at.min(answer.parts.len()), Content::Media(media));
        }
    }
    reply
}
