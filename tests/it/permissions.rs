//! The policies that programs in stacks/ need, and the roles of their hosts. `tests/peers/permissions` derives all of them.

use serde_json::Value;
use tests::Project;

/// Derives the policy of a program, and checks that it is sufficient and minimal.
fn derive(program: &str) -> Value {
    let policy = Project::new().json(&["--program", program, "permissions"]);
    let texts = |name: &str| policy[name].as_array().cloned().unwrap_or_default();
    assert_eq!(texts("denied"), Vec::<Value>::new(), "{program}: the policy is not sufficient");
    assert_eq!(texts("unneeded"), Vec::<Value>::new(), "{program}: the policy is not minimal");
    assert_eq!(texts("incomplete"), Vec::<Value>::new(), "{program}: a phase failed");
    let documents = texts("documents");
    assert!((1..=10).contains(&documents.len()), "{program}: an identity can have ten managed policies");
    assert!(documents.iter().all(|it| it["characters"].as_u64().is_some_and(|size| size <= 6144)));
    policy
}

/// Returns the actions of a policy.
fn actions(policy: &Value) -> Vec<String> {
    let statements = policy["statements"].as_array().expect("statements");
    statements
        .iter()
        .flat_map(|it| it["actions"].as_array().expect("actions"))
        .map(|it| it.as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn policy_of_the_default_program_is_sufficient_and_minimal() {
    let actions = actions(&derive("multicloud-orm"));
    for action in [
        "autoscaling:CreateAutoScalingGroup",
        "autoscaling:UpdateAutoScalingGroup",
        "ec2:CreateLaunchTemplateVersion",
        "ec2:RunInstances",
        "elasticloadbalancing:ModifyTargetGroup",
        "iam:PassRole",
        "ssm:PutParameter",
    ] {
        assert!(actions.iter().any(|known| known == action), "{action} is missing in {actions:?}");
    }
}

#[test]
fn policy_of_the_bookstore_is_sufficient_and_minimal() {
    let actions = actions(&derive("bookstore"));
    for action in ["rds:CreateDBCluster", "rds:ModifyDBCluster", "rds:DeleteDBInstance"] {
        assert!(actions.iter().any(|known| known == action), "{action} is missing in {actions:?}");
    }
}

#[test]
fn roles_of_hosts_allow_what_their_machines_need() {
    let roles = Project::new().json(&["permissions", "--runtime"]);
    let roles = roles.as_array().expect("a list of roles");
    assert_eq!(roles.len(), 2, "the database and the application");
    for role in roles {
        assert_eq!(role["missing"], serde_json::json!([]), "{role}");
        let needed = role["needed"].as_array().expect("needed actions");
        assert!(needed.iter().any(|need| need["action"] == "ssm:GetParameters"), "{role}");
        // Images that earlier versions baked read their parameters one by one.
        let superfluous = role["superfluous"].as_array().expect("superfluous actions");
        assert!(superfluous.iter().all(|grant| grant["action"] == "ssm:GetParameter"), "{role}");
    }
}
