//! Configurations of which a bucket has several, each with an id: analytics, intelligent tiering, inventory and metrics.
//! They are kept and returned; the local cloud produces no reports from them.

use s3s::dto::*;
use s3s::xml::Deserialize;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::continuation;
use super::documents::{self, not_found};
use super::service::Service;
use crate::model::s3::Settings;

/// AWS's limit of configurations of one kind.
const LIMIT: usize = 1000;

/// AWS's number of configurations per response.
const PAGE: usize = 100;

/// A page of configurations.
struct Page<T> {
    configurations: Vec<T>,
    next: Option<String>,
}

/// Defines the four operations of a kind of configurations.
macro_rules! operations {
    ($kind:literal, $field:ident, $list:ident: $configuration:ty,
     $get:ident($get_input:ty) -> $get_output:ident,
     $put:ident($put_input:ty) -> $put_output:ident,
     $delete:ident($delete_input:ty) -> $delete_output:ident,
     $all:ident($all_input:ty) -> $all_output:ident) => {
        impl Service {
            pub(super) fn $get(&self, request: S3Request<$get_input>) -> S3Result<S3Response<$get_output>> {
                let settings = self.settings(&request, &request.input.bucket)?;
                let configuration = find::<$configuration>(&settings, $kind, &request.input.id)?;
                Ok(S3Response::new($get_output { $field: Some(configuration) }))
            }

            pub(super) fn $put(&self, request: S3Request<$put_input>) -> S3Result<S3Response<$put_output>> {
                let settings = self.settings(&request, &request.input.bucket)?;
                let input = request.input;
                check(&settings, $kind, &input.id, &input.$field.id)?;
                let document = documents::write(&input.$field)?;
                self.set_document(&input.bucket, &name($kind, &input.id), Some(document))?;
                Ok(S3Response::new($put_output::default()))
            }

            pub(super) fn $delete(&self, request: S3Request<$delete_input>) -> S3Result<S3Response<$delete_output>> {
                let settings = self.settings(&request, &request.input.bucket)?;
                find::<$configuration>(&settings, $kind, &request.input.id)?;
                self.set_document(&request.input.bucket, &name($kind, &request.input.id), None)?;
                Ok(S3Response::new($delete_output::default()))
            }

            pub(super) fn $all(&self, request: S3Request<$all_input>) -> S3Result<S3Response<$all_output>> {
                let settings = self.settings(&request, &request.input.bucket)?;
                let token = request.input.continuation_token;
                let page = page::<$configuration>(&settings, $kind, token.as_deref())?;
                Ok(S3Response::new($all_output {
                    is_truncated: Some(page.next.is_some()),
                    next_continuation_token: page.next,
                    continuation_token: token,
                    $list: Some(page.configurations).filter(|list| !list.is_empty()),
                }))
            }
        }
    };
}

operations!("analytics", analytics_configuration, analytics_configuration_list: AnalyticsConfiguration,
    get_bucket_analytics_configuration(GetBucketAnalyticsConfigurationInput) -> GetBucketAnalyticsConfigurationOutput,
    put_bucket_analytics_configuration(PutBucketAnalyticsConfigurationInput) -> PutBucketAnalyticsConfigurationOutput,
    delete_bucket_analytics_configuration(DeleteBucketAnalyticsConfigurationInput)
        -> DeleteBucketAnalyticsConfigurationOutput,
    list_bucket_analytics_configurations(ListBucketAnalyticsConfigurationsInput)
        -> ListBucketAnalyticsConfigurationsOutput);

operations!("intelligent-tiering", intelligent_tiering_configuration,
    intelligent_tiering_configuration_list: IntelligentTieringConfiguration,
    get_bucket_intelligent_tiering_configuration(GetBucketIntelligentTieringConfigurationInput)
        -> GetBucketIntelligentTieringConfigurationOutput,
    put_bucket_intelligent_tiering_configuration(PutBucketIntelligentTieringConfigurationInput)
        -> PutBucketIntelligentTieringConfigurationOutput,
    delete_bucket_intelligent_tiering_configuration(DeleteBucketIntelligentTieringConfigurationInput)
        -> DeleteBucketIntelligentTieringConfigurationOutput,
    list_bucket_intelligent_tiering_configurations(ListBucketIntelligentTieringConfigurationsInput)
        -> ListBucketIntelligentTieringConfigurationsOutput);

operations!("inventory", inventory_configuration, inventory_configuration_list: InventoryConfiguration,
    get_bucket_inventory_configuration(GetBucketInventoryConfigurationInput) -> GetBucketInventoryConfigurationOutput,
    put_bucket_inventory_configuration(PutBucketInventoryConfigurationInput) -> PutBucketInventoryConfigurationOutput,
    delete_bucket_inventory_configuration(DeleteBucketInventoryConfigurationInput)
        -> DeleteBucketInventoryConfigurationOutput,
    list_bucket_inventory_configurations(ListBucketInventoryConfigurationsInput)
        -> ListBucketInventoryConfigurationsOutput);

operations!("metrics", metrics_configuration, metrics_configuration_list: MetricsConfiguration,
    get_bucket_metrics_configuration(GetBucketMetricsConfigurationInput) -> GetBucketMetricsConfigurationOutput,
    put_bucket_metrics_configuration(PutBucketMetricsConfigurationInput) -> PutBucketMetricsConfigurationOutput,
    delete_bucket_metrics_configuration(DeleteBucketMetricsConfigurationInput)
        -> DeleteBucketMetricsConfigurationOutput,
    list_bucket_metrics_configurations(ListBucketMetricsConfigurationsInput) -> ListBucketMetricsConfigurationsOutput);

fn name(kind: &str, id: &str) -> String {
    format!("{kind}/{id}")
}

fn find<T: for<'xml> Deserialize<'xml>>(settings: &Settings, kind: &str, id: &str) -> S3Result<T> {
    documents::read(settings, &name(kind, id))?
        .ok_or_else(|| not_found("NoSuchConfiguration", "The specified configuration does not exist."))
}

/// Checks the ids in the parameter and in the document, which must be the same.
fn check(settings: &Settings, kind: &str, id: &str, in_document: &str) -> S3Result<()> {
    if id != in_document {
        return Err(s3_error!(InvalidArgument, "The ID in the request does not match the ID in the configuration."));
    }
    let is_valid = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if id.is_empty() || id.len() > 64 || !id.chars().all(is_valid) {
        return Err(documents::error(400, "InvalidConfigurationId", "The specified configuration ID is invalid."));
    }
    let prefix = name(kind, "");
    let count = settings.configurations.keys().filter(|other| other.starts_with(&prefix)).count();
    if count >= LIMIT && !settings.configurations.contains_key(&name(kind, id)) {
        return Err(documents::error(
            400,
            "TooManyConfigurations",
            "You are attempting to create a new configuration but have already reached the 1,000-configuration limit.",
        ));
    }
    Ok(())
}

fn page<T: for<'xml> Deserialize<'xml>>(settings: &Settings, kind: &str, token: Option<&str>) -> S3Result<Page<T>> {
    let after = token.map(continuation::parse).transpose()?;
    let prefix = name(kind, "");
    let kinds = settings.configurations.keys().filter(|name| name.starts_with(&prefix));
    let mut kinds: Vec<&String> = kinds.filter(|name| after.as_ref().is_none_or(|after| *name > after)).collect();
    let is_truncated = kinds.len() > PAGE;
    kinds.truncate(PAGE);
    let next = kinds.last().filter(|_| is_truncated).map(|name| continuation::token(name));
    let configurations = kinds.into_iter().filter_map(|name| documents::read(settings, name).transpose());
    Ok(Page { configurations: configurations.collect::<S3Result<_>>()?, next })
}
