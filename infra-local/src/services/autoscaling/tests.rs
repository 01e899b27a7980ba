//! Tests of the operations.
#![allow(clippy::unwrap_used)]

use chrono::Utc;

use super::*;
use crate::model::autoscaling::RefreshStatus;
use crate::model::ec2::image::stock;
use crate::model::ec2::launch_template::{LaunchData, LaunchTemplate, TemplateVersion};
use crate::testing::{ControlPlane, code};

struct World {
    plane: ControlPlane,
}

impl World {
    /// Creates a cloud with the launch template `template`, versions 1 and 2, and the empty group `g`.
    fn new() -> Self {
        let mut plane = ControlPlane::new();
        let region = plane.cloud.regions.get_mut("us-east-1").unwrap();
        let data = LaunchData {
            image_id: Some(stock("us-east-1")[0].id.clone()),
            instance_type: Some("t3.micro".to_owned()),
            ..LaunchData::default()
        };
        let version = TemplateVersion { description: None, created: Utc::now(), data };
        let template = LaunchTemplate {
            id: "lt-0123456789abcdef0".to_owned(),
            name: "template".to_owned(),
            created: Utc::now(),
            default_version: 1,
            latest_version: 2,
            versions: [(1, version.clone()), (2, version)].into(),
            tags: std::collections::BTreeMap::new(),
        };
        region.ec2.launch_templates.insert(template.id.clone(), template);
        let mut world = Self { plane };
        world.call("CreateAutoScalingGroup", &world.creation("g", 0, 3)).unwrap();
        world
    }

    fn creation(&self, name: &str, min: u32, max: u32) -> String {
        let subnet = self.plane.cloud.regions["us-east-1"].ec2.subnets.keys().next().unwrap();
        format!(
            "AutoScalingGroupName={name}&MinSize={min}&MaxSize={max}&VPCZoneIdentifier={subnet}\
             &LaunchTemplate.LaunchTemplateName=template&LaunchTemplate.Version=1"
        )
    }

    fn call(&mut self, name: &str, form: &str) -> Result<String, String> {
        self.plane.query(OPERATIONS, name, form)
    }

    fn group(&mut self) -> &mut Group {
        self.plane.cloud.regions.get_mut("us-east-1").unwrap().autoscaling.groups.get_mut("g").unwrap()
    }
}

#[test]
fn the_capacity_stays_within_its_bounds() {
    let mut world = World::new();
    let set = |desired: u32| format!("AutoScalingGroupName=g&DesiredCapacity={desired}");
    world.call("SetDesiredCapacity", &set(3)).unwrap();
    assert_eq!(code(world.call("SetDesiredCapacity", &set(4))), "ValidationError");
    world.call("UpdateAutoScalingGroup", "AutoScalingGroupName=g&MaxSize=2").unwrap();
    assert_eq!(world.group().desired, 2, "a smaller maximum takes the capacity with it");
    assert_eq!(code(world.call("UpdateAutoScalingGroup", "AutoScalingGroupName=g&MinSize=5")), "ValidationError");
    let honouring = format!("{}&HonorCooldown=true", set(1));
    assert_eq!(code(world.call("SetDesiredCapacity", &honouring)), "ScalingActivityInProgress");
    assert_eq!(code(world.call("DeleteAutoScalingGroup", "AutoScalingGroupName=g")), "ResourceInUse");
    world.call("DeleteAutoScalingGroup", "AutoScalingGroupName=g&ForceDelete=true").unwrap();
    assert_eq!(code(world.call("SetDesiredCapacity", &set(1))), "ValidationError");
}

#[test]
fn unknown_resources_and_unsupported_values_are_refused() {
    let mut world = World::new();
    assert_eq!(code(world.call("CreateAutoScalingGroup", &world.creation("g", 0, 1))), "AlreadyExists");
    let refusals = [
        ("TargetGroupARNs.member.1=arn:none", "ValidationError"),
        ("TerminationPolicies.member.1=arn:aws:lambda:us-east-1:1:function:choose", "ValidationError"),
        ("TerminationPolicies.member.1=Cheapest", "ValidationError"),
        ("HealthCheckType=VPC_LATTICE", "ValidationError"),
        ("AvailabilityZones.member.1=us-east-1z", "ValidationError"),
        ("LaunchTemplate.Version=7", "ValidationError"),
        ("CapacityRebalance=true", "ValidationError"),
        ("MaxInstanceLifetime=3600", "ValidationError"),
    ];
    for (more, expected) in refusals {
        let form = world.creation("other", 0, 1);
        let form = if more.starts_with("LaunchTemplate") {
            form.replace("LaunchTemplate.Version=1", more)
        } else {
            format!("{form}&{more}")
        };
        assert_eq!(code(world.call("CreateAutoScalingGroup", &form)), expected, "{more}");
    }
}

#[test]
fn a_group_has_one_refresh_at_a_time_and_rollback_needs_a_previous_version() {
    let mut world = World::new();
    let desired = "DesiredConfiguration.LaunchTemplate.LaunchTemplateName=template\
                   &DesiredConfiguration.LaunchTemplate.Version";
    let start = |more: &str| format!("AutoScalingGroupName=g&{more}");
    for refused in
        ["Preferences.AutoRollback=true".to_owned(), format!("{desired}=$Latest&Preferences.AutoRollback=true")]
    {
        assert_eq!(code(world.call("StartInstanceRefresh", &start(&refused))), "ValidationError", "{refused}");
    }
    assert_eq!(code(world.call("RollbackInstanceRefresh", "AutoScalingGroupName=g")), "ActiveInstanceRefreshNotFound");
    world.call("StartInstanceRefresh", &start("Strategy=Rolling")).unwrap();
    assert_eq!(code(world.call("RollbackInstanceRefresh", "AutoScalingGroupName=g")), "IrreversibleInstanceRefresh");
    assert_eq!(code(world.call("StartInstanceRefresh", &start(""))), "InstanceRefreshInProgress");
    world.call("CancelInstanceRefresh", "AutoScalingGroupName=g").unwrap();

    world.call("StartInstanceRefresh", &start(&format!("{desired}=2&Preferences.AutoRollback=true"))).unwrap();
    let other = "AutoScalingGroupName=g&LaunchTemplate.LaunchTemplateName=template&LaunchTemplate.Version=2";
    assert_eq!(code(world.call("UpdateAutoScalingGroup", other)), "InstanceRefreshInProgress");
    world.call("RollbackInstanceRefresh", "AutoScalingGroupName=g").unwrap();
    let statuses: Vec<RefreshStatus> = world.group().refreshes.iter().map(|refresh| refresh.status).collect();
    assert_eq!(statuses, [RefreshStatus::Cancelled, RefreshStatus::RollbackInProgress]);
    let shown = world.call("DescribeInstanceRefreshes", "AutoScalingGroupName=g").unwrap();
    assert!(shown.contains("<Status>RollbackInProgress</Status>") && shown.contains("<RollbackReason>"), "{shown}");
}

#[test]
fn policies_are_validated_recorded_and_described() {
    let mut world = World::new();
    let put = |more: &str| format!("AutoScalingGroupName=g&PolicyName=p&{more}");
    let tracking = "PolicyType=TargetTrackingScaling&TargetTrackingConfiguration.TargetValue=50\
                    &TargetTrackingConfiguration.PredefinedMetricSpecification.PredefinedMetricType";
    for refused in [
        "PolicyType=PredictiveScaling".to_owned(),
        "PolicyType=TargetTrackingScaling".to_owned(),
        format!("{tracking}=ASGAverageNetworkIn"),
        format!("{tracking}=ALBRequestCountPerTarget"),
        "PolicyType=StepScaling&AdjustmentType=ChangeInCapacity".to_owned(),
    ] {
        assert_eq!(code(world.call("PutScalingPolicy", &put(&refused))), "ValidationError", "{refused}");
    }
    let first = world.call("PutScalingPolicy", &put(&format!("{tracking}=ASGAverageCPUUtilization"))).unwrap();
    let again = world.call("PutScalingPolicy", &put(&format!("{tracking}=ASGAverageCPUUtilization"))).unwrap();
    assert_eq!(first, again, "an update keeps the policy's and its alarms' names");
    assert_eq!(first.matches("<AlarmName>").count(), 2);
    let shown = world.call("DescribePolicies", "AutoScalingGroupName=g").unwrap();
    assert!(shown.contains("<TargetValue>50</TargetValue>"), "{shown}");
    let alarms = |world: &World| world.plane.cloud.regions["us-east-1"].cloudwatch.alarms.clone();
    let both = alarms(&world);
    assert_eq!(both.len(), 2);
    assert!(both.values().all(|alarm| first.contains(&alarm.arn) && alarm.metric == "CPUUtilization"));
    let growing = put(&format!("{tracking}=ASGAverageCPUUtilization&TargetTrackingConfiguration.DisableScaleIn=true"));
    world.call("PutScalingPolicy", &growing).unwrap();
    assert_eq!(alarms(&world).len(), 1, "what never shrinks looks at nothing low");
    world.call("DeletePolicy", "AutoScalingGroupName=g&PolicyName=p").unwrap();
    assert!(alarms(&world).is_empty(), "the policy takes its alarms with it");
    assert_eq!(code(world.call("DeletePolicy", "AutoScalingGroupName=g&PolicyName=p")), "ValidationError");
}

#[test]
fn groups_are_filtered_by_tag_and_paginated() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        let form = format!("{}&Tags.member.1.Key=team&Tags.member.1.Value={name}", world.creation(name, 0, 1));
        world.call("CreateAutoScalingGroup", &form).unwrap();
    }
    let filter = "Filters.member.1.Name=tag:team&Filters.member.1.Values.member.1=b";
    let shown = world.call("DescribeAutoScalingGroups", filter).unwrap();
    assert_eq!(shown.matches("<AutoScalingGroupARN>").count(), 1);
    let unknown = "Filters.member.1.Name=nonsense&Filters.member.1.Values.member.1=b";
    assert_eq!(code(world.call("DescribeAutoScalingGroups", unknown)), "ValidationError");
    let first = world.call("DescribeAutoScalingGroups", "MaxRecords=3").unwrap();
    let (_, token) = first.split_once("<NextToken>").unwrap();
    let token = token.split_once('<').unwrap().0;
    let rest = world.call("DescribeAutoScalingGroups", &format!("MaxRecords=3&NextToken={token}")).unwrap();
    assert_eq!(rest.matches("<AutoScalingGroupARN>").count(), 1);
    assert!(!rest.contains("<NextToken>"));
}

#[test]
fn step_and_simple_policies_change_the_capacity_when_they_are_executed() {
    let mut world = World::new();
    let put = |name: &str, more: &str| format!("AutoScalingGroupName=g&PolicyName={name}&{more}");
    let steps = "PolicyType=StepScaling&AdjustmentType=ChangeInCapacity&EstimatedInstanceWarmup=0\
                 &StepAdjustments.member.1.MetricIntervalLowerBound=0&StepAdjustments.member.1.MetricIntervalUpperBound=20\
                 &StepAdjustments.member.1.ScalingAdjustment=1&StepAdjustments.member.2.MetricIntervalLowerBound=20\
                 &StepAdjustments.member.2.ScalingAdjustment=2";
    world.call("PutScalingPolicy", &put("step", steps)).unwrap();
    let gap = steps.replace("MetricIntervalLowerBound=20", "MetricIntervalLowerBound=30");
    assert_eq!(code(world.call("PutScalingPolicy", &put("gap", &gap))), "ValidationError");
    assert_eq!(code(world.call("ExecutePolicy", &put("step", ""))), "ValidationError", "a step needs a value");
    world.call("ExecutePolicy", &put("step", "MetricValue=75&BreachThreshold=50")).unwrap();
    assert_eq!(world.group().desired, 2);
    world.group().desired = 0;
    world.call("ExecutePolicy", &put("step", "MetricValue=40&BreachThreshold=50")).unwrap();
    assert_eq!(world.group().desired, 0, "no step is for values below the threshold");

    let simple = "AdjustmentType=ExactCapacity&ScalingAdjustment=3&Cooldown=600";
    world.call("PutScalingPolicy", &put("simple", simple)).unwrap();
    world.call("ExecutePolicy", &put("simple", "")).unwrap();
    assert_eq!(world.group().desired, 3);
    let honouring = put("simple", "HonorCooldown=true");
    assert_eq!(code(world.call("ExecutePolicy", &honouring)), "ScalingActivityInProgress");
    let percent = "AdjustmentType=PercentChangeInCapacity&ScalingAdjustment=-10&MinAdjustmentMagnitude=2";
    world.call("PutScalingPolicy", &put("percent", percent)).unwrap();
    world.call("ExecutePolicy", &put("percent", "")).unwrap();
    assert_eq!(world.group().desired, 1, "at least two go");
    world.call("SuspendProcesses", "AutoScalingGroupName=g&ScalingProcesses.member.1=AlarmNotification").unwrap();
    assert_eq!(code(world.call("ExecutePolicy", &put("simple", ""))), "ValidationError");
}

#[test]
fn scheduled_actions_are_validated_and_recorded() {
    let mut world = World::new();
    let put = |more: &str| format!("AutoScalingGroupName=g&ScheduledActionName=morning&{more}");
    for refused in [
        "Recurrence=0+8+*+*+*",
        "Recurrence=0+25+*+*+*&MinSize=1",
        "MinSize=1",
        "StartTime=2020-01-01T00:00:00Z&MinSize=1",
        "Recurrence=0+8+*+*+*&MinSize=1&TimeZone=Europe/Berlin",
        "Recurrence=0+8+*+*+*&MinSize=3&MaxSize=2",
        "StartTime=2090-01-02T00:00:00Z&EndTime=2090-01-01T00:00:00Z&MinSize=1",
    ] {
        let result = world.call("PutScheduledUpdateGroupAction", &put(refused));
        assert_eq!(code(result), "ValidationError", "{refused}");
    }
    world.call("PutScheduledUpdateGroupAction", &put("Recurrence=0+8+*+*+MON-FRI&MinSize=1&TimeZone=Etc/UTC")).unwrap();
    let shown = world.call("DescribeScheduledActions", "AutoScalingGroupName=g").unwrap();
    assert!(shown.contains("<Recurrence>0 8 * * MON-FRI</Recurrence>") && shown.contains("T08:00:00.000Z"), "{shown}");
    world.call("PutScheduledUpdateGroupAction", &put("MaxSize=2")).unwrap();
    let action = world.group().schedule["morning"].clone();
    assert_eq!((action.min, action.max), (Some(1), Some(2)), "what an update leaves out stays");
    assert_eq!(action.recurrence.as_deref(), Some("0 8 * * MON-FRI"));
    let batch = "AutoScalingGroupName=g&ScheduledUpdateGroupActions.member.1.ScheduledActionName=once\
                 &ScheduledUpdateGroupActions.member.1.StartTime=2090-01-01T00:00:00Z\
                 &ScheduledUpdateGroupActions.member.1.DesiredCapacity=2\
                 &ScheduledUpdateGroupActions.member.2.ScheduledActionName=never";
    let failed = world.call("BatchPutScheduledUpdateGroupAction", batch).unwrap();
    assert!(failed.contains("<ScheduledActionName>never</ScheduledActionName>"), "{failed}");
    assert_eq!(world.group().schedule.len(), 2);
    world.call("DeleteScheduledAction", &put("")).unwrap();
    assert_eq!(code(world.call("DeleteScheduledAction", &put(""))), "ValidationError");
    let several = "AutoScalingGroupName=g&ScheduledActionNames.member.1=once&ScheduledActionNames.member.2=none";
    let failed = world.call("BatchDeleteScheduledAction", several).unwrap();
    assert!(failed.contains("<ScheduledActionName>none</ScheduledActionName>"), "{failed}");
    assert!(world.group().schedule.is_empty());
}

#[test]
fn hooks_are_recorded_and_only_a_waiting_one_can_be_completed() {
    let mut world = World::new();
    let hook = |more: &str| format!("AutoScalingGroupName=g&LifecycleHookName=drain&{more}");
    assert_eq!(code(world.call("PutLifecycleHook", &hook(""))), "ValidationError", "a new hook has a transition");
    let launching = "LifecycleTransition=autoscaling:EC2_INSTANCE_LAUNCHING";
    for refused in ["HeartbeatTimeout=10", "DefaultResult=MAYBE", "NotificationTargetARN=arn:aws:sqs:us-east-1:1:q"] {
        assert_eq!(code(world.call("PutLifecycleHook", &hook(&format!("{launching}&{refused}")))), "ValidationError");
    }
    world.call("PutLifecycleHook", &hook(&format!("{launching}&HeartbeatTimeout=60&NotificationMetadata=m"))).unwrap();
    world.call("PutLifecycleHook", &hook("DefaultResult=CONTINUE")).unwrap();
    let shown = world.call("DescribeLifecycleHooks", "AutoScalingGroupName=g").unwrap();
    for part in
        ["<HeartbeatTimeout>60<", "<GlobalTimeout>6000<", "<DefaultResult>CONTINUE<", "<NotificationMetadata>m<"]
    {
        assert!(shown.contains(part), "{part} not in {shown}");
    }
    let answer = hook("LifecycleActionResult=CONTINUE&InstanceId=i-0");
    let error = world.call("CompleteLifecycleAction", &answer).unwrap_err();
    assert!(error.contains("No active Lifecycle Action found with instance ID i-0"), "{error}");
    world.call("DeleteLifecycleHook", &hook("")).unwrap();
    assert_eq!(code(world.call("DeleteLifecycleHook", &hook(""))), "ValidationError");
}

#[test]
fn group_metrics_are_enabled_and_disabled_and_types_are_described() {
    let mut world = World::new();
    world.call("EnableMetricsCollection", "AutoScalingGroupName=g&Granularity=1Minute").unwrap();
    let all = world.group().collected.len();
    world.call("DisableMetricsCollection", "AutoScalingGroupName=g&Metrics.member.1=GroupMinSize").unwrap();
    assert_eq!(world.group().collected.len(), all - 1);
    let bad = "AutoScalingGroupName=g&Granularity=1Minute&Metrics.member.1=GroupMood";
    assert_eq!(code(world.call("EnableMetricsCollection", bad)), "ValidationError");
    for (operation, word) in [
        ("DescribeTerminationPolicyTypes", "OldestInstance"),
        ("DescribeAdjustmentTypes", "ExactCapacity"),
        ("DescribeScalingProcessTypes", "AZRebalance"),
        ("DescribeLifecycleHookTypes", "EC2_INSTANCE_LAUNCHING"),
        ("DescribeMetricCollectionTypes", "GroupStandbyInstances"),
    ] {
        assert!(world.call(operation, "").unwrap().contains(word), "{operation}");
    }
}

#[test]
fn custom_metrics_are_tracked_and_predictive_scaling_is_refused() {
    let mut world = World::new();
    let tracking = |more: &str| {
        format!(
            "AutoScalingGroupName=g&PolicyName=p&PolicyType=TargetTrackingScaling&TargetTrackingConfiguration.TargetValue=5{more}"
        )
    };
    let custom = "&TargetTrackingConfiguration.CustomizedMetricSpecification.";
    let jobs = format!(
        "{custom}Namespace=Shop{custom}MetricName=Jobs{custom}Statistic=Average{custom}Dimensions.member.1.Name=q{custom}Dimensions.member.1.Value=a"
    );
    world.call("PutScalingPolicy", &tracking(&jobs)).unwrap();
    let shown = world.call("DescribePolicies", "AutoScalingGroupName=g").unwrap();
    assert!(shown.contains("<CustomizedMetricSpecification><MetricName>Jobs</MetricName>"), "{shown}");
    let wrong = jobs.replace("Statistic=Average", "Statistic=p99");
    assert_eq!(code(world.call("PutScalingPolicy", &tracking(&wrong))), "ValidationError");
    let error =
        world.call("PutScalingPolicy", "AutoScalingGroupName=g&PolicyName=p&PolicyType=PredictiveScaling").unwrap_err();
    assert!(error.contains("predicts nothing"), "{error}");
}

#[test]
fn mixed_instances_override_the_type_and_need_no_spot_instances() {
    let mut world = World::new();
    let subnet = world.plane.cloud.regions["us-east-1"].ec2.subnets.keys().next().unwrap().clone();
    let policy = |more: &str| {
        let template = "MixedInstancesPolicy.LaunchTemplate";
        format!(
            "AutoScalingGroupName=m&MinSize=0&MaxSize=2&VPCZoneIdentifier={subnet}\
             &{template}.LaunchTemplateSpecification.LaunchTemplateName=template\
             &{template}.Overrides.member.1.InstanceType=t3.large&{template}.Overrides.member.2.InstanceType=t3.small{more}"
        )
    };
    let distribution = "&MixedInstancesPolicy.InstancesDistribution";
    for (more, words) in [
        (format!("{distribution}.OnDemandPercentageAboveBaseCapacity=50"), "no Spot Instances"),
        (format!("{distribution}.OnDemandAllocationStrategy=lowest-price"), "no prices"),
        ("&LaunchTemplate.LaunchTemplateName=template".to_owned(), "either LaunchTemplate"),
        ("&MixedInstancesPolicy.LaunchTemplate.Overrides.member.3.InstanceType=t3.small".to_owned(), "more than one"),
        ("&MixedInstancesPolicy.LaunchTemplate.Overrides.member.3.InstanceType=t0.none".to_owned(), "t0.none"),
    ] {
        let error = world.call("CreateAutoScalingGroup", &policy(&more)).unwrap_err();
        assert!(error.starts_with("ValidationError") && error.contains(words), "{error}");
    }
    world.call("CreateAutoScalingGroup", &policy("")).unwrap();
    let shown = world.call("DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1=m").unwrap();
    assert!(
        shown.contains("<MixedInstancesPolicy>") && !shown.contains("</AutoScalingGroupARN><LaunchTemplate>"),
        "{shown}"
    );
    let plain = "AutoScalingGroupName=m&LaunchTemplate.LaunchTemplateName=template";
    world.call("UpdateAutoScalingGroup", plain).unwrap();
    let shown = world.call("DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1=m").unwrap();
    assert!(!shown.contains("<MixedInstancesPolicy>"), "{shown}");
}

#[test]
fn protection_and_maintenance_of_a_group_are_honoured() {
    let mut world = World::new();
    let update = |settings: &str| format!("AutoScalingGroupName=g&{settings}");
    world.call("UpdateAutoScalingGroup", &update("DeletionProtection=prevent-force-deletion")).unwrap();
    let forced = world.call("DeleteAutoScalingGroup", &update("ForceDelete=true")).unwrap_err();
    assert!(forced.contains("deletion protection is prevent-force-deletion"), "{forced}");
    world.call("UpdateAutoScalingGroup", &update("DeletionProtection=prevent-all-deletion")).unwrap();
    assert_eq!(code(world.call("DeleteAutoScalingGroup", "AutoScalingGroupName=g")), "ValidationError");

    let policy = "InstanceMaintenancePolicy.MinHealthyPercentage";
    assert_eq!(code(world.call("UpdateAutoScalingGroup", &update(&format!("{policy}=50")))), "ValidationError");
    let both = format!("{policy}=60&InstanceMaintenancePolicy.MaxHealthyPercentage=120");
    world.call("UpdateAutoScalingGroup", &update(&both)).unwrap();
    world.call("StartInstanceRefresh", "AutoScalingGroupName=g").unwrap();
    let preferences = &world.group().refreshes[0].preferences;
    assert_eq!((preferences.min_healthy_percentage, preferences.max_healthy_percentage), (60, 120));
    let removed = format!("{policy}=-1&InstanceMaintenancePolicy.MaxHealthyPercentage=-1");
    world.call("UpdateAutoScalingGroup", &update(&removed)).unwrap();
    assert_eq!(world.group().extras.maintenance, None);

    let limits = world.call("DescribeAccountLimits", "").unwrap();
    assert!(limits.contains("<NumberOfAutoScalingGroups>1</NumberOfAutoScalingGroups>"), "{limits}");
    world.call("UpdateAutoScalingGroup", &update("DeletionProtection=none")).unwrap();
    world.call("DeleteAutoScalingGroup", "AutoScalingGroupName=g").unwrap();
}

#[test]
fn launch_configurations_belong_to_groups() {
    let mut world = World::new();
    let image = stock("us-east-1")[0].id.clone();
    let creation = format!("LaunchConfigurationName=small&ImageId={image}&InstanceType=t3.small");
    let named = "LaunchConfigurationName=small";
    world.call("CreateLaunchConfiguration", &creation).unwrap();
    insta::assert_snapshot!(world.call("CreateLaunchConfiguration", &creation).unwrap_err(), @"AlreadyExists: Launch Configuration by this name already exists - A launch configuration already exists with the name small");
    let subnet = world.plane.cloud.regions["us-east-1"].ec2.subnets.keys().next().unwrap().clone();
    let group = format!("AutoScalingGroupName=l&MinSize=0&MaxSize=1&VPCZoneIdentifier={subnet}");
    insta::assert_snapshot!(world.call("CreateAutoScalingGroup", &format!("{group}&LaunchConfigurationName=none")).unwrap_err(), @"ValidationError: Launch configuration name not found - Launch configuration none not found");
    world.call("CreateAutoScalingGroup", &format!("{group}&{named}")).unwrap();
    let shown = world.call("DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1=l").unwrap();
    assert!(shown.contains("<LaunchConfigurationName>small</LaunchConfigurationName>"), "{shown}");
    assert!(!shown.contains("<LaunchTemplate>"), "{shown}");
    insta::assert_snapshot!(world.call("DeleteLaunchConfiguration", named).unwrap_err(), @"ResourceInUse: Cannot delete launch configuration small because it is attached to AutoScalingGroup l");
    world.call("UpdateAutoScalingGroup", "AutoScalingGroupName=l&LaunchTemplate.LaunchTemplateName=template").unwrap();
    world.call("DeleteLaunchConfiguration", named).unwrap();
    insta::assert_snapshot!(world.call("DeleteLaunchConfiguration", named).unwrap_err(), @"ValidationError: Launch configuration name not found - Launch configuration small not found");
    insta::assert_snapshot!(world.call("CreateLaunchConfiguration", "LaunchConfigurationName=none").unwrap_err(), @"ValidationError: Valid requests must contain either the InstanceID parameter or both the ImageId and InstanceType parameters.");
}

#[test]
fn topics_are_notified_of_the_events_of_the_last_request() {
    let mut world = World::new();
    let topic = "AutoScalingGroupName=g&TopicARN=arn:aws:sns:us-east-1:1:t";
    for kind in ["LAUNCH", "TERMINATE"] {
        let form = format!("{topic}&NotificationTypes.member.1=autoscaling:EC2_INSTANCE_{kind}");
        world.call("PutNotificationConfiguration", &form).unwrap();
    }
    let shown = world.call("DescribeNotificationConfigurations", "").unwrap();
    assert_eq!(shown.matches("<NotificationType>").count(), 1, "{shown}");
    assert!(shown.contains("autoscaling:EC2_INSTANCE_TERMINATE"), "{shown}");
    world.call("DeleteNotificationConfiguration", topic).unwrap();
    insta::assert_snapshot!(world.call("DeleteNotificationConfiguration", topic).unwrap_err(), @"ValidationError: Notification Topic 'arn:aws:sns:us-east-1:1:t' doesn't exist for 'g'");
}
