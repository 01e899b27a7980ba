//! The common part of instance and cluster snapshots.

use std::collections::BTreeMap;

use super::{Field, check_identifier, entries, filtered, not_found, page, quota};
use crate::model::rds::{Rds, Seed, Snapshot, Stage};
use crate::model::{ArnScope, Cloud, Region};
use crate::services::Call;
use crate::wire::{ApiError, Node, Outcome, Params};

/// A parameter that selects snapshots, and the value of a snapshot for it.
type Selector = (&'static str, fn(&Snapshot) -> &str);

/// A kind of snapshots: its names and errors in the API, and its place in the state.
pub(super) struct SnapshotKind {
    /// Name of the kind in error messages.
    pub(super) noun: &'static str,
    /// Element of responses with one snapshot.
    pub(super) name: &'static str,
    /// Element of responses with a list of snapshots.
    pub(super) list: &'static str,
    /// Parameter with the identifier of a snapshot.
    pub(super) identifier: &'static str,
    pub(super) selectors: &'static [Selector],
    pub(super) filters: &'static [Field<Snapshot>],
    /// Error codes for an identifier that exists already, for one that does not exist, and for a state.
    pub(super) exists: &'static str,
    pub(super) unknown: &'static str,
    pub(super) invalid_state: &'static str,
    pub(super) table: fn(&Rds) -> &BTreeMap<String, Snapshot>,
    pub(super) table_mut: fn(&mut Rds) -> &mut BTreeMap<String, Snapshot>,
    /// Returns whether an instance or cluster is being restored from a seed.
    pub(super) is_restoring: fn(&Rds, &Seed) -> bool,
    pub(super) render: fn(&Snapshot, ArnScope<'_>) -> Node,
}

impl SnapshotKind {
    /// Adds a snapshot, whose data the data plane copies. Returns its identifier.
    pub(super) fn add(&self, region: &mut Region, snapshot: Snapshot) -> Outcome<String> {
        let id = check_identifier(&snapshot.id, self.identifier, 255)?;
        let table = (self.table_mut)(&mut region.rds);
        if table.contains_key(&id) {
            let noun = self.noun;
            return Err(ApiError::new(
                self.exists,
                format!("Cannot create the {noun} because a {noun} with the identifier {id} already exists."),
            ));
        }
        let manual = table.values().filter(|known| known.kind == "manual").count();
        quota::SNAPSHOTS.check(manual + usize::from(snapshot.kind == "manual"))?;
        table.insert(id.clone(), Snapshot { id: id.clone(), ..snapshot });
        Ok(id)
    }

    /// Returns the snapshot with an identifier or ARN.
    pub(super) fn find<'a>(&self, region: &'a Region, reference: &str) -> Outcome<&'a Snapshot> {
        let id = reference.rsplit(':').next().unwrap_or(reference);
        let found = (self.table)(&region.rds).get(&id.to_lowercase());
        found.ok_or_else(|| not_found(self.unknown, format!("{} {reference} not found.", self.name)))
    }

    pub(super) fn describe(&self, cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
        let params = &call.input;
        let region = cloud.region(call.region)?;
        let snapshots = match params.optional(self.identifier) {
            Some(id) => vec![self.find(region, id)?],
            None => {
                let is_selected = |snapshot: &&Snapshot| {
                    self.selectors.iter().all(|(parameter, value)| {
                        params.optional(parameter).is_none_or(|given| given.eq_ignore_ascii_case(value(snapshot)))
                    })
                };
                filtered((self.table)(&region.rds).values().filter(is_selected), params, self.filters)?
            }
        };
        let page = page(snapshots, params, |snapshot| &snapshot.id)?;
        let snapshots = page.items.into_iter().map(|snapshot| (self.render)(snapshot, call.scope()));
        Ok(Node::new().with(self.list, entries(self.name, snapshots)).maybe("Marker", page.next))
    }

    pub(super) fn delete(&self, cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
        let region = cloud.region_mut(call.region)?;
        let found = self.find(region, call.input.required(self.identifier)?)?.clone();
        let seed = Seed::Snapshot(found.resource_id.clone());
        if found.stage == Stage::Creating || (self.is_restoring)(&region.rds, &seed) {
            return Err(ApiError::new(
                self.invalid_state,
                format!("Cannot delete the snapshot {} as long as it is being created or restored from.", found.id),
            ));
        }
        (self.table_mut)(&mut region.rds).remove(&found.id);
        Ok(Node::new().with(self.name, (self.render)(&found, call.scope())))
    }
}
