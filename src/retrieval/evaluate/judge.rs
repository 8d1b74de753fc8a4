//! Two models' first results side by side, for people who do not know which is whose: the human evaluation of
//! arXiv 2403.19651, section 5.3, as a table to fill in.
//!
//! | file | what |
//! |---|---|
//! | `judge.csv` | number, query image, instruction, two results, and a column for left, right or tie |
//! | `judge_key.csv` | which model each side is |
//! | `judge/` | the images |

use std::fmt::Write;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::score::Outcome;
use crate::imaging::Format;
use crate::retrieval::benchmarks::{Query, Task};
use crate::retrieval::pump::Picture;

/// A model by its name with what it found.
pub struct Judged<'a> {
    /// As the key has it.
    pub name: &'a str,
    /// For each query.
    pub outcomes: &'a [Outcome],
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows to judge.
    pub rows: usize,
    /// Queries among those drawn for which both models found the same image first.
    pub same: usize,
}

/// Draws `count` queries and writes the table. The draw and the sides follow from the queries' names alone.
pub fn write(
    folder: &Path,
    task: &Task,
    models: [&Judged<'_>; 2],
    count: usize,
) -> io::Result<Written> {
    std::fs::create_dir_all(folder.join("judge"))?;
    let mut drawn: Vec<(usize, &Query)> = task.queries.iter().enumerate().collect();
    drawn.sort_by_key(|(_, query)| draw("query", &query.id));
    let mut table = String::from("number,query_image,instruction,left_image,right_image,verdict\n");
    let mut key = String::from("number,query_id,left_model,right_model\n");
    let mut written = Written::default();
    for (at, query) in drawn.into_iter().take(count) {
        let firsts = models.map(|model| model.outcomes[at].top.first().map(|(image, _)| *image));
        let [Some(a), Some(b)] = firsts else { continue };
        if a == b {
            written.same += 1;
            continue;
        }
        written.rows += 1;
        let number = written.rows;
        let is_swapped = draw("side", &query.id)[0] & 1 == 1;
        let sides = if is_swapped {
            [(b, models[1]), (a, models[0])]
        } else {
            [(a, models[0]), (b, models[1])]
        };
        let asked = save(folder, &query.picture, &format!("{number:04}_query"))?;
        let [left, right] = [("left", sides[0].0), ("right", sides[1].0)].map(|(side, image)| {
            save(folder, &task.gallery[image].picture, &format!("{number:04}_{side}"))
        });
        let text = quoted(&query.text);
        let _ = writeln!(table, "{number},{asked},{text},{},{},", left?, right?);
        let [left, right] = sides.map(|(_, model)| quoted(model.name));
        let _ = writeln!(key, "{number},{},{left},{right}", quoted(&query.id));
    }
    std::fs::write(folder.join("judge.csv"), table)?;
    std::fs::write(folder.join("judge_key.csv"), key)?;
    Ok(written)
}

fn draw(purpose: &str, id: &str) -> [u8; 32] {
    Sha256::digest(format!("{purpose} {id}")).into()
}

/// Writes an image under a name that says nothing of where it was found, and gives its path.
fn save(folder: &Path, picture: &Picture, name: &str) -> io::Result<String> {
    let bytes = picture.bytes().map_err(io::Error::other)?;
    let kind = Format::sniff(&bytes).map_or("bin", Format::as_str);
    let path = format!("judge/{name}.{kind}");
    std::fs::write(folder.join(&path), bytes)?;
    Ok(path)
}

/// A field of a CSV file (RFC 4180). One that a spreadsheet would take for a formula begins with an apostrophe.
fn quoted(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if is_formula { "'" } else { "" }, text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_survive_commas_quotes_and_formulas() {
        assert_eq!(quoted("a, \"b\""), "\"a, \"\"b\"\"\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
    }
}
