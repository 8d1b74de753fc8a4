//! A model endpoint of our own on loopback that answers, and fails, as it is told: OpenAI's and
//! Gemini's wire formats, storms of 429, resets, stalls, halves of bodies, nonsense. Or it passes requests on
//! to a real one and counts them. It has a runtime of its own, so that what it does is not held up by
//! the client under test.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub enum Act {
    /// 200 and this text as the model's own.
    Say(String),
    /// 200 and this body.
    Body(Value),
    /// A status, headers, a body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// The connection is reset without a word.
    Reset,
    /// Half of a good answer, then the end of the connection.
    Half,
    /// Nothing for so long, then a good answer.
    Stall(Duration),
    /// What the server at this address (`http://host:port`) says to it.
    Pass(String),
}

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its number, from 0.
    pub number: usize,
    /// Calls in flight, this one included.
    pub in_flight: usize,
    /// sha256 of the content without seed and format, as a number.
    pub content: u64,
    /// The path.
    pub path: String,
    /// The header lines.
    pub head: String,
    /// The body.
    pub body: Value,
}

type Script = dyn Fn(&Call) -> Act + Send + Sync;

/// A running server.
pub struct ModelServer {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

struct Shared {
    script: Box<Script>,
    calls: AtomicUsize,
    in_flight: AtomicUsize,
    answered: Mutex<HashMap<u64, usize>>,
    bodies: Mutex<Vec<String>>,
    said: Mutex<BTreeSet<usize>>,
    http: reqwest::Client,
}

impl ModelServer {
    /// Has the steps of a run ask it.
    pub fn asked_by(&self, command: &mut Command, steps: &[&str]) {
        for step in steps {
            for (key, value) in [
                ("provider", "openai"),
                ("endpoint.base_url", self.url().as_str()),
                ("endpoint.model", "test-model"),
            ] {
                command.arg("--set").arg(format!("{step}.{key}={value}"));
            }
        }
    }

    /// Listens on a free port.
    pub async fn start(script: impl Fn(&Call) -> Act + Send + Sync + 'static) -> Self {
        magiclens::http::install_tls();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            calls: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            answered: Mutex::default(),
            bodies: Mutex::default(),
            said: Mutex::default(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        });
        let (stop, ours) = (CancellationToken::new(), Arc::clone(&shared));
        let stopped = stop.clone();
        let accept = async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    Ok((stream, _)) = listener.accept() => {
                        let ours = Arc::clone(&ours);
                        tokio::spawn(async move { let _ = ours.serve(stream).await; });
                    }
                }
            }
        };
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(2).enable_all().build().unwrap().block_on(accept);
        });
        Self { address, shared, stop }
    }

    /// The base URL up to the version.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Requests so far.
    pub fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }

    /// How often each content was answered with 200.
    pub fn answered(&self) -> HashMap<u64, usize> {
        self.shared.answered.lock().unwrap().clone()
    }

    /// How many of these requests, by their numbers, were given a good answer.
    pub fn said(&self, numbers: Range<usize>) -> usize {
        self.shared.said.lock().unwrap().range(numbers).count()
    }

    /// All request bodies, as text.
    pub fn bodies(&self) -> Vec<String> {
        self.shared.bodies.lock().unwrap().clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let _ = stream.set_nodelay(true);
        let mut buffer = Vec::new();
        while let Some((head, body)) = request(&mut stream, &mut buffer).await? {
            let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            let done = self.answer(&mut stream, in_flight, head, body).await;
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            if !done? {
                break;
            }
        }
        Ok(())
    }

    /// False where the connection is to end.
    async fn answer(
        &self,
        stream: &mut TcpStream,
        in_flight: usize,
        head: String,
        body: Vec<u8>,
    ) -> std::io::Result<bool> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let raw = body;
        let body: Value = serde_json::from_slice(&raw).unwrap_or_default();
        let content = content(&body);
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.bodies.lock().unwrap().push(body.to_string());
        let call = Call { number, in_flight, content, path, head, body };
        let act = (self.script)(&call);
        let good = |text: &str| wrap(&call, text).to_string();
        let (status, headers, text) = match act {
            Act::Say(text) => {
                self.said.lock().unwrap().insert(number);
                (200, Vec::new(), good(&text))
            }
            Act::Pass(upstream) => {
                let (status, text) = self.pass(&upstream, &call, raw).await;
                (status, Vec::new(), text)
            }
            Act::Body(body) => (200, Vec::new(), body.to_string()),
            Act::Status(status, headers, text) => (status, headers, text),
            Act::Reset => {
                stream.set_zero_linger()?;
                return Ok(false);
            }
            Act::Half => {
                let text = good("{}");
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&text.as_bytes()[..text.len() / 2]).await?;
                return Ok(false);
            }
            Act::Stall(time) => {
                tokio::time::sleep(time).await;
                self.said.lock().unwrap().insert(number);
                (200, Vec::new(), good(&answer_for(&call)))
            }
        };
        if status == 200 {
            *self.answered.lock().unwrap().entry(content).or_default() += 1;
        }
        let mut head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            text.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n{text}").as_bytes()).await?;
        Ok(true)
    }
}

impl Shared {
    async fn pass(&self, upstream: &str, call: &Call, body: Vec<u8>) -> (u16, String) {
        let mut request = self.http.post(format!("{upstream}{}", call.path)).body(body);
        for line in call.head.lines().skip(1) {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if ["authorization", "content-type"].contains(&name.to_lowercase().as_str()) {
                request = request.header(name, value);
            }
        }
        match request.send().await {
            Ok(response) => (response.status().as_u16(), response.text().await.unwrap_or_default()),
            Err(error) => (502, error.to_string()),
        }
    }
}

/// Reads one request; none at the end of the connection.
async fn request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut chunk = vec![0; 64 << 10];
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            let whole = end + 4 + length.unwrap_or(0);
            if buffer.len() >= whole {
                let body = buffer[end + 4..whole].to_vec();
                buffer.drain(..whole);
                return Ok(Some((head, body)));
            }
        }
        match stream.read(&mut chunk).await? {
            0 => return Ok(None),
            n => buffer.extend(&chunk[..n]),
        }
    }
}

/// What is asked, whatever the try: messages or contents alone.
pub fn content(body: &Value) -> u64 {
    let asked = body.get("messages").or(body.get("contents")).unwrap_or(&Value::Null);
    let digest = Sha256::digest(asked.to_string());
    u64::from_be_bytes(digest[..8].try_into().unwrap())
}

/// A text as the wire format of the call has it.
pub fn wrap(call: &Call, text: &str) -> Value {
    if call.path.contains("generateContent") {
        return json!({
            "candidates": [{
                "content": { "role": "model", "parts": [{ "text": text }] },
                "finishReason": "STOP",
            }],
            "usageMetadata": { "promptTokenCount": 100, "candidatesTokenCount": 20 },
        });
    }
    json!({
        "id": "x",
        "object": "chat.completion",
        "choices": [{
            "index": 0,
            "finish_reason": "stop",
            "message": { "role": "assistant", "content": text },
        }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120 },
    })
}

/// A good answer to a call of `describe` (it has an image) or `instruct`, the same for the same
/// content.
pub fn answer_for(call: &Call) -> String {
    const THINGS: [&str; 8] =
        ["lantern", "ferry", "orchard", "violin", "glacier", "teapot", "saddle", "bridge"];
    const WAYS: [&str; 8] = [
        "seen from the water",
        "with the lid taken off",
        "as people used it long ago",
        "under a stormy sky",
        "while it is being repaired",
        "next to something of its own size",
        "from the workshop that made it",
        "in the hands of a child",
    ];
    let pick = |list: [&'static str; 8], shift: u32| list[(call.content >> shift) as usize % 8];
    let text = call.body.to_string();
    if text.contains("image_url") || text.contains("inlineData") {
        let (thing, other) = (pick(THINGS, 3), pick(THINGS, 11));
        let caption = format!("A {thing} beside a {other}, number {}.", call.content % 1000);
        return json!({
            "caption": caption,
            "labels": [thing, other],
            "safety": "ok",
            "flags": [],
            "alt_text": "consistent",
        })
        .to_string();
    }
    let instruction = format!("is there one {} {}", pick(WAYS, 3), pick(WAYS, 11));
    json!({
        "reasoning": "They belong to one page.",
        "relation": "another view of the same place",
        "keep": true,
        "instructions": [format!("{instruction} and {}", letters(call.content))],
    })
    .to_string()
}

/// A number as a made-up word.
fn letters(mut n: u64) -> String {
    let mut word = String::new();
    while n > 0 {
        word.push((b'a' + (n % 26) as u8) as char);
        n /= 26;
    }
    word
}
