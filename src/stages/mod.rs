//! The stages, a folder each. They never import each other: tables, what every stage is given
//! ([`context`]), where archives are read ([`archives`]), lists of what is never taken
//! ([`blocklist`]), what is on too many of a site's pages (`boilerplate`), what asks models ([`asking`], by file [`batch`]), what counts words ([`wording`]), what
//! pages are made of ([`html`]), what vectors were made by ([`vectors`]) and which parts are whose
//! ([`slices`]) are all they share.

pub mod archives;
pub mod asking;
pub mod batch;
pub mod blocklist;
mod boilerplate;
pub mod collect;
pub mod context;
pub mod describe;
pub mod embed;
pub mod export;
pub mod fetch;
pub mod group;
pub mod html;
pub mod instruct;
pub mod pair;
pub mod slices;
pub mod vectors;
pub mod wording;
