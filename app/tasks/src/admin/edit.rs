//! Pages of a row: the form to add or change it, or its values for users who may only view it.

use actix_web::{
    http::StatusCode,
    web::{Path, ReqData},
};
use askama::Template;
use sea_orm::{DatabaseConnection, QuerySelect};

use super::{
    error::{Answer, Failure},
    form::{Field, Fields, Kind},
    history::{self, Object},
    model::{Cell, Editable, ModelAdmin, StoreError},
    page::{self, Frame},
    pager,
    permission::Verb,
    request::AdminRequest,
    session::{self, Visit},
};
use crate::input::FieldErrors;

/// Responds with an empty form.
pub(super) async fn new<E: Editable>(request: AdminRequest) -> Answer {
    request.visit.require(E::SECTION, Verb::Add)?;
    let fields = E::fields(request.database.as_ref(), &request.visit, None).await?;
    FormPage::new::<E>(&request, None, fields, &FieldErrors::default()).show(StatusCode::OK)
}

/// Stores a new row.
pub(super) async fn add<E: Editable>(request: AdminRequest, sent: ReqData<Fields>) -> Answer {
    request.visit.require(E::SECTION, Verb::Add)?;
    submit::<E>(&request, None, &sent).await
}

/// Responds with a row, in a form for users who may change it.
pub(super) async fn open<E: Editable>(request: AdminRequest, id: Path<String>) -> Answer {
    let visit = &request.visit;
    visit.require(E::SECTION, Verb::View)?;
    let row = request.find::<E>(&id).await?;
    let fields = E::fields(request.database.as_ref(), visit, Some(&row)).await?;
    if request.may::<E>(&row, Verb::Change) {
        return FormPage::new::<E>(&request, Some(&row), fields, &FieldErrors::default()).show(StatusCode::OK);
    }
    let values = fields.iter().map(|field| match field.shown() {
        empty if empty.is_empty() => (field.label, Cell::Nothing),
        shown => (field.label, Cell::Text(shown)),
    });
    let values = values.chain(columns_without::<E>(&row, &fields)).collect();
    let mut page = FactsPage::new::<E>(&request, &row, values);
    page.refusal = if visit.may(E::SECTION, Verb::Change) { E::refusal(visit, &row, Verb::Change) } else { None };
    page.history_address = Some(pager::history_address(E::SECTION, E::id(&row), &request.list_state::<E>()));
    Ok(page::html(StatusCode::OK, page.render()?))
}

/// Responds with the values of a row of a model without forms.
pub(super) async fn look<E: ModelAdmin>(request: AdminRequest, id: Path<String>) -> Answer {
    request.visit.require(E::SECTION, Verb::View)?;
    let row = request.find::<E>(&id).await?;
    let values = columns_without::<E>(&row, &[]);
    Ok(page::html(StatusCode::OK, FactsPage::new::<E>(&request, &row, values).render()?))
}

/// Stores a changed row.
pub(super) async fn save<E: Editable>(request: AdminRequest, id: Path<String>, sent: ReqData<Fields>) -> Answer {
    request.visit.require(E::SECTION, Verb::Change)?;
    let row = request.find::<E>(&id).await?;
    if !request.may::<E>(&row, Verb::Change) {
        return Err(Failure::Forbidden);
    }
    submit::<E>(&request, Some(&row), &sent).await
}

/// Stores a form for a row, or for a new one. A form with faults is shown again.
async fn submit<E: Editable>(request: &AdminRequest, row: Option<&E::Model>, sent: &Fields) -> Answer {
    let done = if row.is_some() { "Saved" } else { "Added" };
    match store::<E>(&request.database, &request.visit, row, sent).await {
        Ok(row) => saved::<E>(request, sent, &row, done).await,
        Err(StoreError::Invalid(errors)) => refused::<E>(request, row, sent, &errors).await,
        Err(StoreError::Failed(failure)) => Err(failure),
    }
}

/// Stores a form and its entry in the history, in one transaction.
async fn store<E: Editable>(
    database: &DatabaseConnection,
    visit: &Visit,
    row: Option<&E::Model>,
    sent: &Fields,
) -> Result<E::Model, StoreError> {
    let draft = E::parse(visit, row, sent).await?;
    let transaction = history::begin(database).await?;
    // Read again, with a lock: the entry of the history contains the replaced values.
    let before = match row {
        Some(row) => {
            let row = E::find_by_id(E::id(row)).lock_exclusive().one(&transaction).await?;
            Some(row.ok_or(Failure::NotFound)?)
        }
        None => None,
    };
    let (fields, action) = match &before {
        Some(row) => (E::fields(&transaction, visit, Some(row)).await?, "Changed"),
        None => (Vec::new(), "Added"),
    };
    let is_new = before.is_none();
    let row = E::store(&transaction, visit, before, draft).await?;
    let changes = history::differences(&fields, &E::fields(&transaction, visit, Some(&row)).await?);
    if is_new || !changes.is_empty() {
        let object = Object { id: E::id(&row), name: E::name(&row), changes };
        history::record(&transaction, visit, E::SECTION, action, &[object]).await?;
    }
    transaction.commit().await?;
    Ok(row)
}

async fn saved<E: Editable>(request: &AdminRequest, sent: &Fields, row: &E::Model, done: &str) -> Answer {
    let visit = &request.visit;
    session::set_notice(&request.database, visit, &format!("{done} the {} “{}”.", E::SECTION.one, E::name(row)))
        .await?;
    let state = request.list_state::<E>();
    let to = match sent.text("then") {
        "stay" => pager::row_address(E::SECTION, E::id(row), &state),
        "another" => format!("/admin/{}/add", E::SECTION.path),
        // Users who may only add rows cannot view the list.
        _ if !visit.may(E::SECTION, Verb::View) => page::HOME.to_owned(),
        _ => pager::address(E::SECTION, &state),
    };
    Ok(page::redirect(&to))
}

async fn refused<E: Editable>(
    request: &AdminRequest,
    row: Option<&E::Model>,
    sent: &Fields,
    errors: &FieldErrors,
) -> Answer {
    let mut fields = E::fields(request.database.as_ref(), &request.visit, row).await?;
    for field in &mut fields {
        field.refill(sent);
    }
    FormPage::new::<E>(request, row, fields, errors).show(StatusCode::UNPROCESSABLE_ENTITY)
}

/// A page with a form.
#[derive(Template)]
#[template(path = "admin/form.html")]
pub(super) struct FormPage {
    pub(super) frame: Frame,
    /// ID of the row, unless it is new.
    id: Option<i64>,
    fields: Vec<Field>,
    /// Address of the page that this one was opened from.
    pub(super) back: String,
    pub(super) back_label: String,
    /// Further links: label and address.
    pub(super) links: Vec<(&'static str, String)>,
    /// Names and values that cannot be changed here.
    pub(super) facts: Vec<(&'static str, Cell)>,
    /// Shows the buttons that continue with this row or another one.
    pub(super) can_stay: bool,
    /// Address for the deletion, if it is possible from here.
    pub(super) delete_address: Option<String>,
}

impl FormPage {
    pub(super) fn new<E: ModelAdmin>(
        request: &AdminRequest,
        row: Option<&E::Model>,
        mut fields: Vec<Field>,
        errors: &FieldErrors,
    ) -> Self {
        for (name, faults) in errors.iter() {
            let known = fields.iter().position(|field| field.name == name).unwrap_or_default();
            fields[known].errors.extend_from_slice(faults);
        }
        let (visit, state) = (&request.visit, request.list_state::<E>());
        let id = row.map(E::id);
        let history = id.map(|id| ("History", pager::history_address(E::SECTION, id, &state)));
        let links = row.map(|row| E::links(row, &state)).unwrap_or_default();
        let can_delete = row.is_some_and(|row| request.may::<E>(row, Verb::Delete));
        let article = if E::SECTION.one.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
        let title = row.map_or_else(|| format!("Add {article} {}", E::SECTION.one), E::name);
        Self {
            frame: Frame::new(visit, E::SECTION.path, title),
            id,
            facts: row.map(|row| columns_without::<E>(row, &fields)).unwrap_or_default(),
            fields,
            back: pager::address(E::SECTION, &state),
            back_label: E::SECTION.title.to_owned(),
            links: links.into_iter().chain(history).collect(),
            can_stay: row.is_some() || visit.may(E::SECTION, Verb::Add),
            delete_address: id.filter(|_| can_delete).map(|id| pager::delete_address(E::SECTION, id, &state)),
        }
    }

    pub(super) fn show(&self, status: StatusCode) -> Answer {
        Ok(page::html(status, self.render()?))
    }

    fn faults(&self) -> usize {
        self.fields.iter().filter(|field| !field.errors.is_empty()).count()
    }
}

/// A page with the values of a row.
#[derive(Template)]
#[template(path = "admin/facts.html")]
struct FactsPage {
    frame: Frame,
    back: String,
    back_label: &'static str,
    /// Reason for which a user who may change other rows cannot change this one.
    refusal: Option<&'static str>,
    history_address: Option<String>,
    facts: Vec<(&'static str, Cell)>,
}

impl FactsPage {
    fn new<E: ModelAdmin>(request: &AdminRequest, row: &E::Model, facts: Vec<(&'static str, Cell)>) -> Self {
        Self {
            frame: Frame::new(&request.visit, E::SECTION.path, E::name(row)),
            back: pager::address(E::SECTION, &request.list_state::<E>()),
            back_label: E::SECTION.title,
            refusal: None,
            history_address: None,
            facts,
        }
    }
}

/// Returns title and value of the columns that no field of the form shows.
fn columns_without<E: ModelAdmin>(row: &E::Model, fields: &[Field]) -> Vec<(&'static str, Cell)> {
    let columns = E::columns().into_iter();
    let others = columns.filter(|column| !fields.iter().any(|field| field.name == column.name));
    others.map(|column| (column.title, untruncated((column.cell)(row)))).collect()
}

/// Returns a cell that is not truncated.
fn untruncated(cell: Cell) -> Cell {
    match cell {
        Cell::Long(text) => Cell::Text(text),
        other => other,
    }
}
