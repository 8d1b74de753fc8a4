//! What pages say, as text: words, language, and what must not be passed on.

mod language;
mod mask;
mod refusal;
mod wording;
mod words;

pub use language::detect as detect_language;
pub use mask::mask;
pub use refusal::refusal;
pub use wording::Wording;
pub use words::{content_words, fold, is_stopword, labels_beyond, pieces, words};
