//! Purchases, payments and deliveries on pages.

use serde_json::json;

use crate::{
    browser::{alert, faults},
    shop::Shop,
};

pub(crate) fn a_purchase_is_paid_and_delivered(shop: &Shop) {
    shop.signed_in("eva").add_book("Rayuela", "12.50", "3");
    let mut browser = shop.signed_in("ana");
    // The client's price is ignored.
    assert_eq!(browser.submit("/buy/1", &[("quantity", "2"), ("price", "0.01")]), "/payment/1");
    assert!(browser.page("/book/catalog").contains("1 in stock"));
    let mine = browser.page("/book/my_books");
    for shown in ["Rayuela", "$25.00", "Pending Payment", "/payment/1"] {
        assert!(mine.contains(shown), "{shown}: {mine}");
    }
    let form = browser.page("/payment/1");
    assert!(form.contains("<dd>$25.00</dd>"), "{form}");
    assert_eq!(browser.submit("/payment/1", &[("method", "Credit card"), ("amount", "0.01")]), "/delivery/1");
    assert!(browser.page("/book/my_books").contains(r#"<a class="quiet" href="/delivery/1">"#));
    let form = browser.page("/delivery/1");
    let offered = ["DHL (Internacional, $50.00)", "FedEx (Internacional, $45.00)"];
    for shown in offered.iter().chain(&["Envia (Nacional, $20.00)", "Servientrega (Nacional, $15.00)", "<dd>Paid</dd>"])
    {
        assert!(form.contains(shown), "{shown}: {form}");
    }
    assert_eq!(browser.submit("/delivery/1", &[("provider", "3")]), "/book/catalog");
    let mine = browser.page("/book/my_books");
    assert!(mine.contains("Delivery assigned") && !mine.contains("/delivery/1"), "{mine}");
    let paid = "SELECT COUNT(*) FROM bookstore_purchase p JOIN bookstore_payment y ON y.purchase_id = p.id \
                WHERE p.status = 'Paid' AND y.payment_status = 'Paid' AND y.amount = 25 AND p.total_price = 25 \
                AND y.payment_method = 'Credit card' AND p.quantity = 2";
    assert_eq!(shop.number(paid), 1);
    assert_eq!(shop.number("SELECT provider_id FROM bookstore_delivery_assignment WHERE purchase_id = 1"), 3);

    // A purchase outlives the deletion of its book, and keeps its price.
    let seller = shop.client_of("eva@example.org");
    assert_eq!(seller.send("DELETE /api/books/1", "").status, 204);
    assert!(browser.page("/book/my_books").contains("$25.00"));
}

pub(crate) fn purchases_are_checked(shop: &Shop) {
    shop.signed_in("eva").add_book("Rayuela", "99999999.99", "1000");
    let mut browser = shop.signed_in("ana");
    let quantity = "quantity: Enter a whole number of at least 1.";
    for (path, sent, status, expected) in [
        ("/buy/1", "1001", 400, "No hay suficiente stock disponible."),
        ("/buy/1", "1000000", 400, "No hay suficiente stock disponible."),
        ("/buy/1", "101", 400, "The total price is too high. Buy fewer copies at once."),
        ("/buy/1", "0", 400, quantity),
        ("/buy/1", "-1", 400, quantity),
        ("/buy/1", "1.5", 400, quantity),
        ("/buy/1", "one", 400, quantity),
        ("/buy/1", "", 400, quantity),
        ("/buy/1", "99999999999999999999", 400, quantity),
        ("/buy/2", "1", 404, "Not found."),
        ("/buy/0", "1", 404, "This page does not exist, or its object has been deleted."),
        ("/buy/x", "1", 404, "This page does not exist, or its object has been deleted."),
        ("/buy/99999999999999999999", "1", 404, "This page does not exist, or its object has been deleted."),
    ] {
        let answer = browser.post(path, &[("quantity", sent)]);
        assert_eq!((answer.status, alert(&answer.body)), (status, expected), "{path} {sent}");
    }
    assert_eq!(browser.post("/buy/1", &[]).status, 400);
    assert_eq!(shop.number("SELECT CAST(stock AS BIGINT) FROM bookstore_book"), 1000);
    assert_eq!(shop.number("SELECT COUNT(*) FROM bookstore_purchase"), 0);
    assert_eq!(browser.submit("/buy/1", &[("quantity", "100")]), "/payment/1");
    assert!(browser.page("/payment/1").contains("$9999999999.00"));
}

pub(crate) fn a_form_that_is_sent_twice_buys_once(shop: &Shop) {
    shop.signed_in("eva").add_book("Rayuela", "12.50", "10");
    let mut browser = shop.signed_in("ana");
    browser.page("/book/catalog");
    let token = browser.purchase_token.clone();
    assert!(token.ends_with("-1") && token.len() > 20, "{token}");
    let fields = [("quantity", "2"), ("token", token.as_str())];
    for _ in 0..3 {
        assert_eq!(browser.submit("/buy/1", &fields), "/payment/1");
    }
    assert_eq!(shop.number("SELECT CAST(stock AS BIGINT) FROM bookstore_book"), 8);
    let answer = browser.post("/buy/1", &[("quantity", "3"), ("token", token.as_str())]);
    assert_eq!(
        (answer.status, alert(&answer.body)),
        (409, "This form has already bought something else. Reload the page.")
    );
    // The form of the next page buys again, and so does another user's form with the same token.
    browser.page("/book/catalog");
    assert_ne!(browser.purchase_token, token);
    let next = browser.purchase_token.clone();
    assert_eq!(browser.submit("/buy/1", &[("quantity", "2"), ("token", next.as_str())]), "/payment/2");
    assert_eq!(shop.signed_in("ida").submit("/buy/1", &fields), "/payment/3");
    assert_eq!(shop.number("SELECT CAST(stock AS BIGINT) FROM bookstore_book"), 4);
    for wrong in ["", "a b", "é", &"x".repeat(65)] {
        assert_eq!(browser.post("/buy/1", &[("quantity", "1"), ("token", wrong)]).status, 400, "{wrong}");
    }
}

pub(crate) fn purchases_belong_to_their_buyer(shop: &Shop) {
    let mut seller = shop.signed_in("eva");
    seller.add_book("Rayuela", "12.50", "3");
    let mut buyer = shop.signed_in("ana");
    assert_eq!(buyer.submit("/buy/1", &[("quantity", "1")]), "/payment/1");
    seller.page("/book/catalog");
    for (path, fields) in [("/payment/1", ("method", "Credit card")), ("/delivery/1", ("provider", "1"))] {
        assert_eq!(seller.get(path).status, 403, "{path}");
        assert_eq!(seller.post(path, &[fields]).status, 403, "{path}");
    }
    for path in ["/payment/2", "/payment/x", "/payment/-1", "/delivery/2", "/delivery/99999999999999999999"] {
        assert_eq!(buyer.get(path).status, 404, "{path}");
        assert_eq!(buyer.post(path, &[("method", "Credit card"), ("provider", "1")]).status, 404, "{path}");
    }
    assert_eq!(shop.number("SELECT COUNT(*) FROM bookstore_payment"), 0);
}

pub(crate) fn every_step_happens_once_and_in_order(shop: &Shop) {
    shop.signed_in("eva").add_book("Rayuela", "12.50", "3");
    let mut browser = shop.signed_in("ana");
    assert_eq!(browser.submit("/buy/1", &[("quantity", "1")]), "/payment/1");
    let unpaid = "This purchase must be paid before its delivery.";
    let answer = browser.get("/delivery/1");
    assert_eq!((answer.status, alert(&answer.body)), (409, unpaid));
    let answer = browser.post("/delivery/1", &[("provider", "1")]);
    assert_eq!((answer.status, alert(&answer.body)), (409, unpaid));

    browser.page("/payment/1");
    for wrong in ["", " ", &"x".repeat(51)] {
        let answer = browser.post("/payment/1", &[("method", wrong)]);
        assert_eq!((answer.status, faults(&answer.body).len()), (200, 1), "{wrong}");
    }
    assert_eq!(browser.submit("/payment/1", &[("method", "Bank transfer")]), "/delivery/1");
    let answer = browser.post("/payment/1", &[("method", "Credit card")]);
    assert_eq!((answer.status, alert(&answer.body)), (409, "This purchase is already paid."));
    assert_eq!(browser.get("/payment/1").header("location"), Some("/delivery/1"));
    assert_eq!(shop.number("SELECT COUNT(*) FROM bookstore_payment"), 1);

    for wrong in ["", "DHL", "0"] {
        let answer = browser.post("/delivery/1", &[("provider", wrong)]);
        assert_eq!((answer.status, faults(&answer.body).len()), (200, 1), "{wrong}");
    }
    let answer = browser.post("/delivery/1", &[("provider", "5")]);
    assert_eq!((answer.status, alert(&answer.body)), (400, "Select one of the delivery providers."));
    assert_eq!(browser.submit("/delivery/1", &[("provider", "4")]), "/book/catalog");
    let again = "The delivery of this purchase is already assigned.";
    let answer = browser.post("/delivery/1", &[("provider", "1")]);
    assert_eq!((answer.status, alert(&answer.body)), (409, again));
    let answer = browser.get("/delivery/1");
    assert_eq!((answer.status, alert(&answer.body)), (409, again));
    assert_eq!(shop.number("SELECT provider_id FROM bookstore_delivery_assignment"), 4);

    // The API has the same order.
    let client = shop.client_of("ana@example.org");
    let bought = client.json("POST /api/buy", &json!({ "book_id": 1, "quantity": 1 }), 201);
    let (payment, delivery) = (
        json!({ "purchase_id": bought["id"], "method": "Credit card" }),
        json!({ "purchase_id": bought["id"], "provider_id": 2 }),
    );
    assert_eq!(client.json("POST /api/delivery/assignment", &delivery, 409), json!({ "error": unpaid }));
    client.json("POST /api/payment", &payment, 201);
    let paid = json!({ "error": "This purchase is already paid." });
    assert_eq!(client.json("POST /api/payment", &payment, 409), paid);
    client.json("POST /api/delivery/assignment", &delivery, 201);
    assert_eq!(client.json("POST /api/delivery/assignment", &delivery, 409), json!({ "error": again }));
}
