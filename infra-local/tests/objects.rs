//! Permissions for buckets and objects: bucket policies, and the condition keys of S3.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use hyper::{Method, Request};
use infra_local::{Credentials, LocalCloud, Options};
use serde_json::{Value, json};

use support::api::exchange;
use support::{Api, element};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A cloud that enforces policies, with the bucket `photos`, its root user, and the user `eve`.
struct World {
    cloud: LocalCloud,
    root: Api,
    eve: Api,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { enforce_iam: true, ..Options::new(directory.path()) };
        let cloud = LocalCloud::start(options).await.unwrap();
        let root = Api::of(&cloud);
        iam(&root, &[("Action", "CreateUser"), ("UserName", "eve")]).await;
        let key = iam(&root, &[("Action", "CreateAccessKey"), ("UserName", "eve")]).await;
        let key = Credentials {
            access_key_id: element(&key, "AccessKeyId"),
            secret_access_key: element(&key, "SecretAccessKey"),
        };
        let eve = Api { key, ..root.clone() };
        let world = World { cloud, root, eve, _directory: directory };
        world.as_root(Method::PUT, "/photos", &[], b"").await;
        world.as_root(Method::PUT, "/photos/a", &[("x-amz-tagging", "team=red")], b"content").await;
        world
    }

    async fn as_root(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        let (status, text) = self.root.send("s3", method, path, headers, body).await.unwrap();
        assert!(status < 300, "{path}: {status} {text}");
        text
    }

    /// Replaces the inline policy of the user.
    async fn allow(&self, statements: &Value) {
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let policy =
            [("Action", "PutUserPolicy"), ("UserName", "eve"), ("PolicyName", "own"), ("PolicyDocument", &document)];
        iam(&self.root, &policy).await;
    }

    async fn set_bucket_policy(&self, statements: &Value) {
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        self.as_root(Method::PUT, "/photos?policy", &[], document.as_bytes()).await;
    }

    /// Sends a request of the user, and returns the status and the error's code.
    async fn eve(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> String {
        let (status, text) = self.eve.send("s3", method, path, headers, b"").await.unwrap();
        let code = text.contains("<Error>").then(|| element(&text, "Code"));
        format!("{status} {}", code.unwrap_or_default()).trim().to_owned()
    }
}

async fn iam(api: &Api, form: &[(&str, &str)]) -> String {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let (status, text) = api.send("iam", Method::POST, "/", &[FORM], body.as_bytes()).await.unwrap();
    assert_eq!(status, 200, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn bucket_policies_allow_and_deny() {
    let world = World::new().await;
    insta::assert_snapshot!(world.eve(Method::GET, "/photos/a", &[]).await, @"403 AccessDenied");
    let read = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:user/eve"},
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"});
    world.set_bucket_policy(&json!([read])).await;
    insta::assert_snapshot!(world.eve(Method::GET, "/photos/a", &[]).await, @"200");
    insta::assert_snapshot!(world.eve(Method::PUT, "/photos/a", &[]).await, @"403 AccessDenied");

    world.allow(&json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}])).await;
    insta::assert_snapshot!(world.eve(Method::PUT, "/photos/b", &[]).await, @"200");
    let deny =
        json!({"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::photos/*"});
    world.set_bucket_policy(&json!([read, deny])).await;
    insta::assert_snapshot!(world.eve(Method::DELETE, "/photos/b", &[]).await, @"403 AccessDenied");
    let body = b"<Delete><Object><Key>b</Key></Object></Delete>";
    let (status, text) = world.eve.send("s3", Method::POST, "/photos?delete", &[], body).await.unwrap();
    assert_eq!((status, element(&text, "Code").as_str()), (200, "AccessDenied"), "{text}");
    // The policy denies it to the root user of the account as well, who can still remove the policy.
    let (status, _) = world.root.send("s3", Method::DELETE, "/photos/b", &[], b"").await.unwrap();
    assert_eq!(status, 403);
    world.as_root(Method::DELETE, "/photos?policy", &[], b"").await;
    insta::assert_snapshot!(world.eve(Method::DELETE, "/photos/b", &[]).await, @"204");
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_evaluate_the_condition_keys_of_s3() {
    let world = World::new().await;
    let only = |action: &str, condition: Value| json!([{"Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition}]);
    world.allow(&only("s3:ListBucket", json!({"StringLike": {"s3:prefix": "mine/*"}}))).await;
    insta::assert_snapshot!(world.eve(Method::GET, "/photos?list-type=2&prefix=mine%2Fx", &[]).await, @"200");
    insta::assert_snapshot!(world.eve(Method::GET, "/photos?list-type=2&prefix=other", &[]).await, @"403 AccessDenied");
    insta::assert_snapshot!(world.eve(Method::GET, "/photos?list-type=2", &[]).await, @"403 AccessDenied");

    world.allow(&only("s3:GetObject", json!({"StringEquals": {"s3:ExistingObjectTag/team": "red"}}))).await;
    insta::assert_snapshot!(world.eve(Method::GET, "/photos/a", &[]).await, @"200");
    world.as_root(Method::DELETE, "/photos/a?tagging", &[], b"").await;
    insta::assert_snapshot!(world.eve(Method::GET, "/photos/a", &[]).await, @"403 AccessDenied");

    let encrypted = json!({"StringEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}});
    world.allow(&only("s3:PutObject", encrypted)).await;
    insta::assert_snapshot!(world.eve(Method::PUT, "/photos/c", &[]).await, @"403 AccessDenied");
    let kms = ("x-amz-server-side-encryption", "aws:kms");
    insta::assert_snapshot!(world.eve(Method::PUT, "/photos/c", &[kms]).await, @"200");
    // Tags need their own permission.
    insta::assert_snapshot!(world.eve(Method::PUT, "/photos/c", &[kms, ("x-amz-tagging", "a=1")]).await, @"403 AccessDenied");
    let tags = json!([
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:PutObjectTagging", "Resource": "*",
            "Condition": {"StringEquals": {"s3:RequestObjectTag/a": "1"}}},
    ]);
    world.allow(&tags).await;
    insta::assert_snapshot!(world.eve(Method::PUT, "/photos/c", &[("x-amz-tagging", "a=1")]).await, @"200");
    insta::assert_snapshot!(world.eve(Method::PUT, "/photos/c", &[("x-amz-tagging", "a=2")]).await, @"403 AccessDenied");
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_sources_of_copies_need_their_own_permission() {
    let world = World::new().await;
    let status = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    world.as_root(Method::PUT, "/photos?versioning", &[], status).await;
    world.allow(&json!([{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*"}])).await;
    insta::assert_snapshot!(world.eve(Method::GET, "/photos/a", &[]).await, @"200");
    insta::assert_snapshot!(world.eve(Method::GET, "/photos/a?versionId=null", &[]).await, @"403 AccessDenied");
    // The source has tags, which are copied unless the request replaces them.
    let copy = |more: &[(&'static str, &'static str)]| [&[("x-amz-copy-source", "photos/a")], more].concat();
    insta::assert_snapshot!(world.eve(Method::PUT, "/photos/b", &copy(&[])).await, @"403 AccessDenied");
    let replaces = copy(&[("x-amz-tagging-directive", "REPLACE")]);
    insta::assert_snapshot!(world.eve(Method::PUT, "/photos/b", &replaces).await, @"200");
    let reads = json!([{"Effect": "Allow", "Action": ["s3:Get*", "s3:PutObject"], "Resource": "*"}]);
    world.allow(&reads).await;
    insta::assert_snapshot!(world.eve(Method::PUT, "/photos/b", &copy(&[])).await, @"200");
    insta::assert_snapshot!(world.eve(Method::GET, "/photos/a?versionId=null", &[]).await, @"200");
    let owner = [("x-amz-expected-bucket-owner", "123456789012")];
    insta::assert_snapshot!(world.eve(Method::GET, "/photos/a", &owner).await, @"403 AccessDenied");
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_signature_need_a_public_bucket_or_object() {
    let world = World::new().await;
    let unsigned = async |path: &str| {
        let request = Request::get(format!("{}{path}", world.root.endpoint));
        let (status, text) = exchange(request.body(http_body_util::Full::default()).unwrap()).await.unwrap();
        if text.contains("<Error>") {
            format!("{status} {}", element(&text, "Code"))
        } else {
            format!("{status} {text}")
        }
    };
    insta::assert_snapshot!(unsigned("/photos/a").await, @"403 AccessDenied");
    insta::assert_snapshot!(unsigned("/other/a").await, @"403 MissingAuthenticationToken");
    world.as_root(Method::DELETE, "/photos?publicAccessBlock", &[], b"").await;
    let read =
        json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"});
    world.set_bucket_policy(&json!([read])).await;
    insta::assert_snapshot!(unsigned("/photos/a").await, @"200 content");
    insta::assert_snapshot!(unsigned("/photos").await, @"403 AccessDenied");
    let block = b"<PublicAccessBlockConfiguration><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
    world.as_root(Method::PUT, "/photos?publicAccessBlock", &[], block).await;
    insta::assert_snapshot!(unsigned("/photos/a").await, @"403 AccessDenied");

    world.as_root(Method::DELETE, "/photos?policy", &[], b"").await;
    let ownership =
        b"<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>";
    world.as_root(Method::PUT, "/photos?ownershipControls", &[], ownership).await;
    world.as_root(Method::PUT, "/photos/b", &[("x-amz-acl", "public-read")], b"open").await;
    insta::assert_snapshot!(unsigned("/photos/b").await, @"200 open");
    insta::assert_snapshot!(unsigned("/photos/a").await, @"403 AccessDenied");
    let block =
        b"<PublicAccessBlockConfiguration><IgnorePublicAcls>true</IgnorePublicAcls></PublicAccessBlockConfiguration>";
    world.as_root(Method::PUT, "/photos?publicAccessBlock", &[], block).await;
    insta::assert_snapshot!(unsigned("/photos/b").await, @"403 AccessDenied");
    world.cloud.shutdown().await;
}
