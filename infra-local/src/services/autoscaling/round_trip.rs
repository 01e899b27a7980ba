//! Parameters of Auto Scaling that are read back.
#![allow(clippy::unwrap_used)]

use chrono::Utc;

use super::OPERATIONS;
use crate::model::ec2::image::stock;
use crate::model::ec2::key_pair::KeyPair;
use crate::model::ec2::launch_template::{LaunchData, LaunchTemplate, TemplateVersion};
use crate::services::elbv2;
use crate::testing::element;
use crate::testing::round_trip::{self, Trip, Variables, WriteOnly, check_query};

const GROUP: &[(&str, &str)] = &[("DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1=g")];
const MIXED: &[(&str, &str)] = &[("DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1=m")];
const HOOKS: &[(&str, &str)] = &[("DescribeLifecycleHooks", "AutoScalingGroupName=g")];
const POLICIES: &[(&str, &str)] = &[("DescribePolicies", "AutoScalingGroupName=g")];
const SCHEDULE: &[(&str, &str)] = &[("DescribeScheduledActions", "AutoScalingGroupName=g")];

const GROUPS: &[Trip] = &[
    Trip {
        operation: "CreateLaunchConfiguration",
        request: "LaunchConfigurationName=configuration&ImageId={image}&InstanceType=t3.small&KeyName=pair\
                  &SecurityGroups.member.1={group}&UserData=aGVsbG8%3D&IamInstanceProfile=profile&EbsOptimized=true\
                  &InstanceMonitoring.Enabled=false&AssociatePublicIpAddress=true&MetadataOptions.HttpTokens=required\
                  &MetadataOptions.HttpEndpoint=enabled&MetadataOptions.HttpPutResponseHopLimit=3\
                  &BlockDeviceMappings.member.1.DeviceName=/dev/sdf&BlockDeviceMappings.member.1.Ebs.VolumeSize=21\
                  &BlockDeviceMappings.member.1.Ebs.VolumeType=gp3&BlockDeviceMappings.member.1.Ebs.Iops=3001\
                  &BlockDeviceMappings.member.1.Ebs.Throughput=126&BlockDeviceMappings.member.1.Ebs.Encrypted=true\
                  &BlockDeviceMappings.member.1.Ebs.DeleteOnTermination=false\
                  &BlockDeviceMappings.member.1.Ebs.SnapshotId=snap-0123456789abcdef0\
                  &BlockDeviceMappings.member.2.DeviceName=/dev/sdg&BlockDeviceMappings.member.2.NoDevice=true",
        reads: &[("DescribeLaunchConfigurations", "LaunchConfigurationNames.member.1=configuration")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateAutoScalingGroup",
        request: "AutoScalingGroupName=configured&LaunchConfigurationName=configuration&MinSize=0&MaxSize=1\
                  &VPCZoneIdentifier={subnet}",
        reads: &[("DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1=configured")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "UpdateAutoScalingGroup",
        request: "AutoScalingGroupName=configured&LaunchConfigurationName=configuration",
        reads: &[("DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1=configured")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutNotificationConfiguration",
        request: "AutoScalingGroupName=configured&TopicARN=arn:aws:sns:us-east-1:1:topic\
                  &NotificationTypes.member.1=autoscaling:EC2_INSTANCE_LAUNCH",
        reads: &[("DescribeNotificationConfigurations", "AutoScalingGroupNames.member.1=configured")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateAutoScalingGroup",
        request: "AutoScalingGroupName=g&LaunchTemplate.LaunchTemplateId=lt-0123456789abcdef0&LaunchTemplate.Version=1\
                  &MinSize=0&MaxSize=17&DesiredCapacity=0&DefaultCooldown=123&VPCZoneIdentifier={subnet}\
                  &AvailabilityZones.member.1={zone}&HealthCheckType=ELB&HealthCheckGracePeriod=234\
                  &TerminationPolicies.member.1=NewestInstance&NewInstancesProtectedFromScaleIn=true\
                  &DefaultInstanceWarmup=345&AvailabilityZoneDistribution.CapacityDistributionStrategy=balanced-only\
                  &CapacityRebalance=false&Context=shop&DeletionProtection=prevent-force-deletion\
                  &DesiredCapacityType=units&InstanceMaintenancePolicy.MinHealthyPercentage=80\
                  &InstanceMaintenancePolicy.MaxHealthyPercentage=130&MaxInstanceLifetime=90000&ServiceLinkedRoleARN=arn:aws:iam::1:role/own\
                  &TargetGroupARNs.member.1={targets}&Tags.member.1.Key=team&Tags.member.1.Value=blue\
                  &Tags.member.1.PropagateAtLaunch=true&Tags.member.1.ResourceId=g\
                  &Tags.member.1.ResourceType=auto-scaling-group",
        reads: GROUP,
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateAutoScalingGroup",
        request: "AutoScalingGroupName=hooked&LaunchTemplate.LaunchTemplateName=template&MinSize=0&MaxSize=1\
                  &VPCZoneIdentifier={subnet}&LifecycleHookSpecificationList.member.1.LifecycleHookName=warm\
                  &LifecycleHookSpecificationList.member.1.LifecycleTransition=autoscaling:EC2_INSTANCE_LAUNCHING\
                  &LifecycleHookSpecificationList.member.1.NotificationMetadata=hello\
                  &LifecycleHookSpecificationList.member.1.HeartbeatTimeout=456\
                  &LifecycleHookSpecificationList.member.1.DefaultResult=CONTINUE",
        reads: &[
            ("DescribeLifecycleHooks", "AutoScalingGroupName=hooked"),
            ("DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1=hooked"),
        ],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateAutoScalingGroup",
        request: "AutoScalingGroupName=m&MinSize=0&MaxSize=1&VPCZoneIdentifier={subnet}\
                  &MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId=lt-0123456789abcdef0\
                  &MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version=2\
                  &MixedInstancesPolicy.LaunchTemplate.Overrides.member.1.InstanceType=t3.small\
                  &MixedInstancesPolicy.InstancesDistribution.OnDemandAllocationStrategy=prioritized\
                  &MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity=11\
                  &MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity=100\
                  &MixedInstancesPolicy.InstancesDistribution.SpotAllocationStrategy=capacity-optimized\
                  &MixedInstancesPolicy.InstancesDistribution.SpotInstancePools=7\
                  &MixedInstancesPolicy.InstancesDistribution.SpotMaxPrice=0.25",
        reads: MIXED,
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateAutoScalingGroup",
        request: "AutoScalingGroupName=by-name&MinSize=0&MaxSize=1&VPCZoneIdentifier={subnet}\
                  &MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName=template",
        reads: &[("DescribeAutoScalingGroups", "")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "UpdateAutoScalingGroup",
        request: "AutoScalingGroupName=g&LaunchTemplate.LaunchTemplateName=template&LaunchTemplate.Version=2\
                  &MinSize=0&MaxSize=18&DesiredCapacity=0&DefaultCooldown=124&VPCZoneIdentifier={subnet}\
                  &AvailabilityZones.member.1={zone}&HealthCheckType=EC2&HealthCheckGracePeriod=235\
                  &TerminationPolicies.member.1=OldestInstance&NewInstancesProtectedFromScaleIn=false\
                  &DefaultInstanceWarmup=346\
                  &AvailabilityZoneDistribution.CapacityDistributionStrategy=balanced-best-effort\
                  &CapacityRebalance=false&Context=store&DeletionProtection=prevent-all-deletion\
                  &DesiredCapacityType=units&InstanceMaintenancePolicy.MinHealthyPercentage=85\
                  &InstanceMaintenancePolicy.MaxHealthyPercentage=140&MaxInstanceLifetime=95000&ServiceLinkedRoleARN=arn:aws:iam::1:role/other",
        reads: GROUP,
        ..Trip::EMPTY
    },
    Trip {
        operation: "UpdateAutoScalingGroup",
        request: "AutoScalingGroupName=g&LaunchTemplate.LaunchTemplateId=lt-0123456789abcdef0",
        reads: GROUP,
        ..Trip::EMPTY
    },
    Trip {
        operation: "UpdateAutoScalingGroup",
        request: "AutoScalingGroupName=m\
                  &MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId=lt-0123456789abcdef0\
                  &MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version=1\
                  &MixedInstancesPolicy.LaunchTemplate.Overrides.member.1.InstanceType=t3.large\
                  &MixedInstancesPolicy.InstancesDistribution.OnDemandAllocationStrategy=prioritized\
                  &MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity=12\
                  &MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity=100\
                  &MixedInstancesPolicy.InstancesDistribution.SpotAllocationStrategy=price-capacity-optimized\
                  &MixedInstancesPolicy.InstancesDistribution.SpotInstancePools=8\
                  &MixedInstancesPolicy.InstancesDistribution.SpotMaxPrice=0.35",
        reads: MIXED,
        ..Trip::EMPTY
    },
    Trip {
        operation: "UpdateAutoScalingGroup",
        request: "AutoScalingGroupName=by-name\
                  &MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName=template",
        reads: &[("DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1=by-name")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateOrUpdateTags",
        request: "Tags.member.1.Key=stage&Tags.member.1.Value=canary&Tags.member.1.PropagateAtLaunch=false\
                  &Tags.member.1.ResourceId=g&Tags.member.1.ResourceType=auto-scaling-group",
        reads: &[("DescribeTags", "")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "SuspendProcesses",
        request: "AutoScalingGroupName=g&ScalingProcesses.member.1=AZRebalance",
        reads: GROUP,
        ..Trip::EMPTY
    },
    Trip {
        operation: "EnableMetricsCollection",
        request: "AutoScalingGroupName=g&Metrics.member.1=GroupMinSize&Granularity=1Minute",
        reads: GROUP,
        ..Trip::EMPTY
    },
    Trip {
        operation: "SetDesiredCapacity",
        request: "AutoScalingGroupName=g&DesiredCapacity=5",
        reads: GROUP,
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutLifecycleHook",
        request: "AutoScalingGroupName=g&LifecycleHookName=drain\
                  &LifecycleTransition=autoscaling:EC2_INSTANCE_TERMINATING&NotificationMetadata=goodbye\
                  &HeartbeatTimeout=567&DefaultResult=CONTINUE",
        reads: HOOKS,
        ..Trip::EMPTY
    },
    Trip {
        operation: "AttachTrafficSources",
        request: "AutoScalingGroupName=m&TrafficSources.member.1.Identifier={targets}&TrafficSources.member.1.Type=elbv2",
        reads: &[
            ("DescribeTrafficSources", "AutoScalingGroupName=m"),
            ("DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1=m"),
        ],
        ..Trip::EMPTY
    },
    Trip {
        operation: "AttachLoadBalancerTargetGroups",
        request: "AutoScalingGroupName=by-name&TargetGroupARNs.member.1={targets}",
        reads: &[("DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1=by-name")],
        ..Trip::EMPTY
    },
];

const ACTIONS: &[Trip] = &[
    Trip {
        operation: "PutScalingPolicy",
        request: "AutoScalingGroupName=g&PolicyName=simple&PolicyType=SimpleScaling&AdjustmentType=PercentChangeInCapacity\
                  &ScalingAdjustment=33&MinAdjustmentMagnitude=3&Cooldown=321&Enabled=false",
        reads: POLICIES,
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutScalingPolicy",
        request: "AutoScalingGroupName=g&PolicyName=steps&PolicyType=StepScaling&AdjustmentType=ChangeInCapacity\
                  &MetricAggregationType=Maximum&EstimatedInstanceWarmup=432\
                  &StepAdjustments.member.1.MetricIntervalLowerBound=0\
                  &StepAdjustments.member.1.MetricIntervalUpperBound=12.5&StepAdjustments.member.1.ScalingAdjustment=2\
                  &StepAdjustments.member.2.MetricIntervalLowerBound=12.5&StepAdjustments.member.2.ScalingAdjustment=4",
        reads: POLICIES,
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutScalingPolicy",
        request: "AutoScalingGroupName=g&PolicyName=cpu&PolicyType=TargetTrackingScaling\
                  &TargetTrackingConfiguration.PredefinedMetricSpecification.PredefinedMetricType=ASGAverageCPUUtilization\
                  &TargetTrackingConfiguration.TargetValue=45.5&TargetTrackingConfiguration.DisableScaleIn=true",
        reads: POLICIES,
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutScalingPolicy",
        request: "AutoScalingGroupName=g&PolicyName=queue&PolicyType=TargetTrackingScaling\
                  &TargetTrackingConfiguration.CustomizedMetricSpecification.MetricName=Waiting\
                  &TargetTrackingConfiguration.CustomizedMetricSpecification.Namespace=Shop\
                  &TargetTrackingConfiguration.CustomizedMetricSpecification.Dimensions.member.1.Name=Queue\
                  &TargetTrackingConfiguration.CustomizedMetricSpecification.Dimensions.member.1.Value=orders\
                  &TargetTrackingConfiguration.CustomizedMetricSpecification.Statistic=Average\
                  &TargetTrackingConfiguration.CustomizedMetricSpecification.Unit=Count\
                  &TargetTrackingConfiguration.TargetValue=77",
        reads: POLICIES,
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutScalingPolicy",
        request: "AutoScalingGroupName=g&PolicyName=former&PolicyType=SimpleScaling\
                  &AdjustmentType=PercentChangeInCapacity&ScalingAdjustment=34&MinAdjustmentStep=4",
        reads: POLICIES,
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutScheduledUpdateGroupAction",
        request: "AutoScalingGroupName=g&ScheduledActionName=night&StartTime=2090-01-02T03:04:05.000Z\
                  &EndTime=2091-01-02T03:04:05.000Z&Recurrence=0 3 * * *&MinSize=1&MaxSize=6&DesiredCapacity=2&TimeZone=Etc/UTC",
        reads: SCHEDULE,
        ..Trip::EMPTY
    },
    Trip {
        operation: "BatchPutScheduledUpdateGroupAction",
        request: "AutoScalingGroupName=g&ScheduledUpdateGroupActions.member.1.ScheduledActionName=day\
                  &ScheduledUpdateGroupActions.member.1.StartTime=2092-01-02T03:04:05.000Z\
                  &ScheduledUpdateGroupActions.member.1.EndTime=2093-01-02T03:04:05.000Z\
                  &ScheduledUpdateGroupActions.member.1.Recurrence=0 9 * * *\
                  &ScheduledUpdateGroupActions.member.1.MinSize=3&ScheduledUpdateGroupActions.member.1.MaxSize=9\
                  &ScheduledUpdateGroupActions.member.1.DesiredCapacity=4\
                  &ScheduledUpdateGroupActions.member.1.TimeZone=Etc/UTC",
        reads: SCHEDULE,
        ..Trip::EMPTY
    },
    Trip {
        operation: "StartInstanceRefresh",
        request: "AutoScalingGroupName=g&Strategy=Rolling&DesiredConfiguration.LaunchTemplate.LaunchTemplateId=lt-0123456789abcdef0\
                  &DesiredConfiguration.LaunchTemplate.Version=2&Preferences.MinHealthyPercentage=70\
                  &Preferences.MaxHealthyPercentage=150&Preferences.InstanceWarmup=654&Preferences.SkipMatching=true\
                  &Preferences.CheckpointPercentages.member.1=40&Preferences.CheckpointPercentages.member.2=100\
                  &Preferences.CheckpointDelay=765&Preferences.BakeTime=876&Preferences.ScaleInProtectedInstances=Refresh\
                  &Preferences.StandbyInstances=Ignore",
        reads: &[("DescribeInstanceRefreshes", "AutoScalingGroupName=g")],
        ..Trip::EMPTY
    },
];

const WRITE_ONLY: &[WriteOnly] = &[
    WriteOnly("*", &["MixedInstancesPolicy.LaunchTemplate.Overrides"], "the empty form of a list"),
    WriteOnly(
        "*",
        &["NotificationTargetARN", "LifecycleHookSpecificationList.N.NotificationTargetARN"],
        "refused: there are no queues and topics",
    ),
    WriteOnly("*", &["HonorCooldown"], "decides whether the request is refused"),
    WriteOnly("PutScheduledUpdateGroupAction", &["Time"], "the former name of StartTime"),
    WriteOnly(
        "PutScalingPolicy",
        &["TargetTrackingConfiguration.PredefinedMetricSpecification.ResourceLabel"],
        "needs a balancer; tested in tests.rs",
    ),
    WriteOnly("StartInstanceRefresh", &["AutoScalingGroupName"], "identifies the group"),
    WriteOnly(
        "StartInstanceRefresh",
        &[
            "DesiredConfiguration.LaunchTemplate.LaunchTemplateName",
            "Preferences.AutoRollback",
            "Preferences.AlarmSpecification.Alarms.N",
        ],
        "alternatives that need further resources; tested in tests.rs",
    ),
    WriteOnly("DeleteLaunchConfiguration", &["*"], "identifies the launch configuration to delete"),
    WriteOnly("DeleteNotificationConfiguration", &["*"], "identifies the notifications to delete"),
    WriteOnly("SuspendProcesses", &["AutoScalingGroupName"], "identifies the group"),
    WriteOnly("ResumeProcesses", &["*"], "identifies the processes"),
    WriteOnly("DisableMetricsCollection", &["*"], "identifies the metrics"),
    WriteOnly("DetachTrafficSources", &["*"], "identifies the sources to detach"),
    WriteOnly("DetachLoadBalancerTargetGroups", &["*"], "identifies the target groups to detach"),
    WriteOnly("DeleteAutoScalingGroup", &["*"], "identifies the group to delete"),
    WriteOnly("DeleteLifecycleHook", &["*"], "identifies the hook to delete"),
    WriteOnly("DeletePolicy", &["*"], "identifies the policy to delete"),
    WriteOnly("DeleteScheduledAction", &["*"], "identifies the action to delete"),
    WriteOnly("BatchDeleteScheduledAction", &["*"], "identifies the actions to delete"),
    WriteOnly("DeleteTags", &["*"], "identifies the tags to delete"),
    WriteOnly("ExecutePolicy", &["*"], "changes the capacity; tested in tests.rs"),
    WriteOnly("CompleteLifecycleAction", &["*"], "needs an instance; tested with the runtime"),
    WriteOnly("RecordLifecycleActionHeartbeat", &["*"], "needs an instance; tested with the runtime"),
    WriteOnly("TerminateInstanceInAutoScalingGroup", &["*"], "needs an instance; tested in tests.rs"),
    WriteOnly("SetInstanceProtection", &["*"], "needs an instance; tested in tests.rs"),
    WriteOnly("SetInstanceHealth", &["*"], "needs an instance; tested in tests.rs"),
    WriteOnly("AttachInstances", &["*"], "needs an instance; tested in tests.rs"),
    WriteOnly("DetachInstances", &["*"], "needs an instance; tested in tests.rs"),
    WriteOnly("EnterStandby", &["*"], "needs an instance; tested in tests.rs"),
    WriteOnly("ExitStandby", &["*"], "needs an instance; tested in tests.rs"),
    WriteOnly("CancelInstanceRefresh", &["*"], "identifies the refresh"),
    WriteOnly("RollbackInstanceRefresh", &["*"], "identifies the refresh"),
];

#[test]
fn parameters_are_read_back() {
    let mut plane = round_trip::plane();
    let vpc = plane.cloud.regions["us-east-1"].ec2.vpcs.keys().next().unwrap().clone();
    let form = format!("Name=targets&Protocol=HTTP&Port=80&VpcId={vpc}");
    let targets = plane.query(elbv2::OPERATIONS, "CreateTargetGroup", &form).unwrap();
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
    let pair = KeyPair {
        id: "key-0123456789abcdef0".to_owned(),
        name: "pair".to_owned(),
        kind: "ed25519".to_owned(),
        fingerprint: String::new(),
        public_key: String::new(),
        created: Utc::now(),
        tags: std::collections::BTreeMap::new(),
    };
    region.ec2.key_pairs.insert(pair.id.clone(), pair);
    let group = region.ec2.security_groups.keys().next().unwrap().clone();
    let subnet = region.ec2.subnets.values().next().unwrap();
    let variables = Variables::from([
        ("subnet", subnet.id.clone()),
        ("image", stock("us-east-1")[0].id.clone()),
        ("group", group),
        ("zone", subnet.zone.clone()),
        ("targets", element(&targets, "TargetGroupArn").to_owned()),
    ]);
    check_query(&mut plane, OPERATIONS, &[GROUPS, ACTIONS].concat(), WRITE_ONLY, variables);
}
