//! Messages of the derive macros, as the compiler shows them.

#[test]
fn invalid_attributes_are_reported_at_their_position() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
