//! Logs of requests and connections in buckets.

use std::io::Read as _;

use flate2::read::GzDecoder;
use rustls::pki_types::CertificateDer;
use serde_json::json;

use super::routing::{connect, identity};
use super::*;
use crate::model::Account;
use crate::model::clock::TimeScale;
use crate::model::s3::{Encryption, Settings as BucketSettings};
use crate::state::Shared;
use crate::state::address::AddressBlock;

/// A cloud with the bucket `logs`.
pub(super) struct Store {
    shared: Shared,
    _directory: tempfile::TempDir,
}

/// Starts the logs with an interval of five minutes.
pub(super) fn start() -> (AccessLogs, Store) {
    let directory = tempfile::tempdir().unwrap();
    let addresses = AddressBlock::claim(directory.path()).unwrap();
    let shared = Shared::load(directory.path(), Account::default(), addresses).unwrap();
    let statement = json!({"Effect": "Allow", "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject", "Resource": "arn:aws:s3:::logs/web/AWSLogs/*"});
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let settings = BucketSettings {
        name: "logs".to_owned(),
        region: "us-east-1".to_owned(),
        created: chrono::Utc::now(),
        tags: None,
        versioning: None,
        public_access_block: None,
        encryption: Encryption::default(),
        cors: Vec::new(),
        configurations: BTreeMap::from([("policy".to_owned(), policy)]),
        acl: Vec::new(),
    };
    shared.objects().create_bucket(settings).unwrap();
    let logs = AccessLogs::start(Deliveries::new(shared.clone(), TimeScale(1.0))).unwrap();
    (logs, Store { shared, _directory: directory })
}

impl Store {
    /// Returns the lines of all logs of a kind, after the request has been answered and its entry has been written.
    async fn lines(&self, logs: &AccessLogs, prefix: &str, count: usize) -> Vec<String> {
        let deadline = Instant::now() + LONG;
        loop {
            let logs = logs.clone();
            tokio::task::spawn_blocking(move || logs.deliver_all()).await.unwrap();
            let lines = self.delivered(prefix);
            if lines.len() >= count {
                return lines;
            }
            assert!(Instant::now() < deadline, "the log has only {lines:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn delivered(&self, prefix: &str) -> Vec<String> {
        let objects = self.shared.objects();
        let mut lines = Vec::new();
        for path in objects.paths() {
            let Some(key) = path.strip_prefix("logs/").filter(|key| key.contains(prefix)) else { continue };
            assert!(key.starts_with("web/AWSLogs/000000000000/elasticloadbalancing/us-east-1/20"), "{key}");
            assert!(key.ends_with(".log.gz"), "{key}");
            let mut text = String::new();
            let file = std::fs::File::open(objects.file("logs", key).unwrap()).unwrap();
            GzDecoder::new(file).read_to_string(&mut text).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
    }
}

fn place(kind: LogKind) -> LogPlace {
    LogPlace {
        kind,
        region: "us-east-1".to_owned(),
        account: Account::default(),
        bucket: "logs".to_owned(),
        prefix: "web".to_owned(),
        balancer: "app/web/50dc6c495c0c9188".to_owned(),
        address: "10.0.0.4".to_owned(),
    }
}

/// Returns the fields of an entry, without quotation marks.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().unwrap().push(character),
        }
    }
    fields
}

#[tokio::test]
async fn requests_are_delivered_to_the_bucket_with_the_fields_of_aws() {
    let (logs, store) = start();
    let server = Server::start("one").await;
    let pool = pool();
    pool.set_targets(&targets([("i-1", server.address)]));
    let settings = Settings { delivered_requests: Some(logs.delivered(place(LogKind::Access))), ..Settings::default() };
    let proxy = listener(Route { settings, ..forwards([(&pool, 1)]) }).await;
    let request = Request::post("/echo?b=%22c").header("host", "shop.example.org").header("user-agent", "a \"b\"");
    let answer = fetch(proxy.address(), request.body(Full::from("12345")).unwrap()).await;
    assert_eq!(answer.text, "12345");
    let lines = store.lines(&logs, "/000000000000_elasticloadbalancing_us-east-1_app.web.50dc6c495c0c9188_", 1).await;
    let fields = fields(&lines[0]);
    assert_eq!(fields.len(), 30, "{fields:?}");
    let port = proxy.address().port();
    assert_eq!((fields[0].as_str(), fields[2].as_str()), ("http", "app/web/50dc6c495c0c9188"));
    assert!(fields[3].starts_with("127.0.0.1:"), "{fields:?}");
    assert_eq!(fields[4], server.address.to_string());
    assert!(fields[5..8].iter().all(|time| time.parse::<f64>().is_ok_and(|time| time >= 0.0)), "{fields:?}");
    assert_eq!((fields[8].as_str(), fields[9].as_str()), ("200", "200"));
    let (received, sent): (u64, u64) = (fields[10].parse().unwrap(), fields[11].parse().unwrap());
    assert!(received > 5 && sent > 5, "{fields:?}");
    assert_eq!(fields[12], format!("POST http://shop.example.org:{port}/echo?b=%22c HTTP/1.1"));
    assert_eq!(fields[13], r"a \x22b\x22");
    assert_eq!((fields[14].as_str(), fields[15].as_str(), fields[16].as_str()), ("-", "-", "arn:targets"));
    assert!(fields[17].starts_with("Root=1-"), "{fields:?}");
    assert_eq!(fields[18..21], ["-", "-", "0"]);
    assert!(fields[21] <= fields[1], "the request precedes the response");
    assert_eq!(fields[22..25], ["forward", "-", "-"]);
    assert_eq!(fields[25..29], [server.address.to_string(), "200".to_owned(), "-".to_owned(), "-".to_owned()]);
    assert!(fields[29].starts_with("TID_"), "{fields:?}");
}

#[tokio::test]
async fn errors_redirects_and_tls_are_in_the_entries() {
    let (logs, store) = start();
    let (certificate, own): (CertificateDer<'static>, _) = identity("shop.example.org");
    let redirect = crate::model::elbv2::routing::Redirect {
        protocol: "HTTPS".to_owned(),
        host: "#{host}".to_owned(),
        port: "443".to_owned(),
        path: "/#{path}".to_owned(),
        query: String::new(),
        status: 301,
    };
    let condition = crate::model::elbv2::routing::Condition::PathPattern(vec!["/old".to_owned()]);
    let rules = vec![Rule { priority: 7, conditions: vec![(&condition).into()], action: Action::Redirect(redirect) }];
    let settings = Settings {
        delivered_requests: Some(logs.delivered(place(LogKind::Access))),
        delivered_connections: Some(logs.delivered(place(LogKind::Connection))),
        ..Settings::default()
    };
    let route = Route { rules, settings, ..forwards([(&pool(), 1)]) };
    let tls = Tls { identities: vec![own], tls12: true, tls13: true, http2: true };
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = ProxyListener::new(tcp, route, Some(tls), &workers()).unwrap();
    for path in ["/old", "/new"] {
        let stream = connect(&proxy, "shop.example.org", &certificate, b"http/1.1").await;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get(path).header("host", "shop.example.org").header("content-length", "0");
        sender.send_request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    }
    // A client that does not speak TLS.
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();

    let lines = store.lines(&logs, "/000000000000_", 2).await;
    let mut entries: Vec<Vec<String>> = lines.iter().map(|line| fields(line)).collect();
    entries.sort_by_key(|fields| fields[8].clone());
    let [moved, failed] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((moved[0].as_str(), moved[8].as_str(), moved[4].as_str()), ("https", "301", "-"));
    assert_eq!(moved[5..8], ["-1", "-1", "-1"]);
    assert_eq!((moved[14].as_str(), moved[15].as_str()), ("TLS_AES_256_GCM_SHA384", "TLSv1.3"));
    assert_eq!(moved[18..21], ["shop.example.org", "arn:shop.example.org", "7"]);
    assert_eq!((moved[22].as_str(), moved[23].as_str()), ("redirect", "https://shop.example.org:443/old"));
    assert_eq!(moved[27..29], ["Acceptable", "GetHeadZeroContentLength"]);
    assert_eq!((failed[8].as_str(), failed[9].as_str(), failed[22].as_str()), ("503", "-", "forward"));

    let lines = store.lines(&logs, "/conn_log.000000000000_", 3).await;
    let entries: Vec<Vec<String>> = lines.iter().map(|line| fields(line)).collect();
    assert!(entries.iter().all(|fields| fields.len() == 12), "{entries:?}");
    let succeeded: Vec<_> = entries.iter().filter(|fields| fields[10] == "Success").collect();
    assert_eq!(succeeded.len(), 2, "{entries:?}");
    assert_eq!(succeeded[0][3..6], [&proxy.address().port().to_string(), "TLSv1.3", "TLS_AES_256_GCM_SHA384"]);
    assert!(succeeded.iter().any(|fields| fields[11] == moved[29]), "both logs have the connection");
    assert!(entries.iter().any(|fields| fields[10] == "Failed:UnmappedConnectionError"), "{entries:?}");
}

#[tokio::test]
async fn a_client_that_disconnects_before_the_response_is_logged_with_460() {
    let (logs, store) = start();
    let server = Server::start("one").await;
    let pool = pool();
    pool.set_targets(&targets([("i-1", server.address)]));
    until_state(&pool, "i-1", HealthState::Healthy).await;
    let settings = Settings { delivered_requests: Some(logs.delivered(place(LogKind::Access))), ..Settings::default() };
    let proxy = listener(Route { settings, ..forwards([(&pool, 1)]) }).await;
    let before = server.connections.load(Ordering::SeqCst);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    until("the request has reached the server", || server.connections.load(Ordering::SeqCst) > before).await;
    drop(stream);
    let lines = store.lines(&logs, "/000000000000_", 1).await;
    let fields = fields(&lines[0]);
    assert_eq!((fields[8].as_str(), fields[9].as_str()), ("460", "-"));
    assert_eq!(proxy.own_errors(), [1, 0]);
}

#[tokio::test]
async fn logs_are_not_delivered_without_permission_of_the_bucket() {
    let (logs, store) = start();
    let elsewhere = LogPlace { prefix: "other".to_owned(), ..place(LogKind::Access) };
    let settings = Settings { delivered_requests: Some(logs.delivered(elsewhere)), ..Settings::default() };
    let proxy = listener(Route { settings, ..forwards([(&pool(), 1)]) }).await;
    get(&proxy, "/").await;
    // The entry is sent when the body of the response is dropped, which precedes the end of the connection.
    let handle = logs.clone();
    tokio::task::spawn_blocking(move || handle.deliver_all()).await.unwrap();
    assert_eq!(store.shared.objects().paths(), ["logs"]);
}
