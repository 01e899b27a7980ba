//! Pages of lists.

use actix_web::HttpRequest;
use kit::form::Fields;

/// A page of a list.
#[derive(Clone, Copy)]
pub(super) struct Pager {
    /// Number of the page, from 1.
    pub(super) number: u64,
    /// Whether there is a next page.
    pub(super) has_next: bool,
}

/// Maximum number of a page.
const LAST_PAGE: u64 = 100_000;

impl Pager {
    /// Parses the number in the query. Another value is the first page.
    pub(super) fn from(request: &HttpRequest) -> Self {
        let query = Fields::parse(request.query_string().as_bytes()).unwrap_or_default();
        let number = query.text("page").parse().ok().filter(|number| (1..=LAST_PAGE).contains(number));
        Self { number: number.unwrap_or(1), has_next: false }
    }

    /// Returns the number of rows before the page.
    pub(super) fn offset(&self, size: u64) -> u64 {
        (self.number - 1) * size
    }

    /// Removes the row after the page, which shows that there is a next page.
    pub(super) fn cut<T>(&mut self, rows: &mut Vec<T>, size: u64) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.has_next = rows.len() > size;
        rows.truncate(size);
    }
}
