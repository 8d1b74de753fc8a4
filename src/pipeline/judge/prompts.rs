//! Two prompts or models over the same pairs, as `mine eval-prompts` writes them.

use std::collections::HashSet;
use std::path::Path;

use super::subject::{Item, Picture, Pictures, Side, Subject};
use crate::pipeline::RunError;
use crate::pipeline::view::{Viewed, pictures};
use crate::stages::instruct::compare::Compared;
use crate::store::{Store, read_rows};

/// Reads the table; images are those of the run.
pub(super) async fn read(table: &Path, viewed: &Viewed) -> Result<Subject, RunError> {
    let folder = table.parent().filter(|folder| !folder.as_os_str().is_empty());
    let store = Store::open(&folder.unwrap_or(Path::new(".")).to_string_lossy())?;
    let name = table.file_name().unwrap_or_default().to_string_lossy();
    let rows = read_rows::<Compared>(&store, &name, 1024).await?.collect().await?;
    let names = rows
        .first()
        .map(|row| [format!("A: {}", row.a_generator), format!("B: {}", row.b_generator)]);
    let (mut lacking, mut same) = ([0, 0, 0], 0);
    let mut kept = Vec::new();
    for row in rows {
        match (row.a_instructions.is_empty(), row.b_instructions.is_empty()) {
            (true, true) => lacking[2] += 1,
            (true, false) => lacking[0] += 1,
            (false, true) => lacking[1] += 1,
            (false, false) if row.a_instructions == row.b_instructions => same += 1,
            (false, false) => kept.push(row),
        }
    }
    let urls = |row: &Compared| [row.query_url.clone(), row.target_url.clone()];
    let wanted: HashSet<String> = kept.iter().flat_map(urls).collect();
    let (_, places) = pictures::survey(viewed, &wanted).await?;
    let picture = |url: &str| places.get(url).copied().map_or(Picture::Gone, Picture::from);
    let side = |texts| Side { texts, picture: None };
    let item = |row: Compared| Item {
        query: picture(&row.query_url),
        target: Some(picture(&row.target_url)),
        id: row.pair_id,
        instruction: None,
        sides: vec![side(row.a_instructions), side(row.b_instructions)],
        is_swapped: row.first == "b",
    };
    let passed_over = vec![
        ("only B has instructions".to_owned(), lacking[0]),
        ("only A has instructions".to_owned(), lacking[1]),
        ("neither has instructions".to_owned(), lacking[2]),
        ("both have the same".to_owned(), same),
    ];
    Ok(Subject {
        question: "Which instructions lead better from the first image to the second?",
        names: names.or_else(|| Some(["A".into(), "B".into()])),
        items: kept.into_iter().map(item).collect(),
        passed_over,
        pictures: Pictures::of(&viewed.dir).await?,
    })
}
