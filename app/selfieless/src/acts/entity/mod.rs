//! Tables, one per file.

pub mod act;
pub mod category;
