//! A real site nobody here wrote: the GIMP manual, served by nginx on loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use magiclens_demo::Rng;
use magiclens_testing::shared;
use scraper::{Html, Selector};
use url::Url;

use crate::support::{Tables, mine, run, soak};

const FORBIDDEN: &str = "/en/gimp-using-web.html";

/// The site, while it is served.
pub(crate) struct Site {
    script: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Site {
    /// Serves it, or says why not.
    pub(crate) fn start() -> Option<Self> {
        let script = shared("serve-site.sh")?;
        let folder = std::env::temp_dir().join("magiclens-gimp-site");
        let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let site = Self { script, folder, port };
        if !site.call("start") {
            eprintln!("skipped: serve-site.sh cannot serve the GIMP manual here");
            return None;
        }
        Some(site)
    }

    fn call(&self, verb: &str) -> bool {
        let mut command = Command::new(&self.script);
        command.arg(verb).arg(self.port.to_string()).arg("10").env("SITE_DIR", &self.folder);
        command.status().is_ok_and(|status| status.success())
    }

    pub(crate) fn url(&self, host: u8) -> String {
        format!("http://127.0.0.{host}:{}/en/index.html", self.port)
    }

    /// Mines the site under so many names of loopback into `run`.
    pub(crate) fn command(&self, folder: &Path, hosts: u8) -> Command {
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/loopback.toml");
        let mut command = mine(folder);
        command.args(["--config", config, "--out", "run", "--seed-urls"]);
        command.args((1..=hosts).map(|host| self.url(host)));
        command
    }

    /// Paths that the server was asked for, in order.
    fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.join("access.log")).unwrap();
        let asked = log.lines().filter_map(|line| line.split('"').nth(1)?.split(' ').nth(1));
        asked.map(str::to_owned).collect()
    }

    fn forget_log(&self) {
        std::fs::File::options()
            .write(true)
            .truncate(true)
            .open(self.folder.join("access.log"))
            .unwrap();
    }

    /// What links reach from the index, by a browser-grade parser: path → image paths it shows.
    fn reachable(&self) -> BTreeMap<String, BTreeSet<String>> {
        let links = Selector::parse("a[href], area[href]").unwrap();
        let images = Selector::parse("img[src]").unwrap();
        let mut pages = BTreeMap::new();
        let mut open = vec![Url::parse(&self.url(1)).unwrap()];
        while let Some(url) = open.pop() {
            let path = url.path().to_owned();
            if pages.contains_key(&path) || path == FORBIDDEN || !path.ends_with(".html") {
                continue;
            }
            let Ok(bytes) = std::fs::read(self.file(&path)) else { continue };
            let html = Html::parse_document(&String::from_utf8_lossy(&bytes));
            let join = |name: &str, selector| -> Vec<Url> {
                let found = html.select(selector).filter_map(|element| element.attr(name));
                found.filter_map(|value| url.join(value).ok()).collect()
            };
            let same_host = |to: &Url| to.host() == url.host() && to.port() == url.port();
            open.extend(join("href", &links).into_iter().filter(same_host));
            let shown = join("src", &images).into_iter().map(|url| url.path().to_owned());
            pages.insert(path, shown.collect());
        }
        pages
    }

    fn file(&self, path: &str) -> PathBuf {
        self.folder.join("root").join(path.trim_start_matches('/'))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.call("stop");
    }
}

#[tokio::test]
async fn the_gimp_manual_is_mined_whole() {
    let Some(site) = Site::start() else { return };
    site.forget_log();
    let folder = tempfile::tempdir().unwrap();
    let output = run(site.command(folder.path(), 1)).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let asked = site.asked();
    let tables = Tables::read(&folder.path().join("run")).await;
    let reachable = site.reachable();

    assert!(!asked.contains(&FORBIDDEN.to_owned()));
    let path = |url: &str| Url::parse(url).unwrap().path().to_owned();
    let collected: BTreeSet<String> = tables.pages.iter().map(|page| path(&page.url)).collect();
    assert_eq!(collected.len(), tables.pages.len(), "a page was collected twice");
    assert_eq!(collected, reachable.keys().cloned().collect());
    for page in &collected {
        assert_eq!(asked.iter().filter(|path| *path == page).count(), 1, "{page}");
    }
    every_large_image_is_accounted_for(&site, &tables, &reachable);
    assert!(tables.triplets.len() >= 200, "{} triplets", tables.triplets.len());
    kill_and_resume(&site, &tables).await;
}

fn every_large_image_is_accounted_for(
    site: &Site,
    tables: &Tables,
    reachable: &BTreeMap<String, BTreeSet<String>>,
) {
    let path = |url: &str| Url::parse(url).unwrap().path().to_owned();
    let rejects = ["image_uses", "fetch_list", "images"];
    let rejects = rejects.iter().flat_map(|table| tables.rejects_of(table)).map(|r| path(&r.url));
    let stored = tables.images.iter().map(|image| path(&image.url));
    let known: BTreeSet<String> = stored.chain(rejects).collect();
    let mut large = 0;
    for image in reachable.values().flatten().collect::<BTreeSet<_>>() {
        let size = image::image_dimensions(site.file(image));
        if size.is_ok_and(|(width, height)| width >= 150 && height >= 150) {
            large += 1;
            assert!(known.contains(image), "{image} is in no table");
        }
    }
    assert!(large > 1000, "only {large} images of 150 px or more");
}

/// Kills at random moments, on one run directory after the other.
async fn kill_and_resume(site: &Site, undisturbed: &Tables) {
    let mut rng = Rng::new(11);
    for round in 0..soak(1, 20) {
        let folder = tempfile::tempdir().unwrap();
        let kills = 1 + round % 2;
        for _ in 0..kills {
            let mut child = site.command(folder.path(), 1).spawn().unwrap();
            let pause = 300 + u64::try_from(rng.below(9000)).unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let output = run(site.command(folder.path(), 1)).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tables = Tables::read(&folder.path().join("run")).await;
        assert_eq!(undisturbed.difference(&tables), None, "after kills in round {round}");
    }
}
