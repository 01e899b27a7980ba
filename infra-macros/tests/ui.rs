//! Messages of the derive macros, as the compiler shows them.

#[test]
fn wrong_attributes_are_refused_where_they_stand() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
