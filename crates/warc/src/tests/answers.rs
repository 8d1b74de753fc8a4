//! Answers out of records.

use std::io::Write;

use super::super::Reader;
use super::super::payload::{Answer, PayloadError};
use super::support::{gzip, record, response};

const CAP: usize = 1 << 16;

type Body = Result<Vec<u8>, PayloadError>;

fn read(record: &[u8]) -> (Option<Answer>, Option<Body>) {
    let mut reader = Reader::new(record).unwrap();
    let head = reader.next_record().unwrap().unwrap();
    let answer = Answer::read(&mut reader, &head).unwrap();
    let body = answer.as_ref().map(|answer| answer.body(&mut reader, CAP));
    (answer, body)
}

fn body_of(answer: &[u8]) -> Result<String, PayloadError> {
    let (_, body) = read(&response("http://a.example/", answer));
    body.unwrap().map(|body| String::from_utf8(body).unwrap())
}

#[test]
fn heads_are_read_leniently() {
    for (head, status) in [
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", Some(200)),
        ("HTTP/1.1 200\nContent-Type : text/html\n\n", Some(200)),
        ("HTTP/2 404 \r\ncontent-type: text/\r\n html\r\nno field\r\n\r\n", Some(404)),
        ("ICY 200 OK\r\nContent-Type: text/html\r\n\r\n", Some(200)),
        ("http/1.0 301 Moved", Some(301)),
        ("<html>", None),
        ("HTTP/1.1 OK\r\n\r\n", None),
        ("HTTP/1.1 999 No\r\n\r\n", None),
        ("", None),
    ] {
        let (answer, body) = read(&response("http://a.example/", head.as_bytes()));
        assert_eq!(answer.as_ref().map(|answer| answer.status), status, "{head:?}");
        if let (Some(200), Some(answer)) = (status, answer) {
            assert_eq!(answer.media_type(), "text/html", "{head:?}");
            assert_eq!(body.unwrap().unwrap(), b"");
        }
    }
}

#[test]
fn a_resource_has_its_type_in_the_record() {
    let record = record("resource", "http://a.example/", "Text/HTML; charset=x", b"<p>HTTP");
    let (answer, body) = read(&record);
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.media_type().as_str()), (200, "text/html"));
    assert_eq!(body.unwrap().unwrap(), b"<p>HTTP");
}

#[test]
fn chunks_are_undone_where_they_are_there() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
    let body = |body: &str| body_of(format!("{head}{body}").as_bytes());
    assert_eq!(body("3\r\nabc\r\n0\r\n\r\n").unwrap(), "abc");
    assert_eq!(body("<p>was undone").unwrap(), "<p>was undone");
    assert!(matches!(body("3\r\nabc\r\n5\r\nx"), Err(PayloadError::Broken(_))));
}

#[test]
fn codings_are_undone_where_they_are_there() {
    let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    deflated.write_all(b"<p>text").unwrap();
    let brotli = {
        let mut out = Vec::new();
        brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(b"<p>text").unwrap();
        out
    };
    for (coding, bytes) in [
        ("gzip", gzip(b"<p>text")),
        ("x-gzip", b"<p>text".to_vec()),
        ("deflate", deflated.finish().unwrap()),
        ("deflate", b"<p>text".to_vec()),
        ("br", brotli),
        ("br", b"<p>text".to_vec()),
        ("zstd", zstd::encode_all(&b"<p>text"[..], 1).unwrap()),
        ("zstd", b"<p>text".to_vec()),
        ("identity", b"<p>text".to_vec()),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n\r\n");
        let found = body_of(&[head.as_bytes(), &bytes].concat());
        assert_eq!(found.unwrap(), "<p>text", "{coding} {bytes:?}");
    }
}

#[test]
fn caps_hold_for_what_lies_there_and_for_what_comes_out() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
    let bomb = gzip(&vec![0; CAP * 100]);
    let found = body_of(&[&head[..], &bomb].concat());
    assert!(matches!(found, Err(PayloadError::TooLarge(CAP))), "{found:?}");
    let found = body_of(&[&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b'x'; CAP + 1]].concat());
    assert!(matches!(found, Err(PayloadError::TooLarge(CAP))), "{found:?}");
    let broken = [&head[..], &bomb[..40]].concat();
    assert!(matches!(body_of(&broken), Err(PayloadError::Broken(_))));
}
