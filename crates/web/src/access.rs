//! Who may ask: checked before a request is looked at in any other way.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use super::{Problem, Token};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request needs.
pub(super) enum Access {
    /// A `Host` of this machine.
    Local,
    /// The token: as a cookie, as a bearer token, or once in the address.
    Token {
        /// What opens.
        token: Token,
        /// Servers on one machine share cookies.
        port: u16,
    },
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
enum Verdict {
    Answer,
    /// The token came in the address: it goes into a cookie, and out of sight.
    Enter(String),
    Refuse(StatusCode, &'static str),
}

pub(super) async fn check(access: Arc<Access>, request: Request, next: Next) -> Response {
    match verdict(&access, request.method(), request.uri(), request.headers()) {
        Verdict::Answer => next.run(request).await,
        Verdict::Enter(location) => {
            let Access::Token { token, port } = &*access else { unreachable!("only tokens enter") };
            let cookie =
                format!("{}={}; Path=/; HttpOnly; SameSite=Lax", cookie_name(*port), token.shown());
            let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, location)];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Verdict::Refuse(status, problem) => Problem(status, problem.into()).into_response(),
    }
}

fn verdict(access: &Access, method: &Method, uri: &Uri, headers: &HeaderMap) -> Verdict {
    let is_reading = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !is_reading && !is_same_origin(headers) {
        return Verdict::Refuse(StatusCode::FORBIDDEN, "this came from another page");
    }
    match access {
        Access::Local if host(headers).is_some_and(|host| is_local(host.host())) => Verdict::Answer,
        Access::Local => Verdict::Refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "ask by the address that the terminal shows: this name is not known here",
        ),
        Access::Token { token, port } => {
            let bearer = text(headers, &header::AUTHORIZATION)
                .and_then(|value| value.strip_prefix("Bearer "));
            let given = bearer.or_else(|| cookie(headers, &cookie_name(*port)));
            if given.is_some_and(|given| token.is(given)) {
                return Verdict::Answer;
            }
            match in_address(uri) {
                Some((given, location)) if token.is(&given) && is_reading => {
                    Verdict::Enter(location)
                }
                _ => Verdict::Refuse(
                    StatusCode::UNAUTHORIZED,
                    "open the address that the terminal shows, with its token",
                ),
            }
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    text(headers, &header::HOST)?.parse().ok()
}

/// Names that no page elsewhere can give itself.
fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Browsers say where a request that changes something comes from; what is no browser says nothing.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let is_near = |site: &str| matches!(site, "same-origin" | "none");
    if headers.contains_key(SITE) && !text(headers, &SITE).is_some_and(is_near) {
        return false;
    }
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let origin = text(headers, &header::ORIGIN).and_then(|origin| origin.parse::<Uri>().ok());
    let origin = origin.and_then(|origin| origin.into_parts().authority);
    origin.is_some() && origin == host(headers)
}

fn cookie_name(port: u16) -> String {
    format!("magiclens-{port}")
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// The token in an address, and the address without it.
fn in_address(uri: &Uri) -> Option<(String, String)> {
    let (mut given, mut rest) = (None, form_urlencoded::Serializer::new(String::new()));
    for (key, value) in form_urlencoded::parse(uri.query()?.as_bytes()) {
        match &*key {
            "token" => given = Some(value.into_owned()),
            _ => drop(rest.append_pair(&key, &value)),
        }
    }
    // Two slashes would lead to another host.
    let path = format!("/{}", uri.path().trim_start_matches('/'));
    let rest = rest.finish();
    let location = if rest.is_empty() { path } else { format!("{path}?{rest}") };
    Some((given?, location))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "sixteen-letters_";

    fn by_token() -> Access {
        Access::Token { token: Token::new(TOKEN.into()).unwrap(), port: 8 }
    }

    fn judged(access: &Access, method: &str, uri: &str, headers: &[(&'static str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        match verdict(access, &method.parse().unwrap(), &uri.parse().unwrap(), &map) {
            Verdict::Answer => 200,
            Verdict::Enter(_) => 303,
            Verdict::Refuse(status, _) => status.as_u16(),
        }
    }

    #[test]
    fn on_loopback_only_names_of_this_machine_are_answered() {
        for host in ["localhost", "LOCALHOST:8", "127.0.0.1:8", "127.9.9.9", "[::1]:8"] {
            assert_eq!(judged(&Access::Local, "GET", "/", &[("host", host)]), 200, "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "8.8.8.8", "[::2]"]
        {
            assert_eq!(judged(&Access::Local, "GET", "/", &[("host", host)]), 421, "{host}");
        }
        assert_eq!(judged(&Access::Local, "GET", "/", &[]), 421);
    }

    #[test]
    fn elsewhere_a_token_opens() {
        fn open(method: &str, uri: &str, headers: &[(&'static str, &str)]) -> u16 {
            judged(&by_token(), method, uri, headers)
        }
        let bearer = format!("Bearer {TOKEN}");
        let cookie = format!("other=1; magiclens-8={TOKEN}");
        assert_eq!(open("GET", "/", &[("authorization", &bearer)]), 200);
        assert_eq!(open("GET", "/", &[("cookie", &cookie)]), 200);
        assert_eq!(open("GET", &format!("/?token={TOKEN}"), &[]), 303);
        assert_eq!(open("POST", &format!("/?token={TOKEN}"), &[]), 401);
        assert_eq!(open("GET", "/?token=wrong", &[]), 401);
        assert_eq!(open("GET", "/", &[("cookie", &format!("magiclens-9={TOKEN}"))]), 401);
        assert_eq!(open("GET", "/", &[("host", "localhost")]), 401);
    }

    #[test]
    fn the_token_leaves_the_address_and_leads_nowhere_else() {
        let at = |uri: &str| in_address(&uri.parse().unwrap()).map(|(_, location)| location);
        assert_eq!(at("/?token=a").as_deref(), Some("/"));
        assert_eq!(at("/x?b=1&token=a&c=d%20e").as_deref(), Some("/x?b=1&c=d+e"));
        assert_eq!(at("//evil.example/?token=a").as_deref(), Some("/evil.example/"));
        assert_eq!(at("/x?b=1"), None);
    }

    #[test]
    fn what_changes_something_comes_from_the_page_itself() {
        let post = |headers: &[(&'static str, &str)]| {
            let host = ("host", "127.0.0.1:8");
            judged(&Access::Local, "POST", "/", &[&[host], headers].concat())
        };
        assert_eq!(post(&[]), 200, "what is no browser");
        assert_eq!(post(&[("origin", "http://127.0.0.1:8")]), 200);
        assert_eq!(
            post(&[("origin", "http://127.0.0.1:8"), ("sec-fetch-site", "same-origin")]),
            200
        );
        for origin in ["http://127.0.0.1:9", "http://evil.example", "null", "http://localhost:8"] {
            assert_eq!(post(&[("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(post(&[("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(post(&[("sec-fetch-site", "same-site")]), 403);
    }
}
