//! Buffers for what is written and sent within one turn of a thread. The one that was let go of last is taken first: it is
//! in the processor's cache still, where a connection's own, or one fresh from the allocator, would not be.

use std::cell::RefCell;
use zeroize::Zeroize;

/// Room that a buffer has at least.
const ROOM: usize = 2 << 10;
/// Buffers larger than this are not kept.
const LARGEST: usize = 16 << 10;
/// How many a thread keeps.
const MOST: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer.
pub fn take() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(ROOM))
}

/// Lets go of one: nothing of what was in it is left.
pub fn give(mut buffer: Vec<u8>) {
    buffer.as_mut_slice().zeroize();
    buffer.clear();
    if (ROOM..=LARGEST).contains(&buffer.capacity()) {
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MOST {
                spare.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_and_wiped() {
        let mut buffer = take();
        buffer.extend_from_slice(b"a secret");
        let place = buffer.as_ptr();
        give(buffer);
        let mut again = take();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        again.resize(8, 1);
        again.clear();
        give(again);
    }

    #[test]
    fn few_and_small_ones_are_kept() {
        (0..2 * MOST).map(|_| take()).collect::<Vec<_>>().into_iter().for_each(give);
        give(Vec::new());
        give(Vec::with_capacity(LARGEST + 1));
        let kept = SPARE.with_borrow(|spare| spare.iter().map(Vec::capacity).collect::<Vec<_>>());
        assert_eq!(kept, [ROOM; MOST]);
    }
}
