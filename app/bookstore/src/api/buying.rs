//! Purchases, payments and deliveries.

use actix_web::{HttpResponse, web::Bytes};
use kit::endpoints::Scope;
use serde_json::json;

use super::{caller::Caller, error::Answer};
use crate::{
    input::{self, Given},
    shop::{
        delivery, payment,
        purchases::{self, Order},
    },
};

/// Buys copies of a book. A request with the token of an earlier one responds with that purchase.
pub(super) async fn buy(caller: Caller, body: Bytes) -> Answer {
    let given = Given::json(&body, &["book_id", "quantity", "token"])?;
    let (book, quantity) = (input::id(&given, &["book_id"])?, input::quantity(&given)?);
    let token = match input::token(&given)? {
        Some(token) => token,
        None => purchases::new_token()?,
    };
    let order = Order { buyer: caller.user.id, book, quantity, token: &token };
    let bought = purchases::buy(&caller.scope, order).await?;
    Ok(HttpResponse::Created().json(json!({
        "id": bought.id, "book_id": bought.book_id, "quantity": bought.quantity, "total_price": bought.total_price,
        "status": bought.status,
    })))
}

/// Pays a purchase of the caller.
pub(super) async fn pay(caller: Caller, body: Bytes) -> Answer {
    let given = Given::json(&body, &["purchase_id", "method", "payment_method"])?;
    let (purchase, method) = (input::id(&given, &["purchase_id"])?, input::payment_method(&given)?);
    let paid = payment::pay(&caller.scope, caller.user.id, purchase, &method).await?;
    Ok(HttpResponse::Created().json(json!({
        "id": paid.id, "purchase_id": paid.purchase_id, "amount": paid.amount, "payment_method": paid.payment_method,
        "payment_status": paid.payment_status,
    })))
}

/// Assigns a provider to a paid purchase of the caller.
pub(super) async fn assign(caller: Caller, body: Bytes) -> Answer {
    let given = Given::json(&body, &["purchase_id", "provider_id", "provider"])?;
    let (purchase, provider) = (input::id(&given, &["purchase_id"])?, input::id(&given, &["provider_id", "provider"])?);
    let assigned = delivery::assign(&caller.scope, caller.user.id, purchase, provider).await?;
    Ok(HttpResponse::Created().json(json!({
        "id": assigned.id, "purchase_id": assigned.purchase_id, "provider_id": assigned.provider_id,
    })))
}

/// Responds with all providers.
pub(super) async fn providers(scope: Scope) -> Answer {
    let providers = delivery::providers(&scope).await?;
    let views = providers.iter().map(|provider| {
        json!({
            "id": provider.id, "name": provider.name, "coverage_area": provider.coverage_area, "cost": provider.cost,
        })
    });
    Ok(HttpResponse::Ok().json(views.collect::<Vec<_>>()))
}
