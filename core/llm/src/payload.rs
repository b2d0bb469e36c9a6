//! Content in memory: bytes that can be read by whoever says so, and by nobody by accident.
//!
//! A payload cannot be printed, logged or serialised: the types that would do it do not take it, and a place that wants
//! its bytes must say [`Payload::expose`], which is easily found. Its buffer is wiped when the last owner lets go of it.
//! What only passes from one connection to another is a [`Passing`]: no more to be printed, but not wiped.

use bytes::Bytes;
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
    /// Wipes the buffer if nobody else holds it; a static one or one that is shared stays as it is.
    fn drop(&mut self) {
        if let Ok(mut own) = std::mem::take(&mut self.0).try_into_mut() {
            own.as_mut().zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes whose owner looks at them when it is dropped.
    struct Watched {
        bytes: Vec<u8>,
    }

    impl AsRef<[u8]> for Watched {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }

    #[test]
    fn what_others_hold_is_left_to_them() {
        let shared = Bytes::from(b"a prompt".to_vec());
        drop(Payload::new(shared.clone()));
        assert_eq!(&shared[..], b"a prompt");
        let payload = Payload::new(Bytes::from_static(b"fixed"));
        assert_eq!((payload.len(), payload.is_empty()), (5, false));
        drop(payload);
        drop(Payload::new(Bytes::from_owner(Watched { bytes: b"mapped".to_vec() })));
        let one = Payload::new(Bytes::from(b"twice".to_vec()));
        let two = one.clone();
        drop(one);
        assert_eq!(&two.expose()[..], b"twice");
    }
}
