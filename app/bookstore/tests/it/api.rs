//! The JSON API.

use bookstore::api::openapi;
use serde_json::{Value, json};

use crate::shop::{PASSWORD, Shop};

/// Caller (`a`, `b` or none), request, body, status and exact response.
type Case = (&'static str, &'static str, &'static str, u16, &'static str);

const NO_TOKEN: &str =
    r#"{"error":"Send the header `Authorization: Bearer <token>` with a token of POST /api/login."}"#;
const NOT_FOUND: &str = r#"{"error":"Not found."}"#;
const NO_STOCK: &str = r#"{"error":"No hay suficiente stock disponible."}"#;
const QUANTITY: &str = r#"{"error":"quantity: Enter a whole number of at least 1."}"#;

const CASES: &[Case] = &[
    // Accounts.
    ("", "POST /api/register", "nonsense", 400, r#"{"error":"body: Send a JSON object."}"#),
    ("", "POST /api/register", "[]", 400, r#"{"error":"body: Send a JSON object."}"#),
    (
        "",
        "POST /api/register",
        r#"{"name":"c","email":"c","password":"x"}"#,
        400,
        r#"{"error":"email: Enter an email address such as ana@example.org. password: This password is too short. It must contain at least 8 characters."}"#,
    ),
    (
        "",
        "POST /api/register",
        r#"{"name":"Carla","email":"C@example.org","password":"correct horse"}"#,
        201,
        r#"{"email":"c@example.org","id":4,"is_admin":false,"name":"Carla"}"#,
    ),
    (
        "",
        "POST /api/register",
        r#"{"name":"c","email":"A@example.org","password":"correct horse"}"#,
        409,
        r#"{"error":"A user with this email address exists already."}"#,
    ),
    (
        "",
        "POST /api/login",
        r#"{"email":"a@example.org","password":"wrong"}"#,
        401,
        r#"{"error":"The email address or the password is wrong."}"#,
    ),
    ("", "POST /api/login", "{}", 401, r#"{"error":"The email address or the password is wrong."}"#),
    (
        "a",
        "GET /api/check_login",
        "",
        200,
        r#"{"logged_in":true,"user":{"email":"a@example.org","id":2,"is_admin":false,"name":"a"}}"#,
    ),
    ("", "GET /api/check_login", "", 401, NO_TOKEN),
    // Books.
    ("", "GET /api/books", "", 200, "[]"),
    ("", "POST /api/books", "{}", 401, NO_TOKEN),
    ("a", "POST /api/books", "", 400, r#"{"error":"body: Send a JSON object."}"#),
    (
        "a",
        "POST /api/books",
        r#"{"title":"t","author":true,"price":"1","stock":1}"#,
        400,
        r#"{"error":"author: Send a text."}"#,
    ),
    (
        "a",
        "POST /api/books",
        r#"{"title":"t","price":"a lot","stock":-1}"#,
        400,
        r#"{"error":"author: This value is required. price: Enter an amount between 0 and 99999999.99, such as 12.50. stock: Enter a whole number between 0 and 1000000."}"#,
    ),
    (
        "a",
        "POST /api/books",
        r#"{"title":"Rayuela","author":"Cortázar","description":"d","price":29.99,"stock":5}"#,
        201,
        r#"{"author":"Cortázar","description":"d","id":1,"price":"29.99","seller_id":2,"stock":5,"title":"Rayuela"}"#,
    ),
    (
        "",
        "GET /api/books/1",
        "",
        200,
        r#"{"author":"Cortázar","description":"d","id":1,"price":"29.99","seller_id":2,"stock":5,"title":"Rayuela"}"#,
    ),
    ("", "GET /api/books/2", "", 404, NOT_FOUND),
    ("", "GET /api/books/x", "", 404, NOT_FOUND),
    ("", "GET /api/books?page=0", "", 400, r#"{"error":"page: Enter a whole number between 1 and 100000."}"#),
    ("", "GET /api/books?size=101", "", 400, r#"{"error":"size: Enter a whole number between 1 and 100."}"#),
    ("", "PUT /api/books/1", "{}", 401, NO_TOKEN),
    ("b", "PUT /api/books/1", "{}", 403, r#"{"error":"Only its seller can change this book."}"#),
    ("a", "PUT /api/books/2", "{}", 404, NOT_FOUND),
    ("a", "PUT /api/books/1", r#"{"title":" "}"#, 400, r#"{"error":"title: This value is required."}"#),
    (
        "a",
        "PUT /api/books/1",
        r#"{"price":"10","description":null,"seller_id":3,"id":9}"#,
        200,
        r#"{"author":"Cortázar","description":"d","id":1,"price":"10.00","seller_id":2,"stock":5,"title":"Rayuela"}"#,
    ),
    (
        "",
        "GET /api/books",
        "",
        200,
        r#"[{"author":"Cortázar","description":"d","id":1,"price":"10.00","seller_id":2,"stock":5,"title":"Rayuela"}]"#,
    ),
    (
        "a",
        "POST /api/my-books",
        "",
        200,
        r#"[{"author":"Cortázar","description":"d","id":1,"price":"10.00","seller_id":2,"stock":5,"title":"Rayuela"}]"#,
    ),
    ("b", "POST /api/my-books", "", 200, "[]"),
    ("", "POST /api/my-books", "", 401, NO_TOKEN),
    // Purchases.
    ("", "POST /api/buy", r#"{"book_id":1,"quantity":1}"#, 401, NO_TOKEN),
    (
        "b",
        "POST /api/buy",
        r#"{"book_id":1,"quantity":2,"price":"0.01","token":"t-1"}"#,
        201,
        r#"{"book_id":1,"id":1,"quantity":2,"status":"Pending Payment","total_price":"20.00"}"#,
    ),
    (
        "b",
        "POST /api/buy",
        r#"{"book_id":1,"quantity":2,"token":"t-1"}"#,
        201,
        r#"{"book_id":1,"id":1,"quantity":2,"status":"Pending Payment","total_price":"20.00"}"#,
    ),
    (
        "b",
        "POST /api/buy",
        r#"{"book_id":1,"quantity":1,"token":"t-1"}"#,
        409,
        r#"{"error":"This form has already bought something else. Reload the page."}"#,
    ),
    ("b", "POST /api/buy", r#"{"book_id":1,"quantity":4}"#, 400, NO_STOCK),
    ("b", "POST /api/buy", r#"{"book_id":2,"quantity":1}"#, 404, NOT_FOUND),
    ("b", "POST /api/buy", r#"{"book_id":1,"quantity":0}"#, 400, QUANTITY),
    ("b", "POST /api/buy", r#"{"book_id":1,"quantity":-1}"#, 400, QUANTITY),
    ("b", "POST /api/buy", r#"{"book_id":1}"#, 400, QUANTITY),
    (
        "b",
        "POST /api/buy",
        r#"{"quantity":1}"#,
        400,
        r#"{"error":"book_id: Send the ID, a whole number of at least 1."}"#,
    ),
    ("", "POST /api/payment", "{}", 401, NO_TOKEN),
    (
        "a",
        "POST /api/payment",
        r#"{"purchase_id":1,"method":"Card"}"#,
        403,
        r#"{"error":"This purchase belongs to another user."}"#,
    ),
    ("b", "POST /api/payment", r#"{"purchase_id":2,"method":"Card"}"#, 404, NOT_FOUND),
    ("b", "POST /api/payment", r#"{"purchase_id":1}"#, 400, r#"{"error":"method: This value is required."}"#),
    (
        "b",
        "POST /api/payment",
        r#"{"purchase_id":1,"payment_method":"Card","amount":1}"#,
        201,
        r#"{"amount":"20.00","id":1,"payment_method":"Card","payment_status":"Paid","purchase_id":1}"#,
    ),
    // Deliveries.
    (
        "",
        "GET /api/delivery/providers",
        "",
        200,
        r#"[{"cost":"50.00","coverage_area":"Internacional","id":1,"name":"DHL"},{"cost":"45.00","coverage_area":"Internacional","id":2,"name":"FedEx"},{"cost":"20.00","coverage_area":"Nacional","id":3,"name":"Envia"},{"cost":"15.00","coverage_area":"Nacional","id":4,"name":"Servientrega"}]"#,
    ),
    ("", "POST /api/delivery/assignment", "{}", 401, NO_TOKEN),
    (
        "a",
        "POST /api/delivery/assignment",
        r#"{"purchase_id":1,"provider_id":1}"#,
        403,
        r#"{"error":"This purchase belongs to another user."}"#,
    ),
    (
        "b",
        "POST /api/delivery/assignment",
        r#"{"purchase_id":1,"provider_id":9}"#,
        400,
        r#"{"error":"Select one of the delivery providers."}"#,
    ),
    (
        "b",
        "POST /api/delivery/assignment",
        r#"{"purchase_id":1,"provider_id":2}"#,
        201,
        r#"{"id":1,"provider_id":2,"purchase_id":1}"#,
    ),
    // Deletion.
    ("", "DELETE /api/books/1", "", 401, NO_TOKEN),
    ("b", "DELETE /api/books/1", "", 403, r#"{"error":"Only its seller can change this book."}"#),
    ("a", "DELETE /api/books/1", "", 204, ""),
    ("a", "DELETE /api/books/1", "", 404, NOT_FOUND),
    ("", "GET /api/books/1", "", 404, NOT_FOUND),
    ("b", "POST /api/buy", r#"{"book_id":1,"quantity":1}"#, 404, NOT_FOUND),
    // Other paths and methods.
    ("", "GET /api", "", 404, NOT_FOUND),
    ("", "GET /api/nothing", "", 404, NOT_FOUND),
    ("", "GET /api/buy", "", 405, r#"{"error":"Method \"GET\" not allowed."}"#),
    ("", "PATCH /api/books/1", "", 405, r#"{"error":"Method \"PATCH\" not allowed."}"#),
    ("", "BREW /api/books", "", 405, r#"{"error":"Method \"BREW\" not allowed."}"#),
];

pub(crate) fn the_api_keeps_its_contract(shop: &Shop) {
    let (a, b) = (shop.client("a"), shop.client("b"));
    for (caller, request, body, status, expected) in CASES {
        let answer = match *caller {
            "a" => a.send(request, body),
            "b" => b.send(request, body),
            _ => shop.service.send(request, body),
        };
        assert_eq!((answer.status, answer.body.as_str()), (*status, *expected), "{caller} {request} {body}");
        let kind = (!expected.is_empty()).then_some("application/json");
        assert_eq!(answer.header("content-type"), kind, "{request}");
        let challenge = (*status == 401).then_some(r#"Bearer realm="bookstore""#);
        assert_eq!(answer.header("www-authenticate"), challenge, "{request}");
    }
    assert_eq!(shop.service.send("PATCH /api/books/1", "").header("allow"), Some("GET, HEAD, PUT, DELETE"));
}

pub(crate) fn tokens_are_verified(shop: &Shop) {
    let client = shop.client("a");
    let credentials = json!({ "email": "a@example.org", "password": PASSWORD }).to_string();
    let answer = shop.service.send("POST /api/login", &credentials);
    let token: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, &token["expires_in"]), (200, &json!(86_400)));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(client.send("GET /api/check_login", "").status, 200);
    // Another instance accepts the token.
    let other = shop.other_instance(&[]);
    let check = |shop: &Shop, authorization: &str| {
        shop.service.send_with("GET /api/check_login", &[("Authorization", authorization)], "").status
    };
    assert_eq!(check(&other, &client.authorization), 200);
    assert_eq!(check(&other, &client.authorization.replacen("Bearer", "bearer", 1)), 200);
    let keyed = shop.other_instance(&[("SECRET_KEY", "another key of at least 32 bytes")]);
    assert_eq!(check(&keyed, &client.authorization), 401);

    let mut browser = shop.signed_in("eva");
    let cookie = browser.cookies["bookstore_session"].clone();
    let text = client.authorization.strip_prefix("Bearer ").unwrap();
    for wrong in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x.y",
        &format!("Basic {text}"),
        &format!("Bearer {}", &text[1..]),
        &format!("Bearer {text}x"),
        // A session is not a token.
        &format!("Bearer {cookie}"),
    ] {
        assert_eq!(check(shop, wrong), 401, "{wrong}");
    }
    // A token is not a session, and the API ignores sessions.
    assert_eq!(browser.get("/api/check_login").status, 401);
    browser.cookies.insert("bookstore_session".into(), text.to_owned());
    assert_eq!(browser.get("/book/my_books").status, 302);
}

pub(crate) fn attempts_are_rate_limited(shop: &Shop) {
    let shop = shop.other_instance(&[("AUTH_ATTEMPTS_PER_USER", "2")]);
    let guess = json!({ "email": "a@example.org", "password": "a guess" }).to_string();
    let statuses = [(); 3].map(|()| shop.service.send("POST /api/login", &guess).status);
    assert_eq!(statuses, [401, 401, 429]);
    let refused = shop.service.send("POST /api/login", &guess);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert!(refused.body.starts_with(r#"{"error":"Too many attempts. Try again in "#), "{refused:?}");
}

pub(crate) fn a_list_has_pages(shop: &Shop) {
    let client = shop.client("a");
    for number in 1..=5 {
        client.add_book(&format!("Book {number}"), "1", 1);
    }
    let titles = |query: &str| {
        let answer = shop.service.send(&format!("GET /api/books{query}"), "");
        let books: Value = serde_json::from_str(&answer.body).unwrap();
        let titles = books.as_array().unwrap().iter().map(|book| book["title"].as_str().unwrap().to_owned());
        (titles.collect::<Vec<_>>().join(","), answer.header("link").map(str::to_owned))
    };
    let next = |page: u64| Some(format!("</api/books?page={page}&size=2>; rel=\"next\""));
    assert_eq!(titles("?size=2"), ("Book 5,Book 4".to_owned(), next(2)));
    assert_eq!(titles("?size=2&page=2"), ("Book 3,Book 2".to_owned(), next(3)));
    assert_eq!(titles("?size=2&page=3"), ("Book 1".to_owned(), None));
    assert_eq!(titles("?size=5"), ("Book 5,Book 4,Book 3,Book 2,Book 1".to_owned(), None));
}

pub(crate) fn every_operation_of_the_document_exists(shop: &Shop) {
    let answer = shop.service.send("GET /api/openapi.json", "");
    let served: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, &served), (200, &openapi::document()));
    let mut operations = 0;
    for (path, methods) in served["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let request = format!("{} {}", method.to_uppercase(), path.replace("{id}", "1"));
            let status = shop.service.send(&request, "").status;
            let documented = operation["responses"].get(status.to_string()).is_some();
            assert!(documented && status != 405, "{request} responds with {status}");
            let needs_user = operation["security"] != json!([]);
            assert_eq!(status == 401, needs_user || path == "/api/login" && status == 401, "{request}");
            operations += 1;
        }
    }
    assert_eq!(operations, 13);
    // Every reference has a schema.
    for part in answer.body.split(r#""$ref":"#).skip(1) {
        let name = part.trim_start_matches('"').split('"').next().unwrap();
        let pointer = name.strip_prefix('#').unwrap();
        assert!(served.pointer(pointer).is_some(), "{name}");
    }
}
