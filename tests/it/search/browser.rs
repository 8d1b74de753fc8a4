//! The page in headless Chromium, by mouse, keyboard and what a screen reader is told.

use std::path::PathBuf;
use std::process::Command;

use super::Place;
use crate::support::python;

/// Chromium and its driver, where they are installed.
fn driver() -> Option<[PathBuf; 2]> {
    let find = |names: &[&str]| {
        let folders = std::env::var_os("PATH")?;
        let all = std::env::split_paths(&folders);
        all.flat_map(|folder| names.iter().map(move |name| folder.join(name)).collect::<Vec<_>>())
            .find(|path| path.is_file())
    };
    let found = [find(&["chromium", "google-chrome"])?, find(&["chromedriver"])?];
    Some(found)
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(python) = python() else { return };
    let Some([chromium, driver]) = driver() else {
        eprintln!("skipped: chromium and chromedriver are not installed");
        return;
    };
    let place = Place::with_images();
    place.index("images");
    std::fs::write(place.at("no image.png"), "no image").unwrap();
    let serving = place.serve();
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser.py"));
    command.arg(chromium).arg(driver).arg(&serving.url);
    command.arg(place.at(&Place::image(5))).arg(place.at("no image.png"));
    command.arg(place.at("page.png"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(place.at("page.png").metadata().unwrap().len() > 10_000, "a screenshot was taken");
}
