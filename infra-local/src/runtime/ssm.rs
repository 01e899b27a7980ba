//! Deletes the parameters whose policy `Expiration` has passed.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::background::PhaseWatch;
use crate::model::Cloud;
use crate::state::Shared;

/// Interval of checks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs until the cloud stops.
pub(crate) async fn run(shared: Shared, mut phase: PhaseWatch) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            _ = phase.ended() => return,
        }
        let now = Utc::now();
        let any = shared.read(|cloud| cloud.regions.keys().any(|region| !expired(cloud, region, now).is_empty()));
        if any {
            shared.update(|cloud| delete_expired(cloud, now));
        }
    }
}

/// Deletes the expired parameters of all regions.
fn delete_expired(cloud: &mut Cloud, now: DateTime<Utc>) {
    let regions: Vec<String> = cloud.regions.keys().cloned().collect();
    for region in regions {
        let names = expired(cloud, &region, now);
        let Some(region) = cloud.regions.get_mut(&region) else { continue };
        for name in names {
            region.ssm.parameters.remove(&name);
        }
    }
}

fn expired(cloud: &Cloud, region: &str, now: DateTime<Utc>) -> Vec<String> {
    let parameters = cloud.regions.get(region).into_iter().flat_map(|region| region.ssm.parameters.values());
    let expired = parameters.filter(|parameter| parameter.expires().is_some_and(|time| time <= now));
    expired.map(|parameter| parameter.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::services::ssm::OPERATIONS;
    use crate::testing::ControlPlane;

    #[test]
    fn parameters_are_deleted_when_they_expire() {
        let mut plane = ControlPlane::new();
        let time = "2030-01-01T00:00:00Z";
        let policies = json!([{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": time}}]).to_string();
        let put = json!({"Name": "a", "Value": "v", "Type": "String", "Tier": "Advanced", "Policies": policies});
        plane.values(OPERATIONS, "PutParameter", put).unwrap();
        plane.values(OPERATIONS, "PutParameter", json!({"Name": "b", "Value": "v", "Type": "String"})).unwrap();
        let names = |plane: &ControlPlane| -> Vec<String> {
            plane.cloud.regions["us-east-1"].ssm.parameters.keys().cloned().collect()
        };
        let moment: DateTime<Utc> = time.parse().unwrap();
        delete_expired(&mut plane.cloud, moment - chrono::TimeDelta::seconds(1));
        assert_eq!(names(&plane), ["a", "b"]);
        delete_expired(&mut plane.cloud, moment);
        assert_eq!(names(&plane), ["b"]);
    }
}
