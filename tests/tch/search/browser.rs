//! The page in headless Chromium, by mouse, keyboard and what a screen reader is told.

use std::process::Command;

use super::Place;
use crate::support::{chromium, python};

#[test]
fn the_page_works_in_a_browser() {
    let Some(python) = python() else { return };
    let Some([chromium, driver]) = chromium() else { return };
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
