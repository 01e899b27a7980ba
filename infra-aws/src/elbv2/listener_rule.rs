//! `aws:elb:ListenerRule`: the action of a listener for some of its requests.

use super::{
    action::Action,
    condition::{self, Condition},
    listener::Listener,
    retag, tags_of,
};
use crate::prelude::*;
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{self, RulePriorityPair},
};

/// A rule of a listener: an action for the requests that meet all of its conditions.
///
/// Rules are evaluated in the order of their priorities. A request that meets none of them gets the action of the
/// [`Listener`].
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// # let balancer = virginia.add("balancer", LoadBalancer::application(network.subnets, []));
/// # let web = virginia.add("web", TargetGroup::http(8080, &network.vpc_id));
/// # let listener = virginia.add("listener", Listener::http(80, balancer.arn).forward(web.arn));
/// let api = virginia.add("api", TargetGroup::http(8081, &network.vpc_id));
/// let conditions = [Condition::host(["shop.example.org"]), Condition::path(["/api/*"])];
/// virginia.add("api-rule", ListenerRule::new(listener.arn, 10, conditions, Action::forward(api.arn)));
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateRule`
/// - Read: `DescribeRules`, `DescribeTags`
/// - Update: those of a read, `ModifyRule`, `SetRulePriorities`, `AddTags`, `RemoveTags`
/// - Delete: `DeleteRule`
///
/// # Replacement
/// A change of `listener` replaces the rule. The previous rule is deleted first, because two rules of a listener cannot
/// have the same priority. All other changes, of the priority too, are made in place.
///
/// # Import
/// The import takes the ARN of the rule. Its action has to forward, redirect or respond, and its conditions have no
/// regular expressions. The default rule is imported with its listener.
///
/// ```console
/// $ stack import aws:elb:ListenerRule api-rule arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:elb:ListenerRule", delete_before_replace)]
pub struct ListenerRule {
    /// ARN of the listener. A change replaces the rule.
    #[resource(replace)]
    pub listener: Input<Arn<Listener>>,
    /// Priority, 1 to 50,000, unique for the listener. Of the rules whose conditions a request meets, the one with the
    /// lowest number applies.
    pub priority: u32,
    /// Conditions, all of which a request has to meet: at least one, with at most 5 values together.
    pub conditions: Vec<Condition>,
    /// Action for the requests that meet the conditions.
    pub action: Action,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`ListenerRule`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct ListenerRuleOutputs {
    /// Amazon Resource Name of the rule.
    #[output(regional)]
    pub arn: Output<Arn<ListenerRule>>,
}

impl ListenerRule {
    /// Returns a rule with this priority:
    /// `ListenerRule::new(listener.arn, 10, [Condition::path(["/api/*"])], Action::forward(api.arn))`.
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

impl AwsResource for ListenerRule {}

impl Described for ListenerRule {
    type Client = Aws;
    type Api = Client;
    type Description = (types::Rule, Vec<types::Tag>);

    const FOUND_BY: FoundBy = FoundBy::Key;
    const CONFLICT: &'static str = "choose another priority, or delete the listener's rule that has it";

    fn check(&self) -> Vec<Problem> {
        let mut problems = condition::problems(&self.conditions);
        problems.extend(self.action.problems("action"));
        if !(1..=50_000).contains(&self.priority) {
            problems.push(Problem::new("priority", "a priority is 1 to 50,000"));
        }
        problems
    }

    fn check_import((rule, _): &Self::Description) -> Result<()> {
        let arn = rule.rule_arn().unwrap_or_default();
        if rule.is_default() == Some(true) {
            return Err(ProviderError::refused(format!("`{arn}` is the default rule of its listener"))
                .hint("import the listener: the default rule is its action"));
        }
        let declarable = rule.conditions().iter().all(|condition| Condition::from_sdk(condition).is_some());
        if declarable && Action::from_sdk(rule.actions()).is_some() {
            return Ok(());
        }
        Err(ProviderError::refused(format!("the rule `{arn}` has an action or a condition that cannot be declared"))
            .hint("only forward, redirect and fixed-response actions can be declared, without regular expressions"))
    }

    async fn create(cx: &Context<'_>, elbv2: &Client, inputs: &Self) -> Result<Self::Description> {
        let response = elbv2
            .create_rule()
            .listener_arn(inputs.listener.known()?.as_str())
            .priority(inputs.priority.cast_signed())
            .set_conditions(Some(inputs.conditions.iter().map(Condition::to_sdk).collect()))
            .actions(inputs.action.to_sdk()?)
            .set_tags(Some(tags::for_create(cx, &inputs.tags)))
            .send()
            .await
            .context("CreateRule")?;
        let created = response.rules.and_then(|mut created| created.pop());
        Ok((created.ok_or_else(|| ProviderError::unsure("CreateRule returned no rule"))?, Vec::new()))
    }

    async fn apply(cx: &Context<'_>, elbv2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let Some(old) = update.old else { return Ok(update.outputs.clone()) };
        let (arn, new) = (update.id, update.new);
        let (rule, _) = Self::require(cx, elbv2, arn).await?;
        let same_action = Action::from_sdk(rule.actions()).is_some_and(|action| action.is_same(&new.action));
        if !same_action || conditions_of(&rule) != new.conditions {
            elbv2
                .modify_rule()
                .rule_arn(arn)
                .set_conditions(Some(new.conditions.iter().map(Condition::to_sdk).collect()))
                .actions(new.action.to_sdk()?)
                .send()
                .await
                .context("ModifyRule")?;
        }
        if priority_of(&rule) != Some(new.priority) {
            let pair = RulePriorityPair::builder().rule_arn(arn).priority(new.priority.cast_signed()).build();
            elbv2.set_rule_priorities().rule_priorities(pair).send().await.context("SetRulePriorities")?;
        }
        retag(elbv2, arn, Some(&old.tags), &new.tags).await?;
        Ok(update.outputs.clone())
    }

    async fn delete(_: &Context<'_>, elbv2: &Client, prior: &Prior<Self>) -> Result<()> {
        elbv2.delete_rule().rule_arn(&prior.id).send().await.context("DeleteRule")?;
        Ok(())
    }

    async fn describe(_: &Context<'_>, elbv2: &Client, arn: &str) -> Result<Option<Self::Description>> {
        let response = found(elbv2.describe_rules().rule_arns(arn).send().await.context("DescribeRules"))?;
        let Some(rule) = response.and_then(|response| response.rules?.pop()) else { return Ok(None) };
        Ok(Some((rule, tags_of(elbv2, arn).await?)))
    }

    /// Finds the rule by the listener and the priority.
    async fn find_created(cx: &Context<'_>, elbv2: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let listener = inputs.listener.known()?;
        let mut pages = elbv2.describe_rules().listener_arn(listener.as_str()).into_paginator().items().send();
        while let Some(rule) = pages.next().await {
            let Some(rule) = found(rule.context("DescribeRules"))? else { return Ok(None) };
            if priority_of(&rule) == Some(inputs.priority) {
                let tags = tags_of(elbv2, rule.rule_arn().unwrap_or_default()).await?;
                return Ok(tags::are_of_operation(cx, &tags).then_some((rule, tags)));
            }
        }
        Ok(None)
    }

    fn normalize((rule, tags): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let arn = rule.rule_arn().unwrap_or_default();
        let same = |action: &Action| recorded.is_some_and(|recorded| action.is_same(&recorded.action));
        let action = Action::from_sdk(rule.actions()).filter(|action| !same(action));
        let recorded_action = || recorded.map(|recorded| recorded.action.clone());
        Created {
            id: arn.to_owned(),
            inputs: Some(Self {
                listener: recorded.map_or_else(|| listener_of(arn).into(), |recorded| recorded.listener.clone()),
                priority: priority_of(rule).or(recorded.map(|recorded| recorded.priority)).unwrap_or_default(),
                conditions: conditions_of(rule),
                action: action.or_else(recorded_action).unwrap_or_else(|| Action::fixed_response(503, "")),
                tags: tags::declared(tags, recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: ListenerRuleOutputs { arn: Arn::from(arn).into() },
        }
    }
}

/// Returns the ARN of the rule's listener, to which the ARN of the rule adds a part.
fn listener_of(rule: &str) -> Arn<Listener> {
    let listener = rule.replacen(":listener-rule/", ":listener/", 1);
    Arn::from(listener.rsplit_once('/').map_or(listener.as_str(), |(listener, _)| listener))
}

fn conditions_of(rule: &types::Rule) -> Vec<Condition> {
    rule.conditions().iter().filter_map(Condition::from_sdk).collect()
}

/// Returns the priority; none for the default rule.
fn priority_of(rule: &types::Rule) -> Option<u32> {
    rule.priority()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> ListenerRule {
        let listener = Arn::from("arn:aws:elasticloadbalancing:r:1:listener/app/web/1/2");
        ListenerRule::new(listener, 10, [Condition::path(["/a/*"])], Action::redirect_to_https())
    }

    #[test]
    fn existing_rule_as_declared_shows_no_drift() {
        let json = |inputs: &ListenerRule| serde_json::to_value(inputs).ok();
        let action = rule().action.to_sdk().ok();
        let existing = types::Rule::builder().rule_arn("arn:aws:elasticloadbalancing:r:1:listener-rule/app/web/1/2/3");
        let existing = existing.priority("10").set_actions(action.map(|action| vec![action]));
        let existing = existing.conditions(Condition::path(["/a/*"]).to_sdk());
        let read = |existing: types::Rule| ListenerRule::normalize(&(existing, Vec::new()), Some(&rule())).inputs;
        assert_eq!(read(existing.clone().build()).as_ref().and_then(json), json(&rule()));
        assert_eq!(read(existing.priority("11").build()).map(|inputs| inputs.priority), Some(11));
    }

    #[test]
    fn arn_of_a_rule_contains_its_listener() {
        let listener = listener_of("arn:aws:elasticloadbalancing:r:1:listener-rule/app/web/1/2/3");
        assert_eq!(Some(listener), rule().listener.known().ok());
    }

    #[test]
    fn check_names_the_properties() {
        assert!(rule().check().is_empty());
        let bad =
            ListenerRule { priority: 0, conditions: Vec::new(), action: Action::fixed_response(302, ""), ..rule() };
        let properties: Vec<_> = bad.check().into_iter().map(|problem| problem.property).collect();
        assert_eq!(properties, ["conditions", "action", "priority"]);
    }
}
