//! Sign-in, and requests that are refused.

use crate::harness::{Answer, Fixture};
use axum::http::Method;

async fn console() -> Fixture {
    Fixture::start("local", None, false).await
}

async fn send(console: &Fixture, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    console.send(method, path, headers, String::new()).await
}

/// Signs in with the URL of the console, and returns the cookie.
async fn sign_in(console: &Fixture) -> String {
    let path = console.url.split_once(&console.address.to_string()).unwrap().1;
    let answer = send(console, Method::GET, path, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.contains("url=/\""), "{}", answer.text);
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_sign_in_url_is_valid_for_one_browser() {
    let console = console().await;
    let refused = send(&console, Method::GET, "/", &[]).await;
    assert_eq!((refused.status, refused.text.contains("stack console")), (401, true), "{}", refused.text);

    let cookie = sign_in(&console).await;
    assert_eq!(send(&console, Method::GET, "/", &[("cookie", &cookie)]).await.status, 200);
    let other = format!("{cookie}x");
    assert_eq!(send(&console, Method::GET, "/", &[("cookie", &other)]).await.status, 401);

    let path = console.url.split_once(&console.address.to_string()).unwrap().1;
    assert_eq!(send(&console, Method::GET, path, &[]).await.status, 401, "the URL has been used");
    let invited = console.post("/api/sign-in", "application/json", "").await.json();
    let path = invited["url"].as_str().unwrap().split_once(&console.address.to_string()).unwrap().1.to_owned();
    assert_eq!(send(&console, Method::GET, &path, &[]).await.status, 200);
    let browser = [("cookie", cookie.as_str()), ("origin", &format!("http://{}", console.address))];
    assert_eq!(send(&console, Method::POST, "/api/sign-in", &browser).await.status, 403, "only programs invite");
}

#[tokio::test]
async fn other_hosts_and_other_pages_are_refused() {
    let console = console().await;
    let cookie = sign_in(&console).await;
    let rebound = [("host", "rebound.example"), ("cookie", cookie.as_str())];
    assert_eq!(send(&console, Method::GET, "/", &rebound).await.status, 421);
    let foreign = [("origin", "http://evil.example"), ("cookie", cookie.as_str())];
    assert_eq!(send(&console, Method::GET, "/api/overview", &foreign).await.status, 403);
    let foreign = [("origin", "null"), ("cookie", cookie.as_str())];
    assert_eq!(send(&console, Method::POST, "/plan", &foreign).await.status, 403);
    let without = [("cookie", cookie.as_str())];
    assert_eq!(send(&console, Method::POST, "/plan", &without).await.status, 403, "no origin");
}

#[tokio::test]
async fn changes_need_the_token_of_the_session() {
    let console = console().await;
    let cookie = sign_in(&console).await;
    let origin = format!("http://{}", console.address);
    let headers =
        [("cookie", cookie.as_str()), ("origin", &origin), ("content-type", "application/x-www-form-urlencoded")];
    let answer = console.send(Method::POST, "/plan", &headers, "csrf=guessed".to_owned()).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains("belongs to another session"), "{}", answer.text);

    let page = send(&console, Method::GET, "/plan", &[("cookie", &cookie)]).await.text;
    let token = page.split_once("name=\"csrf\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let session = cookie.split_once('=').unwrap().1;
    assert!(!page.contains(session), "the page contains the token of the session");
    let answer = console.send(Method::POST, "/plan", &headers, format!("csrf={token}")).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert!(answer.header("location").starts_with("/plan/"), "{}", answer.header("location"));
}

#[tokio::test]
async fn responses_forbid_foreign_content() {
    let console = console().await;
    for path in ["/", "/nothing", "/assets/console.js", "/api/overview"] {
        let answer = console.get(path).await;
        assert!(answer.header("content-security-policy").contains("script-src 'self'"), "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert!(!answer.text.contains("https://"), "{path} names another host");
    }
    assert_eq!(console.get("/nothing").await.status, 404);
}
