//! What a request is told that cannot be answered: a status and a line of JSON.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use magiclens_imaging::ImageError;

/// Seconds after which a client may try again.
const RETRY_AFTER: &str = "5";

/// A status with its reason.
#[derive(Debug)]
pub struct Problem(pub StatusCode, pub String);

impl Problem {
    /// A request that is not what it should be.
    pub fn bad(problem: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, problem.into())
    }

    /// More is asked than can be answered in time.
    pub fn busy() -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, "too much is asked at once: try again later".into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(status, problem) = self;
        let body = Json(json!({ "error": problem }));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return (status, [(header::RETRY_AFTER, RETRY_AFTER)], body).into_response();
        }
        (status, body).into_response()
    }
}

/// An upload that is no image of a known kind is of an unsupported type (RFC 9110, 15.5.16); one of a
/// known kind that does not decode cannot be processed (15.5.21).
impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Self {
        let status = match error {
            ImageError::NotImage(_) | ImageError::Unsupported(_) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            ImageError::TooManyPixels { .. } | ImageError::TooMuchMemory { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            ImageError::Broken(_) | ImageError::Panicked(_) | ImageError::TimedOut(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        };
        Self(status, error.to_string())
    }
}

/// For every path that is none of ours.
pub async fn no_such_page() -> Problem {
    Problem(StatusCode::NOT_FOUND, "no such page".into())
}

/// For a path of ours asked in another way.
pub async fn no_such_method() -> Problem {
    Problem(StatusCode::METHOD_NOT_ALLOWED, "no such method here".into())
}
