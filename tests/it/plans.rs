//! Plans of the default program as a user sees them.

use insta::assert_snapshot;
use tests::{Place, stable};

#[test]
fn the_plans_of_a_stack() {
    let place = Place::new();
    let preview = |arguments: &[&str]| {
        let ran = place.run(&[&["preview"], arguments].concat());
        ran.expect(0);
        stable(&ran.out)
    };
    assert_snapshot!(preview(&[]), @"");
    place.run(&["up"]).expect(0);
    assert_snapshot!(preview(&[]), @"");
    assert_snapshot!(preview(&["-c", "listenerPort=8088"]), @"");
    assert_snapshot!(preview(&["-c", "listenerPort=8080", "-c", "applicationPort=8081"]), @"");
    place.run(&["destroy"]).expect(0);
}
