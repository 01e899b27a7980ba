//! Website configurations of buckets. They are kept and returned; the local cloud has no website endpoints.
//!
//! Source: Amazon S3 API Reference, "PutBucketWebsite".

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::documents::{self, malformed, not_found};
use super::service::Service;

const KIND: &str = "website";

/// AWS's limit of routing rules.
const RULES_LIMIT: usize = 50;

impl Service {
    pub(super) fn get_bucket_website(
        &self,
        request: S3Request<GetBucketWebsiteInput>,
    ) -> S3Result<S3Response<GetBucketWebsiteOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let configuration: Option<WebsiteConfiguration> = documents::read(&settings, KIND)?;
        let configuration = configuration.ok_or_else(|| {
            not_found("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration")
        })?;
        Ok(S3Response::new(GetBucketWebsiteOutput {
            error_document: configuration.error_document,
            index_document: configuration.index_document,
            redirect_all_requests_to: configuration.redirect_all_requests_to,
            routing_rules: configuration.routing_rules,
        }))
    }

    pub(super) fn put_bucket_website(
        &self,
        request: S3Request<PutBucketWebsiteInput>,
    ) -> S3Result<S3Response<PutBucketWebsiteOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        check(&input.website_configuration)?;
        let document = documents::write(&input.website_configuration)?;
        self.set_document(&input.bucket, KIND, Some(document))?;
        Ok(S3Response::new(PutBucketWebsiteOutput::default()))
    }

    pub(super) fn delete_bucket_website(
        &self,
        request: S3Request<DeleteBucketWebsiteInput>,
    ) -> S3Result<S3Response<DeleteBucketWebsiteOutput>> {
        self.settings(&request, &request.input.bucket)?;
        self.set_document(&request.input.bucket, KIND, None)?;
        Ok(S3Response::new(DeleteBucketWebsiteOutput::default()))
    }
}

fn check(configuration: &WebsiteConfiguration) -> S3Result<()> {
    let others = configuration.index_document.is_some()
        || configuration.error_document.is_some()
        || configuration.routing_rules.is_some();
    match (&configuration.redirect_all_requests_to, &configuration.index_document) {
        (Some(_), _) if others => Err(s3_error!(
            InvalidArgument,
            "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules."
        )),
        (Some(redirect), _) => check_protocol(redirect.protocol.as_ref()),
        (None, Some(index)) => {
            if index.suffix.is_empty() || index.suffix.contains('/') {
                return Err(s3_error!(InvalidArgument, "The IndexDocument Suffix is not well formed"));
            }
            configuration.routing_rules.as_ref().map_or(Ok(()), |rules| check_rules(rules))
        }
        (None, None) => Err(s3_error!(
            InvalidArgument,
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty"
        )),
    }
}

fn check_rules(rules: &[RoutingRule]) -> S3Result<()> {
    if rules.len() > RULES_LIMIT {
        return Err(s3_error!(InvalidRequest, "Number of routing rules is limited to 50 per website configuration"));
    }
    for rule in rules {
        let redirect = &rule.redirect;
        check_protocol(redirect.protocol.as_ref())?;
        if redirect.replace_key_with.is_some() && redirect.replace_key_prefix_with.is_some() {
            return Err(s3_error!(InvalidRequest, "You can only define ReplaceKeyPrefix or ReplaceKey but not both."));
        }
        let is_redirect =
            |code: &String| code.len() == 3 && code.starts_with('3') && code.bytes().all(|byte| byte.is_ascii_digit());
        if redirect.http_redirect_code.as_ref().is_some_and(|code| !is_redirect(code) || code == "300") {
            return Err(s3_error!(
                InvalidRequest,
                "The provided HTTP redirect code is not valid. Valid codes are 3XX except 300."
            ));
        }
        let is_empty = |condition: &Condition| {
            condition.http_error_code_returned_equals.is_none() && condition.key_prefix_equals.is_none()
        };
        if rule.condition.as_ref().is_some_and(is_empty) {
            return Err(malformed());
        }
    }
    Ok(())
}

fn check_protocol(protocol: Option<&Protocol>) -> S3Result<()> {
    if protocol.is_some_and(|protocol| !["http", "https"].contains(&protocol.as_str())) {
        return Err(s3_error!(
            InvalidRequest,
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically."
        ));
    }
    Ok(())
}
