//! Parameter groups of instances and of clusters.

use std::collections::BTreeMap;

use super::parameter;
use super::{
    FILTERS, PAGES, TAGS, arn, check_identifier, combination, engine, entries, filtered, not_found, page, parse_tags,
    quota, resource,
};
use crate::domain::postgres::Known;
use crate::domain::rds::catalog;
use crate::model::rds::{ParameterGroup, Setting};
use crate::model::{ArnScope, Cloud, Region, Tags};
use crate::services::{Call, Operation, State};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("CreateDBParameterGroup", |c, a| create(c, a, INSTANCE), &[&["DBParameterGroupName"], NEW, TAGS])
        .on(&[resource::PARAMETER_GROUP]),
    Operation::writes(
        "CreateDBClusterParameterGroup",
        |c, a| create(c, a, CLUSTER),
        &[&["DBClusterParameterGroupName"], NEW, TAGS],
    )
    .on(&[resource::CLUSTER_PARAMETER_GROUP]),
    Operation::writes(
        "CopyDBParameterGroup",
        |c, a| copy(c, a, INSTANCE),
        &[
            &[
                "SourceDBParameterGroupIdentifier",
                "TargetDBParameterGroupIdentifier",
                "TargetDBParameterGroupDescription",
            ],
            TAGS,
        ],
    )
    .on(&[resource::SOURCE_PARAMETER_GROUP, resource::TARGET_PARAMETER_GROUP]),
    Operation::writes(
        "CopyDBClusterParameterGroup",
        |c, a| copy(c, a, CLUSTER),
        &[
            &[
                "SourceDBClusterParameterGroupIdentifier",
                "TargetDBClusterParameterGroupIdentifier",
                "TargetDBClusterParameterGroupDescription",
            ],
            TAGS,
        ],
    )
    .on(&[resource::SOURCE_CLUSTER_PARAMETER_GROUP, resource::TARGET_CLUSTER_PARAMETER_GROUP]),
    Operation::reads(
        "DescribeDBParameterGroups",
        |c, a| describe(c, a, INSTANCE),
        &[&["DBParameterGroupName"], PAGES, FILTERS],
    )
    .on(&[resource::PARAMETER_GROUP]),
    Operation::reads(
        "DescribeDBClusterParameterGroups",
        |c, a| describe(c, a, CLUSTER),
        &[&["DBClusterParameterGroupName"], PAGES, FILTERS],
    )
    .on(&[resource::CLUSTER_PARAMETER_GROUP]),
    Operation::reads(
        "DescribeDBParameters",
        |c, a| describe_parameters(c, a, INSTANCE),
        &[&["DBParameterGroupName", "Source"], PAGES, FILTERS],
    )
    .on(&[resource::PARAMETER_GROUP]),
    Operation::reads(
        "DescribeDBClusterParameters",
        |c, a| describe_parameters(c, a, CLUSTER),
        &[&["DBClusterParameterGroupName", "Source"], PAGES, FILTERS],
    )
    .on(&[resource::CLUSTER_PARAMETER_GROUP]),
    Operation::performs("ModifyDBParameterGroup", |c, a| modify(c, a, INSTANCE), &[&["DBParameterGroupName"], SET])
        .on(&[resource::PARAMETER_GROUP])
        .ignoring(&[ECHOED]),
    Operation::performs(
        "ModifyDBClusterParameterGroup",
        |c, a| modify(c, a, CLUSTER),
        &[&["DBClusterParameterGroupName"], SET],
    )
    .on(&[resource::CLUSTER_PARAMETER_GROUP])
    .ignoring(&[ECHOED]),
    Operation::writes("ResetDBParameterGroup", |c, a| reset(c, a, INSTANCE), &[&["DBParameterGroupName"], RESET, SET])
        .on(&[resource::PARAMETER_GROUP])
        .ignoring(&[ECHOED]),
    Operation::writes(
        "ResetDBClusterParameterGroup",
        |c, a| reset(c, a, CLUSTER),
        &[&["DBClusterParameterGroupName"], RESET, SET],
    )
    .on(&[resource::CLUSTER_PARAMETER_GROUP])
    .ignoring(&[ECHOED]),
    Operation::writes("DeleteDBParameterGroup", |c, a| delete(c, a, INSTANCE), &[&["DBParameterGroupName"]])
        .on(&[resource::PARAMETER_GROUP]),
    Operation::writes(
        "DeleteDBClusterParameterGroup",
        |c, a| delete(c, a, CLUSTER),
        &[&["DBClusterParameterGroupName"]],
    )
    .on(&[resource::CLUSTER_PARAMETER_GROUP]),
];

const NEW: &[&str] = &["DBParameterGroupFamily", "Description"];
const RESET: &[&str] = &["ResetAllParameters"];
const SET: &[&str] = &[
    "Parameters",
    "Parameters.Parameter.N.ParameterName",
    "Parameters.Parameter.N.ParameterValue",
    "Parameters.Parameter.N.ApplyMethod",
];

/// Members of a parameter that describe it. Clients may send back a described parameter; AWS reads only its name, its value
/// and its method.
const ECHOED: &[&str] = &[
    "Parameters.Parameter.N.AllowedValues",
    "Parameters.Parameter.N.ApplyType",
    "Parameters.Parameter.N.DataType",
    "Parameters.Parameter.N.Description",
    "Parameters.Parameter.N.IsModifiable",
    "Parameters.Parameter.N.MinimumEngineVersion",
    "Parameters.Parameter.N.Source",
];

/// AWS's limit of parameters per request.
const AT_ONCE: usize = 20;

/// Names in the API of the parameter groups of instances or clusters.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    list: &'static str,
    entry: &'static str,
    arn_of: &'static str,
    arn: &'static str,
    missing: &'static str,
    engines: &'static [&'static str],
    groups: fn(&Region) -> &BTreeMap<String, ParameterGroup>,
    groups_mut: fn(&mut Region) -> &mut BTreeMap<String, ParameterGroup>,
}

const INSTANCE: Kind = Kind {
    name: "DBParameterGroupName",
    list: "DBParameterGroups",
    entry: "DBParameterGroup",
    arn_of: "DBParameterGroupArn",
    arn: "pg",
    missing: "DBParameterGroupNotFound",
    engines: &[engine::AURORA, engine::POSTGRES],
    groups: |region| &region.rds.parameter_groups,
    groups_mut: |region| &mut region.rds.parameter_groups,
};

const CLUSTER: Kind = Kind {
    name: "DBClusterParameterGroupName",
    list: "DBClusterParameterGroups",
    entry: "DBClusterParameterGroup",
    arn_of: "DBClusterParameterGroupArn",
    arn: "cluster-pg",
    // The operations on the groups of clusters declare the same error as those on the groups of instances.
    missing: "DBParameterGroupNotFound",
    engines: &[engine::AURORA],
    groups: |region| &region.rds.cluster_parameter_groups,
    groups_mut: |region| &mut region.rds.cluster_parameter_groups,
};

/// Returns the parameter group of an instance: the given one, which must be of the engine's family, or else the
/// default.
pub(super) fn of_instance(region: &Region, name: Option<&str>, engine: &str) -> Outcome<String> {
    choose(region, name, engine, INSTANCE)
}

/// Returns the parameter group of a cluster, in the same way.
pub(super) fn of_cluster(region: &Region, name: Option<&str>, engine: &str) -> Outcome<String> {
    choose(region, name, engine, CLUSTER).map_err(|error| match error.code.as_ref() {
        "DBParameterGroupNotFound" => not_found("DBClusterParameterGroupNotFound", error.message),
        _ => error,
    })
}

fn choose(region: &Region, name: Option<&str>, engine: &str, kind: Kind) -> Outcome<String> {
    let family = engine::family(engine)?;
    let Some(name) = name else { return Ok(format!("default.{family}")) };
    let group = find(region, name, kind)?;
    if group.family != family {
        return Err(combination(format!(
            "The parameter group {} with DBParameterGroupFamily {} can't be used for this instance. Please use a parameter \
             group with DBParameterGroupFamily {family}",
            group.name, group.family
        )));
    }
    Ok(group.name)
}

/// Returns the default groups.
fn defaults(kind: Kind) -> Outcome<Vec<ParameterGroup>> {
    let group = |engine: &&str| {
        let family = engine::family(engine)?;
        Ok(ParameterGroup {
            name: format!("default.{family}"),
            description: format!("Default parameter group for {family}"),
            family,
            parameters: BTreeMap::new(),
            tags: Tags::new(),
        })
    };
    kind.engines.iter().map(group).collect()
}

fn find(region: &Region, name: &str, kind: Kind) -> Outcome<ParameterGroup> {
    let name = name.to_lowercase();
    if let Some(group) = (kind.groups)(region).get(&name) {
        return Ok(group.clone());
    }
    let default = defaults(kind)?.into_iter().find(|group| group.name == name);
    default.ok_or_else(|| not_found(kind.missing, format!("{} not found: {name}", kind.entry)))
}

fn find_own<'a>(region: &'a mut Region, name: &str, kind: Kind) -> Outcome<&'a mut ParameterGroup> {
    let group = find(region, name, kind)?;
    let own = (kind.groups_mut)(region).get_mut(&group.name);
    own.ok_or_else(|| ApiError::invalid("Cannot modify a default parameter group."))
}

fn create(cloud: &mut Cloud, call: &Call<'_, Params>, kind: Kind) -> Outcome<Node> {
    let params = &call.input;
    let name = params.required(kind.name)?;
    if name.starts_with("default.") {
        return Err(ApiError::invalid(format!("The parameter {} must not begin with 'default.'", kind.name)));
    }
    let name = check_identifier(name, kind.name, 255)?;
    let family = params.required("DBParameterGroupFamily")?.to_owned();
    let description = params.required("Description")?.to_owned();
    let families = kind.engines.iter().map(|engine| engine::family(engine)).collect::<Outcome<Vec<_>>>()?;
    if !families.contains(&family) {
        return Err(ApiError::invalid(format!(
            "ParameterGroupFamily {family} is not a valid parameter group family. Available are {}",
            families.join(" and ")
        )));
    }
    let tags = parse_tags(params)?;
    let region = cloud.region_mut(call.region)?;
    let groups = (kind.groups_mut)(region);
    if groups.contains_key(&name) {
        return Err(ApiError::new("DBParameterGroupAlreadyExists", format!("Parameter group {name} already exists")));
    }
    quota::PARAMETER_GROUPS.check(groups.len() + 1)?;
    let group = ParameterGroup { name: name.clone(), family, description, parameters: BTreeMap::new(), tags };
    let answer = Node::new().with(kind.entry, render(&group, call.scope(), kind));
    groups.insert(name, group);
    Ok(answer)
}

fn copy(cloud: &mut Cloud, call: &Call<'_, Params>, kind: Kind) -> Outcome<Node> {
    let params = &call.input;
    let source = params.required(&format!("Source{}Identifier", kind.entry))?;
    let target = format!("Target{}Identifier", kind.entry);
    let name = check_identifier(params.required(&target)?, &target, 255)?;
    let description = params.required(&format!("Target{}Description", kind.entry))?.to_owned();
    let tags = parse_tags(params)?;
    let region = cloud.region_mut(call.region)?;
    let source = find(region, source.rsplit(':').next().unwrap_or(source), kind)?;
    let groups = (kind.groups_mut)(region);
    if !groups.contains_key(&source.name) {
        return Err(ApiError::invalid("A default parameter group cannot be copied: create a new one instead."));
    }
    if groups.contains_key(&name) {
        return Err(ApiError::new("DBParameterGroupAlreadyExists", format!("Parameter group {name} already exists")));
    }
    quota::PARAMETER_GROUPS.check(groups.len() + 1)?;
    let group = ParameterGroup { name: name.clone(), description, tags, ..source };
    let answer = Node::new().with(kind.entry, render(&group, call.scope(), kind));
    groups.insert(name, group);
    Ok(answer)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>, kind: Kind) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let groups = match params.optional(kind.name) {
        Some(name) => vec![find(region, name, kind)?],
        None => (kind.groups)(region).values().cloned().chain(defaults(kind)?).collect(),
    };
    let groups = filtered(groups.iter(), params, &[])?;
    let page = page(groups, params, |group| &group.name)?;
    let groups = page.items.into_iter().map(|group| render(group, call.scope(), kind));
    Ok(Node::new().with(kind.list, entries(kind.entry, groups)).maybe("Marker", page.next))
}

fn describe_parameters(cloud: &Cloud, call: &Call<'_, Params>, kind: Kind) -> Outcome<Node> {
    let params = &call.input;
    let group = find(cloud.region(call.region)?, params.required(kind.name)?, kind)?;
    let source = params.optional("Source");
    if source.is_some_and(|source| !["user", "system", "engine-default"].contains(&source)) {
        return Err(ApiError::invalid("Source must be user, system or engine-default"));
    }
    let known = catalog::known().values().filter(|known| {
        let own = if group.parameters.contains_key(&known.name) { "user" } else { "engine-default" };
        source.is_none_or(|source| source == own)
    });
    let known = filtered(known, params, &[("parameter-name", |known: &Known| vec![known.name.clone()])])?;
    let page = page(known, params, |known| &known.name)?;
    let parameters = page.items.into_iter().map(|known| render_parameter(known, group.parameters.get(&known.name)));
    Ok(Node::new().with("Parameters", entries("Parameter", parameters)).maybe("Marker", page.next))
}

fn modify(state: &State<'_>, call: &Call<'_, Params>, kind: Kind) -> Outcome<Node> {
    let params = &call.input;
    let name = params.required(kind.name)?;
    state.dry_run(|cloud| find_own(cloud.region_mut(call.region)?, name, kind).map(drop))?;
    let parameters = params.structures("Parameters.Parameter");
    if parameters.is_empty() {
        return Err(ApiError::missing("Parameters"));
    }
    if parameters.len() > AT_ONCE {
        return Err(ApiError::invalid(format!(
            "A maximum of {AT_ONCE} parameters can be modified in a single request."
        )));
    }
    // The `postgres` program validates each value.
    let mut settings = Vec::new();
    for entry in parameters {
        let (parameter, value) =
            (entry.required("ParameterName")?, entry.optional("ParameterValue").unwrap_or_default());
        let known = parameter::check(parameter, value, call.directory)?;
        let setting = Setting { value: value.to_owned(), pending_reboot: pending_reboot(&entry, known)? };
        settings.push((known.name.clone(), setting));
    }
    state.write(|cloud| {
        let group = find_own(cloud.region_mut(call.region)?, name, kind)?;
        group.parameters.extend(settings);
        Ok(Node::new().with(kind.name, &group.name))
    })
}

/// Returns whether a change waits for a reboot, as changes of static parameters must.
fn pending_reboot(entry: &Params, known: &Known) -> Outcome<bool> {
    match entry.required("ApplyMethod")? {
        "pending-reboot" => Ok(true),
        "immediate" if known.is_static => Err(combination("cannot use immediate apply method for static parameter")),
        "immediate" => Ok(false),
        other => Err(ApiError::invalid(format!("ApplyMethod must be immediate or pending-reboot, not {other}"))),
    }
}

fn reset(cloud: &mut Cloud, call: &Call<'_, Params>, kind: Kind) -> Outcome<Node> {
    let params = &call.input;
    let name = params.required(kind.name)?;
    let group = find_own(cloud.region_mut(call.region)?, name, kind)?;
    let parameters = params.structures("Parameters.Parameter");
    match (params.flag("ResetAllParameters")?, parameters.is_empty()) {
        (true, false) => return Err(combination("ResetAllParameters cannot be combined with Parameters")),
        (false, true) => return Err(ApiError::missing("Parameters")),
        (true, true) => group.parameters.clear(),
        (false, false) => {
            for entry in parameters {
                let name = entry.required("ParameterName")?.to_lowercase();
                let known = catalog::known()
                    .get(&name)
                    .ok_or_else(|| ApiError::invalid(format!("Could not find parameter with name: {name}")))?;
                pending_reboot(&entry, known)?;
                group.parameters.remove(&name);
            }
        }
    }
    Ok(Node::new().with(kind.name, &group.name))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>, kind: Kind) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let name = find(region, call.input.required(kind.name)?, kind)?.name;
    let refused = |message: String| Err(ApiError::new("InvalidDBParameterGroupState", message));
    if !(kind.groups)(region).contains_key(&name) {
        return refused(format!("Default DBParameterGroup cannot be deleted: {name}"));
    }
    let instances = region.rds.instances.values().any(|instance| instance.parameter_group == name);
    let clusters = region.rds.clusters.values().any(|cluster| cluster.parameter_group == name);
    if if kind.arn == INSTANCE.arn { instances } else { clusters } {
        return refused(format!(
            "One or more database instances are still members of this parameter group {name}, so the group cannot be deleted"
        ));
    }
    (kind.groups_mut)(region).remove(&name);
    Ok(Node::new())
}

fn render(group: &ParameterGroup, scope: ArnScope<'_>, kind: Kind) -> Node {
    Node::new()
        .with(kind.name, &group.name)
        .with("DBParameterGroupFamily", &group.family)
        .with("Description", &group.description)
        .with(kind.arn_of, arn(scope, kind.arn, &group.name))
}

fn render_parameter(known: &Known, setting: Option<&Setting>) -> Node {
    let pending = setting.map_or(known.is_static, |setting| setting.pending_reboot);
    Node::new()
        .with("ParameterName", &known.name)
        .maybe("ParameterValue", setting.map(|setting| &setting.value))
        .with("Description", &known.description)
        .with("Source", if setting.is_some() { "user" } else { "engine-default" })
        .with("ApplyType", if known.is_static { "static" } else { "dynamic" })
        .with("DataType", known.kind)
        .maybe("AllowedValues", known.allowed.as_ref())
        .with("IsModifiable", known.modifiable)
        .with("ApplyMethod", if pending { "pending-reboot" } else { "immediate" })
}
