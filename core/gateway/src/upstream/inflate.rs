//! Replies that a provider compressed although it was asked for plain ones.

use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use std::io::{self, Write};

/// Bytes taken in at one step: deflate makes at most about a thousand of one, so a step stays bounded.
const STEP: usize = 4 << 10;
/// Most bytes that one piece of a reply may become.
const PIECE: usize = 16 << 20;

/// Inflates a body piece by piece.
pub(super) enum Inflate {
    /// `gzip`
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// `deflate`, which is zlib's format.
    Deflate(Box<ZlibDecoder<Vec<u8>>>),
}

impl Inflate {
    /// For the value of a `Content-Encoding` header; `None` if we do not know it.
    pub(super) fn of(encoding: &str) -> Option<Self> {
        match encoding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))),
            "deflate" => Some(Self::Deflate(Box::new(ZlibDecoder::new(Vec::new())))),
            _ => None,
        }
    }

    /// Takes a piece; what can be read so far.
    ///
    /// # Errors
    /// It is no such format, or becomes too large.
    pub(super) fn push(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        let mut out = Vec::new();
        for step in piece.chunks(STEP) {
            self.write(step)?;
            out.append(self.read());
            if out.len() > PIECE {
                return Err(io::Error::other("a piece of the reply becomes too large"));
            }
        }
        Ok(out.into())
    }

    /// The end of the body; what was still held back.
    ///
    /// # Errors
    /// The body breaks off.
    pub(super) fn finish(&mut self) -> io::Result<Bytes> {
        match self {
            Self::Gzip(gzip) => gzip.try_finish()?,
            Self::Deflate(deflate) => deflate.try_finish()?,
        }
        Ok(std::mem::take(self.read()).into())
    }

    fn write(&mut self, step: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(gzip) => gzip.write_all(step).and_then(|()| gzip.flush()),
            Self::Deflate(deflate) => deflate.write_all(step).and_then(|()| deflate.flush()),
        }
    }

    fn read(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Gzip(gzip) => gzip.get_mut(),
            Self::Deflate(deflate) => deflate.get_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    #[test]
    fn every_cut_of_a_body_gives_the_same_text() {
        let text = "data: {\"a\":1}\n\n".repeat(40);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text.as_bytes()).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(text.as_bytes()).unwrap();
        for (name, bytes) in [("gzip", gzip.finish().unwrap()), ("deflate", zlib.finish().unwrap())] {
            for cut in 0..bytes.len() {
                let mut inflate = Inflate::of(name).unwrap();
                let mut out = inflate.push(&bytes[..cut]).unwrap().to_vec();
                out.extend_from_slice(&inflate.push(&bytes[cut..]).unwrap());
                out.extend_from_slice(&inflate.finish().unwrap());
                assert_eq!(out, text.as_bytes(), "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_and_so_is_what_is_no_gzip() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&vec![b'a'; 64 << 20]).unwrap();
        assert!(Inflate::of("gzip").unwrap().push(&gzip.finish().unwrap()).is_err());
        assert!(Inflate::of("gzip").unwrap().push(b"<html><body>502 Bad Gateway</body></html>").is_err());
        assert!(Inflate::of("br").is_none());
    }
}
