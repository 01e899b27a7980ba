//! Tests of the service over HTTP, on SQLite and on PostgreSQL, and of the program.
#![allow(clippy::unwrap_used)]

mod accounts;
mod api;
mod books;
mod browser;
mod buyers;
mod buying;
mod failover;
mod headers;
mod program;
mod reading;
mod seeds;
mod shop;

use kit::testing::{Postgres, connect};
use sea_orm::ConnectionTrait;

use shop::{Shop, block_on};

/// Tests that each start with an empty shop.
const CHECKS: &[fn(&Shop)] = &[
    accounts::a_user_registers_and_signs_in_and_out,
    accounts::refused_registrations_show_their_faults,
    accounts::a_sign_in_leads_to_the_requested_page,
    accounts::forms_need_their_token,
    accounts::an_expired_session_leads_to_the_sign_in,
    accounts::attempts_are_rate_limited,
    accounts::only_administrators_see_the_users,
    books::books_are_added_changed_and_deleted,
    books::only_the_seller_changes_a_book,
    books::invalid_books_show_their_faults,
    books::a_stale_form_does_not_revert_the_stock,
    books::the_catalog_has_pages,
    books::html_is_escaped,
    buying::a_purchase_is_paid_and_delivered,
    buying::purchases_are_checked,
    buying::a_form_that_is_sent_twice_buys_once,
    buying::purchases_belong_to_their_buyer,
    buying::every_step_happens_once_and_in_order,
    headers::every_page_has_security_headers,
    headers::unknown_pages_and_methods_are_refused,
    api::the_api_keeps_its_contract,
    api::tokens_are_verified,
    api::attempts_are_rate_limited,
    api::a_list_has_pages,
    api::every_operation_of_the_document_exists,
    buyers::the_stock_suffices_for_the_purchases,
    buyers::concurrent_forms_with_one_token_buy_once,
];

#[test]
fn on_sqlite() {
    for check in CHECKS {
        check(&Shop::on_sqlite());
    }
}

#[test]
fn on_postgres() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    for (number, check) in CHECKS.iter().enumerate() {
        let schema = format!("shop{number}");
        block_on(async {
            let server = connect(&postgres.url()).await;
            server.execute_unprepared(&format!("CREATE SCHEMA {schema}")).await.unwrap();
        });
        check(&Shop::on(&format!("{}&options[search_path]={schema}", postgres.url())));
    }
}
