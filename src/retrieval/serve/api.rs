//! The requests that are answered with data.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::Shared;
use super::engine;
use super::upload::{self, Form};
use crate::config::Fetch;
use crate::imaging::{Format, ImageError, prepare};
use crate::retrieval::index::{Hit, IndexError, Item};
use crate::web::Problem;

/// Images that are found where nobody says how many, and at most.
const K: usize = 24;
const MOST: usize = 1000;
/// Longest a search may take, waiting for others included.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest side of the images that are shown.
const SIDE: u32 = 400;
/// The images of an index do not change.
const CACHED: &str = "private, max-age=86400";

type Answer<T> = Result<T, Problem>;

/// What `GET /api/index` says.
#[derive(Serialize)]
pub struct About {
    images: u64,
    model: String,
    version: &'static str,
}

/// What a search says.
#[derive(Serialize)]
pub struct Found {
    hits: Vec<Shown>,
    took_ms: f64,
}

/// An image that was found.
#[derive(Serialize)]
struct Shown {
    row: u64,
    score: f32,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caption: Option<String>,
    image: String,
}

impl Shown {
    fn new(hit: Hit, item: Item) -> Self {
        let Item { id, url, caption, .. } = item;
        let row = u64::from(hit.row);
        Self { row, score: hit.score, id, url, caption, image: format!("/images/{row}") }
    }
}

/// Tells about the index.
pub async fn index(State(shared): State<Arc<Shared>>) -> Json<About> {
    let header = shared.index.header();
    let model = header.model.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Json(About { images: header.rows, model, version: env!("CARGO_PKG_VERSION") })
}

/// Searches by what a form holds.
pub async fn search(State(shared): State<Arc<Shared>>, request: Request) -> Answer<Json<Found>> {
    let form = upload::form(&shared, request).await?;
    limited(&shared, form).await
}

/// The parameters of a search without a file.
#[derive(Deserialize)]
pub struct Asked {
    row: Option<String>,
    #[serde(default)]
    text: String,
    k: Option<String>,
}

/// Searches by an image of the index, or by text alone.
pub async fn search_by_row(
    State(shared): State<Arc<Shared>>,
    Query(Asked { row, text, k }): Query<Asked>,
) -> Answer<Json<Found>> {
    limited(&shared, Form { image: None, row, text, k }).await
}

async fn limited(shared: &Arc<Shared>, form: Form) -> Answer<Json<Found>> {
    timeout(PATIENCE, answer(shared, form)).await.unwrap_or_else(|_| Err(Problem::busy()))
}

async fn answer(shared: &Arc<Shared>, form: Form) -> Answer<Json<Found>> {
    let began = Instant::now();
    let k = number(form.k.as_deref(), "k")?.map_or(K, |k| (k as usize).clamp(1, MOST));
    let row = number(form.row.as_deref(), "row")?;
    let text = form.text.trim().to_owned();
    let pixels = match (form.image, row) {
        (Some(_), Some(_)) => return Err(Problem::bad("send image or row, not both")),
        (None, None) if text.is_empty() => return Err(Problem::bad("send image, row or text")),
        (None, None) => shared.none.clone(),
        (Some(bytes), None) => decoded(shared, bytes).await?,
        (None, Some(row)) => decoded(shared, stored(shared, row).await?).await?,
    };
    // The image that is asked with is no answer, where it is known which one it is.
    let query = engine::Query { pixels, text, k: k + usize::from(row.is_some()) };
    let mut hits = shared.engine.search(query).await.ok_or_else(Problem::busy)?;
    hits.retain(|hit| Some(u64::from(hit.row)) != row);
    hits.truncate(k);
    let shown = hits.into_iter().map(|hit| Ok(Shown::new(hit, shared.index.item(hit.row.into())?)));
    let hits = shown.collect::<Answer<_>>()?;
    Ok(Json(Found { hits, took_ms: began.elapsed().as_secs_f64() * 1e3 }))
}

fn number(text: Option<&str>, name: &str) -> Answer<Option<u64>> {
    let parse = |text: &str| {
        text.trim()
            .parse()
            .map_err(|_| Problem::bad(format!("{name} is no whole number: {text:?}")))
    };
    text.map(parse).transpose()
}

/// Runs on a core of its own, as one of as many as there are cores.
async fn on_a_core<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Answer<T> + Send + 'static,
) -> Answer<T> {
    let permit = Arc::clone(&shared.decoding).acquire_owned().await.expect("never closed");
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || {
        // Held until the work ends, also where nobody waits for it any more.
        let _permit = permit;
        work(&shared)
    });
    done.await.unwrap_or_else(|error| Err(ImageError::Panicked(error.to_string()).into()))
}

async fn decoded(shared: &Arc<Shared>, bytes: Vec<u8>) -> Answer<Vec<f32>> {
    on_a_core(shared, move |shared| {
        let mut pixels = vec![0.0; shared.none.len()];
        shared.input.decode(&bytes, 0, &shared.limits, &mut pixels)?;
        Ok(pixels)
    })
    .await
}

async fn stored(shared: &Arc<Shared>, row: u64) -> Answer<Vec<u8>> {
    on_a_core(shared, move |shared| Ok(shared.index.picture(row)?)).await
}

/// Shows an image of the index.
pub async fn image(State(shared): State<Arc<Shared>>, Path(row): Path<String>) -> Answer<Response> {
    let row = number(Some(&row), "row")?.unwrap_or_default();
    let bytes = on_a_core(&shared, move |shared| {
        let limits = Fetch { max_side: SIDE, ..shared.limits.clone() };
        Ok(prepare(shared.index.picture(row)?, &limits)?.bytes)
    })
    .await?;
    let kind = Format::sniff(&bytes)?.media_type();
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, CACHED)], bytes).into_response())
}

/// Paths of this machine are for its log.
impl From<IndexError> for Problem {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::NoRow(_) => Self(StatusCode::NOT_FOUND, error.to_string()),
            error => {
                tracing::warn!(%error, "an image of the index cannot be read");
                Self(StatusCode::NOT_FOUND, "this image is not there any more".into())
            }
        }
    }
}
