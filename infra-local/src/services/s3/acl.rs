//! Access control lists of buckets and objects.
//!
//! The account owns all buckets, and its identities need IAM's permission regardless of grants. So grants only decide about
//! requests without a signature.
//!
//! Source: Amazon S3 User Guide, "Access control list (ACL) overview".

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::documents::error;
use super::ownership::is_enforced;
use super::service::Service;
use crate::model::s3::{Grant as StoredGrant, Grantee as StoredGrantee, Settings};

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// The permissions of `x-amz-grant-*` headers, in the order in which this module passes the headers.
const PERMISSIONS: &[&str] = &["FULL_CONTROL", "READ", "READ_ACP", "WRITE_ACP", "WRITE"];

/// Returns the grants of a new object besides the owner's.
pub(super) fn of_new_object(
    settings: &Settings,
    canned: Option<&str>,
    grants: &[Option<String>],
) -> S3Result<Vec<StoredGrant>> {
    if canned.is_none() && grants.iter().all(Option::is_none) {
        return Ok(Vec::new());
    }
    if is_enforced(settings) {
        // The owner of the bucket owns the object, so this list is the only one that changes nothing.
        return if canned == Some("bucket-owner-full-control") { Ok(Vec::new()) } else { Err(not_supported()) };
    }
    requested(settings, canned, grants)
}

/// Returns the grants of a new bucket besides the owner's. Its public access is blocked, and its ownership is given.
pub(super) fn of_new_bucket(
    ownership: &str,
    canned: Option<&str>,
    grants: &[Option<String>],
) -> S3Result<Vec<StoredGrant>> {
    let has_grants = grants.iter().any(Option::is_some);
    if ownership == "BucketOwnerEnforced" && (has_grants || canned.is_some_and(|canned| canned != "private")) {
        return Err(error(
            400,
            "InvalidBucketAclWithObjectOwnership",
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
        ));
    }
    let wanted = parse(canned, grants)?;
    if is_public(&wanted) { Err(blocked()) } else { Ok(wanted) }
}

/// Parses and checks the list in a request's headers.
fn requested(settings: &Settings, canned: Option<&str>, grants: &[Option<String>]) -> S3Result<Vec<StoredGrant>> {
    let wanted = parse(canned, grants)?;
    if is_public(&wanted) && settings.public_access_block.is_some_and(|block| block.block_public_acls) {
        return Err(blocked());
    }
    Ok(wanted)
}

fn parse(canned: Option<&str>, grants: &[Option<String>]) -> S3Result<Vec<StoredGrant>> {
    let headers =
        PERMISSIONS.iter().zip(grants).filter_map(|(permission, value)| Some((*permission, value.as_deref()?)));
    let mut found = Vec::new();
    for (permission, value) in headers {
        for grantee in value.split(',') {
            found.push(StoredGrant { grantee: grantee_of(grantee.trim())?, permission: permission.to_owned() });
        }
    }
    let Some(canned) = canned else { return Ok(found) };
    if !found.is_empty() {
        return Err(s3_error!(InvalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed"));
    }
    let group = |uri: &str, permission: &str| StoredGrant {
        grantee: StoredGrantee::Group(uri.to_owned()),
        permission: permission.to_owned(),
    };
    match canned {
        // The account owns buckets and objects, so the grants to the bucket's owner are the owner's own.
        "private" | "bucket-owner-read" | "bucket-owner-full-control" | "aws-exec-read" => Ok(Vec::new()),
        "public-read" => Ok(vec![group(ALL_USERS, "READ")]),
        "public-read-write" => Ok(vec![group(ALL_USERS, "READ"), group(ALL_USERS, "WRITE")]),
        "authenticated-read" => Ok(vec![group(AUTHENTICATED_USERS, "READ")]),
        "log-delivery-write" => Ok(vec![group(LOG_DELIVERY, "WRITE"), group(LOG_DELIVERY, "READ_ACP")]),
        _ => Err(s3_error!(InvalidArgument, "Invalid canned ACL: {canned}")),
    }
}

/// Parses a grantee in a header: `id="…"` or `uri="…"`.
fn grantee_of(text: &str) -> S3Result<StoredGrantee> {
    let (kind, value) =
        text.split_once('=').ok_or_else(|| s3_error!(InvalidArgument, "Argument format not recognized"))?;
    let value = value.trim_matches('"').to_owned();
    match kind.trim().to_ascii_lowercase().as_str() {
        "id" if value.len() == 64 => Ok(StoredGrantee::Account(value)),
        "id" => Err(s3_error!(InvalidArgument, "Invalid id")),
        "uri" if [ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY].contains(&value.as_str()) => {
            Ok(StoredGrantee::Group(value))
        }
        "uri" => Err(s3_error!(InvalidArgument, "Invalid group uri")),
        "emailaddress" => Err(s3_error!(
            UnresolvableGrantByEmailAddress,
            "The e-mail address you provided does not match any account on record."
        )),
        _ => Err(s3_error!(InvalidArgument, "Argument format not recognized")),
    }
}

/// Converts the body of a request.
fn from_policy(policy: AccessControlPolicy, owner: &Owner) -> S3Result<Vec<StoredGrant>> {
    let mut found = Vec::new();
    for grant in policy.grants.unwrap_or_default() {
        let (Some(grantee), Some(permission)) = (grant.grantee, grant.permission) else {
            return Err(malformed());
        };
        if !PERMISSIONS.contains(&permission.as_str()) {
            return Err(malformed());
        }
        let grantee = match (grantee.id, grantee.uri, grantee.email_address) {
            (Some(id), _, _) => grantee_of(&format!("id=\"{id}\""))?,
            (_, Some(uri), _) => grantee_of(&format!("uri=\"{uri}\""))?,
            (_, _, Some(address)) => grantee_of(&format!("emailaddress=\"{address}\""))?,
            _ => return Err(malformed()),
        };
        let is_owners = matches!(&grantee, StoredGrantee::Account(id) if Some(id) == owner.id.as_ref());
        if !(is_owners && permission.as_str() == "FULL_CONTROL") {
            found.push(StoredGrant { grantee, permission: permission.as_str().to_owned() });
        }
    }
    Ok(found)
}

/// Returns a list in S3's form, which begins with the owner's grant.
fn render(grants: &[StoredGrant], owner: &Owner) -> Vec<Grant> {
    let account = |id: String| Grantee {
        display_name: None,
        email_address: None,
        id: Some(id),
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let group = |uri: String| Grantee {
        display_name: None,
        email_address: None,
        id: None,
        type_: Type::from_static(Type::GROUP),
        uri: Some(uri),
    };
    let full = Grant {
        grantee: owner.id.clone().map(account),
        permission: Some(Permission::from_static(Permission::FULL_CONTROL)),
    };
    let others = grants.iter().map(|grant| Grant {
        grantee: Some(match grant.grantee.clone() {
            StoredGrantee::Account(id) => account(id),
            StoredGrantee::Group(uri) => group(uri),
        }),
        permission: Some(Permission::from(grant.permission.clone())),
    });
    std::iter::once(full).chain(others).collect()
}

/// Returns whether a list grants something to everyone, or to all AWS accounts.
pub(super) fn is_public(grants: &[StoredGrant]) -> bool {
    grants.iter().any(|grant| {
        matches!(&grant.grantee, StoredGrantee::Group(uri) if [ALL_USERS, AUTHENTICATED_USERS].contains(&uri.as_str()))
    })
}

/// Returns the actions that a list grants to everyone.
///
/// Source: Amazon S3 User Guide, "Mapping of ACL permissions and access policy permissions".
pub(super) fn public_actions(grants: &[StoredGrant], is_object: bool) -> Vec<&'static str> {
    let is_for_all = |grant: &&StoredGrant| matches!(&grant.grantee, StoredGrantee::Group(uri) if uri == ALL_USERS);
    let actions = |permission: &str| -> &'static [&'static str] {
        match (permission, is_object) {
            ("READ", true) => &["s3:GetObject", "s3:GetObjectVersion"],
            ("READ", false) => &["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"],
            ("WRITE", false) => &["s3:PutObject", "s3:DeleteObject"],
            ("READ_ACP", true) => &["s3:GetObjectAcl", "s3:GetObjectVersionAcl"],
            ("READ_ACP", false) => &["s3:GetBucketAcl"],
            ("WRITE_ACP", true) => &["s3:PutObjectAcl", "s3:PutObjectVersionAcl"],
            ("WRITE_ACP", false) => &["s3:PutBucketAcl"],
            _ => &[],
        }
    };
    let each = |grant: &StoredGrant| match grant.permission.as_str() {
        "FULL_CONTROL" => ["READ", "WRITE", "READ_ACP", "WRITE_ACP"].iter().flat_map(|one| actions(one)).collect(),
        permission => actions(permission).iter().collect::<Vec<_>>(),
    };
    grants.iter().filter(is_for_all).flat_map(each).copied().collect()
}

/// Returns the grants of PutBucketAcl and PutObjectAcl, which come from exactly one of three sources.
fn wanted(
    settings: &Settings,
    canned: Option<&str>,
    grants: &[Option<String>],
    policy: Option<AccessControlPolicy>,
    owner: &Owner,
) -> S3Result<Vec<StoredGrant>> {
    let has_headers = canned.is_some() || grants.iter().any(Option::is_some);
    if is_enforced(settings) {
        let changes_nothing = match &policy {
            Some(policy) => from_policy(policy.clone(), owner)?.is_empty(),
            None => canned == Some("bucket-owner-full-control"),
        };
        return if changes_nothing { Ok(Vec::new()) } else { Err(not_supported()) };
    }
    match policy {
        Some(_) if has_headers => Err(s3_error!(UnexpectedContent, "This request does not support content")),
        Some(policy) => {
            let wanted = from_policy(policy, owner)?;
            let is_blocked = settings.public_access_block.is_some_and(|block| block.block_public_acls);
            if is_blocked && is_public(&wanted) { Err(blocked()) } else { Ok(wanted) }
        }
        None if has_headers => requested(settings, canned, grants),
        None => Err(s3_error!(MissingSecurityHeader, "Your request was missing a required header")),
    }
}

impl Service {
    pub(super) fn get_bucket_acl(
        &self,
        request: S3Request<GetBucketAclInput>,
    ) -> S3Result<S3Response<GetBucketAclOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let owner = self.owner();
        Ok(S3Response::new(GetBucketAclOutput { grants: Some(render(&settings.acl, &owner)), owner: Some(owner) }))
    }

    pub(super) fn put_bucket_acl(
        &self,
        request: S3Request<PutBucketAclInput>,
    ) -> S3Result<S3Response<PutBucketAclOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let grants = [
            input.grant_full_control,
            input.grant_read,
            input.grant_read_acp,
            input.grant_write_acp,
            input.grant_write,
        ];
        let canned = input.acl.as_ref().map(BucketCannedACL::as_str);
        let acl = wanted(&settings, canned, &grants, input.access_control_policy, &self.owner())?;
        self.objects().change_settings(&input.bucket, |settings| settings.acl = acl)?;
        Ok(S3Response::new(PutBucketAclOutput::default()))
    }

    pub(super) fn get_object_acl(
        &self,
        request: S3Request<GetObjectAclInput>,
    ) -> S3Result<S3Response<GetObjectAclOutput>> {
        self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let (_, object) = self.version(&input.bucket, &input.key, input.version_id.as_deref())?;
        let owner = self.owner();
        Ok(S3Response::new(GetObjectAclOutput {
            grants: Some(render(&object.acl, &owner)),
            owner: Some(owner),
            ..Default::default()
        }))
    }

    pub(super) fn put_object_acl(
        &self,
        request: S3Request<PutObjectAclInput>,
    ) -> S3Result<S3Response<PutObjectAclOutput>> {
        let settings = self.settings(&request, &request.input.bucket)?;
        let input = request.input;
        let grants = [input.grant_full_control, input.grant_read, input.grant_read_acp, input.grant_write_acp];
        let canned = input.acl.as_ref().map(ObjectCannedACL::as_str);
        let acl = wanted(&settings, canned, &grants, input.access_control_policy, &self.owner())?;
        self.version(&input.bucket, &input.key, input.version_id.as_deref())?;
        self.objects().change(&input.bucket, &input.key, input.version_id.as_deref(), |object| {
            object.acl = acl;
            Ok(())
        })?;
        Ok(S3Response::new(PutObjectAclOutput::default()))
    }
}

fn not_supported() -> S3Error {
    error(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")
}

fn blocked() -> S3Error {
    s3_error!(
        AccessDenied,
        "Access Denied: the BlockPublicAcls setting of the bucket's public access block refuses ACLs that grant public access"
    )
}

fn malformed() -> S3Error {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    S3Error::with_message(S3ErrorCode::MalformedACLError, message)
}
