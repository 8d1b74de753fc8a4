//! What the two stages that ask a model share where it is asked by files, which are answered elsewhere:
//! OpenAI's Batch API, vLLM's `run-batch`.

use super::asking::Asking;
use super::context::{Context, StageError};
use crate::endpoint::{
    Answer, BatchFiles, BudgetSpent, Ended, ModelError, PartReplies, Question, Reply, Reservation,
    Taken, Totals, Usage, estimate,
};

/// The files of one step, and what the budget has room for.
pub struct Exchange<'a> {
    ctx: &'a Context,
    asking: &'a Asking,
    files: BatchFiles,
    taken: u64,
    /// All that is written may be answered, so all of it counts against the budget.
    reserved: Reservation,
    writes: bool,
    /// The cap that the first of those passes that are not written.
    spent: Option<BudgetSpent>,
    held: u64,
}

impl<'a> Exchange<'a> {
    /// Reads what was written and what came back. A file has at most so many requests, and so many bytes.
    pub fn open(
        ctx: &'a Context,
        asking: &'a Asking,
        (max_requests, max_bytes): (usize, usize),
    ) -> Result<Self, StageError> {
        let provider = format!("{}.provider = \"batch\"", asking.step());
        let folder = ctx.folder(&provider)?.join("batch").join(asking.step());
        let files = BatchFiles::open(&folder, max_requests, max_bytes)?;
        let price = asking.tally().price(&asking.endpoint().model);
        // What is away is paid for as well, as soon as it is back.
        let reserved = asking.tally().set_aside(price, files.away());
        let (taken, writes, spent, held) = (0, false, None, 0);
        Ok(Self { ctx, asking, files, taken, reserved, writes, spent, held })
    }

    /// Lets questions be written: once all that came back is paid, for only then it is known what is left
    /// for more.
    pub fn write_from_now_on(&mut self) {
        self.writes = true;
    }

    /// Takes in what came back of a question, and says whether it is to be [written](Self::write) now. Of
    /// its images only their number counts.
    pub fn take(&mut self, replies: &PartReplies, question: &Question) -> Result<bool, StageError> {
        let most = estimate(&question.ask);
        let retries = self.asking.endpoint().retries;
        let (ended, text, usage) = match self.files.take(&question.key, retries)? {
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
            Taken::Waiting => return Ok(false),
            Taken::Open => return Ok(self.writes && self.has_room(most)),
        };
        let tally = self.asking.tally();
        let price = tally.price(&self.asking.endpoint().model);
        let totals = usage.map_or_else(Totals::default, |usage| tally.settle(price, usage));
        self.taken += 1;
        self.ctx.progress.done(None);
        replies.keep(&Reply { key: question.key.clone(), ended, text, totals })?;
        Ok(false)
    }

    fn has_room(&mut self, most: Usage) -> bool {
        let price = self.asking.tally().price(&self.asking.endpoint().model);
        match self.asking.tally().reserve(price, most) {
            Ok(reserved) if self.spent.is_none() => {
                self.reserved.join(reserved);
                true
            }
            outcome => {
                self.held += 1;
                self.spent = self.spent.take().or(outcome.err());
                false
            }
        }
    }

    /// Writes a question.
    pub fn write(&mut self, question: &Question) -> Result<(), StageError> {
        let endpoint = self.asking.endpoint();
        let format = endpoint.response_format.into();
        Ok(self.files.ask(&question.key, &question.ask, &endpoint.model, format)?)
    }

    /// Closes the files. Fails with [`StageError::Waiting`] while anything is away, and says what has to be
    /// known `besides`.
    pub fn end(self, besides: &str) -> Result<(), StageError> {
        let Self { mut files, taken, spent, held, reserved, .. } = self;
        drop(reserved);
        files.close()?;
        let (written, waiting) = (files.written(), files.waiting());
        tracing::info!(taken, written, waiting, "batch");
        if written == 0 && waiting == 0 {
            return spent.map_or(Ok(()), |spent| Err(ModelError::from(spent).into()));
        }
        let held =
            spent.map_or_else(String::new, |spent| format!("; {held} more are held back: {spent}"));
        Err(StageError::Waiting(format!(
            "{written} requests written now and {waiting} written before wait in {}; put the result \
             files into {} and run again{besides}{held}",
            files.folder().display(),
            files.results_folder().display(),
        )))
    }
}
