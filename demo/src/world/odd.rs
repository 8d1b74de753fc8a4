//! The site of everything awkward, and two sites whose robots.txt shuts us out.

use super::doc::{Doc, Figure};
use super::story::robots;
use super::{Body, CLOSED, NO_GPT, Node, ODD, Reply, Robots, World, odd_pages, odd_pictures, url};
use crate::picture::{Format, Picture};
use crate::rng::Rng;
use crate::scene::Scene;

/// Adds the odd sites.
pub fn plant(world: &mut World) {
    let rng = Rng::named(world.options.seed, "odd");
    let mut odd = Odd { world, rng, photos: 0 };
    odd.host_files();
    let chapters = [odd_pages::plant(&mut odd), odd_pictures::plant(&mut odd)].concat();
    let mut index = odd.page("/", "The museum of odd pages");
    for chapter in chapters {
        index.link(chapter.clone(), format!("On {}", super::path_of(&chapter)));
    }
    index.link(at("/redirects/landing"), "Landing");
    index.link(url(super::OUTSIDE, "/"), "Out of scope");
    index.link(at("/private/diary.html"), "Forbidden by robots.txt");
    index.link(at("/private/open.html"), "Allowed again");
    odd.world.seeds.push(index.url.clone());
    odd.world.put_page(index);
    shut_out(odd.world);
}

/// A URL on the odd site.
pub fn at(path: &str) -> String {
    url(ODD, path)
}

/// The odd site in the making.
pub struct Odd<'a> {
    /// Where it goes.
    pub world: &'a mut World,
    rng: Rng,
    photos: usize,
}

impl Odd<'_> {
    /// A page with two pictures, so that it stays in whatever happens to others.
    pub fn page(&mut self, path: &str, title: &str) -> Doc {
        let mut doc = Doc::new(at(path), title);
        doc.figure(self.photo()).figure(self.photo());
        doc
    }

    /// A new picture, plain.
    pub fn photo(&mut self) -> Figure {
        let (picture, alt) = self.picture();
        let path = format!("/photos/{}.jpg", self.photos);
        self.world.put(at(&path), Node::picture(picture));
        Figure::new(at(&path), alt, "A photo.")
    }

    /// A picture that is not in the world yet, and its alt text.
    pub fn picture(&mut self) -> (Picture, String) {
        self.photos += 1;
        let rng = &mut self.rng;
        let scene = self.world.claim(|| Scene::random(rng)).expect("there are 15 million scenes");
        (Picture::of(scene, (600, 400)), scene.alt())
    }

    /// Adds a picture in a format at a path; returns a figure of it.
    pub fn put_picture(&mut self, path: &str, format: Format) -> Figure {
        let (picture, alt) = self.picture();
        self.world.put(at(path), Node::picture(picture.saved_as(format)));
        Figure::new(at(path), alt, format!("A {} file.", format.name()))
    }

    /// Adds an answer at a path; returns its URL.
    pub fn put(&mut self, path: &str, node: Node) -> String {
        self.world.put(at(path), node);
        at(path)
    }

    fn host_files(&mut self) {
        let rules = format!(
            "User-agent: *\nDisallow: /private/\nAllow: /private/open.html\n\nSitemap: {}\n",
            at("/sitemap.xml")
        );
        self.put("/robots.txt", robots(&rules));
        self.world.robots.insert(ODD.into(), Robots::Except(vec!["/private/"]));
        let open = self.page("/private/open.html", "Allowed again");
        self.world.put_page(open);
        let diary = self.page("/private/diary.html", "Forbidden");
        self.world.put_page(diary);
        self.world.unseen.insert(at("/private/diary.html"));
        let reserved = r#"[{"location": "/reserved/*", "tdm-reservation": 1}]"#;
        let tdm = Reply::ok("application/json", Body::Text(reserved.into()));
        self.put("/.well-known/tdmrep.json", Node::new(tdm));
        self.sitemaps();
    }

    fn sitemaps(&mut self) {
        let pages: Vec<String> = (1..=4).map(|n| at(&format!("/unlinked/{n}.html"))).collect();
        for page in &pages {
            let doc = self.page(super::path_of(page), "Only the sitemap knows");
            self.world.put_page(doc);
        }
        let elsewhere = url(super::OUTSIDE, "/from-sitemap");
        let first = urlset(&[pages[0].clone(), pages[1].clone(), elsewhere.clone()]);
        let second = urlset(&pages[2..]);
        let index = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n\
             <sitemap><loc>{}</loc></sitemap>\n<sitemap><loc>{}</loc></sitemap>\n</sitemapindex>\n",
            at("/sitemap-1.xml"),
            at("/sitemap-2.xml.gz")
        );
        self.put("/sitemap.xml", Node::new(Reply::ok("application/xml", Body::Text(index))));
        self.put("/sitemap-1.xml", Node::new(Reply::ok("application/xml", Body::Text(first))));
        let packed = Body::GzipText(second);
        self.put("/sitemap-2.xml.gz", Node::new(Reply::ok("application/gzip", packed)));
        self.world.unseen.insert(elsewhere);
        self.world.sitemaps.insert(ODD.into(), pages);
    }
}

fn urlset(urls: &[String]) -> String {
    let urls: String = urls.iter().map(|url| format!("<url><loc>{url}</loc></url>\n")).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n{urls}</urlset>\n"
    )
}

/// A site whose robots.txt fails, and one that turns away GPTBot, one of the default tokens.
fn shut_out(world: &mut World) {
    world.put(url(CLOSED, "/robots.txt"), Node::new(Reply::status(500)));
    let rules = "User-agent: GPTBot\nDisallow: /\n\nUser-agent: *\nAllow: /\n";
    world.put(url(NO_GPT, "/robots.txt"), robots(rules));
    for host in [CLOSED, NO_GPT] {
        world.robots.insert(host.into(), Robots::Shut);
        let mut index = Doc::new(url(host, "/"), "Not for us");
        index.link(url(host, "/more.html"), "More");
        world.seeds.push(index.url.clone());
        world.unseen.extend([index.url.clone(), url(host, "/more.html")]);
        world.put_page(index);
        world.put_page(Doc::new(url(host, "/more.html"), "Not for us either"));
    }
}
