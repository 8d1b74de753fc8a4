//! Instructions by files that are answered elsewhere.

use super::Inputs;
use super::ask::Instructor;
use crate::record::Instruction;
use crate::stages::batch::Exchange;
use crate::stages::context::{Context, StageError};
use crate::store::Table;

/// Takes in what came back, and writes what is still to be asked, as far as the budget goes. Fails with
/// [`StageError::Waiting`] while anything is away.
pub async fn exchange(
    ctx: &Context,
    instructor: &Instructor,
    table: &Table<Instruction>,
    inputs: &Inputs,
) -> Result<(), StageError> {
    let config = &ctx.config.instruct;
    let limits = (config.batch_requests, config.batch_bytes);
    let mut exchange = Exchange::open(ctx, instructor.asking(), limits)?;
    sweep(ctx, instructor, table, inputs, &mut exchange).await?;
    exchange.write_from_now_on();
    sweep(ctx, instructor, table, inputs, &mut exchange).await?;
    exchange.end("")
}

/// Goes over all pairs without a reply.
async fn sweep(
    ctx: &Context,
    instructor: &Instructor,
    table: &Table<Instruction>,
    inputs: &Inputs,
    exchange: &mut Exchange<'_>,
) -> Result<(), StageError> {
    let asking = instructor.asking();
    for input in inputs.parts() {
        if table.manifest(input.pairs.part).await?.is_some() {
            continue;
        }
        ctx.go_on()?;
        let replies = asking.replies(input.pairs.part)?;
        let Some(mut groups) = input.open(ctx.run.store()).await? else { continue };
        while let Some(group) = groups.next().await? {
            for pair in &group.pairs {
                let rendered = instructor.render(&group, pair)?;
                if replies.has(&rendered.key)? {
                    continue;
                }
                instructor.note(&rendered.key, pair)?;
                let question = asking.question(rendered, Vec::new());
                if exchange.take(&replies, &question)? {
                    exchange.write(&question)?;
                }
            }
        }
        replies.seal().await?;
    }
    Ok(())
}
