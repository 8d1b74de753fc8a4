//! Reading a search from a form, in bounded memory and time.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::time::timeout;

use super::Shared;
use crate::web::Problem;

/// Longest a body may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a refused body that are read and dropped, so that its sender gets to read the answer.
const DRAINED: u64 = 256 << 20;
/// Bytes of a field of text.
const TEXT: usize = 16 << 10;

/// What a form says.
#[derive(Debug, Default)]
pub struct Form {
    /// `image`.
    pub image: Option<Vec<u8>>,
    /// `row`.
    pub row: Option<String>,
    /// `text`.
    pub text: String,
    /// `k`.
    pub k: Option<String>,
}

/// Answers a body that says it is too large before it is read.
pub async fn refuse_large(largest: usize, request: Request, next: Next) -> Response {
    match length(request.headers()) {
        Some(length) if length > largest as u64 => {
            drain(request).await;
            too_large(largest).into_response()
        }
        _ => next.run(request).await,
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(largest: usize) -> Problem {
    let problem = format!("the body is larger than {} MiB", largest >> 20);
    Problem(StatusCode::PAYLOAD_TOO_LARGE, problem)
}

async fn drain(request: Request) {
    let reading = async {
        let (mut read, mut body) = (0, request.into_body().into_data_stream());
        while let Some(Ok(bytes)) = body.next().await {
            read += bytes.len() as u64;
            if read > DRAINED {
                return;
            }
        }
    };
    let _ = timeout(PATIENCE, reading).await;
}

/// Reads a form, as one of few at a time.
pub async fn form(shared: &Arc<Shared>, request: Request) -> Result<Form, Problem> {
    let is_form = request.headers().get(header::CONTENT_TYPE).is_some_and(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.to_ascii_lowercase().starts_with("multipart/form-data"))
    });
    if !is_form {
        let problem = "send a form: Content-Type multipart/form-data".into();
        return Err(Problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem));
    }
    let _permit = shared.uploads.acquire().await.expect("never closed");
    timeout(PATIENCE, read(shared, request)).await.unwrap_or_else(|_| {
        let problem = format!("the body did not come within {} s", PATIENCE.as_secs());
        Err(Problem(StatusCode::REQUEST_TIMEOUT, problem))
    })
}

async fn read(shared: &Arc<Shared>, request: Request) -> Result<Form, Problem> {
    let mut multipart = Multipart::from_request(request, shared)
        .await
        .map_err(|rejection| Problem(rejection.status(), rejection.body_text()))?;
    let mut form = Form::default();
    while let Some(field) = multipart.next_field().await.map_err(refused)? {
        match field.name() {
            Some("image") => {
                let bytes = field.bytes().await.map_err(refused)?;
                // A browser sends an empty file where none was chosen.
                form.image = Some(Vec::from(bytes)).filter(|bytes| !bytes.is_empty());
            }
            Some("row") => form.row = Some(text(field).await?).filter(|row| !row.is_empty()),
            Some("text") => form.text = text(field).await?,
            Some("k") => form.k = Some(text(field).await?).filter(|k| !k.is_empty()),
            other => {
                let name = other.unwrap_or_default().to_owned();
                return Err(Problem::bad(format!("unknown field {name:?}: image, row, text, k")));
            }
        }
    }
    Ok(form)
}

async fn text(field: Field<'_>) -> Result<String, Problem> {
    let name = field.name().unwrap_or_default().to_owned();
    let text = field.text().await.map_err(refused)?;
    if text.len() > TEXT {
        let problem = format!("{name} is longer than {} KiB", TEXT >> 10);
        return Err(Problem(StatusCode::PAYLOAD_TOO_LARGE, problem));
    }
    Ok(text)
}

fn refused(error: MultipartError) -> Problem {
    Problem(error.status(), error.body_text())
}
