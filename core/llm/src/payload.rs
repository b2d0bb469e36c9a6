//! Content in memory: bytes that can be read by whoever says so, and by nobody by accident.
//!
//! A payload cannot be printed, logged or serialised: the types that would do it do not take it, and a place that wants
//! its bytes must say [`Payload::expose`], which is easily found. Its buffer is wiped when the last owner lets go of it.
//! A body that comes piece by piece is gathered in [`Pieces`], which leave nothing behind where they outgrow a buffer.
//! What only passes from one connection to another is a [`Passing`]: no more to be printed, but not wiped.

use bytes::{Bytes, BytesMut};
use std::mem::take;
use zeroize::Zeroize;

/// The body of a request or a reply.
///
/// It has no `Debug`:
///
/// ```compile_fail,E0277
/// let body = weir_llm::payload::Payload::new("a prompt".into());
/// println!("{body:?}");
/// ```
///
/// no `Display`:
///
/// ```compile_fail,E0277
/// let body = weir_llm::payload::Payload::new("a prompt".into());
/// println!("{body}");
/// ```
///
/// and no `Serialize`:
///
/// ```compile_fail,E0277
/// let body = weir_llm::payload::Payload::new("a prompt".into());
/// serde_json::to_string(&body);
/// ```
///
/// Nor does a struct that holds one get them:
///
/// ```compile_fail,E0277
/// #[derive(Debug)]
/// struct Entry { body: weir_llm::payload::Payload }
/// ```
#[derive(Clone, Default)]
pub struct Payload(Bytes);

impl Payload {
    /// Takes bytes over.
    #[must_use]
    pub const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes. What is done with them is in the hands of who calls: they go to a parser, to a provider or to the caller,
    /// and nowhere else.
    #[must_use]
    pub const fn expose(&self) -> &Bytes {
        &self.0
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

/// A body that comes piece by piece. One that comes in one piece is not copied; of one that comes in several, the pieces
/// and every buffer that became too small are wiped.
#[derive(Default)]
pub struct Pieces {
    /// The first piece, until a second one comes.
    first: Payload,
    /// All pieces, once there are two. It never gets shorter: behind its end there has been nothing.
    all: Vec<u8>,
}

impl Pieces {
    /// How many bytes have come.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next piece. `expected`: how long the whole will be, if that is known.
    pub fn push(&mut self, piece: Bytes, expected: usize) {
        let piece = Payload::new(piece);
        if self.is_empty() {
            self.first = piece;
            return;
        }
        let first = take(&mut self.first);
        self.make_room(first.len() + piece.len(), expected);
        self.all.extend_from_slice(first.expose());
        self.all.extend_from_slice(piece.expose());
    }

    /// The whole.
    #[must_use]
    pub fn whole(mut self) -> Payload {
        let first = take(&mut self.first);
        if first.is_empty() { take(&mut self.all).into() } else { first }
    }

    /// A vector that grows by itself would leave what it outgrew to the allocator as it is.
    fn make_room(&mut self, more: usize, expected: usize) {
        let size = self.all.len() + more;
        if size <= self.all.capacity() {
            return;
        }
        let mut larger = Vec::with_capacity(size.max(expected).max(self.all.capacity() * 2));
        larger.extend_from_slice(&self.all);
        std::mem::replace(&mut self.all, larger).as_mut_slice().zeroize();
    }
}

impl Drop for Pieces {
    /// What has come, and not what there would have been room for: the length that a peer announces is not what it sends.
    fn drop(&mut self) {
        self.all.as_mut_slice().zeroize();
    }
}

/// A piece of a reply on its way from one connection to another. It is bytes and costs no more; its buffer belongs to the
/// connections, so nobody wipes it.
///
/// It has no `Debug`, no `Display` and no `Serialize`, and what holds one has none:
///
/// ```compile_fail,E0277
/// let piece = weir_llm::payload::Passing::default();
/// println!("{piece:?}");
/// ```
///
/// ```compile_fail,E0277
/// let piece = weir_llm::payload::Passing::default();
/// println!("{piece}");
/// ```
///
/// ```compile_fail,E0277
/// let piece = weir_llm::payload::Passing::default();
/// serde_json::to_string(&piece);
/// ```
///
/// ```compile_fail,E0277
/// #[derive(Debug)]
/// struct Held { piece: weir_llm::payload::Passing }
/// ```
#[derive(Clone, Default)]
pub struct Passing(Bytes);

impl Passing {
    /// The bytes, for a parser.
    #[must_use]
    pub const fn expose(&self) -> &Bytes {
        &self.0
    }

    /// The bytes, for the connection that they go out on.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Bytes> for Passing {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Passing {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

// Logic in `Drop`, against the rule: there is no other moment at which content is let go of.
impl Drop for Payload {
    fn drop(&mut self) {
        drop(wiped(take(&mut self.0)));
    }
}

/// Wipes a buffer if nobody else holds it. One that is static, shared, or another's that was only lent comes back as it is.
fn wiped(bytes: Bytes) -> Result<BytesMut, Bytes> {
    let mut own = bytes.try_into_mut()?;
    own.as_mut().zeroize();
    Ok(own)
}

/// Does not compile if a type has one of the traits: then two implementations fit, and nobody says which is meant.
#[cfg(test)]
macro_rules! lacks {
    ($type:ty: $($forbidden:path),+) => {
        $(const _: fn() = || {
            trait Ambiguous<Which> {
                fn which() {}
            }
            struct Forbidden;
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $forbidden> Ambiguous<Forbidden> for T {}
            <$type as Ambiguous<_>>::which();
        };)+
    };
}

#[cfg(test)]
mod tests;
