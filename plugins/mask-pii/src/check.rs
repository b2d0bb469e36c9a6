//! Check digits of card numbers and IBANs.

use std::ops::Range;

/// Lengths of card numbers (ISO/IEC 7812 allows up to 19 digits; shorter than 13 is out of use).
const CARD_DIGITS: Range<usize> = 13..20;

/// The card numbers in a run of digits with single spaces or dashes between them: byte ranges, left to right, without
/// overlap. A number begins and ends where a group does, so that `4111 1111 1111 1111 2027` is found and a random
/// stretch inside of a longer number is not.
#[must_use]
pub fn cards(run: &str) -> Vec<Range<usize>> {
    let groups = groups(run);
    let mut found = Vec::new();
    let mut first = 0;
    while first < groups.len() {
        match card_from(run, &groups[first..]) {
            Some(taken) => {
                found.push(groups[first].start..groups[first + taken - 1].end);
                first += taken;
            }
            None => first += 1,
        }
    }
    found
}

/// Luhn's check (ISO/IEC 7812-1, annex B); other characters than digits are passed over.
#[must_use]
pub fn luhn(text: &[u8]) -> bool {
    let digits = text.iter().rev().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The check of an IBAN (ISO 13616): its first four characters moved to the end, letters as 10 to 35, modulo 97 is 1.
#[must_use]
pub fn iban(text: &str) -> bool {
    let plain: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let Some((head, rest)) = plain.split_at_checked(4) else { return false };
    let remainder = rest.iter().chain(head).fold(0_u32, |remainder, &byte| match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte.to_ascii_uppercase() - b'A') + 10) % 97,
    });
    (15..=34).contains(&plain.len()) && remainder == 1
}

/// How many groups from the first on make a card number, the most if several do.
fn card_from(run: &str, groups: &[Range<usize>]) -> Option<usize> {
    let first = groups.first()?;
    let mut digits = 0;
    let mut best = None;
    for (index, group) in groups.iter().enumerate() {
        digits += group.len();
        if digits >= CARD_DIGITS.end {
            break;
        }
        let text = &run.as_bytes()[first.start..group.end];
        if digits >= CARD_DIGITS.start && issued(text) && luhn(text) {
            best = Some(index + 1);
        }
    }
    best
}

/// First digits that payment networks use: 2 to 6. Zeros alone pass Luhn's check, too.
const fn issued(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'2'..=b'6'))
}

/// The stretches of digits.
fn groups(run: &str) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, _) in run.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match groups.last_mut() {
            Some(last) if last.end == at => last.end = at + 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(run: &str) -> Vec<&str> {
        cards(run).into_iter().map(|range| &run[range]).collect()
    }

    #[test]
    fn the_networks_test_numbers_are_cards() {
        let numbers = [
            "4111111111111111",
            "5555555555554444",
            "378282246310005",
            "6011111111111117",
            "3530111333300000",
            "30569309025904",
        ];
        for number in numbers {
            assert_eq!(found(number), [number]);
        }
        assert_eq!(found("4111 1111-1111 1111"), ["4111 1111-1111 1111"]);
    }

    #[test]
    fn one_wrong_digit_is_no_card() {
        let number = b"4111111111111111";
        for place in 0..number.len() {
            for digit in b'0'..=b'9' {
                let mut wrong = *number;
                wrong[place] = digit;
                let text = std::str::from_utf8(&wrong).expect("digits");
                assert_eq!(luhn(&wrong), wrong == *number, "{text}");
            }
        }
    }

    #[test]
    fn a_card_is_found_among_other_groups() {
        assert_eq!(found("2024 4111 1111 1111 1111 12 27"), ["4111 1111 1111 1111"]);
        assert_eq!(found("4111111111111111 5555555555554444"), ["4111111111111111", "5555555555554444"]);
    }

    #[test]
    fn numbers_of_other_kinds_are_left_alone() {
        for run in ["0000000000000000", "1234567890123456", "41111111111111111111111111", "1700000000000"] {
            assert!(found(run).is_empty(), "{run}");
        }
    }

    #[test]
    fn an_iban_needs_its_check_digits() {
        assert!(iban("DE89 3704 0044 0532 0130 00"));
        assert!(iban("GB82WEST12345698765432"));
        assert!(!iban("DE89 3704 0044 0532 0130 01"));
        assert!(!iban("AB12"));
    }
}
