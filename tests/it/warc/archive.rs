//! Writing WARC files of a served world, and serving them.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use magiclens_demo::Running;

/// The answer to a request, byte by byte as it comes.
fn answer(address: SocketAddr, host: &str, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    let port = address.port();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept-Encoding: gzip, br, zstd\r\n\
         Connection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// A record of an answer.
pub fn response(url: &str, answer: &[u8]) -> Vec<u8> {
    record("response", url, "application/http; msgtype=response", answer)
}

/// A record.
pub fn record(kind: &str, url: &str, content_type: &str, block: &[u8]) -> Vec<u8> {
    let head = format!(
        "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\n\
         WARC-Date: 2024-05-18T01:58:10Z\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n",
        block.len()
    );
    [head.as_bytes(), block, b"\r\n\r\n"].concat()
}

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Records of everything that a crawl was answered with status 200, each with the request before it,
/// in order of URLs. The server must be as it was before the crawl.
pub async fn records(world: &Running) -> Vec<Vec<u8>> {
    let asked = world.log().into_iter().filter(|access| access.status == 200);
    let asked: BTreeSet<(String, String)> = asked.map(|a| (a.host, a.path)).collect();
    world.reset();
    let address = world.addr;
    let fetch = move || {
        let mut records =
            vec![record("warcinfo", "", "application/warc-fields", b"software: test\r\n")];
        for (host, path) in asked {
            let url = format!("http://{host}:{}{path}", address.port());
            records.push(record(
                "request",
                &url,
                "application/http; msgtype=request",
                b"GET / HTTP/1.1\r\n\r\n",
            ));
            let mut answer = answer(address, &host, &path);
            // What is flaky at first is there the second time.
            if !answer.starts_with(b"HTTP/1.1 200") {
                answer = self::answer(address, &host, &path);
            }
            records.push(response(&url, &answer));
        }
        records
    };
    let records = tokio::task::spawn_blocking(fetch).await.unwrap();
    world.reset();
    records
}

/// Writes records to a file, a gzip member each if its name says so.
pub fn write(path: &Path, records: &[Vec<u8>]) {
    let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
    let bytes = records.iter().flat_map(|r| if is_gzip { gzip(r) } else { r.clone() });
    std::fs::write(path, bytes.collect::<Vec<u8>>()).unwrap();
}

/// Paths that were asked for, with their ranges.
type Log = Vec<(String, Option<String>)>;

/// A server of files that breaks off in the middle of what is not a range, and logs what it is asked.
pub struct FileServer {
    /// Where it listens.
    pub address: SocketAddr,
    log: Arc<Mutex<Log>>,
}

impl FileServer {
    /// Serves the files of a folder for as long as the process lives.
    pub fn start(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (folder, seen) = (folder.to_owned(), Arc::clone(&log));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up is not this server's trouble.
                let _ = serve(stream, &folder, &seen);
            }
        });
        Self { address, log }
    }

    /// Paths that were asked for, with their ranges.
    pub fn log(&self) -> Log {
        self.log.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, folder: &Path, log: &Mutex<Log>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("range").then(|| value.trim().to_owned())
    };
    let range = request.lines().find_map(field);
    log.lock().unwrap().push((path.clone(), range.clone()));
    let Ok(file) = std::fs::read(folder.join(path.trim_start_matches('/'))) else {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    };
    let (status, body, sent) = match &range {
        None => ("200 OK", &file[..], file.len() / 2),
        Some(range) => {
            let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            let to = to.parse::<usize>().map_or(file.len(), |to| (to + 1).min(file.len()));
            let body = &file[from.parse().unwrap()..to];
            ("206 Partial Content", body, body.len())
        }
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nETag: \"one\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body[..sent])
}
