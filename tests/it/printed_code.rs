{
aws::region(stack, "us-east-1").component("imported").add("certificate", Certificate {
    names: Default::default(),
    valid_days: Default::default(),
    certificate: Some("-----BEGIN CERTIFICATE-----…-----END CERTIFICATE-----\n".into()),
    chain: Default::default(),
    private_key: Some("[secret]".into()),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("group", AutoScalingGroup {
    name: Some("group-<suffix>".into()),
    min: 0,
    max: 2,
    desired: None,
    template: infra_core::output_json!({
        "id": "lt-<id>",
        "version": 1,
    }).cast(),
    subnets: vec![
        "subnet-<id>".into(),
        "subnet-<id>".into(),
    ].into(),
    targets: vec![],
    health_check: None,
    health_grace: 300,
    instance_warmup: Default::default(),
    termination_policies: Default::default(),
    protect_from_scale_in: Default::default(),
    suspended: Default::default(),
    metrics: Default::default(),
    tags: Default::default(),
    refresh: Refresh {
        min_healthy_percentage: None,
        max_healthy_percentage: None,
        instance_warmup: None,
        auto_rollback: Default::default(),
        checkpoints: Default::default(),
        checkpoint_delay: Default::default(),
        bake_time: Default::default(),
        alarms: Default::default(),
        protected: Default::default(),
    },
    wait_for_healthy: None,
});
aws::region(stack, "us-east-1").component("imported").add("hook", LifecycleHook {
    name: Some("hook-<suffix>".into()),
    group: AutoScalingGroupName::from("group-<suffix>").into(),
    transition: Transition::Launching,
    heartbeat_timeout: 3600,
    default_result: LifecycleResult::Abandon,
    metadata: None,
});
aws::region(stack, "us-east-1").component("imported").add("policy", ScalingPolicy {
    name: Some("policy-<suffix>".into()),
    group: AutoScalingGroupName::from("group-<suffix>").into(),
    scaling: Scaling::Target(TargetTracking {
        metric: Metric::Cpu,
        value: 50.0,
        disable_scale_in: false,
    }),
    instance_warmup: None,
});
aws::region(stack, "us-east-1").component("imported").add("nightly", ScheduledAction {
    name: Some("nightly-<suffix>".into()),
    group: AutoScalingGroupName::from("group-<suffix>").into(),
    recurrence: Some("0 3 * * *".into()),
    time_zone: None,
    start: None,
    end: None,
    min: Some(0),
    max: None,
    desired: None,
});
aws::region(stack, "us-east-1").component("imported").add("any", CloudResource {
    type_name: "AWS::EC2::SecurityGroup".into(),
    properties: infra_core::output_json!({
        "GroupDescription": "every",
        "GroupId": "sg-<id>",
        "GroupName": "SecurityGroup-…",
        "Id": "sg-<id>",
        "SecurityGroupEgress": [
            {
                "CidrIp": "0.0.0.0/0",
                "IpProtocol": "-1",
            },
        ],
        "VpcId": "vpc-<id>",
    }),
    secrets: None,
    replace_on: vec![],
});
aws::region(stack, "us-east-1").component("imported").add("busy", MetricAlarm {
    name: Some("busy-<suffix>".into()),
    description: None,
    metric: AlarmMetric {
        namespace: "AWS/EC2".into(),
        name: "CPUUtilization".into(),
        dimensions: [
            ("AutoScalingGroupName".into(), "group-<suffix>".into()),
        ].into(),
        unit: Default::default(),
    },
    statistic: Statistic::Average,
    period: 60,
    evaluation_periods: 1,
    datapoints_to_alarm: None,
    comparison: Comparison::Above,
    threshold: 90.0,
    missing_data: None,
    alarm_actions: Default::default(),
    ok_actions: Default::default(),
    insufficient_data_actions: Default::default(),
    actions_enabled: true,
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("address", ElasticIp {
    instance: None,
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("host", Instance {
    instance_type: "t3.micro".into(),
    image: Some(ImageId::from("ami-<id>").into()),
    subnet: Some(SubnetId::from("subnet-<id>").into()),
    security_groups: vec![SecurityGroupId::from("sg-<id>").into()],
    key_name: Some(KeyName::from("key-<suffix>").into()),
    instance_profile: Some(InstanceProfileName::from("profile-<suffix>").into()),
    machine: Machine {
        image: "debian-12".into(),
        packages: vec![],
        files: vec![],
        services: vec![],
        postgres: None,
        mariadb: Default::default(),
        refused: Default::default(),
    },
    keep_disk: Default::default(),
    source_dest_check: Default::default(),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("gateway", InternetGateway {
    vpc_id: VpcId::from("vpc-<id>").into(),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("key", KeyPair {
    name: Some("key-<suffix>".into()),
    public_key: Some("ssh-ed25519 … key".into()),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("template", LaunchTemplate {
    name: Some("template-<suffix>".into()),
    instance_type: "t3.micro".into(),
    image: Some(ImageId::from("ami-<id>").into()),
    security_groups: vec![SecurityGroupId::from("sg-<id>").into()],
    key_name: None,
    instance_profile: None,
    machine: Machine {
        image: "debian-12".into(),
        packages: vec![],
        files: vec![],
        services: vec![],
        postgres: None,
        mariadb: Default::default(),
        refused: Default::default(),
    },
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("nat", NatGateway {
    subnet: SubnetId::from("subnet-<id>").into(),
    address: Some(AllocationId::from("eipalloc-<id>").into()),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("inner", RouteTable {
    vpc_id: VpcId::from("vpc-<id>").into(),
    routes: vec![
        Route {
            destination: "0.0.0.0/0".into(),
            internet_gateway: Default::default(),
            nat_gateway: Some(NatGatewayId::from("nat-<id>").into()),
            peering: Default::default(),
            instance: Default::default(),
            network_interface: Default::default(),
        },
        Route {
            destination: "10.1.0.0/16".into(),
            internet_gateway: Default::default(),
            nat_gateway: Default::default(),
            peering: Some(VpcPeeringId::from("pcx-<id>").into()),
            instance: Default::default(),
            network_interface: Default::default(),
        },
    ],
    subnets: vec![SubnetId::from("subnet-<id>").into()],
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("out", RouteTable {
    vpc_id: VpcId::from("vpc-<id>").into(),
    routes: vec![
        Route {
            destination: "0.0.0.0/0".into(),
            internet_gateway: Some(InternetGatewayId::from("igw-<id>").into()),
            nat_gateway: Default::default(),
            peering: Default::default(),
            instance: Default::default(),
            network_interface: Default::default(),
        },
    ],
    subnets: vec![SubnetId::from("subnet-<id>").into()],
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("access", SecurityGroup {
    name: Some("access-<suffix>".into()),
    description: "Managed by infra".into(),
    vpc_id: VpcId::from("vpc-<id>").into(),
    ingress: vec![
        Rule {
            protocol: "tcp".into(),
            from_port: Some(80),
            to_port: Some(80),
            cidr: Some("0.0.0.0/0".into()),
            group: None,
            itself: Default::default(),
            description: None,
        },
    ],
    egress: vec![],
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("rule", SecurityGroupRule {
    group: SecurityGroupId::from("sg-<id>").into(),
    direction: Direction::Ingress,
    rule: Rule {
        protocol: "tcp".into(),
        from_port: Some(443),
        to_port: Some(443),
        cidr: Some("10.0.0.0/8".into()),
        group: None,
        itself: Default::default(),
        description: None,
    },
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("first", Subnet {
    vpc_id: VpcId::from("vpc-<id>").into(),
    cidr: "10.0.0.0/24".into(),
    availability_zone: Some("us-east-1a".into()),
    map_public_ip: true,
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("second", Subnet {
    vpc_id: VpcId::from("vpc-<id>").into(),
    cidr: "10.0.1.0/24".into(),
    availability_zone: Some("us-east-1b".into()),
    map_public_ip: false,
    tags: Default::default(),
});
aws::region(stack, "us-east-2").component("imported").add("far", Vpc {
    cidr: "10.1.0.0/16".into(),
    dns_support: true,
    dns_hostnames: false,
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("vpc", Vpc {
    cidr: "10.0.0.0/16".into(),
    dns_support: true,
    dns_hostnames: true,
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("peering", VpcPeering {
    vpc_id: VpcId::from("vpc-<id>").into(),
    peer_vpc_id: VpcId::from("vpc-<id>").into(),
    peer_region: Some("us-east-2".into()),
    accept: true,
    dns_resolution: false,
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("secure", Listener {
    balancer: Arn::from("arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/balancer-<suffix>/<id>").into(),
    port: 443,
    certificate: Some(Arn::from("arn:aws:acm:us-east-1:000000000000:certificate/…").into()),
    other_certificates: Default::default(),
    ssl_policy: Default::default(),
    forward: Default::default(),
    action: Some(Action::FixedResponse(FixedResponse {
        status: 404,
        content_type: Some("text/plain".into()),
        body: Some("nothing".into()),
    })),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("path", ListenerRule {
    listener: Arn::from("arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/balancer-<suffix>/<id>/<id>").into(),
    priority: 10,
    conditions: vec![Condition::Path(vec!["/every/*".into()])],
    action: Action::Forward(Forward {
        shares: vec![
            Share {
                targets: Arn::from("arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/targets-<suffix>/<id>").into(),
                weight: 1,
            },
        ],
        sticky_seconds: Default::default(),
    }),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("balancer", LoadBalancer {
    name: Some("balancer-<suffix>".into()),
    scheme: Scheme::InternetFacing,
    subnets: vec![
        "subnet-<id>".into(),
        "subnet-<id>".into(),
    ].into(),
    security_groups: vec![SecurityGroupId::from("sg-<id>").into()],
    idle_timeout: None,
    attributes: Default::default(),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("targets", TargetGroup {
    name: Some("targets-<suffix>".into()),
    protocol: Protocol::Http,
    port: 80,
    vpc_id: VpcId::from("vpc-<id>").into(),
    health_path: None,
    health_interval: None,
    health_timeout: None,
    healthy_threshold: None,
    unhealthy_threshold: None,
    matcher: None,
    deregistration_delay: None,
    target_type: Default::default(),
    attributes: Default::default(),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("profile", InstanceProfile {
    name: Some("profile-<suffix>".into()),
    role: "role-<suffix>".into(),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("role", Role {
    name: Some("role-<suffix>".into()),
    trusted_service: "ec2.amazonaws.com".into(),
    policies: [
        ("reads-<suffix>".into(), "{\"Statement\":[{\"Action\":\"s3:GetObject\",\"Effect\":\"Allow\",\"Resource\":\"arn:aws:s3:::*\"}],\"Version\":\"2012-10-17\"}".into()),
    ].into(),
    managed_policies: Default::default(),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("reads", RolePolicy {
    role: "role-<suffix>".into(),
    name: Some("reads-<suffix>".into()),
    document: "{\"Statement\":[{\"Action\":\"s3:GetObject\",\"Effect\":\"Allow\",\"Resource\":\"arn:aws:s3:::*\"}],\"Version\":\"2012-10-17\"}".into(),
});
aws::region(stack, "us-east-1").component("imported").add("logs", LogGroup {
    name: Some("logs-<suffix>".into()),
    retention_days: Some(7),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("cluster-parameters", DbClusterParameterGroup {
    name: Some("cluster-parameters-<suffix>".into()),
    family: "aurora-postgresql15".into(),
    description: "Managed by infra".into(),
    parameters: [
        ("work_mem".into(), "4096".into()),
    ].into(),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("cluster", DbCluster {
    name: Some("cluster-<suffix>".into()),
    class: "db.t4g.medium".into(),
    instances: 1,
    version: None,
    database: Some("every".into()),
    user: "cloud".into(),
    password: "[secret]".into(),
    port: None,
    subnet_group: Some(DbSubnetGroupName::from("subnets-<suffix>").into()),
    security_groups: vec![SecurityGroupId::from("sg-<id>").into()],
    parameter_group: None,
    cluster_parameter_group: Some(DbClusterParameterGroupName::from("cluster-parameters-<suffix>").into()),
    public: false,
    encrypted: false,
    backup_retention: 1,
    deletion_protection: false,
    final_snapshot: true,
    snapshot: None,
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("database", DbInstance {
    name: Some("database-<suffix>".into()),
    class: "db.t3.micro".into(),
    version: None,
    database: Some("every".into()),
    user: "cloud".into(),
    password: "[secret]".into(),
    allocated_storage: 20,
    max_allocated_storage: None,
    storage_type: None,
    iops: Default::default(),
    storage_throughput: Default::default(),
    port: None,
    subnet_group: Some(DbSubnetGroupName::from("subnets-<suffix>").into()),
    security_groups: vec![SecurityGroupId::from("sg-<id>").into()],
    parameter_group: Some(DbParameterGroupName::from("parameters-<suffix>").into()),
    multi_az: false,
    public: false,
    encrypted: false,
    backup_retention: 1,
    deletion_protection: false,
    final_snapshot: true,
    snapshot: None,
    replicate_from: None,
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("replica", DbInstance {
    name: Some("replica-<suffix>".into()),
    class: "db.t3.micro".into(),
    version: None,
    database: Some("every".into()),
    user: "cloud".into(),
    password: "[secret]".into(),
    allocated_storage: 20,
    max_allocated_storage: None,
    storage_type: None,
    iops: Default::default(),
    storage_throughput: Default::default(),
    port: None,
    subnet_group: Some(DbSubnetGroupName::from("subnets-<suffix>").into()),
    security_groups: vec![SecurityGroupId::from("sg-<id>").into()],
    parameter_group: Some(DbParameterGroupName::from("parameters-<suffix>").into()),
    multi_az: false,
    public: false,
    encrypted: false,
    backup_retention: 0,
    deletion_protection: false,
    final_snapshot: true,
    snapshot: None,
    replicate_from: Some(DbInstanceId::from("database-<suffix>").into()),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("parameters", DbParameterGroup {
    name: Some("parameters-<suffix>".into()),
    family: "postgres15".into(),
    description: "Managed by infra".into(),
    parameters: [
        ("work_mem".into(), "4096".into()),
    ].into(),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("subnets", DbSubnetGroup {
    name: Some("subnets-<suffix>".into()),
    description: "Managed by infra".into(),
    subnets: vec![
        "subnet-<id>".into(),
        "subnet-<id>".into(),
    ].into(),
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("bucket", Bucket {
    name: Some("bucket-<suffix>".into()),
    force_delete: false,
    tags: Default::default(),
});
aws::region(stack, "us-east-1").component("imported").add("file", BucketObject {
    bucket: "bucket-<suffix>".into(),
    key: "every".into(),
    source: "".into(),
    sha256: "<sha256>".into(),
});
aws::region(stack, "us-east-1").component("imported").add("secret", Parameter {
    name: Some("/owner/dev/secret".into()),
    value: "[secret]".into(),
    secure: true,
    tags: Default::default(),
});
}
