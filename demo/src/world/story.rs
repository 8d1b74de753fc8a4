//! Sites that tell stories: an index, sections, articles of two to six pictures whose relations
//! are true, and between them what such sites have too: logos, icons, spacers, ads, copies.

use super::doc::{Doc, Figure, Markup};
use super::{ADS, Body, CDN, Node, OUTSIDE, Planted, Reply, World, url};
use crate::picture::{Edit, Format, Picture, Subject};
use crate::relation::Relation;
use crate::rng::Rng;
use crate::scene::{Scene, Sign, Spot};

const NAMES: [&str; 6] =
    ["harbour", "old-town", "hill-farm", "garden-club", "workshop", "traveller"];
const SIZES: [(u32, u32); 6] =
    [(640, 480), (720, 480), (800, 533), (600, 450), (750, 500), (900, 600)];

/// Adds all story sites.
pub fn plant(world: &mut World) {
    let mut rng = Rng::named(world.options.seed, "stories");
    for index in 0..world.options.sites {
        Site::new(world, index, rng.bits()).plant();
    }
    copies(world);
    for host in [CDN, ADS, OUTSIDE] {
        world.put(url(host, "/robots.txt"), robots("User-agent: *\nDisallow: /private/\n"));
    }
    world.robots.insert(CDN.into(), super::Robots::Except(vec!["/private/"]));
    world.put_page(Doc::new(url(OUTSIDE, "/"), "Out of scope"));
    world.unseen.insert(url(OUTSIDE, "/"));
}

/// A robots.txt.
pub fn robots(text: &str) -> Node {
    Node::new(Reply::ok("text/plain; charset=utf-8", Body::Text(text.into())))
}

struct Site<'a> {
    world: &'a mut World,
    host: String,
    number: usize,
    rng: Rng,
    pictures: usize,
}

/// What other pages say about an article.
struct Article {
    url: String,
    title: String,
    lead: Figure,
}

impl<'a> Site<'a> {
    fn new(world: &'a mut World, number: usize, seed: u64) -> Self {
        let host = match NAMES.get(number) {
            Some(name) => format!("{name}.example"),
            None => format!("site-{}.example", number + 1),
        };
        Self { world, host, number, rng: Rng::new(seed), pictures: 0 }
    }

    fn plant(&mut self) {
        let pages = self.world.options.pages_per_site.max(4);
        let sections = (pages / 6).max(1);
        let mut articles = pages - 1 - sections;
        self.put_furniture();
        let mut index = self.page("/", format!("News from {}", self.host));
        for number in 0..sections {
            let share = articles / (sections - number);
            articles -= share;
            let path = format!("/section-{}/", number + 1);
            let leads = self.section(&path, share);
            index.link(url(&self.host, &path), format!("Section {}", number + 1));
            for article in leads.into_iter().take(1) {
                index.figure(article.lead);
            }
        }
        self.finish(&mut index);
        self.world.seeds.push(index.url.clone());
        self.world.put_page(index);
        let rules = "User-agent: *\nDisallow: /drafts/\n";
        self.world.put(url(&self.host, "/robots.txt"), robots(rules));
        self.world.robots.insert(self.host.clone(), super::Robots::Except(vec!["/drafts/"]));
    }

    /// A section and its articles. The last one is only linked from the one before it.
    fn section(&mut self, path: &str, number: usize) -> Vec<Article> {
        let mut section = self.page(path, format!("{} of {}", &path[1..path.len() - 1], self.host));
        let mut articles: Vec<Article> = Vec::new();
        for index in (0..number).rev() {
            let continued = if index + 2 == number { articles.first() } else { None };
            let next = continued.map(|a| (a.url.clone(), a.title.clone()));
            let article = self.article(path, index, next);
            articles.insert(0, article);
        }
        let listed = articles.len() - usize::from(articles.len() > 1);
        for article in &articles[..listed] {
            section.link(format!("{}#top", article.url), article.title.clone());
            section.link(article.url.clone(), "Read on");
        }
        if let Some(first) = articles.first() {
            section.figure(first.lead.clone());
        }
        section.link(url(&self.host, "/drafts/next.html"), "A draft");
        section.link(url(OUTSIDE, "/"), "Elsewhere");
        self.world.unseen.insert(url(&self.host, "/drafts/next.html"));
        self.finish(&mut section);
        self.world.put_page(section);
        articles.truncate(listed);
        articles
    }

    fn article(&mut self, section: &str, index: usize, next: Option<(String, String)>) -> Article {
        let scene = self.claim();
        let subject = scene.things().to_lowercase();
        let path = format!("{section}article-{}.html", index + 1);
        let mut doc = self.page(&path, format!("{} {}", scene.things(), scene.whereabouts()));
        doc.text(format!(
            "We met {subject} {} {}. These are the pictures of that day and of others.",
            scene.whereabouts(),
            scene.when()
        ));
        let size = self.rng.pick(&SIZES);
        let lead = self.figure(scene, size, format!("{}.", scene.things()));
        doc.metas.push(("og:image", lead.url.clone()));
        doc.figure(lead.clone());
        self.variants(&mut doc, scene, size, &lead.url);
        self.extras(&mut doc, scene, size, index);
        if let Some((url, title)) = next {
            doc.link(url, format!("Continued: {title}"));
        }
        if index == 0 {
            self.tracked_twin(&mut doc);
        }
        self.finish(&mut doc);
        let article = Article { url: doc.url.clone(), title: doc.title.clone(), lead };
        self.world.put_page(doc);
        article
    }

    /// One to five further pictures, each one change away from the first.
    fn variants(&mut self, doc: &mut Doc, scene: Scene, size: (u32, u32), query: &str) {
        let number = self.rng.pick(&[1, 1, 2, 2, 3, 5]);
        let start = self.rng.below(Relation::ALL.len());
        for step in 0..number {
            let relation = Relation::ALL[(start + step) % Relation::ALL.len()];
            let rng = &mut self.rng;
            let Some(to) = self.world.claim(|| relation.change(scene, rng)) else { continue };
            let phrase = relation.phrase(&to);
            doc.heading(phrase.clone());
            doc.text(format!("{phrase}. We took it {}.", to.when()));
            let figure = self.figure(to, size, format!("{phrase}."));
            self.world.planted.push(Planted {
                page: doc.url.clone(),
                query: query.to_string(),
                target: figure.url.clone(),
                relation,
                phrase,
            });
            doc.figure(figure);
        }
    }

    /// Ads on every article, signs and copies on some.
    fn extras(&mut self, doc: &mut Doc, scene: Scene, size: (u32, u32), index: usize) {
        match index % 4 {
            1 => {
                for word in ["OPEN", "CLOSED"] {
                    let sign = Sign { scene, lines: vec!["THE SHOP".into(), word.into()] };
                    let alt = sign.alt();
                    let picture = Picture::new(Subject::Sign(sign), size).saved_as(Format::Png);
                    let figure =
                        self.put_picture(picture, alt, format!("{}.", word.to_lowercase()));
                    doc.figure(figure);
                }
            }
            2 => {
                let copy = Picture::of(scene, size).edited(Edit::Recompressed);
                let figure = self.put_picture(copy, scene.alt(), "The first one again.".into());
                doc.figure(figure);
            }
            _ => {}
        }
        doc.figure(self.ad(index));
    }

    fn ad(&mut self, index: usize) -> Figure {
        let number = self.rng.below(900) + 100;
        let (path, size) = match index % 5 {
            0 => (url(&self.host, &format!("/ads/{number}.jpg")), (728, 90)),
            1 => (url(&self.host, &format!("/adserver/{number}.png")), (300, 250)),
            2 => (url(&self.host, &format!("/banner-ads/{number}.gif")), (728, 90)),
            3 => (url(ADS, &format!("/{}/{number}.png", self.host)), (300, 250)),
            _ => (url(CDN, &format!("/b/{}.png?ad_id={number}", self.number)), (300, 250)),
        };
        let mark = Picture::new(Subject::Mark(path.clone()), size).saved_as(Format::Png);
        if !self.world.nodes.contains_key(&path) {
            self.world.put(path.clone(), Node::picture(mark));
        }
        Figure::bare(path, "Buy now").sized(size.0, size.1)
    }

    /// A picture of a scene in one of many kinds of markup.
    fn figure(&mut self, scene: Scene, size: (u32, u32), caption: String) -> Figure {
        self.put_picture(Picture::of(scene, size), scene.alt(), caption)
    }

    fn put_picture(&mut self, picture: Picture, alt: String, caption: String) -> Figure {
        self.pictures += 1;
        let number = self.pictures;
        let picture = match number % 23 {
            7 => picture.saved_as(Format::Webp),
            15 => picture.saved_as(Format::Png),
            _ => picture,
        };
        let name = format!("{}-{number}.{}", slug(&alt), picture.format.extension());
        let at = match self.number % 2 {
            0 => url(&self.host, &format!("/media/{name}")),
            _ => url(CDN, &format!("/{}/{name}", self.host)),
        };
        let figure = Figure::new(at.clone(), alt, caption);
        let with_small: Option<fn(String) -> Markup> = match number % 9 {
            3 => Some(Markup::Srcset),
            4 => Some(Markup::Picture),
            5 => Some(Markup::Anchor),
            6 => Some(Markup::LazySet),
            7 => Some(Markup::Density),
            _ => None,
        };
        if let Some(markup) = with_small {
            return figure.marked(markup(self.world.put_with_small(&at, picture)));
        }
        let (width, height) = picture.size();
        self.world.put(at, Node::picture(picture));
        match number % 9 {
            1 => figure.marked(Markup::Lazy),
            8 => figure.sized(width, height),
            _ => figure,
        }
    }

    fn claim(&mut self) -> Scene {
        let spot = Spot::ALL[(self.number * 5 + self.pictures) % Spot::ALL.len()];
        let rng = &mut self.rng;
        let scene = self.world.claim(|| Scene { spot, ..Scene::random(rng) });
        scene.expect("a spot has 170,000 scenes")
    }

    /// A page that already has the site's header.
    fn page(&mut self, path: &str, title: String) -> Doc {
        let mut doc = Doc::new(url(&self.host, path), title);
        doc.canonical = Some(doc.url.clone());
        doc.figure(Figure::bare(url(&self.host, "/static/logo.png"), self.host.clone()));
        doc.link(url(&self.host, "/"), "Home");
        doc
    }

    /// The site's footer.
    fn finish(&mut self, doc: &mut Doc) {
        doc.figure(Figure::bare(url(&self.host, "/static/spacer.gif"), "").sized(1, 1));
        doc.figure(Figure::bare(url(&self.host, "/static/mail.png"), "Mail").sized(24, 24));
        doc.text(format!(
            "Write to editor@{} or call +44 20 7946 01{:02}.",
            self.host, self.number
        ));
    }

    fn put_furniture(&mut self) {
        for (path, size, format) in [
            ("/static/logo.png", (240, 80), Format::Png),
            ("/static/spacer.gif", (1, 1), Format::Gif),
            ("/static/mail.png", (24, 24), Format::Png),
        ] {
            let at = url(&self.host, path);
            let mark = Picture::new(Subject::Mark(at.clone()), size).saved_as(format);
            self.world.put(at, Node::picture(mark));
        }
    }

    /// The article once more under a tracking parameter, which its canonical link gives away.
    fn tracked_twin(&mut self, doc: &mut Doc) {
        let twin = format!("{}?utm_source=feed", doc.url);
        doc.link(twin.clone(), "Share");
        let mut copy = doc.clone();
        copy.url = twin;
        self.world.put_page(copy);
    }
}

/// Copies across pages and sites: every second site's front page borrows from another site.
fn copies(world: &mut World) {
    let fronts: Vec<String> = world.seeds.clone();
    let leads: Vec<(String, Figure)> = fronts
        .iter()
        .filter_map(|front| {
            let doc = world.nodes.get(front)?.doc()?;
            let lead = doc.figures().find(|figure| figure.caption.is_some())?.clone();
            Some((front.clone(), lead))
        })
        .collect();
    for (index, (front, _)) in leads.iter().enumerate() {
        let (other, borrowed) = &leads[(index + 1) % leads.len()];
        if other == front {
            continue;
        }
        let Some(original) = world.nodes.get(&borrowed.url).and_then(Node::shows).cloned() else {
            continue;
        };
        let (name, copy) = match index % 4 {
            0 => ("borrowed", original),
            1 => ("resized", original.edited(Edit::Resized)),
            2 => ("cropped", original.edited(Edit::Cropped)),
            _ => ("", original),
        };
        let at = if name.is_empty() {
            borrowed.url.clone()
        } else {
            let path = format!("/media/{name}.{}", copy.format.extension());
            let at = url(super::host_of(front), &path);
            world.put(at.clone(), Node::picture(copy));
            at
        };
        let caption = format!("Seen at {}.", super::host_of(other));
        let figure = Figure::new(at, borrowed.alt.clone(), caption);
        if let Some(Body::Page(doc)) = world.nodes.get_mut(front).map(|node| &mut node.reply.body) {
            doc.figure(figure);
        }
    }
}

fn slug(alt: &str) -> String {
    let words = alt.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 2);
    words.take(4).collect::<Vec<_>>().join("-").to_lowercase()
}
