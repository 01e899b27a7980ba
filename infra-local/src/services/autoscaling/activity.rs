//! Scaling activities.

use super::{PAGES, named, page, render};
use crate::model::Cloud;
use crate::model::autoscaling::{Activity, Group};
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] =
    &[Operation::reads("DescribeScalingActivities", describe, &[&["AutoScalingGroupName", "ActivityIds.N"], PAGES])
        .on_any()];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let groups: Vec<&Group> = match params.optional("AutoScalingGroupName") {
        Some(_) => vec![named(region, params)?],
        None => region.autoscaling.groups.values().collect(),
    };
    let ids = params.texts("ActivityIds");
    let all = groups
        .into_iter()
        .flat_map(|group| group.activities.iter().enumerate().map(move |(index, activity)| (index, group, activity)))
        .filter(|(_, _, activity)| ids.is_empty() || ids.contains(&activity.id));
    // Newest first: pages are sorted by a key, so the key counts down.
    let mut keyed: Vec<(String, &Group, &Activity)> = all
        .map(|(index, group, activity)| {
            let age = i64::MAX - activity.started.timestamp_micros();
            (format!("{age:020}/{:06}/{}", 999_999 - index, activity.id), group, activity)
        })
        .collect();
    keyed.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    let page = page(keyed, params, |(key, ..)| key)?;
    let shown = page.items.into_iter().map(|(_, group, activity)| render::activity(activity, group));
    Ok(Node::new().list("Activities", shown).maybe("NextToken", page.next))
}
