//! Whole pages: what is found, against a browser-grade DOM and at the limits.

mod against_dom;
mod fields;
mod hostile;
