//! `aws:ec2:Subnet`: a range of addresses of a VPC, in one availability zone.

use super::{Deletion, blockers, filter, range_problem, retag, tag_specification};
use crate::prelude::*;
use aws_sdk_ec2::{Client, types};

/// A subnet: a range of a VPC's addresses in one availability zone.
///
/// The VPC's main route table applies to it unless a [`RouteTable`](crate::RouteTable) contains it.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let zones = virginia.lookup(AvailabilityZones).names;
/// let vpc = virginia.add("vpc", Vpc::new("10.0.0.0/16"));
/// let subnet = virginia.add("subnet", Subnet {
///     availability_zone: Some(zones.index(0)),
///     map_public_ip: true,
///     ..Subnet::of(&vpc.id, "10.0.1.0/24")
/// });
/// stack.export("subnet", subnet.id);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateSubnet`; `DescribeSubnets` until the subnet is available; `ModifySubnetAttribute` if
///   `map_public_ip` is true
/// - Read: `DescribeSubnets`
/// - Update: `DescribeSubnets`, `ModifySubnetAttribute`, `CreateTags`, `DeleteTags`
/// - Delete: `DeleteSubnet`; if it is refused because the subnet is in use, `DescribeNetworkInterfaces`,
///   `DescribeInstances`, `DescribeNatGateways` and `DescribeLoadBalancers` find the resources that use it
///
/// # Replacement
/// A change of `vpc_id`, `cidr` or `availability_zone` replaces the subnet, because AWS cannot change them. The new
/// subnet is created before the previous one is deleted. With the same `cidr` in the same VPC, as for a change of
/// `availability_zone` alone, the previous subnet is deleted first, and so are replaced resources in it. The API refuses to
/// delete it while it contains network interfaces of other resources, such as a load balancer. A range that overlaps the
/// previous one without being equal needs
/// [`Options::delete_before_replace`](infra_core::Options::delete_before_replace).
///
/// # Import
/// The import takes the id of the subnet:
///
/// ```console
/// $ stack import aws:ec2:Subnet subnet subnet-0123456789abcdef0 --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:Subnet")]
pub struct Subnet {
    /// Id of the VPC that contains the subnet. A change replaces the subnet.
    #[resource(replace, key)]
    pub vpc_id: Input<VpcId>,
    /// IPv4 range, from `/16` to `/28`, without host bits: `10.0.1.0/24`. A change replaces the subnet.
    #[resource(replace, key)]
    pub cidr: String,
    /// Availability zone, such as `us-east-1a`; when omitted, AWS chooses one. A change replaces the subnet.
    #[resource(replace)]
    pub availability_zone: Option<Input<String>>,
    /// Indicates whether instances launched in the subnet get a public address; false by default.
    pub map_public_ip: bool,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`Subnet`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct SubnetOutputs {
    /// Id of the subnet, `subnet-…`.
    #[output(regional)]
    pub id: Output<SubnetId>,
    /// Amazon Resource Name of the subnet.
    pub arn: Output<String>,
    /// IPv4 range, such as `10.0.1.0/24`.
    pub cidr: Output<String>,
    /// Availability zone, such as `us-east-1a`.
    pub availability_zone: Output<String>,
}

impl Subnet {
    /// Returns a subnet of this VPC with this IPv4 range.
    pub fn of(vpc_id: impl Into<Input<VpcId>>, cidr: impl Into<String>) -> Self {
        Self {
            vpc_id: vpc_id.into(),
            cidr: cidr.into(),
            availability_zone: None,
            map_public_ip: false,
            tags: BTreeMap::new(),
        }
    }

    /// Sets the availability zone.
    pub fn in_zone(mut self, zone: impl Into<Input<String>>) -> Self {
        self.availability_zone = Some(zone.into());
        self
    }

    /// Gives a public address to every instance launched in the subnet.
    pub fn public(mut self) -> Self {
        self.map_public_ip = true;
        self
    }
}

impl AwsResource for Subnet {}

impl Described for Subnet {
    type Client = Aws;
    type Api = Client;
    type Description = types::Subnet;

    const FOUND_BY: FoundBy = FoundBy::Key;
    const CONFLICT: &'static str =
        "choose a range that no other subnet of the VPC has; the replacement of a subnet needs another one as well";

    fn check(&self) -> Vec<Problem> {
        range_problem("cidr", &self.cidr).into_iter().collect()
    }

    async fn create(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Self::Description> {
        let call = ec2
            .create_subnet()
            .vpc_id(inputs.vpc_id.known()?.as_str())
            .cidr_block(&inputs.cidr)
            .set_availability_zone(inputs.availability_zone.as_ref().map(Input::known).transpose()?)
            .tag_specifications(tag_specification(cx, types::ResourceType::Subnet, &inputs.tags));
        let status = "waiting until the VPC is visible";
        let response = wait::retry_while_inconsistent(cx, status, &["InvalidVpcID.NotFound"], async || {
            call.clone().send().await.context("CreateSubnet")
        });
        response.await?.subnet.ok_or_else(|| ProviderError::unsure("CreateSubnet returned no subnet"))
    }

    async fn apply(cx: &Context<'_>, ec2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let subnet = wait::until(cx, "waiting until the subnet is available", wait::CONSISTENCY, async || {
            let subnet = Self::describe(cx, ec2, update.id).await?;
            Ok(subnet.filter(|subnet| subnet.state() == Some(&types::SubnetState::Available)))
        })
        .await?;
        let map_public_ip = update.new.map_public_ip;
        if subnet.map_public_ip_on_launch() != Some(map_public_ip) {
            let value = types::AttributeBooleanValue::builder().value(map_public_ip).build();
            let call = ec2.modify_subnet_attribute().subnet_id(update.id).map_public_ip_on_launch(value);
            call.send().await.context("ModifySubnetAttribute")?;
        }
        retag(ec2, update.id, update.old.map(|old| &old.tags), &update.new.tags).await?;
        Ok(update.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, ec2: &Client, prior: &Prior<Self>) -> Result<()> {
        let deleted = blockers::delete(cx, ec2, Deletion::Subnet(&prior.id), async || {
            ec2.delete_subnet().subnet_id(&prior.id).send().await.context("DeleteSubnet").map(drop)
        });
        Ok(deleted.await?)
    }

    async fn describe(_: &Context<'_>, ec2: &Client, id: &str) -> Result<Option<Self::Description>> {
        let response = ec2.describe_subnets().subnet_ids(id).send().await.context("DescribeSubnets");
        Ok(found(response)?.and_then(|response| response.subnets?.pop()))
    }

    async fn find_created(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let vpc_id = inputs.vpc_id.known()?;
        let call = ec2.describe_subnets().filters(filter("vpc-id", vpc_id.as_str()));
        let call = call.filters(filter("cidr-block", &inputs.cidr));
        let subnets = call.send().await.context("DescribeSubnets")?.subnets.unwrap_or_default();
        Ok(subnets.into_iter().find(|subnet| tags::are_of_operation(cx, subnet.tags())))
    }

    fn normalize(subnet: &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let id = subnet.subnet_id().unwrap_or_default();
        let cidr = subnet.cidr_block().unwrap_or_default();
        let zone = subnet.availability_zone().unwrap_or_default();
        let chosen_by_program = recorded.is_none_or(|recorded| recorded.availability_zone.is_some());
        Created {
            id: id.to_owned(),
            inputs: Some(Self {
                vpc_id: VpcId::from(subnet.vpc_id().unwrap_or_default()).into(),
                cidr: cidr.to_owned(),
                availability_zone: chosen_by_program.then(|| zone.into()),
                map_public_ip: subnet.map_public_ip_on_launch().unwrap_or(false),
                tags: tags::declared(subnet.tags(), recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: SubnetOutputs {
                id: SubnetId::from(id).into(),
                arn: subnet.subnet_arn().unwrap_or_default().into(),
                cidr: cidr.into(),
                availability_zone: zone.into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_of_a_declared_subnet_equals_the_declaration() {
        let subnet = types::Subnet::builder()
            .subnet_id("subnet-1")
            .vpc_id("vpc-1")
            .cidr_block("10.0.1.0/24")
            .availability_zone("us-east-1b")
            .map_public_ip_on_launch(true)
            .build();
        let without_zone = Subnet::of(VpcId::from("vpc-1"), "10.0.1.0/24").public();
        for declared in [without_zone.clone(), without_zone.in_zone("us-east-1b")] {
            let read = Subnet::normalize(&subnet, Some(&declared)).inputs;
            assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(declared)).ok());
        }
    }
}
