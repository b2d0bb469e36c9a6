//! Segments that are read: what an earlier process has left, and what a running one has yet to make rows of.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_llm::price::Nanos;

use super::{Entry, FRAME, HEADER, NAME, Posted, ROOM, Record, Segment, checksum};
use crate::exchange::ExchangeId;
use crate::options::OpenError;
use crate::posting::Posting;
use crate::store::{Damage, Part, free};

/// What an earlier process has left.
pub(crate) struct Left {
    /// In the order in which they were written down.
    pub(crate) records: Vec<(Record<Posting>, Entry)>,
    /// Segments in which something could not be read, or has no owner.
    pub(crate) damage: Vec<Damage>,
    /// Those are put aside.
    pub(crate) asides: Asides,
    /// The next segment's number.
    pub(crate) number: u64,
}

/// Files of a journal, and where to put them: once everything in them that can be written is, and it is certain that
/// somebody will be told.
#[derive(Default)]
pub(crate) struct Asides(Vec<(PathBuf, PathBuf)>);

impl Asides {
    /// What names a key that is gone must not be read again, when another key has its number.
    pub(crate) fn put(self, dir: &Path) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        for (path, aside) in self.0 {
            let told = |error| io::Error::other(format!("{} cannot be put aside: {error}", path.display()));
            fs::rename(&path, aside).map_err(told)?;
        }
        fs::File::open(dir)?.sync_all()
    }
}

/// Everything that is in the journal of a ledger whose lock is ours, and whose key is among these: the journal outlives a
/// key where the database has lost its latest part. Its files go when all of it is written.
pub(crate) fn left(dir: &Path, keys: &HashSet<i64>) -> Result<Left, OpenError> {
    let mut left = Left { records: Vec::new(), damage: Vec::new(), asides: Asides::default(), number: 1 };
    for (number, path) in segments(dir)? {
        left.number = number + 1;
        let Some(found) = read(&fs::read(&path)?) else { return Err(OpenError::Journal(path)) };
        let Found { mut records, good, lost, is_cut_off } = found;
        let orphans: Vec<_> = records.extract_if(.., |record| !keys.contains(&record.key())).collect();
        // A last record that was cut off is nothing to account for; an orphan is.
        let aside = (lost > 0 || !orphans.is_empty()).then(|| free(&path, is_cut_off && orphans.is_empty()));
        if let Some(aside) = &aside {
            let damage = |part, good, lost, may_be_cut_off| Damage {
                part,
                good,
                lost,
                may_be_cut_off,
                aside: aside.clone(),
            };
            if lost > 0 {
                left.damage.push(damage(Part::Journal, good, lost, is_cut_off));
            }
            if !orphans.is_empty() {
                let part = Part::Orphans(charged(&orphans));
                left.damage.push(damage(part, records.len(), orphans.len(), false));
            }
        }
        let segment = Arc::new(Segment::new(path.clone(), aside.is_some()));
        left.asides.0.extend(aside.map(|aside| (path, aside)));
        left.records.extend(records.into_iter().map(|record| (record, segment.entry())));
    }
    Ok(left)
}

/// What they would have come to.
fn charged(records: &[Record<Posting>]) -> Nanos {
    let charged = records.iter().map(|record| match record {
        Record::Hold(_) => 0,
        Record::Post(Posted { hold, posting, .. }) => match hold {
            Some(held) if held.hard => posting.charged.0.min(held.amount),
            _ => posting.charged.0,
        },
    });
    Nanos(charged.fold(0, i64::saturating_add))
}

/// The exchanges of these keys whose postings are in the journal, seen from outside: a process may be at work on it.
pub(crate) fn postings(dir: &Path, keys: &HashSet<i64>) -> Result<Vec<ExchangeId>, OpenError> {
    let mut exchanges = Vec::new();
    for (_, path) in segments(dir)? {
        let bytes = match fs::read(&path) {
            // Everything in it has become rows since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read?,
        };
        let Some(found) = read(&bytes) else { return Err(OpenError::Journal(path)) };
        exchanges.extend(found.records.into_iter().filter_map(|record| match record {
            Record::Post(Posted { exchange, key, .. }) if keys.contains(&key) => Some(exchange),
            _ => None,
        }));
    }
    Ok(exchanges)
}

/// By their numbers.
fn segments(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(NAME));
        let number = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        found.extend(number.and_then(|number| number.parse().ok()).map(|number| (number, entry.path())));
    }
    found.sort();
    Ok(found)
}

struct Found {
    records: Vec<Record<Posting>>,
    /// How many of them come before the first place that is lost.
    good: usize,
    /// Places that cannot be read.
    lost: usize,
    /// Whether the one place is the end of a file that ends too soon: what `kill -9` or a full disk leaves of a write
    /// that nobody was told of.
    is_cut_off: bool,
}

/// `None`: it is not of this version.
fn read(bytes: &[u8]) -> Option<Found> {
    let mut found = Found { records: Vec::new(), good: 0, lost: 0, is_cut_off: false };
    let Some(rest) = bytes.strip_prefix(HEADER) else {
        return HEADER.starts_with(bytes).then_some(found);
    };
    let Some((salt, frames)) = rest.split_first_chunk::<4>() else { return Some(found) };
    let salt = u32::from_le_bytes(*salt);
    let mut at = 0;
    while at < frames.len() {
        let next = (at..frames.len()).find_map(|from| Some((from, frame(salt, &frames[from..])?)));
        if next.as_ref().is_none_or(|(from, _)| *from > at) {
            if found.lost == 0 {
                found.good = found.records.len();
            }
            found.lost += 1;
        }
        let Some((from, (record, length))) = next else {
            found.is_cut_off = found.lost == 1 && ends_too_soon(&frames[at..]);
            break;
        };
        found.records.push(record);
        at = from + length;
    }
    Some(found)
}

/// Whether a frame begins here that is longer than what is left.
fn ends_too_soon(bytes: &[u8]) -> bool {
    let length = bytes.first_chunk::<4>().map(|length| u32::from_le_bytes(*length));
    length.is_none_or(|length| usize::try_from(length).is_ok_and(|length| bytes.len() < FRAME + length))
}

/// The record that begins here, and how long its frame is.
fn frame(salt: u32, bytes: &[u8]) -> Option<(Record<Posting>, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= ROOM)?;
    let payload = rest.get(..length)?;
    if checksum(salt, payload) != u32::from_le_bytes(*sum) {
        return None;
    }
    let record: Record<Posting> = postcard::from_bytes(payload).ok()?;
    let is_sane = !matches!(&record, Record::Post(posted) if !posted.posting.is_sane());
    is_sane.then_some((record, FRAME + length))
}

#[cfg(test)]
mod tests {
    use weir_llm::price::Nanos;
    use weir_llm::usage::{Source, Usage};

    use super::*;
    use crate::posting::Outcome;

    fn sealed(salt: u32, alias: &str, charged: i64) -> Vec<u8> {
        let posting = Posting {
            request_id: None,
            at_ms: 1,
            api: "chat".into(),
            alias: alias.into(),
            provider: "p".into(),
            model: "m".into(),
            status: Outcome::Ok,
            attempts: 1,
            stream: false,
            usage: Usage::default(),
            usage_source: Source::Provider,
            charged: Nanos(charged),
            provider_cost: None,
            saved_by_cached_input: Nanos(0),
            saved_by_cache: Nanos(0),
            catalogue_version: "c".into(),
            generation: 1,
            ttft_ms: None,
            total_ms: 1,
        };
        let exchange = ExchangeId::from_bytes([b'x'; 16]);
        let record = Record::Post(Posted { exchange, key: 1, hold: None, posting: &posting });
        let payload = postcard::to_stdvec(&record).unwrap();
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        [&length[..], &checksum(salt, &payload).to_le_bytes(), &payload].concat()
    }

    fn segment(salt: u32, frames: &[u8]) -> Vec<u8> {
        [HEADER, &salt.to_le_bytes(), frames].concat()
    }

    /// Some of what is in a record its caller has chosen: a frame in there is none, also where the record is torn.
    #[test]
    fn a_frame_in_a_name_is_none() {
        // One that is a text as well, as a name has to be.
        let (known, secret) = (7, 0x5eed_cafe);
        let forged = (0..60).find_map(|charged| String::from_utf8(sealed(known, "f", charged)).ok()).unwrap();
        for (salt, found) in [(known, 1), (secret, 0)] {
            let whole = segment(salt, &sealed(salt, &forged, 5));
            assert_eq!(read(&whole).unwrap().records.len(), 1);
            let torn = read(&whole[..whole.len() - 1]).unwrap();
            assert_eq!(torn.records.len(), found, "{salt}");
        }
    }

    #[test]
    fn amounts_that_cannot_be_are_no_record() {
        for (charged, found) in [(5, 1), (-5, 0), (i64::MAX, 0)] {
            assert_eq!(read(&segment(1, &sealed(1, "a", charged))).unwrap().records.len(), found);
        }
    }
}
