//! Whatever text is shown as a key: it is one, down to its checksum, or none. A key that was changed by up to four bytes in
//! a row, cut or lengthened is none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use weir_fuzzed::{fresh_key, key};

static KEY: LazyLock<String> = LazyLock::new(fresh_key);

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(secret) = key(text)
    {
        assert!(text.len() == 57 && secret.len() == 43 && text.is_ascii(), "{text}");
        assert_eq!(secret, &text.as_bytes()[8..51]);
    }
    let Some((&at, new)) = data.split_first() else { return };
    assert!(key(&KEY).is_some());
    let mut changed = KEY.clone().into_bytes();
    let at = usize::from(at) % changed.len();
    let new = &new[..new.len().min(4).min(changed.len() - at)];
    changed[at..at + new.len()].copy_from_slice(new);
    let same = changed == KEY.as_bytes();
    if let Ok(text) = std::str::from_utf8(&changed) {
        assert_eq!(key(text).is_some(), same, "{text} for {}", *KEY);
    }
    assert!(key(&KEY[..at]).is_none() && key(&format!("{}{at}", *KEY)).is_none());
});
