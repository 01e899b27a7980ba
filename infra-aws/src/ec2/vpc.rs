//! `aws:ec2:Vpc`: a virtual private cloud.

use super::{Deletion, blockers, filter, once, operation_filter, range_problem, retag, tag_specification};
use crate::prelude::*;
use aws_sdk_ec2::{Client, types};

/// A virtual private cloud (VPC): a range of private IPv4 addresses, which subnets divide.
///
/// AWS creates a main route table, a network ACL and a security group named `default` with it.
/// [`Network`](crate::Network) declares a VPC together with its subnets and their route to the internet.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let vpc = virginia.add("vpc", Vpc {
///     tags: [("team".into(), "web".into())].into(),
///     ..Vpc::new("10.0.0.0/16").dns_hostnames()
/// });
/// virginia.add("subnet", Subnet::of(&vpc.id, "10.0.1.0/24").public());
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `DescribeVpcs`, which finds the VPC of an interrupted run; `CreateVpc`; those of a read until the VPC is
///   available; `ModifyVpcAttribute` if the DNS settings differ from AWS's defaults
/// - Read: `DescribeVpcs`, `DescribeVpcAttribute`, `DescribeSecurityGroups`, `DescribeRouteTables`
/// - Update: those of a read, `ModifyVpcAttribute`, `CreateTags`, `DeleteTags`
/// - Delete: `DeleteVpc`; if it is refused because the VPC is in use, `DescribeNetworkInterfaces`, `DescribeInstances`,
///   `DescribeNatGateways`, `DescribeLoadBalancers`, `DescribeSubnets`, `DescribeInternetGateways`,
///   `DescribeSecurityGroups` and `DescribeRouteTables` find the resources that use it
///
/// # Replacement
/// A change of `cidr` replaces the VPC, because AWS cannot change its range. The new VPC is created before the previous
/// one is deleted. The resources in it, such as subnets and security groups, are replaced as well.
///
/// # Import
/// The import takes the id of the VPC:
///
/// ```console
/// $ stack import aws:ec2:Vpc vpc vpc-0123456789abcdef0 --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:Vpc")]
pub struct Vpc {
    /// IPv4 range, from `/16` to `/28`, without host bits: `10.0.0.0/16`. A change replaces the VPC.
    #[resource(replace)]
    pub cidr: String,
    /// Indicates whether instances can use Amazon's DNS resolver; true by default.
    pub dns_support: bool,
    /// Indicates whether instances with a public address get a public DNS name; false by default. It needs
    /// `dns_support`.
    pub dns_hostnames: bool,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`Vpc`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct VpcOutputs {
    /// Id of the VPC, `vpc-…`.
    #[output(regional)]
    pub id: Output<VpcId>,
    /// IPv4 range, such as `10.0.0.0/16`.
    pub cidr: Output<String>,
    /// Id of the security group `default`, `sg-…`, whose members may reach each other.
    #[output(regional)]
    pub default_security_group: Output<SecurityGroupId>,
    /// Id of the main route table, `rtb-…`, which applies to every subnet without an explicit one.
    #[output(regional)]
    pub main_route_table: Output<RouteTableId>,
}

impl Vpc {
    /// Returns a VPC with this IPv4 range.
    pub fn new(cidr: impl Into<String>) -> Self {
        Self { cidr: cidr.into(), dns_support: true, dns_hostnames: false, tags: BTreeMap::new() }
    }

    /// Gives public DNS names to instances with a public address.
    pub fn dns_hostnames(mut self) -> Self {
        self.dns_hostnames = true;
        self
    }
}

/// A VPC with its DNS settings and with the resources that AWS creates for it.
pub struct Description {
    vpc: types::Vpc,
    dns_support: bool,
    dns_hostnames: bool,
    default_security_group: String,
    main_route_table: String,
}

impl AwsResource for Vpc {}

impl Described for Vpc {
    type Client = Aws;
    type Api = Client;
    type Description = Description;

    const FOUND_BY: FoundBy = FoundBy::Tag;

    fn check(&self) -> Vec<Problem> {
        let names_without_resolver = self.dns_hostnames && !self.dns_support;
        let problem = names_without_resolver.then(|| {
            Problem::new("dns_hostnames", "DNS names need the resolver").hint("set `dns_support: true`, AWS's default")
        });
        range_problem("cidr", &self.cidr).into_iter().chain(problem).collect()
    }

    async fn create(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Description> {
        let tags = tag_specification(cx, types::ResourceType::Vpc, &inputs.tags);
        let call = ec2.create_vpc().cidr_block(&inputs.cidr).tag_specifications(tags);
        let response = call.customize().config_override(once()).send().await.context("CreateVpc")?;
        let vpc = response.vpc.ok_or_else(|| ProviderError::unsure("CreateVpc returned no VPC"))?;
        let Self { dns_support, dns_hostnames, .. } = Self::new("");
        let (default_security_group, main_route_table) = (String::new(), String::new());
        Ok(Description { vpc, dns_support, dns_hostnames, default_security_group, main_route_table })
    }

    async fn apply(cx: &Context<'_>, ec2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let current = wait::until(cx, "waiting until the VPC is available", wait::CONSISTENCY, async || {
            let current = Self::describe(cx, ec2, update.id).await?;
            Ok(current.filter(|current| current.vpc.state() == Some(&types::VpcState::Available)))
        })
        .await?;
        let Self { dns_support, dns_hostnames, .. } = *update.new;
        let call = || ec2.modify_vpc_attribute().vpc_id(update.id);
        let value = |value| types::AttributeBooleanValue::builder().value(value).build();
        // A call changes one setting. DNS names need the resolver, so it is enabled first and disabled last.
        let calls = [
            (dns_support && !current.dns_support).then(|| call().enable_dns_support(value(true))),
            (dns_hostnames != current.dns_hostnames).then(|| call().enable_dns_hostnames(value(dns_hostnames))),
            (!dns_support && current.dns_support).then(|| call().enable_dns_support(value(false))),
        ];
        for call in calls.into_iter().flatten() {
            call.send().await.context("ModifyVpcAttribute")?;
        }
        retag(ec2, update.id, update.old.map(|old| &old.tags), &update.new.tags).await?;
        Ok(Self::normalize(&current, Some(update.new)).outputs)
    }

    async fn delete(cx: &Context<'_>, ec2: &Client, prior: &Prior<Self>) -> Result<()> {
        let deleted = blockers::delete(cx, ec2, Deletion::Vpc(&prior.id), async || {
            ec2.delete_vpc().vpc_id(&prior.id).send().await.context("DeleteVpc").map(drop)
        });
        Ok(deleted.await?)
    }

    async fn describe(_: &Context<'_>, ec2: &Client, id: &str) -> Result<Option<Description>> {
        let response = ec2.describe_vpcs().vpc_ids(id).send().await.context("DescribeVpcs");
        match found(response)?.and_then(|response| response.vpcs?.pop()) {
            Some(vpc) => Ok(Some(complete(ec2, vpc).await?)),
            None => Ok(None),
        }
    }

    async fn find_created(cx: &Context<'_>, ec2: &Client, _: &Self) -> Result<Option<Description>> {
        let response = ec2.describe_vpcs().filters(operation_filter(cx)).send().await.context("DescribeVpcs")?;
        match response.vpcs.and_then(|mut vpcs| vpcs.pop()) {
            Some(vpc) => Ok(Some(complete(ec2, vpc).await?)),
            None => Ok(None),
        }
    }

    fn normalize(description: &Description, recorded: Option<&Self>) -> Created<Self> {
        let Description { vpc, dns_support, dns_hostnames, default_security_group, main_route_table } = description;
        let (id, cidr) = (vpc.vpc_id().unwrap_or_default(), vpc.cidr_block().unwrap_or_default());
        Created {
            id: id.to_owned(),
            inputs: Some(Self {
                cidr: cidr.to_owned(),
                dns_support: *dns_support,
                dns_hostnames: *dns_hostnames,
                tags: tags::declared(vpc.tags(), recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: VpcOutputs {
                id: VpcId::from(id).into(),
                cidr: cidr.into(),
                default_security_group: SecurityGroupId::from(default_security_group.as_str()).into(),
                main_route_table: RouteTableId::from(main_route_table.as_str()).into(),
            },
        }
    }
}

/// Adds the parts that `DescribeVpcs` does not return.
async fn complete(ec2: &Client, vpc: types::Vpc) -> Result<Description> {
    let id = vpc.vpc_id().unwrap_or_default();
    let attribute = async |name: types::VpcAttributeName| {
        ec2.describe_vpc_attribute().vpc_id(id).attribute(name).send().await.context("DescribeVpcAttribute")
    };
    let support = attribute(types::VpcAttributeName::EnableDnsSupport).await?;
    let hostnames = attribute(types::VpcAttributeName::EnableDnsHostnames).await?;
    let call = ec2.describe_security_groups().filters(filter("vpc-id", id)).filters(filter("group-name", "default"));
    let groups = call.send().await.context("DescribeSecurityGroups")?.security_groups.unwrap_or_default();
    let call = ec2.describe_route_tables().filters(filter("vpc-id", id)).filters(filter("association.main", "true"));
    let tables = call.send().await.context("DescribeRouteTables")?.route_tables.unwrap_or_default();
    Ok(Description {
        dns_support: support.enable_dns_support().and_then(types::AttributeBooleanValue::value).unwrap_or(false),
        dns_hostnames: hostnames.enable_dns_hostnames().and_then(types::AttributeBooleanValue::value).unwrap_or(false),
        default_security_group: groups.into_iter().find_map(|group| group.group_id).unwrap_or_default(),
        main_route_table: tables.into_iter().find_map(|table| table.route_table_id).unwrap_or_default(),
        vpc,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_suggests_a_correction() {
        let problems = |vpc: Vpc| -> Vec<String> {
            vpc.check().into_iter().map(|problem| format!("{}: {:?}", problem.message, problem.hint)).collect()
        };
        assert!(problems(Vpc::new("10.0.0.0/16").dns_hostnames()).is_empty());
        assert_eq!(
            problems(Vpc::new("10.0.0.7/16")),
            ["`10.0.0.7/16` does not begin at the first address of its range: Some(\"write `10.0.0.0/16`\")"]
        );
        for range in ["10.0.0.0", "10.0.0.0/8", "10.0.0.0/29", "fc00::/20"] {
            assert_eq!(problems(Vpc::new(range)).len(), 1, "{range}");
        }
        assert_eq!(problems(Vpc { dns_support: false, ..Vpc::new("10.0.0.0/16").dns_hostnames() }).len(), 1);
    }

    #[test]
    fn description_of_a_declared_vpc_equals_the_declaration() {
        let declared = Vpc::new("10.0.0.0/16").dns_hostnames();
        let description = Description {
            vpc: types::Vpc::builder().vpc_id("vpc-1").cidr_block("10.0.0.0/16").build(),
            dns_support: true,
            dns_hostnames: true,
            default_security_group: "sg-1".to_owned(),
            main_route_table: "rtb-1".to_owned(),
        };
        let read = Vpc::normalize(&description, Some(&declared)).inputs;
        assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(declared)).ok());
    }
}
