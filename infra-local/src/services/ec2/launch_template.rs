//! Launch templates and their versions.

use std::collections::BTreeMap;

use super::client_token::{earlier_result, remember};
use super::{Ec2Operation, TAG_SPECIFICATIONS, launch_data, never, resource, select, tags_for};
use crate::domain::ec2::launch_template::{lookup, template, unknown_id, unknown_name, version};
use crate::model::ec2::launch_template::{LaunchData, LaunchTemplate, TemplateVersion};
use crate::model::{Account, Cloud, Region, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateLaunchTemplate",
        create,
        &[&["ClientToken", "LaunchTemplateName", "VersionDescription"], launch_data::IN_TEMPLATE, TAG_SPECIFICATIONS],
    )
    .on(&[resource::NEW_LAUNCH_TEMPLATE]),
    Operation::writes(
        "CreateLaunchTemplateVersion",
        create_version,
        &[TEMPLATE, &["ClientToken", "SourceVersion", "VersionDescription"], launch_data::IN_TEMPLATE],
    )
    .on(&[resource::LAUNCH_TEMPLATE, resource::NAMED_LAUNCH_TEMPLATE]),
    Operation::writes("ModifyLaunchTemplate", modify, &[TEMPLATE, &["ClientToken", "SetDefaultVersion"]])
        .on(&[resource::LAUNCH_TEMPLATE, resource::NAMED_LAUNCH_TEMPLATE]),
    Operation::writes("DeleteLaunchTemplate", delete, &[TEMPLATE])
        .on(&[resource::LAUNCH_TEMPLATE, resource::NAMED_LAUNCH_TEMPLATE]),
    Operation::writes("DeleteLaunchTemplateVersions", delete_versions, &[TEMPLATE, &["LaunchTemplateVersion.N"]])
        .on(&[resource::LAUNCH_TEMPLATE, resource::NAMED_LAUNCH_TEMPLATE]),
    Operation::reads(
        "DescribeLaunchTemplates",
        describe,
        &[&["LaunchTemplateId.N", "LaunchTemplateName.N"], FILTERS, PAGES],
    )
    .on_any(),
    Operation::reads(
        "DescribeLaunchTemplateVersions",
        describe_versions,
        &[TEMPLATE, &["LaunchTemplateVersion.N", "MinVersion", "MaxVersion", "ResolveAlias"], FILTERS, PAGES],
    )
    .on_any(),
];

const TEMPLATE: &[&str] = &["LaunchTemplateId", "LaunchTemplateName"];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = params.required("LaunchTemplateName")?;
    let valid = |character: char| character.is_ascii_alphanumeric() || "()./_-".contains(character);
    if !(3..=128).contains(&name.len()) || !name.chars().all(valid) {
        return Err(ApiError::new(
            "InvalidLaunchTemplateName.MalformedException",
            format!("A launch template name has 3 to 128 letters, digits and ( ) . / _ -; '{name}' does not"),
        ));
    }
    let data = parse_data(params)?;
    let tags = tags_for(params, "launch-template")?;
    let region = cloud.region_mut(call.region)?;
    if let Some(known) = earlier_result(region, call, "CreateLaunchTemplate")? {
        return Ok(Node::new().with("launchTemplate", render(template(region, &known)?, region.account)));
    }
    if region.ec2.launch_templates.values().any(|template| template.name == name) {
        return Err(ApiError::new(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            format!("Launch template name already in use: {name}"),
        ));
    }
    check_references(region, &data)?;
    let first = TemplateVersion {
        description: params.optional("VersionDescription").map(str::to_owned),
        created: call.now,
        data,
    };
    let template = LaunchTemplate {
        id: new_id("lt"),
        name: name.to_owned(),
        created: call.now,
        default_version: 1,
        latest_version: 1,
        versions: BTreeMap::from([(1, first)]),
        tags,
    };
    let answer = Node::new().with("launchTemplate", render(&template, call.account));
    remember(region, call, "CreateLaunchTemplate", &template.id);
    region.ec2.launch_templates.insert(template.id.clone(), template);
    Ok(answer)
}

fn create_version(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let given = parse_data(params)?;
    let region = cloud.region_mut(call.region)?;
    let id = find(region, params)?.id.clone();
    if let Some(known) = earlier_result(region, call, "CreateLaunchTemplateVersion")? {
        let template = template(region, &id)?;
        let version = version(template, Some(&known))?;
        return Ok(Node::new().with("launchTemplateVersion", render_version(template, call.account, version)));
    }
    check_references(region, &given)?;
    let template = template_mut(region, &id)?;
    let data = match params.optional("SourceVersion") {
        Some(source) => given.over(&version(template, Some(source))?.1.data),
        None => given,
    };
    let number = template.latest_version + 1;
    template.latest_version = number;
    template.versions.insert(
        number,
        TemplateVersion {
            description: params.optional("VersionDescription").map(str::to_owned),
            created: call.now,
            data,
        },
    );
    let number = number.to_string();
    let answer = Node::new()
        .with("launchTemplateVersion", render_version(template, call.account, version(template, Some(&number))?));
    remember(region, call, "CreateLaunchTemplateVersion", &number);
    Ok(answer)
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let id = find(region, params)?.id.clone();
    let template = template_mut(region, &id)?;
    if let Some(wanted) = params.optional("SetDefaultVersion") {
        template.default_version = version(template, Some(wanted))?.0;
    }
    Ok(Node::new().with("launchTemplate", render(template, call.account)))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = find(region, &call.input)?.id.clone();
    let answer = Node::new().with("launchTemplate", render(template(region, &id)?, region.account));
    region.ec2.remove_launch_template(&id);
    Ok(answer)
}

fn delete_versions(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = find(region, &call.input)?.id.clone();
    let template = template_mut(region, &id)?;
    let (mut deleted, mut kept) = (Vec::new(), Vec::new());
    for text in call.input.texts("LaunchTemplateVersion") {
        let node = Node::new().with("launchTemplateId", &template.id).with("launchTemplateName", &template.name);
        let refusal = match text.parse::<u64>() {
            Ok(number) if number == template.default_version => {
                ("launchTemplateVersionDoesNotExist", "the default version cannot be deleted")
            }
            Ok(number) if template.versions.remove(&number).is_some() => {
                deleted.push(node.with("versionNumber", number));
                continue;
            }
            _ => ("launchTemplateVersionDoesNotExist", "there is no such version"),
        };
        let error = Node::new().with("code", refusal.0).with("message", refusal.1);
        kept.push(node.with("versionNumber", text.parse::<u64>().unwrap_or(0)).with("responseError", error));
    }
    Ok(Node::new()
        .list("successfullyDeletedLaunchTemplateVersionSet", deleted)
        .list("unsuccessfullyDeletedLaunchTemplateVersionSet", kept))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("LaunchTemplateId");
    let mut templates =
        select(&region.ec2.launch_templates, &ids, "InvalidLaunchTemplateId.NotFound", "specified launch template")?;
    let names = params.texts("LaunchTemplateName");
    if let Some(missing) = names.iter().find(|name| !templates.iter().any(|template| template.name == **name)) {
        return Err(unknown_name(missing));
    }
    templates.retain(|template| names.is_empty() || names.contains(&template.name));
    let templates = Filters::parse(params)?.apply(templates.into_iter(), FIELDS, |template| &template.tags)?;
    let page = Page::of(templates, params, |template| &template.id)?;
    let nodes = page.items.into_iter().map(|template| render(template, call.account));
    Ok(Node::new().list("launchTemplates", nodes).maybe("nextToken", page.next))
}

const FIELDS: &[Field<LaunchTemplate>] = &[
    ("launch-template-name", |template| vec![template.name.clone()]),
    ("create-time", |template| vec![template.created.to_rfc3339()]),
];

fn describe_versions(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let template = find(cloud.region(call.region)?, params)?;
    let wanted = params.texts("LaunchTemplateVersion");
    let versions: Vec<(u64, &TemplateVersion)> = if wanted.is_empty() {
        let (min, max) = (params.parsed("MinVersion")?.unwrap_or(1), params.parsed("MaxVersion")?.unwrap_or(u64::MAX));
        let range = template.versions.iter().filter(|(number, _)| (min..=max).contains(*number));
        range.map(|(number, version)| (*number, version)).collect()
    } else {
        wanted.iter().map(|text| version(template, Some(text))).collect::<Outcome<_>>()?
    };
    let versions: Vec<Shown<'_>> =
        versions.into_iter().map(|found| Shown { template, account: call.account, found }).collect();
    let fields: &[Field<Shown<'_>>] = &[
        ("create-time", |it| it.texts("createTime")),
        ("ebs-optimized", |it| it.texts("launchTemplateData.ebsOptimized")),
        ("http-endpoint", |it| it.texts("launchTemplateData.metadataOptions.httpEndpoint")),
        ("http-tokens", |it| it.texts("launchTemplateData.metadataOptions.httpTokens")),
        ("iam-instance-profile", |it| it.texts("launchTemplateData.iamInstanceProfile.arn")),
        ("image-id", |it| it.texts("launchTemplateData.imageId")),
        ("instance-type", |it| it.texts("launchTemplateData.instanceType")),
        ("is-default-version", |it| it.texts("defaultVersion")),
        ("http-protocol-ipv4", never),
        ("host-resource-group-arn", never),
        ("kernel-id", never),
        ("license-configuration-arn", never),
        ("network-card-index", never),
        ("ram-disk-id", never),
    ];
    let versions = Filters::parse(params)?.apply_untagged(versions.into_iter(), fields)?;
    let versions = versions.into_iter().map(|it| it.found);
    // Newest first, as on AWS: the key is sorted that way.
    let keyed = versions.map(|found| (format!("{:020}", u64::MAX - found.0), found)).collect();
    let page = Page::of(keyed, params, |(key, _): &(String, _)| key)?;
    let nodes = page.items.into_iter().map(|(_, found)| render_version(template, call.account, found));
    Ok(Node::new().list("launchTemplateVersionSet", nodes).maybe("nextToken", page.next))
}

/// A version with its template, for filters.
struct Shown<'a> {
    template: &'a LaunchTemplate,
    account: Account,
    found: (u64, &'a TemplateVersion),
}

impl Shown<'_> {
    /// Returns the texts at a path of the version's description.
    fn texts(&self, path: &str) -> Vec<String> {
        render_version(self.template, self.account, self.found).texts(path)
    }
}

fn find<'a>(region: &'a Region, params: &Params) -> Outcome<&'a LaunchTemplate> {
    lookup(region, params.optional("LaunchTemplateId"), params.optional("LaunchTemplateName"))
}

fn template_mut<'a>(region: &'a mut Region, id: &str) -> Outcome<&'a mut LaunchTemplate> {
    region.ec2.launch_templates.get_mut(id).ok_or_else(|| unknown_id(id))
}

fn parse_data(params: &Params) -> Outcome<LaunchData> {
    launch_data::parse(&params.structure("LaunchTemplateData").unwrap_or_default())
}

/// Checks the references of a template. AWS checks those of the kinds that it knows when the template is created.
fn check_references(region: &Region, data: &LaunchData) -> Outcome<()> {
    let interface_groups = data.network_interfaces.iter().flat_map(|interface| &interface.security_group_ids);
    for id in data.security_group_ids.iter().chain(interface_groups) {
        if !region.ec2.security_groups.contains_key(id) {
            return Err(super::security_group::not_found(id));
        }
    }
    Ok(())
}

fn render(template: &LaunchTemplate, account: Account) -> Node {
    Node::new()
        .with("launchTemplateId", &template.id)
        .with("launchTemplateName", &template.name)
        .with("createTime", template.created)
        .with("createdBy", format!("arn:aws:iam::{account}:root"))
        .with("defaultVersionNumber", template.default_version)
        .with("latestVersionNumber", template.latest_version)
        .with("tagSet", tags::set(&template.tags))
}

fn render_version(template: &LaunchTemplate, account: Account, (number, version): (u64, &TemplateVersion)) -> Node {
    Node::new()
        .with("launchTemplateId", &template.id)
        .with("launchTemplateName", &template.name)
        .with("versionNumber", number)
        .maybe("versionDescription", version.description.as_ref())
        .with("createTime", version.created)
        .with("createdBy", format!("arn:aws:iam::{account}:root"))
        .with("defaultVersion", number == template.default_version)
        .with("launchTemplateData", launch_data::render(&version.data))
}
