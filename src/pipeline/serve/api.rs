//! The requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::filter::{Filter, find};
use super::live::Live;
use super::lookup::{self, Found};
use crate::pipeline::view::catalogue::Card;
use crate::pipeline::view::pictures;
use crate::pipeline::view::rejects::Example;
use crate::record::Mark;
use crate::store::StoreError;
use crate::web::Problem;

/// Triplets of one answer, at most.
const MOST: usize = 100;
/// Longest side of an image.
const SIDE: u32 = 480;
/// Letters of a reviewer's name.
const NAME: usize = 80;
/// Longest a lookup may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The images of a run do not change.
const CACHED: &str = "private, max-age=3600";

type Answer<T> = Result<T, Problem>;

/// Paths of this machine are for its log.
fn unreadable(error: StoreError) -> Problem {
    tracing::warn!(%error, "the run could not be read");
    Problem(StatusCode::INTERNAL_SERVER_ERROR, "the run could not be read: see the log".into())
}

#[derive(Deserialize)]
pub struct Seen {
    #[serde(default)]
    seen: String,
}

/// The figures; nothing where they are those that were seen, or are not read yet.
pub async fn survey(State(live): State<Arc<Live>>, Query(Seen { seen }): Query<Seen>) -> Response {
    match live.figures() {
        Some(figures) if figures.version != seen => {
            ([(header::CONTENT_TYPE, "application/json")], figures.text.clone()).into_response()
        }
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

#[derive(Deserialize)]
pub struct Which {
    table: String,
    reason: String,
}

/// Some of what was turned down.
pub async fn examples(
    State(live): State<Arc<Live>>,
    Query(Which { table, reason }): Query<Which>,
) -> Json<Vec<Example>> {
    let found = live
        .figures()
        .and_then(|figures| figures.examples.get(table.as_str())?.get(reason.as_str()).cloned());
    Json(found.unwrap_or_default())
}

#[derive(Serialize)]
pub struct Page {
    total: usize,
    items: Vec<Shown>,
    took_ms: f64,
}

/// A triplet with what is said of it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    card: Card,
    mark: Option<Mark>,
    query_image: String,
    target_image: String,
}

/// Triplets by filter.
pub async fn triplets(
    State(live): State<Arc<Live>>,
    filter: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Answer<Json<Page>> {
    let Query(mut filter) = filter.map_err(|rejection| Problem::bad(rejection.body_text()))?;
    filter.limit = filter.limit.clamp(1, MOST);
    let begun = Instant::now();
    let catalogue = live.catalogue();
    let (total, items) = live.with_reviews(|reviews| {
        let (total, found) = find(&catalogue, reviews, &filter);
        let shown = |card: &Card| Shown {
            mark: reviews.mark(&card.id),
            query_image: format!("/images/{}/query", card.id),
            target_image: format!("/images/{}/target", card.id),
            card: card.clone(),
        };
        (total, found.into_iter().map(shown).collect())
    });
    Ok(Json(Page { total, items, took_ms: begun.elapsed().as_secs_f64() * 1e3 }))
}

#[derive(Deserialize)]
pub struct Asked {
    url: String,
}

/// Finds where an address was rejected, kept and used.
pub async fn why(
    State(live): State<Arc<Live>>,
    Query(Asked { url }): Query<Asked>,
) -> Answer<Json<Found>> {
    let _permit = live.cpu.acquire().await.expect("never closed");
    match timeout(PATIENCE, lookup::why(&live, url.trim())).await {
        Ok(found) => found.map(Json).map_err(unreadable),
        Err(_) => Err(Problem::busy()),
    }
}

/// An image of a triplet.
pub async fn image(
    State(live): State<Arc<Live>>,
    Path((triplet, side)): Path<(String, String)>,
) -> Answer<Response> {
    let none = || Problem(StatusCode::NOT_FOUND, "no such image".into());
    let is_query = match side.as_str() {
        "query" => true,
        "target" => false,
        _ => return Err(none()),
    };
    let catalogue = live.catalogue();
    let card = catalogue.get(&triplet).ok_or_else(none)?;
    let bytes = live.image(card, is_query).await.map_err(unreadable)?;
    let permit = Arc::clone(&live.cpu).acquire_owned().await.expect("never closed");
    let scaled = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        pictures::scaled(bytes, SIDE)
    });
    let (bytes, kind) = scaled.await.ok().flatten().ok_or_else(none)?;
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, CACHED)], bytes).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    triplet_id: String,
    mark: Option<Mark>,
    #[serde(default)]
    reviewer: Option<String>,
}

/// Keeps what a reviewer says.
pub async fn mark(State(live): State<Arc<Live>>, body: Bytes) -> Answer<Json<serde_json::Value>> {
    let said: Said =
        serde_json::from_slice(&body).map_err(|error| Problem::bad(error.to_string()))?;
    let Said { triplet_id, mark, reviewer } = said;
    if live.catalogue().get(&triplet_id).is_none() {
        return Err(Problem(StatusCode::NOT_FOUND, "no such triplet".into()));
    }
    let reviewer = reviewer.map(|name| name.trim().chars().take(NAME).collect::<String>());
    let reviewer = reviewer.filter(|name| !name.is_empty());
    live.mark(&triplet_id, mark, reviewer).await.map_err(unreadable)?;
    Ok(Json(serde_json::json!({ "triplet_id": triplet_id, "mark": mark })))
}
