//! Sessions of users in instances.

use super::party::{self, PartyError};
use crate::domain::machine::MachineError;
use crate::model::ec2::instance::InstanceState;
use crate::model::machine::MachineDocument;
use crate::runtime::network::NetworkHandle;
use crate::runtime::session::{Session, SessionEnvironmentError};
use crate::state::Shared;

/// Reasons why an instance has no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Party(#[from] PartyError),
    #[error("the instance {id} is {state}, and programs run only in a running one")]
    NotRunning { id: String, state: &'static str },
    #[error("the instance {id} has no service `{service}`; {known}")]
    NoService { id: String, service: String, known: String },
    #[error(transparent)]
    Machine(#[from] MachineError),
    #[error(transparent)]
    Environment(#[from] SessionEnvironmentError),
}

/// The instance and the service of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionRequest {
    /// Id, tag `Name` or address.
    pub(crate) instance: String,
    /// Name of the service whose environment programs have. When omitted, the only service of the instance, or none.
    pub(crate) service: Option<String>,
}

/// Describes an instance for programs of a user.
pub(crate) fn open(
    shared: &Shared,
    network: &NetworkHandle,
    request: &SessionRequest,
) -> Result<Session, SessionError> {
    let (region, instance) = shared.read(|cloud| {
        let (region, instance) = party::instance(cloud, &request.instance)?;
        Ok::<_, PartyError>((region.name.clone(), instance.clone()))
    })?;
    if instance.state != InstanceState::Running {
        return Err(SessionError::NotRunning { id: instance.id, state: instance.state.name() });
    }
    let services = MachineDocument::of(&instance)?.map(|machine| machine.services).unwrap_or_default();
    let service = match (&request.service, &*services) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(name), _) => Some(services.iter().find(|service| service.name == *name).ok_or_else(|| {
            let names: Vec<&str> = services.iter().map(|service| &*service.name).collect();
            let known = if names.is_empty() { "it has none".into() } else { format!("it has {}", names.join(", ")) };
            SessionError::NoService { id: instance.id.clone(), service: name.clone(), known }
        })?),
    };
    Ok(Session::new(shared, network, &region, &instance, service)?)
}

impl SessionRequest {
    /// Reads the query of a request, such as `instance=web&service=proxy`.
    pub(crate) fn from_query(query: &str) -> Self {
        let value = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        Self { instance: value("instance").unwrap_or_default(), service: value("service") }
    }

    pub(crate) fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("instance", &self.instance);
        query.extend_pairs(self.service.iter().map(|service| ("service", service)));
        query.finish()
    }
}
