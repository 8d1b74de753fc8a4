//! How instructions are worded, beside what the template makes of the same pairs: the paper's figure on
//! word distribution, for the terminal and the dataset card.

use crate::record::Instruction;
use crate::store::{RunDir, StoreError, read_rows};
use crate::table::INSTRUCTIONS;
use crate::text::Wording;

/// Both side by side, in Markdown; none where no model wrote.
pub async fn wording(run: &RunDir) -> Result<Option<String>, StoreError> {
    let (mut written, mut templates) = (Wording::default(), Wording::default());
    for part in run.manifests(INSTRUCTIONS).await? {
        let Some(file) = part.files.get("rows") else { continue };
        let mut rows = read_rows::<Instruction>(run.store(), &file.path, 512).await?;
        while let Some(batch) = rows.next().await? {
            for row in batch {
                // Pairs that both have words for, so that they can be compared.
                if let Some(baseline) = &row.baseline {
                    written.add(&row.instruction);
                    templates.add(baseline);
                }
            }
        }
    }
    Ok((written.count() > 0).then(|| written.table(&templates)))
}
