//! Bookstore.
