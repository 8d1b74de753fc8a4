//! Models behind endpoints: what is asked, how fast, for how much, and what came back.
//!
//! In reading order: [`ask`] (a question and an answer, whatever the wire), [`wire`] with [`openai`],
//! [`gemini`] and [`embeddings`] (bytes out, bytes in), [`trouble`] with [`classify`], [`complaint`], [`clean`] and
//! [`pause`] (why there is no answer), [`pace`] (limits, concurrency, breaker, retries), [`tally`]
//! (money), [`connection`] and [`model`] (one question through all of this), [`replies`] with [`flights`] (answers kept,
//! so that nothing is asked twice), [`mirror`] (the same
//! where the run directory is in an object store), [`spending`] (what they took), [`batch`] with [`linked`] (questions and answers by file), [`prompt`] and
//! [`schema`] (what is sent, and what is taken back).
#![forbid(unsafe_code)]

mod ask;
mod batch;
mod classify;
mod clean;
mod complaint;
mod connection;
mod embeddings;
mod estimate;
mod flights;
mod gemini;
#[cfg(test)]
mod hostile;
mod linked;
mod mirror;
mod model;
mod notes;
mod openai;
mod pace;
mod pause;
mod prompt;
mod replies;
mod schema;
mod spending;
mod tally;
mod trouble;
mod wire;

pub use ask::{Answer, Ask, Format, Piece, Usage};
pub use batch::{BatchFiles, Taken};
pub use embeddings::{read_vector, split_vectors};
pub use estimate::{Forecast, IMAGE_TOKENS, estimate};
pub use flights::{Flight, Landing};
pub use linked::LinkedImages;
pub use mirror::Mirror;
pub use model::{Course, Model, ModelError, Question, Verdict};
pub use notes::{Notes, erase};
pub use prompt::{
    BuiltIn, DEMONSTRATIONS, DESCRIBE_PROMPTS, INSTRUCT_PROMPTS, Prompt, PromptError, built_in,
    hash,
};
pub use replies::{
    AskError, Claims, Ended, KnownReplies, Outcome, PartReplies, REPLIES, Reply, StepReplies,
};
pub use schema::{Checked, SchemaError, Unfit};
pub use spending::Spending;
pub use tally::{BudgetSpent, Reservation, Tally, Totals, cost};
pub use wire::Wire;
