//! The contract: requests and their exact responses, in order, on both databases.

use serde_json::{Value, json};

use crate::{Services, act, with_postgres, with_sqlite};

/// Request below the prefix, body, status and response. A response of `*` is an error with a message.
type Case = (&'static str, &'static str, u16, &'static str);

const USERS: &[Case] = &[
    ("GET /users", "", 204, ""),
    ("HEAD /users", "", 204, ""),
    ("POST /users", r#"{"username":"ana","password":"3d725109c7e7c0bfb9d709836735b56d943d263f"}"#, 201, "{}"),
    ("POST /users", r#"{"username":"ana","password":"3d725109c7e7c0bfb9d709836735b56d943d263f"}"#, 400, "*"),
    ("POST /users", r#"{"username":"Ana","password":"3D725109C7E7C0BFB9D709836735B56D943D263F"}"#, 201, "{}"),
    ("POST /users", r#"{"username":"a/ é","password":"3d725109c7e7c0bfb9d709836735b56d943d263f","x":1}"#, 201, "{}"),
    ("POST /users", r#"{"username":"eva"}"#, 400, "*"),
    ("POST /users", r#"{"password":"3d725109c7e7c0bfb9d709836735b56d943d263f"}"#, 400, "*"),
    ("POST /users", r#"{"username":"eva","password":"3d725109c7e7c0bfb9d709836735b56d943d263"}"#, 400, "*"),
    ("POST /users", r#"{"username":"eva","password":"3d725109c7e7c0bfb9d709836735b56d943d263ff"}"#, 400, "*"),
    ("POST /users", r#"{"username":"eva","password":"zd725109c7e7c0bfb9d709836735b56d943d263f"}"#, 400, "*"),
    ("POST /users", r#"{"username":"eva","password":5}"#, 400, "*"),
    ("POST /users", r#"{"username":"","password":"3d725109c7e7c0bfb9d709836735b56d943d263f"}"#, 400, "*"),
    ("POST /users", r#"{"username":"a\u0000","password":"3d725109c7e7c0bfb9d709836735b56d943d263f"}"#, 400, "*"),
    ("POST /users", "[]", 400, "*"),
    ("POST /users", "{", 400, "*"),
    ("POST /users", "", 400, "*"),
    ("GET /users", "", 200, r#"["ana","Ana","a/ é"]"#),
    ("HEAD /users", "", 200, ""),
    ("PUT /users", "{}", 405, "*"),
    ("DELETE /users", "", 405, "*"),
    ("PATCH /users", "", 405, "*"),
    ("BREW /users", "", 405, "*"),
    ("POST /validate_user", r#"{"username":"ana","password":"3d725109c7e7c0bfb9d709836735b56d943d263f"}"#, 200, "{}"),
    ("POST /validate_user", r#"{"username":"ana","password":"3D725109C7E7C0BFB9D709836735B56D943D263F"}"#, 200, "{}"),
    ("POST /validate_user", r#"{"username":"Ana","password":"3d725109c7e7c0bfb9d709836735b56d943d263f"}"#, 200, "{}"),
    ("POST /validate_user", r#"{"username":"ANA","password":"3d725109c7e7c0bfb9d709836735b56d943d263f"}"#, 204, ""),
    ("POST /validate_user", r#"{"username":"ana","password":"0d725109c7e7c0bfb9d709836735b56d943d263f"}"#, 400, "*"),
    ("POST /validate_user", r#"{"username":"ana","password":"secret"}"#, 400, "*"),
    ("POST /validate_user", r#"{"username":"ana"}"#, 400, "*"),
    ("POST /validate_user", r#"{"password":"3d725109c7e7c0bfb9d709836735b56d943d263f"}"#, 400, "*"),
    ("POST /validate_user", "", 400, "*"),
    ("GET /validate_user", "", 405, "*"),
    ("DELETE /validate_user", "", 405, "*"),
    ("DELETE /users/a%2F%20%C3%A9", "", 200, "{}"),
    ("DELETE /users/a%2F%20%C3%A9", "", 400, "*"),
    ("DELETE /users/eva", "", 400, "*"),
    ("DELETE /users/ANA", "", 400, "*"),
    ("DELETE /users/%00", "", 400, "*"),
    ("DELETE /users/%FF", "", 400, "*"),
    ("GET /users/ana", "", 405, "*"),
    ("POST /users/ana", "{}", 405, "*"),
    ("DELETE /users/ana", "", 200, "{}"),
    ("GET /users", "", 200, r#"["Ana"]"#),
    ("GET /users/ana/acts", "", 404, "*"),
    // The path of the OpenAPI document.
    ("POST /users", r#"{"username":"openapi.json","password":"3d725109c7e7c0bfb9d709836735b56d943d263f"}"#, 201, "{}"),
    ("PUT /users/openapi.json", "", 405, "*"),
    ("HEAD /users/openapi.json", "", 200, ""),
    ("DELETE /users/openapi.json", "", 200, "{}"),
    ("DELETE /users/openapi.json", "", 400, "*"),
    ("DELETE /users/Ana", "", 200, "{}"),
    ("GET /users", "", 204, ""),
];

const CATEGORIES: &[Case] = &[
    ("GET /categories", "", 204, ""),
    ("POST /categories", r#"["trees"]"#, 201, "{}"),
    ("POST /categories", r#"["trees"]"#, 400, "*"),
    ("POST /categories", r#"["Trees"]"#, 201, "{}"),
    ("POST /categories", r#"["a/b ?é"]"#, 201, "{}"),
    ("POST /categories", r#"[""]"#, 400, "*"),
    ("POST /categories", r#"["  "]"#, 400, "*"),
    ("POST /categories", r#"["a\u0000"]"#, 400, "*"),
    ("POST /categories", "[]", 400, "*"),
    ("POST /categories", r#"["a","b"]"#, 400, "*"),
    ("POST /categories", "[5]", 400, "*"),
    ("POST /categories", r#"{"name":"a"}"#, 400, "*"),
    ("POST /categories", r#""a""#, 400, "*"),
    ("POST /categories", "[", 400, "*"),
    ("POST /categories", "", 400, "*"),
    ("GET /categories", "", 200, r#"{"trees":0,"Trees":0,"a/b ?é":0}"#),
    ("HEAD /categories", "", 200, ""),
    ("PUT /categories", "", 405, "*"),
    ("DELETE /categories", "", 405, "*"),
    ("GET /categories/trees", "", 405, "*"),
    ("POST /categories/trees", "", 405, "*"),
    ("GET /categories/trees/acts", "", 204, ""),
    ("GET /categories/trees/acts/size", "", 200, "[0]"),
    ("GET /categories/trees/acts?start=1&end=1", "", 400, "*"),
    ("GET /categories/none/acts", "", 400, "*"),
    ("GET /categories/none/acts?start=1&end=1", "", 400, "*"),
    ("GET /categories/none/acts/size", "", 400, "*"),
    ("GET /categories/%00/acts", "", 400, "*"),
    ("POST /categories/trees/acts", "", 405, "*"),
    ("DELETE /categories/trees/acts", "", 405, "*"),
    ("DELETE /categories/trees/acts/size", "", 405, "*"),
    ("GET /categories/a%2Fb%20%3F%C3%A9/acts/size", "", 200, "[0]"),
    ("DELETE /categories/a%2Fb%20%3F%C3%A9", "", 200, "{}"),
    ("DELETE /categories/a%2Fb%20%3F%C3%A9", "", 400, "*"),
    ("DELETE /categories/Trees", "", 200, "{}"),
    ("GET /categories", "", 200, r#"{"trees":0}"#),
    ("GET /categories/", "", 404, "*"),
];

const FIRST: &str = r#"{"actId":1234,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"One \"oak\" é","upvotes":0,"categoryName":"trees","imgB64":"QUJD"}"#;

const ACTS: &[Case] = &[
    ("GET /acts/count", "", 200, "[0]"),
    ("POST /categories", r#"["trees"]"#, 201, "{}"),
    ("POST /categories", r#"["meals"]"#, 201, "{}"),
    ("POST /users", r#"{"username":"ana","password":"3d725109c7e7c0bfb9d709836735b56d943d263f"}"#, 201, "{}"),
    (
        "POST /acts",
        r#"{"actId":1234,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"One \"oak\" é","categoryName":"trees","imgB64":"QUJD"}"#,
        201,
        "{}",
    ),
    // The same ID.
    (
        "POST /acts",
        r#"{"actId":1234,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"c","categoryName":"meals","imgB64":"QUJD"}"#,
        400,
        "*",
    ),
    // Unknown user, unknown category.
    (
        "POST /acts",
        r#"{"actId":1,"username":"eva","timestamp":"29-02-2024:56-34-12","caption":"c","categoryName":"trees","imgB64":"QUJD"}"#,
        400,
        "*",
    ),
    (
        "POST /acts",
        r#"{"actId":1,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"c","categoryName":"none","imgB64":"QUJD"}"#,
        400,
        "*",
    ),
    // Missing fields.
    (
        "POST /acts",
        r#"{"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"c","categoryName":"trees","imgB64":"QUJD"}"#,
        400,
        r#"{"detail":"actId is missing."}"#,
    ),
    (
        "POST /acts",
        r#"{"actId":1,"timestamp":"29-02-2024:56-34-12","caption":"c","categoryName":"trees","imgB64":"QUJD"}"#,
        400,
        r#"{"detail":"username is missing."}"#,
    ),
    (
        "POST /acts",
        r#"{"actId":1,"username":"ana","caption":"c","categoryName":"trees","imgB64":"QUJD"}"#,
        400,
        r#"{"detail":"timestamp is missing."}"#,
    ),
    (
        "POST /acts",
        r#"{"actId":1,"username":"ana","timestamp":"29-02-2024:56-34-12","categoryName":"trees","imgB64":"QUJD"}"#,
        400,
        r#"{"detail":"caption is missing."}"#,
    ),
    (
        "POST /acts",
        r#"{"actId":1,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"c","imgB64":"QUJD"}"#,
        400,
        r#"{"detail":"categoryName is missing."}"#,
    ),
    (
        "POST /acts",
        r#"{"actId":1,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"c","categoryName":"trees"}"#,
        400,
        r#"{"detail":"imgB64 is missing."}"#,
    ),
    // Invalid fields.
    (
        "POST /acts",
        r#"{"actId":"1","username":"ana","timestamp":"29-02-2024:56-34-12","caption":"c","categoryName":"trees","imgB64":"QUJD"}"#,
        400,
        "*",
    ),
    (
        "POST /acts",
        r#"{"actId":1,"username":"ana","timestamp":"29-02-2023:56-34-12","caption":"c","categoryName":"trees","imgB64":"QUJD"}"#,
        400,
        "*",
    ),
    (
        "POST /acts",
        r#"{"actId":1,"username":"ana","timestamp":"29-02-2024:12-34-56","caption":"c","categoryName":"trees","imgB64":"QUJD"}"#,
        400,
        "*",
    ),
    (
        "POST /acts",
        r#"{"actId":1,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"c","categoryName":"trees","imgB64":"not base64"}"#,
        400,
        "*",
    ),
    (
        "POST /acts",
        r#"{"actId":1,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"c","upvotes":0,"categoryName":"trees","imgB64":"QUJD"}"#,
        400,
        "*",
    ),
    ("POST /acts", "[]", 400, "*"),
    ("POST /acts", "", 400, "*"),
    ("GET /acts", "", 405, "*"),
    ("DELETE /acts", "", 405, "*"),
    ("GET /acts/count", "", 200, "[1]"),
    ("HEAD /acts/count", "", 200, ""),
    ("POST /acts/count", "", 405, "*"),
    ("DELETE /acts/count", "", 405, "*"),
    // Votes.
    ("POST /acts/upvote", "[1234]", 200, "{}"),
    ("POST /acts/upvote", "[1234]", 200, "{}"),
    ("POST /acts/upvote", "[1]", 400, "*"),
    ("POST /acts/upvote", "[-1]", 400, "*"),
    ("POST /acts/upvote", r#"["1234"]"#, 400, "*"),
    ("POST /acts/upvote", "[]", 400, "*"),
    ("POST /acts/upvote", "[1234,1234]", 400, "*"),
    ("POST /acts/upvote", "1234", 400, "*"),
    ("POST /acts/upvote", "", 400, "*"),
    ("GET /acts/upvote", "", 405, "*"),
    ("DELETE /acts/upvote", "", 405, "*"),
    ("HEAD /acts/upvote", "", 405, ""),
    ("GET /categories", "", 200, r#"{"trees":1,"meals":0}"#),
    ("GET /categories/trees/acts/size", "", 200, "[1]"),
    ("GET /list_act_user/eva", "", 204, ""),
    ("POST /list_act_user/ana", "", 405, "*"),
    ("DELETE /list_act_user/ana", "", 405, "*"),
    // Equal timestamps: the later upload is first. An earlier timestamp is last.
    (
        "POST /acts",
        r#"{"actId":2,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"","categoryName":"trees","imgB64":""}"#,
        201,
        "{}",
    ),
    (
        "POST /acts",
        r#"{"actId":0,"username":"ana","timestamp":"28-02-2024:59-59-23","caption":"c","categoryName":"trees","imgB64":"QQ=="}"#,
        201,
        "{}",
    ),
    (
        "POST /acts",
        r#"{"actId":9007199254740991,"username":"ana","timestamp":"01-03-2024:00-00-00","caption":"c","categoryName":"meals","imgB64":"QQ=="}"#,
        201,
        "{}",
    ),
    ("POST /acts/upvote", "[9007199254740991]", 200, "{}"),
    (
        "GET /categories/trees/acts",
        "",
        200,
        concat!(
            r#"[{"actId":2,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"","upvotes":0,"categoryName":"trees","imgB64":""},"#,
            r#"{"actId":1234,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"One \"oak\" é","upvotes":2,"categoryName":"trees","imgB64":"QUJD"},"#,
            r#"{"actId":0,"username":"ana","timestamp":"28-02-2024:59-59-23","caption":"c","upvotes":0,"categoryName":"trees","imgB64":"QQ=="}]"#
        ),
    ),
    ("HEAD /categories/trees/acts", "", 200, ""),
    (
        "GET /categories/trees/acts?start=2&end=2",
        "",
        200,
        r#"[{"actId":1234,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"One \"oak\" é","upvotes":2,"categoryName":"trees","imgB64":"QUJD"}]"#,
    ),
    (
        "GET /list_act_user/ana",
        "",
        200,
        concat!(
            r#"[{"actId":9007199254740991,"username":"ana","timestamp":"01-03-2024:00-00-00","caption":"c","upvotes":1,"categoryName":"meals","imgB64":"QQ=="},"#,
            r#"{"actId":2,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"","upvotes":0,"categoryName":"trees","imgB64":""},"#,
            r#"{"actId":1234,"username":"ana","timestamp":"29-02-2024:56-34-12","caption":"One \"oak\" é","upvotes":2,"categoryName":"trees","imgB64":"QUJD"},"#,
            r#"{"actId":0,"username":"ana","timestamp":"28-02-2024:59-59-23","caption":"c","upvotes":0,"categoryName":"trees","imgB64":"QQ=="}]"#
        ),
    ),
    ("GET /categories/trees/acts?start=0&end=1", "", 400, "*"),
    ("GET /categories/trees/acts?start=1&end=4", "", 400, "*"),
    ("GET /categories/trees/acts?start=3&end=2", "", 400, "*"),
    ("GET /categories/trees/acts?start=1", "", 400, "*"),
    ("GET /categories/trees/acts?end=1", "", 400, "*"),
    ("GET /categories/trees/acts?start=a&end=1", "", 400, "*"),
    ("GET /categories/trees/acts?start=1&end=100", "", 400, "*"),
    ("GET /categories/trees/acts?start=1&end=101", "", 413, "*"),
    ("GET /categories/trees/acts?start=5&end=18446744073709551615", "", 413, "*"),
    // Delete.
    ("GET /acts/2", "", 405, "*"),
    ("POST /acts/2", "", 405, "*"),
    ("DELETE /acts/2", "", 200, "{}"),
    ("DELETE /acts/2", "", 400, "*"),
    ("DELETE /acts/-1", "", 400, "*"),
    ("DELETE /acts/+0", "", 400, "*"),
    ("DELETE /acts/two", "", 400, "*"),
    ("DELETE /acts/9223372036854775808", "", 400, "*"),
    ("DELETE /acts/%00", "", 400, "*"),
    ("DELETE /acts/0", "", 200, "{}"),
    ("GET /categories/trees/acts/size", "", 200, "[1]"),
    ("DELETE /categories/trees", "", 200, "{}"),
    ("GET /acts/count", "", 200, "[1]"),
    ("POST /acts/upvote", "[1234]", 400, "*"),
    ("GET /categories", "", 200, r#"{"meals":1}"#),
    ("DELETE /categories/meals", "", 200, "{}"),
    ("GET /list_act_user/ana", "", 204, ""),
    ("GET /nowhere", "", 404, "*"),
    ("POST /openapi.json", "", 405, "*"),
    ("GET /_health", "", 200, "{}"),
    ("HEAD /_health", "", 200, ""),
    ("POST /_health", "", 405, "*"),
    ("DELETE /_health", "", 405, "*"),
    ("GET /_crash", "", 405, "*"),
    ("DELETE /_crash", "", 405, "*"),
    ("POST /_count", "", 405, "*"),
];

fn check(services: &Services, cases: &[Case]) {
    for (request, body, status, expected) in cases {
        let answer = services.send(request, body);
        assert_eq!(answer.status, *status, "{request} {body}: {answer:?}");
        if *expected == "*" {
            let error: Value = serde_json::from_str(&answer.body).unwrap();
            assert!(error["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{request}: {answer:?}");
        } else {
            assert_eq!(answer.body, *expected, "{request} {body}");
        }
        if !answer.body.is_empty() {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{request}");
        }
        if *status == 405 {
            assert!(answer.header("allow").is_some(), "{request}: {answer:?}");
        }
    }
}

fn keeps_its_contract(database_url: &str) {
    let services = Services::start(database_url);
    check(&services, USERS);
    check(&services, CATEGORIES);
    assert_eq!(services.send("DELETE /categories/trees", "").status, 200);
    check(&services, ACTS);
    let after_upload = services.send("POST /categories", r#"["trees"]"#);
    assert_eq!(after_upload.status, 201);
    assert_eq!(services.send("POST /acts", &act(1234, "ana", "trees")).status, 201);
    let listed: Value = serde_json::from_str(&services.send("GET /list_act_user/ana", "").body).unwrap();
    let keys = |act: &Value| act.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&listed[0]), keys(&serde_json::from_str(FIRST).unwrap()));
}

/// Positions are of the whole list, across the pages in which it is read.
fn long_lists_are_complete(database_url: &str) {
    let services = Services::start(database_url);
    services.sign_up("ana");
    assert_eq!(services.send("POST /categories", r#"["trees"]"#).status, 201);
    for id in 1..=100 {
        assert_eq!(services.send("POST /acts", &act(id, "ana", "trees")).status, 201);
    }
    let ids = |request: &str| -> Vec<u64> {
        let answer = services.send(request, "");
        assert_eq!(answer.status, 200, "{request}: {answer:?}");
        let acts: Vec<Value> = serde_json::from_str(&decoded(&answer)).unwrap();
        acts.iter().map(|act| act["actId"].as_u64().unwrap()).collect()
    };
    let newest_first: Vec<u64> = (1..=100).rev().collect();
    assert_eq!(ids("GET /categories/trees/acts"), newest_first);
    assert_eq!(ids("GET /categories/trees/acts?start=1&end=100"), newest_first);
    assert_eq!(ids("GET /categories/trees/acts?start=8&end=32"), newest_first[7..32]);
    assert_eq!(ids("GET /categories/trees/acts?start=100&end=100"), [1]);
    assert_eq!(ids("GET /list_act_user/ana"), newest_first);

    assert_eq!(services.send("POST /acts", &act(101, "ana", "trees")).status, 201);
    for (request, status) in [
        ("GET /categories/trees/acts", 413),
        ("GET /categories/trees/acts?start=1&end=101", 413),
        ("GET /categories/trees/acts?start=2&end=102", 413),
        ("GET /categories/trees/acts?start=3&end=102", 400),
    ] {
        assert_eq!(services.send(request, "").status, status, "{request}");
    }
    assert_eq!(ids("GET /categories/trees/acts?start=2&end=101"), newest_first);
    assert_eq!(ids("GET /list_act_user/ana").len(), 101);
    assert_eq!(services.send("GET /categories", "").body, json!({ "trees": 101 }).to_string());
    assert_eq!(services.send("GET /categories/trees/acts/size", "").body, "[101]");
    assert_eq!(services.send("GET /acts/count", "").body, "[101]");
}

/// A list that is too large for one page is sent in pages, also if it has a few acts.
fn large_pictures_are_listed(database_url: &str) {
    let services = Services::start(database_url);
    services.sign_up("ana");
    assert_eq!(services.send("POST /categories", r#"["trees"]"#).status, 201);
    let picture = "QUJD".repeat(225 * 1024);
    for id in 1..=3 {
        let act = act(id, "ana", "trees").replace("QUJD", &picture);
        assert_eq!(services.send("POST /acts", &act).status, 201);
    }
    for (request, expected) in [
        ("GET /categories/trees/acts", &[3, 2, 1][..]),
        ("GET /categories/trees/acts?start=1&end=3", &[3, 2, 1]),
        ("GET /categories/trees/acts?start=2&end=3", &[2, 1]),
    ] {
        let acts: Vec<Value> = serde_json::from_str(&decoded(&services.send(request, ""))).unwrap();
        let found: Vec<_> = acts.iter().map(|act| act["actId"].as_u64().unwrap()).collect();
        assert_eq!(found, expected, "{request}");
        assert!(acts.iter().all(|act| act["imgB64"] == picture), "{request}");
    }
}

/// Returns the body of a response, without the sizes of its chunks.
fn decoded(answer: &kit::testing::Answer) -> String {
    if answer.header("transfer-encoding").is_none() {
        return answer.body.clone();
    }
    let (mut decoded, mut rest) = (String::new(), answer.body.as_str());
    loop {
        let (size, chunks) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return decoded;
        }
        decoded += &chunks[..size];
        rest = chunks[size..].strip_prefix("\r\n").unwrap();
    }
}

#[test]
fn the_services_keep_their_contract_on_sqlite() {
    with_sqlite(keeps_its_contract);
}

#[test]
fn the_services_keep_their_contract_on_postgres() {
    with_postgres(keeps_its_contract);
}

#[test]
fn long_lists_are_complete_on_sqlite() {
    with_sqlite(long_lists_are_complete);
}

#[test]
fn long_lists_are_complete_on_postgres() {
    with_postgres(long_lists_are_complete);
}

#[test]
fn large_pictures_are_listed_on_sqlite() {
    with_sqlite(large_pictures_are_listed);
}

#[test]
fn large_pictures_are_listed_on_postgres() {
    with_postgres(large_pictures_are_listed);
}
