//! WARC files and tables as input: the same pages and images as the live site, whatever happens in between.

mod archive;
mod forget;
mod gimp;
mod inputs;
mod repeats;
mod resume;
mod site;
mod tables;
