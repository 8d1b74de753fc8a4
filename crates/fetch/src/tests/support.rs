//! Servers that follow a script byte by byte, and configurations with and without short timeouts.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use magiclens_common::config::Config;
use magiclens_core::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::{Answer, Client, FetchError, Fetched, Kind};

/// Action of a server on a connection once it has read the request.
#[derive(Clone, Debug)]
pub enum Act {
    Send(Vec<u8>),
    /// The same bytes again and again, with a pause after each.
    Forever(Vec<u8>, Duration),
    /// Nothing more, without closing.
    Hang,
    /// Nothing for a while, in which the runtime runs nothing else either.
    Block(Duration),
    /// RST instead of FIN.
    Reset,
}

pub fn send(text: impl Into<Vec<u8>>) -> Act {
    Act::Send(text.into())
}

/// A whole answer. `head` is the status line's rest and further header lines.
pub fn answer(head: &str, body: impl AsRef<[u8]>) -> Vec<Act> {
    let body = body.as_ref();
    let head =
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    vec![send([head.as_bytes(), body].concat())]
}

pub fn ok(body: impl AsRef<[u8]>) -> Vec<Act> {
    answer("200 OK", body)
}

pub fn to(location: &str) -> Vec<Act> {
    answer(&format!("302 Found\r\nLocation: {location}"), "")
}

pub fn not_found() -> Vec<Act> {
    answer("404 Not Found", "")
}

/// A running server and the paths it was asked for.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves `script(path, n)`, n counting the earlier requests for that path.
    pub async fn start(script: impl Fn(&str, usize) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&seen), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                tokio::spawn(async move { serve(stream, &log, &*script).await });
            }
        });
        Self { address, seen }
    }

    /// The same where only pages matter: robots.txt is not there.
    pub async fn pages(script: impl Fn(usize) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::start(move |path, n| if path == "/robots.txt" { not_found() } else { script(n) })
            .await
    }

    pub fn url(&self, path: &str) -> Url {
        self.url_at("127.0.0.1", path)
    }

    pub fn url_at(&self, host: &str, path: &str) -> Url {
        Url::parse(&format!("http://{host}:{}{path}", self.address.port())).unwrap()
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Number of requests for `path`.
    pub fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|seen| *seen == path).count()
    }
}

async fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<String>>,
    script: &(dyn Fn(&str, usize) -> Vec<Act> + Send + Sync),
) {
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            Ok(read) if read > 0 => {}
            _ => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let acts = {
        let mut log = log.lock().unwrap();
        let earlier = log.iter().filter(|seen| **seen == path).count();
        log.push(path.clone());
        script(&path, earlier)
    };
    for act in acts {
        match act {
            Act::Send(bytes) => stream.write_all(&bytes).await.unwrap_or_default(),
            Act::Forever(bytes, pause) => {
                while stream.write_all(&bytes).await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
            }
            Act::Hang => std::future::pending().await,
            Act::Block(time) => {
                std::thread::sleep(time);
                // What is late by then is late before this server continues.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Act::Reset => stream.set_zero_linger().unwrap(),
        }
    }
}

/// Loopback allowed, no politeness, and timeouts that only end what hangs.
pub fn config() -> Config {
    let mut config = Config::default();
    config.http.host_rate = 1e6;
    config.http.host_concurrency = 8;
    config.http.connect_timeout_s = 60.0;
    config.http.read_timeout_s = 60.0;
    config.http.total_timeout_s = 120.0;
    config.http.retries = 0;
    config.http.max_backoff_s = 0.05;
    config.crawl.allow_addresses = vec!["127.0.0.0/8".parse().unwrap()];
    config
}

/// The same with no patience.
pub fn impatient() -> Config {
    let mut config = config();
    config.http.connect_timeout_s = 0.5;
    config.http.read_timeout_s = 0.5;
    config.http.total_timeout_s = 2.0;
    config
}

pub fn client(config: &Config) -> Client {
    let none: crate::resolver::Lookup = Arc::new(|name| {
        Box::pin(async move { Err(std::io::Error::other(format!("a test asked for {name}"))) })
    });
    Client::with_lookup(config, none).unwrap()
}

pub async fn get(client: &Client, url: &Url, kind: Kind) -> Result<Fetched, FetchError> {
    match client.get(url, kind).await? {
        Answer::Fetched(fetched) => Ok(*fetched),
        Answer::Elsewhere(url, _) => panic!("redirected to {url}"),
    }
}

/// Returns the failure of fetching a page of `server` with `config`.
pub async fn failure(config: &Config, server: &Server) -> FetchError {
    get(&client(config), &server.url("/page"), Kind::Page).await.map(|_| ()).unwrap_err()
}

pub async fn page_reason(script: impl Fn(usize) -> Vec<Act> + Send + Sync + 'static) -> Reason {
    let server = Server::pages(script).await;
    failure(&config(), &server).await.reason
}
