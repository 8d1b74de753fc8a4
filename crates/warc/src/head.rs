//! The named fields of a record (WARC 1.1, 4 and 5).

/// What a record holds (WARC 1.1, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// About the file.
    Warcinfo,
    /// An answer with its protocol's head.
    Response,
    /// A resource without one.
    Resource,
    /// What was asked.
    Request,
    /// About another record.
    Metadata,
    /// An answer whose body another record has.
    Revisit,
    /// Another form of another record, such as its text.
    Conversion,
    /// A further piece of another record.
    Continuation,
    /// A type that the standard does not name, or none.
    Unknown,
}

impl RecordType {
    /// The name in files and counts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warcinfo => "warcinfo",
            Self::Response => "response",
            Self::Resource => "resource",
            Self::Request => "request",
            Self::Metadata => "metadata",
            Self::Revisit => "revisit",
            Self::Conversion => "conversion",
            Self::Continuation => "continuation",
            Self::Unknown => "unknown",
        }
    }

    fn parse(name: &str) -> Self {
        const KNOWN: [RecordType; 8] = [
            RecordType::Warcinfo,
            RecordType::Response,
            RecordType::Resource,
            RecordType::Request,
            RecordType::Metadata,
            RecordType::Revisit,
            RecordType::Conversion,
            RecordType::Continuation,
        ];
        let known = KNOWN.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(name));
        known.unwrap_or(Self::Unknown)
    }
}

/// A record's head: of its fields, those that mining needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// WARC-Type.
    pub record_type: RecordType,
    /// WARC-Target-URI, without the angle brackets that some writers put around it.
    pub target_uri: Option<String>,
    /// WARC-Date in microseconds since the epoch, UTC; none where it is no such date.
    pub date: Option<i64>,
    /// Content-Type of the block.
    pub content_type: Option<String>,
    /// Content-Length of the block in bytes, as declared.
    pub length: u64,
}

/// Fields as they are read, line by line.
pub(super) struct Fields {
    head: Head,
    record_type: Option<RecordType>,
    length: Option<Result<u64, String>>,
}

impl Fields {
    pub(super) fn new() -> Self {
        let head = Head {
            record_type: RecordType::Unknown,
            target_uri: None,
            date: None,
            content_type: None,
            length: 0,
        };
        Self { head, record_type: None, length: None }
    }

    /// Takes in a line. Of a field that comes twice the first counts; what is no field is ignored.
    pub(super) fn line(&mut self, line: &[u8]) {
        let Some(colon) = memchr::memchr(b':', line) else { return };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        let text = || String::from_utf8_lossy(value).into_owned();
        if is("content-length") {
            self.length.get_or_insert_with(|| parse_length(value).ok_or_else(text));
        } else if is("warc-type") {
            let of = || RecordType::parse(&String::from_utf8_lossy(value));
            self.record_type.get_or_insert_with(of);
        } else if is("warc-target-uri") {
            self.head.target_uri.get_or_insert_with(|| bare(&text()).to_owned());
        } else if is("warc-date") {
            self.head.date = self.head.date.or_else(|| micros(&text()));
        } else if is("content-type") {
            self.head.content_type.get_or_insert_with(text);
        }
    }

    /// The head, if its length is known: without it there is no telling where the next record is.
    pub(super) fn finish(self) -> Result<Head, String> {
        let length = match self.length {
            Some(Ok(length)) => length,
            Some(Err(text)) => return Err(format!("Content-Length {text:?} is no length")),
            None => return Err("a record without Content-Length".into()),
        };
        let record_type = self.record_type.unwrap_or(RecordType::Unknown);
        Ok(Head { record_type, length, ..self.head })
    }
}

fn parse_length(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// WARC 1.0 put brackets around URIs in its grammar and not in its examples.
fn bare(uri: &str) -> &str {
    uri.strip_prefix('<').and_then(|uri| uri.strip_suffix('>')).unwrap_or(uri)
}

fn micros(date: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(date).ok().map(|date| date.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[&str]) -> Result<Head, String> {
        let mut fields = Fields::new();
        lines.iter().for_each(|line| fields.line(line.as_bytes()));
        fields.finish()
    }

    #[test]
    fn names_have_no_case_and_the_first_of_two_counts() {
        let found = head(&[
            "warc-type: RESPONSE",
            "WARC-Target-URI: <http://a.example/>",
            "WARC-TARGET-URI: http://b.example/",
            "WARC-Date: 2024-05-18T01:58:10.5Z",
            "no field at all",
            "Content-Length:  12 ",
        ]);
        let found = found.unwrap();
        assert_eq!(found.record_type, RecordType::Response);
        assert_eq!(found.target_uri.as_deref(), Some("http://a.example/"));
        assert_eq!(found.date, Some(1_715_997_490_500_000));
        assert_eq!(found.length, 12);
    }

    #[test]
    fn a_length_is_digits_and_must_be_there() {
        assert!(head(&["WARC-Type: response"]).unwrap_err().contains("without Content-Length"));
        for length in ["-1", "+1", "0x10", "", "99999999999999999999999"] {
            let error = head(&[&format!("Content-Length: {length}")]).unwrap_err();
            assert!(error.contains("is no length"), "{error}");
        }
    }

    #[test]
    fn a_date_that_is_none_is_not_made_up() {
        let date = |text: &str| head(&[&format!("WARC-Date: {text}"), "Content-Length: 0"]);
        assert_eq!(date("2008-10-294T05:21:46-0700").unwrap().date, None);
        assert_eq!(date("1970-01-01T00:00:01Z").unwrap().date, Some(1_000_000));
    }
}
