//! `aws:ec2:ElasticIp`: a public address that is allocated to the account.

use super::{once, operation_filter, retag, tag_specification};
use crate::prelude::*;
use aws_sdk_ec2::{Client, types};
use std::time::Duration;

/// An Elastic IP address: a public IPv4 address that is allocated to the account.
///
/// It stays the same when the instance that it belongs to is replaced. A [`NatGateway`](crate::NatGateway) refers to
/// its address; the address does not refer to the gateway.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let host = virginia.add("host", Instance::new("t3.micro"));
/// let address = virginia.add("address", ElasticIp::of(&host.id));
/// stack.export("address", address.public_ip);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `DescribeAddresses`, which finds the address of an interrupted run; `AllocateAddress`; `DescribeAddresses`
///   until the address is visible; `AssociateAddress` if there is an `instance`
/// - Read: `DescribeAddresses`
/// - Update: `DescribeAddresses`, `AssociateAddress`, `DisassociateAddress`, `CreateTags`, `DeleteTags`
/// - Delete: `DescribeAddresses`, `DisassociateAddress`, `ReleaseAddress`
///
/// # Replacement
/// No change replaces the address. A change of `instance` associates it with the other instance. A replacement that is
/// requested by `up --replace` allocates another address.
///
/// # Import
/// The import takes the allocation id:
///
/// ```console
/// $ stack import aws:ec2:ElasticIp address eipalloc-0123456789abcdef0 --region us-east-1
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:ElasticIp")]
pub struct ElasticIp {
    /// Id of the instance that the address is associated with; none when omitted.
    pub instance: Option<Input<InstanceId>>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of an [`ElasticIp`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct ElasticIpOutputs {
    /// Allocation id, `eipalloc-…`.
    #[output(regional)]
    pub id: Output<AllocationId>,
    /// Public IPv4 address.
    pub public_ip: Output<String>,
}

impl ElasticIp {
    /// Returns an address without an instance.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns an address of this instance.
    pub fn of(instance: impl Into<Input<InstanceId>>) -> Self {
        Self { instance: Some(instance.into()), ..Self::default() }
    }
}

impl AwsResource for ElasticIp {}

impl Described for ElasticIp {
    type Client = Aws;
    type Api = Client;
    type Description = types::Address;

    const FOUND_BY: FoundBy = FoundBy::Tag;

    async fn create(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Self::Description> {
        let tags = tag_specification(cx, types::ResourceType::ElasticIp, &inputs.tags);
        let call = ec2.allocate_address().domain(types::DomainType::Vpc).tag_specifications(tags);
        let response = call.customize().config_override(once()).send().await.context("AllocateAddress")?;
        let address = types::Address::builder().set_allocation_id(response.allocation_id);
        Ok(address.set_public_ip(response.public_ip).build())
    }

    async fn apply(cx: &Context<'_>, ec2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let address = wait::visible(cx, ec2, &update).await?;
        let instance = update.new.instance.as_ref().map(Input::known).transpose()?;
        match (instance, instance_of(&address)) {
            (Some(instance), current) if current != Some(instance.as_str()) => {
                associate(cx, ec2, update.id, &instance).await?;
            }
            (None, Some(_)) => disassociate(ec2, &address).await?,
            _ => {}
        }
        retag(ec2, update.id, update.old.map(|old| &old.tags), &update.new.tags).await?;
        Ok(update.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, ec2: &Client, prior: &Prior<Self>) -> Result<()> {
        let Some(address) = Self::describe(cx, ec2, &prior.id).await? else { return Ok(()) };
        if instance_of(&address).is_some() {
            disassociate(ec2, &address).await?;
        }
        let status = "waiting until the address is no longer associated";
        let released = wait::retry_while_in_use(cx, status, Duration::from_mins(5), async || {
            ec2.release_address().allocation_id(&prior.id).send().await.context("ReleaseAddress")
        });
        Ok(released.await.map(drop)?)
    }

    async fn describe(_: &Context<'_>, ec2: &Client, id: &str) -> Result<Option<Self::Description>> {
        let response = ec2.describe_addresses().allocation_ids(id).send().await.context("DescribeAddresses");
        Ok(found(response)?.and_then(|response| response.addresses?.pop()))
    }

    async fn find_created(cx: &Context<'_>, ec2: &Client, _: &Self) -> Result<Option<Self::Description>> {
        let call = ec2.describe_addresses().filters(operation_filter(cx));
        Ok(call.send().await.context("DescribeAddresses")?.addresses.and_then(|mut addresses| addresses.pop()))
    }

    fn normalize(address: &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let id = address.allocation_id().unwrap_or_default();
        Created {
            id: id.to_owned(),
            inputs: Some(Self {
                instance: instance_of(address).map(|id| InstanceId::from(id).into()),
                tags: tags::declared(address.tags(), recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: ElasticIpOutputs {
                id: AllocationId::from(id).into(),
                public_ip: address.public_ip().unwrap_or_default().into(),
            },
        }
    }
}

fn instance_of(address: &types::Address) -> Option<&str> {
    address.instance_id().filter(|id| !id.is_empty())
}

/// Associates the address with an instance, after disassociating it from another one.
async fn associate(cx: &Context<'_>, ec2: &Client, id: &str, instance: &InstanceId) -> Result<()> {
    let codes = ["InvalidAllocationID.NotFound", "InvalidInstanceID", "IncorrectInstanceState"];
    let status = "waiting until the instance can be associated";
    let associated = wait::retry_while_inconsistent(cx, status, &codes, async || {
        let call = ec2.associate_address().allocation_id(id).instance_id(instance.as_str());
        call.allow_reassociation(true).send().await.context("AssociateAddress")
    });
    Ok(associated.await.map(drop)?)
}

async fn disassociate(ec2: &Client, address: &types::Address) -> Result<()> {
    let call = ec2.disassociate_address().set_association_id(address.association_id().map(str::to_owned));
    Ok(found(call.send().await.context("DisassociateAddress")).map(drop)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_of_a_declared_address_equals_the_declaration() {
        let address = types::Address::builder().allocation_id("eipalloc-1").public_ip("203.0.113.7");
        for (address, declared) in [
            (address.clone().instance_id("").build(), ElasticIp::new()),
            (address.instance_id("i-1").build(), ElasticIp::of(InstanceId::from("i-1"))),
        ] {
            let read = ElasticIp::normalize(&address, Some(&declared)).inputs;
            assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(declared)).ok());
        }
    }
}
