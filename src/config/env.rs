//! Every environment variable that is read, by name.

/// Prefix of configuration keys: `MAGICLENS_CRAWL__MAX_DEPTH=3` sets `crawl.max_depth`.
pub const PREFIX: &str = "MAGICLENS_";

/// Separates a section from a key.
pub const SEPARATOR: &str = "__";

/// Log filter in `tracing` syntax, such as `magiclens=debug`.
pub const LOG: &str = "MAGICLENS_LOG";
