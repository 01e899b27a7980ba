//! Callers that the endpoint accepts: those with the cloud's key, and web pages that a bucket's CORS rules permit.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http_body_util::Full;
use hyper::{Method, Request};
use infra_local::{Credentials, LocalCloud, Options, daemon};
use sha2::Sha256;

use support::api::{exchange, status, token};
use support::{Api, ec2, element, send};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const DESCRIBE: &[u8] = b"Action=DescribeVpcs&Version=2016-11-15";

async fn start(directory: &tempfile::TempDir) -> LocalCloud {
    LocalCloud::start(Options::new(directory.path())).await.unwrap()
}

/// Returns the status of a request to EC2 with these additional headers.
async fn asked(api: &Api, headers: &[(&str, &str)]) -> u16 {
    let headers = [&[FORM], headers].concat();
    api.send("ec2", Method::POST, "/", &headers, DESCRIBE).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_cloud_s_own_key_signs_requests() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let api = Api::of(&cloud);
    assert_eq!(asked(&api, &[]).await, 200);
    let stranger = Credentials { access_key_id: "test".into(), secret_access_key: "test".into() };
    assert_eq!(asked(&Api { key: stranger, ..api.clone() }, &[]).await, 401);
    let guessed = Credentials { secret_access_key: "test".into(), ..api.key.clone() };
    assert_eq!(asked(&Api { key: guessed, ..api.clone() }, &[]).await, 401);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn added_keys_work_besides_the_generated_one_and_any_key_only_on_request() {
    let directory = tempfile::tempdir().unwrap();
    let chosen = Credentials { access_key_id: "chosen".into(), secret_access_key: "secret".into() };
    let options = Options { access_keys: vec![chosen.clone()], ..Options::new(directory.path()) };
    let cloud = LocalCloud::start(options).await.unwrap();
    let api = Api::of(&cloud);
    assert_eq!(asked(&api, &[]).await, 200);
    assert_eq!(asked(&Api { key: chosen, ..api.clone() }, &[]).await, 200);
    cloud.shutdown().await;

    let options = Options { accept_any_key: true, ..Options::new(directory.path()) };
    let cloud = LocalCloud::start(options).await.unwrap();
    let anybody = Credentials { access_key_id: "any".into(), secret_access_key: "any".into() };
    assert_eq!(asked(&Api { key: anybody, ..api }, &[]).await, 200);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_pages_and_foreign_hosts_are_refused_even_with_a_valid_signature() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let api = Api::of(&cloud);
    for header in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("host", "evil.example"),
    ] {
        assert_eq!(asked(&api, &[header]).await, 403, "{header:?}");
    }
    assert_eq!(asked(&api, &[("sec-fetch-site", "none")]).await, 200);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_a_web_page_with_the_signature_in_the_url_launches_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let signed = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=any%2F20261101%2Fus-east-1%2Fec2%2Faws4_request&X-Amz-Date={}\
         &X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-Signature={}",
        chrono::Utc::now().format("%Y%m%dT%H%M%SZ"),
        "0".repeat(64)
    );
    let launch = "Action=RunInstances&Version=2016-11-15&ImageId=ami-1&MinCount=1&MaxCount=1";
    let page = [("origin", "http://evil.example"), ("host", "evil.example"), ("content-type", "text/plain")];
    // Each header alone is refused; without any, the signature is wrong.
    for headers in [&page[..], &page[..1], &page[1..2], &page[2..]] {
        let mut request = Request::post(format!("{}/?{signed}", cloud.endpoint()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (status, text) = exchange(request.body(Full::from(launch)).unwrap()).await.unwrap();
        assert!([401, 403].contains(&status), "{headers:?}: {status} {text}");
    }
    let (_, instances) = ec2(&cloud, &[("Action", "DescribeInstances")]).await;
    assert!(!instances.contains("<instanceId>"), "{instances}");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_administration_paths_need_the_token_of_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let endpoint = cloud.endpoint();
    let (host, right) = (endpoint.strip_prefix("http://").unwrap(), format!("Bearer {}", token(directory.path())));
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri(format!("{endpoint}/_infra/{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        exchange(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap().0
    };
    for (method, path) in [(Method::GET, "status"), (Method::POST, "fault"), (Method::POST, "shutdown")] {
        assert_eq!(ask(method.clone(), path, &[]).await, 403);
        assert_eq!(ask(method.clone(), path, &[("authorization", "Bearer wrong")]).await, 403);
        let page = [("authorization", right.as_str()), ("origin", "http://evil.example")];
        assert_eq!(ask(method.clone(), path, &page).await, 403);
        let rebound = [("authorization", right.as_str()), ("host", "evil.example")];
        assert_eq!(ask(method, path, &rebound).await, 403);
    }
    assert_eq!(ask(Method::GET, "status", &[("authorization", &right), ("host", host)]).await, 200);
    assert_eq!(status(&endpoint, directory.path()).await.regions.len(), cloud.status().await.regions.len());
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_s_cors_configuration_admits_pages_only_to_s3() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let api = Api::of(&cloud);
    assert_eq!(send(&cloud, "s3", Method::PUT, "/photos", &[], b"").await.0, 200);
    assert_eq!(send(&cloud, "s3", Method::GET, "/photos?cors", &[], b"").await.0, 404);
    let page = ("origin", "http://app.example:8080");
    assert_eq!(send(&cloud, "s3", Method::PUT, "/photos/a", &[page], b"x").await.0, 403);

    let rules = "<CORSConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><CORSRule>\
                 <AllowedOrigin>http://app.example:8080</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>\
                 <AllowedHeader>x-amz-*</AllowedHeader></CORSRule></CORSConfiguration>";
    let (code, text) = send(&cloud, "s3", Method::PUT, "/photos?cors", &[], rules.as_bytes()).await;
    assert_eq!(code, 200, "{text}");
    assert!(send(&cloud, "s3", Method::GET, "/photos?cors", &[], b"").await.1.contains("<AllowedMethod>PUT"));
    assert_eq!(send(&cloud, "s3", Method::PUT, "/photos/a", &[page], b"x").await.0, 200);
    assert_eq!(send(&cloud, "s3", Method::GET, "/photos/a", &[page], b"").await.0, 403, "the rule has no GET");
    let other = ("origin", "http://evil.example");
    assert_eq!(send(&cloud, "s3", Method::PUT, "/photos/a", &[other], b"y").await.0, 403);
    assert_eq!(send(&cloud, "s3", Method::GET, "/photos/a", &[], b"").await, (200, "x".to_owned()));
    // The CORS permission is for S3, and does not replace the signature.
    let smuggled = [FORM, page];
    assert_eq!(api.send("ec2", Method::PUT, "/photos", &smuggled, DESCRIBE).await.unwrap().0, 403);
    let stranger = Api { key: Credentials { secret_access_key: "no".into(), ..api.key.clone() }, ..api.clone() };
    assert_eq!(stranger.send("s3", Method::PUT, "/photos/a", &[page], b"z").await.unwrap().0, 403);

    let preflight = async |origin: &str, method: &str| {
        let request = Request::builder().method(Method::OPTIONS).uri(format!("{}/photos/a", cloud.endpoint()));
        let request = request.header("origin", origin).header("access-control-request-method", method);
        exchange(request.body(Full::default()).unwrap()).await.unwrap().0
    };
    assert_eq!(preflight(page.1, "PUT").await, 200);
    assert_eq!(preflight(page.1, "DELETE").await, 403);
    assert_eq!(preflight(other.1, "PUT").await, 403);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_name_that_is_a_path_is_refused_and_deletes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("kept");
    std::fs::write(&victim, "kept").unwrap();
    let cloud = start(&directory).await;
    let good = support::user_data(&Api::of(&cloud), "#!/bin/sh\nexec sleep 600\n", None).await;
    let good = String::from_utf8(STANDARD.decode(good).unwrap()).unwrap();
    let evil = good.replace(r#"\"name\":\"service\""#, &format!(r#"\"name\":\"{}\""#, victim.display()));
    assert_ne!(good, evil);
    let (_, images) = ec2(&cloud, &[("Action", "DescribeImages")]).await;
    let (image, user_data) = (element(&images, "imageId"), STANDARD.encode(evil));
    let launch = [
        ("Action", "RunInstances"),
        ("ImageId", &image),
        ("InstanceType", "t3.micro"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("UserData", &user_data),
    ];
    let (code, text) = ec2(&cloud, &launch).await;
    assert_eq!((code, element(&text, "Code").as_str()), (400, "InvalidUserData.Malformed"));
    assert!(text.contains("the service name"), "{text}");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "kept");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_cached_program_is_downloaded_again() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let script = "#!/bin/sh\nexec sleep 600\n";
    let first = support::launch(&cloud, script).await;
    support::running_service(&cloud, &first, None).await;
    let cache = directory.path().join("artifacts");
    let cached = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let program = directory.path().join("instances").join(&first).join("bin/service");
    std::fs::write(&cached, "#!/bin/sh\necho changed\n").unwrap();
    assert_eq!(std::fs::read_to_string(&program).unwrap(), script, "an instance has a copy of its own");
    let second = support::launch(&cloud, script).await;
    support::running_service(&cloud, &second, None).await;
    let program = directory.path().join("instances").join(&second).join("bin/service");
    assert_eq!(std::fs::read_to_string(program).unwrap(), script);
    cloud.shutdown().await;
}

/// Returns the body of a form upload with a policy for the bucket `forms`.
fn form(key: &Credentials, file: &[u8], greatest: usize) -> Vec<u8> {
    let day = chrono::Utc::now().format("%Y%m%d").to_string();
    let credential = format!("{}/{day}/us-east-1/s3/aws4_request", key.access_key_id);
    let policy = serde_json::json!({
        "expiration": (chrono::Utc::now() + chrono::Duration::minutes(5)).to_rfc3339(),
        "conditions": [
            {"bucket": "forms"}, ["starts-with", "$key", "up/"], {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
            {"x-amz-credential": credential}, ["content-length-range", 1, greatest],
        ],
    });
    let policy = STANDARD.encode(policy.to_string());
    let mac = |key: &[u8], text: &str| -> Vec<u8> {
        Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().to_vec()
    };
    let first = format!("AWS4{}", key.secret_access_key).into_bytes();
    let signing = [day.as_str(), "us-east-1", "s3", "aws4_request"].iter().fold(first, |key, part| mac(&key, part));
    let signature = hex::encode(mac(&signing, &policy));
    let mut body = Vec::new();
    for (name, value) in [
        ("key", "up/${filename}"),
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        ("x-amz-credential", &credential),
        ("policy", &policy),
        ("x-amz-signature", &signature),
    ] {
        write!(body, "--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").unwrap();
    }
    write!(body, "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n").unwrap();
    body.extend(file);
    write!(body, "\r\n--XX--\r\n").unwrap();
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn form_uploads_are_verified_by_their_policy() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    send(&cloud, "s3", Method::PUT, "/forms", &[], b"").await;
    send(&cloud, "s3", Method::PUT, "/others", &[], b"").await;
    let post = async |bucket: &str, body: Vec<u8>| {
        let request = Request::post(format!("{}/{bucket}", cloud.endpoint()))
            .header("content-type", "multipart/form-data; boundary=XX")
            .body(Full::from(body))
            .unwrap();
        exchange(request).await.unwrap()
    };
    let key = cloud.credentials();
    let (code, text) = post("forms", form(&key, b"hello", 10)).await;
    assert_eq!(code, 204, "{text}");
    assert_eq!(send(&cloud, "s3", Method::GET, "/forms/up/a.txt", &[], b"").await, (200, "hello".to_owned()));

    let guessed = Credentials { secret_access_key: "guessed".into(), ..key.clone() };
    let (code, text) = post("forms", form(&guessed, b"hello", 10)).await;
    assert_eq!((code, element(&text, "Code").as_str()), (403, "SignatureDoesNotMatch"));
    let (code, text) = post("others", form(&key, b"hello", 10)).await;
    assert_eq!((code, element(&text, "Code").as_str()), (403, "AccessDenied"));
    let (code, text) = post("forms", form(&key, b"hello again", 10)).await;
    assert_eq!((code, element(&text, "Code").as_str()), (400, "EntityTooLarge"));
    assert_eq!(send(&cloud, "s3", Method::GET, "/forms/up/a.txt", &[], b"").await.1, "hello");
    let long = [vec![b'-'; 200_000], form(&key, b"x", 10)].concat();
    let (code, text) = post("forms", long).await;
    assert_eq!((code, element(&text, "Code").as_str()), (400, "MalformedPOSTRequest"));
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nesting_of_parameters_is_limited() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let nested = format!("Action=PutMetricData&Namespace=n&MetricData.{}Value=1", "member.1.".repeat(1000));
    let (code, text) = send(&cloud, "monitoring", Method::POST, "/", &[FORM], nested.as_bytes()).await;
    assert_eq!(code, 400, "{text}");
    assert_eq!(asked(&Api::of(&cloud), &[]).await, 200, "the cloud still answers");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_answers_only_requests_with_its_token() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new(directory.path());
    let running = tokio::spawn(async move { daemon::run(options).await });
    let found = support::eventually(async || daemon::find(directory.path()).await).await;
    let printed = format!("{found:?}{}", serde_json::to_string(&found).unwrap());
    assert!(!printed.contains(&token(directory.path())), "{printed}");
    let file = directory.path().join("credentials.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&token(directory.path()), "another")).unwrap();
    let stranger = daemon::find(directory.path()).await.unwrap();
    assert!(stranger.status().await.unwrap_err().to_string().contains("the token from"));
    std::fs::write(&file, text).unwrap();
    found.stop().await.unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_not_served_under_a_foreign_host() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let id = support::launch(&cloud, "#!/bin/sh\nexec sleep 600\n").await;
    support::running_service(&cloud, &id, None).await;
    let address = support::instance(&cloud, &id).await.address;
    let ask = |headers: &str| {
        let mut stream = TcpStream::connect((address, 1338)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET /latest/meta-data/instance-id HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Some(text)
    };
    let own = format!("Host: {address}:1338\r\n");
    let text = support::eventually(async || ask(&own)).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with(&id), "{text}");
    for headers in ["Host: evil.example:1338\r\n", "", &format!("{own}Origin: http://evil.example\r\n")] {
        let text = ask(headers).unwrap();
        assert!(text.starts_with("HTTP/1.1 403") || text.starts_with("HTTP/1.1 400"), "{headers}: {text}");
    }
    cloud.shutdown().await;
}
