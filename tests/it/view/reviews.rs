//! Marks: kept through a kill, honoured by the next export, and taken from the page itself only.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::Value;

use super::{Serving, answer, mined_quickly};
use crate::support::{Mined, mine, run};

fn ids(cards: &[Value]) -> Vec<String> {
    cards.iter().map(|card| card["id"].as_str().unwrap().to_owned()).collect()
}

async fn again(mined: &Mined, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = mine(mined.folder.path());
    command.args(["--out", "run"]).args(arguments);
    let output = run(command).await;
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_marked_is_left_out_of_the_next_export() {
    let mined = mined_quickly().await;
    let before = mined.tables("run").await;
    let serving = Serving::start(mined.folder.path());
    let (all, cards) = serving.triplets("fate=exported").await;
    let ids = ids(&cards);
    assert_eq!(all, before.triplets.len() as u64);
    let marks = [(0, "\"bad\""), (1, "\"unsafe\""), (2, "\"good\""), (3, "\"bad\""), (3, "null")];
    for (at, mark) in marks {
        assert_eq!(serving.mark(&ids[at], mark).await.0, StatusCode::OK);
    }
    assert_eq!(serving.mark("0123", "\"bad\"").await.0, StatusCode::NOT_FOUND);
    assert_eq!(serving.mark(&ids[4], "\"worst\"").await.0, StatusCode::BAD_REQUEST);
    // Dropped, it is killed.
    drop(serving);

    let (code, said) = again(&mined, &[]).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("reviews") && said.contains("--redo export"), "{said}");
    let (code, said) = again(&mined, &["--redo", "export"]).await;
    assert_eq!(code, Some(0), "{said}");
    let after = mined.tables("run").await;
    let left: BTreeSet<&str> = after.triplets.iter().map(|row| row.triplet_id.as_str()).collect();
    let expected: BTreeSet<&str> =
        before.triplets.iter().map(|row| row.triplet_id.as_str()).collect();
    let gone: BTreeSet<&str> = expected.difference(&left).copied().collect();
    assert_eq!(gone, BTreeSet::from([ids[0].as_str(), ids[1].as_str()]));
    let rejects = after.rejects_of("triplets").iter();
    let reviewed: Vec<_> = rejects
        .filter(|reject| reject.reason.as_str().starts_with("reviewed"))
        .map(|reject| (reject.reason.as_str(), reject.detail.clone()))
        .collect();
    let mut wanted = vec![
        ("reviewed_bad", format!("triplet {}", ids[0])),
        ("reviewed_unsafe", format!("triplet {}", ids[1])),
    ];
    wanted.sort();
    assert_eq!(reviewed.into_iter().collect::<BTreeSet<_>>(), wanted.into_iter().collect());
    let card = std::fs::read_to_string(mined.folder.path().join("run/triplets/README.md")).unwrap();
    assert!(card.contains("reviewed_bad 1") && card.contains("reviewed_unsafe 1"), "{card}");

    // What was left out can still be seen, and taken in again; nothing changes without news.
    assert_eq!(again(&mined, &[]).await.0, Some(0));
    let serving = Serving::start(mined.folder.path());
    let (n, cards) = serving.triplets("fate=left_out&mark=unsafe").await;
    assert_eq!((n, &cards[0]["id"]), (1, &Value::from(ids[1].as_str())));
    assert_eq!(cards[0]["left_out"], "reviewed_unsafe");
    assert_eq!(serving.triplets("fate=exported").await.0, all - 2);
    for id in &ids[..2] {
        assert_eq!(serving.mark(id, "null").await.0, StatusCode::OK);
    }
    assert_eq!(again(&mined, &["--redo", "export"]).await.0, Some(0));
    assert_eq!(mined.tables("run").await.difference(&before), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_page_itself_is_answered() {
    let mined = mined_quickly().await;
    let serving = Serving::start(mined.folder.path());
    let id = ids(&serving.triplets("").await.1).remove(0);
    let at = |path: &str| format!("{}{path}", serving.url);
    let page = serving.client.get(at("/")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    for header in ["content-security-policy", "x-content-type-options", "referrer-policy"] {
        assert!(page.headers().contains_key(header), "{header}");
    }
    let rebound = serving.client.get(at("/api/triplets")).header("host", "evil.example");
    assert_eq!(answer(rebound).await.0, StatusCode::MISDIRECTED_REQUEST);
    let body = format!("{{\"triplet_id\":\"{id}\",\"mark\":\"bad\"}}");
    let foreign = serving.client.post(at("/api/marks")).header("origin", "http://evil.example");
    assert_eq!(answer(foreign.body(body)).await.0, StatusCode::FORBIDDEN);
    assert!(!mined.folder.path().join("run/reviews.jsonl").exists());
    for (path, status) in [
        ("/images/none/query", 404),
        ("/images/none/side", 404),
        ("/api/triplets?limit=x", 400),
        ("/api/triplets?nonsense=1", 400),
        ("/etc/passwd", 404),
        ("/api/why", 400),
    ] {
        assert_eq!(serving.get(path).await.0.as_u16(), status, "{path}");
    }
    let image = serving.client.get(at(&format!("/images/{id}/query"))).send().await.unwrap();
    assert!(image.headers()["content-type"].to_str().unwrap().starts_with("image/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_need_the_token() {
    let mined = mined_quickly().await;
    let mut command = mine(mined.folder.path());
    command.args(["serve", "run", "--listen", "0.0.0.0:0"]);
    let serving = Serving::of(command);
    let (base, token) = serving.url.split_once("/?token=").unwrap();
    assert!(token.len() >= 24, "{token}");
    let get = |path: &str| serving.client.get(format!("{base}{path}"));
    assert_eq!(answer(get("/api/triplets")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(answer(get("/?token=wrong")).await.0, StatusCode::UNAUTHORIZED);
    let entered = get(&format!("/?token={token}")).send().await.unwrap();
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    assert_eq!(entered.headers()["location"], "/");
    let cookie = entered.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(answer(get("/api/triplets").header("cookie", cookie)).await.0, StatusCode::OK);
    let bearer = format!("Bearer {token}");
    assert_eq!(
        answer(get("/api/triplets").header("authorization", bearer)).await.0,
        StatusCode::OK
    );
}
