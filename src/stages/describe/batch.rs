//! Descriptions by files that are answered elsewhere. Images go into them, or lie beside them and are
//! named by an address.

use super::STAGE;
use super::ask::Describer;
use crate::config::Describe;
use crate::endpoint::{LinkedImages, ModelError, PartReplies, Piece};
use crate::record::{Description, GroupImage};
use crate::stages::batch::Exchange;
use crate::stages::context::{Context, StageError};
use crate::store::{Gatherer, Manifest, StoreError, Table, read_rows};

/// Images that are read from `images` at once.
const BATCH: usize = 32;

/// Takes in what came back, and writes what is still to be asked, as far as the budget goes. Fails with
/// [`StageError::Waiting`] while anything is away.
pub async fn exchange(
    ctx: &Context,
    describer: &Describer,
    table: &Table<Description>,
    groups: &[Manifest],
) -> Result<(), StageError> {
    let config = &ctx.config.describe;
    let links = links(ctx)?;
    let limits = (config.batch_requests, config.batch_bytes);
    let exchange = Exchange::open(ctx, describer.asking(), limits)?;
    let gatherer = Gatherer::new(ctx.run.store(), describer.images());
    let mut sweep = Sweep { ctx, describer, links, gatherer, exchange };
    sweep.all(table, groups).await?;
    sweep.exchange.write_from_now_on();
    sweep.all(table, groups).await?;
    let Sweep { exchange, links, .. } = sweep;
    let besides = links.map_or_else(String::new, |links| {
        let (folder, base) = (links.folder().display(), &config.batch_image_base_url);
        format!("; the images they name are in {folder} and have to be at {base}")
    });
    exchange.end(&besides)
}

/// Where images lie that batch files name; none where they are in the files.
pub fn links(ctx: &Context) -> Result<Option<LinkedImages>, StageError> {
    let Describe { batch_image_base_url: base, batch_image_query_env: env, .. } =
        &ctx.config.describe;
    let folder = ctx.folder("describe.provider = \"batch\"")?.join("batch").join(STAGE);
    if base.is_empty() {
        return Ok(None);
    }
    let setup = |key: &str, problem| ModelError::Setup { key: format!("describe.{key}"), problem };
    let query = match env.as_str() {
        "" => String::new(),
        name => std::env::var(name).map_err(|_| {
            let problem = format!("the environment variable {name} is not set");
            setup("batch_image_query_env", problem)
        })?,
    };
    let links = LinkedImages::new(&folder, base, &query);
    Ok(Some(links.map_err(|problem| setup("batch_image_base_url", problem))?))
}

struct Sweep<'a> {
    ctx: &'a Context,
    describer: &'a Describer,
    links: Option<LinkedImages>,
    gatherer: Gatherer,
    exchange: Exchange<'a>,
}

impl Sweep<'_> {
    /// Goes over all images without a reply.
    async fn all(
        &mut self,
        table: &Table<Description>,
        groups: &[Manifest],
    ) -> Result<(), StageError> {
        for part in groups {
            let Some(file) = part.files.get("rows") else { continue };
            if table.manifest(part.part).await?.is_some() {
                continue;
            }
            self.ctx.go_on()?;
            let replies = self.describer.asking().replies(part.part)?;
            let mut rows = read_rows::<GroupImage>(self.ctx.run.store(), &file.path, BATCH).await?;
            while let Some(rows) = rows.next().await? {
                self.some(&replies, &rows).await?;
            }
            replies.seal().await?;
        }
        Ok(())
    }

    async fn some(&mut self, replies: &PartReplies, rows: &[GroupImage]) -> Result<(), StageError> {
        let mut open = Vec::new();
        for image in rows {
            let rendered = self.describer.render(image)?;
            if replies.has(&rendered.key)? {
                continue;
            }
            self.describer.note(&rendered.key, image)?;
            // Bytes are read only of what is written.
            let nowhere = vec![Piece::Link(String::new())];
            let question = self.describer.asking().question(rendered, nowhere);
            if self.exchange.take(replies, &question)? {
                open.push((question, image));
            }
        }
        let place = |image: &GroupImage| (image.look.image_part, image.look.image_row);
        let files = self.gatherer.gather(open.iter().map(|(_, image)| place(image))).await?;
        for (mut question, image) in open {
            let place = place(image);
            let bytes = files.get(&place).cloned();
            let bytes = bytes
                .ok_or_else(|| StoreError::corrupt("images", format!("no image at {place:?}")))?;
            let piece = match &self.links {
                None => Piece::image(bytes),
                Some(links) => links.keep(image.look.image_id.as_str(), &bytes)?,
            };
            *question.ask.user.last_mut().expect("an image comes last") = piece;
            self.exchange.write(&question)?;
        }
        Ok(())
    }
}
