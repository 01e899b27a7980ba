//! Environment variables by which a test changes what a program does.

/// Directory of the notes, which a reset of the local cloud deletes.
pub(crate) const NOTES: &str = "TEST_NOTES";

/// AWS account that `login-check` reports. Without it there are no credentials.
pub(crate) const ACCOUNT: &str = "TEST_ACCOUNT";

/// Port whose use by another process the program exports as `occupied`.
pub(crate) const PORT: &str = "TEST_PORT";

/// Text that the program prints to standard output.
pub(crate) const PRINT: &str = "TEST_PRINT";

/// Makes the program fail.
pub(crate) const FAIL: &str = "TEST_FAIL";
