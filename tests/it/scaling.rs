//! Groups that scale by alarms, schedules and hooks, through every layer: program, engine, SDK, local cloud.

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
use tests::PATIENCE;

/// A local cloud where a minute passes in two seconds, and clients of it.
struct World {
    cloud: LocalCloud,
    engine: Engine,
    aws: Aws,
    _directory: TempDir,
}

impl World {
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
        let plan = self.engine.clone().refresh_first(true).preview(program).await.unwrap();
        assert!(!plan.has_changes(), "what lives is what was declared: {plan}");
    }

    async fn group(&self) -> Group {
        let client = self.aws.autoscaling("us-east-1").await;
        let answer = client.describe_auto_scaling_groups().auto_scaling_group_names("web").send().await.unwrap();
        let group = answer.auto_scaling_groups.unwrap_or_default().pop().unwrap();
        let template = group.launch_template().unwrap();
        let states = group
            .instances()
            .iter()
            .filter_map(|one| Some((one.instance_id()?.to_owned(), one.lifecycle_state()?.as_str().to_owned())));
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

/// The group as the SDK sees it.
struct Group {
    desired: i32,
    template: String,
    version: String,
    /// By instance.
    states: BTreeMap<String, String>,
    suspended: BTreeSet<String>,
}

impl Group {
    /// An instance in this state.
    fn any(&self, state: &str) -> Option<String> {
        self.states.iter().find(|(_, other)| *other == state).map(|(instance, _)| instance.clone())
    }
}

/// Asks until the answer is `Some`.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("gave up waiting until {what}"))
}

/// The group `web` of idle instances.
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

/// A group that grows for as long as an alarm on its own size rings, and everything around it.
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
    virginia.add("log", LogGroup { name: Some("/web".into()), ..LogGroup::kept_for_days(7) });
    Ok(())
}

#[tokio::test]
async fn an_alarm_on_a_metric_that_the_cloud_publishes_scales_by_steps() {
    let world = World::new().await;
    world.up(&growing).await;
    until("the alarm has taken its steps", async || (world.group().await.desired == 4).then_some(())).await;

    let watch = world.aws.cloudwatch("us-east-1").await;
    let alarm = watch.describe_alarms().alarm_names("busy").send().await.unwrap();
    let alarm = &alarm.metric_alarms()[0];
    assert_eq!(alarm.state_value().unwrap().as_str(), "ALARM");
    assert!(alarm.state_reason().unwrap().contains("Threshold Crossed: 1 out of the last 1 datapoints"));
    let history = watch.describe_alarm_history().alarm_name("busy").send().await.unwrap();
    let summaries: Vec<&str> = history.alarm_history_items().iter().filter_map(|item| item.history_summary()).collect();
    assert!(summaries.iter().any(|summary| summary.starts_with("Successfully executed action arn:")), "{summaries:?}");
    let metrics = watch.list_metrics().namespace("AWS/AutoScaling").send().await.unwrap();
    assert!(metrics.metrics().iter().any(|metric| metric.metric_name() == Some("GroupDesiredCapacity")));

    // A capacity that scaling has chosen is no drift.
    assert!(!world.engine.preview(&growing).await.unwrap().has_changes());
    world.end(&growing).await;
}

#[tokio::test]
async fn everything_around_a_group_is_taken_over() {
    let world = World::new().await;
    world.up(&growing).await;
    let template = world.group().await.template;
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
    let taker = Engine::new("taker", "dev", MemoryStore::new()).target(tests::target(&world.cloud));
    let wrong = [request("aws:autoscaling:ScalingPolicy", "grow", "grow")];
    let error = taker.import(&region, &wrong).await.unwrap_err().to_string();
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
    taker.import(&region, &requests).await.unwrap();
    let plan = taker.preview(&growing).await.unwrap().to_string();
    let changed: Vec<&str> = plan.lines().filter(|line| line.starts_with(['+', '~', '-'])).collect();
    // What an instance may read is the program's own, so the template gets it anew.
    assert!(changed.iter().all(|line| !line.contains("create MetricAlarm") && !line.contains("replace")), "{plan}");
    for kind in ["ScalingPolicy", "ScheduledAction", "LifecycleHook", "MetricAlarm", "LogGroup"] {
        assert!(!changed.iter().any(|line| line.contains(kind)), "{kind} is declared as it lives: {plan}");
    }
    world.end(&growing).await;
}

#[tokio::test]
async fn an_instance_waits_for_its_hook_and_a_schedule_is_kept() {
    let world = World::new().await;
    let hooked = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let group = group(&virginia, "t3.micro", AutoScalingGroupSettings::of_at_least(0));
        let hook = LifecycleHook { name: Some("warm".into()), ..LifecycleHook::launching(group.name.clone()) };
        virginia.add("warm", LifecycleHook { heartbeat_timeout: 7200, ..hook });
        let every_minute = ScheduledAction::recurring(group.name, "* * * * *");
        virginia.add("soon", ScheduledAction { desired: Some(1), ..every_minute });
        Ok(())
    };
    world.up(&hooked).await;
    let waiting =
        until("the schedule has launched an instance, which waits", async || world.group().await.any("Pending:Wait"))
            .await;
    let client = world.aws.autoscaling("us-east-1").await;
    let answer = client.complete_lifecycle_action().auto_scaling_group_name("web").lifecycle_hook_name("warm");
    answer.instance_id(&waiting).lifecycle_action_result("CONTINUE").send().await.unwrap();
    let serving = until("the instance serves", async || world.group().await.any("InService")).await;
    assert_eq!(serving, waiting);
    world.end(&hooked).await;
}

#[tokio::test]
async fn an_alarm_rolls_a_refresh_back() {
    let world = World::new().await;
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
    world.up(&version("t3.micro")).await;
    world.up(&version("t3.small")).await;
    assert_eq!(world.group().await.version, "2", "a version that bakes in peace stays");

    let watch = world.aws.cloudwatch("us-east-1").await;
    let ring = watch.set_alarm_state().alarm_name("errors").state_value("ALARM".into()).state_reason("drill");
    ring.send().await.unwrap();
    let report = world.engine.up(&version("t3.medium")).await.unwrap();
    assert!(!report.is_success());
    let failures = format!("{:?}", report.failures);
    assert!(failures.contains("was rolled back") && failures.contains("The alarm errors"), "{failures}");
    assert_eq!(world.group().await.version, "2");
    world.end(&version("t3.small")).await;
}

#[tokio::test]
async fn settings_of_a_group_change_in_place() {
    let world = World::new().await;
    let with = |suspended: Vec<Process>| {
        move |stack: &Stack, _: &Config| -> Result {
            let virginia = aws::region(stack, "us-east-1");
            let settings =
                AutoScalingGroupSettings { suspended: suspended.clone(), ..AutoScalingGroupSettings::of_at_least(0) };
            group(&virginia, "t3.micro", settings);
            Ok(())
        }
    };
    let names = async || world.group().await.suspended.into_iter().collect::<Vec<_>>();
    world.up(&with(vec![Process::AZRebalance, Process::ReplaceUnhealthy])).await;
    assert_eq!(names().await, ["AZRebalance", "ReplaceUnhealthy"]);
    world.up(&with(vec![Process::ReplaceUnhealthy, Process::Terminate])).await;
    assert_eq!(names().await, ["ReplaceUnhealthy", "Terminate"]);
    world.up(&with(Vec::new())).await;
    assert!(names().await.is_empty());
    world.end(&with(Vec::new())).await;
}
