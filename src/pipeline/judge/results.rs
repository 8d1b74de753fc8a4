//! Two models' first results side by side, as `evaluate --model-b` writes them.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::JudgeError;
use super::subject::{Item, Picture, Pictures, Side, Subject};

/// The table that makes a folder one of these.
pub(super) const TABLE: &str = "judge.csv";
const KEY: &str = "judge_key.csv";

#[derive(Deserialize)]
struct Shown {
    number: u32,
    query_image: String,
    instruction: String,
    left_image: String,
    right_image: String,
}

#[derive(Deserialize)]
struct Key {
    number: u32,
    query_id: String,
    left_model: String,
    right_model: String,
}

/// Reads the folder.
pub(super) fn read(folder: &Path) -> Result<Subject, JudgeError> {
    let (shown, keys) = (rows::<Shown>(&folder.join(TABLE))?, rows::<Key>(&folder.join(KEY))?);
    let models: BTreeSet<&str> =
        keys.iter().flat_map(|key| [key.left_model.as_str(), key.right_model.as_str()]).collect();
    let of_key =
        |problem: &str| JudgeError::File { path: folder.join(KEY), problem: problem.into() };
    let names: Vec<String> = models.into_iter().map(str::to_owned).collect();
    let names: [String; 2] =
        names.try_into().map_err(|_| of_key("there must be two models, of different names"))?;
    let mut items = Vec::new();
    for row in shown {
        let key = keys.iter().find(|key| key.number == row.number);
        let key = key.ok_or_else(|| of_key(&format!("number {} is missing", row.number)))?;
        let side = |name: &str| {
            let picture = Some(picture(folder, name)?);
            Ok::<_, JudgeError>(Side { texts: Vec::new(), picture })
        };
        let (left, right) = (side(&row.left_image)?, side(&row.right_image)?);
        let is_in_order = key.left_model == names[0];
        items.push(Item {
            id: key.query_id.clone(),
            query: picture(folder, &row.query_image)?,
            target: None,
            instruction: Some(plain(&row.instruction).to_owned()),
            sides: if is_in_order { vec![left, right] } else { vec![right, left] },
            is_swapped: !is_in_order,
        });
    }
    Ok(Subject {
        question: "Which result fits the image and the instruction better?",
        names: Some(names),
        items: items.into(),
        passed_over: Vec::new(),
        pictures: Pictures::default(),
    })
}

fn rows<R: DeserializeOwned>(path: &Path) -> Result<Vec<R>, JudgeError> {
    let failed =
        |error: csv::Error| JudgeError::File { path: path.into(), problem: error.to_string() };
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    reader.deserialize().collect::<Result<_, _>>().map_err(failed)
}

/// A file of the folder, and of no other.
fn picture(folder: &Path, name: &str) -> Result<Picture, JudgeError> {
    let is_inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !is_inside {
        let problem = format!("{name:?} is no file of this folder");
        return Err(JudgeError::File { path: folder.join(TABLE), problem });
    }
    Ok(Picture::File(folder.join(name)))
}

/// Without the apostrophe that keeps a spreadsheet from taking a text for a formula.
fn plain(text: &str) -> &str {
    let rest = text.strip_prefix('\'').unwrap_or(text);
    if rest.starts_with(['=', '+', '-', '@', '\t', '\r']) { rest } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(table: &str, key: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let head = "number,query_image,instruction,left_image,right_image,verdict\n";
        std::fs::write(folder.path().join(TABLE), format!("{head}{table}")).unwrap();
        let head = "number,query_id,left_model,right_model\n";
        std::fs::write(folder.path().join(KEY), format!("{head}{key}")).unwrap();
        folder
    }

    #[test]
    fn sides_are_models_whatever_side_they_stood_on() {
        let rows = "1,q.png,'=x,l1.png,r1.png,\n2,q.png,y,l2.png,r2.png,\n";
        let folder = folder(rows, "1,first,new,old\n2,second,old,new\n");
        let subject = read(folder.path()).unwrap();
        assert_eq!(subject.names.unwrap(), ["new", "old"]);
        let of_new = |at: usize| subject.items[at].sides[0].picture.clone().unwrap();
        assert_eq!(of_new(0), Picture::File(folder.path().join("l1.png")));
        assert_eq!(of_new(1), Picture::File(folder.path().join("r2.png")));
        assert_eq!(subject.items[0].instruction.as_deref(), Some("=x"));
    }

    #[test]
    fn files_elsewhere_and_keys_that_lack_are_refused() {
        for (table, key) in [
            ("1,../q.png,x,l.png,r.png,\n", "1,first,new,old\n"),
            ("1,/etc/passwd,x,l.png,r.png,\n", "1,first,new,old\n"),
            ("1,q.png,x,l.png,r.png,\n", "2,first,new,old\n"),
            ("1,q.png,x,l.png,r.png,\n", "1,first,same,same\n"),
        ] {
            let folder = folder(table, key);
            assert!(matches!(read(folder.path()), Err(JudgeError::File { .. })), "{table}{key}");
        }
    }
}
