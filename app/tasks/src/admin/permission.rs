//! Permissions of staff on each model. A superuser has all of them, other users have their own and those of their groups.

use std::collections::BTreeSet;

use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, QueryTrait};

use super::page::Section;
use crate::entity::{group_permission, user, user_group, user_permission};

/// Operation on the rows of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    View,
    Add,
    Change,
    Delete,
}

impl Verb {
    /// Operations on models with forms.
    pub(super) const ALL: &[Self] = &[Self::View, Self::Add, Self::Change, Self::Delete];
    /// Operations on models without forms.
    pub(super) const READ: &[Self] = &[Self::View];

    fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Add => "add",
            Self::Change => "change",
            Self::Delete => "delete",
        }
    }
}

/// Permissions of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Permissions {
    All,
    /// Permissions by code.
    Only(BTreeSet<String>),
}

impl Permissions {
    /// Reads the permissions of a user.
    pub(super) async fn of(database: &impl ConnectionTrait, user: &user::Model) -> Result<Self, DbErr> {
        if user.is_superuser {
            return Ok(Self::All);
        }
        let own = user_permission::Entity::find()
            .select_only()
            .column(user_permission::Column::Permission)
            .filter(user_permission::Column::UserId.eq(user.id));
        let groups = user_group::Entity::find()
            .select_only()
            .column(user_group::Column::GroupId)
            .filter(user_group::Column::UserId.eq(user.id));
        let of_groups = group_permission::Entity::find()
            .select_only()
            .column(group_permission::Column::Permission)
            .filter(group_permission::Column::GroupId.in_subquery(groups.into_query()));
        let mut codes: BTreeSet<String> = own.into_tuple().all(database).await?.into_iter().collect();
        codes.extend(of_groups.into_tuple::<String>().all(database).await?);
        Ok(Self::Only(codes))
    }

    /// Returns whether an operation on a model is permitted. The permission to change rows includes viewing them.
    pub(super) fn allow(&self, section: Section, verb: Verb) -> bool {
        let has = |verb| section.verbs.contains(&verb) && self.include(&code(section, verb));
        has(verb) || verb == Verb::View && has(Verb::Change)
    }

    /// Returns whether a permission is among these.
    pub(super) fn include(&self, code: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(codes) => codes.contains(code),
        }
    }
}

/// Returns the code of a permission, such as `tasks.change`.
fn code(section: Section, verb: Verb) -> String {
    format!("{}.{}", section.path, verb.name())
}

/// Returns code and label of all permissions.
pub(super) fn all() -> Vec<(String, String)> {
    let of = |section: Section| {
        let labelled = move |verb: &Verb| (code(section, *verb), format!("{}: {}", section.title, verb.name()));
        section.verbs.iter().map(labelled)
    };
    super::MODELS.iter().flat_map(|model| of(model.section)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDITED: Section = Section { path: "tasks", title: "Tasks", one: "task", many: "tasks", verbs: Verb::ALL };
    const READ: Section = Section { path: "activity", verbs: Verb::READ, ..EDITED };

    fn allowed(codes: &[&str], section: Section) -> Vec<&'static str> {
        let permissions = Permissions::Only(codes.iter().map(|code| (*code).to_owned()).collect());
        Verb::ALL.iter().filter(|verb| permissions.allow(section, **verb)).map(|verb| verb.name()).collect()
    }

    #[test]
    fn permissions_are_for_one_model_and_verb() {
        assert_eq!(allowed(&[], EDITED), [""; 0]);
        assert_eq!(allowed(&["tasks.view"], EDITED), ["view"]);
        assert_eq!(allowed(&["tasks.add"], EDITED), ["add"]);
        assert_eq!(allowed(&["tasks.change"], EDITED), ["view", "change"]);
        assert_eq!(allowed(&["tasks.delete", "users.view"], EDITED), ["delete"]);
        assert_eq!(allowed(&["users.view", "tasks", "tasks."], EDITED), [""; 0]);
        assert_eq!(allowed(&["activity.view", "activity.change", "activity.delete"], READ), ["view"]);
    }

    #[test]
    fn superusers_have_what_the_model_offers() {
        let allowed = |section| Verb::ALL.iter().filter(|verb| Permissions::All.allow(section, **verb)).count();
        assert_eq!((allowed(EDITED), allowed(READ)), (4, 1));
    }

    #[test]
    fn every_model_has_permissions() {
        let codes: Vec<_> = all().into_iter().map(|(code, _)| code).collect();
        for code in ["tasks.view", "users.delete", "groups.add", "activity.view", "history.view"] {
            assert!(codes.iter().any(|known| known == code), "{code}: {codes:?}");
        }
        assert!(!codes.contains(&"activity.change".to_owned()));
    }
}
