//! What hosts see of slices: each is asked by one, at its rate.

use std::collections::BTreeMap;
use std::time::Duration;

use magiclens_demo::world::{Body, Node, Reply, url};
use magiclens_demo::{Access, Options, World};
use url::Url;

use super::{all_end_well, said, slice, start};
use crate::support::{Mined, freeze, mine, signal, wait};

/// A host that has most of the images, and one that those of some sites lead on to.
const BIG: &str = "big.example";
const ONWARD: &str = "onward.example";
/// A host that has the sitemaps of others.
const MAPS: &str = "maps.example";

/// Requests a second to one host.
const RATE: usize = 20;

fn options() -> Options {
    Options { sites: 4, odd: false, hostile: false, ..Options::default() }
}

/// Where an image is when it has moved to a host.
fn moved(host: &str, image: &str) -> String {
    let path = image.split_once("://").map_or(image, |(_, rest)| rest);
    let (from, path) = path.split_once('/').unwrap_or((path, ""));
    url(host, &format!("/{}/{path}", from.split(':').next().unwrap_or_default()))
}

fn pictures(world: &World) -> Vec<String> {
    let shows = |(url, node): (&String, &Node)| node.shows().map(|_| url.clone());
    let all = world.nodes.iter().filter_map(shows);
    all.filter(|url| !world.unseen.contains(url)).collect()
}

/// A world of which most images redirect to another host, some of them from there to a third, and some of
/// those back.
fn redirecting() -> World {
    let mut world = World::generate(&options());
    for (n, image) in pictures(&world).into_iter().enumerate() {
        let node = world.nodes.remove(&image).unwrap();
        let redirect = |to: &str| Node::redirect(302, to, None);
        let (big, onward) = (moved(BIG, &image), moved(ONWARD, &image));
        match n % 5 {
            0 => drop(world.nodes.insert(image, node)),
            1 | 2 => {
                world.nodes.insert(image, redirect(&big));
                world.nodes.insert(big, node);
            }
            3 => {
                world.nodes.insert(image, redirect(&big));
                world.nodes.insert(big, redirect(&onward));
                world.nodes.insert(onward, node);
            }
            // Round in a circle.
            _ => {
                world.nodes.insert(image.clone(), redirect(&big));
                world.nodes.insert(big, redirect(&onward));
                world.nodes.insert(onward, redirect(&image));
            }
        }
    }
    world
}

/// The most requests that a host got in any second.
fn busiest(log: Vec<Access>) -> BTreeMap<String, usize> {
    let mut by_host: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for access in log {
        by_host.entry(access.host).or_default().push(access.time);
    }
    let busiest = |mut times: Vec<std::time::SystemTime>| {
        times.sort();
        let within = |at: usize| {
            let end = times[at] + Duration::from_secs(1);
            times[at..].iter().take_while(|time| **time < end).count()
        };
        (0..times.len()).map(within).max().unwrap_or(0)
    };
    by_host.into_iter().map(|(host, times)| (host, busiest(times))).collect()
}

/// One request every 50 ms, a token to begin with, and as much again for what waits on the way.
fn assert_polite(log: Vec<Access>) {
    for (host, most) in busiest(log) {
        assert!(most <= RATE + RATE / 4 + 2, "{host} got {most} requests in a second");
    }
}

const PACE: [&str; 4] = ["--set", "http.host_rate=20", "--set", "http.host_concurrency=1"];

#[tokio::test(flavor = "multi_thread")]
async fn images_that_redirect_to_anothers_host_are_asked_for_by_that_slice() {
    let mined = Mined::of(redirecting()).await;
    mined.run("alone").await;
    let alone = mined.tables("alone").await;
    let led_on = |image: &magiclens::record::Image| image.final_url.contains(ONWARD);
    assert!(alone.images.iter().filter(|image| led_on(image)).count() > 5);
    let circles = alone.rejects_of("images").iter();
    assert!(circles.filter(|reject| reject.detail.contains("a loop through")).count() > 5);
    mined.world.reset();
    let children: Vec<_> = (0..3)
        .map(|n| start(slice(&mined, "sliced", &format!("{n}/3"), &PACE), &mined, &format!("{n}")))
        .collect();
    all_end_well(children, &mined).await;
    let log = mined.world.log();
    assert!(log.iter().filter(|access| access.host == BIG).count() > 3 * RATE);
    assert_polite(log);
    assert_eq!(alone.difference(&mined.tables("sliced").await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_errand_that_is_missed_for_a_moment_is_waited_for() {
    let mined = Mined::of(redirecting()).await;
    mined.run("alone").await;
    let run = |n: usize| {
        let command = slice(&mined, "sliced", &format!("{n}/2"), &PACE);
        start(command, &mined, &n.to_string())
    };
    let (first, second) = (run(0), run(1));
    let soon = || tokio::time::sleep(Duration::from_millis(10));
    let errands = mined.folder.path().join("sliced/images/errands");
    while !errands.exists() {
        soon().await;
    }
    freeze(&second).await;
    let waits = |log: String| log.contains("waiting for other slices table=\"images\"");
    while !waits(said(&mined, "0")) {
        soon().await;
    }
    let away = errands.with_file_name("errands-away");
    std::fs::rename(&errands, &away).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    std::fs::rename(&away, &errands).unwrap();
    signal(&second, "CONT");
    all_end_well(vec![first, second], &mined).await;
    let (alone, sliced) = (mined.tables("alone").await, mined.tables("sliced").await);
    assert_eq!(alone.difference(&sliced), None);
}

fn host_of(at: &str) -> String {
    Url::parse(at).unwrap().host_str().unwrap().to_owned()
}

/// A world of which each site has its sitemaps on one host that is no part of the crawl, with two pages
/// that are linked from nowhere. They lead round in a circle.
fn mapped() -> (World, Vec<String>) {
    let mut world = World::generate(&options());
    let mut unlinked = Vec::new();
    let xml = |text: String| Node::new(Reply::ok("application/xml", Body::Text(text)));
    let list = |of: &str, kind: &str, urls: &[String]| {
        let urls: String =
            urls.iter().map(|at| format!("<{kind}><loc>{at}</loc></{kind}>")).collect();
        xml(format!("<{of}>{urls}</{of}>"))
    };
    for seed in world.seeds.clone() {
        let host = host_of(&seed);
        let on_host = |(at, node): (&String, &Node)| {
            (at.starts_with(&url(&host, "/")) && *at != seed && node.doc().is_some())
                .then(|| node.clone())
        };
        let page = world.nodes.iter().find_map(on_host).unwrap();
        let pages = [1, 2].map(|n| url(&host, &format!("/unlinked/{n}.html")));
        let [own, index, pages_of] = [
            url(&host, "/maps.xml"),
            url(MAPS, &format!("/{host}.xml")),
            url(MAPS, &format!("/{host}/pages.xml")),
        ];
        let text = format!("User-agent: *\nAllow: /\nSitemap: {index}\nSitemap: {own}\n");
        let robots = Reply::ok("text/plain", Body::Text(text));
        world.nodes.insert(url(&host, "/robots.txt"), Node::new(robots));
        let circle = [index.clone()];
        world.nodes.insert(own.clone(), list("sitemapindex", "sitemap", &circle));
        world.nodes.insert(index, list("sitemapindex", "sitemap", &[pages_of.clone(), own]));
        world.nodes.insert(pages_of, list("urlset", "url", &pages));
        for at in pages {
            world.nodes.insert(at.clone(), page.clone());
            unlinked.push(at);
        }
    }
    (world, unlinked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_the_sitemaps_of_others_is_asked_by_one_slice() {
    let (world, unlinked) = mapped();
    let index = url(MAPS, &format!("/{}.xml", host_of(&world.seeds[0])));
    let mined = Mined::of(world).await;
    let run = |out: &str, of: &str, name: &str| {
        let more = [&PACE[..], &["--stages", "collect"]].concat();
        start(slice(&mined, out, of, &more), &mined, name)
    };
    let times_asked = |at: &str| {
        let (host, path) = (host_of(at), Url::parse(at).unwrap().path().to_owned());
        let log = mined.world.log().into_iter();
        log.filter(|access| access.host == host && access.path == path).count()
    };
    assert!(wait(run("alone", "0/1", "alone")).await.success(), "{}", said(&mined, "alone"));
    for page in &unlinked {
        assert_eq!(times_asked(page), 1, "{page}");
    }
    mined.world.reset();
    let children = (0..3).map(|n| run("sliced", &format!("{n}/3"), &format!("{n}"))).collect();
    all_end_well(children, &mined).await;
    assert_eq!(times_asked(&url(MAPS, "/robots.txt")), 1, "more than one slice has asked the host");
    assert_eq!(times_asked(&index), 1);
    assert_polite(mined.world.log());
    let (alone, sliced) = (mined.tables("alone").await, mined.tables("sliced").await);
    assert_eq!(alone.difference(&sliced), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_among_the_sitemaps_of_others_loses_no_page() {
    let (world, unlinked) = mapped();
    let mined = Mined::of(world).await;
    // So slowly that this test, which may be starved, comes in time.
    let run = || {
        let more = ["--set", "http.host_rate=4", "--stages", "collect"];
        start(slice(&mined, "run", "0/1", &more), &mined, "run")
    };
    let asked_of = |host: &str| {
        let log = mined.world.log().into_iter().filter(|access| access.host == host);
        log.map(|access| access.path).collect::<Vec<_>>()
    };
    let interrupted = run();
    while asked_of(MAPS).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    signal(&interrupted, "INT");
    assert_eq!(wait(interrupted).await.code(), Some(1), "{}", said(&mined, "run"));
    assert!(asked_of(MAPS).len() < 9, "it came too late");
    assert!(wait(run()).await.success(), "{}", said(&mined, "run"));
    for page in &unlinked {
        let path = Url::parse(page).unwrap().path().to_owned();
        assert!(asked_of(&host_of(page)).contains(&path), "{page} was lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_with_most_of_the_images_is_one_slices_and_the_stage_ends() {
    let mut world = World::generate(&options());
    let copies: Vec<String> = pictures(&world);
    for image in &copies {
        let node = world.nodes[image].clone();
        world.nodes.insert(moved(BIG, image), node);
    }
    let mined = Mined::of(world).await;
    mined.run("live").await;
    let (mut rows, mut big, mut all) = (String::from("page_url,image_url,alt\n"), 0, 0);
    let port = mined.world.addr.port();
    for page in mined.tables("live").await.pages {
        for image in page.images {
            let is_copied =
                copies.iter().any(|copy| magiclens_demo::world::at_port(copy, port) == image.url);
            all += 1;
            let image_url = if is_copied && all % 10 < 8 {
                big += 1;
                magiclens_demo::world::at_port(&moved(BIG, &image.url), port)
            } else {
                image.url
            };
            rows += &format!("{},{image_url},{}\n", page.url, image.alt.replace([',', '"'], " "));
        }
    }
    assert!(big * 10 >= all * 6, "{big} of {all}");
    std::fs::write(mined.folder.path().join("images.csv"), rows).unwrap();
    mined.world.reset();
    let command = |out: &str, more: &[&str]| {
        let mut command = mine(mined.folder.path());
        command.args(["--config", "mine.toml", "--table", "images.csv", "--out", out]).args(more);
        command
    };
    assert!(wait(start(command("alone", &[]), &mined, "alone")).await.success());
    mined.world.reset();
    let children: Vec<_> = (0..3)
        .map(|n| {
            let slice = format!("{n}/3");
            let more = [&["--slice", &slice][..], &PACE].concat();
            start(command("sliced", &more), &mined, &format!("{n}"))
        })
        .collect();
    all_end_well(children, &mined).await;
    let log = mined.world.log();
    let robots = log.iter().filter(|access| access.host == BIG && access.path == "/robots.txt");
    assert_eq!(robots.count(), 1, "more than one slice has asked the host");
    assert_polite(log);
    assert_eq!(mined.tables("alone").await.difference(&mined.tables("sliced").await), None);
}
