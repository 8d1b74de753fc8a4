//! `page-text`, the embedded provider: the words of the page, alt text first, then the caption, then the
//! heading. It never looks at pixels.

use std::collections::HashSet;

use crate::record::{Description, GroupImage};
use crate::text;

/// The name of the provider.
pub const PAGE_TEXT: &str = "page-text";

/// Longest caption, in characters.
const MAX_CAPTION: usize = 300;

/// Labels of one image, at most.
const MAX_LABELS: usize = 8;

/// The words of the page about an image; none where there are none.
pub fn describe(image: &GroupImage) -> Option<Description> {
    let sources = [&image.alt, &image.caption, &image.heading];
    let caption = sources.into_iter().find(|words| !text::content_words(words).is_empty())?;
    let mut labels: Vec<String> = Vec::new();
    for source in sources {
        labels.extend(text::content_words(source).into_iter().filter(|w| w.chars().count() > 2));
    }
    let mut seen = HashSet::new();
    labels.retain(|label| seen.insert(label.clone()));
    labels.truncate(MAX_LABELS);
    Some(Description {
        group_id: image.group_id.clone(),
        position: image.position,
        image_id: image.look.image_id.clone(),
        caption: caption.trim().chars().take(MAX_CAPTION).collect(),
        labels,
        generator: PAGE_TEXT.into(),
        ..Description::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(alt: &str, caption: &str, heading: &str) -> GroupImage {
        let [alt, caption, heading] = [alt, caption, heading].map(str::to_owned);
        GroupImage { alt, caption, heading, ..GroupImage::default() }
    }

    #[test]
    fn alt_text_comes_first_and_labels_come_from_everywhere() {
        let found = describe(&image("A red boat", "The harbour.", "Boats")).unwrap();
        assert_eq!(found.caption, "A red boat");
        assert_eq!(found.labels, ["red", "boat", "harbour", "boats"]);
        assert_eq!(describe(&image("", "The harbour.", "")).unwrap().caption, "The harbour.");
        assert_eq!(describe(&image("the", " - ", "Boats")).unwrap().caption, "Boats");
    }

    #[test]
    fn without_words_there_is_no_description() {
        assert_eq!(describe(&image("", "…", "")), None);
    }
}
