//! Kinds of resources: inputs, outputs and the schema of the properties.

use crate::value::Value;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{borrow::Cow, time::Duration};

/// A kind of resource: a serde struct of inputs.
///
/// Fields that may come from other resources are [`Input`](crate::Input)s, the others plain values. Field names are the
/// property names of plans and state. `Outputs` is a struct whose every field is an [`Output`](crate::Output). The
/// fields are references in the outputs of a declaration, and known values in those of a handler.
///
/// ```
/// use infra_core::{Input, Output, Outputs, Resource};
/// use serde::{Deserialize, Serialize};
///
/// /// A bucket for objects.
/// #[derive(Serialize, Deserialize, Resource)]
/// #[resource(type = "example:storage:Bucket")]
/// struct Bucket {
///     /// Name of the bucket. A change replaces the bucket.
///     #[resource(replace)]
///     name: Option<String>,
///     /// Password of the owner.
///     #[resource(secret)]
///     password: Input<String>,
/// }
///
/// /// Outputs of a [`Bucket`].
/// #[derive(Clone, Serialize, Deserialize, Outputs)]
/// struct BucketOutputs {
///     /// Address of the bucket. It has no meaning in another region.
///     #[output(regional)]
///     url: Output<String>,
/// }
///
/// assert_eq!(Bucket::TYPE, "example:storage:Bucket");
/// assert!(Bucket::schema().replaces("name"));
/// assert!(Bucket::schema().is_secret("password"));
/// assert!(Bucket::schema().is_regional("url"));
/// ```
pub trait Resource: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type token, such as `aws:ec2:SecurityGroup`. Its first segment is the name of the provider.
    const TYPE: &'static str;
    /// Outputs of the resource.
    type Outputs: Serialize + DeserializeOwned + Clone + Send + Sync;
    /// Returns the rules for the properties.
    fn schema() -> Schema;
}

/// Outputs of a kind: a struct whose every field is an [`Output`](crate::Output). Derive it: `#[derive(Outputs)]`.
pub trait Outputs: Serialize + DeserializeOwned + Clone + Send + Sync {
    /// Adds the properties of the outputs to the kind's schema.
    fn add_to(schema: Schema) -> Schema {
        schema
    }
}

/// A read-only query of a provider, such as the default VPC.
///
/// It is read while planning if its arguments are known. The result is kept in the state until the arguments change or
/// a run refreshes.
///
/// ```
/// use infra_core::{Lookup, Output, Outputs};
/// use serde::{Deserialize, Serialize};
///
/// /// The newest image of a distribution.
/// #[derive(Serialize, Deserialize, Lookup)]
/// #[lookup(type = "example:compute:Image", label = Image::distribution)]
/// struct Image {
///     distribution: String,
/// }
///
/// /// Outputs of an [`Image`].
/// #[derive(Clone, Serialize, Deserialize, Outputs)]
/// struct ImageOutputs {
///     #[output(regional)]
///     id: Output<String>,
/// }
///
/// impl Image {
///     fn distribution(&self) -> Option<String> {
///         Some(self.distribution.clone())
///     }
/// }
///
/// let image = Image { distribution: "debian-12".into() };
/// assert_eq!(image.label().as_deref(), Some("debian-12"));
/// assert!(Image::schema().is_regional("id"));
/// ```
pub trait Lookup: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type token, such as `aws:ec2:DefaultVpc`.
    const TYPE: &'static str;
    /// The result of the lookup.
    type Outputs: Serialize + DeserializeOwned + Clone + Send + Sync;
    /// Returns the rules for the properties.
    fn schema() -> Schema {
        Schema::new()
    }
    /// Returns a label that distinguishes the lookup from others of its kind in plans: letters, digits and `-`.
    fn label(&self) -> Option<String> {
        None
    }
}

/// Rules for the properties of a kind, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schema {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replace_on: Names,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    set_in_place: Names,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secret: Names,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    untracked: Names,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes_on_update: Names,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    regional: Names,
    /// Not recorded: it describes the structs of the program.
    #[serde(skip)]
    outputs: Vec<(Cow<'static, str>, Shape)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    key: Names,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    follows: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    delete_before_replace: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    volatile: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
}

type Names = Vec<Cow<'static, str>>;

/// The JSON shape of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text, such as an id.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// A list of texts.
    List,
    /// A JSON document.
    Document,
}

fn has(names: &Names, name: &str) -> bool {
    names.iter().any(|known| known == name)
}

impl Schema {
    /// Creates a schema in which every property can be updated in place.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds inputs whose change requires a replacement.
    pub fn replace_on(mut self, inputs: impl IntoIterator<Item = &'static str>) -> Self {
        self.replace_on.extend(inputs.into_iter().map(Cow::Borrowed));
        self
    }

    /// Adds inputs and outputs that are always secret.
    pub fn secret(mut self, properties: impl IntoIterator<Item = &'static str>) -> Self {
        self.secret.extend(properties.into_iter().map(Cow::Borrowed));
        self
    }

    /// Adds inputs whose change alone requires no update, such as the path of a file with the same content.
    pub fn untracked(mut self, inputs: impl IntoIterator<Item = &'static str>) -> Self {
        self.untracked.extend(inputs.into_iter().map(Cow::Borrowed));
        self
    }

    /// Adds outputs that an update may change. A plan expects all other outputs to keep their values.
    pub fn changes_on_update(mut self, outputs: impl IntoIterator<Item = &'static str>) -> Self {
        self.changes_on_update.extend(outputs.into_iter().map(Cow::Borrowed));
        self
    }

    /// Adds outputs that are valid only in the resource's region, such as ids.
    pub fn regional(mut self, outputs: impl IntoIterator<Item = &'static str>) -> Self {
        self.regional.extend(outputs.into_iter().map(Cow::Borrowed));
        self
    }

    /// Adds the outputs with their shapes. `#[derive(Outputs)]` calls it.
    pub fn outputs(mut self, outputs: impl IntoIterator<Item = (&'static str, Shape)>) -> Self {
        self.outputs.extend(outputs.into_iter().map(|(name, shape)| (Cow::Borrowed(name), shape)));
        self
    }

    /// Deletes the previous generation before its replacement is created, because both would claim the same name or
    /// address.
    pub fn delete_before_replace(mut self) -> Self {
        self.delete_before_replace = true;
        self
    }

    /// Adds inputs whose change replaces the resource, except for one from an empty text, as which the missing VPC of a
    /// detached internet gateway is recorded.
    pub fn set_in_place(mut self, inputs: impl IntoIterator<Item = &'static str>) -> Self {
        self.set_in_place.extend(inputs.into_iter().map(Cow::Borrowed));
        self
    }

    /// Adds inputs of the key. No two resources have the same key, so a replacement with the key of the previous generation
    /// is created after its deletion.
    pub fn key(mut self, inputs: impl IntoIterator<Item = &'static str>) -> Self {
        self.key.extend(inputs.into_iter().map(Cow::Borrowed));
        self
    }

    /// Adds inputs that refer to resources which this one cannot leave: with the input, the name of an input of the other
    /// resources. If another value of that input replaces one of them, this resource is replaced as well. For example, a load
    /// balancer follows the `vpc_id` of its subnets.
    pub fn follow(mut self, inputs: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        self.follows.extend(inputs.into_iter().map(|(input, of)| (Cow::Borrowed(input), Cow::Borrowed(of))));
        self
    }

    /// Repeats the lookup in every run, because the result is cheap and depends on local files.
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Sets the timeout of an operation. The default is 30 minutes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Returns `true` if a change of `input` requires a replacement.
    pub fn replaces(&self, input: &str) -> bool {
        has(&self.replace_on, input)
    }

    /// Returns `true` if a change of `input` from this value requires a replacement.
    pub fn replaces_from(&self, input: &str, old: &Value) -> bool {
        self.replaces(input) && !(has(&self.set_in_place, input) && old.as_str() == Some(""))
    }

    /// Returns `true` if `property` is always secret.
    pub fn is_secret(&self, property: &str) -> bool {
        has(&self.secret, property)
    }

    /// Returns `true` if a change of `input` requires an update or a replacement.
    pub fn is_tracked(&self, input: &str) -> bool {
        !has(&self.untracked, input)
    }

    /// Returns `true` if an update may change `output`.
    pub fn may_change(&self, output: &str) -> bool {
        has(&self.changes_on_update, output)
    }

    /// Returns `true` if `output` is valid only in the resource's region.
    pub fn is_regional(&self, output: &str) -> bool {
        has(&self.regional, output)
    }

    /// Returns the outputs with their shapes.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, Shape)> + '_ {
        self.outputs.iter().map(|(name, shape)| (name.as_ref(), *shape))
    }

    /// Returns `true` if the previous generation is deleted before its replacement is created.
    pub fn deletes_before_replace(&self) -> bool {
        self.delete_before_replace
    }

    /// Returns `true` if both inputs have the same key. Unknown values are different from all others, and a key without any
    /// value is none.
    pub fn have_same_key(&self, one: &Value, other: &Value) -> bool {
        let mut values = self.key.iter().map(|name| (one.field(name), other.field(name)));
        let is_same = |(one, other): (Option<&Value>, Option<&Value>)| {
            one == other && one.is_none_or(|value| !value.has_unknown())
        };
        values.clone().any(|(one, _)| one.is_some()) && values.all(is_same)
    }

    /// Returns the inputs that refer to resources which this one cannot leave, each with the name of the input of the other
    /// resources.
    pub fn followed(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.follows.iter().map(|(input, of)| (input.as_ref(), of.as_ref()))
    }

    /// Returns `true` if every run repeats the lookup.
    pub fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// Returns the timeout of an operation.
    pub fn operation_timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_mins(30))
    }

    /// Returns every property name in the schema, for tests that compare it with the struct.
    pub fn mentioned(&self) -> impl Iterator<Item = &str> + '_ {
        let names = [
            &self.replace_on,
            &self.set_in_place,
            &self.secret,
            &self.untracked,
            &self.changes_on_update,
            &self.regional,
            &self.key,
        ];
        names.into_iter().flatten().chain(self.follows.iter().map(|(input, _)| input)).map(AsRef::as_ref)
    }
}
