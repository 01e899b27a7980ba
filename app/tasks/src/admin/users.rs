//! Pages of users. A user cannot revoke their own rights, and only superusers can change staff.

use std::collections::BTreeSet;

use actix_web::web::{self, ServiceConfig};
use chrono::Utc;
use kit::password;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, QuerySelect, SqlErr, sea_query::Expr,
};

use super::{
    form::{Field, Fields, Kind},
    form_at, get,
    groups::{self, known_permissions, permissions_field},
    model::{Action, Cell, Column, Editable, Filter, ModelAdmin, StoreError},
    page::Section,
    pager, password as password_page,
    permission::{self, Verb},
    query::Sort,
    session::Visit,
};
use crate::{
    entity::{
        group,
        user::{self, Entity, USERNAME_CHARACTERS},
        user_group, user_permission,
    },
    input::FieldErrors,
    users::{forget_refresh_tokens, taken, username_faults},
};

impl ModelAdmin for Entity {
    const SECTION: Section = Section { path: "users", title: "Users", one: "user", many: "users", verbs: Verb::ALL };
    const SORT: Sort = Sort { column: "username", descending: false };
    const ALSO_DELETED: &'static str =
        "Their sessions end. Their entries in the activity log and in the history are kept.";

    fn id(user: &user::Model) -> i64 {
        user.id
    }

    fn name(user: &user::Model) -> String {
        user.username.clone()
    }

    fn columns() -> Vec<Column<Self>> {
        let column = Column::<Self>::new;
        vec![
            column("username", "Name", user::Column::Username, |user| Cell::Text(user.username.clone())),
            column("staff", "Staff", user::Column::IsStaff, |user| Cell::Flag(user.is_staff)),
            column("superuser", "Superuser", user::Column::IsSuperuser, |user| Cell::Flag(user.is_superuser)),
            column("active", "Active", user::Column::IsActive, |user| Cell::Flag(user.is_active)),
            column("seen", "Last sign-in", user::Column::LastSignIn, |user| {
                user.last_sign_in.map_or(Cell::Nothing, Cell::Moment)
            }),
            column("created", "Created", user::Column::CreatedAt, |user| Cell::Moment(user.created_at)),
            column("id", "Id", user::Column::Id, |user| Cell::Number(user.id)).unlisted(),
        ]
    }

    fn searched() -> Vec<user::Column> {
        vec![user::Column::Username]
    }

    fn filters() -> Vec<Filter> {
        vec![
            Filter::flag("staff", "Staff", user::Column::IsStaff),
            Filter::flag("superuser", "Superuser", user::Column::IsSuperuser),
            Filter::flag("active", "Active", user::Column::IsActive),
        ]
    }

    fn actions() -> Vec<Action<Self>> {
        vec![
            Action {
                name: "activate",
                label: "Activate",
                done: "Activated",
                consequence: "will be able to sign in",
                verb: Verb::Change,
                refusal: |visit, user| Self::refusal(visit, user, Verb::Change),
                run: |transaction, users| Box::pin(set_active(transaction, users, true)),
            },
            Action {
                name: "deactivate",
                label: "Deactivate",
                done: "Deactivated",
                consequence: "will be signed out and not be able to sign in",
                verb: Verb::Change,
                // As for a deletion, users cannot deactivate themselves.
                refusal: |visit, user| Self::refusal(visit, user, Verb::Delete),
                run: |transaction, users| Box::pin(set_active(transaction, users, false)),
            },
        ]
    }

    fn refusal(visit: &Visit, user: &user::Model, verb: Verb) -> Option<&'static str> {
        let is_own = visit.user.id == user.id;
        if is_own && verb == Verb::Delete {
            return Some("this is your account; another member of the staff has to do it");
        }
        // Otherwise they could take over an account with more rights.
        let is_above = (user.is_staff || user.is_superuser) && !visit.user.is_superuser;
        (is_above && !is_own).then_some("only a superuser can change users of the staff")
    }

    fn links(user: &user::Model, state: &str) -> Vec<(&'static str, String)> {
        vec![("Change password", pager::password_address(user.id, state))]
    }

    fn more_routes(app: &mut ServiceConfig) {
        let (ask, save) = (get().to(password_page::ask), web::post().to(password_page::save));
        app.service(form_at("/users/{id}/password", ask, save));
    }
}

/// Parsed form of a user.
pub(super) struct Draft {
    username: String,
    is_active: bool,
    /// Hash of the password of a new user.
    password_hash: Option<String>,
    /// Rights, if the visitor may change them.
    rights: Option<Rights>,
}

struct Rights {
    is_staff: bool,
    is_superuser: bool,
    groups: Vec<i64>,
    permissions: Vec<String>,
}

impl Editable for Entity {
    type Draft = Draft;

    async fn fields(
        database: &impl ConnectionTrait,
        visit: &Visit,
        user: Option<&user::Model>,
    ) -> Result<Vec<Field>, DbErr> {
        let mut fields = vec![Field {
            name: "username",
            label: "Name",
            value: user.map(|user| user.username.clone()).unwrap_or_default(),
            help: "Letters, digits and @ . + - _".into(),
            limit: USERNAME_CHARACTERS,
            autocomplete: "off",
            ..Field::default()
        }];
        match user {
            Some(user) => fields.push(Field {
                name: "active",
                label: "Active",
                kind: Kind::Box { ticked: user.is_active },
                help: "May sign in. Without this right, all sessions end; use it instead of deleting the user to \
                       keep the name reserved."
                    .into(),
                ..Field::default()
            }),
            None => fields.extend(password_page::fields()),
        }
        if visit.user.is_superuser {
            fields.extend(rights_fields(database, user).await?);
        }
        Ok(fields)
    }

    async fn parse(visit: &Visit, user: Option<&user::Model>, sent: &Fields) -> Result<Draft, StoreError> {
        let username = sent.text("username");
        let mut errors = FieldErrors::default();
        errors.add("username", username_faults(username));
        let rights = visit.user.is_superuser.then(|| Rights {
            is_staff: sent.ticked("staff"),
            is_superuser: sent.ticked("superuser"),
            groups: sent.all("groups").filter_map(|id| id.parse().ok()).collect::<BTreeSet<_>>().into_iter().collect(),
            permissions: known_permissions(sent),
        });
        match user {
            Some(user) if user.id == visit.user.id => {
                errors.add("active", own_right(sent.ticked("active")));
                if let Some(Rights { is_staff, is_superuser, .. }) = rights {
                    errors.add("staff", own_right(is_staff));
                    errors.add("superuser", own_right(is_superuser));
                }
            }
            Some(_) => (),
            None => {
                errors.add("password", password::faults(sent.text("password")));
                errors.add("again", password_page::repetition_faults(sent));
            }
        }
        errors.or(())?;
        let password_hash = match user {
            Some(_) => None,
            None => Some(password::hash(sent.text("password").to_owned()).await?),
        };
        let is_active = user.is_none() || sent.ticked("active");
        Ok(Draft { username: username.to_owned(), is_active, password_hash, rights })
    }

    async fn store(
        transaction: &DatabaseTransaction,
        _visit: &Visit,
        user: Option<user::Model>,
        draft: Draft,
    ) -> Result<user::Model, StoreError> {
        let Draft { username, is_active, password_hash, rights } = draft;
        let is_new = user.is_none();
        let mut row = match user {
            Some(user) => user.into_active_model(),
            None => <user::ActiveModel as Default>::default(),
        };
        row.username.set_if_not_equals(username);
        row.is_active.set_if_not_equals(is_active);
        if let Some(hash) = password_hash {
            row.password_hash = Set(hash);
            row.created_at = Set(Utc::now());
            (row.is_staff, row.is_superuser, row.last_sign_in) = (Set(false), Set(false), Set(None));
        }
        if let Some(Rights { is_staff, is_superuser, .. }) = rights {
            row.is_staff.set_if_not_equals(is_staff);
            row.is_superuser.set_if_not_equals(is_superuser);
        }
        let saved = if is_new { row.insert(transaction).await } else { row.update(transaction).await };
        let user = saved.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => StoreError::Invalid(taken()),
            _ => error.into(),
        })?;
        if !is_active {
            forget_refresh_tokens(transaction, [user.id]).await?;
        }
        if let Some(Rights { groups, permissions, .. }) = rights {
            set_groups(transaction, user.id, groups).await?;
            set_permissions(transaction, user.id, permissions).await?;
        }
        Ok(user)
    }
}

async fn set_active(transaction: &DatabaseTransaction, users: &[user::Model], is_active: bool) -> Result<(), DbErr> {
    let ids: Vec<i64> = users.iter().map(|user| user.id).collect();
    let change = Entity::update_many().col_expr(user::Column::IsActive, Expr::value(is_active));
    change.filter(user::Column::Id.is_in(ids.iter().copied())).exec(transaction).await?;
    if is_active { Ok(()) } else { forget_refresh_tokens(transaction, ids).await }
}

async fn rights_fields(database: &impl ConnectionTrait, user: Option<&user::Model>) -> Result<[Field; 4], DbErr> {
    let (groups, permissions) = match user {
        Some(user) => (groups_of(database, user.id).await?, permissions_of(database, user.id).await?),
        None => Default::default(),
    };
    let has = |right: fn(&user::Model) -> bool| user.is_some_and(right);
    Ok([
        Field {
            name: "staff",
            label: "Staff",
            kind: Kind::Box { ticked: has(|user| user.is_staff) },
            help: "May sign in to this admin site, with the permissions below.".into(),
            ..Field::default()
        },
        Field {
            name: "superuser",
            label: "Superuser",
            kind: Kind::Box { ticked: has(|user| user.is_superuser) },
            help: "Has every permission.".into(),
            ..Field::default()
        },
        Field {
            name: "groups",
            label: "Groups",
            kind: Kind::Choices { options: groups::options(database).await?, chosen: groups },
            help: "The user has all permissions of these groups.".into(),
            ..Field::default()
        },
        permissions_field(permissions, "In addition to those of the groups.".into()),
    ])
}

async fn groups_of(database: &impl ConnectionTrait, user_id: i64) -> Result<Vec<String>, DbErr> {
    let memberships = user_group::Entity::find().filter(user_group::Column::UserId.eq(user_id)).all(database).await?;
    Ok(memberships.into_iter().map(|membership| membership.group_id.to_string()).collect())
}

async fn permissions_of(database: &impl ConnectionTrait, user_id: i64) -> Result<Vec<String>, DbErr> {
    let permissions = user_permission::Entity::find().select_only().column(user_permission::Column::Permission);
    permissions.filter(user_permission::Column::UserId.eq(user_id)).into_tuple().all(database).await
}

async fn set_groups(transaction: &DatabaseTransaction, user_id: i64, groups: Vec<i64>) -> Result<(), DbErr> {
    user_group::Entity::delete_many().filter(user_group::Column::UserId.eq(user_id)).exec(transaction).await?;
    // A group may have been deleted since the form was shown.
    let existing = group::Entity::find().select_only().column(group::Column::Id);
    let existing: Vec<i64> = existing.filter(group::Column::Id.is_in(groups)).into_tuple().all(transaction).await?;
    if existing.is_empty() {
        return Ok(());
    }
    let row = |group_id| user_group::ActiveModel { user_id: Set(user_id), group_id: Set(group_id) };
    user_group::Entity::insert_many(existing.into_iter().map(row)).exec_without_returning(transaction).await.map(drop)
}

async fn set_permissions(transaction: &DatabaseTransaction, user_id: i64, codes: Vec<String>) -> Result<(), DbErr> {
    let known = permission::all().into_iter().map(|(code, _)| code);
    user_permission::Entity::delete_many()
        .filter(user_permission::Column::UserId.eq(user_id))
        .filter(user_permission::Column::Permission.is_in(known))
        .exec(transaction)
        .await?;
    if codes.is_empty() {
        return Ok(());
    }
    let row = |permission| user_permission::ActiveModel { user_id: Set(user_id), permission: Set(permission) };
    let rows = codes.into_iter().map(row);
    user_permission::Entity::insert_many(rows).exec_without_returning(transaction).await.map(drop)
}

fn own_right(stays: bool) -> Vec<String> {
    let fault = "This is your account: you would lock yourself out. Another member of the staff has to do it.";
    if stays { Vec::new() } else { vec![fault.into()] }
}
