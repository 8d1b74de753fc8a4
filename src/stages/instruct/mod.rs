//! Stage 6, `instruct`: what leads from the query image to the target image, in words.
//!
//! `template`, the embedded provider, is the paper's ablation baseline: it compares the two
//! descriptions word by word and fills what is new into a phrase. It is marked as such in
//! `generator`.

mod template;

use sha2::{Digest, Sha256};

use crate::record::{Description, Instruction, Pair, Reason, Reject};
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Fingerprint, Manifest, Ordered, PlainPart, StoreError, Table, read_rows};
use crate::table::INSTRUCTIONS;
use template::instruct;

/// The stage's name on the command line.
pub const STAGE: &str = "instruct";

/// The name of the embedded provider.
const TEMPLATE: &str = "template";

/// Maps every part of `pairs` and `descriptions`.
pub async fn run(
    ctx: &Context,
    pairs: &[Manifest],
    descriptions: &[Manifest],
) -> Result<Vec<Manifest>, StageError> {
    let fingerprint =
        Fingerprint::new().with("instruct", TEMPLATE).with_inputs(&[pairs, descriptions].concat());
    let table = open_table(&ctx.run, INSTRUCTIONS, STAGE, &fingerprint).await?;
    ctx.progress.add_total(pairs.iter().map(|part| part.rows("rows")).sum());
    let parts = pairs.iter().zip(descriptions);
    let parts: Vec<_> = parts.map(|(p, d)| part(ctx, &table, p, d)).collect();
    ctx.all(parts, ctx.threads()).await
}

async fn part(
    ctx: &Context,
    table: &Table<Instruction>,
    pairs: &Manifest,
    descriptions: &Manifest,
) -> Result<Manifest, StageError> {
    if let Some(manifest) = table.manifest(pairs.part).await? {
        ctx.progress.add_done(pairs.rows("rows"));
        return Ok(manifest);
    }
    ctx.go_on()?;
    let mut writer: PlainPart<Instruction> = table.part(pairs.part)?;
    let (Some(pair_file), Some(file)) = (pairs.files.get("rows"), descriptions.files.get("rows"))
    else {
        return Ok(writer.commit(pairs.rows("rows")).await?);
    };
    let store = table.store();
    let mut rows = Ordered::new(read_rows::<Pair>(store, &pair_file.path, 512).await?);
    let mut described = Ordered::new(read_rows::<Description>(store, &file.path, 512).await?);
    while let Some(group) = rows.next_run(|pair| pair.group_id.clone()).await? {
        let said = descriptions_of(&mut described, &group[0].group_id).await?;
        for pair in group {
            let outcome = outcome(&pair, &said);
            ctx.progress.done(outcome.as_ref().err().map(|reject| reject.reason));
            match outcome {
                Ok(instruction) => writer.push(instruction).await?,
                Err(reject) => writer.reject(reject).await?,
            }
        }
    }
    Ok(writer.commit(pairs.rows("rows")).await?)
}

/// The next group's descriptions; groups without a pair are passed over.
async fn descriptions_of(
    described: &mut Ordered<Description>,
    group_id: &str,
) -> Result<Vec<Description>, StoreError> {
    while let Some(said) = described.next_run(|description| description.group_id.clone()).await? {
        if said[0].group_id == group_id {
            return Ok(said);
        }
    }
    Err(StoreError::corrupt(group_id, "this group of `pairs` is not in `descriptions`"))
}

fn outcome(pair: &Pair, said: &[Description]) -> Result<Instruction, Reject> {
    let caption = |position: u32| {
        let found = said.iter().find(|description| description.position == position);
        found.map_or("", |description| description.caption.as_str())
    };
    let digest = Sha256::digest(&pair.pair_id);
    let seed = u64::from_be_bytes(digest[..8].try_into().expect("eight bytes of 32"));
    let (query, target) = (caption(pair.query_position), caption(pair.target_position));
    match instruct(query, target, seed) {
        Some(change) => Ok(Instruction {
            pair_id: pair.pair_id.clone(),
            group_id: pair.group_id.clone(),
            instruction_index: 0,
            relation: change.relation,
            instruction: change.instruction,
            generator: TEMPLATE.into(),
            prompt_hash: String::new(),
        }),
        None => {
            let detail = format!("pair {}: {query:?} and {target:?}", pair.pair_id);
            Err(Reject::new(pair.target_image_id.as_str(), Reason::NothingNew, detail))
        }
    }
}
