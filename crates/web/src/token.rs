//! What whoever opens a page from another machine has to know.

use std::io;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use magiclens_common::config::env;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::WebError;

/// Bytes of a token that is made up.
const BYTES: usize = 24;
/// Letters of one that is given, at least.
const LEAST: usize = 16;

/// A secret that opens a page. It shows in no log.
#[derive(Clone, Debug)]
pub struct Token(SecretString);

impl Token {
    /// A given one.
    pub fn new(text: String) -> Result<Self, WebError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        match text.len() >= LEAST && text.bytes().all(is_plain) {
            true => Ok(Self(text.into())),
            false => Err(WebError::Token),
        }
    }

    /// The one that the environment holds.
    pub fn configured() -> Result<Option<Self>, WebError> {
        std::env::var(env::TOKEN).ok().filter(|text| !text.is_empty()).map(Self::new).transpose()
    }

    /// One that nobody knows yet.
    pub fn random() -> Result<Self, WebError> {
        let mut bytes = [0; BYTES];
        getrandom04::fill(&mut bytes).map_err(|error| WebError::System(io::Error::other(error)))?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(bytes).into()))
    }

    /// Whether it is this one; how long that takes says nothing about it.
    pub(super) fn is(&self, given: &str) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Its text, for the address on the terminal and the cookie.
    pub(super) fn shown(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_plain_and_not_shown() {
        for bad in ["", "short", "sixteen letters;", "sixteen\nletters_"] {
            assert!(Token::new(bad.into()).is_err(), "{bad:?}");
        }
        let token = Token::new("sixteen-letters_".into()).unwrap();
        assert!(token.is("sixteen-letters_"));
        assert!(!token.is("sixteen-letters") && !token.is("Sixteen-letters_") && !token.is(""));
        assert!(!format!("{token:?}").contains("sixteen"));
        let [one, other] = [(); 2].map(|()| Token::random().unwrap());
        assert!(Token::new(one.shown().into()).is_ok());
        assert!(!one.is(other.shown()));
    }
}
