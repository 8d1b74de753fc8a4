//! Images that lie in archives: read from there instead of requested.
//!
//! What the archived answer says holds as for a live one: caps, opt-outs in its header fields, rights.
//! Its host is not asked for anything.

use std::io::Read;

use url::Url;

use crate::http::Fetched;
use crate::record::Reason;
use crate::stages::archives;
use crate::stages::context::Context;
use crate::table::ArchivedAt;
use crate::warc::Reader;
use crate::warc::payload::{Answer, PayloadError};

/// The archived answer for `url`; none where the archive does not have it any more, which is said and
/// no reason to go without the image.
pub(super) async fn answer(
    ctx: &Context,
    url: &Url,
    at: &ArchivedAt,
) -> Result<Option<Fetched>, (Reason, String)> {
    let (wanted, cap) = (url.clone(), ctx.config.fetch.max_image_bytes);
    let range = at.offset..at.offset.saturating_add(at.length);
    let read = archives::read(ctx, &at.archive, Some(range), move |i| read(i, wanted, cap)).await;
    let problem = match read {
        Ok(Ok(Some(fetched))) => return Ok(Some(fetched)),
        Ok(Ok(None)) => "another record lies there".to_owned(),
        Ok(Err(error @ PayloadError::TooLarge(_))) => {
            return Err((Reason::BodyTooLarge, error.to_string()));
        }
        Ok(Err(PayloadError::Broken(problem))) => return Err((Reason::BodyBroken, problem)),
        Ok(Err(PayloadError::Warc(error))) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::warn!(%url, archive = at.archive, offset = at.offset, problem, "not in its archive");
    Ok(None)
}

fn read(input: impl Read, url: Url, cap: usize) -> Result<Option<Fetched>, PayloadError> {
    let mut reader = Reader::new(input)?;
    let Some(head) = reader.next_record()? else { return Ok(None) };
    let found = head.target_uri.as_deref().and_then(|uri| Url::parse(uri).ok());
    let is_it = found.is_some_and(|mut found| {
        found.set_fragment(None);
        found == url
    });
    let answer = if is_it { Answer::read(&mut reader, &head)? } else { None };
    let Some(answer) = answer else { return Ok(None) };
    let body = answer.body(&mut reader, cap)?;
    let Answer { status, headers } = answer;
    Ok(Some(Fetched { url, status, headers, body, fetched_at: head.date.unwrap_or_default() }))
}
