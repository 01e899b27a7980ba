//! Signed calls to the services of the local cloud, in the Query protocol of AWS.

use super::{CloudError, exchange, failed, signature::Unsigned};
use crate::source::CloudAccess;
use axum::http::{
    Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use bytes::Bytes;
use chrono::Utc;
use http_body_util::Full;

/// A service with the Query protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Ec2,
    Rds,
    AutoScaling,
}

impl Service {
    /// Returns the name in credential scopes, and the version of the API.
    fn name_and_version(self) -> (&'static str, &'static str) {
        match self {
            Service::Ec2 => ("ec2", "2016-11-15"),
            Service::Rds => ("rds", "2014-10-31"),
            Service::AutoScaling => ("autoscaling", "2011-01-01"),
        }
    }
}

/// A call of an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) service: Service,
    pub(crate) region: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) parameters: &'a [(&'a str, &'a str)],
}

impl CloudAccess {
    /// Calls an operation as the cloud's root user. The error of a refused call contains the code and the message of the
    /// service.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<(), CloudError> {
        let no_key = || CloudError::Refused("the console has no access key of the local cloud".to_owned());
        let key = self.credentials.as_ref().ok_or_else(no_key)?;
        let (service, version) = call.service.name_and_version();
        let named = [("Action", call.operation), ("Version", version)];
        let pairs = named.iter().chain(call.parameters);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let host = self.endpoint.split_once("://").map_or(&*self.endpoint, |(_, host)| host).trim_end_matches('/');
        let request = Unsigned { host, service, region: call.region, body: body.as_bytes(), at: Utc::now() };
        let signed = request.sign(key);
        let request = Request::post(format!("http://{host}/"))
            .header(AUTHORIZATION, signed.authorization)
            .header("x-amz-date", signed.date)
            .header("x-amz-content-sha256", signed.digest)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8");
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| failed(&error))?;
        let (status, answer) = exchange(request).await?;
        if status.is_success() {
            return Ok(());
        }
        let answer = String::from_utf8_lossy(&answer);
        Err(CloudError::Refused(match (element(&answer, "Code"), element(&answer, "Message")) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => format!("it responds {status}"),
        }))
    }
}

/// Returns the text of the first element with a name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    Some(entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_from_the_answers_of_all_services() {
        let ec2 = "<Response><Errors><Error><Code>IncorrectInstanceState</Code><Message>The instance &apos;i-1&apos; \
                   is &amp;lt;</Message></Error></Errors></Response>";
        assert_eq!(element(ec2, "Code").as_deref(), Some("IncorrectInstanceState"));
        assert_eq!(element(ec2, "Message").as_deref(), Some("The instance 'i-1' is &lt;"));
        assert_eq!(element(ec2, "Detail"), None);
    }
}
