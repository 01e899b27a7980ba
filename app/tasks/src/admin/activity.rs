//! Pages of the activity log.

use sea_orm::ColumnTrait;

use super::{
    model::{Cell, Column, Control, Filter, ModelAdmin},
    page::Section,
    permission::Verb,
    query::Sort,
};
use crate::entity::activity::{self, Entity};

impl ModelAdmin for Entity {
    const SECTION: Section =
        Section { path: "activity", title: "Activity", one: "request", many: "requests", verbs: Verb::READ };
    const SORT: Sort = Sort { column: "time", descending: true };

    fn id(request: &activity::Model) -> i64 {
        request.id
    }

    fn name(request: &activity::Model) -> String {
        format!("{} {}", request.method, request.path)
    }

    fn columns() -> Vec<Column<Self>> {
        let column = Column::<Self>::new;
        vec![
            column("time", "Time", activity::Column::Time, |row| Cell::Moment(row.time)),
            column("user", "User", activity::Column::Username, |row| {
                row.username.clone().map_or(Cell::Nothing, Cell::Text)
            }),
            column("method", "Method", activity::Column::Method, |row| Cell::Text(row.method.clone())),
            column("path", "Path", activity::Column::Path, |row| Cell::Long(row.path.clone())),
            column("status", "Status", activity::Column::Status, |row| Cell::Status(row.status)),
            column("duration", "Took", activity::Column::DurationUs, |row| Cell::Duration(row.duration_us)),
            column("client", "Client", activity::Column::Client, |row| Cell::Text(row.client.clone())),
            column("instance", "Instance", activity::Column::Instance, |row| Cell::Text(row.instance.clone()))
                .unlisted(),
            column("id", "Id", activity::Column::Id, |row| Cell::Number(row.id)).unlisted(),
        ]
    }

    fn searched() -> Vec<activity::Column> {
        vec![activity::Column::Path, activity::Column::Username, activity::Column::Client, activity::Column::Instance]
    }

    fn filters() -> Vec<Filter> {
        let methods: &[(&str, &str)] =
            &[("GET", "GET"), ("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH"), ("DELETE", "DELETE")];
        let classes = &[("2", "2xx, done"), ("3", "3xx, elsewhere"), ("4", "4xx, refused"), ("5", "5xx, failed")];
        let [from, until] = Filter::days(["From", "Until"], activity::Column::Time);
        vec![
            Filter::equal("user", "User", Control::Text, activity::Column::Username),
            Filter::new("method", "Method", Control::Choice(methods), |method| {
                let known = methods.iter().any(|(known, _)| *known == method);
                known.then(|| activity::Column::Method.eq(method))
            }),
            Filter::new("status", "Status", Control::Choice(classes), |class| {
                let class: i16 = class.parse().ok().filter(|class| (2..=5).contains(class))?;
                Some(activity::Column::Status.between(class * 100, class * 100 + 99))
            }),
            from,
            until,
        ]
    }
}
