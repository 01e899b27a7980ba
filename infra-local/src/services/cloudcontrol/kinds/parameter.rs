//! `AWS::SSM::Parameter`.

use serde_json::{Value, json};

use super::{SSM, generated_name, text};
use crate::model::Cloud;
use crate::model::ssm::ParameterKind;
use crate::services::cloudcontrol::caller::Caller;
use crate::services::cloudcontrol::invalid;
use crate::services::cloudcontrol::kind::Kind;
use crate::wire::Outcome;

/// Tags, description and tier are accepted and not returned.
pub(super) const KIND: Kind = Kind {
    name: "AWS::SSM::Parameter",
    identifier: "Name",
    properties: &["Type", "Value", "Description", "Tier", "DataType", "AllowedPattern", "Tags"],
    create_only: &["Name"],
    read_only: &[],
    only_on_aws: &["Policies"],
    required: &["Type", "Value"],
    reading: &["ssm:GetParameters"],
    create,
    update,
    delete,
    read,
    list,
};

fn create(cloud: &mut Cloud, caller: &Caller<'_>, wanted: &Value) -> Outcome<String> {
    let name = text(wanted, "Name")?.unwrap_or_else(|| generated_name("CFN-Parameter"));
    let mut parameter = request(&name, wanted)?;
    let tags = tags(wanted)?;
    if !tags.is_empty() {
        parameter["Tags"] = Value::from(tags);
    }
    caller.call_json(cloud, &SSM, "PutParameter", parameter)?;
    Ok(name)
}

fn update(cloud: &mut Cloud, caller: &Caller<'_>, name: &str, current: &Value, wanted: &Value) -> Outcome<()> {
    if current["Type"] != wanted["Type"] {
        return Err(invalid("The type of a parameter cannot be changed: replace the parameter"));
    }
    let mut parameter = request(name, wanted)?;
    parameter["Overwrite"] = json!(true);
    caller.call_json(cloud, &SSM, "PutParameter", parameter)?;
    let tags = tags(wanted)?;
    if !tags.is_empty() {
        let resource = json!({"ResourceType": "Parameter", "ResourceId": name, "Tags": tags});
        caller.call_json(cloud, &SSM, "AddTagsToResource", resource)?;
    }
    Ok(())
}

fn request(name: &str, wanted: &Value) -> Outcome<Value> {
    let kind = text(wanted, "Type")?;
    if kind.as_deref() == Some("SecureString") {
        return Err(invalid("Model validation failed (#/Type: #: SecureString is not a valid enum value)"));
    }
    Ok(json!({
        "Name": name,
        "Type": kind,
        "Value": text(wanted, "Value")?,
        "Description": wanted.get("Description"),
        "Tier": wanted.get("Tier"),
        "DataType": wanted.get("DataType"),
        "AllowedPattern": wanted.get("AllowedPattern"),
    }))
}

/// Returns the tags, which are a map in this type.
fn tags(wanted: &Value) -> Outcome<Vec<Value>> {
    match wanted.get("Tags") {
        None => Ok(Vec::new()),
        Some(Value::Object(tags)) => Ok(tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()),
        Some(_) => Err(invalid("Model validation failed (#/Tags: expected type: JSONObject)")),
    }
}

fn delete(cloud: &mut Cloud, caller: &Caller<'_>, name: &str) -> Outcome<()> {
    caller.call_json(cloud, &SSM, "DeleteParameter", json!({"Name": name})).map(drop)
}

fn read(cloud: &Cloud, region: &str, name: &str) -> Outcome<Option<Value>> {
    let parameter = cloud.region(region)?.ssm.parameters.get(name).filter(|it| it.kind != ParameterKind::SecureString);
    let Some(parameter) = parameter else { return Ok(None) };
    let value = parameter.version(None).map(|(_, version)| &version.value);
    Ok(Some(json!({
        "Name": parameter.name,
        "Type": parameter.kind,
        "Value": value,
        "DataType": parameter.data_type,
    })))
}

fn list(cloud: &Cloud, region: &str) -> Outcome<Vec<String>> {
    let parameters = cloud.region(region)?.ssm.parameters.values();
    Ok(parameters.filter(|it| it.kind != ParameterKind::SecureString).map(|it| it.name.clone()).collect())
}
