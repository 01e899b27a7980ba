//! `aws:elbv2:ListenerRule`: what a listener does with some of its requests.

use super::{
    action::Action,
    condition::{self, Condition},
    is_ours,
    listener::Listener,
    own_tags,
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::Arn,
    region::AwsResource,
    tags,
};
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{Rule as Described, RulePriorityPair},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A rule of a listener: what is done with the requests that meet all of its conditions.
///
/// Made by `CreateRule`; conditions and action are changed in place by `ModifyRule`, the priority by
/// `SetRulePriorities`, tags by `AddTags` and `RemoveTags`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListenerRule {
    /// The listener.
    pub listener: Input<Arn<Listener>>,
    /// Its place, 1 to 50,000: of the rules that a request meets, the one with the lowest counts.
    pub priority: u32,
    /// What a request must be like: all of it.
    pub conditions: Vec<Condition>,
    /// What is done with it.
    pub action: Action,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`ListenerRule`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListenerRuleOutputs {
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<ListenerRule>>,
}

impl ListenerRule {
    /// A rule in this place: `ListenerRule::new(listener.arn, 10, [Condition::path(["/api/*"])], Action::forward(api.arn))`.
    pub fn new(
        listener: impl Into<Input<Arn<Listener>>>,
        priority: u32,
        conditions: impl IntoIterator<Item = Condition>,
        action: Action,
    ) -> Self {
        let conditions = conditions.into_iter().collect();
        Self { listener: listener.into(), priority, conditions, action, tags: BTreeMap::new() }
    }
}

impl Resource for ListenerRule {
    const TYPE: &'static str = "aws:elbv2:ListenerRule";
    type Outputs = ListenerRuleOutputs;

    fn schema() -> Schema {
        // Two rules of a listener cannot have one priority.
        Schema::new().replace_on(["listener"]).delete_before_replace().regional(["arn"])
    }
}

impl AwsResource for ListenerRule {}

impl Handler for ListenerRule {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems = condition::problems(&self.conditions);
        problems.extend(self.action.problems("action"));
        if !(1..=50_000).contains(&self.priority) {
            problems.push(Problem::new("priority", "a priority is from 1 to 50,000"));
        }
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let answer = elbv2
            .create_rule()
            .listener_arn(inputs.listener.known()?.as_str())
            .priority(inputs.priority.cast_signed())
            .set_conditions(Some(inputs.conditions.iter().map(Condition::wanted).collect()))
            .actions(inputs.action.wanted()?)
            .set_tags(Some(tags::elbv2_with(cx, &inputs.tags)))
            .send()
            .await
            .context("CreateRule");
        let rule = match answer {
            Ok(answer) => answer.rules.unwrap_or_default().pop().ok_or_else(|| lost("that was made"))?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.is(&["PriorityInUse"]) => ours(cx, &elbv2, inputs).await?.ok_or_else(|| {
                error.hint("the listener has another rule in this place: choose another priority, or delete that rule")
            })?,
            Err(error) => return Err(error.into()),
        };
        Ok(Created { inputs: None, ..created(&rule, inputs, inputs.tags.clone()) })
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let Some(rule) = describe(&elbv2, &prior.id).await? else {
            return Ok(None);
        };
        let tags = own_tags(&elbv2, &prior.id, &prior.inputs.tags).await?;
        Ok(Some(created(&rule, &prior.inputs, tags)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let rule = describe(&elbv2, &prior.id).await?.ok_or_else(|| lost(&prior.id))?;
        let living = created(&rule, inputs, BTreeMap::new()).inputs;
        let same = |living: &Self| living.conditions == inputs.conditions && living.action.is_same(&inputs.action);
        if !living.as_ref().is_some_and(same) {
            elbv2
                .modify_rule()
                .rule_arn(&prior.id)
                .set_conditions(Some(inputs.conditions.iter().map(Condition::wanted).collect()))
                .actions(inputs.action.wanted()?)
                .send()
                .await
                .context("ModifyRule")?;
        }
        if rule.priority() != Some(inputs.priority.to_string().as_str()) {
            let place = RulePriorityPair::builder().rule_arn(&prior.id).priority(inputs.priority.cast_signed());
            let call = elbv2.set_rule_priorities().rule_priorities(place.build());
            call.send().await.context("SetRulePriorities")?;
        }
        tags::elbv2_retag(&elbv2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        elbv2.delete_rule().rule_arn(&prior.id).send().await.context("DeleteRule")?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let Some(rule) = describe(&elbv2, id).await? else {
            return Ok(None);
        };
        if rule.is_default() == Some(true) {
            return Err(ProviderError::refused(format!("`{id}` is the default rule of its listener"))
                .hint("import the listener: the default rule is its action"));
        }
        if Action::living(rule.actions()).is_none()
            || rule.conditions().iter().any(|one| Condition::living(one).is_none())
        {
            return Err(ProviderError::refused(format!(
                "the rule `{id}` has an action or a condition that cannot be declared here"
            ))
            .hint("only forward, redirect and fixed-response actions can be declared, without regular expressions"));
        }
        // The last part of a rule's ARN is its own; the rest names its listener.
        let listener = id.replacen(":listener-rule/", ":listener/", 1);
        let listener = listener.rsplit_once('/').map_or(listener.as_str(), |(listener, _)| listener);
        let unsaid = Self::new(Arn::from(listener), 1, [], Action::fixed_response(503, ""));
        Ok(Some(created(&rule, &unsaid, BTreeMap::new())))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::key(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let elbv2 = cx.client().elbv2(cx.region()?).await;
                let rule = ours(cx, &elbv2, inputs).await?;
                Ok(Found::from(rule.map(|rule| created(&rule, inputs, inputs.tags.clone()))))
            })
        })
    }
}

async fn describe(elbv2: &Client, arn: &str) -> Result<Option<Described>, AwsError> {
    let answer = elbv2.describe_rules().rule_arns(arn).send().await.context("DescribeRules");
    Ok(found(answer)?.and_then(|answer| answer.rules.unwrap_or_default().pop()))
}

/// The listener's rule in this place, if this very operation made it.
async fn ours(
    cx: &Context<'_, Aws>,
    elbv2: &Client,
    inputs: &ListenerRule,
) -> Result<Option<Described>, ProviderError> {
    let (listener, place) = (inputs.listener.known()?, inputs.priority.to_string());
    let mut pages = elbv2.describe_rules().listener_arn(listener.as_str()).into_paginator().items().send();
    while let Some(rule) = pages.next().await {
        match found(rule.context("DescribeRules"))? {
            None => return Ok(None),
            Some(rule) if rule.priority() != Some(place.as_str()) => {}
            Some(rule) => {
                let ours = is_ours(cx, elbv2, rule.rule_arn().unwrap_or_default()).await?;
                return Ok(ours.then_some(rule));
            }
        }
    }
    Ok(None)
}

fn lost(rule: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the rule {rule} is gone"))
}

/// The rule as it lives, in the words of the recorded inputs where they say the same.
fn created(rule: &Described, recorded: &ListenerRule, tags: BTreeMap<String, String>) -> Created<ListenerRule> {
    let arn = rule.rule_arn().unwrap_or_default();
    let action = Action::living(rule.actions()).filter(|living| !living.is_same(&recorded.action));
    Created {
        id: arn.to_owned(),
        inputs: Some(ListenerRule {
            listener: recorded.listener.clone(),
            priority: rule.priority().and_then(|priority| priority.parse().ok()).unwrap_or(recorded.priority),
            conditions: rule.conditions().iter().filter_map(Condition::living).collect(),
            action: action.unwrap_or_else(|| recorded.action.clone()),
            tags,
        }),
        outputs: ListenerRuleOutputs { arn: Arn::from(arn).into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> ListenerRule {
        ListenerRule::new(Arn::from("arn:l"), 10, [Condition::path(["/a/*"])], Action::redirect_to_https())
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let json = |inputs: &ListenerRule| serde_json::to_value(inputs).ok();
        let wanted = rule().action.wanted().ok();
        let lives =
            Described::builder().rule_arn("arn:r").priority("10").set_actions(wanted.map(|action| vec![action]));
        let lives = lives.conditions(Condition::path(["/a/*"]).wanted());
        let read = created(&lives.clone().build(), &rule(), BTreeMap::new()).inputs;
        assert_eq!(read.as_ref().and_then(json), json(&rule()));
        let read = created(&lives.priority("11").build(), &rule(), BTreeMap::new()).inputs;
        assert_eq!(read.map(|inputs| inputs.priority), Some(11));
    }

    #[test]
    fn check_names_what_is_wrong() {
        assert!(rule().check().is_empty());
        let bad =
            ListenerRule { priority: 0, conditions: Vec::new(), action: Action::fixed_response(302, ""), ..rule() };
        let properties: Vec<_> = bad.check().into_iter().map(|problem| problem.property).collect();
        assert_eq!(properties, ["conditions", "action", "priority"]);
    }
}
