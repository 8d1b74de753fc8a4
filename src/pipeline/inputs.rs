//! Inputs of a run: seeds, WARC files and tables, from the command line or from the run directory.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use url::Url;

use super::lists::{self, is_list};
use super::run::{Options, RunStage};
use super::{RunError, seeds};
use crate::config::Config;
use crate::http::Client;
use crate::stages::archives::is_url;
use crate::stages::collect::{Inputs, Layout, Seeds, tables};
use crate::store::{Kept, Objects, RunDir, StoreError, is_remote};
use crate::warc::{Reader, WarcError};

/// Finds all inputs; what no flag names is as the run directory keeps it.
pub(super) async fn find(
    options: &Options,
    kept: Option<&Kept>,
    config: &Config,
    objects: &Objects,
    (first, last): (RunStage, RunStage),
) -> Result<Inputs, RunError> {
    let kept = kept.cloned().unwrap_or_default();
    let or_kept = |given: &[String], kept| if given.is_empty() { kept } else { given.to_vec() };
    let seeds = seeds::load(&or_kept(&options.seed_urls, kept.seeds), objects).await?;
    let archives = match options.archives.as_slice() {
        [] => kept.archives,
        given => resolve_archives(given, config, objects, options.dry_run).await?,
    };
    let tables = match options.tables.as_slice() {
        [] => kept.tables,
        given => {
            let mut tables = Vec::new();
            for name in given {
                tables.push(table(name, config, objects).await?);
            }
            tables
        }
    };
    if seeds.is_empty() && archives.is_empty() && tables.is_empty() {
        return Err(RunError::NoSeeds(options.out.clone()));
    }
    let fetches = (first..=last).contains(&RunStage::Fetch);
    let asks_unknown_hosts = fetches && !(archives.is_empty() && tables.is_empty());
    let web = archives.iter().filter(|name| !is_remote(name));
    let asked = seeds.iter().cloned().chain(web.filter_map(|name| Url::parse(name).ok()));
    let asks = first <= RunStage::Fetch
        && (asks_unknown_hosts || !seeds::all_private(&asked.collect::<Vec<_>>(), config));
    if asks && config.crawl.contact.trim().is_empty() {
        return Err(RunError::NoContact);
    }
    Ok(Inputs { seeds: Seeds::new(seeds), archives, tables })
}

/// Returns the inputs and the configuration in the form that the run directory keeps.
pub(super) fn keep(config: String, inputs: &Inputs) -> Kept {
    Kept {
        config,
        seeds: inputs.seeds.urls().iter().map(Url::to_string).collect(),
        archives: inputs.archives.clone(),
        tables: inputs.tables.clone(),
    }
}

/// The parts of `pages` that a run directory's inputs give.
pub(super) async fn layout(dir: &RunDir, config: &Config) -> Result<Layout, StoreError> {
    // Status is asked of directories from before anything else was kept.
    let kept = dir.kept().await?.unwrap_or_default();
    Ok(Layout::new(kept.seeds.len(), kept.archives.len(), kept.tables.len(), config))
}

/// WARC files by absolute path or URL, those of lists in their place, each once. A dry run names lists
/// that would be downloaded.
async fn resolve_archives(
    given: &[String],
    config: &Config,
    objects: &Objects,
    dry_run: bool,
) -> Result<Vec<String>, RunError> {
    let mut client: Option<Arc<Client>> = None;
    let mut found: Vec<String> = Vec::new();
    for name in given {
        if !is_list(name) || (dry_run && is_url(name)) {
            found.push(archive(name, objects).await?);
            continue;
        }
        if is_url(name) && !is_remote(name) && client.is_none() {
            client = Some(Arc::new(Client::new(config)?));
        }
        for line in lists::read(name, client.as_deref(), objects).await? {
            let place = lists::resolve(name, &line, &config.archive.base);
            // One by one they would take hours to look for.
            found.push(if is_remote(&place) { place } else { archive(&place, objects).await? });
        }
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|name| seen.insert(name.clone()));
    Ok(found)
}

/// Checks one WARC file: what its name says, on disk what it begins with, and that an object is there.
async fn archive(name: &str, objects: &Objects) -> Result<String, RunError> {
    let refuse = |problem: String| RunError::Input { flag: "--warc", name: name.into(), problem };
    if is_remote(name) {
        objects.size(name).await.map_err(|error| refuse(error.to_string()))?;
        return Ok(name.to_owned());
    }
    match name.split_once("://") {
        Some(("http" | "https", _)) => {
            return Url::parse(name).map(String::from).map_err(|error| refuse(error.to_string()));
        }
        Some((scheme, _)) => {
            let problem = format!("{scheme}:// is not read; give https://, s3://, gs:// or a file");
            return Err(refuse(problem));
        }
        None => {}
    }
    let path = absolute("--warc", name)?;
    let file = File::open(&path).map_err(|error| refuse(error.to_string()))?;
    let first = Reader::new(file).and_then(|mut reader| reader.next_record());
    match first {
        Err(error @ (WarcError::Foreign(_) | WarcError::Io(_))) => Err(refuse(error.to_string())),
        // Damage is for the run to count.
        Ok(_) | Err(_) => Ok(path),
    }
}

/// Checks one table: that it is there and of a known format, and on disk that it has its columns.
async fn table(name: &str, config: &Config, objects: &Objects) -> Result<String, RunError> {
    if is_remote(name) {
        let refuse =
            |problem: String| RunError::Input { flag: "--table", name: name.into(), problem };
        tables::check_name(name).map_err(|error| refuse(error.to_string()))?;
        objects.size(name).await.map_err(|error| refuse(error.to_string()))?;
        return Ok(name.to_owned());
    }
    let path = absolute("--table", name)?;
    tables::check(Path::new(&path), &config.tables).map_err(|error| RunError::Input {
        flag: "--table",
        name: name.into(),
        problem: error.to_string(),
    })?;
    Ok(path)
}

/// Returns the absolute path of an existing file, which is valid in any working directory.
fn absolute(flag: &'static str, name: &str) -> Result<String, RunError> {
    let refuse = |problem: String| RunError::Input { flag, name: name.into(), problem };
    if is_url(name) {
        return Err(refuse("is no file".into()));
    }
    let path = Path::new(name).canonicalize().map_err(|error| refuse(error.to_string()))?;
    if !path.is_file() {
        return Err(refuse("is no file".into()));
    }
    let path = path.into_os_string().into_string();
    path.map_err(|_| refuse("the path is not UTF-8".into()))
}
