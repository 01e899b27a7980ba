//! Conversion of states of earlier versions, in which a region held the resources of all services side by side.
//!
//! No field of the current layout has the name of a moved field, so states and journal lines need no version.

use serde_json::{Map, Value};

/// Former fields of a region, and the paths of their successors.
const MOVED: &[(&str, &[&str])] = &[
    ("vpcs", &["ec2", "vpcs"]),
    ("subnets", &["ec2", "subnets"]),
    ("security_groups", &["ec2", "security_groups"]),
    ("internet_gateways", &["ec2", "internet_gateways"]),
    ("nat_gateways", &["ec2", "nat_gateways"]),
    ("addresses", &["ec2", "addresses"]),
    ("route_tables", &["ec2", "route_tables"]),
    ("peerings", &["ec2", "peerings"]),
    ("dhcp_options", &["ec2", "dhcp_options"]),
    ("dhcp_options_tags", &["ec2", "dhcp_options_tags"]),
    ("key_pairs", &["ec2", "key_pairs"]),
    ("images", &["ec2", "images"]),
    ("snapshots", &["ec2", "snapshots"]),
    ("launch_templates", &["ec2", "launch_templates"]),
    ("instances", &["ec2", "instances"]),
    ("launches", &["ec2", "launches"]),
    ("client_tokens", &["ec2", "client_tokens"]),
    ("parameters", &["ssm", "parameters"]),
    ("balancing", &["elbv2"]),
    ("certificates", &["acm", "certificates"]),
    ("databases", &["rds"]),
    ("scaling", &["autoscaling", "groups"]),
    ("watching", &["cloudwatch"]),
    ("log_groups", &["logs", "groups"]),
    ("resource_requests", &["cloudcontrol", "requests"]),
];

/// Converts a place (see [`Place`](super::changes::Place)) of the earlier layout. Other places are returned unchanged.
pub(crate) fn current_place(place: Vec<String>) -> Vec<String> {
    let [regions, region, field, rest @ ..] = place.as_slice() else { return place };
    let moved = MOVED.iter().find(|(former, _)| regions == "regions" && former == field);
    let Some((_, path)) = moved else { return place };
    let path = path.iter().map(|name| (*name).to_owned());
    [regions.clone(), region.clone()].into_iter().chain(path).chain(rest.iter().cloned()).collect()
}

/// Converts a complete state.
pub(crate) fn migrate(state: &mut Value) {
    if let Some(Value::Object(regions)) = state.get_mut("regions") {
        regions.values_mut().for_each(migrate_region);
    }
}

/// Converts a region.
pub(crate) fn migrate_region(region: &mut Value) {
    let Value::Object(fields) = region else { return };
    for (former, path) in MOVED {
        let Some(value) = fields.remove(*former) else { continue };
        let Some((name, way)) = path.split_last() else { continue };
        let mut at = &mut *fields;
        for step in way {
            let below = at.entry(*step).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(below) = below else { return };
            at = below;
        }
        at.insert((*name).to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::Cloud;
    use crate::model::changes::apply;

    /// Returns the state as an earlier version wrote it.
    fn earlier(cloud: &Cloud) -> Value {
        let mut state = serde_json::to_value(cloud).unwrap();
        for region in state["regions"].as_object_mut().unwrap().values_mut() {
            for (former, path) in MOVED {
                let value = path.iter().fold(&*region, |value, name| &value[*name]).clone();
                region[*former] = value;
            }
            let parts: Vec<&str> = MOVED.iter().map(|(_, path)| path[0]).collect();
            region.as_object_mut().unwrap().retain(|name, _| !parts.contains(&name.as_str()));
        }
        state
    }

    /// A converted state, with what the version that wrote it did not have.
    fn completed(state: &Value) -> Cloud {
        let mut cloud: Cloud = serde_json::from_value(state.clone()).unwrap();
        cloud.complete();
        cloud
    }

    #[test]
    fn states_of_the_earlier_layout_are_converted() {
        let mut cloud = Cloud::default();
        cloud.complete();
        let mut state = earlier(&cloud);
        assert!(serde_json::from_value::<Cloud>(state.clone()).is_err());
        migrate(&mut state);
        assert_eq!(completed(&state), cloud);
        let converted = state.clone();
        migrate(&mut state);
        assert_eq!(state, converted, "a current state stays as it is");
    }

    #[test]
    fn lines_of_the_earlier_layout_change_the_current_one() {
        let mut cloud = Cloud::default();
        cloud.complete();
        let mut state = serde_json::to_value(&cloud).unwrap();
        let token = r#"[[["regions","us-east-1","client_tokens","Operation/a"],["digest","id"]]]"#;
        assert!(apply(&mut state, token.as_bytes()));
        let region = cloud.regions.get_mut("us-east-1").unwrap();
        region.ec2.client_tokens.record("Operation", "a", "digest".to_owned(), "id");
        let added = earlier(&cloud)["regions"]["us-east-1"].to_string();
        let line =
            format!(r#"[[["regions","us-east-1","client_tokens","Operation/a"]],[["regions","eu-west-1"],{added}]]"#);
        assert_eq!(serde_json::from_value::<Cloud>(state.clone()).unwrap(), cloud);
        assert!(apply(&mut state, line.as_bytes()));
        let region = cloud.regions["us-east-1"].clone();
        cloud.regions.get_mut("us-east-1").unwrap().ec2.client_tokens.retain(|_| false);
        cloud.regions.insert("eu-west-1".to_owned(), region);
        assert_eq!(completed(&state), cloud);
    }
}
