//! Plain data that crosses a stage boundary, and the ids made from content. No I/O here.
#![forbid(unsafe_code)]

mod group;
mod id;
mod image;
mod look;
mod page;
mod reject;
mod review;
mod slice;
mod tombstone;
mod triplet;

pub use group::{GroupImage, ImageCluster, Look, Occurrence};
pub use id::{ImageId, content_id, host_key, partition, registrable_domain};
pub use image::{Image, StoredAs};
pub use look::{AltText, Flag, Safety};
pub use page::{ImageRef, ImageSource, Page};
pub use reject::{Class, Reason, Reject};
pub use review::{Mark, Review, Reviews};
pub use slice::Slice;
pub use tombstone::Tombstones;
pub use triplet::{
    Description, Embedding, ImageBytes, Instruction, Pair, Side, Split, TripletText,
};
