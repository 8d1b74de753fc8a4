//! The documentation against what it is about: keys, commands, links, and whether the book builds.

mod book;
mod commands;
mod links;
mod markdown;
mod reference;
