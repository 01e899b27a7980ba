//! S3: conditional writes, uploads in parts, presigned URLs, lists, ranges and checksums.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{TimeDelta, Utc};
use hyper::header::HeaderMap;
use hyper::{Method, Request};
use infra_local::{LocalCloud, Options};
use s3s::crypto::{Checksum as _, Md5};
use sha2::{Digest as _, Sha256};

use crate::support::api::{exchange, exchange_all};
use crate::support::{Api, element};

/// A cloud with the bucket `photos`.
struct World {
    cloud: LocalCloud,
    api: Api,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { control_plane_only: true, ..Options::new(directory.path()) };
        let cloud = LocalCloud::start(options).await.unwrap();
        let api = Api::of(&cloud);
        let world = World { cloud, api, _directory: directory };
        world.put("/photos", b"").await;
        world
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let request = self.api.request("s3", method, path, headers, body);
        let (status, headers, text) = exchange_all(request).await.unwrap();
        Answer { status, headers, text }
    }

    async fn put(&self, path: &str, body: &[u8]) -> Answer {
        let answer = self.send(Method::PUT, path, &[], body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, b"").await
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the status, and the code of an error.
    fn outcome(&self) -> String {
        let code = self.text.contains("<Error>").then(|| element(&self.text, "Code"));
        format!("{} {}", self.status, code.unwrap_or_default()).trim().to_owned()
    }
}

/// Returns the texts of all elements with this name.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).map(|rest| rest.split_once(&close).unwrap().0.to_owned()).collect()
}

fn md5(bytes: &[u8]) -> [u8; 16] {
    let mut md5 = Md5::new();
    md5.update(bytes);
    md5.finalize()
}

#[tokio::test(flavor = "multi_thread")]
async fn conditional_writes_compare_with_the_current_object() {
    let world = World::new().await;
    let put = async |headers: &[(&str, &str)], body: &[u8]| {
        world.send(Method::PUT, "/photos/a", headers, body).await.outcome()
    };
    insta::assert_snapshot!(put(&[("if-match", "\"0\"")], b"0").await, @"404 NoSuchKey");
    insta::assert_snapshot!(put(&[("if-none-match", "*")], b"1").await, @"200");
    insta::assert_snapshot!(put(&[("if-none-match", "*")], b"2").await, @"412 PreconditionFailed");
    let e_tag = world.get("/photos/a", &[]).await.header("etag").to_owned();
    insta::assert_snapshot!(put(&[("if-match", &e_tag)], b"3").await, @"200");
    insta::assert_snapshot!(put(&[("if-match", &e_tag)], b"4").await, @"412 PreconditionFailed");
    assert_eq!(world.get("/photos/a", &[]).await.text, "3");
    // Of several writers that create an object at once, one succeeds.
    let writers = (0..8).map(|number: u8| {
        let request = world.api.request("s3", Method::PUT, "/photos/b", &[("if-none-match", "*")], &[b'0' + number]);
        async { exchange(request).await.unwrap().0 }
    });
    let mut statuses = futures::future::join_all(writers).await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses.iter().filter(|status| **status == 412).count()), (200, 7), "{statuses:?}");
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_etag_of_an_upload_in_parts_is_made_of_those_of_its_parts() {
    let world = World::new().await;
    let begun = world.send(Method::POST, "/photos/big?uploads", &[], b"").await.text;
    let upload = element(&begun, "UploadId");
    let parts = [vec![b'a'; 5 << 20], b"rest".to_vec()];
    let mut list: Vec<String> = Vec::new();
    for (number, part) in (1..).zip(&parts) {
        let answer = world.put(&format!("/photos/big?partNumber={number}&uploadId={upload}"), part).await;
        let e_tag = answer.header("etag");
        assert_eq!(e_tag, format!("\"{}\"", hex::encode(md5(part))));
        list.push(format!("<Part><PartNumber>{number}</PartNumber><ETag>{e_tag}</ETag></Part>"));
    }
    let list = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", list.concat());
    let path = format!("/photos/big?uploadId={upload}");
    let done = world.send(Method::POST, &path, &[], list.as_bytes()).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let expected = format!("\"{}-2\"", hex::encode(md5(&parts.iter().flat_map(|part| md5(part)).collect::<Vec<_>>())));
    assert_eq!(world.send(Method::HEAD, "/photos/big", &[], b"").await.header("etag"), expected);
    // A client that lost the response repeats the completion.
    let repeated = world.send(Method::POST, &path, &[], list.as_bytes()).await;
    assert_eq!(element(&repeated.text, "ETag"), element(&done.text, "ETag"));
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presigned_urls_are_valid_until_they_expire() {
    let world = World::new().await;
    world.put("/photos/a", b"content").await;
    let ask = async |method: Method, path: &str, age: TimeDelta, seconds: u32| {
        let request = world.api.presigned(method, path, Utc::now() - age, seconds);
        let (status, text) = exchange(request).await.unwrap();
        let code =
            text.contains("<Error>").then(|| format!("{} {}", element(&text, "Code"), element(&text, "Message")));
        format!("{status} {}", code.unwrap_or(text))
    };
    insta::assert_snapshot!(ask(Method::GET, "/photos/a", TimeDelta::zero(), 60).await, @"200 content");
    insta::assert_snapshot!(ask(Method::GET, "/photos/a", TimeDelta::seconds(50), 3600).await, @"200 content");
    insta::assert_snapshot!(ask(Method::GET, "/photos/a", TimeDelta::hours(2), 3600).await, @"403 AccessDenied Request has expired");
    insta::assert_snapshot!(ask(Method::PUT, "/photos/b", TimeDelta::zero(), 60).await, @"200");
    let week = ask(Method::GET, "/photos/a", TimeDelta::zero(), 604_801).await;
    assert!(week.starts_with("400 AuthorizationQueryParametersError X-Amz-Expires must be less than a week"), "{week}");
    // A signature is valid for its method only.
    let url = world.api.presigned(Method::GET, "/photos/a", Utc::now(), 60).uri().to_string();
    let delete = Request::delete(url).body(http_body_util::Full::default()).unwrap();
    assert_eq!(exchange(delete).await.unwrap().0, 403);
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_grouped_by_delimiter_and_continued_by_token() {
    let world = World::new().await;
    for key in ["a", "b/1", "b/2", "c/3", "d", "e"] {
        world.put(&format!("/photos/{key}"), b"").await;
    }
    let (mut seen, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let more = if token.is_empty() { String::new() } else { format!("&continuation-token={token}") };
        let page = world.get(&format!("/photos?list-type=2&delimiter=%2F&max-keys=2{more}"), &[]).await.text;
        pages += 1;
        let names = |part: &str, name: &str| -> Vec<String> {
            elements(&page, part).iter().map(|found| element(found, name)).collect()
        };
        let (keys, prefixes) = (names("Contents", "Key"), names("CommonPrefixes", "Prefix"));
        assert_eq!(element(&page, "KeyCount"), (keys.len() + prefixes.len()).to_string());
        seen.extend(keys.into_iter().chain(prefixes));
        if element(&page, "IsTruncated") == "false" {
            break;
        }
        token = element(&page, "NextContinuationToken").replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    }
    assert_eq!(pages, 3);
    let expected = ["a", "b/", "c/", "d", "e"].map(str::to_owned);
    assert_eq!((seen.len(), seen.into_iter().collect::<BTreeSet<_>>()), (5, BTreeSet::from(expected)));
    let after = world.get("/photos?list-type=2&start-after=c%2F3&prefix=", &[]).await.text;
    assert_eq!(elements(&after, "Key"), ["d", "e"]);
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_checksums_of_objects_are_honoured() {
    let world = World::new().await;
    let digest = STANDARD.encode(Sha256::digest(b"0123456789"));
    let put = async |value: &str| {
        let headers = [("x-amz-checksum-sha256", value)];
        world.send(Method::PUT, "/photos/a", &headers, b"0123456789").await.outcome()
    };
    insta::assert_snapshot!(put(&digest).await, @"200");
    insta::assert_snapshot!(put(&STANDARD.encode(Sha256::digest(b"other"))).await, @"400 BadDigest");
    let shown = world.get("/photos/a", &[("x-amz-checksum-mode", "ENABLED")]).await;
    assert_eq!((shown.header("x-amz-checksum-sha256"), shown.header("accept-ranges")), (digest.as_str(), "bytes"));
    let part = async |range: &str| {
        let answer = world.get("/photos/a", &[("range", range)]).await;
        let text = if answer.status == 206 { answer.text.clone() } else { answer.outcome() };
        format!("{} {} {text}", answer.status, answer.header("content-range"))
    };
    insta::assert_snapshot!(part("bytes=2-4").await, @"206 bytes 2-4/10 234");
    insta::assert_snapshot!(part("bytes=-3").await, @"206 bytes 7-9/10 789");
    insta::assert_snapshot!(part("bytes=8-").await, @"206 bytes 8-9/10 89");
    insta::assert_snapshot!(part("bytes=10-").await, @"416 bytes */10 416 InvalidRange");
    world.cloud.shutdown().await;
}
