//! The wire of `/embeddings` as OpenAI made it and TEI, Infinity, vLLM and llama.cpp speak it: several
//! inputs a request, a vector for each
//! (<https://platform.openai.com/docs/api-reference/embeddings>).
//!
//! Images are no part of it; [`EmbedImages`] says how a server wants them. A question of this wire is
//! the list of its inputs, and its answer a text of vectors, one a line.

use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use magiclens_common::config::EmbedImages;
use reqwest::header::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;

use super::ask::{Answer, Piece, Usage, tokens};
use super::classify::{classify, unreadable};
use super::complaint::{Complaint, Theirs};
use super::openai::DataUrl;
use super::trouble::{Trouble, broken, is_good};

/// The path below the endpoint's base URL.
pub fn path() -> &'static str {
    "embeddings"
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Vec<Input<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modality: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Value>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Text(&'a str),
    Image(DataUrl<'a>),
}

impl<'a> From<&'a Piece> for Input<'a> {
    fn from(piece: &'a Piece) -> Self {
        match piece {
            Piece::Text(text) | Piece::Link(text) => Self::Text(text),
            Piece::Image { mime, bytes } => Self::Image(DataUrl { mime, bytes }),
        }
    }
}

/// The body of one request for these inputs, all texts or all images.
pub fn body(inputs: &[Piece], model: &str, images: EmbedImages) -> Vec<u8> {
    let has_images = inputs.iter().any(|piece| !matches!(piece, Piece::Text(_)));
    let as_messages = has_images && images == EmbedImages::Messages;
    let all: Vec<Input<'_>> = inputs.iter().map(Input::from).collect();
    let body = Body {
        model,
        messages: as_messages.then(|| messages(&all)),
        modality: (has_images && !as_messages).then_some("image"),
        input: (!as_messages).then_some(all),
    };
    serde_json::to_vec(&body).expect("strings are always JSON")
}

fn messages(inputs: &[Input<'_>]) -> Value {
    let part = |input: &Input<'_>| json!({ "type": "image_url", "image_url": { "url": input } });
    json!([{ "role": "user", "content": inputs.iter().map(part).collect::<Vec<_>>() }])
}

/// Reads a response: the vectors in the order of the inputs, whatever order they came in.
pub fn read(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    theirs: Theirs<'_>,
    now: SystemTime,
) -> Result<Answer, Trouble> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Err(no_shape(unreadable(status, headers, body, theirs, now)));
    };
    let usage = usage(&body["usage"]);
    match (body["data"].as_array(), Complaint::of(&body)) {
        (Some(data), _) if is_good(status) => match lines(data) {
            Ok(text) => Ok(Answer::Said { text, usage }),
            Err(problem) => Err(broken(status, &problem, usage)),
        },
        (_, None) if is_good(status) => Err(broken(status, "no data", usage)),
        (_, complaint) => {
            let complaint = complaint.unwrap_or_default().about(theirs);
            Err(no_shape(classify(status, headers, Some(&body), &complaint, now)))
        }
    }
}

/// No shape of the answer was asked for, so it cannot be asked for less.
fn no_shape(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Format { detail } => Trouble::Skip { refused: false, detail },
        other => other,
    }
}

fn usage(usage: &Value) -> Option<Usage> {
    let input = tokens(&usage["prompt_tokens"]).or_else(|| tokens(&usage["total_tokens"]))?;
    Some(Usage { input, output: 0 })
}

/// A line for each vector, by `index`; where no entry has one, they count as they come.
fn lines(data: &[Value]) -> Result<String, String> {
    let mut lines = vec![String::new(); data.len()];
    let is_counted = data.iter().any(|entry| !entry["index"].is_null());
    for (place, entry) in data.iter().enumerate() {
        let index = if is_counted { entry["index"].as_u64() } else { Some(place as u64) };
        let index = index.and_then(|index| usize::try_from(index).ok());
        let Some(line) = index.and_then(|index| lines.get_mut(index)) else {
            return Err(format!("an index that is none: {}", entry["index"]));
        };
        if !line.is_empty() {
            return Err(format!("two entries with index {}", entry["index"]));
        }
        *line = line_of(&entry["embedding"])?;
    }
    Ok(lines.join("\n"))
}

fn line_of(embedding: &Value) -> Result<String, String> {
    let numbers = embedding.as_array().filter(|numbers| !numbers.is_empty());
    let numbers = numbers.ok_or("an embedding that is no list of numbers")?;
    let vector: Option<Vec<f32>> =
        numbers.iter().map(|number| number.as_f64().map(|number| number as f32)).collect();
    let vector = vector.ok_or("an embedding with what is no number")?;
    let unit = unit(&vector).ok_or("an embedding without a direction")?;
    Ok(BASE64_STANDARD
        .encode(unit.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>()))
}

/// The vector at length 1; none where it has no length, or one beyond numbers.
fn unit(vector: &[f32]) -> Option<Vec<f32>> {
    let length = vector.iter().map(|&number| f64::from(number).powi(2)).sum::<f64>().sqrt();
    let is_one = length.is_finite() && length > 1e-30;
    is_one.then(|| vector.iter().map(|&number| (f64::from(number) / length) as f32).collect())
}

/// Why an answer does not fit what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Misfit {
    /// More or fewer vectors than inputs.
    #[error("{found} embeddings for {inputs} inputs")]
    Count {
        /// Vectors.
        found: usize,
        /// Inputs.
        inputs: usize,
    },
    /// Another width than others before.
    #[error("an embedding of {found} numbers, where others have {expected}")]
    Width {
        /// Numbers of this one.
        found: usize,
        /// Numbers of the others.
        expected: usize,
    },
}

/// The lines of an answer to so many inputs. `expected` is told the widths of all of them, and says which
/// one they should have.
pub fn split_vectors(
    text: &str,
    inputs: usize,
    expected: impl FnOnce(&[usize]) -> usize,
) -> Result<Vec<String>, Misfit> {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.len() != inputs {
        return Err(Misfit::Count { found: lines.len(), inputs });
    }
    let widths: Vec<usize> =
        lines.iter().map(|line| read_vector(line).map_or(0, |v| v.len())).collect();
    let expected = expected(&widths);
    match widths.into_iter().find(|width| *width != expected) {
        Some(found) => Err(Misfit::Width { found, expected }),
        None => Ok(lines),
    }
}

/// The vector of a line.
pub fn read_vector(line: &str) -> Option<Vec<f32>> {
    let bytes = BASE64_STANDARD.decode(line).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

#[cfg(test)]
mod tests;
