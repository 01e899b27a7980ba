//! Concurrent buyers.

use std::{collections::BTreeMap, thread};

use kit::testing::send;
use serde_json::{Value, json};

use crate::shop::Shop;

const BUYERS: usize = 200;
const STOCK: i32 = 120;

/// Sends a request of every buyer at once, and returns the number of responses for each status.
fn at_once(shop: &Shop, authorizations: &[String], body: &Value) -> BTreeMap<u16, usize> {
    let (address, body) = (shop.service.address, body.to_string());
    let start = std::sync::Barrier::new(BUYERS);
    let answers = thread::scope(|scope| {
        let buyers: Vec<_> = (0..BUYERS)
            .map(|buyer| {
                let authorization = &authorizations[buyer % authorizations.len()];
                let (body, start) = (&body, &start);
                scope.spawn(move || {
                    start.wait();
                    send(address, "POST /api/buy", &[("Authorization", authorization)], body)
                })
            })
            .collect();
        buyers.into_iter().map(|buyer| buyer.join().unwrap()).collect::<Vec<_>>()
    });
    let mut counts = BTreeMap::new();
    for answer in answers {
        if answer.status == 400 {
            assert_eq!(answer.body, r#"{"error":"No hay suficiente stock disponible."}"#);
        }
        *counts.entry(answer.status).or_default() += 1;
    }
    counts
}

pub(crate) fn the_stock_suffices_for_the_purchases(shop: &Shop) {
    let seller = shop.client("seller");
    let book = seller.add_book("Rayuela", "0.10", STOCK);
    let buyers: Vec<_> = (0..4).map(|number| shop.client(&format!("buyer{number}")).authorization).collect();
    let counts = at_once(shop, &buyers, &json!({ "book_id": book, "quantity": 1 }));
    let sold = usize::try_from(STOCK).unwrap();
    assert_eq!(counts, BTreeMap::from([(201, sold), (400, BUYERS - sold)]));
    assert_eq!(shop.number("SELECT CAST(stock AS BIGINT) FROM bookstore_book"), 0);
    assert_eq!(shop.number("SELECT COUNT(*) FROM bookstore_purchase WHERE quantity = 1"), i64::from(STOCK));
}

pub(crate) fn concurrent_forms_with_one_token_buy_once(shop: &Shop) {
    let client = shop.client("seller");
    let book = client.add_book("Rayuela", "0.10", STOCK);
    let order = json!({ "book_id": book, "quantity": 2, "token": "the-same" });
    let counts = at_once(shop, std::slice::from_ref(&client.authorization), &order);
    assert_eq!(counts, BTreeMap::from([(201, BUYERS)]));
    assert_eq!(shop.number("SELECT CAST(stock AS BIGINT) FROM bookstore_book"), i64::from(STOCK - 2));
    assert_eq!(shop.number("SELECT COUNT(*) FROM bookstore_purchase"), 1);
}
