//! What every page that a verb serves has in common: who may ask for it, what is sent along with an answer,
//! and how it ends. Not the pages: each verb brings its own [`Router`].
//!
//! On loopback there is no login, and requests must name a host of this machine: a page elsewhere that had
//! its own name resolve to 127.0.0.1 could else read everything (DNS rebinding). On any other address a
//! token is asked for ([`Token`]). Requests that change something must come from the page itself.
#![forbid(unsafe_code)]

mod access;
mod problem;
mod token;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use access::Access;
pub use problem::{Problem, no_such_method, no_such_page};
pub use token::Token;

/// How long answers that are under way may take once the server is told to stop.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is sent along with every answer. No page needs anything from elsewhere, nor markup with styles or
/// scripts in it.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src 'self' blob: data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Why nothing is served.
#[derive(Debug, Error)]
pub enum WebError {
    /// The address is taken, or not of this machine.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// A token that cannot be part of an address or a cookie, or is too short to be one.
    #[error("{} must be 16 letters, digits, - or _ at least", magiclens_common::config::env::TOKEN)]
    Token,
    /// The system gave no random bytes or took no handler of signals.
    #[error("cannot begin to serve: {0}")]
    System(io::Error),
}

/// An address that is listened on, and who may ask there.
pub struct Site {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
}

impl Site {
    /// Listens. On loopback everybody on this machine may ask; elsewhere whoever knows `token`, or one
    /// that is made up where there is none.
    pub async fn bind(listen: SocketAddr, token: Option<Token>) -> Result<Self, WebError> {
        let failed = |error| WebError::Listen(listen, error);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let access = match token {
            Some(token) => Access::Token { token, port: address.port() },
            None if address.ip().is_loopback() => Access::Local,
            None => Access::Token { token: Token::random()?, port: address.port() },
        };
        Ok(Self { listener, address, access })
    }

    /// Where it is found, with the token where one is asked for: for the terminal alone.
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        match &self.access {
            Access::Local => format!("http://{address}/"),
            Access::Token { token, .. } => format!("http://{address}/?token={}", token.shown()),
        }
    }

    /// Answers until `stop` is done, and for a moment what is under way then.
    pub async fn serve(
        self,
        router: Router,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let access = Arc::new(self.access);
        let router = router
            .layer(middleware::from_fn(move |request, next: Next| {
                access::check(Arc::clone(&access), request, next)
            }))
            .layer(middleware::map_response(with_headers));
        let stopping = CancellationToken::new();
        let until = stopping.clone();
        let serving = axum::serve(self.listener, router).with_graceful_shutdown(async move {
            stop.await;
            until.cancel();
        });
        tokio::select! {
            served = serving.into_future() => served,
            () = async { stopping.cancelled().await; tokio::time::sleep(LAST_WORDS).await } => Ok(()),
        }
    }
}

async fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Done at Ctrl-C, or at what a supervisor sends.
pub fn stopped() -> Result<impl Future<Output = ()> + Send + use<>, WebError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(WebError::System)?;
    Ok(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    })
}
