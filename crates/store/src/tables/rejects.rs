//! `rejects/<table>`.

use arrow::datatypes::FieldRef;
use magiclens_core::Reject;

use super::columns::text;
use crate::Row;

impl Row for Reject {
    fn fields() -> Vec<FieldRef> {
        vec![text("url"), text("reason"), text("page_url"), text("detail")]
    }

    fn weight(&self) -> usize {
        self.url.len() + self.page_url.len() + self.detail.len() + 96
    }
}
