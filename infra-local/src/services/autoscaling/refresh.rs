//! Instance refreshes.

use uuid::Uuid;

use super::{NAME, PAGES, named, named_mut, number, page, parse, resource, switch, validation};
use crate::domain::autoscaling::roll_back;
use crate::model::Cloud;
use crate::model::autoscaling::{Group, Preferences, ProtectedInstances, Refresh, RefreshStatus};
use crate::model::ec2::launch_template::TemplateReference;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("StartInstanceRefresh", start, &[NAME, START]).on(&[resource::GROUP]),
    Operation::reads("DescribeInstanceRefreshes", describe, &[NAME, &["InstanceRefreshIds.N"], PAGES]).on_any(),
    Operation::writes("CancelInstanceRefresh", cancel, &[NAME, &["WaitForTransitioningInstances"]])
        .on(&[resource::GROUP]),
    Operation::writes("RollbackInstanceRefresh", rollback, &[NAME]).on(&[resource::GROUP]),
];

const START: &[&str] = &[
    "Strategy",
    "DesiredConfiguration.LaunchTemplate.LaunchTemplateId",
    "DesiredConfiguration.LaunchTemplate.LaunchTemplateName",
    "DesiredConfiguration.LaunchTemplate.Version",
    "Preferences.MinHealthyPercentage",
    "Preferences.MaxHealthyPercentage",
    "Preferences.InstanceWarmup",
    "Preferences.SkipMatching",
    "Preferences.AutoRollback",
    "Preferences.CheckpointPercentages.N",
    "Preferences.CheckpointDelay",
    "Preferences.BakeTime",
    "Preferences.ScaleInProtectedInstances",
    "Preferences.StandbyInstances",
    "Preferences.AlarmSpecification.Alarms.N",
];

/// AWS's default of `CheckpointDelay`.
const CHECKPOINT_DELAY_SECONDS: u32 = 3600;

/// Number of refreshes that are kept per group.
const KEPT: usize = 50;

fn start(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let strategy = params.optional("Strategy").unwrap_or("Rolling");
    if strategy != "Rolling" {
        return Err(validation(format!("The local cloud has the strategy Rolling, not '{strategy}'")));
    }
    let preferences = params.structure("Preferences").unwrap_or_default();
    let region = cloud.region(call.region)?;
    let maintenance = named(region, params)?.extras.maintenance;
    let preferences = preferences_of(&preferences, maintenance)?;
    let desired = params.structure("DesiredConfiguration.LaunchTemplate");
    let desired = desired.map(|reference| parse::template(region, &reference)).transpose()?;
    let floats =
        |version: &Option<String>| version.as_deref().is_none_or(|version| ["$Latest", "$Default"].contains(&version));
    if let Some(absent) = preferences.alarms.iter().find(|name| !region.cloudwatch.alarms.contains_key(*name)) {
        return Err(validation(format!("Alarm {absent} was not found")));
    }
    let group = named_mut(cloud.region_mut(call.region)?, params)?;
    if preferences.auto_rollback {
        let Some(desired) = &desired else {
            return Err(validation("AutoRollback requires a DesiredConfiguration"));
        };
        if floats(&desired.version) || floats(&group.template.version) {
            return Err(validation(
                "AutoRollback cannot be used when the launch template version is $Latest or $Default",
            ));
        }
    }
    if group.active_refresh().is_some() {
        return Err(ApiError::new(
            "InstanceRefreshInProgress",
            "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
        ));
    }
    let id = Uuid::new_v4().to_string();
    group.refreshes.push(Refresh {
        id: id.clone(),
        status: RefreshStatus::Pending,
        reason: None,
        started: call.now,
        ended: None,
        desired,
        preferences,
        total: 0,
        remaining: 0,
        rollback: None,
        moved: call.now,
        checkpoints: 0,
        paused: None,
        baking: None,
    });
    let surplus = group.refreshes.len().saturating_sub(KEPT);
    group.refreshes.drain(..surplus);
    // Earlier failed launches do not concern the new version.
    group.failures = 0;
    group.next_launch = None;
    Ok(Node::new().with("InstanceRefreshId", id))
}

/// Returns the preferences of a request. The healthy percentages are those of the group's maintenance policy by default.
fn preferences_of(params: &Params, maintenance: Option<(u32, u32)>) -> Outcome<Preferences> {
    let least = number(params, "MinHealthyPercentage", 0, 100)?;
    let most = number(params, "MaxHealthyPercentage", 100, 200)?;
    if most.is_some() && least.is_none() {
        return Err(validation("MaxHealthyPercentage requires MinHealthyPercentage"));
    }
    let preferences = Preferences {
        min_healthy_percentage: least.or(maintenance.map(|(least, _)| least)).unwrap_or(90),
        // A minimum without a maximum has AWS's default of the latter.
        max_healthy_percentage: most.or(maintenance.filter(|_| least.is_none()).map(|(_, most)| most)).unwrap_or(100),
        warmup_seconds: number(params, "InstanceWarmup", 0, 172_800)?,
        skip_matching: switch(params, "SkipMatching")?.unwrap_or(false),
        auto_rollback: switch(params, "AutoRollback")?.unwrap_or(false),
        checkpoints: checkpoints(params)?,
        checkpoint_delay_seconds: number(params, "CheckpointDelay", 0, 172_800)?.unwrap_or(CHECKPOINT_DELAY_SECONDS),
        bake_seconds: number(params, "BakeTime", 0, 172_800)?,
        protected: match params.optional("ScaleInProtectedInstances") {
            None | Some("Wait") => ProtectedInstances::Wait,
            Some("Ignore") => ProtectedInstances::Ignore,
            Some("Refresh") => ProtectedInstances::Refresh,
            Some(other) => {
                return Err(validation(format!("ScaleInProtectedInstances is Refresh, Ignore or Wait, not '{other}'")));
            }
        },
        alarms: params.structure("AlarmSpecification").map(|alarms| alarms.texts("Alarms")).unwrap_or_default(),
    };
    if let Some(other) = params.optional("StandbyInstances").filter(|word| *word != "Ignore") {
        return Err(validation(format!(
            "The local cloud leaves standby instances as they are: StandbyInstances is Ignore, not '{other}'"
        )));
    }
    if preferences.max_healthy_percentage - preferences.min_healthy_percentage > 100 {
        return Err(validation(
            "The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100",
        ));
    }
    Ok(preferences)
}

/// Parses checkpoints: ascending percentages, from 1 to 100.
fn checkpoints(params: &Params) -> Outcome<Vec<u32>> {
    let given = params.texts("CheckpointPercentages");
    let parsed: Option<Vec<u32>> = given.iter().map(|text| text.parse().ok()).collect();
    let parsed = parsed.filter(|all| {
        all.iter().all(|percentage| (1..=100).contains(percentage)) && all.windows(2).all(|pair| pair[0] < pair[1])
    });
    parsed.ok_or_else(|| validation("CheckpointPercentages are numbers from 1 to 100 that grow"))
}

fn cancel(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    // Instances in transition continue either way, so waiting for them makes no difference.
    switch(&call.input, "WaitForTransitioningInstances")?;
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    let refresh = group.active_refresh_mut().ok_or_else(none_active)?;
    refresh.status = RefreshStatus::Cancelled;
    refresh.reason = Some("Cancelled due to user request.".to_owned());
    refresh.ended = Some(call.now);
    Ok(Node::new().with("InstanceRefreshId", &refresh.id))
}

fn rollback(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    let refresh = group.active_refresh().ok_or_else(none_active)?;
    let id = refresh.id.clone();
    if refresh.desired.is_none() {
        return Err(ApiError::new(
            "IrreversibleInstanceRefresh",
            "The instance refresh has no desired configuration, so there is no former one to go back to",
        ));
    }
    if refresh.status != RefreshStatus::RollbackInProgress {
        roll_back(group, "Rollback due to user request.".to_owned(), call.now);
    }
    Ok(Node::new().with("InstanceRefreshId", id))
}

fn none_active() -> ApiError {
    ApiError::new(
        "ActiveInstanceRefreshNotFound",
        "No in progress or pending Instance Refresh found for Auto Scaling group",
    )
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let group = named(cloud.region(call.region)?, params)?;
    let ids = params.texts("InstanceRefreshIds");
    let wanted = group.refreshes.iter().enumerate();
    let wanted = wanted.filter(|(_, refresh)| ids.is_empty() || ids.contains(&refresh.id));
    // Newest first.
    let keyed = wanted.map(|(index, refresh)| (format!("{:06}", 999_999 - index), refresh)).collect();
    let page = page(keyed, params, |(key, _)| key)?;
    let shown = page.items.into_iter().map(|(_, refresh)| render(refresh, group));
    Ok(Node::new().list("InstanceRefreshes", shown).maybe("NextToken", page.next))
}

fn render(refresh: &Refresh, group: &Group) -> Node {
    let preferences = &refresh.preferences;
    let delay = (!preferences.checkpoints.is_empty()).then_some(preferences.checkpoint_delay_seconds);
    let alarms =
        (!preferences.alarms.is_empty()).then(|| Node::new().list("Alarms", preferences.alarms.iter().cloned()));
    let preferences = Node::new()
        .with("MinHealthyPercentage", preferences.min_healthy_percentage)
        .with("MaxHealthyPercentage", preferences.max_healthy_percentage)
        .maybe("InstanceWarmup", preferences.warmup_seconds)
        .with("SkipMatching", preferences.skip_matching)
        .with("AutoRollback", preferences.auto_rollback)
        .maybe("CheckpointDelay", delay)
        .list("CheckpointPercentages", preferences.checkpoints.iter().copied())
        .maybe("BakeTime", preferences.bake_seconds)
        .with("ScaleInProtectedInstances", format!("{:?}", preferences.protected))
        .with("StandbyInstances", "Ignore")
        .maybe("AlarmSpecification", alarms);
    let rollback = refresh.rollback.as_ref().map(|rollback| {
        Node::new()
            .with("RollbackReason", &rollback.reason)
            .with("RollbackStartTime", rollback.started)
            .with("PercentageCompleteOnRollback", rollback.percentage)
            .with("InstancesToUpdateOnRollback", rollback.remaining)
    });
    let desired = refresh.desired.as_ref();
    let desired = desired.map(|desired| Node::new().with("LaunchTemplate", template(desired)));
    Node::new()
        .with("InstanceRefreshId", &refresh.id)
        .with("AutoScalingGroupName", &group.name)
        .with("Status", refresh.status.name())
        .maybe("StatusReason", refresh.reason.as_ref())
        .with("StartTime", refresh.started)
        .maybe("EndTime", refresh.ended)
        .with("PercentageComplete", refresh.percentage())
        .with("InstancesToUpdate", refresh.remaining)
        .with("Preferences", preferences)
        .maybe("DesiredConfiguration", desired)
        .maybe("RollbackDetails", rollback)
        .with("Strategy", "Rolling")
}

/// Renders a reference to a template.
pub(super) fn template(reference: &TemplateReference) -> Node {
    Node::new()
        .maybe("LaunchTemplateId", reference.id.as_ref())
        .maybe("LaunchTemplateName", reference.name.as_ref())
        .maybe("Version", reference.version.as_ref())
}
