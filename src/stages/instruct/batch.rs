//! Instructions by files that are answered elsewhere: OpenAI's Batch API, vLLM's `run-batch`.

use super::ask::Instructor;
use super::{Inputs, STAGE};
use crate::endpoint::{
    Answer, BatchFiles, BudgetSpent, Ended, ModelError, PartReplies, Question, Reply, Reservation,
    Taken, Totals, estimate,
};
use crate::record::Instruction;
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
    let folder = ctx.run.store().local().join("batch").join(STAGE);
    let config = &ctx.config.instruct;
    let mut files = BatchFiles::open(&folder, config.batch_requests, config.batch_bytes)?;
    let asking = instructor.asking();
    let price = asking.tally().price(&asking.endpoint().model);
    // What is away is paid for as well, as soon as it is back.
    let reserved = asking.tally().set_aside(price, files.away());
    let mut exchange = Exchange {
        ctx,
        instructor,
        files: &mut files,
        taken: 0,
        reserved,
        writes: false,
        spent: None,
        held: 0,
    };
    // What came back is paid before it is known what is left for more.
    exchange.sweep(table, inputs).await?;
    exchange.writes = true;
    exchange.sweep(table, inputs).await?;
    let Exchange { taken, spent, held, reserved, .. } = exchange;
    drop(reserved);
    files.close()?;
    tracing::info!(taken, written = files.written(), waiting = files.waiting(), "batch");
    if files.written() == 0 && files.waiting() == 0 {
        return spent.map_or(Ok(()), |spent| Err(ModelError::from(spent).into()));
    }
    let held =
        spent.map_or_else(String::new, |spent| format!("; {held} more are held back: {spent}"));
    Err(StageError::Waiting(format!(
        "{} requests written now and {} written before wait in {}; put the result files into {} and \
         run again{held}",
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
    /// All that is written may be answered, so all of it counts against the budget.
    reserved: Reservation,
    writes: bool,
    /// The cap that the first of those passes that are not written.
    spent: Option<BudgetSpent>,
    held: u64,
}

impl Exchange<'_> {
    /// Goes over all pairs without a reply.
    async fn sweep(
        &mut self,
        table: &Table<Instruction>,
        inputs: &Inputs,
    ) -> Result<(), StageError> {
        let asking = self.instructor.asking();
        for input in inputs.parts() {
            if table.manifest(input.pairs.part).await?.is_some() {
                continue;
            }
            self.ctx.go_on()?;
            let replies = asking.replies(input.pairs.part)?;
            let Some(mut groups) = input.open(self.ctx.run.store()).await? else { continue };
            while let Some(group) = groups.next().await? {
                for pair in &group.pairs {
                    let rendered = self.instructor.render(&group, pair)?;
                    if !replies.has(&rendered.key)? {
                        self.instructor.note(&rendered.key, pair)?;
                        self.one(&replies, asking.question(rendered, Vec::new()))?;
                    }
                }
            }
            replies.seal().await?;
        }
        Ok(())
    }

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
            Taken::Open if !self.writes => return Ok(()),
            Taken::Open => {
                match asking.tally().reserve(price, most) {
                    Ok(reserved) if self.spent.is_none() => self.reserved.join(reserved),
                    outcome => {
                        self.held += 1;
                        self.spent = self.spent.take().or(outcome.err());
                        return Ok(());
                    }
                }
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
