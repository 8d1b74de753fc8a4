//! Log lines on stderr, as text or JSON, that do not tear the progress line. They quote what sites say, so
//! what would turn or hide other text is written out.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::visible::is_unseen;
use crate::config::env;

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Sets up logging; gives where progress lines are drawn. A second call changes nothing.
pub fn init(format: LogFormat) -> MultiProgress {
    let bars = MultiProgress::new();
    let filter =
        EnvFilter::try_from_env(env::LOG).unwrap_or_else(|_| EnvFilter::new("warn,magiclens=info"));
    let writer = AboveBars { bars: bars.clone(), format };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let colours = io::stderr().is_terminal();
    let done = match format {
        LogFormat::Text => builder.with_ansi(colours).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = done {
        tracing::debug!(%error, "logging was set up already");
    }
    bars
}

#[derive(Clone)]
struct AboveBars {
    bars: MultiProgress,
    format: LogFormat,
}

/// Our own colours and line ends stay: control characters of fields are escaped where they are formatted.
fn plain(line: &[u8], format: LogFormat) -> Cow<'_, [u8]> {
    let is_foreign = |c: char| is_unseen(c) && !c.is_ascii_control();
    match std::str::from_utf8(line) {
        Ok(text) if text.contains(is_foreign) => {
            let mut shown = String::with_capacity(text.len() + 16);
            for c in text.chars() {
                let _ = match (is_foreign(c), format) {
                    (false, _) => shown.write_char(c),
                    (true, LogFormat::Text) => write!(shown, "\\u{{{:x}}}", u32::from(c)),
                    (true, LogFormat::Json) => write!(shown, "\\u{:04x}", u32::from(c)),
                };
            }
            Cow::Owned(shown.into_bytes())
        }
        _ => Cow::Borrowed(line),
    }
}

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = plain(line, self.format);
        self.bars.suspend(|| io::stderr().write_all(&shown)).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_other_text_is_written_out() {
        let line = "\u{1b}[32mINFO\u{1b}[0m page=\u{202e}gpj.exe\n".as_bytes();
        let text = plain(line, LogFormat::Text);
        assert_eq!(text, "\u{1b}[32mINFO\u{1b}[0m page=\\u{202e}gpj.exe\n".as_bytes());
        let json = plain("{\"page\":\"\u{202e}x\"}\n".as_bytes(), LogFormat::Json);
        let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert!(json.is_ascii());
        assert_eq!(read["page"], "\u{202e}x");
        assert!(matches!(plain("Grüße\n".as_bytes(), LogFormat::Text), Cow::Borrowed(_)));
    }
}
