//! Renames of instances and clusters whose new identifier is taken meanwhile.

use chrono::Utc;

use super::{CLUSTER, ONE, World};
use crate::domain::rds::rename::{rename_cluster, rename_instance};
use crate::model::Region;
use crate::state::address::AddressBlock;

impl World {
    /// Executes a rename that is due, as the runtime does.
    fn rename(&mut self, rename: fn(&mut Region, &str, &AddressBlock), id: &str) {
        let before = self.plane.cloud.clone();
        let region = self.plane.cloud.regions.get_mut("us-east-1").unwrap();
        rename(region, id, &self.plane.addresses);
        self.plane.cloud.record_events(&before, Utc::now());
    }

    /// Returns the identifier that an instance or a cluster waits for.
    fn pending(&mut self, kind: &str, id: &str) -> String {
        let shown = self.call(&format!("Describe{kind}s"), &format!("{kind}Identifier={id}")).unwrap();
        let pending = shown.split_once("<PendingModifiedValues>").map(|(_, rest)| rest);
        pending.and_then(|rest| rest.split_once("</PendingModifiedValues>")).map_or("", |(own, _)| own).to_owned()
    }
}

#[test]
fn a_rename_of_an_instance_waits_until_its_identifier_is_free() {
    let mut world = World::new();
    world.call("CreateDBInstance", ONE).unwrap();
    world.settle();
    world.call("ModifyDBInstance", "DBInstanceIdentifier=one&NewDBInstanceIdentifier=two").unwrap();
    world.call("CreateDBInstance", &ONE.replace("=one&", "=two&")).unwrap();
    let taken = "DBInstanceIdentifier=one&NewDBInstanceIdentifier=two";
    world.refuses("ModifyDBInstance", taken, "DBInstanceAlreadyExists", "DB instance already exists");
    world.rename(rename_instance, "one");
    world.rename(rename_instance, "one");
    let waits = "<DBInstanceIdentifier>two</DBInstanceIdentifier>";
    assert_eq!(world.pending("DBInstance", "one"), waits);
    let failed = "SourceType=db-instance&SourceIdentifier=one&EventCategories.EventCategory.1=configuration change";
    insta::assert_snapshot!(world.events(failed), @"configuration change: Unable to rename DB instance to two: the identifier is in use");

    world.plane.cloud.regions.get_mut("us-east-1").unwrap().rds.instances.remove("two");
    world.rename(rename_instance, "one");
    assert_eq!(world.pending("DBInstance", "two"), "");
    world.refuses("DescribeDBInstances", "DBInstanceIdentifier=one", "DBInstanceNotFound", "one");
}

#[test]
fn a_rename_of_a_cluster_waits_until_its_identifier_is_free() {
    let mut world = World::new();
    world.call("CreateDBCluster", CLUSTER).unwrap();
    world.settle();
    world.call("ModifyDBCluster", "DBClusterIdentifier=c&NewDBClusterIdentifier=d").unwrap();
    world.call("CreateDBCluster", &CLUSTER.replace("=c&", "=d&")).unwrap();
    world.rename(rename_cluster, "c");
    assert_eq!(world.pending("DBCluster", "c"), "<DBClusterIdentifier>d</DBClusterIdentifier>");
    insta::assert_snapshot!(world.events("SourceType=db-cluster&EventCategories.EventCategory.1=configuration change"), @"configuration change: Unable to rename DB cluster to d: the identifier is in use");

    world.call("ModifyDBCluster", "DBClusterIdentifier=c&NewDBClusterIdentifier=c").unwrap();
    assert_eq!(world.pending("DBCluster", "c"), "", "the rename is withdrawn");
}
