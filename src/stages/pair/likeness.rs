//! How alike two images of a group are: by vectors of a model, or without one.

use super::group::{Group, Member};
use super::select::Similarity;
use super::{By, Inputs};
use crate::config::Config;
use crate::record::{Description, GroupImage};
use crate::similarity::{DocumentFrequencies, Vector, cosine, dot, visual};
use crate::store::{Store, StoreError, read_rows};
use crate::text;

/// By what images are compared.
pub enum Likeness {
    /// Hashes and colours; words by how rare they are.
    Lexical(DocumentFrequencies),
    /// Vectors; hashes and colours for images where only texts have vectors.
    Embedded {
        /// Whether images have vectors.
        has_images: bool,
    },
}

impl Likeness {
    /// The configured one. Counts words where words are compared.
    pub async fn new(config: &Config, store: &Store, inputs: &Inputs) -> Result<Self, StoreError> {
        if config.pair.similarity != By::Lexical {
            return Ok(Self::Embedded { has_images: config.embed.has_images(&config.pair) });
        }
        let mut frequencies = DocumentFrequencies::new();
        for part in &inputs.descriptions {
            let Some(file) = part.files.get("rows") else { continue };
            let mut rows = read_rows::<Description>(store, &file.path, 1024).await?;
            while let Some(batch) = rows.next().await? {
                batch.iter().for_each(|description| frequencies.add(&words_of(description)));
            }
        }
        Ok(Self::Lexical(frequencies))
    }

    /// The images of a group that can be compared: described, and with vectors where those count.
    pub fn members<'a>(&self, group: &'a Group) -> Vec<Member<'a>> {
        let members = group.said.iter().filter_map(|said| {
            let image = group.images.iter().find(|image| image.position == said.position)?;
            self.member(image, said, group)
        });
        members.collect()
    }

    fn member<'a>(
        &self,
        image: &'a GroupImage,
        said: &'a Description,
        group: &'a Group,
    ) -> Option<Member<'a>> {
        let embedding = group.embedded.iter().find(|row| row.position == said.position);
        match self {
            Self::Lexical(frequencies) => {
                let words = frequencies.vector(&words_of(said));
                Some(Member { image, said, words, embedding: None })
            }
            Self::Embedded { .. } => embedding.map(|row| Member {
                image,
                said,
                words: Vector::default(),
                embedding: Some(row),
            }),
        }
    }

    /// How alike two of them are.
    pub fn of(&self, a: &Member<'_>, b: &Member<'_>) -> Similarity {
        let looks = || visual(&a.image.look, &b.image.look);
        let (Self::Embedded { has_images }, Some(one), Some(other)) =
            (self, a.embedding, b.embedding)
        else {
            return Similarity { visual: looks(), text: cosine(&a.words, &b.words) };
        };
        let visual = if *has_images { dot(&one.image, &other.image) } else { looks() };
        Similarity { visual, text: dot(&one.text, &other.text) }
    }
}

/// The words of a caption, and the labels that it does not say already.
fn words_of(Description { caption, labels, .. }: &Description) -> Vec<String> {
    let mut words = text::content_words(caption);
    words.extend(text::labels_beyond(caption, labels).into_iter().cloned());
    words
}
