//! That content cannot be shown, and that it is gone when it is let go of.

use super::*;
use std::fmt::{Debug, Display};
use std::fs::File;
use std::os::unix::fs::FileExt;

// Beside the examples in the documentation, which not every test runner tries.
lacks!(Payload: Debug, Display, serde::Serialize, AsRef<[u8]>, std::ops::Deref);
lacks!(Pieces: Debug, Display, serde::Serialize, AsRef<[u8]>, std::ops::Deref);
lacks!(Passing: Debug, Display, serde::Serialize, AsRef<[u8]>, std::ops::Deref);
// What holds one and has a `Debug` must have written it by hand.
lacks!(Option<Payload>: Debug, serde::Serialize);

/// Bytes of a buffer that is not the process's to wipe.
struct Lent(Vec<u8>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
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
    drop(Payload::new(Bytes::from_owner(Lent(b"mapped".to_vec()))));
    let one = Payload::new(Bytes::from(b"twice".to_vec()));
    let two = one.clone();
    drop(one);
    assert_eq!(&two.expose()[..], b"twice");
}

#[test]
fn what_nobody_else_holds_is_wiped_where_it_stands() {
    let from_a_vector = Bytes::from(b"a prompt".to_vec());
    let with_room = Bytes::from([b"a prompt".to_vec(), Vec::with_capacity(100)].concat());
    let frozen = BytesMut::from(&b"a prompt"[..]).freeze();
    let once_shared = Bytes::from(b"a prompt".to_vec());
    drop(once_shared.clone());
    let a_part = Bytes::from(b"this is a prompt".to_vec()).slice(8..);
    for bytes in [from_a_vector, with_room, frozen, once_shared, a_part] {
        let place = bytes.as_ptr();
        let own = wiped(bytes).expect("nobody else holds it");
        assert_eq!((own.as_ptr(), &own[..]), (place, &[0; 8][..]), "the same memory, not a copy");
    }
    let shared = Bytes::from(b"a prompt".to_vec());
    for held in
        [shared.clone(), Bytes::from_static(b"a prompt"), Bytes::from_owner(Lent(b"a prompt".to_vec()))]
    {
        assert_eq!(wiped(held).map(|_| ()).expect_err("somebody else holds it"), shared);
    }
}

/// Where a text lies, and the means to look there when nobody owns the place any more.
struct Place {
    memory: File,
    /// Of the text's last bytes.
    address: u64,
}

/// So long that an allocator's own notes in a freed block do not reach its end, and no round number.
const SECRET: [u8; 6007] = [b'S'; 6007];
/// How much of its end is looked at.
const TAIL: usize = 64;

impl Place {
    fn of(bytes: &[u8]) -> Self {
        let address = bytes[SECRET.len() - TAIL..].as_ptr().addr() as u64;
        let place = Self { memory: File::open("/proc/self/mem").unwrap(), address };
        assert!(place.holds_a_secret(), "or the test is blind");
        place
    }

    /// Whether the end of what stands there is the secret's. Memory that is gone holds nothing.
    fn holds_a_secret(&self) -> bool {
        let mut seen = [0; TAIL];
        self.memory.read_exact_at(&mut seen, self.address).is_ok() && seen == SECRET[..TAIL]
    }
}

#[test]
fn the_memory_of_what_was_let_go_of_holds_nothing() {
    let payload = Payload::from(SECRET.to_vec());
    let place = Place::of(payload.expose());
    let (other, parsed) = (payload.clone(), crate::json::Json::parse(payload.expose().clone()));
    drop((payload, parsed));
    assert!(place.holds_a_secret(), "somebody holds it still");
    drop(other);
    assert!(!place.holds_a_secret());
}

#[test]
fn what_is_no_json_is_wiped_too() {
    let bytes = Bytes::from(SECRET.to_vec());
    let place = Place::of(&bytes);
    assert!(crate::json::Json::parse(bytes).is_err());
    assert!(!place.holds_a_secret());
}

#[test]
fn pieces_are_gathered_and_leave_nothing_behind() {
    for expected in [0, 3 * SECRET.len(), 1 << 20] {
        let mut pieces = Pieces::default();
        assert!(pieces.is_empty());
        let mut places = Vec::new();
        for count in 1..=40 {
            let piece = Bytes::from(SECRET.to_vec());
            places.push(Place::of(&piece));
            pieces.push(piece, expected);
            if pieces.first.is_empty() {
                places.push(Place::of(&pieces.all));
            }
            assert_eq!(pieces.len(), count * SECRET.len());
        }
        let whole = pieces.whole();
        assert!(whole.len() == 40 * SECRET.len() && whole.expose().iter().all(|byte| *byte == b'S'));
        let start = whole.expose().as_ptr().addr() as u64;
        let mine = start..start + whole.len() as u64;
        let left = |place: &&Place| place.holds_a_secret() && !mine.contains(&place.address);
        assert_eq!(places.iter().filter(left).count(), 0, "pieces, and buffers that became too small");
        drop(whole);
        assert!(!places.iter().any(Place::holds_a_secret));
    }
}

#[test]
fn one_piece_is_not_copied_and_what_is_not_finished_is_wiped() {
    let piece = Bytes::from(SECRET.to_vec());
    let (place, start) = (Place::of(&piece), piece.as_ptr());
    let mut pieces = Pieces::default();
    pieces.push(piece, 0);
    let whole = pieces.whole();
    assert_eq!(whole.expose().as_ptr(), start);
    let mut pieces = Pieces::default();
    pieces.push(whole.expose().clone(), 0);
    pieces.push(Bytes::from_static(b" and more"), 0);
    let all = Place::of(&pieces.all);
    drop((whole, pieces));
    assert!(!place.holds_a_secret() && !all.holds_a_secret());
}

#[test]
fn what_holds_content_does_not_print_it() {
    use crate::api::Api;
    use crate::fault::{Hint, Said, UpstreamError};
    use crate::neutral::prompt::Body;
    use crate::request::{Request, SegmentEdit};
    let canary = "canary";
    let body = r#"{"model":"m","messages":[{"role":"user","name":"canary","content":"canary"}]}"#;
    let request = Request::parse(Api::Chat, Bytes::from_static(body.as_bytes())).unwrap();
    let reply =
        crate::reply::Reply::parse(Api::Chat, Bytes::from_static(br#"{"content":"canary"}"#)).unwrap();
    let error = UpstreamError {
        message: canary.to_owned(),
        kind: Some(canary.to_owned()),
        code: Some(canary.to_owned()),
        param: Some(canary.to_owned()),
        hint: Hint::Other,
    };
    let said =
        Said { status: 400, kind: "", code: None, param: Some(canary), message: canary, request_id: "" };
    let event = crate::sse::Event { name: canary, data: canary.as_bytes(), id: canary, end: 1 };
    let edit = SegmentEdit { segment: 0, start: 0, end: 6, text: Some(canary) };
    let written = Body { json: body.into(), ..Body::default() };
    let shown =
        format!("{request:?}{:?}{reply:?}{error:?}{said:?}{event:?}{edit:?}{written:?}", request.segments());
    assert!(
        !shown.contains(canary) && !shown.contains(&format!("{:?}", canary.as_bytes())[1..20]),
        "{shown}"
    );
}
