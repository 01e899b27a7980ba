//! Purchase, payment and delivery.

use actix_web::{
    http::StatusCode,
    web::{Path, ReqData},
};
use kit::form::Fields;

use super::{
    error::{Answer, Failure},
    form::{Field, FormPage, Kind},
    frame,
    visit::Visit,
};
use crate::{
    entity::purchase::{self, PAID, PENDING},
    input::{self, Given, parse_id},
    shop::{
        self, ShopError, delivery as deliveries, payment as payments,
        purchases::{self, Order},
    },
};

/// Payment methods that the form offers. The service accepts others too.
const METHODS: [&str; 4] = ["Credit card", "Debit card", "Bank transfer", "Cash on delivery"];

/// Buys copies of a book.
pub(super) async fn buy(visit: Visit, id: Path<String>, fields: ReqData<Fields>) -> Answer {
    let buyer = visit.user()?.id;
    let book = parse_id(&id).ok_or(Failure::NotFound)?;
    let given = Given::form(&fields, &["quantity", "token"]);
    let quantity = input::quantity(&given).map_err(ShopError::from)?;
    let token = match input::token(&given).map_err(ShopError::from)? {
        Some(token) => token,
        None => purchases::new_token()?,
    };
    let purchase = purchases::buy(&visit.scope, Order { buyer, book, quantity, token: &token }).await?;
    Ok(frame::redirect(&format!("/payment/{}", purchase.id)))
}

/// Responds with the form of a payment. A paid purchase leads to its delivery.
pub(super) async fn payment(visit: Visit, id: Path<String>) -> Answer {
    let purchase = own(&visit, &id).await?;
    if purchase.status != PENDING {
        return Ok(frame::redirect(&format!("/delivery/{}", purchase.id)));
    }
    payment_page(&visit, &purchase).show(&visit, StatusCode::OK)
}

/// Pays a purchase.
pub(super) async fn pay(visit: Visit, id: Path<String>, fields: ReqData<Fields>) -> Answer {
    let purchase = own(&visit, &id).await?;
    let given = Given::form(&fields, &["method"]);
    match input::payment_method(&given) {
        Ok(method) => {
            let payment = payments::pay(&visit.scope, purchase.user_id, purchase.id, &method).await?;
            Ok(frame::redirect(&format!("/delivery/{}", payment.purchase_id)))
        }
        Err(faults) => {
            let mut page = payment_page(&visit, &purchase);
            page.refuse(&given, &faults);
            page.show(&visit, StatusCode::OK)
        }
    }
}

fn payment_page(visit: &Visit, purchase: &purchase::Model) -> FormPage {
    let mut page = FormPage::new(visit, "", "Payment", "Pay");
    page.facts = facts(purchase);
    let methods = METHODS.map(|method| (method.to_owned(), method.to_owned()));
    page.fields = vec![Field::new("method", "Payment method", Kind::Choice(methods.into())).value(METHODS[0])];
    page
}

/// Responds with the form of a delivery.
pub(super) async fn delivery(visit: Visit, id: Path<String>) -> Answer {
    let purchase = own(&visit, &id).await?;
    if purchase.status != PAID {
        return Err(ShopError::Unpaid.into());
    }
    if deliveries::of_purchase(&visit.scope, purchase.id).await?.is_some() {
        return Err(ShopError::AlreadyAssigned.into());
    }
    delivery_page(&visit, &purchase).await?.show(&visit, StatusCode::OK)
}

/// Assigns a provider to a paid purchase.
pub(super) async fn assign(visit: Visit, id: Path<String>, fields: ReqData<Fields>) -> Answer {
    let purchase = own(&visit, &id).await?;
    let given = Given::form(&fields, &["provider"]);
    match input::id(&given, &["provider"]) {
        Ok(provider) => {
            deliveries::assign(&visit.scope, purchase.user_id, purchase.id, provider).await?;
            Ok(frame::redirect(frame::CATALOG))
        }
        Err(faults) => {
            let mut page = delivery_page(&visit, &purchase).await?;
            page.refuse(&given, &faults);
            page.show(&visit, StatusCode::OK)
        }
    }
}

async fn delivery_page(visit: &Visit, purchase: &purchase::Model) -> Result<FormPage, Failure> {
    let providers = deliveries::providers(&visit.scope).await?;
    let first = providers.first().map_or_else(String::new, |provider| provider.id.to_string());
    let label = |provider: &crate::entity::delivery_provider::Model| {
        format!("{} ({}, ${})", provider.name, provider.coverage_area, provider.cost)
    };
    let choices = providers.iter().map(|provider| (provider.id.to_string(), label(provider))).collect();
    let mut page = FormPage::new(visit, "", "Delivery", "Deliver");
    page.facts = facts(purchase);
    page.fields = vec![Field::new("provider", "Delivery provider", Kind::Choice(choices)).value(first)];
    Ok(page)
}

fn facts(purchase: &purchase::Model) -> Vec<(&'static str, String)> {
    vec![
        ("Purchase", purchase.id.to_string()),
        ("Copies", purchase.quantity.to_string()),
        ("Total", format!("${}", purchase.total_price)),
        ("Status", purchase.status.clone()),
    ]
}

/// Returns a purchase of the user.
async fn own(visit: &Visit, id: &str) -> Result<purchase::Model, Failure> {
    let buyer = visit.user()?.id;
    Ok(shop::purchase(&visit.scope, buyer, parse_id(id).ok_or(Failure::NotFound)?).await?)
}
