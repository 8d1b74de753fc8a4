//! `mine serve`: a run in a browser while it runs, and what people say of its triplets. Changes no table.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | the page, with `/app.js` and `/view.css` |
//! | `GET /api/survey?seen=` | the figures, where they are others than those seen |
//! | `GET /api/examples?table=&reason=` | some of what was turned down for a reason |
//! | `GET /api/triplets?…&offset=&limit=` | triplets by filter |
//! | `GET /api/why?url=` | where an address was turned down, kept and used |
//! | `GET /images/{triplet}/{query or target}` | an image, scaled down |
//! | `POST /api/marks` | keeps what a reviewer says of a triplet |
//!
//! [`live`] holds the data and reads new manifests while [`demand`] reports requests, [`filter`] finds
//! triplets, [`lookup`] searches rejects, [`api`] handles the requests.

mod api;
mod demand;
mod filter;
mod live;
mod lookup;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::RunError;
use super::view::{Viewed, page};
use crate::web::{self, Site, Token};
use live::Live;

/// Bytes of a request's body.
const BODY: usize = 16 << 10;

/// Serves a run until Ctrl-C.
pub async fn serve(run: &str, listen: SocketAddr) -> Result<(), RunError> {
    let viewed = Viewed::open(run).await?;
    let site = Site::bind(listen, Token::configured()?).await?;
    let stop = web::stopped()?;
    let live = Arc::new(Live::open(viewed).await?);
    let following = tokio::spawn(Arc::clone(&live).follow());
    // The address may hold a token: it is for this terminal, and no log line.
    let _ = writeln!(std::io::stderr(), "{run} at {} (Ctrl-C ends it)", site.url());
    let served = site.serve(router(live), stop).await;
    following.abort();
    served.map_err(|error| RunError::Web(web::WebError::System(error)))
}

fn router(live: Arc<Live>) -> Router {
    let kind = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text).into_response() })
    };
    let api = Router::new()
        .route("/api/survey", get(api::survey))
        .route("/api/examples", get(api::examples))
        .route("/api/triplets", get(api::triplets))
        .route("/api/why", get(api::why))
        .route("/api/marks", post(api::mark))
        .route("/images/{triplet}/{side}", get(api::image))
        .route_layer(from_fn_with_state(Arc::clone(&live), attend));
    Router::new()
        .route("/", get(async || axum::response::Html(page::served())))
        .route("/app.js", kind("text/javascript; charset=utf-8", page::SERVED))
        .route("/view.css", kind("text/css; charset=utf-8", page::STYLE))
        .merge(api)
        .fallback(web::no_such_page)
        .method_not_allowed_fallback(web::no_such_method)
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(live)
}

/// Answers a request after [`live`] has read the run, at most a short time ago.
async fn attend(State(live): State<Arc<Live>>, request: Request, next: Next) -> Response {
    live.demand.ask().await;
    next.run(request).await
}
