//! A stream of rows in some order, read a run of equal keys at a time: what merging tables that are
//! in the same order takes.

use super::StoreError;
use super::rows::{Row, RowStream};

/// Rows with a look at the next one.
pub struct Ordered<R> {
    rows: Option<RowStream<R>>,
    batch: std::vec::IntoIter<R>,
    head: Option<R>,
}

impl<R: Row> Ordered<R> {
    /// Wraps a stream of rows.
    pub fn new(rows: RowStream<R>) -> Self {
        Self { rows: Some(rows), batch: Vec::new().into_iter(), head: None }
    }

    /// No rows.
    pub fn empty() -> Self {
        Self { rows: None, batch: Vec::new().into_iter(), head: None }
    }

    /// The next row if it is a wanted one.
    pub async fn next_if(
        &mut self,
        wanted: impl FnOnce(&R) -> bool,
    ) -> Result<Option<R>, StoreError> {
        self.look().await?;
        Ok(self.head.take_if(|row| wanted(row)))
    }

    /// The next rows for as long as they are wanted ones.
    pub async fn take_run(&mut self, wanted: impl Fn(&R) -> bool) -> Result<Vec<R>, StoreError> {
        let mut run = Vec::new();
        while let Some(row) = self.next_if(&wanted).await? {
            run.push(row);
        }
        Ok(run)
    }

    /// The next rows that share a key; none at the end.
    pub async fn next_run<K: PartialEq>(
        &mut self,
        key: impl Fn(&R) -> K,
    ) -> Result<Option<Vec<R>>, StoreError> {
        let Some(first) = self.next_if(|_| true).await? else { return Ok(None) };
        let wanted = key(&first);
        let mut run = vec![first];
        run.extend(self.take_run(|row| key(row) == wanted).await?);
        Ok(Some(run))
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        while self.head.is_none() {
            self.head = self.batch.next();
            if self.head.is_none() {
                let Some(rows) = &mut self.rows else { return Ok(()) };
                match rows.next().await? {
                    Some(batch) => self.batch = batch.into_iter(),
                    None => self.rows = None,
                }
            }
        }
        Ok(())
    }
}
