//! Plain data that crosses a stage boundary, and the ids made from content. No I/O here.

mod id;
mod image;
mod page;
mod reject;

pub use id::{ImageId, host_key, partition, registrable_domain};
pub use image::{Image, StoredAs};
pub use page::{ImageRef, ImageSource, Page};
pub use reject::{Class, Reason, Reject};
