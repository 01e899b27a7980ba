//! Flow logs. They are recorded with a failed delivery, because the local cloud records no packets.

use super::{
    Ec2Operation, TAG_SPECIFICATIONS, check_id, client_token, network_interface_lifecycle, resource, subnet, tags_for,
    vpc,
};
use crate::model::ec2::flow_log::FlowLog;
use crate::model::{Cloud, Region, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateFlowLogs",
        create,
        &[
            &[
                "ClientToken",
                "DeliverLogsPermissionArn",
                "DestinationOptions.FileFormat",
                "DestinationOptions.HiveCompatiblePartitions",
                "DestinationOptions.PerHourPartition",
                "LogDestination",
                "LogDestinationType",
                "LogFormat",
                "LogGroupName",
                "MaxAggregationInterval",
                "ResourceId.N",
                "ResourceType",
                "TrafficType",
            ],
            TAG_SPECIFICATIONS,
        ],
    )
    .on(&[resource::NEW_FLOW_LOG]),
    Operation::writes("DeleteFlowLogs", delete, &[&["FlowLogId.N"]]).on(&[resource::FLOW_LOGS]),
    Operation::reads("DescribeFlowLogs", describe, &[&["FlowLogId.N"], FILTERS, PAGES]).on_any(),
];

/// AWS's default format of records.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html>
const FORMAT: &str = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} \
                      ${packets} ${bytes} ${start} ${end} ${action} ${log-status}";

/// Creates a log per resource. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html>
fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let prototype = parse(call)?;
    let region = cloud.region_mut(call.region)?;
    let answer = |ids: &[String]| {
        Node::new()
            .maybe("clientToken", params.optional("ClientToken"))
            .list("flowLogIdSet", ids)
            .list("unsuccessful", Vec::<Node>::new())
    };
    if let Some(ids) = client_token::earlier_result(region, call, "CreateFlowLogs")? {
        return Ok(answer(&ids.split(' ').map(str::to_owned).collect::<Vec<_>>()));
    }
    let resources = params.texts("ResourceId");
    if resources.is_empty() {
        return Err(ApiError::missing("ResourceId"));
    }
    let mut ids = Vec::new();
    for resource_id in resources {
        check_resource(region, params.required("ResourceType")?, &resource_id)?;
        let log = FlowLog { id: new_id("fl"), resource_id, ..prototype.clone() };
        if region.ec2.flow_logs.values().any(|other| is_duplicate(other, &log)) {
            return Err(ApiError::new(
                "FlowLogAlreadyExists",
                "Error. There is an existing Flow Log with the same configuration and log destination.",
            ));
        }
        ids.push(log.id.clone());
        region.ec2.flow_logs.insert(log.id.clone(), log);
    }
    client_token::remember(region, call, "CreateFlowLogs", &ids.join(" "));
    Ok(answer(&ids))
}

fn is_duplicate(one: &FlowLog, other: &FlowLog) -> bool {
    one.resource_id == other.resource_id
        && one.traffic == other.traffic
        && one.destination == other.destination
        && one.log_group == other.log_group
}

fn parse(call: &Call<'_, Params>) -> Outcome<FlowLog> {
    let params = &call.input;
    let text = |name: &str| params.optional(name).map(str::to_owned);
    let destination_type = text("LogDestinationType").unwrap_or_else(|| "cloud-watch-logs".to_owned());
    let traffic = text("TrafficType").ok_or_else(|| ApiError::missing("TrafficType"))?;
    let interval = params.parsed("MaxAggregationInterval")?.unwrap_or(600);
    let checks = [
        ("logDestinationType", &destination_type, &["cloud-watch-logs", "s3", "kinesis-data-firehose"][..]),
        ("trafficType", &traffic, &["ACCEPT", "REJECT", "ALL"][..]),
        ("maxAggregationInterval", &interval.to_string(), &["60", "600"][..]),
    ];
    for (name, value, allowed) in checks {
        if !allowed.contains(&value.as_str()) {
            return Err(ApiError::invalid(format!("Value ({value}) for parameter {name} is invalid.")));
        }
    }
    let (destination, log_group) = (text("LogDestination"), text("LogGroupName"));
    if destination.is_some() && log_group.is_some() {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "Please only provide LogGroupName or only provide LogDestination.",
        ));
    }
    if destination.is_none() && (log_group.is_none() || destination_type != "cloud-watch-logs") {
        let name = if destination_type == "cloud-watch-logs" { "LogGroupName" } else { "LogDestination" };
        return Err(ApiError::missing(name));
    }
    let role = text("DeliverLogsPermissionArn");
    if destination_type == "cloud-watch-logs" && role.is_none() {
        return Err(ApiError::new(
            "InvalidParameter",
            "DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs.",
        ));
    }
    let options = params.structure("DestinationOptions").unwrap_or_default();
    Ok(FlowLog {
        traffic,
        destination_type,
        destination,
        log_group,
        role,
        format: text("LogFormat").unwrap_or_else(|| FORMAT.to_owned()),
        interval,
        file_format: options.optional("FileFormat").map(str::to_owned),
        hive_compatible: options.flag("HiveCompatiblePartitions")?,
        per_hour: options.flag("PerHourPartition")?,
        created: call.now,
        tags: tags_for(params, "vpc-flow-log")?,
        ..FlowLog::default()
    })
}

fn check_resource(region: &Region, kind: &str, id: &str) -> Outcome<()> {
    match kind {
        "VPC" => vpc::find(region, id).map(drop),
        "Subnet" => subnet::find(region, id).map(drop),
        "NetworkInterface" => network_interface_lifecycle::find(region, id).map(drop),
        other => Err(ApiError::invalid(format!("Value ({other}) for parameter resourceType is invalid."))),
    }
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let ids = call.input.texts("FlowLogId");
    if ids.is_empty() {
        return Err(ApiError::missing("FlowLogId"));
    }
    for id in &ids {
        find(region, id)?;
    }
    region.ec2.flow_logs.retain(|id, _| !ids.contains(id));
    Ok(Node::new().list("unsuccessful", Vec::<Node>::new()))
}

fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a FlowLog> {
    check_id(id, "fl", "InvalidFlowLogId.Malformed")?;
    let missing = || {
        ApiError::new(
            "InvalidFlowLogId.NotFound",
            format!("These flow log ids in the input list are not found: [TotalCount: 1] {id}"),
        )
    };
    region.ec2.flow_logs.get(id).ok_or_else(missing)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("FlowLogId");
    let logs = region.ec2.flow_logs.values().filter(|log| ids.is_empty() || ids.contains(&log.id));
    let found = Filters::parse(params)?.apply(logs, FIELDS, |log| &log.tags)?;
    let page = Page::of(found, params, |log| &log.id)?;
    Ok(Node::new().list("flowLogSet", page.items.into_iter().map(render)).maybe("nextToken", page.next))
}

const FIELDS: &[Field<FlowLog>] = &[
    ("deliver-log-status", |_| vec!["FAILED".to_owned()]),
    ("flow-log-id", |log| vec![log.id.clone()]),
    ("log-destination-type", |log| vec![log.destination_type.clone()]),
    ("log-group-name", |log| log.log_group.iter().cloned().collect()),
    ("resource-id", |log| vec![log.resource_id.clone()]),
    ("traffic-type", |log| vec![log.traffic.clone()]),
];

fn render(log: &FlowLog) -> Node {
    let options = Node::new()
        .maybe("fileFormat", log.file_format.as_ref())
        .with("hiveCompatiblePartitions", log.hive_compatible)
        .with("perHourPartition", log.per_hour);
    Node::new()
        .with("creationTime", log.created)
        .with("deliverLogsErrorMessage", "Unknown error")
        .maybe("deliverLogsPermissionArn", log.role.as_ref())
        .with("deliverLogsStatus", "FAILED")
        .with("flowLogId", &log.id)
        .with("flowLogStatus", "ACTIVE")
        .maybe("logGroupName", log.log_group.as_ref())
        .with("resourceId", &log.resource_id)
        .with("trafficType", &log.traffic)
        .with("logDestinationType", &log.destination_type)
        .maybe("logDestination", log.destination.as_ref())
        .with("logFormat", &log.format)
        .with("tagSet", tags::set(&log.tags))
        .with("maxAggregationInterval", log.interval)
        .maybe("destinationOptions", (log.destination_type == "s3").then_some(options))
}
