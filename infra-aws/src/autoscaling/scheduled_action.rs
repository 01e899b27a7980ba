//! `aws:autoscaling:ScheduledAction`: another size of a group at a certain time.

use super::{classified, deleted_with_group, id_in, parts, recorded_id};
use crate::{error::AwsError, prelude::*};
use aws_sdk_autoscaling::{
    Client,
    primitives::{DateTime, DateTimeFormat},
    types,
};
use std::borrow::Cow;

/// A scheduled action: a change of the size of an Auto Scaling group, once or repeatedly.
///
/// AWS deletes an action without `recurrence` after its execution, and the next run would create it again: remove it
/// from the program then.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// # let template = virginia.add("template", LaunchTemplate::new("t3.micro"));
/// # let group = AutoScalingGroup { max: 4, ..AutoScalingGroup::from(template.version(), network.subnets) };
/// # let group = virginia.add("group", group);
/// virginia.add("morning", ScheduledAction {
///     desired: Some(4),
///     time_zone: Some("Europe/Berlin".into()),
///     ..ScheduledAction::recurring(group.name, "0 8 * * MON-FRI")
/// });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `PutScheduledUpdateGroupAction`; `DescribeScheduledActions` until the action is visible
/// - Read: `DescribeScheduledActions`
/// - Update: those of a create; before them `DeleteScheduledAction` if an input is removed
/// - Delete: `DeleteScheduledAction`
///
/// # Replacement
/// A change of `name` or `group` replaces the action. The new action is created before the previous one is deleted.
/// With the same declared `name`, which `up --replace` requests, the previous action is deleted first.
///
/// # Import
/// The import takes `GROUP:NAME`, the names of the group and the action:
///
/// ```console
/// $ stack import aws:autoscaling:ScheduledAction morning web:morning --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:autoscaling:ScheduledAction")]
pub struct ScheduledAction {
    /// Name, unique in the group: 1 to 255 characters without `:`. When omitted, the declaration's name with a unique
    /// suffix. A change replaces the action.
    #[resource(replace, key)]
    pub name: Option<String>,
    /// Name of the Auto Scaling group. A change replaces the action.
    #[resource(replace, key)]
    pub group: Input<AutoScalingGroupName>,
    /// Times of the executions, as the five fields of a cron expression: `0 8 * * MON-FRI`; none for a single
    /// execution.
    pub recurrence: Option<String>,
    /// Time zone of `recurrence`, such as `Europe/Berlin`; UTC when omitted.
    pub time_zone: Option<String>,
    /// Time of the first or the only execution: `2030-01-31T08:00:00Z`, or with another offset. Required without
    /// `recurrence`.
    pub start: Option<String>,
    /// Time after which the action is not executed, in the form of `start`; no end when omitted.
    pub end: Option<String>,
    /// Minimum number of instances from then on; unchanged when omitted. One of `min`, `max` and `desired` is required.
    pub min: Option<u32>,
    /// Maximum number of instances from then on, not less than `min`; unchanged when omitted.
    pub max: Option<u32>,
    /// Desired number of instances from then on; unchanged when omitted.
    pub desired: Option<u32>,
}

/// Outputs of a [`ScheduledAction`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct ScheduledActionOutputs {
    /// Amazon Resource Name of the action.
    #[output(regional)]
    pub arn: Output<Arn<ScheduledAction>>,
    /// Name of the action.
    pub name: Output<String>,
}

impl ScheduledAction {
    /// Returns an action that is executed at the times of a cron expression, in UTC.
    pub fn recurring(group: impl Into<Input<AutoScalingGroupName>>, recurrence: impl Into<String>) -> Self {
        Self { recurrence: Some(recurrence.into()), ..Self::of(group.into()) }
    }

    /// Returns an action that is executed once, at a time such as `2030-01-31T08:00:00Z`.
    pub fn once(group: impl Into<Input<AutoScalingGroupName>>, start: impl Into<String>) -> Self {
        Self { start: Some(start.into()), ..Self::of(group.into()) }
    }

    fn of(group: Input<AutoScalingGroupName>) -> Self {
        Self {
            name: None,
            group,
            recurrence: None,
            time_zone: None,
            start: None,
            end: None,
            min: None,
            max: None,
            desired: None,
        }
    }

    fn action_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }
}

impl AwsResource for ScheduledAction {}

impl Described for ScheduledAction {
    type Client = Aws;
    type Api = Client;
    type Description = (AutoScalingGroupName, types::ScheduledUpdateGroupAction);

    // Sending PutScheduledUpdateGroupAction twice has the effect of sending it once, and the group belongs to the program.
    const FOUND_BY: FoundBy = FoundBy::Key;

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |wrong: bool, property: &str, message: &str| {
            if wrong {
                problems.push(Problem::new(property, message));
            }
        };
        let bad_name =
            self.name.as_deref().is_some_and(|name| name.is_empty() || name.len() > 255 || name.contains(':'));
        refuse(bad_name, "name", "a name has 1 to 255 characters and no `:`");
        let never = self.recurrence.is_none() && self.start.is_none();
        refuse(never, "start", "an action needs a `start` or a `recurrence`");
        let fields = self.recurrence.as_deref().map(|recurrence| recurrence.split_whitespace().count());
        refuse(
            fields.is_some_and(|fields| fields != 5),
            "recurrence",
            "a recurrence has five fields, such as `0 8 * * MON-FRI`",
        );
        let zone_without_recurrence = self.time_zone.is_some() && self.recurrence.is_none();
        refuse(
            zone_without_recurrence,
            "time_zone",
            "a time zone applies to a `recurrence` only; `start` and `end` contain theirs",
        );
        let nothing = self.min.is_none() && self.max.is_none() && self.desired.is_none();
        refuse(nothing, "desired", "an action changes at least one of `min`, `max` and `desired`");
        refuse(self.min.zip(self.max).is_some_and(|(min, max)| min > max), "max", "`max` cannot be less than `min`");
        for (property, text) in [("start", &self.start), ("end", &self.end)] {
            let bad = text.as_deref().is_some_and(|text| time(text).is_err());
            refuse(bad, property, "a time is written like `2030-01-31T08:00:00Z`");
        }
        problems
    }

    async fn create(cx: &Context<'_>, client: &Client, inputs: &Self) -> Result<Self::Description> {
        put(cx, client, &id_in(&inputs.group.known()?, &inputs.action_name(cx)), inputs).await
    }

    async fn apply(cx: &Context<'_>, client: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let (id, new) = (update.id, update.new);
        let Some(old) = update.old else { return Ok(update.outputs.clone()) };
        // PutScheduledUpdateGroupAction does not change what it omits.
        let omitted = [
            old.recurrence.is_some() && new.recurrence.is_none(),
            old.start.is_some() && new.start.is_none(),
            old.time_zone.is_some() && new.time_zone.is_none(),
            old.end.is_some() && new.end.is_none(),
            old.min.is_some() && new.min.is_none(),
            old.max.is_some() && new.max.is_none(),
            old.desired.is_some() && new.desired.is_none(),
        ];
        if omitted.contains(&true) {
            found(remove(client, id).await?)?;
        }
        let changed = put(cx, client, id, new).await?;
        Ok(Self::normalize(&changed, Some(new)).outputs)
    }

    async fn delete(_: &Context<'_>, client: &Client, prior: &Prior<Self>) -> Result<()> {
        deleted_with_group(remove(client, &Self::id_of(prior)).await?)
    }

    fn id_of(prior: &Prior<Self>) -> Cow<'_, str> {
        recorded_id(&prior.id, &prior.inputs.group)
    }

    async fn describe(_: &Context<'_>, client: &Client, id: &str) -> Result<Option<Self::Description>> {
        let (group, name) = parts(id, "ACTION")?;
        let call = client.describe_scheduled_actions().auto_scaling_group_name(group.as_str());
        let response = call.scheduled_action_names(name).send().await;
        let response = found(classified(response.context("DescribeScheduledActions")))?;
        let action = response.and_then(|response| response.scheduled_update_group_actions?.pop());
        Ok(action.map(|action| (group, action)))
    }

    async fn find_created(cx: &Context<'_>, client: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        Self::describe(cx, client, &id_in(&inputs.group.known()?, &inputs.action_name(cx))).await
    }

    fn normalize((group, action): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let name = action.scheduled_action_name().unwrap_or_default();
        let number = |value: Option<i32>| value.map(i32::cast_unsigned);
        let recorded_start = recorded.and_then(|recorded| recorded.start.as_ref());
        Created {
            id: id_in(group, name),
            inputs: Some(Self {
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.to_owned()),
                group: group.clone().into(),
                recurrence: action.recurrence().map(str::to_owned),
                time_zone: action.time_zone().map(str::to_owned),
                // The description of a recurring action contains its next time instead of its first one.
                start: match action.recurrence() {
                    Some(_) => recorded_start.cloned(),
                    None => recorded_spelling(action.start_time(), recorded_start),
                },
                end: recorded_spelling(action.end_time(), recorded.and_then(|recorded| recorded.end.as_ref())),
                min: number(action.min_size()),
                max: number(action.max_size()),
                desired: number(action.desired_capacity()),
            }),
            outputs: ScheduledActionOutputs {
                arn: Arn::from(action.scheduled_action_arn().unwrap_or_default()).into(),
                name: name.into(),
            },
        }
    }
}

/// Creates or changes the action, and returns its description.
async fn put(
    cx: &Context<'_>,
    client: &Client,
    id: &str,
    inputs: &ScheduledAction,
) -> Result<(AutoScalingGroupName, types::ScheduledUpdateGroupAction)> {
    let (group, name) = parts(id, "ACTION")?;
    let parsed = |text: &Option<String>| text.as_deref().map(time).transpose();
    // The API refuses a start in the past, which a recurring action may have.
    let start = parsed(&inputs.start)?.filter(|start| inputs.recurrence.is_none() || start.secs() > now());
    client
        .put_scheduled_update_group_action()
        .auto_scaling_group_name(group.as_str())
        .scheduled_action_name(name)
        .set_recurrence(inputs.recurrence.clone())
        .set_time_zone(inputs.time_zone.clone())
        .set_start_time(start)
        .set_end_time(parsed(&inputs.end)?)
        .set_min_size(inputs.min.map(u32::cast_signed))
        .set_max_size(inputs.max.map(u32::cast_signed))
        .set_desired_capacity(inputs.desired.map(u32::cast_signed))
        .send()
        .await
        .context("PutScheduledUpdateGroupAction")?;
    wait::until(cx, "waiting until the action is visible", wait::CONSISTENCY, async || {
        ScheduledAction::describe(cx, client, id).await
    })
    .await
}

async fn remove(client: &Client, id: &str) -> Result<Result<(), AwsError>> {
    let (group, name) = parts(id, "ACTION")?;
    let call = client.delete_scheduled_action().auto_scaling_group_name(group.as_str()).scheduled_action_name(name);
    Ok(classified(call.send().await.context("DeleteScheduledAction")).map(drop))
}

/// Returns the existing time, in the recorded spelling if it is the same.
fn recorded_spelling(existing: Option<&DateTime>, recorded: Option<&String>) -> Option<String> {
    let existing = existing?;
    let same = recorded.filter(|text| time(text).is_ok_and(|time| time.secs() == existing.secs()));
    same.cloned().or_else(|| existing.fmt(DateTimeFormat::DateTime).ok())
}

fn time(text: &str) -> Result<DateTime> {
    DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset)
        .map_err(|error| ProviderError::refused(format!("`{text}` is no time such as 2030-01-31T08:00:00Z: {error}")))
}

fn now() -> i64 {
    DateTime::from(std::time::SystemTime::now()).secs()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn action() -> ScheduledAction {
        ScheduledAction {
            min: Some(2),
            ..ScheduledAction::recurring(AutoScalingGroupName::from("web"), "0 8 * * MON-FRI")
        }
    }

    #[test]
    fn check_names_the_properties() {
        let problems = |action: ScheduledAction| -> Vec<String> {
            action.check().into_iter().map(|problem| problem.property).collect()
        };
        assert!(problems(action()).is_empty());
        assert_eq!(problems(ScheduledAction { recurrence: None, ..action() }), ["start"]);
        assert_eq!(problems(ScheduledAction { recurrence: Some("daily".into()), ..action() }), ["recurrence"]);
        assert_eq!(problems(ScheduledAction { min: None, ..action() }), ["desired"]);
        assert_eq!(problems(ScheduledAction { max: Some(1), ..action() }), ["max"]);
        assert_eq!(problems(ScheduledAction { end: Some("tomorrow".into()), ..action() }), ["end"]);
        let once = ScheduledAction { time_zone: Some("UTC".into()), desired: Some(1), ..once() };
        assert_eq!(problems(once), ["time_zone"]);
    }

    fn once() -> ScheduledAction {
        ScheduledAction::once(AutoScalingGroupName::from("web"), "2030-01-31T09:00:00+01:00")
    }

    #[test]
    fn next_time_of_a_recurring_action_is_no_drift() {
        let json = |inputs: &ScheduledAction| serde_json::to_value(inputs).unwrap();
        let read = |existing, recorded: &ScheduledAction| {
            let existing = (AutoScalingGroupName::from("web"), existing);
            json(&ScheduledAction::normalize(&existing, Some(recorded)).inputs.unwrap())
        };
        let existing = types::ScheduledUpdateGroupAction::builder()
            .scheduled_action_name("morning")
            .recurrence("0 8 * * MON-FRI")
            .start_time(time("2030-01-31T08:00:00Z").unwrap())
            .min_size(2)
            .build();
        assert_eq!(read(existing, &action()), json(&action()));
        let recorded = ScheduledAction { desired: Some(3), ..once() };
        let existing = types::ScheduledUpdateGroupAction::builder()
            .scheduled_action_name("once")
            .start_time(time("2030-01-31T08:00:00Z").unwrap())
            .desired_capacity(3)
            .build();
        assert_eq!(read(existing, &recorded), json(&recorded), "the same time in another zone");
    }
}
