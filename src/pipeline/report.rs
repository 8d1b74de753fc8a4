//! `mine report`: a run as one HTML file, for who would rather look than read. Changes no table.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::RunError;
use super::view::catalogue::{Card, Cards, Smallest};
use super::view::rejects::Examples;
use super::view::survey::{self, Survey, Triplets};
use super::view::{Viewed, page, pictures};
use crate::record::Mark;
use crate::store::{StoreError, read_reviews};
use crate::table::TRIPLET_PLAN;
use crate::telemetry::say;

/// The file in the run directory.
const FILE: &str = "report.html";

/// All that the file shows.
#[derive(Serialize)]
struct Data {
    survey: Survey,
    examples: Examples,
    cards: Vec<Pictured>,
}

/// A triplet with its images.
#[derive(Serialize)]
struct Pictured {
    #[serde(flatten)]
    card: Card,
    query_image: Option<String>,
    target_image: Option<String>,
}

/// Writes the report of a run, in progress or finished, with `sample` triplets at most; says where.
pub async fn report(run: &str, html: Option<PathBuf>, sample: usize) -> Result<(), RunError> {
    let viewed = Viewed::open(run).await?;
    let (triplets, cards) = read(&viewed, sample).await?;
    let (all, some) = (triplets.exported(), cards.len());
    let (survey, examples) = survey::read(&viewed, triplets).await?;
    let cards = pictured(&viewed, cards).await?;
    let page = page::report(&Data { survey, examples, cards });
    let (bytes, place) = (page.len(), put(&viewed, html, page).await?);
    say(format_args!("Report: {place} ({some} of {all} triplets, {:.1} MB)", bytes as f64 / 1e6));
    Ok(())
}

/// Counts all triplets and takes some of those that are exported.
async fn read(viewed: &Viewed, most: usize) -> Result<(Triplets, Vec<Card>), StoreError> {
    let reviews = read_reviews(viewed.dir.store()).await?;
    let mut cards = Cards::new(&viewed.dir).await?;
    let (mut triplets, mut sample) = (Triplets::default(), Smallest::new(most));
    for part in viewed.dir.manifests(TRIPLET_PLAN).await? {
        let see = |card: Card| {
            triplets.add(&card);
            // What a reviewer took for unsafe is not passed on in a file.
            if card.left_out.is_none() && reviews.mark(&card.id) != Some(Mark::Unsafe) {
                sample.offer(card.lot(), || card);
            }
            true
        };
        cards.each(viewed.dir.store(), &part, see).await?;
    }
    Ok((triplets, sample.into_vec()))
}

async fn pictured(viewed: &Viewed, cards: Vec<Card>) -> Result<Vec<Pictured>, StoreError> {
    let places: HashSet<_> =
        cards.iter().flat_map(|card| [card.query.place, card.target.place]).collect();
    let images = pictures::thumbnails(viewed, places).await?;
    let with_images = |card: Card| Pictured {
        query_image: images.get(&card.query.place).cloned(),
        target_image: images.get(&card.target.place).cloned(),
        card,
    };
    Ok(cards.into_iter().map(with_images).collect())
}

/// Puts it in one step, over the one of before.
async fn put(viewed: &Viewed, html: Option<PathBuf>, page: String) -> Result<String, StoreError> {
    match html {
        None => {
            viewed.dir.store().replace(FILE, page.into_bytes()).await?;
            Ok(format!("{}/{FILE}", viewed.dir.store().location()))
        }
        Some(path) => {
            write(&path, page.as_bytes())
                .map_err(|error| StoreError::corrupt(path.display().to_string(), error))?;
            Ok(path.display().to_string())
        }
    }
}

fn write(path: &Path, page: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(page)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
