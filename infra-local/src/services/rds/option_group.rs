//! Option groups. PostgreSQL has no options, so the groups stay empty, as on AWS.

use super::{
    FILTERS, PAGES, TAGS, arn, check_identifier, combination, engine, entries, filtered, not_found, page, parse_tags,
    quota, resource,
};
use crate::model::rds::OptionGroup;
use crate::model::{ArnScope, Cloud, Region, Tags};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("CreateOptionGroup", create, &[NAME, ENGINE, &["OptionGroupDescription"], TAGS])
        .on(&[resource::OPTION_GROUP]),
    Operation::reads("DescribeOptionGroups", describe, &[NAME, ENGINE, PAGES, FILTERS]).on(&[resource::OPTION_GROUP]),
    Operation::reads("DescribeOptionGroupOptions", describe_options, &[ENGINE, PAGES, FILTERS]).on_any(),
    Operation::writes("DeleteOptionGroup", delete, &[NAME]).on(&[resource::OPTION_GROUP]),
];

const NAME: &[&str] = &["OptionGroupName"];
const ENGINE: &[&str] = &["EngineName", "MajorEngineVersion"];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = check_identifier(params.required("OptionGroupName")?, "OptionGroupName", 255)?;
    let engine = params.required("EngineName")?;
    check_engine(engine)?;
    let major_version = params.required("MajorEngineVersion")?;
    if major_version != engine::major()? {
        return Err(combination(format!(
            "Cannot find major version {major_version} for {engine}. Available is {}, the PostgreSQL of this machine",
            engine::major()?
        )));
    }
    let description = params.required("OptionGroupDescription")?.to_owned();
    let tags = parse_tags(params)?;
    let region = cloud.region_mut(call.region)?;
    if region.rds.option_groups.contains_key(&name) {
        return Err(ApiError::new(
            "OptionGroupAlreadyExistsFault",
            format!("An option group named {name} already exists."),
        ));
    }
    quota::OPTION_GROUPS.check(region.rds.option_groups.len() + 1)?;
    let group = OptionGroup {
        name: name.clone(),
        description,
        engine: engine.to_owned(),
        major_version: major_version.to_owned(),
        tags,
    };
    let answer = Node::new().with("OptionGroup", render(&group, call.scope()));
    region.rds.option_groups.insert(name, group);
    Ok(answer)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let (engine, version) = (params.optional("EngineName"), params.optional("MajorEngineVersion"));
    let groups = match params.optional("OptionGroupName") {
        Some(_) if engine.is_some() || version.is_some() => {
            return Err(combination("OptionGroupName cannot be given together with EngineName or MajorEngineVersion."));
        }
        Some(name) => vec![find(region, name)?],
        None => region.rds.option_groups.values().cloned().chain(defaults()?).collect(),
    };
    let wanted = groups.iter().filter(|group| {
        engine.is_none_or(|engine| engine == group.engine)
            && version.is_none_or(|version| version == group.major_version)
    });
    let page = page(filtered(wanted, params, &[])?, params, |group| &group.name)?;
    let groups = page.items.into_iter().map(|group| render(group, call.scope()));
    Ok(Node::new().with("OptionGroupsList", entries("OptionGroup", groups)).maybe("Marker", page.next))
}

fn describe_options(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    check_engine(call.input.required("EngineName")?)?;
    let options = filtered(std::iter::empty::<&String>(), &call.input, &[])?;
    let page = page(options, &call.input, |option| option)?;
    Ok(Node::new().with("OptionGroupOptions", entries("OptionGroupOption", page.items)))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let group = find(region, call.input.required("OptionGroupName")?)?;
    if !region.rds.option_groups.contains_key(&group.name) {
        return Err(ApiError::invalid("Default option groups cannot be deleted."));
    }
    let mut users = region.rds.instances.values();
    if let Some(user) = users.find(|one| one.features.option_group.as_ref() == Some(&group.name)) {
        return Err(ApiError::new(
            "InvalidOptionGroupStateFault",
            format!("Option group {} cannot be deleted because the instance {} uses it.", group.name, user.id),
        ));
    }
    region.rds.option_groups.remove(&group.name);
    Ok(Node::new())
}

fn check_engine(engine: &str) -> Outcome<()> {
    if [engine::POSTGRES, engine::AURORA].contains(&engine) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "Invalid DB engine: {engine}. The local cloud has {} and {} here",
        engine::POSTGRES,
        engine::AURORA
    )))
}

/// Returns the name of an engine's default group: `default:postgres-15`.
pub(super) fn default_name(engine: &str) -> Outcome<String> {
    Ok(format!("default:{engine}-{}", engine::major()?))
}

fn defaults() -> Outcome<Vec<OptionGroup>> {
    let major = engine::major()?;
    let group = |engine: &str| {
        Ok(OptionGroup {
            name: default_name(engine)?,
            description: format!("Default option group for {engine} {major}"),
            engine: engine.to_owned(),
            major_version: major.to_owned(),
            tags: Tags::new(),
        })
    };
    [engine::AURORA, engine::POSTGRES].into_iter().map(group).collect()
}

fn find(region: &Region, name: &str) -> Outcome<OptionGroup> {
    let name = name.to_lowercase();
    let default = || defaults().ok()?.into_iter().find(|group| group.name == name);
    let found = region.rds.option_groups.get(&name).cloned().or_else(default);
    found.ok_or_else(|| not_found("OptionGroupNotFoundFault", format!("Specified OptionGroupName: {name} not found.")))
}

/// Returns the group of a request, which is of the instance's engine.
pub(super) fn of_request(region: &Region, name: &str, engine: &str) -> Outcome<String> {
    let group = find(region, name)?;
    if group.engine == engine {
        return Ok(group.name);
    }
    Err(combination(format!(
        "The option group {} is of the engine {} and cannot be used with {engine}.",
        group.name, group.engine
    )))
}

fn render(group: &OptionGroup, scope: ArnScope<'_>) -> Node {
    Node::new()
        .with("OptionGroupName", &group.name)
        .with("OptionGroupDescription", &group.description)
        .with("EngineName", &group.engine)
        .with("MajorEngineVersion", &group.major_version)
        .with("Options", Node::new())
        .with("AllowsVpcAndNonVpcInstanceMemberships", true)
        .with("OptionGroupArn", arn(scope, "og", &group.name))
}
