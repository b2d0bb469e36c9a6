//! IPv6 addresses (RFC 4291): eight groups, or fewer with one `::` within the ranges that are assigned. Names of code
//! (`std::fs`, `dead::beef`), times, fingerprints and MAC addresses are not.

use super::{Leave, Match, ip4};
use crate::class::Class;
use crate::text::{ALNUM, HEX, Text, is};

/// An address as it is read.
#[derive(Default)]
struct Groups {
    values: [u16; 8],
    count: usize,
    /// How many groups stand before the `::`.
    gap: Option<usize>,
    /// Whether one has three digits or more: eight like that are nothing else.
    has_wide: bool,
}

/// An address that begins at `place`.
pub(crate) fn find(text: &Text<'_>, place: usize, leave: Leave) -> Option<Match> {
    let before = text.before(place);
    if is(before, ALNUM) || matches!(before, b':' | b'_' | b'.') {
        return None;
    }
    let mut groups = Groups::default();
    let end = read(text, place, &mut groups)?;
    let next = text.at(end);
    if is(next, ALNUM) || matches!(next, b':' | b'_') {
        return None;
    }
    let address = groups.address()?;
    let is_full = groups.gap.is_none() && groups.has_wide;
    ((is_full || is_somebody(address)) && !is_left(address, leave)).then(|| Match::new(Class::Ip, end))
}

/// Reads groups; where they end.
fn read(text: &Text<'_>, place: usize, groups: &mut Groups) -> Option<usize> {
    let mut at = place;
    if text.at(at) == b':' {
        at = gap(text, at, groups)?;
    }
    loop {
        let end = text.run(at, 5, HEX);
        match end - at {
            0 if groups.gap == Some(groups.count) => return Some(at),
            1..=4 => {}
            _ => return None,
        }
        if text.at(end) == b'.' && text.at(end + 1).is_ascii_digit() {
            return embedded(text, at, groups);
        }
        groups.has_wide |= end - at >= 3;
        groups.push(hex(text.slice(at, end)))?;
        if text.at(end) != b':' {
            return Some(end);
        }
        at = match text.at(end + 1) {
            b':' => gap(text, end, groups)?,
            // `fe80::1: no route`
            next if !is(next, HEX) => return Some(end),
            _ => end + 1,
        };
    }
}

fn gap(text: &Text<'_>, at: usize, groups: &mut Groups) -> Option<usize> {
    let is_first = groups.gap.is_none() && text.at(at + 1) == b':';
    groups.gap = Some(groups.count);
    is_first.then_some(at + 2)
}

/// The last two groups as an IPv4 address.
fn embedded(text: &Text<'_>, at: usize, groups: &mut Groups) -> Option<usize> {
    let (octets, end) = ip4::octets(text, at)?;
    groups.push(u16::from_be_bytes([octets[0], octets[1]]))?;
    groups.push(u16::from_be_bytes([octets[2], octets[3]]))?;
    Some(end)
}

fn hex(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |value, digit| (value << 4) | char::from(*digit).to_digit(16).unwrap_or(0) as u16)
}

impl Groups {
    fn push(&mut self, value: u16) -> Option<()> {
        *self.values.get_mut(self.count)? = value;
        self.count += 1;
        Some(())
    }

    /// All eight groups, if there are as many.
    fn address(&self) -> Option<[u16; 8]> {
        match self.gap {
            None if self.count == 8 => Some(self.values),
            Some(gap) if self.count < 8 => {
                let mut address = [0; 8];
                address[..gap].copy_from_slice(&self.values[..gap]);
                let after = self.count - gap;
                address[8 - after..].copy_from_slice(&self.values[gap..self.count]);
                Some(address)
            }
            _ => None,
        }
    }
}

/// Ranges that hosts have addresses in (IANA): global, local, by interface, groups, and IPv4 within IPv6.
const fn is_somebody(address: [u16; 8]) -> bool {
    match address[0] {
        0x2000..=0x3FFF | 0xFC00..=0xFDFF | 0xFE80..=0xFEBF | 0xFF00..=0xFFFF => true,
        0x64 => address[1] == 0xFF9B,
        0 => matches!(address, [0, 0, 0, 0, 0, 0xFFFF, ..]),
        _ => false,
    }
}

fn is_left(address: [u16; 8], leave: Leave) -> bool {
    let is_private = matches!(address[0], 0xFC00..=0xFDFF | 0xFE80..=0xFEBF);
    let is_documentation = matches!(address, [0x2001, 0xDB8, ..] | [0x3FFF, 0..=0x0FFF, ..]);
    let [high, low] = [address[6].to_be_bytes(), address[7].to_be_bytes()];
    let octets = [high[0], high[1], low[0], low[1]];
    let is_mapped = address[0] == 0;
    (leave.private && (is_private || (is_mapped && ip4::is_private(octets))))
        || (leave.documentation && (is_documentation || (is_mapped && ip4::is_documentation(octets))))
}
