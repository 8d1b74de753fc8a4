//! The page and the JSON behind it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | the page, with `/app.js` and `/style.css` |
//! | `GET /api/items` | the task and all items, sides as left and right, with this judge's verdicts |
//! | `GET /images/{item}/{role}` | `query`, `target`, `left` or `right` of an item by number |
//! | `POST /api/verdicts` | `{"item": 3, "verdict": "left"}`; null takes it back |
//! | `GET /api/result` | who won, once this judge has judged everything |

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::subject::{Item, Picture, Side, Subject};
use super::tally::Tally;
use super::verdicts::{Verdict, Verdicts};
use crate::imaging::Format;
use crate::web::{Problem, no_such_method, no_such_page};

struct Shared {
    subject: Subject,
    verdicts: Verdicts,
}

pub(super) fn router(subject: Subject, verdicts: Verdicts) -> Router {
    let built_in = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    Router::new()
        .route("/", built_in("text/html; charset=utf-8", include_str!("page/index.html")))
        .route("/app.js", built_in("text/javascript; charset=utf-8", include_str!("page/app.js")))
        .route("/style.css", built_in("text/css; charset=utf-8", include_str!("page/style.css")))
        .route("/api/items", get(items))
        .route("/api/verdicts", post(give))
        .route("/api/result", get(result))
        .route("/images/{item}/{role}", get(image))
        .fallback(no_such_page)
        .method_not_allowed_fallback(no_such_method)
        .with_state(Arc::new(Shared { subject, verdicts }))
}

/// A verdict as the page has it, which does not know the sides.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Left,
    Right,
    Tie,
    Good,
    Bad,
    Unsure,
}

impl Said {
    fn of(verdict: Verdict, is_swapped: bool) -> Self {
        match (verdict, is_swapped) {
            (Verdict::A, false) | (Verdict::B, true) => Self::Left,
            (Verdict::A, true) | (Verdict::B, false) => Self::Right,
            (Verdict::Tie, _) => Self::Tie,
            (Verdict::Good, _) => Self::Good,
            (Verdict::Bad, _) => Self::Bad,
            (Verdict::Unsure, _) => Self::Unsure,
        }
    }

    fn verdict(self, is_swapped: bool) -> Verdict {
        match (self, is_swapped) {
            (Self::Left, false) | (Self::Right, true) => Verdict::A,
            (Self::Left, true) | (Self::Right, false) => Verdict::B,
            (Self::Tie, _) => Verdict::Tie,
            (Self::Good, _) => Verdict::Good,
            (Self::Bad, _) => Verdict::Bad,
            (Self::Unsure, _) => Verdict::Unsure,
        }
    }
}

async fn items(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let items: Vec<Value> = shared.subject.items.iter().map(|item| shown(item, &shared)).collect();
    let kind = if shared.subject.names.is_some() { "sides" } else { "rating" };
    Json(json!({ "question": shared.subject.question, "kind": kind, "items": items }))
}

fn shown(item: &Item, shared: &Shared) -> Value {
    let side = |at: usize| {
        let side = item.sides.get(at ^ usize::from(item.is_swapped))?;
        Some(json!({ "texts": side.texts, "image": side.picture.is_some() }))
    };
    let verdict = shared.verdicts.of(&item.id).map(|given| Said::of(given, item.is_swapped));
    json!({
        "instruction": item.instruction,
        "target": item.target.is_some(),
        "left": side(0),
        "right": side(1),
        "verdict": verdict,
    })
}

async fn image(
    State(shared): State<Arc<Shared>>,
    Path((number, role)): Path<(usize, String)>,
) -> Result<impl IntoResponse, Problem> {
    let gone = || Problem(StatusCode::NOT_FOUND, "no such image".into());
    let item = shared.subject.items.get(number).ok_or_else(gone)?;
    let picture = picture(item, &role).ok_or_else(gone)?;
    let bytes = shared.subject.pictures.read(picture).await.map_err(|error| {
        tracing::warn!("{error}");
        Problem(StatusCode::INTERNAL_SERVER_ERROR, "the image cannot be read".into())
    })?;
    let bytes = bytes.ok_or_else(gone)?;
    // Only what is an image is sent as something that a browser shows.
    let kind = Format::sniff(&bytes).ok().map(|format| format!("image/{}", format.as_str()));
    let kind = kind.ok_or_else(gone)?;
    Ok((
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=600".into())],
        bytes,
    ))
}

fn picture<'a>(item: &'a Item, role: &str) -> Option<&'a Picture> {
    let of_side = |at: usize| -> Option<&Picture> {
        let side: &Side = item.sides.get(at ^ usize::from(item.is_swapped))?;
        side.picture.as_ref()
    };
    match role {
        "query" => Some(&item.query),
        "target" => item.target.as_ref(),
        "left" => of_side(0),
        "right" => of_side(1),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Given {
    item: usize,
    verdict: Option<Said>,
}

async fn give(
    State(shared): State<Arc<Shared>>,
    Json(given): Json<Given>,
) -> Result<Json<Value>, Problem> {
    let item = shared.subject.items.get(given.item);
    let item = item.ok_or_else(|| Problem::bad("no such item"))?;
    let verdict = given.verdict.map(|said| said.verdict(item.is_swapped));
    if verdict.is_some_and(|verdict| verdict.is_of_sides() != shared.subject.names.is_some()) {
        return Err(Problem::bad("such a verdict does not fit this item"));
    }
    shared.verdicts.give(&item.id, verdict).await.map_err(|error| {
        tracing::error!("{error}");
        Problem(StatusCode::INTERNAL_SERVER_ERROR, "the verdict was not kept".into())
    })?;
    Ok(Json(json!({ "judged": judged(&shared) })))
}

fn judged(shared: &Shared) -> usize {
    shared.subject.items.iter().filter(|item| shared.verdicts.of(&item.id).is_some()).count()
}

async fn result(State(shared): State<Arc<Shared>>) -> Result<String, Problem> {
    if judged(&shared) < shared.subject.items.len() {
        let problem = "judging is blind until everything is judged";
        return Err(Problem(StatusCode::FORBIDDEN, problem.into()));
    }
    Ok(Tally::of(&shared.subject, &shared.verdicts.all()).table())
}
