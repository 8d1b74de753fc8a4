//! Showing an image to a model, with what its page says about it.

use futures::stream;
use serde::Serialize;

use super::gate::{DescribeReply, DescribeRules, judge};
use super::{Images, STAGE};
use crate::config::Config;
use crate::endpoint::{DESCRIBE_PROMPTS, Forecast, Notes, PartReplies, Piece, Question, Wire};
use crate::record::{Description, GroupImage, Reason};
use crate::stages::asking::{Asking, Forecaster, Rendered, Source, Texts, text_of};
use crate::stages::context::{Context, StageError};
use crate::store::{Gatherer, Manifest, RowStream, RunDir, StoreError, read_rows};

/// The key that names the prompt.
const PROMPT_KEY: &str = "describe.prompt";

/// Images that are read from `images` at once.
const BATCH: usize = 32;

/// The model with its prompt.
pub struct Describer {
    asking: Asking,
    notes: Notes,
    rules: DescribeRules,
    images: Vec<Manifest>,
}

/// What the template sees.
#[derive(Serialize)]
struct Data<'a> {
    page_title: &'a str,
    heading: &'a str,
    alt: &'a str,
    caption: &'a str,
    nearby_text: &'a str,
}

/// The answers of one part.
pub struct Answers<'a> {
    describer: &'a Describer,
    replies: PartReplies,
}

impl Describer {
    /// Reads prompt and schema.
    pub fn new(ctx: &Context, wire: Wire, images: Images<'_>) -> Result<Self, StageError> {
        let config = &ctx.config.describe;
        let prompt = text_of(PROMPT_KEY, &config.prompt, DESCRIBE_PROMPTS)?;
        let asking = Asking::new(ctx, STAGE, wire, &config.endpoint, &texts(&prompt))?;
        let rules = DescribeRules {
            reject_safety: config.reject_safety.clone(),
            reject_flags: config.reject_flags.clone(),
        };
        let notes = Notes::new(ctx.run.store().scratch(), STAGE, ctx.slice);
        Ok(Self { asking, notes, rules, images: images.to_vec() })
    }

    /// Reads the key; sends nothing.
    pub fn connect(&mut self) -> Result<(), StageError> {
        self.asking.connect()
    }

    /// Finds the replies of all parts.
    pub fn index(&self) -> Result<(), StageError> {
        self.asking.index()
    }

    /// Prompt and model.
    pub fn asking(&self) -> &Asking {
        &self.asking
    }

    /// Where the bytes of images are.
    pub fn images(&self) -> Images<'_> {
        &self.images
    }

    /// Notes what a question is about, before it is asked.
    pub fn note(&self, key: &str, image: &GroupImage) -> Result<(), StageError> {
        let about = [image.group_id.as_str(), image.look.image_id.as_str()];
        Ok(self.notes.add(key, &about)?)
    }

    /// Provider and model.
    pub fn generator(&self) -> &str {
        self.asking.generator()
    }

    /// Hash of what is asked, content aside.
    pub fn prompt_hash(&self) -> &str {
        self.asking.prompt_hash()
    }

    /// Asks what is not known yet of a part of `groups`.
    pub async fn ask(
        &self,
        ctx: &Context,
        part: u32,
        groups: &str,
    ) -> Result<Answers<'_>, StageError> {
        let replies = self.asking.replies(part)?;
        let rows = read_rows::<GroupImage>(ctx.run.store(), groups, BATCH).await?;
        let gatherer = Gatherer::new(ctx.run.store(), &self.images);
        let open = Open { ctx, describer: self, replies: &replies, gatherer, rows };
        let questions = stream::try_unfold(open, |mut open| async {
            let batch = open.next().await?;
            Ok::<_, StageError>(batch.map(|batch| (batch, open)))
        });
        self.asking.ask_all::<DescribeReply>(ctx, &replies, questions).await?;
        Ok(Answers { describer: self, replies })
    }

    /// The question about an image.
    pub fn render(&self, image: &GroupImage) -> Result<Rendered, StageError> {
        self.asking.render(&data(image), &[image.look.image_id.as_str()])
    }
}

fn texts(prompt: &Source) -> Texts<'_> {
    let Source { text, schema } = prompt;
    Texts { prompt: text, demonstrations: "", schema, schema_name: "description" }
}

fn data(image: &GroupImage) -> Data<'_> {
    Data {
        page_title: &image.page_title,
        heading: &image.heading,
        alt: &image.alt,
        caption: &image.caption,
        nearby_text: &image.nearby_text,
    }
}

/// What calls and tokens the rest of the stage takes, about.
pub async fn forecast(
    config: &Config,
    run: &RunDir,
    wire: Wire,
    groups: &[Manifest],
) -> Result<Forecast, StageError> {
    let prompt = text_of(PROMPT_KEY, &config.describe.prompt, DESCRIBE_PROMPTS)?;
    let endpoint = &config.describe.endpoint;
    let mut forecast = Forecaster::new(config, run, STAGE, wire, endpoint, &texts(&prompt))?;
    for part in groups {
        let Some(file) = part.files.get("rows") else { continue };
        let mut rows = read_rows::<GroupImage>(run.store(), &file.path, 512).await?;
        while let Some(batch) = rows.next().await? {
            for image in batch {
                forecast.add(part.part, &data(&image), &[image.look.image_id.as_str()])?;
            }
        }
    }
    Ok(forecast.sum())
}

/// The rows of a part that have no reply yet, with their images.
struct Open<'a> {
    ctx: &'a Context,
    describer: &'a Describer,
    replies: &'a PartReplies,
    gatherer: Gatherer,
    rows: RowStream<GroupImage>,
}

impl Open<'_> {
    async fn next(&mut self) -> Result<Option<Vec<Question>>, StageError> {
        while let Some(batch) = self.rows.next().await? {
            let mut open = Vec::new();
            for image in batch {
                let rendered = self.describer.render(&image)?;
                if self.replies.has(&rendered.key)? {
                    self.ctx.progress.done(None);
                } else {
                    self.describer.note(&rendered.key, &image)?;
                    open.push((rendered, (image.look.image_part, image.look.image_row)));
                }
            }
            if open.is_empty() {
                continue;
            }
            let images = self.gatherer.gather(open.iter().map(|(_, place)| *place)).await?;
            // Two pages may show one image.
            let question = |(rendered, place)| match images.get(&place) {
                Some(bytes) => {
                    Ok(self.describer.asking.question(rendered, vec![Piece::image(bytes.clone())]))
                }
                None => Err(StoreError::corrupt("images", format!("no image at {place:?}")).into()),
            };
            return open.into_iter().map(question).collect::<Result<_, _>>().map(Some);
        }
        Ok(None)
    }
}

impl Answers<'_> {
    /// The description of an image, or why there is none.
    pub fn of(
        &self,
        image: &GroupImage,
    ) -> Result<Result<Description, (Reason, String)>, StageError> {
        let Describer { asking, rules, .. } = self.describer;
        let key = self.describer.render(image)?.key;
        let reply = asking.answer::<DescribeReply>(&self.replies, &key)?;
        Ok(reply.and_then(|reply| judge(reply, rules)).map(|reply| Description {
            group_id: image.group_id.clone(),
            position: image.position,
            image_id: image.look.image_id.clone(),
            caption: reply.caption,
            labels: reply.labels,
            safety: Some(reply.safety),
            flags: reply.flags,
            alt_text: Some(reply.alt_text),
            generator: asking.generator().to_owned(),
            prompt_hash: asking.prompt_hash().to_owned(),
        }))
    }
}
