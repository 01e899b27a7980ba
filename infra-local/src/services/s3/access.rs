//! Authorisation of requests to the object store by IAM's policies and bucket policies, and the trace of its operations
//! and decisions.

use std::collections::BTreeMap;

use chrono::Utc;
use hyper::HeaderMap;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::*;
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::{Context, acl, actions};
use crate::access::{self, Identity, RequestedAction, RequestedResource, decide, decide_unenforced, permitted};
use crate::model::Account;
use crate::state::Shared;
use crate::wire::Protocol;

/// Authentication for s3s that knows no secrets: signatures are verified before s3s receives a request, but s3s checks
/// access only if there is an `S3Auth`.
pub(super) struct Nobody;

#[async_trait::async_trait]
impl S3Auth for Nobody {
    async fn get_secret_key(&self, _: &str) -> S3Result<SecretKey> {
        Err(s3_error!(InvalidAccessKeyId))
    }
}

/// The policies of the identity that signed the request.
pub(super) struct Policies {
    shared: Shared,
    account: Account,
    /// True when the policies of users and roles are enforced.
    enforced: bool,
}

/// Condition keys that depend on the headers and the query of a request, for checks that also need its body.
#[derive(Clone)]
struct RequestKeys(access::Context);

/// Versions that DeleteObjects may not delete, with the reasons.
#[derive(Clone, Default)]
pub(super) struct DeniedKeys(BTreeMap<(String, Option<String>), String>);

impl DeniedKeys {
    pub(super) fn message(&self, key: &str, version: Option<&str>) -> Option<&String> {
        self.0.get(&(key.to_owned(), version.map(str::to_owned)))
    }
}

/// A bucket or an object that an action needs permission for.
#[derive(Clone, Copy)]
struct Place<'a> {
    bucket: &'a str,
    key: Option<&'a str>,
    version: Option<&'a str>,
}

impl Policies {
    pub(super) fn new(shared: Shared, enforced: bool) -> Policies {
        let account = shared.account();
        Policies { shared, account, enforced }
    }

    fn allow(&self, context: Option<&Context>, keys: &access::Context, action: &str, place: Place<'_>) -> S3Result<()> {
        let Some(Context { region, identity, trace, .. }) = context else {
            return Err(s3_error!(AccessDenied));
        };
        let mut resource = self.resource(place);
        if *identity == Identity::Anonymous {
            resource.policy = self.public_policy(place, &resource.arn, resource.policy.as_deref());
        }
        let resources = [resource];
        let action = format!("s3:{action}");
        let requested =
            RequestedAction { action: &action, resources: &resources, region, now: Utc::now(), context: keys };
        let denied = self.shared.read(|cloud| {
            let decide = if self.enforced { decide } else { decide_unenforced };
            let decisions = decide(cloud, identity, &requested);
            let permitted = permitted(&identity.arn(&cloud.iam), &decisions);
            trace.decide(decisions);
            permitted
        });
        denied.map_err(|refusal| {
            S3Error::with_message(S3ErrorCode::AccessDenied, refusal.to_error(Protocol::RestXml).message)
        })
    }

    /// Returns a bucket or an object with the bucket's policy and the condition keys that describe it.
    fn resource(&self, place: Place<'_>) -> RequestedResource {
        let Place { bucket, key, version } = place;
        let arn = match key {
            None if bucket.is_empty() => "*".to_owned(),
            None => format!("arn:aws:s3:::{bucket}"),
            Some(key) => format!("arn:aws:s3:::{bucket}/{key}"),
        };
        let buckets = self.shared.objects().lock();
        let found = buckets.get(bucket);
        let policy = found.and_then(|found| found.settings.configurations.get(super::policy::KIND));
        let mut resource = RequestedResource::new(arn).with_policy(policy.map(String::as_str));
        resource.context.set("s3:ResourceAccount", self.account.as_str());
        let object = found.zip(key).and_then(|(found, key)| found.version(key, version).ok());
        resource.context.set_tags("s3:ExistingObjectTag", object.into_iter().flat_map(|object| &object.tags));
        resource.context.maybe("s3:versionid", version);
        resource
    }

    /// Returns the policy that decides about a request without a signature: that of the bucket and the grants of access
    /// control lists, within the bucket's public access block.
    fn public_policy(&self, place: Place<'_>, arn: &str, policy: Option<&str>) -> Option<String> {
        let buckets = self.shared.objects().lock();
        let bucket = buckets.get(place.bucket)?;
        let block = bucket.settings.public_access_block;
        let restricted = block.is_some_and(|block| block.restrict_public_buckets);
        let policy = policy.filter(|policy| !(restricted && super::policy::is_public(policy)));
        let grants = match place.key {
            Some(key) => bucket.version(key, place.version).map(|object| acl::public_actions(&object.acl, true)).ok(),
            None => None,
        };
        let mut actions = grants.unwrap_or_default();
        actions.extend(acl::public_actions(&bucket.settings.acl, false));
        if block.is_some_and(|block| block.ignore_public_acls) {
            actions.clear();
        }
        super::policy::with_grants(policy, arn, &actions)
    }

    /// Checks that the source of a copy can be read.
    fn allow_source<T>(&self, request: &S3Request<T>, source: &CopySource, copies_tags: bool) -> S3Result<()> {
        let CopySource::Bucket { bucket, key, version_id } = source else { return Ok(()) };
        let keys = keys_of(&request.extensions);
        let context = request.extensions.get::<Context>();
        let version = version_id.as_deref();
        let place = Place { bucket, key: Some(key), version };
        self.allow(context, &keys, actions::reading(version.is_some()), place)?;
        let has_tags =
            self.shared.objects().bucket(bucket, |bucket| Ok(!bucket.version(key, version)?.tags.is_empty()));
        if copies_tags && has_tags.unwrap_or(false) {
            let action = if version.is_some() { "GetObjectVersionTagging" } else { "GetObjectTagging" };
            self.allow(context, &keys, action, place)?;
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl S3Access for Policies {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        let context = request.extensions_mut().get::<Context>().cloned();
        let operation = request.s3_op().name().to_owned();
        if let Some(context) = &context {
            context.trace.name(&operation, request.s3_path());
        }
        check_owner(self.account, request.headers())?;
        let query = request.uri().query().unwrap_or_default();
        let query: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let keys = request_keys(context.as_ref(), request.headers(), &query);
        request.extensions_mut().insert(RequestKeys(keys.clone()));
        // The bodies of these requests contain keys and tags, which are checked below.
        if ["DeleteObjects", "PutObjectTagging"].contains(&operation.as_str()) {
            return Ok(());
        }
        let version = query.get("versionId").map(String::as_str).filter(|version| !version.is_empty());
        let place = match request.s3_path() {
            S3Path::Root => Place { bucket: "", key: None, version: None },
            S3Path::Bucket { bucket } => Place { bucket, key: None, version: None },
            S3Path::Object { bucket, key } => Place { bucket, key: Some(key), version },
        };
        let needed = actions::needed(&operation, version.is_some(), request.headers());
        // Operations without a known action are those that the local cloud does not have.
        needed.into_iter().try_for_each(|action| self.allow(context.as_ref(), &keys, action, place))
    }

    async fn create_bucket(&self, request: &mut S3Request<CreateBucketInput>) -> S3Result<()> {
        let context = request.extensions.get::<Context>();
        if context.is_none_or(|context| context.bucket_tags.is_empty()) {
            return Ok(());
        }
        let place = Place { bucket: &request.input.bucket, key: None, version: None };
        self.allow(context, &keys_of(&request.extensions), "TagResource", place)
    }

    async fn delete_objects(&self, request: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let context = request.extensions.get::<Context>();
        let keys = keys_of(&request.extensions);
        let bypasses = request.input.bypass_governance_retention == Some(true);
        let mut denied = DeniedKeys::default();
        for object in &request.input.delete.objects {
            let version = object.version_id.as_deref();
            let place = Place { bucket: &request.input.bucket, key: Some(&object.key), version };
            let action = if version.is_some() { "DeleteObjectVersion" } else { "DeleteObject" };
            let actions = std::iter::once(action).chain(bypasses.then_some("BypassGovernanceRetention"));
            let allowed = actions.map(|action| self.allow(context, &keys, action, place)).collect::<S3Result<Vec<_>>>();
            if let Err(error) = allowed {
                let message = error.message().unwrap_or("Access Denied").to_owned();
                denied.0.insert((object.key.clone(), object.version_id.clone()), message);
            }
        }
        request.extensions.insert(denied);
        Ok(())
    }

    async fn put_object_tagging(&self, request: &mut S3Request<PutObjectTaggingInput>) -> S3Result<()> {
        let input = &request.input;
        let mut keys = keys_of(&request.extensions);
        let tags = input.tagging.tag_set.iter();
        let tags = tags.filter_map(|tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default())));
        set_request_tags(&mut keys, tags.collect());
        let version = input.version_id.as_deref();
        let place = Place { bucket: &input.bucket, key: Some(&input.key), version };
        let needed = actions::needed("PutObjectTagging", version.is_some(), &HeaderMap::new());
        let context = request.extensions.get::<Context>();
        needed.into_iter().try_for_each(|action| self.allow(context, &keys, action, place))
    }

    /// Checks the permission to read the source of a copy, and its tags if they are copied.
    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        let directive = request.input.tagging_directive.as_ref().map(TaggingDirective::as_str);
        self.allow_source(request, &request.input.copy_source, directive != Some("REPLACE"))?;
        if directive == Some("REPLACE") && request.input.tagging.is_some() {
            let place = Place { bucket: &request.input.bucket, key: Some(&request.input.key), version: None };
            let keys = keys_of(&request.extensions);
            return self.allow(request.extensions.get::<Context>(), &keys, "PutObjectTagging", place);
        }
        Ok(())
    }

    async fn upload_part_copy(&self, request: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        self.allow_source(request, &request.input.copy_source, false)
    }
}

fn keys_of(extensions: &hyper::http::Extensions) -> access::Context {
    extensions.get::<RequestKeys>().map(|keys| keys.0.clone()).unwrap_or_default()
}

/// Refuses a request whose client expects another owner of the bucket.
fn check_owner(account: Account, headers: &HeaderMap) -> S3Result<()> {
    let names = ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"];
    if names.iter().filter_map(|name| headers.get(*name)).any(|owner| owner != account.as_str()) {
        return Err(s3_error!(AccessDenied, "Access Denied"));
    }
    Ok(())
}

/// Condition keys that are parameters of the query.
const OF_QUERY: &[(&str, &str)] =
    &[("prefix", "s3:prefix"), ("delimiter", "s3:delimiter"), ("max-keys", "s3:max-keys")];

/// Condition keys that are headers.
const OF_HEADERS: &[(&str, &str)] = &[
    ("x-amz-acl", "s3:x-amz-acl"),
    ("x-amz-grant-full-control", "s3:x-amz-grant-full-control"),
    ("x-amz-grant-read", "s3:x-amz-grant-read"),
    ("x-amz-grant-read-acp", "s3:x-amz-grant-read-acp"),
    ("x-amz-grant-write", "s3:x-amz-grant-write"),
    ("x-amz-grant-write-acp", "s3:x-amz-grant-write-acp"),
    ("x-amz-copy-source", "s3:x-amz-copy-source"),
    ("x-amz-metadata-directive", "s3:x-amz-metadata-directive"),
    ("x-amz-object-ownership", "s3:x-amz-object-ownership"),
    ("x-amz-server-side-encryption", "s3:x-amz-server-side-encryption"),
    ("x-amz-server-side-encryption-aws-kms-key-id", "s3:x-amz-server-side-encryption-aws-kms-key-id"),
    ("x-amz-server-side-encryption-customer-algorithm", "s3:x-amz-server-side-encryption-customer-algorithm"),
    ("x-amz-storage-class", "s3:x-amz-storage-class"),
    ("x-amz-website-redirect-location", "s3:x-amz-website-redirect-location"),
    ("x-amz-object-lock-mode", "s3:object-lock-mode"),
    ("x-amz-object-lock-retain-until-date", "s3:object-lock-retain-until-date"),
    ("x-amz-object-lock-legal-hold", "s3:object-lock-legal-hold"),
    ("if-match", "s3:if-match"),
    ("if-none-match", "s3:if-none-match"),
];

/// Returns the condition keys of S3 in the headers and the query of a request.
fn request_keys(context: Option<&Context>, headers: &HeaderMap, query: &BTreeMap<String, String>) -> access::Context {
    let mut keys = access::Context::default();
    for (parameter, name) in OF_QUERY {
        keys.maybe(name, query.get(*parameter));
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    for (header, name) in OF_HEADERS {
        keys.maybe(name, text(header));
    }
    if let Some(header) = text("x-amz-tagging") {
        set_request_tags(&mut keys, form_urlencoded::parse(header.as_bytes()).into_owned().collect());
    }
    if let Some(context) = context {
        keys.maybe("s3:authType", context.authentication.kind);
        keys.maybe("s3:signatureversion", context.authentication.version);
        keys.maybe("s3:signatureAge", context.authentication.age.map(|age| age.to_string()));
        keys.maybe("s3:x-amz-content-sha256", context.authentication.content_sha256.clone());
    }
    keys
}

fn set_request_tags(keys: &mut access::Context, tags: BTreeMap<String, String>) {
    if tags.is_empty() {
        return;
    }
    keys.set_tags("s3:RequestObjectTag", &tags);
    keys.set_all("s3:RequestObjectTagKeys", tags.into_keys().collect());
}
