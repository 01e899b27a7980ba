//! Tests of the operations.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::OPERATIONS;
use crate::testing::{ControlPlane, code};

struct World(ControlPlane);

impl World {
    fn new() -> Self {
        Self(ControlPlane::new())
    }

    fn call(&mut self, name: &str, input: Value) -> Result<Value, String> {
        self.0.values(OPERATIONS, name, input)
    }

    fn put(&mut self, name: &str, value: &str) -> u64 {
        let put = json!({"Name": name, "Value": value, "Type": "String", "Overwrite": true});
        self.call("PutParameter", put).unwrap()["Version"].as_u64().unwrap()
    }

    /// Returns the names of a list's parameters.
    fn names(&mut self, operation: &str, input: Value) -> Vec<String> {
        let answer = self.call(operation, input).unwrap();
        let parameters = answer["Parameters"].as_array().unwrap().iter();
        parameters.map(|parameter| parameter["Name"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn labels_select_a_version_and_move() {
    let mut world = World::new();
    for value in ["one", "two"] {
        world.put("a", value);
    }
    let label = |version: Value| json!({"Name": "a", "ParameterVersion": version, "Labels": ["live", "1bad"]});
    let answer = world.call("LabelParameterVersion", label(json!(1))).unwrap();
    assert_eq!(answer, json!({"InvalidLabels": ["1bad"], "ParameterVersion": 1}));
    let live = world.call("GetParameter", json!({"Name": "a:live"})).unwrap();
    assert_eq!((&live["Parameter"]["Value"], &live["Parameter"]["Selector"]), (&json!("one"), &json!(":live")));
    let latest = world.call("LabelParameterVersion", label(Value::Null)).unwrap();
    assert_eq!(latest["ParameterVersion"], 2);
    assert_eq!(world.call("GetParameter", json!({"Name": "a:live"})).unwrap()["Parameter"]["Value"], "two");
    let history = world.call("GetParameterHistory", json!({"Name": "a"})).unwrap();
    assert_eq!(
        (&history["Parameters"][0]["Labels"], &history["Parameters"][1]["Labels"]),
        (&json!([]), &json!(["live"]))
    );

    let unlabel = json!({"Name": "a", "ParameterVersion": 2, "Labels": ["live", "other"]});
    let answer = world.call("UnlabelParameterVersion", unlabel).unwrap();
    assert_eq!(answer, json!({"RemovedLabels": ["live"], "InvalidLabels": ["other"]}));
    assert_eq!(
        world.call("GetParameter", json!({"Name": "a:live"})).unwrap_err(),
        "ParameterVersionNotFound: Systems Manager could not find label live for parameter a. Verify the label and try again."
    );
    assert_eq!(
        world.call("LabelParameterVersion", json!({"Name": "a", "ParameterVersion": 9, "Labels": ["x"]})).unwrap_err(),
        "ParameterVersionNotFound: Systems Manager could not find version 9 of a. Verify the version and try again."
    );
}

#[test]
fn a_version_has_ten_labels_and_a_labelled_version_is_not_dropped() {
    let mut world = World::new();
    world.put("a", "v");
    let labels: Vec<String> = (0..10).map(|number| format!("l{number}")).collect();
    world.call("LabelParameterVersion", json!({"Name": "a", "Labels": labels})).unwrap();
    let more = world.call("LabelParameterVersion", json!({"Name": "a", "Labels": ["more"]}));
    assert_eq!(code(more), "ParameterVersionLabelLimitExceeded");
    for _ in 1..100 {
        world.put("a", "v");
    }
    let put = json!({"Name": "a", "Value": "v", "Overwrite": true});
    assert_eq!(code(world.call("PutParameter", put.clone())), "ParameterMaxVersionLimitExceeded");
    world.call("UnlabelParameterVersion", json!({"Name": "a", "ParameterVersion": 1, "Labels": labels})).unwrap();
    assert_eq!(world.call("PutParameter", put).unwrap()["Version"], 101);
}

#[test]
fn the_history_has_pages_and_the_descriptions_of_its_versions() {
    let mut world = World::new();
    for (value, description) in [("1", "first"), ("2", "second"), ("3", "third")] {
        let put = json!({"Name": "a", "Value": value, "Type": "String", "Overwrite": true, "Description": description});
        world.call("PutParameter", put).unwrap();
    }
    let first = world.call("GetParameterHistory", json!({"Name": "a", "MaxResults": 2})).unwrap();
    assert_eq!(first["Parameters"][0]["Description"], "first");
    let next = json!({"Name": "a", "MaxResults": 2, "NextToken": first["NextToken"]});
    let rest = world.call("GetParameterHistory", next).unwrap();
    assert_eq!((rest["Parameters"].as_array().unwrap().len(), &rest["Parameters"][0]["Version"]), (1, &json!(3)));
    assert_eq!(rest.get("NextToken"), None);
    let error = world.call("GetParameterHistory", json!({"Name": "a", "MaxResults": 51})).unwrap_err();
    assert!(error.contains("Value '51' at 'maxResults' failed to satisfy constraint"), "{error}");
}

#[test]
fn policies_need_the_advanced_tier_and_a_known_type() {
    let mut world = World::new();
    let policy = |kind: &str, time: &str| {
        json!([{"Type": kind, "Version": "1.0", "Attributes": {"Timestamp": time}}]).to_string()
    };
    let put = |tier: &str, policies: String| json!({"Name": "a", "Value": "v", "Type": "String", "Tier": tier, "Policies": policies, "Overwrite": true});
    let later = "2090-12-02T21:34:33.000Z";
    world.call("PutParameter", put("Advanced", policy("Expiration", later))).unwrap();
    let shown = world.call("DescribeParameters", json!({})).unwrap();
    let shown = &shown["Parameters"][0]["Policies"][0];
    assert_eq!((&shown["PolicyType"], &shown["PolicyStatus"]), (&json!("Expiration"), &json!("Pending")));
    assert!(shown["PolicyText"].as_str().unwrap().contains(later), "{shown}");
    for (policies, expected) in [
        (policy("Expiration", "2001-01-01T00:00:00Z"), "InvalidPolicyAttributeException"),
        (policy("Expiration", "soon"), "InvalidPolicyAttributeException"),
        (policy("NoChangeNotification", later), "InvalidPolicyTypeException"),
        (policy("Party", later), "InvalidPolicyTypeException"),
        ("{}".to_owned(), "InvalidPolicyAttributeException"),
    ] {
        assert_eq!(code(world.call("PutParameter", put("Advanced", policies.clone()))), expected, "{policies}");
    }
    let standard = json!({"Name": "b", "Value": "v", "Type": "String", "Policies": policy("Expiration", later)});
    assert_eq!(code(world.call("PutParameter", standard)), "ValidationException");
    let error = world.call("PutParameter", put("Standard", String::new())).unwrap_err();
    assert!(error.contains("You can't downgrade a parameter"), "{error}");
    world.call("PutParameter", put("Advanced", String::new())).unwrap();
    assert_eq!(world.call("DescribeParameters", json!({})).unwrap()["Parameters"][0]["Policies"], json!([]));
}

#[test]
fn filters_are_checked_and_applied() {
    let mut world = World::new();
    for name in ["top", "/shop/key", "/shop/deep/key"] {
        world.put(name, "v");
    }
    world.call("LabelParameterVersion", json!({"Name": "/shop/key", "Labels": ["live"]})).unwrap();
    world.put("/shop/key", "newer");
    let filter = |key: &str, option: Value, values: Value| json!({"ParameterFilters": [{"Key": key, "Option": option, "Values": values}]});
    let names = |world: &mut World, key: &str, option: &str, value: &str| {
        world.names("DescribeParameters", filter(key, json!(option), json!([value])))
    };
    assert_eq!(names(&mut world, "Name", "Contains", "deep"), ["/shop/deep/key"]);
    assert_eq!(names(&mut world, "Name", "BeginsWith", "shop"), ["/shop/deep/key", "/shop/key"]);
    assert_eq!(names(&mut world, "Path", "OneLevel", "/shop"), ["/shop/key"]);
    assert_eq!(names(&mut world, "Tier", "Equals", "Advanced"), Vec::<String>::new());
    assert_eq!(world.names("DescribeParameters", json!({"Shared": true})), Vec::<String>::new());

    let by_label = json!({"Path": "/shop", "ParameterFilters": [{"Key": "Label", "Values": ["live"]}]});
    let labelled = world.call("GetParametersByPath", by_label).unwrap();
    assert_eq!(
        (&labelled["Parameters"][0]["Version"], labelled["Parameters"].as_array().unwrap().len()),
        (&json!(1), 1)
    );

    for (input, expected) in [
        (
            filter("Colour", Value::Null, json!(["x"])),
            "InvalidFilterKey: The following filter key is not valid: Colour",
        ),
        (
            filter("Name", Value::Null, json!([])),
            "InvalidFilterValue: The following filter values are missing : null for",
        ),
        (
            filter("Path", json!("Equals"), json!(["/a"])),
            "InvalidFilterOption: The following filter option is not valid: Equals. Valid options include: [Recursive, OneLevel].",
        ),
        (
            filter("Type", Value::Null, json!(["Number"])),
            "InvalidFilterOption: The following filter value is not valid: Number",
        ),
        (
            filter("Path", Value::Null, json!(["shop"])),
            "ValidationException: The parameter doesn't meet the parameter name",
        ),
        (filter("Path", Value::Null, json!(["/aws"])), "ValidationException: Filters can't be prefixed"),
        (
            json!({"ParameterFilters": [{"Key": "Name", "Values": ["a"]}, {"Key": "Name", "Values": ["b"]}]}),
            "InvalidFilterKey: The following filter is duplicated in the request: Name",
        ),
        (
            json!({"Filters": [{"Key": "Name", "Values": ["a"]}], "ParameterFilters": [{"Key": "Name", "Values": ["b"]}]}),
            "ValidationException: You can use either Filters or ParameterFilters",
        ),
    ] {
        let error = world.call("DescribeParameters", input.clone()).unwrap_err();
        assert!(error.starts_with(expected), "{input}: {error}");
    }
    let wrong = json!({"Path": "/shop", "ParameterFilters": [{"Key": "Name", "Values": ["live"]}]});
    let error = world.call("GetParametersByPath", wrong).unwrap_err();
    assert!(error.contains("Valid filter keys include: [Type, KeyId]"), "{error}");
}

#[test]
fn more_than_ten_names_are_refused() {
    let mut world = World::new();
    let names: Vec<String> = (0..11).map(|number| format!("n{number}")).collect();
    for operation in ["GetParameters", "DeleteParameters"] {
        let error = world.call(operation, json!({"Names": names})).unwrap_err();
        assert!(
            error
                .ends_with("at 'names' failed to satisfy constraint: Member must have length less than or equal to 10"),
            "{error}"
        );
    }
}

#[test]
fn paths_are_read_one_level_deep_or_recursively() {
    let mut world = World::new();
    for name in ["/shop/db/url", "/shop/name", "/shop/web/a/b", "/other/name", "/shopping/list"] {
        world.put(name, "v");
    }
    let path = |more: Value| {
        let mut input = json!({"Path": "/shop"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    assert_eq!(world.names("GetParametersByPath", path(json!({}))), ["/shop/name"]);
    let recursive = json!({"Recursive": true});
    assert_eq!(world.names("GetParametersByPath", path(recursive)), ["/shop/db/url", "/shop/name", "/shop/web/a/b"]);
    let first = world.call("GetParametersByPath", path(json!({"Recursive": true, "MaxResults": 2}))).unwrap();
    let rest = json!({"Recursive": true, "MaxResults": 2, "NextToken": first["NextToken"]});
    assert_eq!(world.names("GetParametersByPath", path(rest)), ["/shop/web/a/b"]);
}

#[test]
fn a_value_is_replaced_only_on_request_and_gets_a_version() {
    let mut world = World::new();
    assert_eq!(world.put("a", "one"), 1);
    let put = json!({"Name": "a", "Value": "two", "Type": "String"});
    assert_eq!(code(world.call("PutParameter", put)), "ParameterAlreadyExists");
    assert_eq!(world.put("a", "two"), 2);
    let read = |world: &mut World, name: &str| {
        world.call("GetParameter", json!({"Name": name})).unwrap()["Parameter"]["Value"].clone()
    };
    assert_eq!([read(&mut world, "a"), read(&mut world, "a:1")], ["two", "one"]);
    world.call("DeleteParameter", json!({"Name": "a"})).unwrap();
    assert_eq!(code(world.call("GetParameter", json!({"Name": "a"}))), "ParameterNotFound");
    assert_eq!(world.put("a", "three"), 1, "a new parameter begins with the first version");
}
