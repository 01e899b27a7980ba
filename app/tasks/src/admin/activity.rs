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
            column("time", "Time", activity::Column::Time, |it| Cell::Moment(it.time)),
            column("user", "User", activity::Column::Username, |it| {
                it.username.clone().map_or(Cell::Nothing, Cell::Text)
            }),
            column("method", "Method", activity::Column::Method, |it| Cell::Text(it.method.clone())),
            column("path", "Path", activity::Column::Path, |it| Cell::Long(it.path.clone())),
            column("status", "Status", activity::Column::Status, |it| Cell::Status(it.status)),
            column("duration", "Took", activity::Column::DurationUs, |it| Cell::Duration(it.duration_us)),
            column("client", "Client", activity::Column::Client, |it| Cell::Text(it.client.clone())),
            column("instance", "Instance", activity::Column::Instance, |it| Cell::Text(it.instance.clone())).unlisted(),
            column("id", "Id", activity::Column::Id, |it| Cell::Number(it.id)).unlisted(),
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
