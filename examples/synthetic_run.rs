//! Writes a run directory as `fetch` would leave it, with pages and images made up: to measure the
//! stages from `group` on at a size that no crawl on one machine reaches.
//!
//! `cargo run --release --example synthetic_run -- OUT PAGES [BYTES|FILE]`, then
//! `mine --out OUT --stages group..export`. Eight images a page, of BYTES random bytes each or all of them
//! FILE (none where it is left out); one in twenty is a near-duplicate of another, one in a hundred shares one hash, one in fifty is a site's logo.

use anyhow::{Context, Result};
use magiclens::config::Config;
use magiclens::record::{Image, ImageId, ImageRef, Page, StoredAs, partition};
use magiclens::store::{Fingerprint, Kept, PlainPart, Row, RunDir, Table};
use magiclens::table::{IMAGE_USES, IMAGES, ImageUse, PAGES};

const PARTS: u32 = 16;
const IMAGES_A_PAGE: u64 = 8;
const PAGES_A_SITE: u64 = 50;
const WORDS: [&str; 16] = [
    "red", "boat", "harbour", "winter", "car", "green", "chair", "desert", "night", "three",
    "kitchen", "bird", "morning", "tree", "white", "beach",
];

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let out = args.next().context("usage: synthetic_run OUT PAGES")?;
    let pages: u64 = args.next().context("usage: synthetic_run OUT PAGES")?.parse()?;
    let filled = match args.next() {
        None => Filled::Random(0),
        Some(text) => match text.parse() {
            Ok(bytes) => Filled::Random(bytes),
            Err(_) => Filled::With(std::fs::read(&text).context(text)?),
        },
    };
    let run = RunDir::open(&out)?;
    let (page_table, use_table, image_table) =
        (open(&run, PAGES).await?, open(&run, IMAGE_USES).await?, open(&run, IMAGES).await?);
    for part in 0..PARTS {
        let mut page_part: PlainPart<Page> = page_table.part(part)?;
        let mut use_part: PlainPart<ImageUse> = use_table.part(part)?;
        let mut image_part: PlainPart<Image> = image_table.part(part)?;
        let (mut rows, mut images) = (0, 0);
        for number in (0..pages).filter(|n| n / PAGES_A_SITE % u64::from(PARTS) == u64::from(part))
        {
            let page = page(number);
            for reference in &page.images {
                images += 1;
                use_part.push(image_use(&page, reference, part, rows)).await?;
                image_part.push(image(&page, reference, number, &filled)).await?;
            }
            page_part.push(page).await?;
            rows += 1;
        }
        page_part.commit(u64::from(rows)).await?;
        use_part.commit(images).await?;
        image_part.commit(images).await?;
    }
    let config = toml::to_string(&Config::default())?;
    let seeds = vec!["http://127.0.0.1/".into()];
    run.keep(&Kept { config, seeds, ..Kept::default() }).await?;
    Ok(())
}

async fn open<R: Row>(run: &RunDir, name: &'static str) -> Result<Table<R>> {
    let table = Table::open(run.store(), name, &Fingerprint::new()).await?;
    table.map_err(|mismatch| anyhow::anyhow!("{name} differs in {}", mismatch.key))
}

fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    let n = (n ^ (n >> 27)).wrapping_mul(0x81da_def4_bc2d_d44d);
    n ^ (n >> 33)
}

fn page(number: u64) -> Page {
    let site = number / PAGES_A_SITE;
    let domain = format!("site-{site}.example");
    let word = |n: u64| WORDS[(mix(n) % WORDS.len() as u64) as usize];
    let image = |i: u64| {
        let n = number * IMAGES_A_PAGE + i;
        let file = if mix(n).is_multiple_of(50) { "logo".to_owned() } else { n.to_string() };
        ImageRef {
            url: format!("http://{domain}/images/{number}/{file}-{i}.jpg"),
            alt: format!("A {} {} {} {}", word(n), word(n + 1), word(n * 7), word(n / 8)),
            position: i as u32,
            ..ImageRef::default()
        }
    };
    Page {
        url: format!("http://{domain}/page-{number}.html"),
        host: domain.clone(),
        title: format!("Page {number} of {domain}"),
        images: (0..IMAGES_A_PAGE).map(image).collect(),
        domain,
        ..Page::default()
    }
}

fn image_use(page: &Page, reference: &ImageRef, page_part: u32, page_row: u32) -> ImageUse {
    ImageUse {
        image_url: reference.url.clone(),
        page_url: page.url.clone(),
        domain: page.domain.clone(),
        host: page.host.clone(),
        part: partition(&page.host, PARTS),
        page_part,
        page_row,
        position: reference.position,
    }
}

/// What images hold.
enum Filled {
    Random(usize),
    With(Vec<u8>),
}

impl Filled {
    fn bytes(&self, n: u64) -> Vec<u8> {
        match self {
            Self::Random(size) => {
                (0..*size as u64 / 8).flat_map(|i| mix(n << 16 | i).to_le_bytes()).collect()
            }
            Self::With(bytes) => bytes.clone(),
        }
    }
}

fn image(page: &Page, reference: &ImageRef, number: u64, filled: &Filled) -> Image {
    let n = number * IMAGES_A_PAGE + u64::from(reference.position);
    let stored = filled.bytes(n);
    // What it shows: its own, its site's logo, a picture that many have, or an earlier image.
    let shown = match mix(n ^ 0x5eed) % 100 {
        _ if reference.url.contains("logo") => mix(number / PAGES_A_SITE),
        0 => 7,
        1..=5 => mix(mix(n) % (n + 1)),
        _ => mix(n),
    };
    let bytes: Vec<u8> = (0..28).flat_map(|i| mix(shown ^ (i << 40)).to_le_bytes()).collect();
    let flipped = 1 << (mix(n) % 64);
    Image {
        image_id: ImageId::of(&n.to_le_bytes()),
        url: reference.url.clone(),
        final_url: reference.url.clone(),
        host: page.host.clone(),
        page_url: page.url.clone(),
        page_count: 1,
        format: "jpeg".into(),
        original_bytes: 30_000,
        width: 640,
        height: 480,
        stored_as: StoredAs::Original,
        stored_width: 640,
        stored_height: 480,
        stored_bytes: stored.len() as u32,
        phash: mix(shown) ^ flipped,
        phash256: bytes[..32].try_into().expect("32 bytes of 224"),
        colour_layout: bytes[32..].to_vec(),
        entropy: 5.0,
        rights: None,
        fetched_at: 0,
        bytes: stored,
    }
}
