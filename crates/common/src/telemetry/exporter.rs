//! The endpoint that a collector asks: `GET /metrics`, plain HTTP, on loopback unless told otherwise.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::metrics;

/// Path of the metrics.
const PATH: &str = "/metrics";
/// Connections at a time: a collector or two, and a person.
const CONNECTIONS: usize = 8;
/// Time within which a client must send its request; after it the connection is closed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Before the next connection is taken, where one could not be.
const PAUSE: Duration = Duration::from_secs(1);

/// An address as the command line has it: `9100` and `:9100` are on loopback, `0.0.0.0:9100` is for others.
pub fn address(given: &str) -> Option<SocketAddr> {
    let port = given.strip_prefix(':').unwrap_or(given);
    match port.parse::<u16>() {
        Ok(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        Err(_) => given.parse().ok(),
    }
}

/// Answers for as long as it is polled. `scrape` gives the text.
pub async fn serve<F: Future<Output = String> + Send>(
    listener: TcpListener,
    scrape: impl Fn() -> F + Send + Sync + 'static,
) {
    let (scrape, room) = (Arc::new(scrape), Arc::new(Semaphore::new(CONNECTIONS)));
    loop {
        let room = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, as a rule: at once it fails again.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let scrape = Arc::clone(&scrape);
        tokio::spawn(async move {
            connection(stream, &*scrape).await;
            drop(room);
        });
    }
}

async fn connection<F: Future<Output = String> + Send>(
    stream: TcpStream,
    scrape: &(impl Fn() -> F + Send + Sync),
) {
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request, scrape).await));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection for metrics ended early");
    }
}

async fn answer<F: Future<Output = String>>(
    request: &Request<Incoming>,
    scrape: &impl Fn() -> F,
) -> Response<String> {
    let (status, kind, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, PATH) => {
            (StatusCode::OK, metrics::CONTENT_TYPE, scrape().await)
        }
        (_, PATH) => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new()),
        _ => (StatusCode::NOT_FOUND, "text/plain", format!("metrics are at {PATH}\n")),
    };
    let response = Response::builder().status(status).header(CONTENT_TYPE, kind).body(text);
    response.expect("constant headers are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_on_loopback() {
        for given in ["9100", ":9100", "127.0.0.1:9100"] {
            assert_eq!(address(given), Some("127.0.0.1:9100".parse().unwrap()), "{given}");
        }
        assert_eq!(address("0.0.0.0:9100"), Some("0.0.0.0:9100".parse().unwrap()));
        assert_eq!(address("[::1]:9100"), Some("[::1]:9100".parse().unwrap()));
        for given in ["", "metrics", "70000", "localhost"] {
            assert_eq!(address(given), None, "{given}");
        }
    }
}
