//! Pages of groups. A user can grant only their own permissions.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, SqlErr,
};

use super::{
    form::{Field, Fields, Kind},
    model::{Cell, Column, Editable, ModelAdmin, StoreError},
    page::Section,
    permission::{self, Permissions, Verb},
    query::Sort,
    session::Visit,
};
use crate::{
    entity::{
        group::{self, Entity, NAME_CHARACTERS},
        group_permission,
    },
    input::FieldErrors,
};

impl ModelAdmin for Entity {
    const SECTION: Section =
        Section { path: "groups", title: "Groups", one: "group", many: "groups", verbs: Verb::ALL };
    const SORT: Sort = Sort { column: "name", descending: false };
    const ALSO_DELETED: &'static str = "Its members lose the permissions that only this group grants.";

    fn id(group: &group::Model) -> i64 {
        group.id
    }

    fn name(group: &group::Model) -> String {
        group.name.clone()
    }

    fn columns() -> Vec<Column<Self>> {
        let column = Column::<Self>::new;
        vec![
            column("name", "Name", group::Column::Name, |group| Cell::Text(group.name.clone())),
            column("id", "Id", group::Column::Id, |group| Cell::Number(group.id)),
        ]
    }

    fn searched() -> Vec<group::Column> {
        vec![group::Column::Name]
    }
}

/// Parsed form of a group.
pub(super) struct Draft {
    name: String,
    permissions: Vec<String>,
}

impl Editable for Entity {
    type Draft = Draft;

    async fn fields(
        database: &impl ConnectionTrait,
        _visit: &Visit,
        group: Option<&group::Model>,
    ) -> Result<Vec<Field>, DbErr> {
        let chosen = match group {
            Some(group) => permissions(database, group.id).await?,
            None => Vec::new(),
        };
        Ok(vec![
            Field {
                name: "name",
                label: "Name",
                value: group.map(|group| group.name.clone()).unwrap_or_default(),
                limit: NAME_CHARACTERS,
                autocomplete: "off",
                ..Field::default()
            },
            permissions_field(chosen, "All members of the group may do this.".into()),
        ])
    }

    async fn parse(_visit: &Visit, _group: Option<&group::Model>, sent: &Fields) -> Result<Draft, StoreError> {
        let name = sent.text("name").trim();
        let mut errors = FieldErrors::default();
        errors.add("name", name_faults(name));
        Ok(errors.or(Draft { name: name.to_owned(), permissions: known_permissions(sent) })?)
    }

    async fn store(
        transaction: &DatabaseTransaction,
        visit: &Visit,
        group: Option<group::Model>,
        draft: Draft,
    ) -> Result<group::Model, StoreError> {
        let before = match &group {
            Some(group) => permissions(transaction, group.id).await?,
            None => Vec::new(),
        };
        let mut errors = FieldErrors::default();
        errors.add("permissions", escalation_faults(&visit.permissions, &before, &draft.permissions));
        errors.or(())?;
        let saved = match group {
            Some(group) => {
                let mut row = group.into_active_model();
                row.name.set_if_not_equals(draft.name);
                row.update(transaction).await
            }
            None => group::ActiveModel { name: Set(draft.name), ..Default::default() }.insert(transaction).await,
        };
        let group = saved.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => StoreError::Invalid(taken()),
            _ => error.into(),
        })?;
        let known = permission::all().into_iter().map(|(code, _)| code);
        group_permission::Entity::delete_many()
            .filter(group_permission::Column::GroupId.eq(group.id))
            .filter(group_permission::Column::Permission.is_in(known))
            .exec(transaction)
            .await?;
        if !draft.permissions.is_empty() {
            let row =
                |permission| group_permission::ActiveModel { group_id: Set(group.id), permission: Set(permission) };
            let rows = draft.permissions.into_iter().map(row);
            group_permission::Entity::insert_many(rows).exec_without_returning(transaction).await?;
        }
        Ok(group)
    }
}

/// Returns ID and name of all groups.
pub(super) async fn options(database: &impl ConnectionTrait) -> Result<Vec<(String, String)>, DbErr> {
    let groups = Entity::find().order_by_asc(group::Column::Name).all(database).await?;
    Ok(groups.into_iter().map(|group| (group.id.to_string(), group.name)).collect())
}

/// Returns the field for permissions.
pub(super) fn permissions_field(chosen: Vec<String>, help: String) -> Field {
    let kind = Kind::Choices { options: permission::all(), chosen };
    Field { name: "permissions", label: "Permissions", kind, help, ..Field::default() }
}

/// Returns the ticked permissions of a form, without duplicates and unknown ones.
pub(super) fn known_permissions(sent: &Fields) -> Vec<String> {
    let ticked: BTreeSet<&str> = sent.all("permissions").collect();
    permission::all().into_iter().map(|(code, _)| code).filter(|code| ticked.contains(code.as_str())).collect()
}

async fn permissions(database: &impl ConnectionTrait, group_id: i64) -> Result<Vec<String>, DbErr> {
    let permissions = group_permission::Entity::find().select_only().column(group_permission::Column::Permission);
    permissions.filter(group_permission::Column::GroupId.eq(group_id)).into_tuple().all(database).await
}

fn escalation_faults(own: &Permissions, before: &[String], after: &[String]) -> Vec<String> {
    let given = after.iter().filter(|code| !before.contains(code));
    let foreign: Vec<_> = given.filter(|code| !own.include(code)).map(String::as_str).collect();
    if foreign.is_empty() {
        return Vec::new();
    }
    vec![format!("You can grant only your own permissions. You do not have: {}.", foreign.join(", "))]
}

fn name_faults(name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if name.is_empty() {
        faults.push("This field may not be blank.".to_owned());
    }
    if name.chars().count() > NAME_CHARACTERS {
        faults.push(format!("Ensure this field has no more than {NAME_CHARACTERS} characters."));
    }
    if name.contains('\0') {
        faults.push("Null characters are not allowed.".to_owned());
    }
    faults
}

fn taken() -> FieldErrors {
    let mut errors = FieldErrors::default();
    errors.add("name", vec!["A group with that name already exists.".to_owned()]);
    errors
}
