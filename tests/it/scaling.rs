//! Auto Scaling groups with alarms, schedules and lifecycle hooks, end to end: program, engine, SDK, local cloud.

use infra_aws::{
    self as aws, AlarmMetric, AutoScalingGroup, AutoScalingGroupOutputs, Aws, DefaultVpc, LaunchTemplate,
    LifecycleHook, LogGroup, MetricAlarm, MissingData, Process, Refresh, Region, ScalingPolicy, ScheduledAction, Step,
};
use infra_core::{Config, Engine, Result, Stack, engine::ImportRequest, store::MemoryStore};
use infra_local::{LocalCloud, Options};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};
use tempfile::TempDir;
use tests::TIMEOUT;

/// A local cloud in which a minute passes in two seconds, and its clients.
struct Fixture {
    cloud: LocalCloud,
    engine: Engine,
    aws: Aws,
    _directory: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let options = Options { time_scale: 30.0, ..Options::new(directory.path()) };
        let cloud = LocalCloud::start(options).await.unwrap();
        let target = tests::target(&cloud);
        let engine = Engine::new("program", "dev", MemoryStore::new()).target(target.clone());
        Self { cloud, engine, aws: Aws::new(&target), _directory: directory }
    }

    async fn up<P: Fn(&Stack, &Config) -> Result + Sync>(&self, program: &P) {
        let report = self.engine.up(program).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        let plan = self.engine.preview(program).refresh_first(true).await.unwrap();
        assert!(!plan.has_changes(), "the actual state differs from the declaration: {plan}");
    }

    async fn group(&self) -> Group {
        let client = self.aws.autoscaling("us-east-1").await;
        let answer = client.describe_auto_scaling_groups().auto_scaling_group_names("web").send().await.unwrap();
        let group = answer.auto_scaling_groups.unwrap_or_default().pop().unwrap();
        let template = group.launch_template().unwrap();
        let states = group.instances().iter().filter_map(|instance| {
            Some((instance.instance_id()?.to_owned(), instance.lifecycle_state()?.as_str().to_owned()))
        });
        Group {
            desired: group.desired_capacity().unwrap(),
            template: template.launch_template_id().unwrap().to_owned(),
            version: template.version().unwrap().to_owned(),
            states: states.collect(),
            suspended: group
                .suspended_processes()
                .iter()
                .filter_map(|process| process.process_name().map(str::to_owned))
                .collect(),
        }
    }

    async fn end<P: Fn(&Stack, &Config) -> Result + Sync>(self, program: &P) {
        let report = self.engine.destroy(program).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        assert_eq!(self.engine.state().await.unwrap().unwrap().live_count(), 0);
        self.cloud.shutdown().await;
    }
}

/// The description of the group.
struct Group {
    desired: i32,
    template: String,
    version: String,
    /// Lifecycle states by instance id.
    states: BTreeMap<String, String>,
    suspended: BTreeSet<String>,
}

impl Group {
    /// Returns an instance in this state.
    fn any(&self, state: &str) -> Option<String> {
        self.states.iter().find(|(_, other)| *other == state).map(|(instance, _)| instance.clone())
    }
}

/// Polls until the result is `Some`. `condition` describes it for the error message.
async fn until<T, F: Future<Output = Option<T>>>(condition: &str, mut poll: impl FnMut() -> F) -> T {
    let polling = async {
        loop {
            if let Some(result) = poll().await {
                return result;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let result = tokio::time::timeout(TIMEOUT, polling).await;
    result.unwrap_or_else(|_| panic!("timed out while waiting until {condition}"))
}

/// Declares the group `web` of instances without services.
fn group(region: &Region, instance_type: &str, more: AutoScalingGroupSettings) -> AutoScalingGroupOutputs {
    let network = region.lookup(DefaultVpc);
    let template = LaunchTemplate { name: Some("web".into()), ..LaunchTemplate::new(instance_type) };
    let template = region.add("template", template);
    let group = AutoScalingGroup {
        name: Some("web".into()),
        min: more.min,
        max: 4,
        refresh: more.refresh,
        suspended: more.suspended.into_iter().collect(),
        metrics: true,
        ..AutoScalingGroup::from(template.version(), network.subnets)
    };
    region.add("group", group)
}

struct AutoScalingGroupSettings {
    min: u32,
    refresh: Refresh,
    suspended: Vec<Process>,
}

impl AutoScalingGroupSettings {
    fn of_at_least(min: u32) -> Self {
        Self { min, refresh: Refresh::default(), suspended: Vec::new() }
    }
}

/// Declares a group that grows while an alarm on its own size is active, with its policy, schedule, hook and log group.
fn growing(stack: &Stack, _: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let group = group(&virginia, "t3.micro", AutoScalingGroupSettings::of_at_least(1));
    let steps = [Step::between(0.0, 2.0, 1), Step::above(2.0, 2)];
    let in_service = AlarmMetric::new("AWS/AutoScaling", "GroupInServiceInstances");
    let in_service = in_service.dimension("AutoScalingGroupName", group.name.cast::<String>());
    let policy = virginia.add(
        "grow",
        ScalingPolicy {
            name: Some("grow".into()),
            instance_warmup: Some(0),
            ..ScalingPolicy::steps(group.name.clone(), steps)
        },
    );
    virginia.add(
        "busy",
        MetricAlarm {
            name: Some("busy".into()),
            missing_data: Some(MissingData::NotBreaching),
            alarm_actions: vec![policy.arn],
            ..MetricAlarm::above(in_service, 0.0)
        },
    );
    let morning = ScheduledAction { min: Some(1), ..ScheduledAction::recurring(group.name.clone(), "0 8 * * MON-FRI") };
    virginia.add("morning", ScheduledAction { name: Some("morning".into()), ..morning });
    let hook = LifecycleHook { name: Some("drain".into()), ..LifecycleHook::terminating(group.name) };
    virginia.add("drain", LifecycleHook { heartbeat_timeout: 30, ..hook });
    virginia.add("log", LogGroup { name: Some("/web".into()), ..LogGroup::retention_days(7) });
    Ok(())
}

#[tokio::test]
async fn alarm_on_a_published_metric_scales_by_steps() {
    let fixture = Fixture::new().await;
    fixture.up(&growing).await;
    until("the alarm has taken its steps", async || (fixture.group().await.desired == 4).then_some(())).await;

    let watch = fixture.aws.cloudwatch("us-east-1").await;
    let alarm = watch.describe_alarms().alarm_names("busy").send().await.unwrap();
    let alarm = &alarm.metric_alarms()[0];
    assert_eq!(alarm.state_value().unwrap().as_str(), "ALARM");
    assert!(alarm.state_reason().unwrap().contains("Threshold Crossed: 1 out of the last 1 datapoints"));
    let history = watch.describe_alarm_history().alarm_name("busy").send().await.unwrap();
    let summaries: Vec<&str> = history.alarm_history_items().iter().filter_map(|item| item.history_summary()).collect();
    assert!(summaries.iter().any(|summary| summary.starts_with("Successfully executed action arn:")), "{summaries:?}");
    let metrics = watch.list_metrics().namespace("AWS/AutoScaling").send().await.unwrap();
    assert!(metrics.metrics().iter().any(|metric| metric.metric_name() == Some("GroupDesiredCapacity")));

    // A capacity that scaling has set is not drift.
    assert!(!fixture.engine.preview(&growing).await.unwrap().has_changes());
    fixture.end(&growing).await;
}

#[tokio::test]
async fn group_with_its_policies_alarms_and_hooks_is_imported() {
    let fixture = Fixture::new().await;
    fixture.up(&growing).await;
    let template = fixture.group().await.template;
    let region = |stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-1");
        Ok(())
    };
    let request = |kind: &str, name: &str, id: &str| ImportRequest {
        kind: kind.into(),
        name: name.into(),
        id: id.into(),
        region: Some("us-east-1".into()),
    };
    let importer = Engine::new("importer", "dev", MemoryStore::new()).target(tests::target(&fixture.cloud));
    let wrong = [request("aws:autoscaling:ScalingPolicy", "grow", "grow")];
    let error = importer.import(&region, &wrong).await.unwrap_err().to_string();
    assert!(error.contains("write `GROUP/POLICY`"), "{error}");
    let requests = [
        request("aws:ec2:LaunchTemplate", "template", &template),
        request("aws:autoscaling:AutoScalingGroup", "group", "web"),
        request("aws:autoscaling:ScalingPolicy", "grow", "web/grow"),
        request("aws:autoscaling:ScheduledAction", "morning", "web/morning"),
        request("aws:autoscaling:LifecycleHook", "drain", "web/drain"),
        request("aws:cloudwatch:MetricAlarm", "busy", "busy"),
        request("aws:logs:LogGroup", "log", "/web"),
    ];
    importer.import(&region, &requests).await.unwrap();
    let plan = importer.preview(&growing).await.unwrap().to_string();
    let changed: Vec<&str> = plan.lines().filter(|line| line.starts_with(['+', '~', '-'])).collect();
    // The program declares a new instance profile, so the template is updated.
    assert!(changed.iter().all(|line| !line.contains("create MetricAlarm") && !line.contains("replace")), "{plan}");
    for kind in ["ScalingPolicy", "ScheduledAction", "LifecycleHook", "MetricAlarm", "LogGroup"] {
        assert!(!changed.iter().any(|line| line.contains(kind)), "{kind} differs from its declaration: {plan}");
    }
    fixture.end(&growing).await;
}

#[tokio::test]
async fn scheduled_instance_waits_for_its_lifecycle_hook() {
    let fixture = Fixture::new().await;
    let hooked = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let group = group(&virginia, "t3.micro", AutoScalingGroupSettings::of_at_least(0));
        let hook = LifecycleHook { name: Some("warm".into()), ..LifecycleHook::launching(group.name.clone()) };
        virginia.add("warm", LifecycleHook { heartbeat_timeout: 7200, ..hook });
        let every_minute = ScheduledAction::recurring(group.name, "* * * * *");
        virginia.add("soon", ScheduledAction { desired: Some(1), ..every_minute });
        Ok(())
    };
    fixture.up(&hooked).await;
    let waiting = until("the schedule has launched an instance that waits for its hook", async || {
        fixture.group().await.any("Pending:Wait")
    })
    .await;
    let client = fixture.aws.autoscaling("us-east-1").await;
    let answer = client.complete_lifecycle_action().auto_scaling_group_name("web").lifecycle_hook_name("warm");
    answer.instance_id(&waiting).lifecycle_action_result("CONTINUE").send().await.unwrap();
    let serving = until("the instance is in service", async || fixture.group().await.any("InService")).await;
    assert_eq!(serving, waiting);
    fixture.end(&hooked).await;
}

#[tokio::test]
async fn alarm_rolls_an_instance_refresh_back() {
    let fixture = Fixture::new().await;
    let version = |instance_type: &'static str| {
        move |stack: &Stack, _: &Config| -> Result {
            let virginia = aws::region(stack, "us-east-1");
            let alarm = virginia.add(
                "errors",
                MetricAlarm {
                    name: Some("errors".into()),
                    missing_data: Some(MissingData::Ignore),
                    ..MetricAlarm::above(AlarmMetric::new("Shop", "Errors"), 0.0)
                },
            );
            let refresh = Refresh { alarms: vec![alarm.name], bake_time: Some(60), ..Refresh::default() };
            let settings = AutoScalingGroupSettings { refresh, ..AutoScalingGroupSettings::of_at_least(1) };
            group(&virginia, instance_type, settings);
            Ok(())
        }
    };
    fixture.up(&version("t3.micro")).await;
    fixture.up(&version("t3.small")).await;
    assert_eq!(fixture.group().await.version, "2", "a version without an alarm in its bake time is kept");

    let watch = fixture.aws.cloudwatch("us-east-1").await;
    let alarm = watch.set_alarm_state().alarm_name("errors").state_value("ALARM".into()).state_reason("drill");
    alarm.send().await.unwrap();
    let report = fixture.engine.up(&version("t3.medium")).await.unwrap();
    assert!(!report.is_success());
    let failures = format!("{:?}", report.failures);
    assert!(failures.contains("was rolled back") && failures.contains("The alarm errors"), "{failures}");
    assert_eq!(fixture.group().await.version, "2");
    fixture.end(&version("t3.small")).await;
}

#[tokio::test]
async fn settings_of_a_group_are_updated_in_place() {
    let fixture = Fixture::new().await;
    let with = |suspended: Vec<Process>| {
        move |stack: &Stack, _: &Config| -> Result {
            let virginia = aws::region(stack, "us-east-1");
            let settings =
                AutoScalingGroupSettings { suspended: suspended.clone(), ..AutoScalingGroupSettings::of_at_least(0) };
            group(&virginia, "t3.micro", settings);
            Ok(())
        }
    };
    let names = async || fixture.group().await.suspended.into_iter().collect::<Vec<_>>();
    fixture.up(&with(vec![Process::AZRebalance, Process::ReplaceUnhealthy])).await;
    assert_eq!(names().await, ["AZRebalance", "ReplaceUnhealthy"]);
    fixture.up(&with(vec![Process::ReplaceUnhealthy, Process::Terminate])).await;
    assert_eq!(names().await, ["ReplaceUnhealthy", "Terminate"]);
    fixture.up(&with(Vec::new())).await;
    assert!(names().await.is_empty());
    fixture.end(&with(Vec::new())).await;
}
