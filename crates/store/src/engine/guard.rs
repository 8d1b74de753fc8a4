//! Checks of the rows from executors before they are used.
//!
//! An attempt has a deadline, and its rows are held in a file of its own until they are complete; the file
//! of a failed attempt is deleted. The attempt fails unless the rows are in the order of their keys, have
//! each key once, are as many as were counted without the executors, and pass the check of their plan.

use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::row::{OwnedRow, RowConverter, SortField};
use futures::StreamExt;
use magiclens_common::telemetry::within;

use super::spill::{Spill, SpillWriter};
use crate::StoreError;
use crate::session::{Batches, Check};

/// Pause before a retry: time for a lost executor to be restarted.
const PAUSE: Duration = Duration::from_secs(2);

/// Limits of the attempts to run a plan.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time after which an attempt has failed.
    pub deadline: Duration,
    /// Attempts before the plan is given up.
    pub tries: u32,
}

/// Failure of an attempt.
#[derive(Debug)]
pub enum Failure {
    /// A retry may succeed.
    Try(String),
    /// Every other one would too.
    Plan(String),
}

/// Has tries made until one passes, and gives its rows.
pub async fn guarded(
    limits: Limits,
    key: &[&str],
    attempt: impl AsyncFn() -> Result<Batches, Failure>,
    check: Check<'_>,
    count: impl AsyncFn() -> Result<u64, StoreError>,
) -> Result<Spill, StoreError> {
    let mut expected = None;
    let mut problem = String::new();
    for number in 1..=limits.tries {
        if number > 1 {
            tokio::time::sleep(PAUSE).await;
        }
        let outcome = within(limits.deadline, once(key, &attempt, check)).await;
        problem = match outcome {
            Ok(Ok(spill)) => {
                let expected = match expected {
                    Some(rows) => rows,
                    None => *expected.insert(count().await?),
                };
                if spill.rows() == expected {
                    return Ok(spill);
                }
                format!("{} rows came, and {expected} are there", spill.rows())
            }
            Ok(Err(Failure::Try(problem))) => problem,
            Ok(Err(Failure::Plan(problem))) => return Err(StoreError::Engine { problem }),
            Err(_) => format!("no end within {} s", limits.deadline.as_secs()),
        };
        tracing::warn!(number, of = limits.tries, problem, "a plan failed on the executors");
    }
    let problem = format!("{problem}, after {} tries", limits.tries);
    Err(StoreError::Engine { problem })
}

/// One try: all of its rows in a file, in order.
async fn once(
    key: &[&str],
    attempt: impl AsyncFn() -> Result<Batches, Failure>,
    check: Check<'_>,
) -> Result<Spill, Failure> {
    let mut batches = attempt().await?;
    let (mut order, mut spill) = (Order::new(key), SpillWriter::default());
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(Failure::Try)?;
        order.check(&batch).and_then(|()| check(&batch)).map_err(Failure::Try)?;
        spill.push(&batch).map_err(Failure::Plan)?;
    }
    spill.finish().map_err(Failure::Plan)
}

/// Keys that have to ascend: so each comes once, and in order.
struct Order<'a> {
    key: &'a [&'a str],
    converter: Option<RowConverter>,
    last: Option<OwnedRow>,
}

impl<'a> Order<'a> {
    fn new(key: &'a [&'a str]) -> Self {
        Self { key, converter: None, last: None }
    }

    fn check(&mut self, batch: &RecordBatch) -> Result<(), String> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let columns = self.key.iter().map(|name| {
            let column = batch.column_by_name(name).cloned();
            column.ok_or_else(|| format!("the rows lack column {name}"))
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let failed = |error: arrow::error::ArrowError| error.to_string();
        let converter = match &mut self.converter {
            Some(converter) => converter,
            empty => {
                let field = |column: &ArrayRef| SortField::new(column.data_type().clone());
                let made = RowConverter::new(columns.iter().map(field).collect());
                empty.insert(made.map_err(failed)?)
            }
        };
        let rows = converter.convert_columns(&columns).map_err(failed)?;
        for at in 0..rows.num_rows() {
            let previous = match at.checked_sub(1) {
                Some(before) => Some(rows.row(before)),
                None => self.last.as_ref().map(OwnedRow::row),
            };
            if let Some(previous) = previous.filter(|previous| *previous >= rows.row(at)) {
                let what = if previous == rows.row(at) { "came twice" } else { "came too late" };
                return Err(format!("a row with key ({}) {what}", self.key.join(", ")));
            }
        }
        self.last = Some(rows.row(rows.num_rows() - 1).owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, StringArray};
    use futures::stream;

    use super::*;

    const KEY: [&str; 2] = ["part", "url"];
    const LIMITS: Limits = Limits { deadline: Duration::from_secs(100), tries: 3 };

    fn batch(rows: &[(i64, &str)]) -> RecordBatch {
        let parts = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
        let urls = StringArray::from_iter_values(rows.iter().map(|row| row.1));
        let columns: [(&str, ArrayRef); 2] = [("part", Arc::new(parts)), ("url", Arc::new(urls))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn batches(batches: Vec<RecordBatch>) -> Batches {
        stream::iter(batches.into_iter().map(Ok)).boxed()
    }

    fn right() -> Vec<RecordBatch> {
        vec![batch(&[(0, "a"), (0, "b")]), batch(&[(0, "c"), (1, "a")]), batch(&[(2, "a")])]
    }

    /// Returns the outcome of attempts that give these results, in turn.
    async fn outcome(
        tries: Vec<Result<Batches, Failure>>,
        rows: u64,
    ) -> (Result<Vec<RecordBatch>, String>, usize) {
        let made = Cell::new(0);
        let tries = std::cell::RefCell::new(tries.into_iter());
        let attempt = async || {
            made.set(made.get() + 1);
            tries.borrow_mut().next().unwrap()
        };
        let spill = guarded(LIMITS, &KEY, attempt, &|_| Ok(()), async || Ok(rows)).await;
        let rows = match spill {
            Ok(spill) => Ok(spill.into_batches().unwrap().map(Result::unwrap).collect().await),
            Err(error) => Err(error.to_string()),
        };
        (rows, made.get())
    }

    fn thrice(wrong: impl Fn() -> Vec<RecordBatch>) -> Vec<Result<Batches, Failure>> {
        (0..3).map(|_| Ok(batches(wrong()))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn right_rows_are_handed_on_as_they_came() {
        assert_eq!(outcome(vec![Ok(batches(right()))], 5).await, (Ok(right()), 1));
        assert_eq!(outcome(vec![Ok(batches(vec![]))], 0).await, (Ok(vec![]), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_comes_twice_is_refused() {
        for wrong in [
            // In one batch, over the edge of two, and as one that stands for another.
            vec![batch(&[(0, "a"), (0, "b"), (0, "b")]), batch(&[(1, "a"), (2, "a")])],
            vec![batch(&[(0, "a"), (0, "b")]), batch(&[(0, "b"), (1, "a"), (2, "a")])],
            vec![batch(&[(0, "a"), (0, "b")]), batch(&[]), batch(&[(0, "b"), (1, "a")])],
        ] {
            let (error, tries) = outcome(thrice(|| wrong.clone()), 5).await;
            let error = error.unwrap_err();
            assert!(error.contains("key (part, url) came twice, after 3 tries"), "{error}");
            assert_eq!(tries, 3);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rows_that_are_missing_or_too_many_are_refused() {
        let mut few = right();
        few.remove(1);
        let (error, _) = outcome(thrice(|| few.clone()), 5).await;
        assert!(error.unwrap_err().contains("3 rows came, and 5 are there"));
        let none = outcome(thrice(Vec::new), 5).await.0;
        assert!(none.unwrap_err().contains("0 rows came, and 5 are there"));
        let many = outcome(thrice(right), 4).await.0;
        assert!(many.unwrap_err().contains("5 rows came, and 4 are there"));
    }

    #[tokio::test(start_paused = true)]
    async fn rows_out_of_order_are_refused() {
        let wrong = || vec![batch(&[(0, "b"), (0, "a")])];
        let (error, _) = outcome(thrice(wrong), 2).await;
        assert!(error.unwrap_err().contains("came too late"));
        let wrong = || right().into_iter().rev().collect();
        let (error, _) = outcome(thrice(wrong), 5).await;
        assert!(error.unwrap_err().contains("came too late"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_hangs_ends_at_its_deadline() {
        let hang =
            || Ok(stream::iter(right().into_iter().map(Ok)).chain(stream::pending()).boxed());
        let began = tokio::time::Instant::now();
        let (error, tries) = outcome(vec![hang(), hang(), hang()], 5).await;
        assert!(error.unwrap_err().contains("no end within 100 s, after 3 tries"));
        assert_eq!(tries, 3);
        // Time is the test's own.
        assert_eq!(began.elapsed().as_secs(), 304);
        let never = async || std::future::pending().await;
        let asked = guarded(LIMITS, &KEY, never, &|_| Ok(()), async || Ok(5));
        assert!(asked.await.is_err(), "an executor that never begins");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_try_leaves_nothing_in_the_next() {
        let lost = stream::iter(right().into_iter().map(Ok))
            .chain(stream::iter([Err("an executor was lost".to_owned())]));
        let tries = vec![
            Ok(lost.boxed()),
            Err(Failure::Try("no executor answers".into())),
            Ok(batches(right())),
        ];
        assert_eq!(outcome(tries, 5).await, (Ok(right()), 3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_try_can_mend_is_tried_once() {
        let (error, tries) = outcome(vec![Err(Failure::Plan("another version".into()))], 5).await;
        assert!(error.unwrap_err().contains("another version"));
        assert_eq!(tries, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_not_there_is_refused() {
        let made = async || Ok(batches(right()));
        let found = guarded(LIMITS, &["nothing"], made, &|_| Ok(()), async || Ok(5)).await;
        assert!(found.err().unwrap().to_string().contains("lack column nothing"));
    }

    #[tokio::test(start_paused = true)]
    async fn rows_that_do_not_pass_fail_a_try() {
        let wrong = vec![batch(&[(0, "a"), (0, "no")])];
        let tries = std::cell::RefCell::new(vec![right(), wrong].into_iter().rev());
        let attempt = async || Ok(batches(tries.borrow_mut().next().unwrap()));
        let check = |batch: &RecordBatch| match batch.column(1).as_string::<i32>().value(1) {
            "no" => Err("a false row".to_owned()),
            _ => Ok(()),
        };
        let check = |batch: &RecordBatch| if batch.num_rows() > 1 { check(batch) } else { Ok(()) };
        let spill = guarded(LIMITS, &KEY, attempt, &check, async || Ok(5)).await;
        assert_eq!(spill.ok().map(|spill| spill.rows()), Some(5));
        let attempt = async || Ok(batches(right()));
        let never = |_: &RecordBatch| Err("a false row".to_owned());
        let found = guarded(LIMITS, &KEY, attempt, &never, async || Ok(5)).await;
        assert!(found.err().unwrap().to_string().contains("a false row, after 3 tries"));
    }
}
