//! Canaries: random texts that stand in for content, and a search for them in whatever form they may have taken.

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::fmt;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Characters of a canary.
const LENGTH: usize = 24;
/// Half of one is found as well: what was cut short has leaked all the same.
const HALF: usize = LENGTH / 2;
/// Most that one compressed piece is inflated to.
const INFLATED: u64 = 4 << 20;

/// Makes canaries and remembers where each was put.
#[derive(Clone, Default)]
pub struct Mint(Arc<Mutex<Vec<Canary>>>);

#[derive(Clone)]
struct Canary {
    text: String,
    place: String,
}

/// A canary where it should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Where it was found.
    pub sink: String,
    /// Where it had been put.
    pub place: String,
    /// In which form.
    pub form: &'static str,
    /// What stands around it, readable.
    pub around: String,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sink, place, form, around } = self;
        write!(f, "{sink}: what was put into {place} ({form}): {around}")
    }
}

impl Mint {
    /// A fresh canary: letters and digits, so that it may stand anywhere.
    #[must_use]
    pub fn new(&self, place: &str) -> String {
        const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let mut random = [0; LENGTH];
        getrandom::fill(&mut random).expect("random bytes");
        let text: String = random.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % 62])).collect();
        self.all().push(Canary { text: text.clone(), place: place.to_owned() });
        text
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all().len()
    }

    /// Ready to search for all that were made so far.
    #[must_use]
    pub fn search(&self) -> Search {
        let canaries = self.all().clone();
        let mut patterns = Vec::new();
        let mut meaning = Vec::new();
        for (at, canary) in canaries.iter().enumerate() {
            for half in [&canary.text[..HALF], &canary.text[HALF..]] {
                for (form, pattern) in forms(half) {
                    patterns.push(pattern);
                    meaning.push((at, form));
                }
            }
        }
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(&patterns);
        let packed = AhoCorasick::new([[0x1f, 0x8b, 8]]).expect("an automaton");
        Search { canaries, meaning, automaton: automaton.expect("an automaton"), packed }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Canary>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All forms in which a text may have left.
fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let each =
        |write: fn(u8) -> String| bytes.iter().map(|byte| write(*byte)).collect::<String>().into_bytes();
    let mut forms = vec![
        ("raw", bytes.to_vec()),
        ("hex", each(|byte| format!("{byte:02x}"))),
        ("URL", each(|byte| format!("%{byte:02x}"))),
        ("JSON-escaped", each(|byte| format!("\\u{byte:04x}"))),
        ("UTF-16, little end first", bytes.iter().flat_map(|byte| [*byte, 0]).collect()),
        ("UTF-16, big end first", bytes.iter().flat_map(|byte| [0, *byte]).collect()),
    ];
    // What stands before a text shifts its base64; only the letters that are the text's alone are looked for.
    for before in 0..3 {
        let shifted = [&[0; 3][..before], bytes].concat();
        let (from, to) = ((8 * before).div_ceil(6), 8 * shifted.len() / 6);
        forms.push(("base64", STANDARD.encode(&shifted).as_bytes()[from..to].to_vec()));
        forms.push(("base64 for URLs", URL_SAFE.encode(&shifted).as_bytes()[from..to].to_vec()));
    }
    forms
}

/// Looks for canaries.
pub struct Search {
    canaries: Vec<Canary>,
    meaning: Vec<(usize, &'static str)>,
    automaton: AhoCorasick,
    /// Where gzip members may begin.
    packed: AhoCorasick,
}

/// How much of a large file is looked at at once.
const PIECE: usize = 8 << 20;

impl Search {
    /// Whether a file holds any canary, in a plain form: for files that are too large to be read whole.
    #[must_use]
    pub fn sees(&self, path: &std::path::Path) -> bool {
        let mut file = std::fs::File::open(path).expect("a file");
        let mut piece = Vec::new();
        loop {
            // What is cut by the edge of a piece is whole in the next one.
            piece.drain(..piece.len().saturating_sub(8 * LENGTH));
            let fresh = file.by_ref().take(PIECE as u64).read_to_end(&mut piece).expect("a piece");
            if self.automaton.is_match(&piece) {
                return true;
            }
            if fresh == 0 {
                return false;
            }
        }
    }

    /// Every canary in some bytes, and in whatever is compressed in them; each but once.
    #[must_use]
    pub fn hits(&self, sink: &str, bytes: &[u8]) -> Vec<Hit> {
        let mut hits = Vec::new();
        self.add(sink, bytes, "", &mut hits);
        for found in self.packed.find_iter(bytes) {
            let at = found.start();
            let mut inner = Vec::new();
            // What only looked like the beginning of a gzip member ends in an error, after some bytes or none.
            let _ = flate2::read::MultiGzDecoder::new(&bytes[at..]).take(INFLATED).read_to_end(&mut inner);
            self.add(sink, &inner, "gzip", &mut hits);
        }
        hits
    }

    fn add(&self, sink: &str, bytes: &[u8], packed: &'static str, hits: &mut Vec<Hit>) {
        for found in self.automaton.find_overlapping_iter(bytes) {
            let (canary, form) = self.meaning[found.pattern().as_usize()];
            let (from, to) = (found.start().saturating_sub(80), (found.end() + 40).min(bytes.len()));
            let hit = Hit {
                sink: sink.to_owned(),
                place: self.canaries[canary].place.clone(),
                form: if packed.is_empty() { form } else { packed },
                around: String::from_utf8_lossy(&bytes[from..to]).into_owned(),
            };
            if !hits.iter().any(|known| (&known.sink, &known.place) == (&hit.sink, &hit.place)) {
                hits.push(hit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// The proof is worth what the search is: it must see every form, wherever it stands, and nothing else.
    #[test]
    fn every_form_is_found_wherever_it_stands() {
        let mint = Mint::default();
        let text = mint.new("here");
        let _ = mint.new("elsewhere");
        let search = mint.search();
        let mut gzip = flate2::write::GzEncoder::new(b"before".to_vec(), flate2::Compression::default());
        gzip.write_all(format!("packed {text}").as_bytes()).unwrap();
        let mut all: Vec<(String, Vec<u8>)> = vec![
            ("cut".into(), text.as_bytes()[..HALF].to_vec()),
            ("the end of it".into(), text.as_bytes()[LENGTH - HALF..].to_vec()),
            ("upper case".into(), text.to_uppercase().into_bytes()),
            ("upper hex".into(), text.bytes().map(|b| format!("{b:02X}")).collect::<String>().into_bytes()),
            ("gzip".into(), gzip.finish().unwrap()),
            ("UTF-16".into(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            ("UTF-16 BE".into(), text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            ("URL".into(), text.bytes().map(|b| format!("%{b:02X}")).collect::<String>().into_bytes()),
            ("JSON".into(), text.bytes().map(|b| format!("\\u{b:04x}")).collect::<String>().into_bytes()),
        ];
        for before in 0..7 {
            let shifted = [&b"prefix!"[..before], text.as_bytes(), b"?"].concat();
            all.push((format!("base64 after {before}"), STANDARD.encode(&shifted).into_bytes()));
            all.push((format!("base64 for URLs after {before}"), URL_SAFE.encode(&shifted).into_bytes()));
        }
        for (form, bytes) in all {
            let within = [b"noise \0\xff".as_slice(), &bytes, b" noise"].concat();
            let hits = search.hits("sink", &within);
            assert_eq!(hits.len(), 1, "{form}: {hits:?}");
            assert_eq!(hits[0].place, "here", "{form}");
        }
        assert_eq!(search.hits("sink", b"nothing of the kind"), []);
    }
}
