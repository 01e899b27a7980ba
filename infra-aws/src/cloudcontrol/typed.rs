//! Types of CloudFormation with typed properties, which `stack bindings` generates.

use super::resource::{CloudResource, CloudResourceOutputs};
use crate::region::{AwsResource, Region};
use infra_core::{
    Output, Resource, Schema,
    value::{Expression, Json, Value},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;

/// A type of CloudFormation: a struct that serialises to the type's properties. `stack bindings` generates it.
pub trait CloudType: Serialize + 'static {
    /// Name of the type, such as `AWS::SQS::Queue`.
    const TYPE_NAME: &'static str;
    /// The type token of the resource in plans and states, such as `aws:cfn-sqs:Queue`. It begins with `aws:cfn-`.
    const TOKEN: &'static str;
    /// Properties whose change replaces the resource; see [`CloudResource::replace_on`].
    const REPLACE_ON: &'static [&'static str];
    /// Properties that the API does not return. They are encrypted in the state.
    const SECRET: &'static [&'static str];
}

/// Declares a resource with typed properties. The generated code converts the outputs to typed ones.
pub fn declare<T: CloudType>(properties: T, region: &Region, name: &str) -> CloudResourceOutputs {
    let properties = encrypted(Output::<T>::from(properties).expression().clone(), T::SECRET);
    let resource = CloudResource::new(T::TYPE_NAME, Output::<Json>::from_expression(properties));
    let resource = resource.replace_on(T::REPLACE_ON.iter().copied()).prepare(region, name);
    let scope = match resource.options() {
        Some(options) => region.scope().with(options),
        None => region.scope().clone(),
    };
    scope.add(name, Typed::<T> { resource, kind: PhantomData })
}

/// Prefix of the type tokens of all such types.
pub(crate) const FAMILY: &str = "aws:cfn-";

/// A [`CloudResource`] under the type token of its type, so that resources of different types may have the same name. The
/// handler of [`CloudResource`] serves all of them, also those that no program declares any more.
struct Typed<T> {
    resource: CloudResource,
    kind: PhantomData<fn() -> T>,
}

impl<T: CloudType> Resource for Typed<T> {
    const TYPE: &'static str = T::TOKEN;
    type Outputs = CloudResourceOutputs;

    fn schema() -> Schema {
        CloudResource::schema()
    }
}

impl<T> Serialize for Typed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.resource.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Typed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        CloudResource::deserialize(deserializer).map(|resource| Self { resource, kind: PhantomData })
    }
}

/// Marks members of a document as secret.
fn encrypted(properties: Expression, secret: &[&str]) -> Expression {
    let is_secret = |name: &str| secret.contains(&name);
    match properties {
        Expression::Map(members) => {
            let members = members.into_iter().map(|(name, member)| {
                let encrypt = is_secret(&name) && !member.is_secret();
                (name, if encrypt { Expression::Secret(Box::new(member)) } else { member })
            });
            Expression::Map(members.collect())
        }
        Expression::Literal(Value::Map(members)) => {
            let members = members.into_iter().map(|(name, member)| {
                let encrypt = is_secret(&name) && !member.has_secret();
                (name, if encrypt { member.into_secret() } else { member })
            });
            Expression::Literal(Value::Map(members.collect()))
        }
        other => other,
    }
}
