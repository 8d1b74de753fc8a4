//! Systems without `/proc`.

use super::Resources;

/// Not known here.
pub fn resources() -> Option<Resources> {
    None
}
