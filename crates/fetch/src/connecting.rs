//! Sends a request, and connects again if the connect timeout passed while this process did not run.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};

use magiclens_common::telemetry::TimeLimit;

/// Connections tried for one request.
const TRIES: usize = 4;

/// Sends a request. reqwest limits the time to connect by the wall clock, so a connect timeout while this
/// process did not run says nothing about the host. It is retried, because no request was sent yet.
pub async fn send(request: RequestBuilder) -> reqwest::Result<Response> {
    for _ in 1..TRIES {
        let Some(copy) = request.try_clone() else { break };
        let mut watch = TimeLimit::new(Duration::MAX);
        match watch.count(copy.send()).await {
            Err(error) if error.is_connect() && error.is_timeout() && !watch.lost().is_zero() => {
                tracing::debug!(%error, lost = ?watch.lost(), "connecting again");
            }
            result => return result,
        }
    }
    request.send().await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use reqwest::dns::{Addrs, Name, Resolve, Resolving};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Long enough for a busy machine to connect to itself.
    const LIMIT: Duration = Duration::from_secs(1);

    /// Blocks the runtime for longer than a connection may take, the first time it is asked.
    #[derive(Clone)]
    struct Blocking {
        asked: Arc<AtomicUsize>,
        blocks: bool,
    }

    impl Resolve for Blocking {
        fn resolve(&self, _: Name) -> Resolving {
            let (is_first, blocks) = (self.asked.fetch_add(1, Ordering::SeqCst) == 0, self.blocks);
            Box::pin(async move {
                match (is_first, blocks) {
                    (true, true) => std::thread::sleep(3 * LIMIT),
                    (true, false) => std::future::pending().await,
                    (false, _) => {}
                }
                // Not ready at once, so that the clock has the next word.
                tokio::time::sleep(Duration::from_millis(2)).await;
                let addresses: Addrs = Box::new([([127, 0, 0, 1], 0).into()].into_iter());
                Ok(addresses)
            })
        }
    }

    async fn connect(blocks: bool) -> (reqwest::Result<u16>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    stream.read_buf(&mut request).await.unwrap();
                }
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            }
        });
        let resolver = Blocking { asked: Arc::default(), blocks };
        let client = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(LIMIT)
            .dns_resolver(resolver.clone())
            .build()
            .unwrap();
        let answer = send(client.get(format!("http://a.example:{port}/"))).await;
        let status = answer.map(|response| response.status().as_u16());
        (status, resolver.asked.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn a_connection_that_our_own_thread_held_up_is_made_again() {
        crate::install_tls();
        let (status, tries) = connect(true).await;
        assert_eq!((status.unwrap(), tries), (204, 2));
    }

    #[tokio::test]
    async fn a_host_that_is_late_is_late() {
        crate::install_tls();
        let (status, tries) = connect(false).await;
        let error = status.unwrap_err();
        assert!(error.is_timeout() && error.is_connect(), "{error:?}");
        assert!(tries >= 1);
    }
}
