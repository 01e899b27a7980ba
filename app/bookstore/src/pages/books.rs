//! The catalog, a user's books and purchases, and the forms of books.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use actix_web::{
    HttpRequest,
    http::StatusCode,
    web::{Bytes, Data, Path, ReqData},
};
use askama::Template;
use kit::{endpoints::Together, form::Fields};
use sea_orm::DatabaseConnection;

use super::{
    error::{Answer, Failure},
    form::{Field, FormPage, Kind},
    frame::{self, Frame},
    pager::Pager,
    visit::Visit,
};
use crate::{
    entity::{
        book::{self, AUTHOR_CHARACTERS, DESCRIPTION_CHARACTERS, TITLE_CHARACTERS},
        purchase::{self, PAID, PENDING},
    },
    input::{BookChange, Given, NewBook, parse_id},
    shop::{self, ShopError, books, delivery, purchases},
};

/// Number of books on a page of the catalog.
const PAGE: u64 = 24;
/// Names of the fields of a book's form.
const NAMES: [&str; 6] = ["title", "author", "description", "price", "stock", "shown_stock"];

/// Pages of the catalog, which concurrent visitors share.
#[derive(Clone, Default)]
pub struct Catalog(Together<u64, Arc<Shelf>>);

/// Books on a page of the catalog.
struct Shelf {
    books: Vec<book::Model>,
    has_next: bool,
    /// The page for visitors who are not signed in, once one has requested it.
    without_user: OnceLock<Bytes>,
}

/// Responds with a page of the catalog, with a form to buy for signed-in users.
pub(super) async fn catalog(visit: Visit, catalog: Data<Catalog>, request: HttpRequest) -> Answer {
    let mut pager = Pager::from(&request);
    let read = async move |database: &DatabaseConnection| {
        let mut pager = pager;
        let mut books = books::page(database, pager.offset(PAGE), PAGE).await?;
        pager.cut(&mut books, PAGE);
        Ok(Arc::new(Shelf { books, has_next: pager.has_next, without_user: OnceLock::new() }))
    };
    let shared = visit.scope.read_together(&catalog.0, pager.number, read).await?;
    pager.has_next = shared.has_next;
    let frame = visit.frame(frame::CATALOG, "Catalog");
    let Some(user) = &visit.user else {
        let html = match shared.without_user.get() {
            Some(html) => html.clone(),
            None => {
                let page = CatalogPage { frame, buyer: None, books: &shared.books, pager };
                let html = Bytes::from(page.render()?);
                shared.without_user.get_or_init(|| html).clone()
            }
        };
        return Ok(frame::html_of(StatusCode::OK, html));
    };
    let buyer = Buyer { id: user.id, form_token: visit.form_token(), purchase_token: shop::purchases::new_token()? };
    let page = CatalogPage { frame, buyer: Some(buyer), books: &shared.books, pager };
    Ok(frame::html(StatusCode::OK, &page)?)
}

#[derive(Template)]
#[template(path = "catalog.html")]
struct CatalogPage<'a> {
    frame: Frame,
    buyer: Option<Buyer>,
    books: &'a [book::Model],
    pager: Pager,
}

/// A signed-in visitor of the catalog.
struct Buyer {
    id: i64,
    form_token: String,
    /// Start of the purchase tokens of the forms.
    purchase_token: String,
}

/// Responds with the user's books and purchases.
pub(super) async fn of_user(visit: Visit) -> Answer {
    let user = visit.user()?;
    let books = books::of_seller(&visit.scope, user.id).await?;
    let purchases = purchases::of_buyer(&visit.scope, user.id).await?;
    let paid = purchases.iter().filter(|(purchase, _)| purchase.status == PAID).map(|(purchase, _)| purchase.id);
    let assigned = delivery::assigned_of(&visit.scope, &paid.collect::<Vec<_>>()).await?;
    let page = MyBooksPage {
        frame: visit.frame("/book/my_books", "My books"),
        form_token: visit.form_token(),
        books,
        purchases,
        assigned,
    };
    Ok(frame::html(StatusCode::OK, &page)?)
}

#[derive(Template)]
#[template(path = "my_books.html")]
struct MyBooksPage {
    frame: Frame,
    form_token: String,
    books: Vec<book::Model>,
    purchases: Vec<(purchase::Model, Option<book::Model>)>,
    /// IDs of the purchases whose delivery is assigned.
    assigned: BTreeSet<i64>,
}

/// Responds with the form of a new book.
pub(super) async fn new(visit: Visit) -> Answer {
    visit.user()?;
    book_page(&visit, "Sell a book").show(&visit, StatusCode::OK)
}

/// Adds a book of the user.
pub(super) async fn add(visit: Visit, fields: ReqData<Fields>) -> Answer {
    let seller = visit.user()?.id;
    let given = Given::form(&fields, &NAMES);
    match NewBook::from(&given) {
        Ok(book) => {
            books::add(&visit.scope, seller, &book).await?;
            Ok(frame::redirect(frame::CATALOG))
        }
        Err(faults) => {
            let mut page = book_page(&visit, "Sell a book");
            page.refuse(&given, &faults);
            page.show(&visit, StatusCode::OK)
        }
    }
}

/// Responds with the form of a book of the user.
pub(super) async fn open(visit: Visit, id: Path<String>) -> Answer {
    let book = own(&visit, &id).await?;
    let mut page = book_page(&visit, "Edit a book");
    let values = [book.title, book.author, book.description, book.price.to_string(), book.stock.to_string()];
    for (field, value) in page.fields.iter_mut().zip(values) {
        field.value = value;
    }
    page.hidden = vec![("shown_stock", book.stock.to_string())];
    page.show(&visit, StatusCode::OK)
}

/// Changes a book of the user.
pub(super) async fn save(visit: Visit, id: Path<String>, fields: ReqData<Fields>) -> Answer {
    let book = own(&visit, &id).await?;
    let given = Given::form(&fields, &NAMES);
    match BookChange::from(&given) {
        Ok(change) => {
            books::change(&visit.scope, visit.user()?.id, book.id, &change).await?;
            Ok(frame::redirect(frame::CATALOG))
        }
        Err(faults) => {
            let mut page = book_page(&visit, "Edit a book");
            page.refuse(&given, &faults);
            page.hidden = vec![("shown_stock", given.text("shown_stock").to_owned())];
            page.show(&visit, StatusCode::OK)
        }
    }
}

/// Deletes a book of the user.
pub(super) async fn delete(visit: Visit, id: Path<String>) -> Answer {
    let seller = visit.user()?.id;
    books::delete(&visit.scope, seller, parse_id(&id).ok_or(Failure::NotFound)?).await?;
    Ok(frame::redirect(frame::CATALOG))
}

/// Returns a book of the user.
async fn own(visit: &Visit, id: &str) -> Result<book::Model, Failure> {
    let seller = visit.user()?.id;
    let book = books::find(&visit.scope, parse_id(id).ok_or(Failure::NotFound)?).await?;
    if book.seller_id == seller { Ok(book) } else { Err(ShopError::NotSeller.into()) }
}

fn book_page(visit: &Visit, title: &str) -> FormPage {
    let mut page = FormPage::new(visit, "/book/add_book", title, "Save");
    page.fields = vec![
        Field::new("title", "Title", Kind::Text).limit(TITLE_CHARACTERS),
        Field::new("author", "Author", Kind::Text).limit(AUTHOR_CHARACTERS),
        Field::new("description", "Description", Kind::Lines).limit(DESCRIPTION_CHARACTERS),
        Field::new("price", "Price", Kind::Amount),
        Field::new("stock", "Copies for sale", Kind::Integer(0)),
    ];
    page.link = Some(("Cancel", frame::CATALOG));
    page
}
