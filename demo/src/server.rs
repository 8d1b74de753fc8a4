//! Serves a world on one address, host by host, and keeps an access log.

mod body;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body as Sent;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::drawn::Drawn;
use crate::truth::Truth;
use crate::world::{Body, Node, Reply, World, at_port, url};

/// Cap on the files kept after they were made; past it they are made again.
const CACHE_BYTES: usize = 256 << 20;

/// One request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Time of arrival.
    pub time: SystemTime,
    /// The Host header, without its port.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// The User-Agent header.
    pub user_agent: String,
    /// The status it was answered with.
    pub status: u16,
}

/// A world that is being served. Dropping it ends the service.
#[derive(Debug)]
pub struct Running {
    /// Address that the server listens on.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Timeouts for clients of a world, in seconds.
struct Limits {
    read_s: f64,
    total_s: f64,
}

impl Limits {
    /// A client waits for what stalls once in each of two stages, and that is what a run takes longer: the
    /// limits are equal, since what runs into the second is not tried again. Where nothing stalls, they
    /// only end what hangs.
    fn of(world: &World) -> Self {
        match world.options.odd && world.options.hostile {
            true => Self { read_s: 15.0, total_s: 15.0 },
            false => Self { read_s: 120.0, total_s: 600.0 },
        }
    }
}

#[derive(Debug)]
struct Shared {
    world: World,
    port: u16,
    drawn: Option<Drawn>,
    files: Mutex<HashMap<String, Bytes>>,
    tries: Mutex<HashMap<String, u32>>,
    log: Mutex<Vec<Access>>,
    stop: watch::Receiver<bool>,
}

impl World {
    /// Serves the world on `addr`; port 0 takes a free one.
    pub async fn serve(self, addr: SocketAddr) -> Result<Running> {
        self.serve_drawn(addr, None).await
    }

    /// Serves the world with images from a folder, which other processes may share.
    pub async fn serve_drawn(self, addr: SocketAddr, drawn: Option<Drawn>) -> Result<Running> {
        let listener =
            TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))?;
        let addr = listener.local_addr().context("the socket has no address")?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            world: self,
            port: addr.port(),
            drawn,
            files: Mutex::default(),
            tries: Mutex::default(),
            log: Mutex::default(),
            stop: stopped.clone(),
        });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let ended = async move { body::ended(stopped).await };
            // An accept loop ends with an error only when the socket is gone.
            let _ = axum::serve(listener, app).with_graceful_shutdown(ended).await;
        });
        Ok(Running { addr, shared, stop, task })
    }
}

impl Running {
    /// The world.
    pub fn world(&self) -> &World {
        &self.shared.world
    }

    /// Index pages to start from, with the port.
    pub fn seeds(&self) -> Vec<String> {
        let seeds = &self.shared.world.seeds;
        seeds.iter().map(|seed| at_port(seed, self.addr.port())).collect()
    }

    /// What should become of every URL.
    pub fn truth(&self) -> Truth {
        self.shared.world.truth(self.addr.port())
    }

    /// The address of each host name: what `http.resolve` needs.
    pub fn resolve(&self) -> BTreeMap<String, IpAddr> {
        self.shared.world.hosts().into_iter().map(|host| (host, self.addr.ip())).collect()
    }

    /// Every request so far.
    pub fn log(&self) -> Vec<Access> {
        lock(&self.shared.log).clone()
    }

    /// Forgets the requests and lets what was flaky be flaky again.
    pub fn reset(&self) {
        lock(&self.shared.log).clear();
        lock(&self.shared.tries).clear();
    }

    /// The miner's configuration for this world.
    pub fn config(&self) -> String {
        let Limits { read_s, total_s } = Limits::of(self.world());
        let mut text = format!(
            "# Written by demo-world: everything is on this machine, so requests need no pauses, and\n\
             # the machine may be busy with other work.\n\
             [http]\nconcurrency = 16\nhost_rate = 1000.0\nhost_concurrency = 8\n\
             connect_timeout_s = {read_s:?}\nread_timeout_s = {read_s:?}\n\
             total_timeout_s = {total_s:?}\nmax_backoff_s = 3.0\n\n[http.resolve]\n",
        );
        for (host, ip) in self.resolve() {
            text.push_str(&format!("\"{host}\" = \"{ip}\"\n"));
        }
        text.push_str(
            "\n[crawl]\ncontact = \"demo-world@odd.example\"\nallow_addresses = [\"127.0.0.0/8\"]\n",
        );
        text
    }

    /// Ends the service and everything it was still sending.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // A client that keeps its connection open would hold the service up.
        let patience = std::time::Duration::from_millis(500);
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.task.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut access, gzip) = read(&request);
    // The request's body cannot be shared between threads, so it must not live on.
    drop(request);
    let key = url(&access.host, &access.path);
    let reply = match shared.world.nodes.get(&key) {
        Some(node) => shared.turn(&key, node).clone(),
        None => Reply::status(404),
    };
    access.status = reply.status;
    lock(&shared.log).push(access);
    let sent = shared.send(&key, reply, gzip).await;
    sent.unwrap_or_else(|error| plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))
}

/// The log entry of a request, its status still open, and whether gzip is welcome.
fn read(request: &Request) -> (Access, bool) {
    let text = |name| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
    let access = Access {
        time: SystemTime::now(),
        host: text(header::HOST).split(':').next().unwrap_or_default().to_string(),
        path: request.uri().path_and_query().map_or("/", |path| path.as_str()).to_string(),
        user_agent: text(header::USER_AGENT).to_string(),
        status: 0,
    };
    (access, text(header::ACCEPT_ENCODING).contains("gzip"))
}

impl Shared {
    /// Which of a node's answers it is the turn of.
    fn turn<'a>(&self, key: &str, node: &'a Node) -> &'a Reply {
        let Some((times, first)) = &node.first else { return &node.reply };
        let mut tries = lock(&self.tries);
        let number = tries.entry(key.to_string()).or_default();
        *number += 1;
        if *number <= *times { first } else { &node.reply }
    }

    async fn send(&self, key: &str, reply: Reply, gzip: bool) -> Result<Response> {
        let mut headers = HeaderMap::new();
        for (name, value) in &reply.headers {
            headers.insert(*name, HeaderValue::from_str(&at_port(value, self.port))?);
        }
        if let Some(mime) = &reply.mime {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(mime)?);
        }
        let pack = gzip && reply.status == 200 && matches!(reply.body, Body::Page(_));
        if pack || matches!(reply.body, Body::Bomb(..) | Body::Encoded(_)) {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Body::Short(start, missing) = &reply.body {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(start.len() + missing));
        }
        let sent = match body::stream(&reply.body, self.stop.clone()) {
            Some(stream) => stream,
            None => Sent::from(self.file(key, reply.status, reply.body, pack).await?),
        };
        let mut response = Response::new(sent);
        *response.status_mut() = StatusCode::from_u16(reply.status)?;
        response.headers_mut().extend(headers);
        Ok(response)
    }

    /// A body that is made once.
    async fn file(&self, key: &str, status: u16, body: Body, pack: bool) -> Result<Bytes> {
        let key = format!("{status} {pack} {key}");
        if let Some(file) = lock(&self.files).get(&key) {
            return Ok(file.clone());
        }
        let port = self.port;
        let drawn = self.drawn.clone();
        let make = move || body::make(&body, port, pack, drawn.as_ref());
        let file = Bytes::from(tokio::task::spawn_blocking(make).await??);
        let mut files = lock(&self.files);
        if files.values().map(Bytes::len).sum::<usize>() + file.len() <= CACHE_BYTES {
            files.insert(key, file.clone());
        }
        Ok(file)
    }
}

fn plain(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Sent::from(text));
    *response.status_mut() = status;
    response
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::world::{CDN, ODD, Options};

    async fn start() -> Running {
        let world = World::generate(&Options { sites: 2, ..Options::default() });
        world.serve(([127, 0, 0, 1], 0).into()).await.unwrap()
    }

    async fn ask(running: &Running, host: &str, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(running.addr).await.unwrap();
        let port = running.addr.port();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: test\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Head and body of an answer that ends.
    async fn get(running: &Running, host: &str, path: &str) -> (String, Vec<u8>) {
        let mut answer = Vec::new();
        // A body that is cut short ends in an error or in silence.
        let _ = ask(running, host, path).await.read_to_end(&mut answer).await;
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        (head, answer[end + 4..].to_vec())
    }

    #[tokio::test]
    async fn every_collected_page_and_some_images_are_answered() {
        let running = start().await;
        let truth = running.truth();
        let split = |url: &str| {
            let open = url.replace(&format!(":{}/", running.addr.port()), ":0/");
            (crate::world::host_of(&open).to_string(), crate::world::path_of(&open).to_string())
        };
        for page in truth.collected().filter(|page| !page.url.contains("/broken/")) {
            let (host, path) = split(&page.url);
            let (head, body) = get(&running, &host, &path).await;
            assert!(head.starts_with("http/1.1 200"), "{}: {head}", page.url);
            assert!(!String::from_utf8_lossy(&body).contains(".example:0"), "{}", page.url);
        }
        for url in truth.fetched().filter(|url| url.contains("/pictures/plain")) {
            let (host, path) = split(url);
            let (_, body) = get(&running, &host, &path).await;
            image::guess_format(&body).unwrap();
        }
        running.shutdown().await;
    }

    #[tokio::test]
    async fn what_is_flaky_succeeds_at_the_second_try_and_is_logged() {
        let running = start().await;
        for status in ["500", "200", "200"] {
            let (head, _) = get(&running, ODD, "/broken/flaky.html").await;
            assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
        }
        let statuses: Vec<u16> = running.log().iter().map(|access| access.status).collect();
        assert_eq!(statuses, [500, 200, 200]);
        let access = &running.log()[0];
        assert_eq!((access.host.as_str(), access.path.as_str()), (ODD, "/broken/flaky.html"));
        assert_eq!(access.user_agent, "test");
        running.reset();
        assert!(running.log().is_empty());
        assert!(get(&running, ODD, "/broken/flaky.html").await.0.starts_with("http/1.1 500"));
    }

    #[tokio::test]
    async fn hosts_are_told_apart() {
        let running = start().await;
        assert!(get(&running, CDN, "/robots.txt").await.0.starts_with("http/1.1 200"));
        assert!(get(&running, "nobody.example", "/robots.txt").await.0.starts_with("http/1.1 404"));
        assert!(
            get(&running, crate::world::CLOSED, "/robots.txt").await.0.starts_with("http/1.1 500")
        );
    }

    #[tokio::test]
    async fn bodies_lie_stall_and_never_end() {
        let running = start().await;
        let (head, body) = get(&running, ODD, "/hostile/lying.html").await;
        let claimed = head.split("content-length: ").nth(1).unwrap();
        let claimed: usize = claimed.split_whitespace().next().unwrap().parse().unwrap();
        assert_eq!(claimed, body.len() + 5000);
        let mut endless = ask(&running, ODD, "/pictures/hostile-endless.jpg").await;
        let mut taken = vec![0; 30 << 20];
        endless.read_exact(&mut taken).await.unwrap();
        let mut stalled = ask(&running, ODD, "/hostile/stall.html").await;
        let all = async { stalled.read_to_end(&mut Vec::new()).await };
        let waited = tokio::time::timeout(Duration::from_millis(300), all).await;
        assert!(waited.is_err(), "a stalled body has no end");
        running.shutdown().await;
    }

    #[tokio::test]
    async fn a_bomb_is_small_on_the_wire_and_large_unpacked() {
        let running = start().await;
        let (head, body) = get(&running, ODD, "/hostile/bomb.html").await;
        assert!(head.contains("content-encoding: gzip"));
        assert!(body.len() < 1 << 20, "{}", body.len());
        let mut unpacked = flate2::read::GzDecoder::new(body.as_slice());
        let size = std::io::copy(&mut unpacked, &mut std::io::sink()).unwrap();
        assert!(size >= 64 << 20);
    }

    #[tokio::test]
    async fn the_configuration_maps_every_host() {
        let running = start().await;
        let config = running.config();
        for host in running.world().hosts() {
            assert!(config.contains(&format!("\"{host}\" = \"127.0.0.1\"")), "{host}");
        }
    }
}
