//! Users: list, add, edit, change the password, delete. Nobody can lock themselves out here.

use actix_web::{
    HttpRequest,
    http::StatusCode,
    web::{Data, Path, ReqData},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, SqlErr, TransactionTrait,
};

use super::{
    delete::Deleted,
    edit::{self, FormPage},
    error::Answer,
    form::{Field, Fields, Kind},
    list::{Cell, Column, Control, Filter, Listed},
    page::{self, Section},
    pager,
    query::Sort,
    session::{self, Visit},
};
use crate::{
    entity::{
        refresh_token,
        user::{self, Entity, USERNAME_CHARACTERS},
    },
    input::FieldErrors,
    password,
    users::{NewUser, UserError, taken, username_faults},
};

impl Listed for Entity {
    const SECTION: Section = Section { path: "users", title: "Users", one: "user", many: "users", editable: true };
    const SORT: Sort = Sort { column: "username", descending: false };

    fn columns() -> Vec<Column<Self>> {
        let column = Column::<Self>::new;
        vec![
            column("username", "Name", user::Column::Username, |user| Cell::Text(user.username.clone())),
            column("staff", "Staff", user::Column::IsStaff, |user| Cell::Flag(user.is_staff)),
            column("active", "Active", user::Column::IsActive, |user| Cell::Flag(user.is_active)),
            column("seen", "Last sign-in", user::Column::LastSignIn, |user| {
                user.last_sign_in.map_or(Cell::Nothing, Cell::Moment)
            }),
            column("created", "Created", user::Column::CreatedAt, |user| Cell::Moment(user.created_at)),
        ]
    }

    fn searched() -> Vec<user::Column> {
        vec![user::Column::Username]
    }

    fn filters() -> Vec<Filter> {
        const YES_OR_NO: Control = Control::Choice(&[("yes", "yes"), ("no", "no")]);
        vec![
            Filter {
                name: "staff",
                label: "Staff",
                control: YES_OR_NO,
                condition: |value| parse_yes(value).map(|yes| user::Column::IsStaff.eq(yes)),
            },
            Filter {
                name: "active",
                label: "Active",
                control: YES_OR_NO,
                condition: |value| parse_yes(value).map(|yes| user::Column::IsActive.eq(yes)),
            },
        ]
    }

    fn id(user: &user::Model) -> i64 {
        user.id
    }
}

impl Deleted for Entity {
    fn name(user: &user::Model) -> String {
        user.username.clone()
    }

    fn refusal(visit: &Visit, user: &user::Model) -> Option<&'static str> {
        (visit.user.id == user.id).then_some("this is you; somebody else of the staff has to do it")
    }

    const ALSO: &'static str =
        "Whoever is signed in as them is signed out. What they did stays in the activity, under their name.";
}

/// Answers with an empty form.
pub(super) async fn new(visit: ReqData<Visit>, request: HttpRequest) -> Answer {
    new_form(&visit, &request, &Fields::default(), &FieldErrors::default()).show(StatusCode::OK)
}

/// Stores a new user.
pub(super) async fn add(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    request: HttpRequest,
    fields: ReqData<Fields>,
) -> Answer {
    match create(&database, &fields).await {
        Ok(user) => {
            session::tell(&database, &visit, &format!("Added the user “{}”.", user.username)).await?;
            Ok(page::redirect(&edit::next::<Entity>(&request, &fields, user.id)))
        }
        Err(UserError::Invalid(errors)) => {
            new_form(&visit, &request, &fields, &errors).show(StatusCode::UNPROCESSABLE_ENTITY)
        }
        Err(UserError::Password(error)) => Err(error.into()),
        Err(UserError::Database(error)) => Err(error.into()),
    }
}

/// Answers with a user in a form.
pub(super) async fn open(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    request: HttpRequest,
    id: Path<String>,
) -> Answer {
    let user = edit::find::<Entity>(&database, &id).await?;
    form(&visit, &request, &user, &user.username, user.is_staff, user.is_active, &FieldErrors::default())
        .show(StatusCode::OK)
}

/// Stores a changed user.
pub(super) async fn save(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    request: HttpRequest,
    id: Path<String>,
    fields: ReqData<Fields>,
) -> Answer {
    let user = edit::find::<Entity>(&database, &id).await?;
    let (username, is_staff, is_active) = (fields.text("username"), fields.ticked("staff"), fields.ticked("active"));
    let mut errors = FieldErrors::default();
    errors.add("username", username_faults(username));
    if user.id == visit.user.id {
        errors.add("staff", own_right(is_staff));
        errors.add("active", own_right(is_active));
    }
    let saved = match errors.or(()) {
        Ok(()) => change(&database, user.clone(), username, is_staff, is_active).await,
        Err(errors) => Err(UserError::Invalid(errors)),
    };
    match saved {
        Ok(user) => {
            session::tell(&database, &visit, &format!("Saved the user “{}”.", user.username)).await?;
            Ok(page::redirect(&edit::next::<Entity>(&request, &fields, user.id)))
        }
        Err(UserError::Invalid(errors)) => {
            let page = form(&visit, &request, &user, username, is_staff, is_active, &errors);
            page.show(StatusCode::UNPROCESSABLE_ENTITY)
        }
        Err(UserError::Password(error)) => Err(error.into()),
        Err(UserError::Database(error)) => Err(error.into()),
    }
}

/// Answers with a form for a new password.
pub(super) async fn new_password(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    request: HttpRequest,
    id: Path<String>,
) -> Answer {
    let user = edit::find::<Entity>(&database, &id).await?;
    password_form(&visit, &request, &user, &FieldErrors::default()).show(StatusCode::OK)
}

/// Stores a new password. Whoever is signed in with the one before is signed out, except who does this.
pub(super) async fn save_password(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    request: HttpRequest,
    id: Path<String>,
    fields: ReqData<Fields>,
) -> Answer {
    let user = edit::find::<Entity>(&database, &id).await?;
    let mut errors = FieldErrors::default();
    errors.add("password", password::faults(fields.text("password")));
    errors.add("again", repetition_faults(&fields));
    if let Err(errors) = errors.or(()) {
        return password_form(&visit, &request, &user, &errors).show(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let hash = password::hash(fields.text("password").to_owned()).await?;
    let transaction = database.begin().await?;
    let mut row = user.into_active_model();
    row.password_hash = Set(hash);
    let user = row.update(&transaction).await?;
    forget_refresh_tokens(&transaction, &user).await?;
    if user.id == visit.user.id {
        session::go_on(&transaction, &visit, &user).await?;
    }
    transaction.commit().await?;
    session::tell(&database, &visit, &format!("Changed the password of “{}”.", user.username)).await?;
    Ok(page::redirect(&pager::row_address(Entity::SECTION, user.id, &edit::state::<Entity>(&request))))
}

fn parse_yes(value: &str) -> Option<bool> {
    match value {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

async fn create(database: &DatabaseConnection, fields: &Fields) -> Result<user::Model, UserError> {
    let new = NewUser::new(fields.text("username"), fields.text("password"), fields.ticked("staff"));
    let repetition = repetition_faults(fields);
    match new {
        Ok(new) if repetition.is_empty() => new.create(database).await,
        other => {
            let mut errors = other.err().unwrap_or_default();
            errors.add("again", repetition);
            Err(UserError::Invalid(errors))
        }
    }
}

async fn change(
    database: &DatabaseConnection,
    user: user::Model,
    username: &str,
    is_staff: bool,
    is_active: bool,
) -> Result<user::Model, UserError> {
    let transaction = database.begin().await?;
    let mut row = user.into_active_model();
    row.username.set_if_not_equals(username.to_owned());
    row.is_staff.set_if_not_equals(is_staff);
    row.is_active.set_if_not_equals(is_active);
    let user = row.update(&transaction).await.map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => UserError::Invalid(taken()),
        _ => UserError::Database(error),
    })?;
    if !is_active {
        forget_refresh_tokens(&transaction, &user).await?;
    }
    transaction.commit().await?;
    Ok(user)
}

/// Nobody goes on with what they got for the password before, or while they were active.
async fn forget_refresh_tokens(database: &impl ConnectionTrait, user: &user::Model) -> Result<(), DbErr> {
    let theirs = refresh_token::Column::UserId.eq(user.id);
    refresh_token::Entity::delete_many().filter(theirs).exec(database).await.map(drop)
}

fn own_right(stays: bool) -> Vec<String> {
    let fault = "This is you: you would lock yourself out. Somebody else of the staff has to do it.";
    if stays { Vec::new() } else { vec![fault.into()] }
}

fn repetition_faults(fields: &Fields) -> Vec<String> {
    let same = fields.text("password") == fields.text("again");
    if same { Vec::new() } else { vec!["The two passwords differ.".into()] }
}

fn new_form(visit: &Visit, request: &HttpRequest, sent: &Fields, errors: &FieldErrors) -> FormPage {
    let mut fields = vec![username_field(sent.text("username"))];
    fields.extend(password_fields());
    fields.push(staff_field(sent.ticked("staff")));
    FormPage::new::<Entity>(visit, request, "Add a user".into(), None, fields, errors)
}

fn form(
    visit: &Visit,
    request: &HttpRequest,
    user: &user::Model,
    username: &str,
    is_staff: bool,
    is_active: bool,
    errors: &FieldErrors,
) -> FormPage {
    let active = Field {
        name: "active",
        label: "Active",
        kind: Kind::Box { ticked: is_active },
        help: "May sign in at all. Taking this away ends every session; better than deleting when the name is to stay reserved.".into(),
        ..Field::default()
    };
    let fields = vec![username_field(username), active, staff_field(is_staff)];
    let mut page = FormPage::new::<Entity>(visit, request, user.username.clone(), Some(user.id), fields, errors);
    let state = edit::state::<Entity>(request);
    page.links = vec![("Change password", pager::password_address(user.id, &state))];
    page.facts = vec![
        ("Created", Cell::Moment(user.created_at)),
        ("Last sign-in", user.last_sign_in.map_or(Cell::Nothing, Cell::Moment)),
    ];
    page.delete_address.take_if(|_| user.id == visit.user.id);
    page
}

fn password_form(visit: &Visit, request: &HttpRequest, user: &user::Model, errors: &FieldErrors) -> FormPage {
    let title = format!("New password for {}", user.username);
    let mut page = FormPage::new::<Entity>(visit, request, title, Some(user.id), password_fields().into(), errors);
    page.back = pager::row_address(Entity::SECTION, user.id, &edit::state::<Entity>(request));
    page.back_label.clone_from(&user.username);
    page.delete_address = None;
    page.can_stay = false;
    page
}

fn username_field(username: &str) -> Field {
    Field {
        name: "username",
        label: "Name",
        value: username.into(),
        help: "Letters, digits and @ . + - _".into(),
        limit: USERNAME_CHARACTERS,
        autocomplete: "off",
        ..Field::default()
    }
}

fn staff_field(ticked: bool) -> Field {
    Field {
        name: "staff",
        label: "Staff",
        kind: Kind::Box { ticked },
        help: "May use this admin site: see and change everything here.".into(),
        ..Field::default()
    }
}

fn password_fields() -> [Field; 2] {
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
