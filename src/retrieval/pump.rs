//! Many images through a model: they are read and decoded on all cores while the model works on the batch
//! before.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use bytes::Bytes;
use rayon::prelude::*;

use super::encoder::{Encoder, Vectors};
use super::index::{Item, Pictures};
use crate::model::input::{Cut, ImageInput};

/// Batches that wait decoded for the model.
const READY: usize = 2;

/// Where an image comes from.
#[derive(Clone, Debug)]
pub enum Picture {
    /// A file.
    File(PathBuf),
    /// An object in a file.
    Cut(PathBuf, Cut),
    /// A file's content.
    Bytes(Bytes),
    /// None: a query by text alone.
    None,
    /// Among those of an index or a data set.
    Item(Arc<Pictures>, Item),
    /// Nowhere, for this reason.
    Missing(String),
}

impl Picture {
    /// The bytes of the image's file.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) | Self::Cut(path, _) => {
                std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
            }
            Self::Bytes(bytes) => Ok(bytes.to_vec()),
            Self::Item(pictures, item) => pictures.read(item).map_err(|error| error.to_string()),
            Self::None => Err("no image".into()),
            Self::Missing(problem) => Err(problem.clone()),
        }
    }
}

/// Which vectors are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// MagicLens's: image and text as one.
    #[default]
    Fused,
    /// CLIP's: the image tower's where there is an image, else the text tower's.
    Towers,
}

/// Something to embed.
#[derive(Clone, Debug)]
pub struct Work<T> {
    /// Its image.
    pub picture: Picture,
    /// Its text; empty for an image by itself.
    pub text: String,
    /// What the caller knows it by.
    pub tag: T,
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub struct Done<T> {
    /// Those that were embedded, in their order.
    pub tags: Vec<T>,
    /// Their vectors.
    pub vectors: Vectors,
    /// Those whose image could not be read, and why.
    pub failed: Vec<(T, String)>,
}

/// Embeds everything in order, `batch` at a time, and hands on what became of each batch. Ends with the
/// first error of `take`.
pub fn embed_all<T: Send, E>(
    encoder: &Encoder,
    work: impl Iterator<Item = Work<T>> + Send,
    batch: usize,
    take: impl FnMut(Done<T>) -> Result<(), E>,
) -> Result<(), E> {
    embed_all_as(encoder, Way::Fused, work, batch, take)
}

/// The same with other vectors. Work has images throughout, or texts throughout, where these are towers'.
pub fn embed_all_as<T: Send, E>(
    encoder: &Encoder,
    way: Way,
    work: impl Iterator<Item = Work<T>> + Send,
    batch: usize,
    mut take: impl FnMut(Done<T>) -> Result<(), E>,
) -> Result<(), E> {
    let reader =
        Reader { input: encoder.input(), numbers: encoder.numbers(), none: encoder.no_image() };
    let (send, ready) = sync_channel(READY);
    std::thread::scope(|scope| {
        scope.spawn(|| reader.read_all(work, batch.max(1), send));
        for Decoded { tags, texts, pixels, failed, has_images } in ready {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let images = |rows| Vectors { rows, cut_texts: 0 };
            let vectors = match way {
                Way::Towers if has_images => images(encoder.image_tower(&pixels)),
                Way::Towers => encoder.text_tower(&texts),
                Way::Fused if texts.iter().all(|text| text.is_empty()) => {
                    images(encoder.embed_images(&pixels))
                }
                Way::Fused => encoder.embed(&pixels, &texts),
            };
            take(Done { tags, vectors, failed })?;
        }
        Ok(())
    })
}

/// A batch without its bad images.
struct Decoded<T> {
    tags: Vec<T>,
    texts: Vec<String>,
    /// `[rows, 3, S, S]`.
    pixels: Vec<f32>,
    failed: Vec<(T, String)>,
    has_images: bool,
}

struct Reader {
    input: ImageInput,
    numbers: usize,
    none: Vec<f32>,
}

impl Reader {
    /// Ends early where the receiver is gone.
    fn read_all<T: Send>(
        &self,
        work: impl Iterator<Item = Work<T>>,
        batch: usize,
        send: SyncSender<Decoded<T>>,
    ) {
        let mut work = work.fuse();
        loop {
            let chunk: Vec<Work<T>> = work.by_ref().take(batch).collect();
            if chunk.is_empty() || send.send(self.decode(chunk)).is_err() {
                return;
            }
        }
    }

    fn decode<T: Send>(&self, chunk: Vec<Work<T>>) -> Decoded<T> {
        let has_images = chunk.iter().any(|work| !matches!(work.picture, Picture::None));
        let pictures: Vec<&Picture> = chunk.iter().map(|work| &work.picture).collect();
        let images: Vec<_> = pictures.par_iter().map(|picture| self.read(picture)).collect();
        let (mut tags, mut texts) = (Vec::new(), Vec::new());
        let (mut pixels, mut failed) = (Vec::new(), Vec::new());
        for (Work { text, tag, .. }, image) in chunk.into_iter().zip(images) {
            match image {
                Ok(image) => {
                    tags.push(tag);
                    texts.push(text);
                    pixels.extend(image);
                }
                Err(problem) => failed.push((tag, problem)),
            }
        }
        Decoded { tags, texts, pixels, failed, has_images }
    }

    fn read(&self, picture: &Picture) -> Result<Vec<f32>, String> {
        let mut pixels = vec![0.0; self.numbers];
        match picture {
            Picture::File(path) => self.input.read_file(path, &mut pixels)?,
            Picture::Cut(path, cut) => self.input.read_cut(path, *cut, &mut pixels)?,
            Picture::Bytes(bytes) => self.input.read(bytes, 0, &mut pixels)?,
            Picture::None => pixels.copy_from_slice(&self.none),
            Picture::Item(pictures, item) => {
                let bytes = pictures.read(item).map_err(|error| error.to_string())?;
                self.input.read(&bytes, 0, &mut pixels)?;
            }
            Picture::Missing(problem) => return Err(problem.clone()),
        }
        Ok(pixels)
    }
}
