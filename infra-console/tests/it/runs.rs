//! Selections of the steps of a large run, and comparisons of such runs.

use crate::harness::{Fixture, subject, text};
use infra_core::{
    diagnostic::Diagnostic,
    diff::Action,
    event::{Event, VERSION},
    urn::Urn,
};
use infra_records::Recorder;

/// Number of steps of a run: more than an answer contains.
const STEPS: usize = 2_100;

/// Records a run that creates servers; those with this number fail.
async fn recorded(fails: impl Fn(usize) -> bool) -> Fixture {
    let fixture = Fixture::start("local", None, false).await;
    for _ in 0..2 {
        let recorder = Recorder::new(subject(fixture.directory(), "shop", "local"));
        let events = recorder.events(|_| {});
        let (program, stack, command) = ("shop".into(), "dev".into(), "up".into());
        events.send(Event::RunStarted { version: VERSION, command, program, stack });
        for number in 0..STEPS {
            let urn: Urn = format!("urn:infra:dev::shop::cloud:Server::server-{number}").parse().unwrap();
            events.send(Event::StepStarted { urn: urn.clone(), action: Action::Create });
            events.send(if fails(number) {
                let diagnostic = Diagnostic::error("the zone is full");
                Event::StepFailed { urn, action: Action::Create, diagnostic, elapsed_ms: 1 }
            } else {
                Event::StepFinished { urn, action: Action::Create, id: None, elapsed_ms: 1 }
            });
        }
        recorder.close(Ok(()));
    }
    fixture
}

#[tokio::test]
async fn steps_of_a_large_run_are_selected_and_shown_in_pages() {
    let fixture = recorded(|number| number % 700 == 0).await;
    let runs = fixture.json("/api/runs").await;
    let id = runs["runs"][0]["id"].as_str().unwrap();
    let names = |run: &serde_json::Value| {
        let steps = run["steps"].as_array().unwrap().iter();
        steps.map(|step| step["urn"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned()).collect::<Vec<_>>()
    };

    let run = fixture.json(&format!("/api/runs/{id}")).await;
    assert_eq!((names(&run).len(), run["after"].as_u64(), run["matching"].as_u64()), (2_000, Some(0), Some(2_100)));
    assert_eq!(run["outcomes"].to_string(), r#"{"failed":3,"succeeded":2097}"#);
    let rest = fixture.json(&format!("/api/runs/{id}?after=2000")).await;
    assert_eq!(names(&rest).len(), 100);
    let mut all = [names(&run), names(&rest)].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), STEPS);
    let failed = fixture.json(&format!("/api/runs/{id}?outcome=failed")).await;
    assert_eq!(names(&failed), ["server-0", "server-700", "server-1400"]);
    let both = fixture.json(&format!("/api/runs/{id}?outcome=failed&q=SERVER-7")).await;
    assert_eq!(names(&both), ["server-700"]);
    for wrong in ["outcome=lost", "after=-1", "limit=0", "limit=2001"] {
        assert_eq!(fixture.get(&format!("/api/runs/{id}?{wrong}")).await.status, 400, "{wrong}");
    }

    let page = fixture.page(&format!("/runs/{id}")).await;
    assert!(text(&page).contains("steps 1 to 150 of 2100"), "{page}");
    assert!(page.contains(&format!("href=\"/runs/{id}?after=150\"")) && !page.contains("Previous"), "{page}");
    let page = fixture.page(&format!("/runs/{id}?q=server-1&after=150")).await;
    assert!(page.contains("after=0\">Previous") && page.contains("after=300\">Next"), "{page}");
    let page = text(&fixture.page(&format!("/runs/{id}?outcome=failed")).await);
    assert!(page.contains("steps 1 to 3 of 3") && page.contains("the zone is full"), "{page}");
    assert!(text(&fixture.page(&format!("/runs/{id}?q=nothing")).await).contains("no step matches"));
}

#[tokio::test]
async fn comparison_of_large_runs_shows_the_largest_differences() {
    let fixture = recorded(|_| false).await;
    let runs = fixture.json("/api/runs").await;
    let ids = [0, 1].map(|at| runs["runs"][at]["id"].as_str().unwrap().to_owned());
    let compared = fixture.json(&format!("/api/comparison?one={}&other={}", ids[0], ids[1])).await;
    let rows = compared["rows"].as_array().unwrap();
    assert_eq!((rows.len(), compared["omitted"].as_u64()), (500, Some(1_600)));
    let differences: Vec<_> = rows.iter().map(|row| row["difference_ms"].as_i64().unwrap().abs()).collect();
    assert!(differences.is_sorted_by(|one, other| one >= other), "{differences:?}");
}
