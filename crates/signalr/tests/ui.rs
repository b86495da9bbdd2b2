//! The compile errors of the macros, as a user sees them, and what must compile without a warning.
//!
//! The expected texts are beside the sources in `ui/`; to accept a change run the test with
//! `TRYBUILD=overwrite` and read the difference.

#[test]
fn wrong_hubs_and_clients_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/hub/*.rs");
    cases.compile_fail("tests/ui/client/*.rs");
    cases.pass("tests/ui/pass/*.rs");
}
