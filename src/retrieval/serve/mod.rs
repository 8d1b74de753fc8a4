//! `search serve`: a page to drop an image on, and the JSON behind it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | the page, with `/app.js` and `/style.css` |
//! | `GET /api/index` | how many images there are, and which model made their vectors |
//! | `POST /api/search` | a form of `image` (a file) or `row` (an image of the index), `text` and `k` |
//! | `GET /api/search?row=&text=&k=` | the same without a file |
//! | `GET /images/{row}` | an image of the index, scaled down |
//!
//! Bodies are read a few at a time ([`upload`]), images are decoded on all cores, and one thread owns the
//! model and answers whatever has come meanwhile in one pass ([`engine`]).

mod api;
mod engine;
mod page;
mod upload;

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{self, Next};
use axum::routing::get;
use tokio::sync::Semaphore;

use super::encoder::Encoder;
use super::index::Index;
use crate::config::Fetch;
use crate::model::input::ImageInput;
use crate::web::{self, Site};
use engine::Engine;

/// Bodies that are read at the same time: with the cap on each, what uploads can take of memory.
const UPLOADS_AT_ONCE: usize = 16;

/// What all requests share.
struct Shared {
    index: Arc<Index>,
    engine: Engine,
    input: ImageInput,
    none: Vec<f32>,
    limits: Fetch,
    uploads: Semaphore,
    decoding: Arc<Semaphore>,
}

/// Serves an index until `stop` is done, and what is being answered then.
pub async fn serve(
    site: Site,
    encoder: Encoder,
    index: Index,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let index = Arc::new(index);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shared = Arc::new(Shared {
        input: encoder.input(),
        none: encoder.no_image(),
        limits: Fetch::default(),
        engine: Engine::start(encoder, Arc::clone(&index)),
        uploads: Semaphore::new(UPLOADS_AT_ONCE),
        decoding: Arc::new(Semaphore::new(cores)),
        index,
    });
    site.serve(router(shared), stop).await
}

fn router(shared: Arc<Shared>) -> Router {
    // Room for what surrounds a file of the largest size in a form.
    let largest = shared.limits.max_image_bytes + (64 << 10);
    Router::new()
        .route("/", get(page::html))
        .route("/app.js", get(page::script))
        .route("/style.css", get(page::style))
        .route("/api/index", get(api::index))
        .route("/api/search", get(api::search_by_row).post(api::search))
        .route("/images/{row}", get(api::image))
        .fallback(web::no_such_page)
        .method_not_allowed_fallback(web::no_such_method)
        .layer(DefaultBodyLimit::max(largest))
        .layer(middleware::from_fn(move |request, next: Next| {
            upload::refuse_large(largest, request, next)
        }))
        .with_state(shared)
}
