//! Every environment variable that is read, by name.

/// Prefix of configuration keys: `MAGICLENS_CRAWL__MAX_DEPTH=3` sets `crawl.max_depth`.
pub const PREFIX: &str = "MAGICLENS_";

/// Separates a section from a key.
pub const SEPARATOR: &str = "__";

/// Log filter in `tracing` syntax, such as `magiclens=debug`.
pub const LOG: &str = "MAGICLENS_LOG";

/// Set by `make soak`: the tests that repeat something repeat it many times.
pub const SOAK: &str = "MAGICLENS_SOAK";

/// Set by `make test`: a Python interpreter that has `tests/requirements.txt`.
pub const PYTHON: &str = "MAGICLENS_PYTHON";

/// Names with the prefix that are not configuration keys. Every other one must be.
pub const NOT_KEYS: [&str; 3] = [LOG, SOAK, PYTHON];
