//! The admin site over HTTP, on SQLite and on PostgreSQL.

mod actions;
mod exports;
mod forms;
mod history;
mod lists;
mod rights;
mod signing_in;
mod site;
mod users;

use kit::testing::{Postgres, connect, wait_until};
use sea_orm::ConnectionTrait;

use self::site::{Site, block_on};

/// Tests that each start with an empty site.
const CHECKS: &[fn(&Site)] = &[
    signing_in::staff_signs_in_and_out,
    signing_in::other_users_cannot_sign_in,
    signing_in::sign_ins_are_rate_limited,
    signing_in::forms_need_their_token,
    signing_in::sessions_expire,
    signing_in::sessions_are_valid_at_every_instance,
    signing_in::every_response_has_security_headers,
    lists::lists_are_searched,
    lists::lists_are_sorted_and_paged,
    lists::lists_are_filtered,
    lists::the_count_is_limited,
    lists::invalid_parameters_are_omitted,
    lists::activity_is_read_only,
    forms::a_task_is_added_changed_and_deleted,
    forms::changes_are_on_the_first_page,
    forms::faults_are_shown_beside_their_fields,
    forms::html_is_escaped,
    forms::several_tasks_are_deleted_at_once,
    users::a_user_is_added_changed_and_deleted,
    users::users_cannot_revoke_their_own_rights,
    users::a_new_password_ends_the_other_sessions,
    rights::every_page_needs_its_permission,
    rights::pages_offer_only_what_is_permitted,
    rights::groups_grant_permissions,
    rights::rights_are_not_escalated,
    rights::a_refusal_is_a_page_of_the_site,
    history::the_history_of_a_task_lists_its_changes,
    history::the_history_of_users_contains_no_passwords,
    history::every_change_has_an_entry,
    actions::publish_sets_the_publication_of_ticked_tasks,
    actions::deactivate_ends_the_sessions_of_users,
    actions::an_action_applies_to_all_rows_of_a_list,
    actions::an_action_on_too_many_rows_is_refused,
    exports::an_export_contains_the_filtered_list,
    exports::an_export_contains_all_parts,
    exports::an_export_contains_no_secrets,
];

#[test]
fn on_sqlite() {
    for check in CHECKS {
        check(&Site::on_sqlite());
    }
}

#[test]
fn on_postgres() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    for (number, check) in CHECKS.iter().enumerate() {
        let schema = format!("site{number}");
        block_on(async {
            let server = connect(&postgres.url()).await;
            server.execute_unprepared(&format!("CREATE SCHEMA {schema}")).await.unwrap();
        });
        check(&Site::on(&format!("{}&options[search_path]={schema}", postgres.url())));
    }
}

#[test]
fn a_lost_database_is_503_until_it_is_back() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let site = Site::on(&postgres.url());
    let mut browser = site.signed_in("eva");
    let add = [("title", "t"), ("description", "d"), ("pub_date", "2026-01-02T03:04")];
    postgres.suspend();
    for answer in [browser.get("/admin/tasks/"), browser.post("/admin/tasks/add", &add), browser.get("/admin/sign-in")]
    {
        assert_eq!((answer.status, answer.header("cache-control")), (503, Some("no-store")), "{}", answer.body);
        assert!(answer.body.contains("Nothing was changed. Try again shortly."), "{}", answer.body);
    }
    postgres.resume();
    wait_until("the service has healed", || site.service.send("GET /healthz", "").status == 200);
    assert!(browser.submit("/admin/tasks/add", &add).contains("Added the task “t”."));
}
