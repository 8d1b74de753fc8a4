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

/// Set by `make test`: the folder to which tests write how many conformance cases ran.
pub const CONFORMANCE: &str = "MAGICLENS_CONFORMANCE";

/// `--slice` of `mine`.
pub const SLICE: &str = "MAGICLENS_SLICE";

/// A secret that `mine` and executors share, where the latter listen to more than their own machine.
pub const ENGINE_TOKEN: &str = "MAGICLENS_ENGINE_TOKEN";

/// The index of a pod in a Kubernetes Indexed Job.
pub const KUBERNETES_INDEX: &str = "JOB_COMPLETION_INDEX";

/// The index of a task in a Slurm array.
pub const SLURM_TASK: &str = "SLURM_ARRAY_TASK_ID";

/// The first index of a Slurm array.
pub const SLURM_FIRST_TASK: &str = "SLURM_ARRAY_TASK_MIN";

/// Token that opens the pages of `mine serve` and `search serve` from another machine; random if not set.
pub const TOKEN: &str = "MAGICLENS_TOKEN";

/// Names with the prefix that are not configuration keys. Every other one must be.
pub const NOT_KEYS: [&str; 7] = [LOG, SOAK, PYTHON, CONFORMANCE, SLICE, TOKEN, ENGINE_TOKEN];
