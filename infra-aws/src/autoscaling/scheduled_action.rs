//! `aws:autoscaling:ScheduledAction`: another size at a certain time.

use super::{import_id, named};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{Arn, AutoScalingGroupName},
    region::AwsResource,
    wait,
};
use aws_sdk_autoscaling::{
    Client,
    primitives::{DateTime, DateTimeFormat},
    types::ScheduledUpdateGroupAction as Described,
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};

/// Gives a group another size, once or again and again.
///
/// Made and changed by `PutScheduledUpdateGroupAction`. An action that is due once is gone when it was carried out, and
/// would be made anew by the next run: take it out of the program then.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScheduledAction {
    /// Its name, unique in the group; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// The name of the group.
    pub group: Input<AutoScalingGroupName>,
    /// When, as cron writes it: `0 8 * * MON-FRI`.
    pub recurrence: Option<String>,
    /// The zone that the recurrence is meant in, such as `Europe/Berlin`; UTC when not given.
    pub time_zone: Option<String>,
    /// When it is due first, or once, such as `2030-01-31T08:00:00Z`.
    pub start: Option<String>,
    /// When it is due no more, in the same form.
    pub end: Option<String>,
    /// How many instances there are at least from then on.
    pub min: Option<u32>,
    /// How many instances there are at most from then on.
    pub max: Option<u32>,
    /// How many instances there should be from then on.
    pub desired: Option<u32>,
}

/// What a [`ScheduledAction`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScheduledActionOutputs {
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<ScheduledAction>>,
    /// Its name.
    pub name: Output<String>,
}

impl ScheduledAction {
    /// Again and again, at times that cron would choose, in UTC.
    pub fn recurring(group: impl Into<Input<AutoScalingGroupName>>, recurrence: impl Into<String>) -> Self {
        Self { recurrence: Some(recurrence.into()), ..Self::of(group.into()) }
    }

    /// Once, at a time such as `2030-01-31T08:00:00Z`.
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

    fn action_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }
}

impl Resource for ScheduledAction {
    const TYPE: &'static str = "aws:autoscaling:ScheduledAction";
    type Outputs = ScheduledActionOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name", "group"]).regional(["arn"])
    }
}

impl AwsResource for ScheduledAction {}

impl Handler for ScheduledAction {
    type Client = Aws;

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
        refuse(never, "start", "an action takes a `start` or a `recurrence`");
        let fields = self.recurrence.as_deref().map(|recurrence| recurrence.split_whitespace().count());
        refuse(fields.is_some_and(|fields| fields != 5), "recurrence", "it has five fields, such as `0 8 * * MON-FRI`");
        let zoned = self.time_zone.is_some() && self.recurrence.is_none();
        refuse(zoned, "time_zone", "only a `recurrence` is meant in a zone; `start` and `end` bear theirs");
        let nothing = self.min.is_none() && self.max.is_none() && self.desired.is_none();
        refuse(nothing, "desired", "an action changes at least one of `min`, `max` and `desired`");
        refuse(self.min.zip(self.max).is_some_and(|(min, max)| min > max), "max", "it cannot be less than `min`");
        for (property, text) in [("start", &self.start), ("end", &self.end)] {
            let bad = text.as_deref().is_some_and(|text| time(text).is_err());
            refuse(bad, property, "a time is written like `2030-01-31T08:00:00Z`");
        }
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let name = inputs.action_name(cx);
        let outputs = put(cx, &client, &name, inputs).await?;
        Ok(Created::new(name, outputs))
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let action = describe(&client, &prior.inputs.group.known()?, &prior.id).await?;
        Ok(action.map(|action| live(&action, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        // What is left out of the call would stay as it was.
        let cleared = [
            prior.inputs.recurrence.is_some() && inputs.recurrence.is_none(),
            prior.inputs.start.is_some() && inputs.start.is_none(),
            prior.inputs.time_zone.is_some() && inputs.time_zone.is_none(),
            prior.inputs.end.is_some() && inputs.end.is_none(),
            prior.inputs.min.is_some() && inputs.min.is_none(),
            prior.inputs.max.is_some() && inputs.max.is_none(),
            prior.inputs.desired.is_some() && inputs.desired.is_none(),
        ];
        if cleared.contains(&true) {
            found(remove(&client, &inputs.group.known()?, &prior.id).await)?;
        }
        put(cx, &client, &prior.id, inputs).await
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        match remove(&client, &prior.inputs.group.known()?, &prior.id).await {
            // The group takes its schedule with it.
            Err(error) if error.is(&["ScalingActivityInProgress"]) => Ok(()),
            answer => Ok(answer?),
        }
    }

    /// By `GROUP/ACTION`.
    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let (group, name) = import_id(id, "ACTION")?;
        let recorded = Self { name: Some(name.to_owned()), ..Self::of(group.clone().into()) };
        Ok(describe(&client, &group, name).await?.map(|action| live(&action, &recorded)))
    }

    fn recovery() -> Recovery<Self> {
        // PutScheduledUpdateGroupAction is the same done twice, and the group is the program's own.
        Recovery::key(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let client = cx.client().autoscaling(cx.region()?).await;
                let action = describe(&client, &inputs.group.known()?, &inputs.action_name(cx)).await?;
                Ok(Found::from(action.map(|action| live(&action, inputs))))
            })
        })
    }
}

async fn put(
    cx: &Context<'_, Aws>,
    client: &Client,
    name: &str,
    inputs: &ScheduledAction,
) -> Result<ScheduledActionOutputs, ProviderError> {
    let group = inputs.group.known()?;
    let moment = |text: &Option<String>| text.as_deref().map(time).transpose();
    // A recurring action that began long ago goes on; its beginning is no news.
    let start = moment(&inputs.start)?.filter(|start| inputs.recurrence.is_none() || start.secs() > now());
    client
        .put_scheduled_update_group_action()
        .auto_scaling_group_name(group.as_str())
        .scheduled_action_name(name)
        .set_recurrence(inputs.recurrence.clone())
        .set_time_zone(inputs.time_zone.clone())
        .set_start_time(start)
        .set_end_time(moment(&inputs.end)?)
        .set_min_size(inputs.min.map(u32::cast_signed))
        .set_max_size(inputs.max.map(u32::cast_signed))
        .set_desired_capacity(inputs.desired.map(u32::cast_signed))
        .send()
        .await
        .context("PutScheduledUpdateGroupAction")?;
    let status = "waiting until the action is seen";
    let look = async || Ok(describe(client, &group, name).await?);
    let action = wait::until(cx, status, wait::CONSISTENCY, look).await?;
    Ok(outputs(&action))
}

async fn remove(client: &Client, group: &AutoScalingGroupName, name: &str) -> Result<(), AwsError> {
    let call = client.delete_scheduled_action().auto_scaling_group_name(group.as_str()).scheduled_action_name(name);
    named(call.send().await.context("DeleteScheduledAction")).map(drop)
}

async fn describe(client: &Client, group: &AutoScalingGroupName, name: &str) -> Result<Option<Described>, AwsError> {
    let call = client.describe_scheduled_actions().auto_scaling_group_name(group.as_str()).scheduled_action_names(name);
    let answer = found(named(call.send().await.context("DescribeScheduledActions")))?;
    Ok(answer.and_then(|answer| answer.scheduled_update_group_actions.unwrap_or_default().pop()))
}

/// The action as it lives, in the words of the recorded inputs where they say the same.
fn live(action: &Described, recorded: &ScheduledAction) -> Created<ScheduledAction> {
    let name = action.scheduled_action_name().unwrap_or_default();
    let number = |value: Option<i32>| value.map(i32::cast_unsigned);
    let recurs = action.recurrence().is_some();
    let inputs = ScheduledAction {
        name: recorded.name.as_ref().map(|_| name.to_owned()),
        group: recorded.group.clone(),
        recurrence: action.recurrence().map(str::to_owned),
        time_zone: action.time_zone().map(str::to_owned),
        // Of a recurring action AWS tells its next time, not its first.
        start: if recurs { recorded.start.clone() } else { spelled(action.start_time(), recorded.start.as_ref()) },
        end: spelled(action.end_time(), recorded.end.as_ref()),
        min: number(action.min_size()),
        max: number(action.max_size()),
        desired: number(action.desired_capacity()),
    };
    Created { id: name.to_owned(), inputs: Some(inputs), outputs: outputs(action) }
}

fn outputs(action: &Described) -> ScheduledActionOutputs {
    ScheduledActionOutputs {
        arn: Arn::from(action.scheduled_action_arn().unwrap_or_default()).into(),
        name: action.scheduled_action_name().unwrap_or_default().into(),
    }
}

/// A time, as it was recorded when it is the same.
fn spelled(living: Option<&DateTime>, recorded: Option<&String>) -> Option<String> {
    let living = living?;
    let same = recorded.filter(|text| time(text).is_ok_and(|time| time.secs() == living.secs()));
    same.cloned().or_else(|| living.fmt(DateTimeFormat::DateTime).ok())
}

fn time(text: &str) -> Result<DateTime, ProviderError> {
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
    fn what_cannot_be_due_is_refused() {
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
    fn the_next_time_of_a_recurring_action_is_no_drift() {
        let json = |inputs: &ScheduledAction| serde_json::to_value(inputs).unwrap();
        let lives = Described::builder()
            .scheduled_action_name("morning")
            .recurrence("0 8 * * MON-FRI")
            .start_time(time("2030-01-31T08:00:00Z").unwrap())
            .min_size(2)
            .build();
        assert_eq!(json(&live(&lives, &action()).inputs.unwrap()), json(&action()));
        let recorded = ScheduledAction { desired: Some(3), ..once() };
        let lives = Described::builder()
            .scheduled_action_name("once")
            .start_time(time("2030-01-31T08:00:00Z").unwrap())
            .desired_capacity(3)
            .build();
        assert_eq!(json(&live(&lives, &recorded).inputs.unwrap()), json(&recorded), "the same time in another zone");
    }
}
