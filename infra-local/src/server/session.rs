//! Sessions of users in instances.

use super::party::{self, PartyError};
use crate::model::ec2::instance::InstanceState;
use crate::runtime::network::NetworkHandle;
use crate::runtime::session::Session;
use crate::state::Shared;

/// Reasons why an instance has no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Party(#[from] PartyError),
    #[error("the instance {id} is {state}, and programs run only in a running one")]
    NotRunning { id: String, state: &'static str },
}

/// Describes an instance for programs of a user.
pub(crate) fn open(shared: &Shared, network: &NetworkHandle, instance: &str) -> Result<Session, SessionError> {
    let (region, instance) = shared.read(|cloud| {
        let (region, instance) = party::instance(cloud, instance)?;
        Ok::<_, PartyError>((region.name.clone(), instance.clone()))
    })?;
    if instance.state != InstanceState::Running {
        return Err(SessionError::NotRunning { id: instance.id, state: instance.state.name() });
    }
    Ok(Session::new(shared, network, &region, &instance))
}

/// Reads the query of a request, such as `instance=web`.
pub(crate) fn instance_of_query(query: &str) -> String {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == "instance").map(|(_, value)| value.into_owned()).unwrap_or_default()
}

pub(crate) fn query_of_instance(instance: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("instance", instance).finish()
}
