//! Images by their place, part and row: ranged reads of single pages, many files at a time.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, BinaryViewArray, ByteView, MAX_INLINE_VIEW_LEN};
use arrow::buffer::Buffer;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::{Manifest, PageReader, Store, StoreError};

/// Files that are read at the same time.
const FILES_AT_ONCE: usize = 8;
/// Files whose page index is kept.
const INDEXES: usize = 256;

/// Reads images of committed parts.
pub struct Gatherer {
    store: Store,
    files: HashMap<u32, String>,
    readers: HashMap<u32, PageReader>,
}

/// Images of one part by row.
type PartImages = Vec<(u32, Bytes)>;

/// Images by part and row.
pub type Gathered = HashMap<(u32, u32), Bytes>;

impl Gatherer {
    /// For images in these parts of `images`.
    pub fn new(store: &Store, images: &[Manifest]) -> Self {
        let file = |part: &Manifest| Some((part.part, part.files.get("rows")?.path.clone()));
        let files = images.iter().filter_map(file).collect();
        Self { store: store.clone(), files, readers: HashMap::new() }
    }

    /// The bytes of all of them, each once.
    pub async fn gather(
        &mut self,
        wanted: impl IntoIterator<Item = (u32, u32)>,
    ) -> Result<Gathered, StoreError> {
        let mut rows: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (part, row) in wanted {
            rows.entry(part).or_default().push(row);
        }
        for part in rows.keys() {
            self.open(*part).await?;
        }
        let read = |(part, mut rows): (u32, Vec<u32>)| {
            rows.sort_unstable();
            rows.dedup();
            let reader = self.readers[&part].clone();
            // A task of its own: pages are decoded on all cores.
            async move {
                match tokio::spawn(read(reader, rows)).await {
                    Ok(images) => Ok::<_, StoreError>((part, images?)),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            }
        };
        let reads: Vec<_> = rows.into_iter().map(read).collect();
        let parts = stream::iter(reads).buffer_unordered(FILES_AT_ONCE);
        let parts: Vec<(u32, PartImages)> = parts.try_collect().await?;
        let images = parts.into_iter().flat_map(|(part, images)| {
            images.into_iter().map(move |(row, bytes)| ((part, row), bytes))
        });
        Ok(images.collect())
    }

    async fn open(&mut self, part: u32) -> Result<(), StoreError> {
        if self.readers.contains_key(&part) {
            return Ok(());
        }
        if self.readers.len() >= INDEXES {
            self.readers.clear();
        }
        let missing = || StoreError::corrupt(format!("images part {part}"), "is not committed");
        let path = self.files.get(&part).ok_or_else(missing)?;
        let reader = PageReader::open(&self.store, path, "bytes").await?;
        self.readers.insert(part, reader);
        Ok(())
    }
}

async fn read(reader: PageReader, rows: Vec<u32>) -> Result<PartImages, StoreError> {
    let mut images = Vec::with_capacity(rows.len());
    let mut batches = reader.read(&rows)?;
    let mut rows = rows.into_iter();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let values = batch.column(0).as_any().downcast_ref::<BinaryViewArray>();
        let values = values.ok_or_else(|| StoreError::corrupt("images", "bytes are no bytes"))?;
        images.extend(
            rows.by_ref().take(values.len()).zip((0..values.len()).map(|at| value(values, at))),
        );
    }
    Ok(images)
}

/// Bytes of a page that was read.
struct InPage(Buffer);

impl AsRef<[u8]> for InPage {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A value where it lies, in the page that was read.
fn value(values: &BinaryViewArray, at: usize) -> Bytes {
    if values.is_null(at) {
        return Bytes::new();
    }
    let view = ByteView::from(values.views()[at]);
    match values.data_buffers().get(view.buffer_index as usize) {
        Some(buffer) if view.length > MAX_INLINE_VIEW_LEN => Bytes::from_owner(InPage(
            buffer.slice_with_length(view.offset as usize, view.length as usize),
        )),
        _ => Bytes::copy_from_slice(values.value(at)),
    }
}
