//! Connections to executors, by the coordinator and among executors: one each, that notices a peer that has
//! gone quiet, and what every call carries so that an executor knows whom it works for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion_distributed::grpc::{BoxCloneSyncChannel, create_worker_client};
use datafusion_distributed::{ChannelResolver, WorkerChannel};
use hyper::http::{HeaderMap, HeaderValue, Request};
use magiclens_common::config::env;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tower::ServiceExt;
use url::Url;

use crate::FORMAT_VERSION;

/// A connection that cannot be made by then cannot be made.
const CONNECT: Duration = Duration::from_secs(10);
/// A peer is asked for a sign of life this often…
pub(super) const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// …and has this long to give one: a machine that lost its power closes no connection, and one whose
/// cores others keep busy is slow to answer.
pub(super) const ALIVE_WITHIN: Duration = Duration::from_secs(60);

const VERSION: &str = "x-magiclens-version";
const TOKEN: &str = "x-magiclens-token";

/// Credentials of a call: the version of the software, and the token if there is one.
#[derive(Clone, Debug)]
pub struct Pass {
    version: String,
    token: Option<SecretString>,
}

impl Pass {
    /// This process's: the token is in the environment only.
    pub fn of_this() -> Self {
        let token = std::env::var(env::ENGINE_TOKEN).ok().filter(|token| !token.is_empty());
        Self { version: version(), token: token.map(SecretString::from) }
    }

    /// Returns true if there is a token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Puts it into a call.
    fn stamp(&self, headers: &mut HeaderMap) -> Result<(), String> {
        let value = |text: &str| HeaderValue::from_str(text);
        let version = value(&self.version).map_err(|error| error.to_string())?;
        headers.insert(VERSION, version);
        if let Some(token) = &self.token {
            let token = value(token.expose_secret());
            let mut token = token.map_err(|_| format!("{} is no header", env::ENGINE_TOKEN))?;
            token.set_sensitive(true);
            headers.insert(TOKEN, token);
        }
        Ok(())
    }

    /// Refuses a call of another version or without the token.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Status> {
        let found = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let token = self.token.as_ref().map_or("", |token| token.expose_secret());
        let is_same: bool = token.as_bytes().ct_eq(found(TOKEN).as_bytes()).into();
        if !is_same {
            let problem = format!("{} here is another one", env::ENGINE_TOKEN);
            return Err(Status::permission_denied(problem));
        }
        match found(VERSION) {
            version if version == self.version => Ok(()),
            version => {
                let problem = format!("this is {}, and the caller is {version:?}", self.version);
                Err(Status::failed_precondition(problem))
            }
        }
    }

    /// Returns the message of an executor that refused a call; `None` for any other error.
    pub fn refusal(error: &DataFusionError) -> Option<&str> {
        let DataFusionError::External(error) = error else { return None };
        let status = error.downcast_ref::<Status>()?;
        let refused = [Code::PermissionDenied, Code::FailedPrecondition].contains(&status.code());
        refused.then_some(status.message())
    }
}

/// Plans cross the wire in forms of these versions.
fn version() -> String {
    format!(
        "magiclens {}, datafusion {}, tables {FORMAT_VERSION}",
        env!("CARGO_PKG_VERSION"),
        datafusion::DATAFUSION_VERSION,
    )
}

/// A connection to each executor, made with the first call and again when it was lost.
#[derive(Clone)]
pub struct Channels {
    pass: Pass,
    known: Arc<Mutex<HashMap<Url, BoxCloneSyncChannel>>>,
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channels").field("pass", &self.pass).finish_non_exhaustive()
    }
}

impl Channels {
    /// Connections whose calls carry a pass.
    pub fn new(pass: Pass) -> Self {
        Self { pass, known: Arc::default() }
    }

    /// A client of one executor.
    pub fn to(&self, url: &Url) -> Result<Box<dyn WorkerChannel>, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = known.get(url) {
            return Ok(create_worker_client(channel.clone()));
        }
        let channel = self.channel(url)?;
        known.insert(url.clone(), channel.clone());
        Ok(create_worker_client(channel))
    }

    fn channel(&self, url: &Url) -> Result<BoxCloneSyncChannel, String> {
        let mut carried = HeaderMap::new();
        self.pass.stamp(&mut carried)?;
        let endpoint = Endpoint::from_shared(url.to_string()).map_err(|error| error.to_string())?;
        let channel = endpoint
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(ALIVE_EVERY)
            .keep_alive_timeout(ALIVE_WITHIN)
            .connect_lazy();
        let stamped = channel.map_request(move |mut request: Request<_>| {
            request.headers_mut().extend(carried.clone());
            request
        });
        Ok(BoxCloneSyncChannel::new(stamped))
    }
}

#[async_trait]
impl ChannelResolver for Channels {
    async fn get_worker_client_for_url(
        &self,
        url: &Url,
    ) -> Result<Box<dyn WorkerChannel>, DataFusionError> {
        self.to(url).map_err(DataFusionError::Execution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(version: &str, token: Option<&str>) -> Pass {
        Pass { version: version.into(), token: token.map(SecretString::from) }
    }

    fn checked(here: &Pass, caller: &Pass) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        caller.stamp(&mut headers).unwrap();
        here.check(&headers).map_err(|status| status.message().to_owned())
    }

    #[test]
    fn callers_of_this_version_and_with_the_token_are_worked_for() {
        for token in [None, Some("secret")] {
            assert_eq!(checked(&pass("1", token), &pass("1", token)), Ok(()));
        }
        let other = checked(&pass("1", None), &pass("2", None));
        assert_eq!(other.unwrap_err(), "this is 1, and the caller is \"2\"");
        for (here, caller) in [
            (Some("secret"), None),
            (Some("secret"), Some("guess!")),
            (Some("secret"), Some("secret2")),
            (None, Some("secret")),
        ] {
            let refused = checked(&pass("1", here), &pass("1", caller)).unwrap_err();
            assert_eq!(refused, "MAGICLENS_ENGINE_TOKEN here is another one");
        }
        assert!(pass("1", None).check(&HeaderMap::new()).is_err());
    }

    #[test]
    fn the_token_is_in_no_text() {
        let shown = format!("{:?}", Channels::new(pass("1", Some("secret"))));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
