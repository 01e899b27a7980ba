//! Launches and terminates instances until a group has its desired capacity.

use std::cmp::Reverse;

use chrono::TimeDelta;

use super::members;
use super::{Env, maintenance, refresh};
use crate::domain::autoscaling::membership::{self, Leaving};
use crate::domain::ec2::launch::Launch;
use crate::model::Cloud;
use crate::model::Region;
use crate::model::autoscaling::launch_configuration;
use crate::model::autoscaling::{Activity, ActivityStatus, Group, Lifecycle, Member, MemberTemplate, moment};
use crate::model::ec2::launch_template::{LaunchData, TemplateReference};
use crate::wire::{ApiError, Outcome};

/// Launches missing members, and terminates surplus ones.
pub(super) fn balance(group: &mut Group, cloud: &mut Cloud, region_name: &str, env: &Env<'_>) {
    if group.deleting
        && let Some(region) = cloud.regions.get_mut(region_name)
    {
        terminate_standby(group, region, env);
    }
    let wanted = if group.deleting { 0 } else { refresh::wanted(group) + maintenance::surplus(group) } as usize;
    let wanted = wanted + usize::from(cloud.regions.get(region_name).is_some_and(|region| rebalances(group, region)));
    let staying = group.staying().count();
    if staying < wanted {
        grow(group, cloud, region_name, wanted - staying, env);
    } else if staying > wanted {
        if let Some(region) = cloud.regions.get_mut(region_name) {
            shrink(group, region, staying - wanted, env);
        }
    } else if group.active_refresh().is_none() {
        group.cause = None;
    }
}

/// Terminates the standby members of a group that is being deleted. They do not count towards its capacity.
fn terminate_standby(group: &mut Group, region: &mut Region, env: &Env<'_>) {
    let aside = group.members.iter().filter(|member| member.lifecycle.is_on_standby());
    for id in aside.map(|member| member.instance.clone()).collect::<Vec<_>>() {
        let cause = "an instance was taken out of service because its group is being deleted.";
        membership::leave(group, region, &id, &Leaving { cause, drain: false }, env.now);
    }
}

/// Returns whether to launch one instance more than desired, so that one in a fuller zone can be terminated: from when
/// zones are unbalanced until the new instance serves.
fn rebalances(group: &mut Group, region: &Region) -> bool {
    let is_stable = !group.deleting
        && group.active_refresh().is_none()
        && group.next_launch.is_none()
        && !["AZRebalance", "Launch", "Terminate"].iter().any(|process| group.is_suspended(process));
    let settled = group.staying().all(|member| members::serves(group, region, member));
    if !is_stable || group.rebalancing {
        group.rebalancing = is_stable && !settled;
        return group.rebalancing;
    }
    let count = |zone: &String| group.staying().filter(|member| member.zone == *zone).count();
    // A failed zone has no capacity.
    let usable = group.zones.iter().filter(|zone| !region.lost_zones.contains(*zone));
    let counts: Vec<usize> = usable.map(count).collect();
    let in_other_zone = group.staying().any(|member| !group.zones.contains(&member.zone));
    let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
    let uneven = most > least + 1 || in_other_zone;
    let complete = group.staying().count() == group.desired as usize;
    group.rebalancing = uneven && settled && complete && group.staying().any(|member| !member.protected);
    group.rebalancing
}

fn grow(group: &mut Group, cloud: &mut Cloud, region_name: &str, missing: usize, env: &Env<'_>) {
    let waits = group.next_launch.is_some_and(|next| env.now < next);
    if group.is_suspended("Launch") || waits {
        return;
    }
    let reason = launch_cause(group, missing, env);
    for _ in 0..missing {
        if let Err(error) = launch(group, cloud, region_name, &reason, env) {
            tracing::warn!(group = group.name, %error, "an instance of a group could not be launched");
            group.begin(Activity {
                id: uuid::Uuid::new_v4().to_string(),
                description: format!(
                    "Launching a new EC2 instance.  Status Reason: {}. Launching EC2 instance failed.",
                    error.message
                ),
                cause: reason.clone(),
                started: env.now,
                ended: Some(env.now),
                status: ActivityStatus::Failed,
                message: Some(error.message),
                zone: String::new(),
                subnet: String::new(),
            });
            membership::back_off(group, env.now, env.clock());
            return;
        }
    }
    group.next_launch = None;
}

/// Returns the cause of a launch activity, in AWS's form.
fn launch_cause(group: &Group, missing: usize, env: &Env<'_>) -> String {
    let now = moment(env.now);
    if group.active_refresh().is_some() {
        return format!("At {now} an instance was launched in response to an instance refresh.");
    }
    if group.rebalancing {
        return format!("At {now} an instance was launched to aid in balancing the group's zones.");
    }
    let Some(cause) = &group.cause else {
        return format!(
            "At {now} an instance was launched in response to an unhealthy instance needing to be replaced."
        );
    };
    let staying = group.staying().count();
    format!(
        "{cause}  At {now} an instance was started in response to a difference between desired and actual capacity, \
         increasing the capacity from {staying} to {}.",
        staying + missing
    )
}

fn launch(group: &mut Group, cloud: &mut Cloud, region_name: &str, reason: &str, env: &Env<'_>) -> Outcome<()> {
    let (reference, refresh) = refresh::template(group);
    let region = cloud.region(region_name)?;
    let (template, number) = super::resolve(region, &reference)?;
    let template = MemberTemplate { id: template.id.clone(), name: template.name.clone(), version: number };
    let (id, subnet) = launch_in_best_subnet(group, cloud, region_name, &template, env)?;
    let region = cloud.region(region_name)?;
    let zone = region.ec2.subnets.get(&subnet).map(|subnet| subnet.zone.clone()).unwrap_or_default();
    let activity = group.begin(Activity {
        id: uuid::Uuid::new_v4().to_string(),
        description: format!("Launching a new EC2 instance: {id}"),
        cause: reason.to_owned(),
        started: env.now,
        ended: None,
        status: ActivityStatus::InProgress,
        message: None,
        zone: zone.clone(),
        subnet,
    });
    group.members.push(Member {
        instance: id,
        zone,
        template,
        lifecycle: Lifecycle::Pending,
        healthy: true,
        protected: group.protects_new,
        launched: env.now,
        in_service: None,
        refresh,
        activity,
        waits: Vec::new(),
    });
    Ok(())
}

/// Errors after which another subnet is tried.
const NO_ROOM: &[&str] = &["InsufficientFreeAddressesInSubnet", "InsufficientInstanceCapacity"];

/// Launches in the subnet with the fewest members that has capacity.
fn launch_in_best_subnet(
    group: &Group,
    cloud: &mut Cloud,
    region_name: &str,
    template: &MemberTemplate,
    env: &Env<'_>,
) -> Outcome<(String, String)> {
    let region = cloud.region(region_name)?;
    let zone = |subnet: &str| region.ec2.subnets.get(subnet).map(|subnet| subnet.zone.clone());
    let mut subnets = group.subnets.clone();
    let (_, renewal) = refresh::template(group);
    subnets.sort_by_cached_key(|subnet| {
        let zone = zone(subnet);
        let there = || group.staying().filter(|member| Some(&member.zone) == zone.as_ref());
        // Members that a refresh will replace do not count.
        let lasting = there().filter(|member| renewal.is_none() || member.refresh == renewal);
        (lasting.count(), there().count())
    });
    let mut tags: crate::model::Tags =
        group.tags.iter().filter(|(_, tag)| tag.propagate).map(|(key, tag)| (key.clone(), tag.value.clone())).collect();
    tags.insert("aws:autoscaling:groupName".to_owned(), group.name.clone());
    tags.insert("aws:ec2launchtemplate:id".to_owned(), template.id.clone());
    tags.insert("aws:ec2launchtemplate:version".to_owned(), template.version.to_string());
    let mut last = ApiError::new("ValidationError", "the group has no subnets");
    for subnet in subnets {
        let launch = Launch {
            data: LaunchData {
                subnet_id: Some(subnet.clone()),
                instance_tags: tags.clone(),
                instance_type: group.mixed.as_ref().and_then(|mixed| mixed.instance_types.first().cloned()),
                ..LaunchData::default()
            },
            template: Some(TemplateReference {
                id: Some(template.id.clone()),
                name: None,
                version: Some(template.version.to_string()),
            }),
            min: 1,
            max: 1,
            client_token: None,
        };
        match launch.carry_out(cloud, region_name, env.addresses, env.now) {
            Ok(ids) => {
                if let Some(id) = ids.into_iter().next() {
                    return Ok((id, subnet));
                }
            }
            Err(error) if NO_ROOM.contains(&error.code.as_ref()) && !group.balanced_only => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn shrink(group: &mut Group, region: &mut Region, surplus: usize, env: &Env<'_>) {
    if group.is_suspended("Terminate") && !group.deleting {
        return;
    }
    for _ in 0..surplus {
        let Some(victim) = victim(group, region, env) else { return };
        let staying = group.staying().count();
        let cause = group.cause.clone().map(|cause| format!("{cause}  At {} ", moment(env.now)));
        let cause = format!(
            "{}an instance was taken out of service in response to a difference between desired and actual capacity, \
             shrinking the capacity from {staying} to {}.  At {} instance {victim} was selected for termination.",
            cause.unwrap_or_default(),
            staying - 1,
            moment(env.now)
        );
        let cause = cause.strip_prefix(&format!("At {} ", moment(env.now))).unwrap_or(&cause).to_owned();
        membership::leave(group, region, &victim, &Leaving { cause: &cause, drain: !group.deleting }, env.now);
    }
}

/// Returns the time at which a member's launch configuration was created. Members of a deleted one sort first, members of
/// launch templates last.
fn created_of_configuration(region: &Region, member: &Member) -> i64 {
    let Some(name) = launch_configuration::name_of(&member.template.id) else { return i64::MAX };
    let found = region.autoscaling.launch_configurations.get(name);
    found.map_or(i64::MIN, |found| found.template.created.timestamp_millis())
}

/// Selects the next member to terminate: one that does not serve, then one in the fullest zone, then by the group's
/// policies.
fn victim(group: &Group, region: &Region, env: &Env<'_>) -> Option<String> {
    let candidates: Vec<&Member> = group.staying().filter(|member| !member.protected || group.deleting).collect();
    let in_zone = |zone: &str| {
        // A zone that is no longer in the group's list is emptied first.
        let left = !group.zones.iter().any(|own| own == zone);
        if left { usize::MAX } else { group.staying().filter(|member| member.zone == zone).count() }
    };
    let mixed = group.mixed.as_ref().map(|mixed| mixed.instance_types.as_slice()).unwrap_or_default();
    // Instances of the types with the lowest priority are terminated first.
    let priority = |member: &Member| {
        let instance = region.ec2.instances.get(&member.instance)?;
        let place = mixed.iter().position(|kind| *kind == instance.instance_type).unwrap_or(mixed.len());
        i64::try_from(place).ok()
    };
    let current = super::resolve(region, &group.template).ok().map(|(template, number)| (template.id.clone(), number));
    let key = |member: &&&Member| {
        let outdated = current
            .as_ref()
            .is_some_and(|(id, number)| member.template.id != *id || member.template.version != *number);
        let launched = member.launched.timestamp_millis();
        let keys: Vec<i64> = group
            .termination_policies
            .iter()
            .map(|policy| match policy.as_str() {
                "OldestInstance" => launched,
                "NewestInstance" => -launched,
                "OldestLaunchConfiguration" => created_of_configuration(region, member),
                "OldestLaunchTemplate" => i64::try_from(member.template.version).unwrap_or(i64::MAX),
                "AllocationStrategy" => -priority(member).unwrap_or_default(),
                "ClosestToNextInstanceHour" => -seconds_in_hour(env.now - member.launched),
                _ => i64::from(!outdated),
            })
            .collect();
        let serves = members::serves(group, region, member);
        (serves, Reverse(in_zone(&member.zone)), keys, member.template.version, Reverse(launched))
    };
    candidates.iter().min_by_key(key).map(|member| member.instance.clone())
}

/// Returns the age of an instance within its current hour, in seconds.
fn seconds_in_hour(age: TimeDelta) -> i64 {
    age.num_seconds().rem_euclid(3600)
}
