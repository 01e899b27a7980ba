//! The permissions that the roles of hosts need, compared with those that the program declares.

use crate::RehearsalError;
use crate::calls::Call;
use crate::comparison::{Denial, Grant, converted, rules_of};
use crate::conditions::{self, Context, Outcome};
use crate::policy::{generalise, suffixes};
use crate::scratch::Scratch;
use crate::stage::Deployment;
use infra_core::{Urn, state::State};
use infra_local::{AuthorisedAction, HostRole};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The permissions of a role that hosts have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RolePermissions {
    /// The declaration of the role, or its name if the program does not declare it.
    pub role: String,
    /// The declarations of the instances and launch templates that have the role.
    pub hosts: BTreeSet<String>,
    /// The actions that the hosts need, on patterns of resources.
    pub needed: Vec<Need>,
    /// The needed actions that no policy of the role allows, or that its permissions boundary does not allow.
    pub missing: BTreeSet<Grant>,
    /// The needed actions that a statement denies explicitly: of the role's policies, of its permissions boundary, or of a
    /// bucket policy.
    pub denied: BTreeSet<Grant>,
    /// The actions that policies of the role allow, and no host needs under their conditions.
    pub superfluous: BTreeSet<Grant>,
    /// The needed actions that are only allowed under conditions which depend on how a host sends its requests.
    pub conditional: BTreeSet<Grant>,
    /// The policies of the role that cannot be compared, with the reason.
    pub not_compared: Vec<String>,
}

/// An action that a host needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Need {
    /// The action on a pattern of resources.
    #[serde(flatten)]
    pub grant: Grant,
    /// The reason.
    pub origin: Origin,
}

/// The reason why a host needs an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The host reads a parameter or downloads a program of its Machine document.
    Machine,
    /// The local cloud of the stack has recorded a request of the role.
    Recorded,
}

/// Creates the stack in a scratch cloud, and compares the policies of the roles of hosts with the actions that the hosts need:
/// those of their Machine documents, and those of the requests that the stack's local cloud has recorded, in the form of
/// `GET /_infra/calls`. Conditions of the policies are evaluated for the condition keys of these actions.
pub async fn host_roles(
    deployment: &Deployment<'_>,
    recorded: Vec<Value>,
) -> Result<Vec<RolePermissions>, RehearsalError> {
    let scratch = Scratch::start(deployment.account, &deployment.schemas, false).await?;
    let created = create(deployment, &scratch).await;
    let roles = scratch.cloud().host_roles();
    scratch.stop().await;
    let created = Patterns::of(&created?);
    let deployed = deployment.recorded.as_ref().map(Patterns::of).unwrap_or_default();
    let observed = observed(recorded, deployment.recorded.as_ref())?;
    Ok(roles.into_iter().map(|role| compare(role, &created, &deployed, &observed)).collect())
}

async fn create(deployment: &Deployment<'_>, scratch: &Scratch) -> Result<State, RehearsalError> {
    let surroundings = deployment.surround(scratch).await?;
    let answers = Arc::new(surroundings.answers(scratch));
    let engine = deployment.engine(&surroundings, &deployment.empty(), &answers)?;
    engine.up(deployment.script).continue_on_error(true).await?;
    Ok(engine.state().await?.unwrap_or_else(|| deployment.empty()))
}

/// Converts the ARNs of a deployment to patterns that are the same for all deployments of the program.
#[derive(Default)]
struct Patterns(BTreeSet<String>);

impl Patterns {
    fn of(state: &State) -> Patterns {
        Patterns(suffixes(state.resources.keys(), &state.seed))
    }

    fn need(&self, action: &AuthorisedAction) -> (Grant, Context) {
        let resource = generalise(&action.resource, &self.0);
        let grant = Grant { action: action.action.clone(), resource, conditions: BTreeMap::new() };
        let values = |values: &Vec<String>| values.iter().map(|value| generalise(value, &self.0)).collect();
        (grant, action.context.iter().map(|(key, it)| (key.clone(), values(it))).collect())
    }

    fn granted(&self, grant: Grant) -> Grant {
        let conditions = converted(grant.conditions, |text| generalise(text, &self.0));
        Grant { resource: generalise(&grant.resource, &self.0), conditions, ..grant }
    }
}

/// Returns the recorded actions by the declaration of the role whose sessions requested them.
fn observed(
    calls: Vec<Value>,
    deployed: Option<&State>,
) -> Result<BTreeMap<String, BTreeSet<AuthorisedAction>>, RehearsalError> {
    let mut roles: BTreeMap<&str, &Urn> = BTreeMap::new();
    for (urn, generation) in deployed.into_iter().flat_map(State::generations) {
        let arn = generation.outputs.field("arn").and_then(infra_core::value::Value::as_str);
        if let Some(name) = arn.filter(|arn| arn.contains(":role/")).and_then(|arn| arn.rsplit('/').next()) {
            roles.insert(name, urn);
        }
    }
    let mut observed: BTreeMap<String, BTreeSet<AuthorisedAction>> = BTreeMap::new();
    for call in calls {
        let caller = call["caller"].as_str().unwrap_or_default().to_owned();
        let session = caller.split_once(":assumed-role/").and_then(|(_, session)| session.split('/').next());
        let Some(name) = session else { continue };
        let role = roles.get(name).map_or_else(|| name.to_owned(), ToString::to_string);
        let call: Call = serde_json::from_value(call).map_err(RehearsalError::Call)?;
        observed.entry(role).or_default().extend(call.decisions);
    }
    Ok(observed)
}

fn compare(
    role: HostRole,
    created: &Patterns,
    deployed: &Patterns,
    observed: &BTreeMap<String, BTreeSet<AuthorisedAction>>,
) -> RolePermissions {
    let name = role.declaration.unwrap_or(role.name);
    let mut needed: BTreeMap<Grant, (Origin, BTreeSet<Context>)> = BTreeMap::new();
    let recorded = observed.get(&name).into_iter().flatten().map(|action| (Origin::Recorded, deployed.need(action)));
    let of_machines = role.needed.iter().map(|action| (Origin::Machine, created.need(action)));
    for (origin, (grant, context)) in recorded.chain(of_machines) {
        let (known, contexts) = needed.entry(grant).or_insert((origin, BTreeSet::new()));
        *known = origin;
        contexts.insert(context);
    }
    let mut not_compared = Vec::new();
    let own = Rules::of(&role.policies, created, &mut not_compared);
    let boundary = role.boundary.as_ref().map(|text| Rules::of([text], created, &mut not_compared));
    let of_resources = Rules::of(&role.denials, created, &mut not_compared);
    let mut permissions = RolePermissions { role: name, hosts: role.hosts, not_compared, ..RolePermissions::default() };
    for (need, (_, contexts)) in &needed {
        let denied = |context: &Context| {
            let rules = [Some(&own), boundary.as_ref(), Some(&of_resources)];
            rules.into_iter().flatten().map(|rules| rules.denied(need, context)).max().unwrap_or(Outcome::False)
        };
        let allowed = |context: &Context| {
            let by_boundary = boundary.as_ref().map_or(Outcome::True, |boundary| boundary.allowed(need, context));
            own.allowed(need, context).min(by_boundary)
        };
        let denied = contexts.iter().map(denied).max().unwrap_or(Outcome::False);
        let allowed = contexts.iter().map(allowed).min().unwrap_or(Outcome::False);
        match (denied, allowed) {
            (Outcome::True, _) => drop(permissions.denied.insert(need.clone())),
            (_, Outcome::False) => drop(permissions.missing.insert(need.clone())),
            (Outcome::False, Outcome::True) => {}
            (Outcome::Unknown, _) | (_, Outcome::Unknown) => drop(permissions.conditional.insert(need.clone())),
        }
    }
    permissions.superfluous = own
        .granted
        .into_iter()
        .filter(|grant| {
            let mut uses = needed.iter().flat_map(|(need, (_, contexts))| contexts.iter().map(move |it| (need, it)));
            !uses.any(|(need, context)| outcome(grant, need, context) != Outcome::False)
        })
        .collect();
    permissions.needed = needed.into_iter().map(|(grant, (origin, _))| Need { grant, origin }).collect();
    permissions
}

/// The statements of policies.
#[derive(Default)]
struct Rules {
    granted: BTreeSet<Grant>,
    denials: Vec<Denial>,
}

impl Rules {
    /// Returns the statements of documents. Those that cannot be compared are added to `not_compared` with the reason.
    fn of<'t>(
        documents: impl IntoIterator<Item = &'t String>,
        patterns: &Patterns,
        not_compared: &mut Vec<String>,
    ) -> Rules {
        let mut rules = Rules::default();
        // The text of a boundary that does not exist is empty.
        for text in documents.into_iter().filter(|text| !text.is_empty()) {
            let document = serde_json::from_str(text).map_err(|error| error.to_string());
            match document.and_then(|document| rules_of(&document)) {
                Ok((grants, denials)) => {
                    rules.granted.extend(grants.into_iter().map(|grant| patterns.granted(grant)));
                    let converted = |denial: Denial| denial.converted(|text| generalise(text, &patterns.0));
                    rules.denials.extend(denials.into_iter().map(converted));
                }
                Err(reason) => not_compared.push(reason),
            }
        }
        rules
    }

    fn allowed(&self, need: &Grant, context: &Context) -> Outcome {
        self.granted.iter().map(|grant| outcome(grant, need, context)).max().unwrap_or(Outcome::False)
    }

    fn denied(&self, need: &Grant, context: &Context) -> Outcome {
        let denials = self.denials.iter().filter(|denial| denial.concerns(need));
        denials.map(|denial| conditions::outcome(&denial.conditions, need, context)).max().unwrap_or(Outcome::False)
    }
}

/// Returns the result of the evaluation of a grant for a needed action.
fn outcome(grant: &Grant, need: &Grant, context: &Context) -> Outcome {
    if grant.covers_unconditionally(need) {
        conditions::outcome(&grant.conditions, grant, context)
    } else {
        Outcome::False
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn action(action: &str, resource: &str) -> AuthorisedAction {
        AuthorisedAction { action: action.to_owned(), resource: resource.to_owned(), context: BTreeMap::new() }
    }

    fn role(policies: &[Value]) -> HostRole {
        HostRole {
            name: "web-role".to_owned(),
            declaration: None,
            hosts: ["web".to_owned()].into(),
            policies: policies.iter().map(Value::to_string).collect(),
            boundary: None,
            denials: Vec::new(),
            needed: [
                action("s3:GetObject", "arn:aws:s3:::programs/a"),
                action("ssm:GetParameters", "arn:aws:ssm:us-east-1:000000000000:parameter/p"),
            ]
            .into(),
        }
    }

    fn compared(policies: &[Value], calls: Vec<Value>) -> RolePermissions {
        let patterns = Patterns::default();
        compare(role(policies), &patterns, &patterns, &observed(calls, None).unwrap())
    }

    fn texts(grants: &BTreeSet<Grant>) -> Vec<String> {
        grants.iter().map(|grant| format!("{} {}", grant.action, grant.scope())).collect()
    }

    #[test]
    fn missing_and_superfluous_actions_of_a_role_are_found() {
        let policy = json!({"Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::programs/*"},
        ]});
        let compared = compared(&[policy], Vec::new());
        assert_eq!(texts(&compared.missing), ["ssm:GetParameters on arn:aws:ssm:us-east-1:*:parameter/p"]);
        assert_eq!(texts(&compared.superfluous), ["s3:PutObject on arn:aws:s3:::programs/*"]);
    }

    #[test]
    fn recorded_requests_of_the_role_are_needed() {
        let policy = json!({"Statement": {"Effect": "Allow", "Action": ["s3:*", "ssm:*"], "Resource": "*"}});
        let call = json!({
            "number": 1, "service": "sqs", "operation": "SendMessage", "error": null,
            "caller": "arn:aws:sts::000000000000:assumed-role/web-role/i-0123",
            "decisions": [{"action": "sqs:SendMessage", "resource": "arn:aws:sqs:us-east-1:000000000000:jobs",
                           "allowed": true, "context": {}}],
        });
        let mut of_another = call.clone();
        of_another["caller"] = json!("arn:aws:sts::000000000000:assumed-role/other/i-0123");
        of_another["decisions"][0]["action"] = json!("sqs:DeleteQueue");
        let compared = compared(&[policy], vec![call, of_another]);
        assert_eq!(texts(&compared.missing), ["sqs:SendMessage on arn:aws:sqs:us-east-1:*:jobs"]);
        assert_eq!(texts(&compared.superfluous), Vec::<String>::new());
        assert_eq!(compared.needed.iter().filter(|need| need.origin == Origin::Recorded).count(), 1);
    }

    #[test]
    fn conditions_of_policies_are_evaluated_for_the_needed_actions() {
        let allow = |action: &str, condition: Value| json!({"Statement": {"Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition}});
        let call = |team: &str| {
            json!({
                "number": 1, "service": "sqs", "operation": "SendMessage", "error": null,
                "caller": "arn:aws:sts::000000000000:assumed-role/web-role/i-0123",
                "decisions": [{"action": "sqs:SendMessage", "resource": "arn:aws:sqs:us-east-1:000000000000:jobs",
                               "allowed": true, "context": {"aws:ResourceTag/team": [team]}}],
            })
        };
        let policies = [
            allow("sqs:SendMessage", json!({"StringEquals": {"aws:ResourceTag/team": "web"}})),
            allow("ssm:GetParameters", json!({"StringEquals": {"aws:SourceVpce": "vpce-1"}})),
            allow("s3:GetObject", json!({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}})),
        ];
        let of_team = |team: &str| compared(&policies, vec![call(team)]);
        let web = of_team("web");
        assert_eq!(texts(&web.missing), ["s3:GetObject on arn:aws:s3:::programs/a"]);
        assert_eq!(texts(&web.conditional), ["ssm:GetParameters on arn:aws:ssm:us-east-1:*:parameter/p"]);
        assert_eq!(texts(&web.superfluous), ["s3:GetObject on * if aws:RequestedRegion = eu-west-1"]);
        let other = of_team("db");
        assert!(other.missing.iter().any(|grant| grant.action == "sqs:SendMessage"), "{:?}", other.missing);
        let both = compared(&policies, vec![call("web"), call("db")]);
        assert!(both.missing.iter().any(|grant| grant.action == "sqs:SendMessage"), "{:?}", both.missing);
        assert!(both.superfluous.iter().all(|grant| grant.action != "sqs:SendMessage"), "{:?}", both.superfluous);
    }

    fn statement(effect: &str, action: &str, more: Value) -> Value {
        let mut statement = json!({"Effect": effect, "Action": action, "Resource": "*"});
        if let (Value::Object(statement), Value::Object(more)) = (&mut statement, more) {
            statement.extend(more);
        }
        json!({ "Statement": statement })
    }

    #[test]
    fn explicit_denials_decide() {
        let allow = || statement("Allow", "*", json!({}));
        let denied = |deny: Value| compared(&[allow(), deny], Vec::new());
        let all = denied(statement("Deny", "s3:*", json!({})));
        assert_eq!(texts(&all.denied), ["s3:GetObject on arn:aws:s3:::programs/a"]);
        assert_eq!((all.missing.len(), all.conditional.len(), all.not_compared.len()), (0, 0, 0));

        let other_bucket = denied(statement("Deny", "s3:*", json!({"Resource": "arn:aws:s3:::other/*"})));
        assert_eq!(texts(&other_bucket.denied), [""; 0]);
        let except =
            json!({"Statement": {"Effect": "Deny", "NotAction": ["S3:Get*"], "NotResource": "arn:aws:s3:::*"}});
        assert_eq!(texts(&denied(except).denied), ["ssm:GetParameters on arn:aws:ssm:us-east-1:*:parameter/p"]);

        let region = json!({"Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}});
        assert_eq!(texts(&denied(statement("Deny", "s3:*", region)).denied), [""; 0]);
        let insecure = json!({"Condition": {"Bool": {"aws:SecureTransport": "false"}}});
        let by_transport = denied(statement("Deny", "s3:*", insecure));
        assert_eq!((texts(&by_transport.denied).len(), by_transport.conditional.len()), (0, 1));
    }

    #[test]
    fn boundary_and_policies_of_resources_restrict_the_role() {
        let compared = |boundary: Option<Value>, denial: Option<Value>| {
            let boundary = boundary.map(|document| document.to_string());
            let denials = denial.into_iter().map(|document| document.to_string()).collect();
            let role = HostRole { boundary, denials, ..role(&[statement("Allow", "*", json!({}))]) };
            let patterns = Patterns::default();
            compare(role, &patterns, &patterns, &BTreeMap::new())
        };
        let bounded = compared(Some(statement("Allow", "ssm:*", json!({}))), None);
        assert_eq!(texts(&bounded.missing), ["s3:GetObject on arn:aws:s3:::programs/a"]);
        let none = HostRole { boundary: Some(String::new()), ..role(&[statement("Allow", "*", json!({}))]) };
        let none = compare(none, &Patterns::default(), &Patterns::default(), &BTreeMap::new());
        assert_eq!(none.missing.len(), 2, "a boundary that does not exist allows nothing");
        let by_bucket = json!({"Resource": "arn:aws:s3:::programs/*", "Principal": "*"});
        let by_bucket = compared(None, Some(statement("Deny", "s3:GetObject", by_bucket)));
        assert_eq!(texts(&by_bucket.denied), ["s3:GetObject on arn:aws:s3:::programs/a"]);
    }
}
