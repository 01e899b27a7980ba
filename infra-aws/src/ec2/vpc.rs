//! `aws:ec2:Vpc`: a network of one's own.

use super::{
    blockers::{self, Held},
    filter, once, range_problem,
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{RouteTableId, SecurityGroupId, VpcId},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    types::{AttributeBooleanValue, ResourceType, Vpc as Described, VpcAttributeName, VpcState},
};
use infra_core::{
    Output, Resource, Schema,
    provider::{Context, Created, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A virtual private cloud: a range of private addresses that subnets are cut out of.
///
/// Made by `CreateVpc`, with a main route table and a group `default`; the settings of names are changed in place by
/// `ModifyVpcAttribute`, tags by `CreateTags` and `DeleteTags`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Vpc {
    /// Its addresses: `10.0.0.0/16`, from /16 to /28.
    pub cidr: String,
    /// Whether its hosts are given a resolver.
    pub dns_support: bool,
    /// Whether hosts with a public address are given a public name.
    pub dns_hostnames: bool,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`Vpc`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VpcOutputs {
    /// Its id, `vpc-…`.
    pub id: Output<VpcId>,
    /// Its addresses.
    pub cidr: Output<String>,
    /// The group `default`, whose members may reach each other.
    pub default_security_group: Output<SecurityGroupId>,
    /// The route table of every subnet that has none of its own.
    pub main_route_table: Output<RouteTableId>,
}

impl Vpc {
    /// A VPC with these addresses.
    pub fn new(cidr: impl Into<String>) -> Self {
        Self { cidr: cidr.into(), dns_support: true, dns_hostnames: false, tags: BTreeMap::new() }
    }

    /// Gives public names to hosts with a public address.
    pub fn dns_hostnames(mut self) -> Self {
        self.dns_hostnames = true;
        self
    }
}

impl Resource for Vpc {
    const TYPE: &'static str = "aws:ec2:Vpc";
    type Outputs = VpcOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["cidr"]).regional(["id", "default_security_group", "main_route_table"])
    }
}

impl AwsResource for Vpc {}

impl Handler for Vpc {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let names = self.dns_hostnames && !self.dns_support;
        let names = names.then(|| {
            Problem::new("dns_hostnames", "names need the resolver").hint("set `dns_support: true`, AWS's default")
        });
        range_problem("cidr", &self.cidr).into_iter().chain(names).collect()
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let made = match ours(cx, &ec2).await? {
            Some(made) => made,
            None => make(cx, &ec2, inputs).await?,
        };
        let id = made.vpc_id().unwrap_or_default();
        let unsettled = Created::<Self>::new(id, outputs(&made, String::new(), String::new()));
        match fill(cx, &ec2, id, inputs).await {
            Ok(created) => Ok(Created { inputs: None, ..created }),
            Err(error) => Err(unsettled.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        match describe(&ec2, &prior.id).await? {
            Some(vpc) => Ok(Some(created(&ec2, &vpc, &prior.inputs).await?)),
            None => Ok(None),
        }
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let created = fill(cx, &ec2, &prior.id, inputs).await?;
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(created.outputs)
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let deleted = blockers::delete(cx, &ec2, Held::Vpc(&prior.id), async || {
            ec2.delete_vpc().vpc_id(&prior.id).send().await.context("DeleteVpc").map(drop)
        });
        Ok(deleted.await?)
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        match describe(&ec2, id).await? {
            Some(vpc) => Ok(Some(created(&ec2, &vpc, &Self::new("")).await?)),
            None => Ok(None),
        }
    }

    fn recovery() -> Recovery<Self> {
        Recovery::tag(|cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                match ours(cx, &ec2).await? {
                    Some(vpc) => Ok(Found::Found(created(&ec2, &vpc, inputs).await?)),
                    None => Ok(Found::Absent),
                }
            })
        })
    }
}

async fn make(cx: &Context<'_, Aws>, ec2: &Client, inputs: &Vpc) -> Result<Described, ProviderError> {
    let tags = tags::ec2_with(cx, ResourceType::Vpc, &inputs.tags);
    let call = ec2.create_vpc().cidr_block(&inputs.cidr).tag_specifications(tags);
    let answer = call.customize().config_override(once()).send().await.context("CreateVpc")?;
    answer.vpc.ok_or_else(|| ProviderError::unsure("CreateVpc: the answer has no VPC"))
}

/// What this very operation made, in an earlier run.
async fn ours(cx: &Context<'_, Aws>, ec2: &Client) -> Result<Option<Described>, AwsError> {
    let answer = ec2.describe_vpcs().filters(tags::ec2_filter(cx)).send().await.context("DescribeVpcs")?;
    Ok(answer.vpcs.unwrap_or_default().pop())
}

/// Waits until the VPC is there, and sets what differs.
async fn fill(cx: &Context<'_, Aws>, ec2: &Client, id: &str, inputs: &Vpc) -> Result<Created<Vpc>, ProviderError> {
    let vpc = wait::until(cx, "waiting until the VPC is available", wait::CONSISTENCY, async || {
        let vpc = describe(ec2, id).await?;
        Ok(vpc.filter(|vpc| vpc.state() == Some(&VpcState::Available)))
    })
    .await?;
    let living = created(ec2, &vpc, inputs).await?;
    let held = living.inputs.as_ref().map(|vpc| (vpc.dns_support, vpc.dns_hostnames));
    let value = |value| AttributeBooleanValue::builder().value(value).build();
    let (support, hostnames) = (Some(inputs.dns_support), Some(inputs.dns_hostnames));
    // One attribute at a time; names need the resolver, so it comes first and goes last.
    let set_support = async || -> Result<(), AwsError> {
        if held.map(|held| held.0) != support {
            let call = ec2.modify_vpc_attribute().vpc_id(id).enable_dns_support(value(inputs.dns_support));
            call.send().await.context("ModifyVpcAttribute")?;
        }
        Ok(())
    };
    if inputs.dns_support {
        set_support().await?;
    }
    if held.map(|held| held.1) != hostnames {
        let call = ec2.modify_vpc_attribute().vpc_id(id).enable_dns_hostnames(value(inputs.dns_hostnames));
        call.send().await.context("ModifyVpcAttribute")?;
    }
    if !inputs.dns_support {
        set_support().await?;
    }
    Ok(living)
}

async fn describe(ec2: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    let answer = ec2.describe_vpcs().vpc_ids(id).send().await.context("DescribeVpcs");
    Ok(found(answer)?.and_then(|answer| answer.vpcs.unwrap_or_default().pop()))
}

/// The VPC as it lives, in the words of the recorded inputs where they say the same.
async fn created(ec2: &Client, vpc: &Described, recorded: &Vpc) -> Result<Created<Vpc>, AwsError> {
    let id = vpc.vpc_id().unwrap_or_default();
    let attribute = async |name: VpcAttributeName| {
        ec2.describe_vpc_attribute().vpc_id(id).attribute(name).send().await.context("DescribeVpcAttribute")
    };
    let support = attribute(VpcAttributeName::EnableDnsSupport).await?;
    let hostnames = attribute(VpcAttributeName::EnableDnsHostnames).await?;
    let is_on = |value: Option<&AttributeBooleanValue>| value.and_then(AttributeBooleanValue::value).unwrap_or(false);
    let groups = ec2.describe_security_groups().filters(filter("vpc-id", id)).filters(filter("group-name", "default"));
    let groups = groups.send().await.context("DescribeSecurityGroups")?;
    let tables = ec2.describe_route_tables().filters(filter("vpc-id", id)).filters(filter("association.main", "true"));
    let tables = tables.send().await.context("DescribeRouteTables")?;
    let group = groups.security_groups().first().and_then(|group| group.group_id()).unwrap_or_default();
    let table = tables.route_tables().first().and_then(|table| table.route_table_id()).unwrap_or_default();
    let inputs = Vpc {
        cidr: vpc.cidr_block().unwrap_or_default().to_owned(),
        dns_support: is_on(support.enable_dns_support()),
        dns_hostnames: is_on(hostnames.enable_dns_hostnames()),
        tags: tags::ec2_own(vpc.tags(), &recorded.tags),
    };
    Ok(Created { id: id.to_owned(), inputs: Some(inputs), outputs: outputs(vpc, group.to_owned(), table.to_owned()) })
}

fn outputs(vpc: &Described, group: String, table: String) -> VpcOutputs {
    VpcOutputs {
        id: VpcId::from(vpc.vpc_id().unwrap_or_default()).into(),
        cidr: vpc.cidr_block().unwrap_or_default().into(),
        default_security_group: SecurityGroupId::from(group).into(),
        main_route_table: RouteTableId::from(table).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_says_what_to_write() {
        let problems = |vpc: Vpc| -> Vec<String> {
            vpc.check().into_iter().map(|problem| format!("{}: {:?}", problem.message, problem.hint)).collect()
        };
        assert!(problems(Vpc::new("10.0.0.0/16").dns_hostnames()).is_empty());
        assert_eq!(
            problems(Vpc::new("10.0.0.7/16")),
            ["`10.0.0.7/16` is no range's first address: Some(\"write `10.0.0.0/16`\")"]
        );
        for range in ["10.0.0.0", "10.0.0.0/8", "10.0.0.0/29", "fc00::/20"] {
            assert_eq!(problems(Vpc::new(range)).len(), 1, "{range}");
        }
        assert_eq!(problems(Vpc { dns_support: false, ..Vpc::new("10.0.0.0/16").dns_hostnames() }).len(), 1);
    }
}
