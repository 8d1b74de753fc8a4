//! Instructions by files that are answered elsewhere: OpenAI's Batch API, vLLM's `run-batch`.

use super::ask::Instructor;
use super::{Inputs, STAGE};
use crate::endpoint::{
    Answer, BatchFiles, Ended, PartReplies, Question, Reply, Taken, Totals, estimate,
};
use crate::record::Instruction;
use crate::stages::context::{Context, StageError};
use crate::store::Table;

/// Takes in what came back, and writes what is still to be asked. Fails with
/// [`StageError::Waiting`] while anything is away.
pub async fn exchange(
    ctx: &Context,
    instructor: &Instructor,
    table: &Table<Instruction>,
    inputs: &Inputs,
) -> Result<(), StageError> {
    let folder = ctx.run.store().local().join("batch").join(STAGE);
    let config = &ctx.config.instruct;
    let mut files = BatchFiles::open(&folder, config.batch_requests, config.batch_bytes)?;
    let mut exchange =
        Exchange { ctx, instructor, files: &mut files, taken: 0, reserved: Vec::new() };
    for input in inputs.parts() {
        if table.manifest(input.pairs.part).await?.is_some() {
            continue;
        }
        ctx.go_on()?;
        let replies = instructor.asking().replies(ctx, input.pairs.part)?;
        let Some(mut groups) = input.open(ctx).await? else { continue };
        while let Some(group) = groups.next().await? {
            for pair in &group.pairs {
                let rendered = instructor.render(&group, pair)?;
                if !replies.is_known(&rendered.key) {
                    instructor.note(&rendered.key, pair)?;
                    let question = instructor.asking().question(rendered, Vec::new());
                    exchange.one(&replies, question)?;
                }
            }
        }
        replies.seal()?;
    }
    let taken = exchange.taken;
    files.close()?;
    tracing::info!(taken, written = files.written(), waiting = files.waiting(), "batch");
    if files.written() == 0 && files.waiting() == 0 {
        return Ok(());
    }
    Err(StageError::Waiting(format!(
        "{} requests written now and {} written before wait in {}; put the result files into {} and \
         run again",
        files.written(),
        files.waiting(),
        folder.display(),
        files.results_folder().display(),
    )))
}

struct Exchange<'a> {
    ctx: &'a Context,
    instructor: &'a Instructor,
    files: &'a mut BatchFiles,
    taken: u64,
    reserved: Vec<crate::endpoint::Reservation>,
}

impl Exchange<'_> {
    fn one(&mut self, replies: &PartReplies, question: Question) -> Result<(), StageError> {
        let asking = self.instructor.asking();
        let endpoint = asking.endpoint();
        let price = asking.tally().price(&endpoint.model);
        let most = estimate(&question.ask);
        let (ended, text, usage) = match self.files.take(&question.key, endpoint.retries)? {
            Taken::Answer(answer) => {
                let usage = answer.usage().unwrap_or(most);
                match answer {
                    Answer::Said { text, .. } => (Ended::Said, text, Some(usage)),
                    Answer::Cut { text, .. } => (Ended::Cut, text, Some(usage)),
                    Answer::Refused { detail, .. } => (Ended::Refused, detail, Some(usage)),
                }
            }
            Taken::Skip(true, detail) => (Ended::Refused, detail, None),
            Taken::Skip(false, detail) | Taken::GivenUp(detail) => (Ended::Failed, detail, None),
            Taken::Waiting => return Ok(()),
            Taken::Open => {
                // All that is written may be answered, so all of it counts against the budget.
                let reserved = asking.tally().reserve(price, most);
                self.reserved.push(reserved.map_err(crate::endpoint::ModelError::from)?);
                let format = endpoint.response_format.into();
                let Question { key, ask } = question;
                return Ok(self.files.ask(&key, &ask, &endpoint.model, format)?);
            }
        };
        let totals =
            usage.map_or_else(Totals::default, |usage| asking.tally().settle(price, usage));
        self.taken += 1;
        self.ctx.progress.done(None);
        Ok(replies.keep(&Reply { key: question.key, ended, text, totals })?)
    }
}
