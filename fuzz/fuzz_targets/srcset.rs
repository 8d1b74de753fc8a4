//! Any text is a srcset: nothing panics, and what is found could be fetched.
#![no_main]

use libfuzzer_sys::fuzz_target;
use magiclens::stages::collect::extract::srcset;

fuzz_target!(|text: &str| {
    for candidate in srcset::parse(text) {
        assert!(!candidate.url.is_empty() && !candidate.url.ends_with(','));
        assert!(candidate.density.is_none_or(|density| density >= 0.0));
    }
});
