//! How records become rows: the columns of every table, in one place.

mod archived_images;
pub mod columns;
mod fetch_list;
mod groups;
mod images;
mod links;
mod pages;
mod rejects;
mod shards;
mod triplets;

pub use archived_images::{ArchivedAt, ArchivedImage};
pub use fetch_list::{FetchTarget, ImageUse};
pub use links::OutboxLink;
pub use pages::{PageImages, PageKey};
pub use shards::{PoolImage, Triplet};

/// Stage 1: pages and their image references.
pub const PAGES: &str = "pages";
/// Stage 1: images that lie in archives beside the pages.
pub const ARCHIVED_IMAGES: &str = "archived_images";
/// Stage 2: image references that survive the rules on the URL alone.
pub const IMAGE_USES: &str = "image_uses";
/// Stage 2: each image URL that is worth a request, once.
pub const FETCH_LIST: &str = "fetch_list";
/// Stage 2: images, features and bytes.
pub const IMAGES: &str = "images";
/// Stage 3: images that are of use, with their clusters.
pub const IMAGE_CLUSTERS: &str = "image_clusters";
/// Stage 3: which images a page shows that count.
pub const OCCURRENCES: &str = "occurrences";
/// Stage 3: images of a page with what it says about them.
pub const GROUPS: &str = "groups";
/// Stage 4: what each image shows, in words.
pub const DESCRIPTIONS: &str = "descriptions";
/// Stage 4b: vectors of images and of their descriptions.
pub const EMBEDDINGS: &str = "embeddings";
/// Stage 5: two images that belong together.
pub const PAIRS: &str = "pairs";
/// Stage 6: what leads from the one to the other.
pub const INSTRUCTIONS: &str = "instructions";
/// Stage 7: triplets without their images.
pub const TRIPLET_PLAN: &str = "triplet_plan";
/// Stage 7: shards of triplets.
pub const TRIPLETS: &str = "triplets";
/// Stage 7: images to retrieve from in the test.
pub const TEST_POOL: &str = "test_pool";
