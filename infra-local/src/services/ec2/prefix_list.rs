//! Managed prefix lists of the account, and those of AWS's services.

use std::collections::BTreeMap;

use super::{Ec2Operation, Located, TAG_SPECIFICATIONS, check_id, client_token, resource, tags_for};
use crate::domain::network::ENDPOINTS;
use crate::model::cidr::Cidr;
use crate::model::ec2::prefix_list::{GATEWAY_SERVICES, PrefixList, service_list_id, service_list_name};
use crate::model::{Cloud, Region, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateManagedPrefixList",
        create,
        &[
            &["PrefixListName", "MaxEntries", "AddressFamily", "ClientToken", "Entry.N.Cidr", "Entry.N.Description"],
            TAG_SPECIFICATIONS,
        ],
    )
    .on(&[resource::NEW_PREFIX_LIST]),
    Operation::writes(
        "ModifyManagedPrefixList",
        modify,
        &[&[
            "PrefixListId",
            "CurrentVersion",
            "PrefixListName",
            "MaxEntries",
            "AddEntry.N.Cidr",
            "AddEntry.N.Description",
            "RemoveEntry.N.Cidr",
        ]],
    )
    .on(&[resource::PREFIX_LIST]),
    Operation::writes(
        "RestoreManagedPrefixListVersion",
        restore,
        &[&["PrefixListId", "CurrentVersion", "PreviousVersion"]],
    )
    .on(&[resource::PREFIX_LIST]),
    Operation::writes("DeleteManagedPrefixList", delete, &[&["PrefixListId"]]).on(&[resource::PREFIX_LIST]),
    Operation::reads("DescribeManagedPrefixLists", describe, &[&["PrefixListId.N"], FILTERS, PAGES]).on_any(),
    Operation::reads("GetManagedPrefixListEntries", entries, &[&["PrefixListId", "TargetVersion"], PAGES])
        .on(&[resource::PREFIX_LIST]),
    Operation::reads("GetManagedPrefixListAssociations", associations, &[&["PrefixListId"], PAGES])
        .on(&[resource::PREFIX_LIST]),
    Operation::reads("DescribePrefixLists", describe_services, &[&["PrefixListId.N"], FILTERS, PAGES]).on_any(),
];

/// Maximum number of entries of a list.
const LIMIT: u32 = 1000;

/// Owner of the lists of services.
const AWS: &str = "AWS";

/// Creates a list. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateManagedPrefixList.html>
fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = check_name(params.required("PrefixListName")?)?;
    let ipv6 = match params.required("AddressFamily")? {
        "IPv4" => false,
        "IPv6" => true,
        other => return Err(ApiError::invalid(format!("Value ({other}) for parameter AddressFamily is invalid."))),
    };
    let max_entries = params.parsed("MaxEntries")?.ok_or_else(|| ApiError::missing("MaxEntries"))?;
    let tags = tags_for(params, "prefix-list")?;
    let mut own = BTreeMap::new();
    add(&mut own, &params.structures("Entry"), ipv6)?;
    let region = cloud.region_mut(call.region)?;
    if let Some(id) = client_token::earlier_result(region, call, "CreateManagedPrefixList")? {
        return Ok(Node::new().with("prefixList", render(region, &find(region, &id)?)));
    }
    let list = PrefixList {
        id: new_id("pl"),
        name: name.to_owned(),
        ipv6,
        max_entries,
        version: 1,
        versions: BTreeMap::from([(1, own)]),
        state: "create-complete".to_owned(),
        tags,
    };
    check_size(&list)?;
    // The response reports the state before the completion.
    let shown = PrefixList { state: "create-in-progress".to_owned(), ..list.clone() };
    let answer = Node::new().with("prefixList", render(region, &shown));
    client_token::remember(region, call, "CreateManagedPrefixList", &list.id);
    region.ec2.prefix_lists.insert(list.id.clone(), list);
    Ok(answer)
}

fn check_name(name: &str) -> Outcome<&str> {
    if name.len() > 255 || name.starts_with("com.amazonaws") {
        let message = format!(
            "The prefix list name '{name}' is invalid. It has up to 255 characters and does not begin with com.amazonaws."
        );
        return Err(ApiError::invalid(message));
    }
    Ok(name)
}

fn check_size(list: &PrefixList) -> Outcome<()> {
    if !(1..=LIMIT).contains(&list.max_entries) {
        let message = format!("Value ({}) for parameter MaxEntries is invalid.", list.max_entries);
        return Err(ApiError::invalid(message));
    }
    if list.entries().count() > list.max_entries as usize {
        let message = format!(
            "The prefix list '{}' has a maximum of {} entries, and the request results in {}.",
            list.id,
            list.max_entries,
            list.entries().count()
        );
        return Err(ApiError::new("PrefixListMaxEntriesExceeded", message));
    }
    Ok(())
}

/// Adds entries; an entry with a known range gets the new description.
fn add(entries: &mut BTreeMap<String, String>, added: &[Params], ipv6: bool) -> Outcome<()> {
    for entry in added {
        let text = entry.required("Cidr")?;
        let range = if ipv6 { super::ranges::ipv6_cidr(text).ok() } else { Cidr::parse(text).map(|it| it.to_string()) };
        let range = range.ok_or_else(|| {
            ApiError::invalid(format!("The CIDR '{text}' is not valid for a prefix list of this address family."))
        })?;
        entries.insert(range, entry.optional("Description").unwrap_or_default().to_owned());
    }
    Ok(())
}

/// Modifies a list. Changed entries are a new version, and the request names the version that it changes.
fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let mut list = own(region, params.required("PrefixListId")?)?.clone();
    if let Some(name) = params.optional("PrefixListName") {
        check_name(name)?.clone_into(&mut list.name);
    }
    let (added, removed) = (params.structures("AddEntry"), params.structures("RemoveEntry"));
    if !added.is_empty() || !removed.is_empty() {
        check_version(&list, params)?;
        let mut changed: BTreeMap<String, String> =
            list.entries().map(|(range, text)| (range.clone(), text.clone())).collect();
        for entry in &removed {
            let range = entry.required("Cidr")?;
            if changed.remove(range).is_none() {
                let message = format!("The CIDR '{range}' is not an entry of the prefix list '{}'.", list.id);
                return Err(ApiError::invalid(message));
            }
        }
        add(&mut changed, &added, list.ipv6)?;
        list.version += 1;
        list.versions.insert(list.version, changed);
    }
    list.max_entries = params.parsed("MaxEntries")?.unwrap_or(list.max_entries);
    check_size(&list)?;
    store(region, list, "modify")
}

/// Restores the entries of an earlier version, as a new version.
fn restore(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let mut list = own(region, params.required("PrefixListId")?)?.clone();
    check_version(&list, params)?;
    let previous = params.parsed("PreviousVersion")?.ok_or_else(|| ApiError::missing("PreviousVersion"))?;
    let restored = list.versions.get(&previous).cloned().ok_or_else(|| unknown_version(&list, previous))?;
    list.version += 1;
    list.versions.insert(list.version, restored);
    store(region, list, "restore")
}

/// Stores a changed list, and returns it in the state before the completion.
fn store(region: &mut Region, list: PrefixList, change: &str) -> Outcome<Node> {
    let shown = PrefixList { state: format!("{change}-in-progress"), ..list.clone() };
    let answer = Node::new().with("prefixList", render(region, &shown));
    let list = PrefixList { state: format!("{change}-complete"), ..list };
    region.ec2.prefix_lists.insert(list.id.clone(), list);
    Ok(answer)
}

fn check_version(list: &PrefixList, params: &Params) -> Outcome<()> {
    let given: u64 = params.parsed("CurrentVersion")?.ok_or_else(|| ApiError::missing("CurrentVersion"))?;
    if given == list.version {
        return Ok(());
    }
    let message = format!("The prefix list has the incorrect version number: it is {}, not {given}.", list.version);
    Err(ApiError::new("PrefixListVersionMismatch", message))
}

fn unknown_version(list: &PrefixList, version: u64) -> ApiError {
    let message = format!("The prefix list '{}' has no version {version}.", list.id);
    ApiError::new("InvalidPrefixListVersion.NotFound", message)
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let list = own(region, call.input.required("PrefixListId")?)?.clone();
    let users = users(region, &list.id);
    if !users.is_empty() {
        let message = format!("The prefix list '{}' is referenced by {}.", list.id, users.join(", "));
        return Err(ApiError::new("PrefixListInUse", message));
    }
    region.ec2.remove_prefix_list(&list.id);
    Ok(Node::new().with("prefixList", render(region, &PrefixList { state: "delete-in-progress".to_owned(), ..list })))
}

/// Returns the ids of the security groups with rules that refer to a list.
fn users(region: &Region, list: &str) -> Vec<String> {
    use crate::model::ec2::vpc::Peer;
    let refers = |peer: &Peer| matches!(peer, Peer::PrefixList(id) if id == list);
    let groups = region.ec2.security_groups.values();
    let groups = groups.filter(|group| group.rules.values().any(|rule| refers(&rule.peer)));
    groups.map(|group| group.id.clone()).collect()
}

fn associations(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let users = users(region, &find(region, params.required("PrefixListId")?)?.id);
    let page = Page::of(users, params, |id| id)?;
    let nodes =
        page.items.into_iter().map(|id| Node::new().with("resourceId", id).with("resourceOwner", region.account));
    Ok(Node::new().list("prefixListAssociationSet", nodes).maybe("nextToken", page.next))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let lists = chosen(region, params, all)?;
    let found = accepted(region, params, &lists)?;
    let page = Page::of(found, params, |list| &list.id)?;
    let nodes = page.items.into_iter().map(|list| render(region, list));
    Ok(Node::new().list("prefixListSet", nodes).maybe("nextToken", page.next))
}

fn chosen(region: &Region, params: &Params, all: fn(&Region) -> Vec<PrefixList>) -> Outcome<Vec<PrefixList>> {
    let ids = params.texts("PrefixListId");
    if ids.is_empty() {
        return Ok(all(region));
    }
    ids.iter().map(|id| find(region, id)).collect()
}

/// Returns the lists that the filters of a request accept.
fn accepted<'a>(region: &'a Region, params: &Params, lists: &'a [PrefixList]) -> Outcome<Vec<&'a PrefixList>> {
    let fields: &[Field<Located<'_, PrefixList>>] = &[
        ("owner-id", |it| vec![owner(it.region, it.item).to_owned()]),
        ("prefix-list-id", |it| vec![it.item.id.clone()]),
        ("prefix-list-name", |it| vec![it.item.name.clone()]),
    ];
    let located: Vec<_> = lists.iter().map(|item| Located { region, item }).collect();
    let found = Filters::parse(params)?.apply(located.iter(), fields, |it| &it.item.tags)?;
    Ok(found.into_iter().map(|it| it.item).collect())
}

/// Returns the lists of AWS's services. In the local cloud, the endpoints of all services have one address.
fn of_services(region: &Region) -> Vec<PrefixList> {
    let entries = BTreeMap::from([(Cidr::of(ENDPOINTS).to_string(), String::new())]);
    let lists = GATEWAY_SERVICES.iter().map(|service| PrefixList {
        id: service_list_id(&region.name, service),
        name: service_list_name(&region.name, service),
        versions: BTreeMap::from([(0, entries.clone())]),
        state: "create-complete".to_owned(),
        ..PrefixList::default()
    });
    lists.collect()
}

fn all(region: &Region) -> Vec<PrefixList> {
    region.ec2.prefix_lists.values().cloned().chain(of_services(region)).collect()
}

fn owner<'a>(region: &'a Region, list: &PrefixList) -> &'a str {
    if list.version == 0 { AWS } else { region.account.as_str() }
}

/// Finds a list of the account or of a service.
pub(super) fn find(region: &Region, id: &str) -> Outcome<PrefixList> {
    check_id(id, "pl", "InvalidPrefixListId.Malformed")?;
    all(region).into_iter().find(|list| list.id == id).ok_or_else(|| unknown(id))
}

/// Finds a list that the account may change.
fn own<'a>(region: &'a Region, id: &str) -> Outcome<&'a PrefixList> {
    if owner(region, &find(region, id)?) == AWS {
        let message = format!("The prefix list '{id}' is managed by AWS and cannot be changed.");
        return Err(ApiError::new("OperationNotPermitted", message));
    }
    region.ec2.prefix_lists.get(id).ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> ApiError {
    ApiError::new("InvalidPrefixListID.NotFound", format!("The prefix list ID '{id}' does not exist"))
}

fn entries(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let list = find(cloud.region(call.region)?, params.required("PrefixListId")?)?;
    let version = params.parsed("TargetVersion")?.unwrap_or(list.version);
    let entries = list.versions.get(&version).ok_or_else(|| unknown_version(&list, version))?;
    let page = Page::of(entries.iter().collect(), params, |(range, _)| range)?;
    let nodes = page.items.into_iter().map(|(range, description)| {
        Node::new().with("cidr", range).maybe("description", Some(description).filter(|text| !text.is_empty()))
    });
    Ok(Node::new().list("entrySet", nodes).maybe("nextToken", page.next))
}

/// Describes the lists of services with their ranges.
fn describe_services(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let lists = chosen(region, params, of_services)?;
    let found = accepted(region, params, &lists)?;
    let page = Page::of(found, params, |list| &list.id)?;
    let nodes = page.items.into_iter().map(|list| {
        Node::new()
            .list("cidrSet", list.entries().map(|(range, _)| range))
            .with("prefixListId", &list.id)
            .with("prefixListName", &list.name)
    });
    Ok(Node::new().list("prefixListSet", nodes).maybe("nextToken", page.next))
}

fn render(region: &Region, list: &PrefixList) -> Node {
    let is_own = owner(region, list) != AWS;
    let account = if is_own { region.account.as_str() } else { "aws" };
    Node::new()
        .with("prefixListId", &list.id)
        .with("addressFamily", if list.ipv6 { "IPv6" } else { "IPv4" })
        .with("state", &list.state)
        .with("prefixListArn", format!("arn:aws:ec2:{}:{account}:prefix-list/{}", region.name, list.id))
        .with("prefixListName", &list.name)
        .maybe("maxEntries", is_own.then_some(list.max_entries))
        .maybe("version", is_own.then_some(list.version))
        .with("tagSet", tags::set(&list.tags))
        .with("ownerId", owner(region, list))
}
