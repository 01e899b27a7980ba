//! Simulation of policies.
//!
//! Source: IAM API reference, `SimulatePrincipalPolicy`, `SimulateCustomPolicy`, `GetContextKeysForPrincipalPolicy` and
//! `GetContextKeysForCustomPolicy`.

use super::{IamOperation, PAGES, no_such_entity, page, resource, validation, with_page};
use crate::access::{Context, DecidingStatement, PolicySource, Simulated, Simulation};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

const REQUEST: &[&str] = &[
    "ActionNames.N",
    "ResourceArns.N",
    "ResourcePolicy",
    "CallerArn",
    "PolicyInputList.N",
    "PermissionsBoundaryPolicyInputList.N",
    "ContextEntries.N.ContextKeyName",
    "ContextEntries.N.ContextKeyType",
    "ContextEntries.N.ContextKeyValues.N",
];

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::reads("SimulatePrincipalPolicy", simulate_principal, &[&["PolicySourceArn"], REQUEST, PAGES])
        .on(&[resource::PRINCIPAL]),
    Operation::reads("SimulateCustomPolicy", simulate_custom, &[REQUEST, PAGES]).on_any(),
    Operation::reads("GetContextKeysForPrincipalPolicy", principal_keys, &[&["PolicySourceArn", "PolicyInputList.N"]])
        .on(&[resource::PRINCIPAL]),
    Operation::reads("GetContextKeysForCustomPolicy", custom_keys, &[&["PolicyInputList.N"]]).on_any(),
];

/// Types of condition keys.
const TYPES: &[&str] = &[
    "string",
    "stringList",
    "numeric",
    "numericList",
    "boolean",
    "booleanList",
    "ip",
    "ipList",
    "binary",
    "binaryList",
    "date",
    "dateList",
];

fn simulate_principal(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    simulate(of_principal(cloud, &call.input)?, &call.input)
}

fn simulate_custom(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    if call.input.texts("PolicyInputList").is_empty() {
        return Err(ApiError::new("ValidationError", "The request must contain the parameter PolicyInputList"));
    }
    simulate(Simulation::custom(call.account), &call.input)
}

fn of_principal(cloud: &Cloud, params: &Params) -> Outcome<Simulation> {
    let arn = params.required("PolicySourceArn")?;
    Simulation::of_principal(&cloud.iam, arn).ok_or_else(|| {
        let (kind, name) = arn.rsplit(':').next().and_then(|it| it.split_once('/')).unwrap_or(("entity", arn));
        no_such_entity(&format!("The {kind} with name {name}"))
    })
}

/// Simulates all actions on all resources; without resources on `*`.
fn simulate(mut simulation: Simulation, params: &Params) -> Outcome<Node> {
    let actions = params.texts("ActionNames");
    if actions.is_empty() {
        return Err(validation("The request must contain the parameter ActionNames"));
    }
    if let Some(wrong) = actions.iter().find(|action| !action.contains(':')) {
        return Err(ApiError::new("InvalidInput", format!("Invalid Action Name: {wrong}")));
    }
    add_policies(&mut simulation, params)?;
    let boundary = params.texts("PermissionsBoundaryPolicyInputList");
    if !boundary.is_empty() {
        simulation.set_boundary(&boundary).map_err(invalid)?;
    }
    if let Some(caller) = params.optional("CallerArn") {
        simulation.set_caller(caller);
    }
    if let Some(text) = params.optional("ResourcePolicy") {
        simulation.set_resource_policy(text).map_err(invalid)?;
    }
    simulation.set_context(context(params)?);
    let mut resources = params.texts("ResourceArns");
    if resources.is_empty() {
        resources.push("*".to_owned());
    }
    let pairs = actions.iter().flat_map(|action| resources.iter().map(move |resource| (action, resource)));
    let position = |index: usize| format!("{index:06}");
    let results = pairs.enumerate().map(|(index, (action, resource))| {
        (position(index), render(action, resource, &simulation.run(action, resource)))
    });
    let page = page(results.collect(), params, |(position, _): &(String, Node)| position)?;
    let nodes = page.items.into_iter().map(|(_, node)| node);
    Ok(with_page(Node::new().list("EvaluationResults", nodes), page.next))
}

fn principal_keys(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let mut simulation = of_principal(cloud, &call.input)?;
    add_policies(&mut simulation, &call.input)?;
    Ok(Node::new().list("ContextKeyNames", simulation.context_keys()))
}

fn custom_keys(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let mut simulation = Simulation::custom(call.account);
    add_policies(&mut simulation, &call.input)?;
    Ok(Node::new().list("ContextKeyNames", simulation.context_keys()))
}

fn add_policies(simulation: &mut Simulation, params: &Params) -> Outcome<()> {
    simulation.add_policies(&params.texts("PolicyInputList")).map_err(invalid)
}

fn invalid(reason: String) -> ApiError {
    ApiError::new("InvalidInput", format!("Syntax errors in policy: {reason}"))
}

fn context(params: &Params) -> Outcome<Context> {
    let mut context = Context::default();
    for entry in params.structures("ContextEntries") {
        let kind = entry.required("ContextKeyType")?;
        if !TYPES.contains(&kind) {
            return Err(validation(format!("{kind} is no type of a context key; the types are {}", TYPES.join(", "))));
        }
        let values = entry.texts("ContextKeyValues");
        if !kind.ends_with("List") && values.len() > 1 {
            return Err(ApiError::new("InvalidInput", format!("A key of type {kind} has one value")));
        }
        context.set_all(entry.required("ContextKeyName")?, values);
    }
    Ok(context)
}

fn render(action: &str, resource: &str, simulated: &Simulated) -> Node {
    let boundary = simulated.allowed_by_boundary;
    Node::new()
        .with("EvalActionName", action)
        .with("EvalResourceName", resource)
        .with("EvalDecision", simulated.decision)
        .list("MatchedStatements", simulated.matched.iter().map(render_statement))
        .list("MissingContextValues", &simulated.missing)
        .maybe(
            "PermissionsBoundaryDecisionDetail",
            boundary.map(|is_allowed| Node::new().with("AllowedByPermissionsBoundary", is_allowed)),
        )
}

fn render_statement(statement: &DecidingStatement) -> Node {
    let kind = match &statement.policy {
        PolicySource::Managed(arn) if arn.starts_with("arn:aws:iam::aws:") => "aws-managed",
        PolicySource::Managed(_) => "user-managed",
        PolicySource::Resource => "resource",
        _ => "IAM Policy",
    };
    let name = match &statement.policy {
        PolicySource::Managed(arn) => arn.rsplit('/').next().unwrap_or(arn).to_owned(),
        PolicySource::Resource => "ResourcePolicy".to_owned(),
        other => other.to_string(),
    };
    Node::new().with("SourcePolicyId", name).with("SourcePolicyType", kind)
}
