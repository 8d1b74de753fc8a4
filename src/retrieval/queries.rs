//! Queries to embed: lines of JSON, each an image with a text.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::embed::EmbedError;

/// One query, or one candidate with an empty text.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// What it is called in the output.
    pub id: String,
    /// The image's file, relative to the list's folder.
    pub image: PathBuf,
    /// The instruction; empty for an image by itself.
    #[serde(default)]
    pub text: String,
    /// The id of what it should find, for who evaluates: embedding does not look at it.
    #[serde(default)]
    pub target: Option<String>,
}

/// Reads all lines. A list of a million queries takes some 200 MB; images are not read here.
pub fn read(path: &Path) -> Result<Vec<Query>, EmbedError> {
    let unreadable = |error: std::io::Error| EmbedError::File(path.to_owned(), error);
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut queries = Vec::new();
    for (index, line) in BufReader::new(File::open(path).map_err(unreadable)?).lines().enumerate() {
        let line = line.map_err(unreadable)?;
        if line.trim().is_empty() {
            continue;
        }
        let query: Query = serde_json::from_str(&line)
            .map_err(|error| EmbedError::Line(path.to_owned(), index + 1, error.to_string()))?;
        queries.push(Query { image: folder.join(&query.image), ..query });
    }
    Ok(queries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_images_lie_beside_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries.jsonl");
        let text = "{\"id\": \"a\", \"image\": \"x/1.png\", \"text\": \"in red\"}\n\n\
                    {\"id\": \"b\", \"image\": \"/abs/2.png\"}\n";
        std::fs::write(&path, text).unwrap();
        let queries = read(&path).unwrap();
        assert_eq!(queries[0].image, folder.path().join("x/1.png"));
        assert_eq!((queries[1].image.to_str(), queries[1].text.as_str()), (Some("/abs/2.png"), ""));
    }

    #[test]
    fn a_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries.jsonl");
        std::fs::write(&path, "{\"id\": \"a\", \"image\": \"1.png\"}\n{\"id\": \"b\"}\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("line 2: missing field `image`"), "{error}");
        let error = read(&folder.path().join("none.jsonl")).unwrap_err().to_string();
        assert!(error.contains("none.jsonl"), "{error}");
    }
}
