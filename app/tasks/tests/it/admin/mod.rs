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
    signing_in::others_do_not,
    signing_in::guessing_is_slowed_down,
    signing_in::forms_need_their_token,
    signing_in::sessions_end,
    signing_in::every_instance_knows_who_is_signed_in,
    signing_in::every_answer_says_what_a_browser_may_do,
    lists::search,
    lists::sorting_and_pages,
    lists::filters,
    lists::counting_ends,
    lists::nonsense_is_left_out,
    lists::activity_is_read_only,
    forms::a_task_from_beginning_to_end,
    forms::changes_are_on_the_first_page,
    forms::faults_stand_beside_their_fields,
    forms::html_is_text,
    forms::several_are_deleted_at_once,
    users::a_user_from_beginning_to_end,
    users::nobody_locks_themselves_out,
    users::another_password_ends_the_sessions_of_others,
    rights::every_page_needs_its_permission,
    rights::pages_offer_only_what_is_permitted,
    rights::groups_give_permissions,
    rights::rights_are_not_escalated,
    rights::a_refusal_is_a_page_of_the_site,
    history::of_a_task,
    history::of_other_changes,
    history::nothing_changes_without_its_entry,
    actions::publishing,
    actions::deactivating,
    actions::every_row_of_a_list,
    actions::too_many_rows,
    exports::a_filtered_list,
    exports::more_than_one_part,
    exports::no_secrets,
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
