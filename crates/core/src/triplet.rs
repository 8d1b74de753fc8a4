//! From groups to triplets: rows of `descriptions`, `pairs`, `instructions` and `triplets`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{AltText, Flag, ImageId, Safety};

/// What an image shows, in words: a row of `descriptions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The group it was described in.
    pub group_id: String,
    /// Which image of the group's page.
    pub position: u32,
    /// The image.
    pub image_id: ImageId,
    /// One sentence or phrase.
    pub caption: String,
    /// Content labels, the most telling first.
    pub labels: Vec<String>,
    /// What a model saw that is not for everybody; none where none looked.
    pub safety: Option<Safety>,
    /// What makes it a poor example, by a model.
    pub flags: Vec<Flag>,
    /// How `alt` fits the image, by a model.
    pub alt_text: Option<AltText>,
    /// Provider and model, or `page-text`.
    pub generator: String,
    /// Hash of prompt, schema and model; empty where there is none.
    pub prompt_hash: String,
}

/// What an image and its description are compared by, as a model has it: a row of `embeddings`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// The group it was described in.
    pub group_id: String,
    /// Which image of the group's page.
    pub position: u32,
    /// The image.
    pub image_id: ImageId,
    /// The image's vector, of length 1; empty where the model knows texts only.
    pub image: Vec<f32>,
    /// The description's vector, of length 1.
    pub text: Vec<f32>,
}

/// Two images of one group that belong together: a row of `pairs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// sha256 hex of group, query and target.
    pub pair_id: String,
    /// The group of both.
    pub group_id: String,
    /// The query's position on the page.
    pub query_position: u32,
    /// The target's position on the page.
    pub target_position: u32,
    /// The query.
    pub query_image_id: ImageId,
    /// The target.
    pub target_image_id: ImageId,
    /// How alike they look: 0 to 1, or a cosine where vectors are compared.
    pub visual_similarity: f32,
    /// How alike their descriptions are, likewise.
    pub text_similarity: f32,
}

/// How to get from the query to the target: a row of `instructions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Instruction {
    /// The pair.
    pub pair_id: String,
    /// The pair's group.
    pub group_id: String,
    /// 0 for the pair's first instruction.
    pub instruction_index: u32,
    /// How the images relate.
    pub relation: String,
    /// What a person would say who holds the query and wants the target.
    pub instruction: String,
    /// Provider and model, or `template`.
    pub generator: String,
    /// Hash of prompt, schema and model; empty where there is none.
    pub prompt_hash: String,
    /// What the template makes of the same pair, beside a model's instruction.
    pub baseline: Option<String>,
}

/// Shared bytes in serde's form for bytes, which is no sequence of numbers.
mod as_bytes {
    use bytes::Bytes;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(bytes.as_ref(), to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Bytes, D::Error> {
        serde_bytes::deserialize::<Vec<u8>, D>(from).map(Bytes::from)
    }
}

/// An image as Hugging Face's `Image` feature has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageBytes {
    /// The file.
    #[serde(with = "as_bytes")]
    pub bytes: Bytes,
    /// A name with the right extension.
    pub path: String,
}

impl ImageBytes {
    /// An image under the name that says what it is.
    pub fn named(image_id: &ImageId, bytes: Bytes) -> Self {
        let extension = match bytes.as_ref() {
            [0x89, b'P', ..] => "png",
            [b'G', b'I', b'F', ..] => "gif",
            [b'R', b'I', b'F', b'F', ..] => "webp",
            _ => "jpg",
        };
        Self { bytes, path: format!("{image_id}.{extension}") }
    }
}

/// What is known of one side of a triplet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// sha256 of the original bytes.
    pub image_id: ImageId,
    /// Near-duplicates share it.
    pub cluster_id: ImageId,
    /// 64-bit perceptual hash.
    pub phash: u64,
    /// Width of the original, upright.
    pub width: u32,
    /// Height of the original, upright.
    pub height: u32,
    /// Where the image was found.
    pub url: String,
    /// `alt`.
    pub alt: String,
    /// The description's caption.
    pub caption: String,
    /// The description's labels.
    pub labels: Vec<String>,
    /// Rights as stated on the page or in the file.
    pub rights: Option<String>,
}

/// Everything about a triplet but the bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TripletText {
    /// sha256 hex of group, query, target and instruction.
    pub triplet_id: String,
    /// The pair.
    pub pair_id: String,
    /// 0 for the pair's first instruction.
    pub instruction_index: u32,
    /// What leads from the query to the target.
    pub instruction: String,
    /// How the images relate.
    pub relation: String,
    /// The group.
    pub group_id: String,
    /// The page that shows both.
    pub page_url: String,
    /// Its title.
    pub page_title: String,
    /// Its registrable domain.
    pub domain: String,
    /// Its language, where that is clear.
    pub language: Option<String>,
    /// `train`, `val` or `test`.
    pub split: Split,
    /// How alike the images look, 0 to 1.
    pub visual_similarity: f32,
    /// How alike their descriptions are, 0 to 1.
    pub text_similarity: f32,
    /// Who wrote the instruction.
    pub generator: String,
    /// Hash of prompt, schema and model; empty where there is none.
    pub prompt_hash: String,
    /// When the page was fetched, in microseconds since the epoch, UTC.
    pub fetched_at: i64,
    /// The query.
    pub query: Side,
    /// The target.
    pub target: Side,
}

/// Which part of the data a triplet belongs to, by its page's domain.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// For training.
    #[default]
    Train,
    /// For choosing a checkpoint.
    Val,
    /// For the final figure.
    Test,
}

impl Split {
    /// All of them, the largest first.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}
