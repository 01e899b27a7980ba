//! The account of a cloud: chosen by the first start, kept, and part of all ARNs.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use hyper::Method;
use infra_local::{Account, LocalCloud, Options, StartError, account, recorded_account};
use serde_json::{Value, json};

use support::{Api, ec2, element, send};

const OWN: &str = "112233445566";

fn options(directory: &tempfile::TempDir, account: Option<&str>) -> Options {
    let account = account.map(|account| account.parse().unwrap());
    Options { account, control_plane_only: true, ..Options::new(directory.path()) }
}

/// Returns the response of a service that uses forms.
async fn query(cloud: &LocalCloud, service: &str, action: &str, form: &[(&str, &str)]) -> String {
    let body =
        form_urlencoded::Serializer::new(String::new()).append_pair("Action", action).extend_pairs(form).finish();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let (status, answer) = send(cloud, service, Method::POST, "/", &headers, body.as_bytes()).await;
    assert_eq!(status, 200, "{action}: {answer}");
    assert!(!answer.contains(Account::default().as_str()), "{action} returns the default account: {answer}");
    answer
}

/// Returns the response of a service that uses JSON.
async fn values(cloud: &LocalCloud, service: &str, target: &str, input: &Value) -> String {
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
    let (status, answer) = send(cloud, service, Method::POST, "/", &headers, input.to_string().as_bytes()).await;
    assert_eq!(status, 200, "{target}: {answer}");
    assert!(!answer.contains(Account::default().as_str()), "{target} returns the default account: {answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_chooses_the_account_and_a_later_one_cannot_change_it() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(account(directory.path()).unwrap(), None);
    let cloud = LocalCloud::start(options(&directory, Some(OWN))).await.unwrap();
    assert_eq!((cloud.account().as_str(), cloud.status().await.account.as_str()), (OWN, OWN));
    cloud.shutdown().await;
    assert_eq!(recorded_account(directory.path()).unwrap().unwrap().as_str(), OWN);

    let refused = LocalCloud::start(options(&directory, Some("999999999999"))).await.err().unwrap();
    assert!(matches!(&refused, StartError::Account { existing, .. } if existing.as_str() == OWN));
    assert!(refused.to_string().contains("is the account 112233445566, not 999999999999"), "{refused}");
    for same in [Some(OWN), None] {
        let cloud = LocalCloud::start(options(&directory, same)).await.unwrap();
        assert_eq!(element(&query(&cloud, "sts", "GetCallerIdentity", &[]).await, "Account"), OWN);
        cloud.shutdown().await;
    }
    infra_local::reset(directory.path()).await.unwrap();
    let cloud = LocalCloud::start(options(&directory, Some("999999999999"))).await.unwrap();
    assert_eq!(cloud.account().as_str(), "999999999999");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ec2_shows_the_account_as_owner_of_every_kind() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(options(&directory, Some(OWN))).await.unwrap();
    let image = element(&query(&cloud, "ec2", "DescribeImages", &[]).await, "imageId");
    let subnets = query(&cloud, "ec2", "DescribeSubnets", &[("Filter.1.Name", "owner-id"), ("Filter.1.Value.1", OWN)]);
    let (subnet, vpc) = {
        let found = subnets.await;
        (element(&found, "subnetId"), element(&found, "vpcId"))
    };
    let launch = [("ImageId", image.as_str()), ("InstanceType", "t3.micro"), ("MinCount", "1"), ("MaxCount", "1")];
    let instance = element(&query(&cloud, "ec2", "RunInstances", &launch).await, "instanceId");
    let created: &[(&str, &[(&str, &str)])] = &[
        ("CreateLaunchTemplate", &[("LaunchTemplateName", "web"), ("LaunchTemplateData.ImageId", &image)]),
        ("CreatePlacementGroup", &[("GroupName", "spread"), ("Strategy", "spread")]),
        ("CreateNetworkInterface", &[("SubnetId", &subnet)]),
        ("CreateVolume", &[("AvailabilityZone", "us-east-1a"), ("Size", "1"), ("Encrypted", "true")]),
        ("CreateDhcpOptions", &[("DhcpConfiguration.1.Key", "domain-name"), ("DhcpConfiguration.1.Value.1", "x")]),
        ("CreateSnapshots", &[("InstanceSpecification.InstanceId", &instance)]),
        ("AllocateAddress", &[]),
        ("CreateVpcEndpoint", &[("VpcId", &vpc), ("ServiceName", "com.amazonaws.us-east-1.s3")]),
        ("CreateVpcPeeringConnection", &[("VpcId", &vpc), ("PeerVpcId", "vpc-0123456789abcdef0")]),
        ("CreateManagedPrefixList", &[("PrefixListName", "own"), ("MaxEntries", "1"), ("AddressFamily", "IPv4")]),
    ];
    for (action, form) in created {
        query(&cloud, "ec2", action, form).await;
    }
    for action in [
        "DescribeVpcs",
        "DescribeSubnets",
        "DescribeSecurityGroups",
        "DescribeSecurityGroupRules",
        "DescribeRouteTables",
        "DescribeNetworkAcls",
        "DescribeInternetGateways",
        "DescribeNetworkInterfaces",
        "DescribeDhcpOptions",
        "DescribeInstances",
        "DescribeVolumes",
        "DescribeSnapshots",
        "DescribeLaunchTemplates",
        "DescribePlacementGroups",
        "DescribeManagedPrefixLists",
        "DescribeVpcEndpoints",
        "DescribeVpcPeeringConnections",
    ] {
        let answer = query(&cloud, "ec2", action, &[]).await;
        assert!(answer.contains(OWN), "{action} does not return the account: {answer}");
    }
    for action in ["DescribeVpcs", "DescribeSecurityGroups", "DescribeInternetGateways", "DescribeDhcpOptions"] {
        let filter = |owner| [("Filter.1.Name", "owner-id"), ("Filter.1.Value.1", owner)];
        assert!(query(&cloud, "ec2", action, &filter(OWN)).await.contains(OWN), "{action}");
        let (_, none) = ec2(&cloud, &[&[("Action", action)], &filter("000000000000")[..]].concat()).await;
        assert!(!none.contains(OWN), "{action}: {none}");
    }
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_and_policies_have_the_account() {
    let directory = tempfile::tempdir().unwrap();
    let enforcing = Options { enforce_iam: true, ..options(&directory, Some(OWN)) };
    let cloud = LocalCloud::start(enforcing).await.unwrap();
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": OWN}, "Action": "sts:AssumeRole"}]});
    let trust = trust.to_string();
    let role = [("RoleName", "r"), ("AssumeRolePolicyDocument", trust.as_str())];
    assert_eq!(element(&query(&cloud, "iam", "CreateRole", &role).await, "Arn"), format!("arn:aws:iam::{OWN}:role/r"));
    query(&cloud, "iam", "CreateUser", &[("UserName", "ada")]).await;
    for action in ["ListRoles", "ListUsers", "GetAccountAuthorizationDetails"] {
        assert!(query(&cloud, "iam", action, &[]).await.contains(&format!("arn:aws:iam::{OWN}:")), "{action}");
    }
    let caller = query(&cloud, "sts", "GetCallerIdentity", &[]).await;
    assert_eq!((element(&caller, "Arn"), element(&caller, "UserId")), (format!("arn:aws:iam::{OWN}:root"), OWN.into()));

    // Policies name resources by ARNs with the account.
    let statement = |account: &str, action: &str| json!({"Effect": "Allow", "Action": action, "Resource": format!("arn:aws:ec2:us-east-1:{account}:key-pair/*")});
    let policy = json!({"Version": "2012-10-17", "Statement": [
        statement(OWN, "ec2:CreateKeyPair"), statement("000000000000", "ec2:DeleteKeyPair"),
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": format!("arn:aws:iam::{OWN}:role/*")}]});
    let key = cloud.admit("eve", &policy.to_string()).unwrap();
    let eve = Api { key, ..Api::of(&cloud) };
    let ask = async |service: &str, body: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        eve.send(service, Method::POST, "/", &headers, body.as_bytes()).await.unwrap()
    };
    assert_eq!(ask("ec2", "Action=CreateKeyPair&KeyName=k").await.0, 200);
    let (status, denied) = ask("ec2", "Action=DeleteKeyPair&KeyName=k").await;
    assert_eq!(status, 403, "{denied}");
    let assume = format!("Action=AssumeRole&RoleSessionName=work&RoleArn=arn:aws:iam::{OWN}:role/r");
    let (_, assumed) = ask("sts", &assume).await;
    assert_eq!(element(&assumed, "Arn"), format!("arn:aws:sts::{OWN}:assumed-role/r/work"));
    let created = json!({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateKeyPair"}]});
    let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
    let events = values(&cloud, "cloudtrail", target, &created).await;
    assert!(events.contains(&format!(r#"\"recipientAccountId\":\"{OWN}\""#)));
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_belong_to_the_account() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(options(&directory, Some(OWN))).await.unwrap();
    assert_eq!(send(&cloud, "s3", Method::PUT, "/shop", &[], b"").await.0, 200);
    let expecting = async |owner: &str| {
        send(&cloud, "s3", Method::GET, "/shop?list-type=2", &[("x-amz-expected-bucket-owner", owner)], b"").await.0
    };
    assert_eq!((expecting(OWN).await, expecting("000000000000").await), (200, 403));
    let (_, buckets) = send(&cloud, "s3", Method::GET, "/", &[], b"").await;
    assert!(element(&buckets, "ID").ends_with(OWN), "{buckets}");
    let (_, acl) = send(&cloud, "s3", Method::GET, "/shop?acl", &[], b"").await;
    assert_eq!(acl.matches(OWN).count(), 2, "{acl}");
    cloud.shutdown().await;
}
