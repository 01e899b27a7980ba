//! The terminal output of `preview` for the default program.

use insta::assert_snapshot;
use tests::{Project, stable};

#[test]
fn preview_shows_the_changes_of_the_default_program() {
    let project = Project::new();
    let preview = |arguments: &[&str]| {
        let completed = project.run(&[&["preview"], arguments].concat());
        completed.expect(0);
        // Where the kernel permits no network namespaces, the database has an address of the loopback interface.
        stable(&completed.out).replace("10.2.0.4:5432", "127.x.x.x:5432")
    };
    assert_snapshot!(preview(&[]), @"
    preview multicloud-orm stack dev
      network
        + Vpc vpc                                        us-east-1
        + InternetGateway gateway                        us-east-1
        + Subnet subnet-0                                us-east-1
        + Subnet subnet-1                                us-east-1
        + VpcPeering peering-us-east-2-database-<suffix>  us-east-1
        + RouteTable routes                              us-east-1
      database-<suffix>
        + Vpc vpc                                        us-east-2
        + InternetGateway gateway                        us-east-2
        + Subnet subnet-0                                us-east-2
        + RouteTable routes                              us-east-2
      + KeyPair database-key                             us-east-2
      + Password database-password
      database
        + SecurityGroup access                           us-east-2
        + Instance instance                              us-east-2
          + Parameter postgres-password                  us-east-2
          + Role role                                    us-east-2
          + InstanceProfile profile                      us-east-2
      + KeyPair application-key                          us-east-1
      + SecurityGroup balancer-access                    us-east-1
      + SecurityGroup application-access                 us-east-1
      + Password admin-password
      + Bucket artifacts-us-east-1                       us-east-1
      + BucketObject artifact-tasks-us-east-1            us-east-1
      + BakedImage application-image                     us-east-1
        + Parameter tasks-admin-password                 us-east-1
        + Parameter tasks-database-url                   us-east-1
        + Role role                                      us-east-1
        + InstanceProfile profile                        us-east-1
      + LaunchTemplate application                       us-east-1
      + LoadBalancer balancer                            us-east-1
      + TargetGroup targets                              us-east-1
      + Listener listener                                us-east-1
      + AutoScalingGroup group                           us-east-1
      + ScalingPolicy scale-on-cpu                       us-east-1

    34 to create, 5 to read

    Outputs
      admin                    (known after apply)
      admin_password           (known after apply)
      application_private_key  (known after apply)
      client                   (known after apply)
      curl                     (known after apply)
      database_endpoint        (known after apply)
      database_private_key     (known after apply)
      url                      (known after apply)
    ");
    project.run(&["up", "--yes"]).expect(0);
    assert_snapshot!(preview(&[]), @"
    preview multicloud-orm stack dev

    34 unchanged

    Outputs
      admin                    http://127.x.x.x:8080/admin/
      admin_password           [secret]
      application_private_key  [secret]
      client                   cargo run --quiet --bin client -- GET --url http://127.x.x.x:8080
      curl                     curl http://127.x.x.x:8080/tasks/
      database_endpoint        127.x.x.x:5432
      database_private_key     [secret]
      url                      http://127.x.x.x:8080
    ");
    assert_snapshot!(preview(&["-c", "listenerPort=8088"]), @"
    preview multicloud-orm stack dev
      ~ SecurityGroup balancer-access  us-east-1
          ~ ingress[0].from_port: 8080 => 8088
          ~ ingress[0].to_port: 8080 => 8088
      ~ Listener listener              us-east-1
          ~ port: 8080 => 8088

    32 unchanged, 2 to update

    Outputs
      admin                    http://127.x.x.x:8088/admin/
      admin_password           [secret]
      application_private_key  [secret]
      client                   cargo run --quiet --bin client -- GET --url http://127.x.x.x:8088
      curl                     curl http://127.x.x.x:8088/tasks/
      database_endpoint        127.x.x.x:5432
      database_private_key     [secret]
      url                      http://127.x.x.x:8088
    ");
    assert_snapshot!(preview(&["-c", "listenerPort=8080", "-c", "applicationPort=8081"]), @r#"
    preview multicloud-orm stack dev
      ~ SecurityGroup application-access  us-east-1
          ~ ingress[0].from_port: 8080 => 8081
          ~ ingress[0].to_port: 8080 => 8081
      ± BakedImage application-image      us-east-1
          ~ machine.services[0].listen: 8080 => 8081  (forces replacement)
      ~ LaunchTemplate application        us-east-1
          ~ image: "ami-<id>" => (known after apply)
          ~ instance_profile: "application-image-profile-<suffix>" => (known after apply)
      ± TargetGroup targets               us-east-1
          ~ port: 8080 => 8081  (forces replacement)
      ~ Listener listener                 us-east-1
          ~ forward: "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/targets-<suffix>/<id>" => (known after apply)
      ~ AutoScalingGroup group            us-east-1
          ~ targets[0]: "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/targets-<suffix>/<id>" => (known after apply)
          ~ template.version: 1 => (known after apply)

    28 unchanged, 4 to update, 2 to replace

    Outputs
      admin                    http://127.x.x.x:8080/admin/
      admin_password           [secret]
      application_private_key  [secret]
      client                   cargo run --quiet --bin client -- GET --url http://127.x.x.x:8080
      curl                     curl http://127.x.x.x:8080/tasks/
      database_endpoint        127.x.x.x:5432
      database_private_key     [secret]
      url                      http://127.x.x.x:8080
    "#);
    let scaled = preview(&["-c", "targetRequests=600", "-c", "schedule=0 8 * * MON-FRI = 4; 0 20 * * MON-FRI = 1"]);
    let added: Vec<&str> = scaled.lines().filter(|line| line.starts_with("  +")).collect();
    assert_snapshot!(added.join("\n"), @"
    + ScalingPolicy scale-on-requests  us-east-1
    + ScheduledAction schedule-1       us-east-1
    + ScheduledAction schedule-2       us-east-1
    ");
    project.run(&["destroy", "--yes"]).expect(0);
}

#[test]
fn previews_show_the_creations_of_the_other_programs() {
    let preview = |program: &str| {
        let project = Project::new();
        let completed = project.run(&["preview", "--program", program]);
        completed.expect(0);
        stable(&completed.out)
    };
    assert_snapshot!(preview("selfieless-acts"), @"
    preview selfieless-acts stack dev
      network
        + Vpc vpc                                     us-east-1
        + InternetGateway gateway                     us-east-1
        + Subnet subnet-0                             us-east-1
        + Subnet subnet-1                             us-east-1
        + RouteTable routes                           us-east-1
      + SecurityGroup balancer-access                 us-east-1
      + SecurityGroup service-access                  us-east-1
      + SecurityGroup database-access                 us-east-1
      + LoadBalancer balancer                         us-east-1
      + Password database-password
      + DbSubnetGroup database-<suffix>                us-east-1
      + DbInstance database                           us-east-1
      + KeyPair key                                   us-east-1
      + Bucket artifacts-us-east-1                    us-east-1
      + BucketObject artifact-users-us-east-1         us-east-1
      users
        + BakedImage image                            us-east-1
          + Parameter users-database-url              us-east-1
          + Role role                                 us-east-1
          + InstanceProfile profile                   us-east-1
        + LaunchTemplate template                     us-east-1
        + TargetGroup targets                         us-east-1
        + AutoScalingGroup group                      us-east-1
      + BucketObject artifact-orchestrator-us-east-1  us-east-1
      + BucketObject artifact-acts-us-east-1          us-east-1
      acts
        + BakedImage image                            us-east-1
          + Parameter orchestrator-database-url       us-east-1
          + Role role                                 us-east-1
          + InstanceProfile profile                   us-east-1
        + LaunchTemplate template                     us-east-1
        + TargetGroup targets                         us-east-1
        + AutoScalingGroup group                      us-east-1
      + Listener listener                             us-east-1
      + ListenerRule users-paths                      us-east-1

    33 to create, 5 to read

    Outputs
      curl          (known after apply)
      orchestrator  (known after apply)
      private_key   (known after apply)
      url           (known after apply)
    ");
    assert_snapshot!(preview("bookstore"), @"
    preview bookstore stack dev
      network
        + Vpc vpc                                  us-east-1
        + InternetGateway gateway                  us-east-1
        + Subnet subnet-0                          us-east-1
        + Subnet subnet-1                          us-east-1
        + Subnet subnet-2                          us-east-1
        + RouteTable routes                        us-east-1
      + SecurityGroup balancer-access              us-east-1
      + SecurityGroup application-access           us-east-1
      + SecurityGroup database-access              us-east-1
      + Password database-password
      + DbSubnetGroup database-<suffix>             us-east-1
      + DbCluster database                         us-east-1
      + Password session-key
      + Password admin-password
      + KeyPair key                                us-east-1
      + Bucket artifacts-us-east-1                 us-east-1
      + BucketObject artifact-bookstore-us-east-1  us-east-1
      application
        + BakedImage image                         us-east-1
          + Parameter bookstore-admin-password     us-east-1
          + Parameter bookstore-reader-engine      us-east-1
          + Parameter bookstore-secret-key         us-east-1
          + Parameter bookstore-write-engine       us-east-1
          + Role role                              us-east-1
          + InstanceProfile profile                us-east-1
        + LaunchTemplate template                  us-east-1
        + TargetGroup targets                      us-east-1
        + AutoScalingGroup group                   us-east-1
      + ScalingPolicy scale-out                    us-east-1
      + MetricAlarm cpu-above-50                   us-east-1
      + LoadBalancer balancer                      us-east-1
      + Listener listener                          us-east-1

    31 to create, 3 to read

    Outputs
      admin_password   (known after apply)
      catalog          (known after apply)
      private_key      (known after apply)
      reader_endpoint  (known after apply)
      url              (known after apply)
      writer_endpoint  (known after apply)
    ");
    assert_snapshot!(preview("db-patterns"), @"
    preview db-patterns stack dev
      network
        + Vpc vpc                                     us-east-1
        + InternetGateway gateway                     us-east-1
        + Subnet subnet-0                             us-east-1
        + Subnet subnet-1                             us-east-1
        + RouteTable routes                           us-east-1
      + SecurityGroup gatekeeper-access               us-east-1
      + SecurityGroup trusted-host-access             us-east-1
      + SecurityGroup proxy-access                    us-east-1
      + KeyPair key                                   us-east-1
      + Password database-password
      cluster
        + SecurityGroup access                        us-east-1
        + Password replication-password               us-east-1
        + Instance primary                            us-east-1
          + Parameter postgres-password               us-east-1
          + Parameter postgres-replication-password   us-east-1
          + Role role                                 us-east-1
          + InstanceProfile profile                   us-east-1
        + Instance replica-0                          us-east-1
          + Parameter postgres-password               us-east-1
          + Parameter postgres-replication-password   us-east-1
          + Role role                                 us-east-1
          + InstanceProfile profile                   us-east-1
        + Instance replica-1                          us-east-1
          + Parameter postgres-password               us-east-1
          + Parameter postgres-replication-password   us-east-1
          + Role role                                 us-east-1
          + InstanceProfile profile                   us-east-1
        + Instance replica-2                          us-east-1
          + Parameter postgres-password               us-east-1
          + Parameter postgres-replication-password   us-east-1
          + Role role                                 us-east-1
          + InstanceProfile profile                   us-east-1
      standalone
        + SecurityGroup access                        us-east-1
        + Password replication-password               us-east-1
        + Instance primary                            us-east-1
          + Parameter postgres-password               us-east-1
          + Parameter postgres-replication-password   us-east-1
          + Role role                                 us-east-1
          + InstanceProfile profile                   us-east-1
      + Password signing-key
      + Bucket artifacts-us-east-1                    us-east-1
      + BucketObject artifact-proxy-us-east-1         us-east-1
      + BucketObject artifact-patterns-us-east-1      us-east-1
      + Instance proxy                                us-east-1
        + Parameter proxy-manager-url                 us-east-1
        + Parameter proxy-signing-key                 us-east-1
        + Parameter proxy-standalone-url              us-east-1
        + Parameter proxy-worker-urls                 us-east-1
        + Role role                                   us-east-1
        + InstanceProfile profile                     us-east-1
      + BucketObject artifact-trusted-host-us-east-1  us-east-1
      + Instance trusted-host                         us-east-1
        + Parameter trusted-host-signing-key          us-east-1
        + Role role                                   us-east-1
        + InstanceProfile profile                     us-east-1
      + BucketObject artifact-gatekeeper-us-east-1    us-east-1
      + Instance gatekeeper                           us-east-1
        + Role role                                   us-east-1
        + InstanceProfile profile                     us-east-1
      + ElasticIp gatekeeper-<suffix>                  us-east-1

    60 to create, 6 to read

    Outputs
      client       (known after apply)
      private_key  (known after apply)
      url          (known after apply)
    ");
}
