//! Rectangles of cells, and the cells that are taken.

/// A rectangle of cells, borders included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) top: usize,
    pub(crate) bottom: usize,
    pub(crate) left: usize,
    pub(crate) right: usize,
}

/// The number of items in each cell of some rows. Cells outside of the rows are ignored.
#[derive(Debug)]
pub(crate) struct Cells {
    top: usize,
    rows: Vec<Vec<u32>>,
}

impl Cells {
    /// Returns empty cells of `count` rows, of which `top` is the first.
    pub(crate) fn new(top: usize, count: usize) -> Self {
        Self { top, rows: vec![Vec::new(); count] }
    }

    pub(crate) fn add(&mut self, area: Area) {
        for row in self.rows_of(area) {
            let row = &mut self.rows[row];
            row.resize(row.len().max(area.right + 1), 0);
            row[area.left..=area.right].iter_mut().for_each(|items| *items += 1);
        }
    }

    /// Removes an item that was added with this area.
    pub(crate) fn remove(&mut self, area: Area) {
        for row in self.rows_of(area) {
            self.rows[row][area.left..=area.right].iter_mut().for_each(|items| *items -= 1);
        }
    }

    pub(crate) fn are_free(&self, area: Area) -> bool {
        self.rows_of(area).all(|row| {
            let row = &self.rows[row];
            let (left, right) = (area.left.min(row.len()), (area.right + 1).min(row.len()));
            row[left..right].iter().all(|items| *items == 0)
        })
    }

    fn rows_of(&self, area: Area) -> std::ops::Range<usize> {
        let first = area.top.max(self.top) - self.top;
        // The area of a region has no last row.
        let end = area.bottom.saturating_add(1).saturating_sub(self.top).min(self.rows.len());
        first.min(end)..end
    }
}
