//! Books.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Path},
};
use kit::{endpoints::Scope, form::Fields};
use serde_json::{Value, json};

use super::{caller::Caller, error::Answer};
use crate::{
    entity::book,
    input::{BookChange, Faults, Given, NewBook, parse_id},
    shop::{ShopError, books},
};

/// Maximum and default number of books in a response.
pub(super) const SIZES: (u64, u64) = (100, 50);
/// Names of the values of a book.
const NAMES: [&str; 5] = ["title", "author", "description", "price", "stock"];
/// Maximum number of a page.
pub(super) const LAST_PAGE: u64 = 100_000;

/// Responds with a page of all books. The header `Link` contains the address of the next page.
pub(super) async fn list(scope: Scope, request: HttpRequest) -> Answer {
    let query = Fields::parse(request.query_string().as_bytes()).unwrap_or_default();
    let page = number(&query, "page", 1, LAST_PAGE)?;
    let size = number(&query, "size", SIZES.1, SIZES.0)?;
    let mut books = books::list(&scope, (page - 1) * size, size).await?;
    let has_next = books.len() as u64 > size;
    books.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let mut answer = HttpResponse::Ok();
    if has_next {
        answer.insert_header(("Link", format!("</api/books?page={}&size={size}>; rel=\"next\"", page + 1)));
    }
    Ok(answer.json(books.iter().map(view).collect::<Vec<_>>()))
}

/// Parses a positive number of the query.
fn number(query: &Fields, name: &str, default: u64, most: u64) -> Result<u64, Faults> {
    if query.all(name).next().is_none() {
        return Ok(default);
    }
    let parsed = query.text(name).parse().ok().filter(|number| (1..=most).contains(number));
    parsed.ok_or_else(|| Faults::one(name, &format!("Enter a whole number between 1 and {most}.")))
}

/// Responds with a book.
pub(super) async fn find(scope: Scope, id: Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(view(&books::find(&scope, parse(&id)?).await?)))
}

/// Adds a book of the caller.
pub(super) async fn add(caller: Caller, body: Bytes) -> Answer {
    let new = NewBook::from(&Given::json(&body, &NAMES)?)?;
    Ok(HttpResponse::Created().json(view(&books::add(&caller.scope, caller.user.id, &new).await?)))
}

/// Changes the given values of a book of the caller.
pub(super) async fn change(caller: Caller, id: Path<String>, body: Bytes) -> Answer {
    let id = parse(&id)?;
    let change = BookChange::from(&Given::json(&body, &NAMES)?)?;
    Ok(HttpResponse::Ok().json(view(&books::change(&caller.scope, caller.user.id, id, &change).await?)))
}

/// Deletes a book of the caller.
pub(super) async fn delete(caller: Caller, id: Path<String>) -> Answer {
    books::delete(&caller.scope, caller.user.id, parse(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Responds with the books of the caller.
pub(super) async fn of_caller(caller: Caller) -> Answer {
    let books = books::of_seller(&caller.scope, caller.user.id).await?;
    Ok(HttpResponse::Ok().json(books.iter().map(view).collect::<Vec<_>>()))
}

fn parse(id: &str) -> Result<i64, ShopError> {
    parse_id(id).ok_or(ShopError::NotFound)
}

fn view(book: &book::Model) -> Value {
    let book::Model { id, title, author, description, price, stock, seller_id, is_deleted: _ } = book;
    json!({
        "id": id, "title": title, "author": author, "description": description, "price": price, "stock": stock,
        "seller_id": seller_id,
    })
}
