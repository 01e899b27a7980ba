//! Targets with TLS.

use super::routing::identity;
use super::*;

fn pool_by_tls() -> TargetPool {
    let plain = settings();
    let check = HealthCheck { transport: Transport::Tls, ..plain.check };
    let settings = PoolSettings { check, transport: Transport::Tls, ..plain };
    TargetPool::new("arn:targets", settings, 100.0, watch::Sender::new(0))
}

#[tokio::test]
async fn a_target_may_have_any_certificate() {
    let (_, shown) = identity("somebody.else");
    let (server, pool) = (Server::start_tls("one", shown).await, pool_by_tls());
    pool.set_targets(&targets([("a", server.address)]));
    until_state(&pool, "a", HealthState::Healthy).await;
    let proxy = proxy(&pool, LONG).await;
    let answer = get(&proxy, "/path").await;
    assert!(answer.text.starts_with("one GET /path\n"), "{}", answer.text);
    assert!(answer.text.contains("x-forwarded-proto: http"), "{}", answer.text);
    let sent = "0123456789abcdef".repeat(64 * 1024);
    let request = Request::post("/echo").header("host", "h").body(Full::from(sent.clone())).unwrap();
    assert!(fetch(proxy.address(), request).await.text == sent);
}

#[tokio::test]
async fn a_target_without_tls_is_unhealthy_and_causes_a_bad_gateway() {
    let (server, pool) = (Server::start("one").await, pool_by_tls());
    pool.set_targets(&targets([("a", server.address)]));
    until_state(&pool, "a", HealthState::Unhealthy).await;
    let proxy = proxy(&pool, LONG).await;
    assert_eq!(get(&proxy, "/").await.status, StatusCode::BAD_GATEWAY);
}
