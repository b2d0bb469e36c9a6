//! Where the body of a message of HTTP/1.1 ends, read strictly: what two readers could take for two things is an error.

use bytes::{Buf, BytesMut};

/// Longest line with the size of a chunk, or of a trailer.
const LINE: usize = 4 << 10;
/// Most bytes of trailers.
const TRAILERS: usize = 16 << 10;

/// How a body is framed, and how much of it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// All of it has been read.
    Done,
    /// So many bytes follow.
    Length(u64),
    /// It comes in chunks.
    Chunks(Chunk),
    /// It ends with its connection.
    Close,
}

/// What stands next in a body that comes in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// The line with the size of a chunk.
    Size,
    /// So many bytes of a chunk.
    Data(u64),
    /// The end of the line behind a chunk.
    Behind,
    /// Trailers, of which so many bytes may still come, or the empty line behind them.
    Trailers(usize),
}

/// What can be had of a body from the bytes that are there.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes, at the beginning of the buffer.
    Piece(usize),
    /// Nothing before more has come.
    More,
    /// The end.
    End,
}

/// Bytes that are no body of its kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Garbled;

impl Body {
    /// A body of a known length.
    pub const fn of_length(length: u64) -> Self {
        if length == 0 { Self::Done } else { Self::Length(length) }
    }

    /// A body in chunks.
    pub const fn in_chunks() -> Self {
        Self::Chunks(Chunk::Size)
    }

    /// How many bytes are known to come before anything else does.
    pub const fn ahead(&self) -> u64 {
        match self {
            Self::Length(left) | Self::Chunks(Chunk::Data(left)) => *left,
            Self::Close => u64::MAX,
            _ => 0,
        }
    }

    /// The next step. What frames the body is taken out of the buffer; a piece is to be taken by whoever calls, whole,
    /// before he asks again.
    pub fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, Garbled> {
        loop {
            match self {
                Self::Done => return Ok(Step::End),
                Self::Close if buffer.is_empty() => return Ok(Step::More),
                Self::Close => return Ok(Step::Piece(buffer.len())),
                Self::Length(left) => {
                    let Some(piece) = piece(left, buffer) else { return Ok(Step::More) };
                    if *left == 0 {
                        *self = Self::Done;
                    }
                    return Ok(Step::Piece(piece));
                }
                Self::Chunks(chunk) => match chunk.step(buffer)? {
                    Some(Step::End) => *self = Self::Done,
                    Some(step) => return Ok(step),
                    None => {}
                },
            }
        }
    }
}

impl Chunk {
    /// `None`: what stood there has been read, and something else stands next.
    fn step(&mut self, buffer: &mut BytesMut) -> Result<Option<Step>, Garbled> {
        match self {
            Self::Data(left) => {
                let Some(piece) = piece(left, buffer) else { return Ok(Some(Step::More)) };
                if *left == 0 {
                    *self = Self::Behind;
                }
                return Ok(Some(Step::Piece(piece)));
            }
            Self::Behind => match buffer.get(..2) {
                Some(b"\r\n") => {
                    buffer.advance(2);
                    *self = Self::Size;
                }
                None if matches!(buffer.first(), None | Some(b'\r')) => return Ok(Some(Step::More)),
                _ => return Err(Garbled),
            },
            Self::Size => {
                let Some(line) = line(buffer)? else { return Ok(Some(Step::More)) };
                *self = match size(&buffer[..line])? {
                    0 => Self::Trailers(TRAILERS),
                    size => Self::Data(size),
                };
                buffer.advance(line + 2);
            }
            Self::Trailers(left) => {
                let Some(line) = line(buffer)? else { return Ok(Some(Step::More)) };
                buffer.advance(line + 2);
                if line == 0 {
                    return Ok(Some(Step::End));
                }
                *left = left.checked_sub(line + 2).ok_or(Garbled)?;
            }
        }
        Ok(None)
    }
}

/// What is there of so many bytes, which are then fewer.
fn piece(left: &mut u64, buffer: &BytesMut) -> Option<usize> {
    if buffer.is_empty() {
        return None;
    }
    let piece = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
    *left -= piece as u64;
    Some(piece)
}

/// How long the line is that the buffer begins with, without its CRLF; `None`: it is not there in full.
fn line(buffer: &BytesMut) -> Result<Option<usize>, Garbled> {
    let seen = &buffer[..buffer.len().min(LINE)];
    let Some(end) = memchr::memchr(b'\n', seen) else {
        return if seen.len() < LINE { Ok(None) } else { Err(Garbled) };
    };
    let line = seen[..end].strip_suffix(b"\r").ok_or(Garbled)?;
    let bad = line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
    if bad { Err(Garbled) } else { Ok(Some(line.len())) }
}

/// The size that a line says, in hexadecimal digits; an extension may follow, of which nobody takes notice.
fn size(line: &[u8]) -> Result<u64, Garbled> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let behind = line[digits..].trim_ascii_start();
    // Sixteen digits would overflow some readers.
    if !(1..=15).contains(&digits) || !matches!(behind.first(), None | Some(b';')) {
        return Err(Garbled);
    }
    let digits = std::str::from_utf8(&line[..digits]).map_err(|_| Garbled)?;
    u64::from_str_radix(digits, 16).map_err(|_| Garbled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is read of a body that comes in pieces, and what is left behind it.
    fn read(mut body: Body, pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, Vec<u8>), Garbled> {
        let (mut buffer, mut all) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Step::Piece(length) = body.step(&mut buffer)? {
                assert!(length > 0 && length <= buffer.len());
                all.extend_from_slice(&buffer.split_to(length));
            }
        }
        Ok((all, body == Body::Done, buffer.to_vec()))
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let whole = |body, bytes: &[u8]| read(body, &[bytes]).unwrap();
        assert_eq!(whole(Body::of_length(3), b"abcd"), (b"abc".to_vec(), true, b"d".to_vec()));
        assert_eq!(whole(Body::of_length(0), b"d"), (Vec::new(), true, b"d".to_vec()));
        assert_eq!(whole(Body::of_length(5), b"abc"), (b"abc".to_vec(), false, Vec::new()));
        assert_eq!(whole(Body::Close, b"abc"), (b"abc".to_vec(), false, Vec::new()));
        let chunks = b"3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nnext";
        let expected = (b"abc0123456789".to_vec(), true, b"next".to_vec());
        assert_eq!(whole(Body::in_chunks(), chunks), expected);
    }

    #[test]
    fn chunks_that_two_readers_could_read_differently_are_none() {
        for chunks in [
            "3\nabc\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3\r\nabc0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nabc\rX0\r\n\r\n",
            "+3\r\nabc\r\n0\r\n\r\n",
            "-3\r\nabc\r\n0\r\n\r\n",
            " 3\r\nabc\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n",
            "\r\nabc\r\n0\r\n\r\n",
            "g\r\nabc\r\n0\r\n\r\n",
            "3 4\r\nabc\r\n0\r\n\r\n",
            "3\0\r\nabc\r\n0\r\n\r\n",
            "3;a\rb\r\nabc\r\n0\r\n\r\n",
            "3;a\n\r\nabc\r\n0\r\n\r\n",
            "ffffffffffffffffff\r\nabc",
            "0000000000000003\r\nabc\r\n0\r\n\r\n",
            "0\n\n",
            "0\r\nX: y\n\r\n",
            "0\r\nX: \0y\r\n\r\n",
        ] {
            assert_eq!(read(Body::in_chunks(), &[chunks.as_bytes()]), Err(Garbled), "{chunks:?}");
        }
        let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(LINE));
        assert_eq!(read(Body::in_chunks(), &[long.as_bytes()]), Err(Garbled));
        let many = format!("0\r\n{}\r\n", "X: y\r\n".repeat(TRAILERS / 6 + 1));
        assert_eq!(read(Body::in_chunks(), &[many.as_bytes()]), Err(Garbled));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_a_body_comes(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut wire = Vec::new();
            for part in &parts {
                wire.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                wire.extend_from_slice(part);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\nX: y\r\n\r\nGET /");
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]]).collect();
            let expected = (parts.concat(), true, b"GET /".to_vec());
            prop_assert_eq!(read(Body::in_chunks(), &pieces).unwrap(), expected);
        }

        #[test]
        fn no_bytes_are_read_past_what_came(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok((all, _, rest)) = read(Body::in_chunks(), &[&bytes]) {
                prop_assert!(all.len() + rest.len() <= bytes.len());
            }
        }
    }
}
