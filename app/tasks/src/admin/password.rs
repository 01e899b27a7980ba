//! The page for a new password: of other users for staff who may change them, and of the user's account for all staff.

use actix_web::{
    http::StatusCode,
    web::{Path, ReqData},
};
use kit::password;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};

use super::{
    edit::FormPage,
    error::{Answer, Failure},
    form::{Field, Fields, Kind},
    history::{self, Object},
    model::ModelAdmin,
    page, pager,
    permission::Verb,
    request::{AdminRequest, parse_id},
    session,
};
use crate::{
    entity::user::{self, Entity},
    input::FieldErrors,
    users::forget_refresh_tokens,
};

/// Responds with the form.
pub(super) async fn ask(request: AdminRequest, id: Path<String>) -> Answer {
    let user = find(&request, &id).await?;
    form(&request, &user, &FieldErrors::default()).show(StatusCode::OK)
}

/// Stores the password, and ends all other sessions of the user.
pub(super) async fn save(request: AdminRequest, id: Path<String>, sent: ReqData<Fields>) -> Answer {
    let user = find(&request, &id).await?;
    let (database, visit) = (&request.database, &request.visit);
    let mut errors = FieldErrors::default();
    errors.add("password", password::faults(sent.text("password")));
    errors.add("again", repetition_faults(&sent));
    if let Err(errors) = errors.or(()) {
        return form(&request, &user, &errors).show(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let hash = password::hash(sent.text("password").to_owned()).await?;
    let transaction = history::begin(database).await?;
    let mut row = user.into_active_model();
    row.password_hash = Set(hash);
    let user = row.update(&transaction).await?;
    forget_refresh_tokens(&transaction, [user.id]).await?;
    if user.id == visit.user.id {
        session::keep_after_password_change(&transaction, visit, &user).await?;
    }
    let object = Object { id: user.id, name: user.username.clone(), changes: Vec::new() };
    history::record(&transaction, visit, Entity::SECTION, "Changed password", &[object]).await?;
    transaction.commit().await?;
    session::set_notice(database, visit, &format!("Changed the password of “{}”.", user.username)).await?;
    Ok(page::redirect(&back(&request, &user)))
}

/// Returns the two fields of a new password.
pub(super) fn fields() -> [Field; 2] {
    let field = Field {
        kind: Kind::Password,
        limit: password::MAX_CHARACTERS,
        autocomplete: "new-password",
        ..Field::default()
    };
    let help = format!("At least {} characters, and not only digits.", password::MIN_CHARACTERS);
    [
        Field { name: "password", label: "Password", help, ..field.clone() },
        Field { name: "again", label: "Password again", ..field },
    ]
}

/// Compares the two fields.
pub(super) fn repetition_faults(sent: &Fields) -> Vec<String> {
    let same = sent.text("password") == sent.text("again");
    if same { Vec::new() } else { vec!["The two passwords differ.".into()] }
}

/// Returns the user with an id from an address, if the visitor may change their password.
async fn find(request: &AdminRequest, id: &str) -> Result<user::Model, Failure> {
    let visit = &request.visit;
    if parse_id(id)? == visit.user.id {
        return Ok(visit.user.clone());
    }
    visit.require(Entity::SECTION, Verb::Change)?;
    let user = request.find::<Entity>(id).await?;
    if request.may::<Entity>(&user, Verb::Change) { Ok(user) } else { Err(Failure::Forbidden) }
}

fn form(request: &AdminRequest, user: &user::Model, errors: &FieldErrors) -> FormPage {
    let sees_users = request.visit.may(Entity::SECTION, Verb::View);
    let mut page = FormPage::new::<Entity>(request, Some(user), fields().into(), errors);
    page.frame.title = format!("New password for {}", user.username);
    page.back = back(request, user);
    page.back_label = if sees_users { user.username.clone() } else { "Overview".into() };
    page.facts.clear();
    page.links.clear();
    page.delete_address = None;
    page.can_stay = false;
    page
}

/// Returns the address of the user's page for visitors who may view it, else that of the first page.
fn back(request: &AdminRequest, user: &user::Model) -> String {
    if request.visit.may(Entity::SECTION, Verb::View) {
        pager::row_address(Entity::SECTION, user.id, &request.list_state::<Entity>())
    } else {
        page::HOME.to_owned()
    }
}
