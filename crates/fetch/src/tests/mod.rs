//! The client against servers that misbehave, all of them on loopback.

mod addresses;
mod bodies;
mod downloads;
mod redirects;
mod robots;
mod statuses;
mod support;
