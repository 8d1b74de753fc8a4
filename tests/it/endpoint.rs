//! Thousands of calls against an endpoint that fails in every way: nothing is lost, nothing is paid
//! twice, nothing is tried forever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use magiclens::config::{Budget, Endpoint, Price};
use magiclens::endpoint::{
    Ask, AskError, Ended, Model, ModelError, Outcome, PartReplies, Piece, Question, StepReplies,
    Tally, Totals, Wire,
};
use magiclens::record::Reason;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::model_server::{Act, Call, ModelServer, answer_for};
use crate::support::soak;

/// The number in the question of a call.
fn number(call: &Call) -> usize {
    let asked = call.body["messages"].to_string();
    let number = asked.split("question ").nth(1).expect("each asks its question");
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("questions have numbers")
}

fn question(n: usize) -> Question {
    let ask = Ask {
        system: "Say something.".into(),
        user: vec![Piece::Text(format!("question {n}"))],
        schema_name: "something",
        schema: Arc::new(json!({ "type": "object" })),
        max_tokens: 50,
        temperature: 0.5,
        seed: Some(1),
    };
    Question { key: format!("{n:08x}{:056}", 0), ask }
}

fn endpoint(server: &ModelServer) -> Endpoint {
    Endpoint {
        base_url: server.url(),
        model: "test-model".into(),
        concurrency: 100,
        request_timeout_s: 10.0,
        ..Endpoint::default()
    }
}

fn model(wire: Wire, endpoint: &Endpoint, tally: &Tally) -> Model {
    Model::new("describe", wire, endpoint, tally, false, CancellationToken::new()).unwrap()
}

fn tally() -> Tally {
    Tally::new(&Budget::default(), Totals::default())
}

fn fits(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object())
}

async fn ask_all(
    model: &Model,
    replies: &PartReplies,
    questions: impl IntoIterator<Item = usize>,
) -> Vec<Result<(), AskError>> {
    let open = questions.into_iter().map(question).filter(|q| !replies.is_known(&q.key));
    let asked = open.map(|question| replies.ask(model, question, fits));
    stream::iter(asked).buffer_unordered(model.concurrency()).collect().await
}

/// The wire's own way to say no.
fn odd_answer(call: &Call, kind: u64) -> Act {
    let is_gemini = call.path.contains("generateContent");
    let message = |finish: &str, content: Value| {
        Act::Body(json!({
            "choices": [{ "finish_reason": finish, "message": content }],
            "usage": { "prompt_tokens": 100, "completion_tokens": 5 },
        }))
    };
    match kind {
        0 if is_gemini => Act::Body(json!({ "promptFeedback": { "blockReason": "SAFETY" } })),
        0 => message("content_filter", json!({ "content": "" })),
        1 if is_gemini => Act::Body(json!({ "candidates": [{ "finishReason": "RECITATION" }] })),
        1 => message("stop", json!({ "content": null, "refusal": "I cannot help with that." })),
        2 if is_gemini => Act::Body(json!({ "candidates": [{
            "finishReason": "MAX_TOKENS", "content": { "parts": [{ "text": "{\"a" }] },
        }] })),
        2 => message("length", json!({ "content": "{\"a" })),
        3 if is_gemini => Act::Body(json!({ "candidates": [] })),
        3 => Act::Body(json!({ "choices": [] })),
        4 if is_gemini => Act::Body(json!({ "candidates": [{ "finishReason": "NEW_REASON" }] })),
        4 => message("new_reason", json!({ "content": "" })),
        5 => Act::Say("this is no JSON".into()),
        6 => Act::Say("[1, 2]".into()),
        7 => Act::Status(200, Vec::new(), "<html>a proxy</html>".into()),
        8 => Act::Reset,
        9 => Act::Half,
        10 => Act::Status(500, Vec::new(), json!({ "error": "internal" }).to_string()),
        _ => {
            Act::Status(400, Vec::new(), json!({ "error": { "message": "too long" } }).to_string())
        }
    }
}

/// A storm of 429 in the second tenth, for as long as too much is asked at once, a burst of 5xx in the
/// fourth, odd answers everywhere.
fn weather(call: &Call, calls: usize, busy: &AtomicUsize) -> Act {
    let tenth = call.number * 10 / calls;
    if tenth == 1 && call.in_flight > 5 {
        busy.fetch_add(1, Ordering::Relaxed);
        let headers = match call.number % 3 {
            0 => vec![("retry-after-ms", "200".to_owned())],
            1 => vec![("retry-after", "1".to_owned())],
            _ => Vec::new(),
        };
        let body = match call.path.contains("generateContent") {
            true => json!({ "error": { "code": 429, "status": "RESOURCE_EXHAUSTED",
                "message": "slow down" } }),
            false => json!({ "error": { "message": "Rate limit reached", "type": "requests" } }),
        };
        return Act::Status(429, headers, body.to_string());
    }
    if tenth == 3 && call.number.is_multiple_of(2) {
        return Act::Status(503, Vec::new(), String::new());
    }
    // The same content has the same fate, except that what may pass does pass in the end.
    let fate = call.content % 1000;
    let passes = call.number.is_multiple_of(3);
    match fate {
        0..60 if fate % 12 < 5 || fate % 12 == 11 || !passes => odd_answer(call, fate % 12),
        60..63 if !passes => Act::Stall(Duration::from_secs(60)),
        // A server that answers at once never has much in flight.
        _ if tenth <= 1 => Act::Stall(Duration::from_millis(20)),
        _ => Act::Say(answer_for(call)),
    }
}

async fn storm(wire: Wire) {
    let calls = soak(2_000, 10_000);
    let busy = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&busy);
    let server = ModelServer::start(move |call| weather(call, calls, &counted)).await;
    let folder = tempfile::tempdir().unwrap();
    let replies = PartReplies::open(folder.path(), "describe", 0).unwrap();
    let tally = tally();
    let model = model(wire, &endpoint(&server), &tally);
    for outcome in ask_all(&model, &replies, 0..calls).await {
        outcome.unwrap();
    }
    let (mut said, mut cut, mut refused, mut failed, mut paid) = (0, 0, 0, 0, 0);
    for n in 0..calls {
        match replies.outcome(&question(n).key).unwrap() {
            Outcome::Reply(reply) => {
                paid += reply.totals.calls;
                match reply.ended {
                    Ended::Said => said += 1,
                    Ended::Cut => cut += 1,
                    Ended::Refused => refused += 1,
                    Ended::Failed => panic!("{reply:?} is kept as an answer"),
                }
            }
            Outcome::Failed(..) => failed += 1,
            Outcome::Open => panic!("question {n} was lost"),
        }
    }
    let figures = format!(
        "{wire:?}: {calls} calls: {said} said, {cut} cut, {refused} refused, {failed} failed; {} requests, \
         {paid} paid, {:?}",
        server.calls(),
        tally.spent(),
    );
    eprintln!("{figures}");
    assert_eq!(said + cut + refused + failed, calls, "{figures}");
    assert!(said > calls * 9 / 10, "{said} of {calls} answered");
    assert!(cut > 0 && refused > 0, "{cut} cut, {refused} refused");
    assert!(paid >= (said + cut + refused) as u64 && paid <= tally.spent().calls, "{paid}");
    // One call, its retries, and what a throttled endpoint turned down.
    assert!(server.calls() < calls * 2, "{figures}");
    // The storms are in the second and the fourth tenth: after them requests are answered as often as
    // before.
    let tenth = calls / 10;
    let rate = |from: usize, to: usize| {
        server.said(from * tenth..to * tenth) * 1000 / ((to - from) * tenth)
    };
    let (before, storm, after) = (rate(0, 1), rate(1, 2), rate(5, 9));
    eprintln!(
        "{wire:?}: answers to 1000 requests: {before}, in the storm {storm}, after it {after}"
    );
    assert!(storm < before && after >= before * 9 / 10, "{before}, {storm}, {after}: {figures}");

    // What was answered is not asked again, by another process neither.
    let asked = server.calls();
    let again = PartReplies::open(folder.path(), "describe", 0).unwrap();
    for n in 0..calls {
        if !matches!(replies.outcome(&question(n).key).unwrap(), Outcome::Failed(..)) {
            assert!(again.is_known(&question(n).key));
        }
    }
    ask_all(&model, &again, 0..calls).await;
    assert!(server.calls() - asked <= failed * 5 + 100, "{} more", server.calls() - asked);
    // Good answers are paid once.
    for (content, times) in server.answered() {
        let fate = content % 1000;
        assert!(fate < 63 || times == 1, "{content} was answered {times} times");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_over_openai_loses_nothing() {
    storm(Wire::OpenAi).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_over_gemini_loses_nothing() {
    storm(Wire::Gemini).await;
}

async fn first_error(server: &ModelServer, config: &Endpoint, calls: usize) -> ModelError {
    let folder = tempfile::tempdir().unwrap();
    let replies = PartReplies::open(folder.path(), "describe", 0).unwrap();
    let model = model(Wire::OpenAi, config, &tally());
    let outcomes = ask_all(&model, &replies, 0..calls).await;
    assert!(server.calls() <= calls * 5, "{} requests", server.calls());
    let error = outcomes.into_iter().find_map(Result::err).expect("the run goes on");
    let AskError::Model(error) = error else { panic!("{error}") };
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_or_model_ends_the_run_at_once() {
    for (status, body) in [
        (401, json!({ "error": { "message": "Incorrect API key provided" } })),
        (401, json!({ "message": "Unauthorized" })),
        (403, json!({ "error": { "message": "Project is suspended" } })),
        (404, json!({ "error": { "message": "The model does not exist" } })),
        (429, json!({ "error": { "message": "quota", "code": "insufficient_quota" } })),
    ] {
        let server =
            ModelServer::start(move |_| Act::Status(status, Vec::new(), body.to_string())).await;
        let config = Endpoint { concurrency: 1, ..endpoint(&server) };
        let error = first_error(&server, &config, 3).await;
        assert!(matches!(error, ModelError::Abort { .. }), "{error}");
        assert!(error.to_string().contains("no key was sent"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_takes_no_request_at_all_ends_the_run() {
    let body = json!({ "error": { "message": "images are not supported" } }).to_string();
    for (status, body) in
        [(400, body.as_str()), (403, BLOCKED), (404, "default backend - 404"), (404, FORBIDDEN)]
    {
        let body = body.to_owned();
        let server =
            ModelServer::start(move |_| Act::Status(status, Vec::new(), body.clone())).await;
        let config = Endpoint { concurrency: 1, ..endpoint(&server) };
        let error = first_error(&server, &config, 50).await.to_string();
        assert!(error.contains("none of the first 20 requests was taken"), "{error}");
        assert_eq!(server.calls(), 50, "no request is tried again");
    }
}

/// A firewall's page, and a gateway's word.
const BLOCKED: &str = "<html><head><title>Request blocked</title></head></html>";
const FORBIDDEN: &str = "{\"message\": \"Forbidden\"}";

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_a_firewall_turns_down_fail_alone() {
    // Neither before the first answer nor after it.
    let server = ModelServer::start(|call| match number(call) {
        0..10 => Act::Status(403, Vec::new(), BLOCKED.into()),
        100..150 => Act::Status(404, Vec::new(), FORBIDDEN.into()),
        _ => Act::Say(answer_for(call)),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let replies = PartReplies::open(folder.path(), "describe", 0).unwrap();
    let config = Endpoint { concurrency: 1, ..endpoint(&server) };
    let model = model(Wire::OpenAi, &config, &tally());
    for outcome in ask_all(&model, &replies, 0..200).await {
        outcome.unwrap();
    }
    assert_eq!(server.calls(), 200, "none is tried again");
    let failed = failed(&replies, 0..200);
    let numbers: Vec<usize> = failed.iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, (0..10).chain(100..150).collect::<Vec<_>>());
    assert!(failed.iter().all(|(_, reason)| *reason == Reason::HttpClientError), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_down_ends_the_run_after_a_while() {
    let server = ModelServer::start(|_| Act::Reset).await;
    let config = Endpoint { give_up_s: 3.0, ..endpoint(&server) };
    let error = first_error(&server, &config, 200).await;
    assert!(matches!(error, ModelError::Down { .. }), "{error}");
    assert!(error.to_string().contains("run again to resume"), "{error}");
}

/// A proxy's page under status 200: it works, and answers nothing.
fn no_answer() -> Act {
    Act::Status(200, Vec::new(), "<html>a proxy</html>".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_never_answers_ends_the_run() {
    let server = ModelServer::start(|_| no_answer()).await;
    let config = Endpoint { retries: 0, ..endpoint(&server) };
    let error = first_error(&server, &config, 200).await.to_string();
    assert!(error.contains("all of the first 50 calls failed"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_are_never_answered_do_not_hold_up_the_others() {
    let server = ModelServer::start(|call| match number(call) {
        0..60 => no_answer(),
        _ => Act::Say(answer_for(call)),
    })
    .await;
    let config = Endpoint { retries: 0, concurrency: 1, ..endpoint(&server) };
    let folder = tempfile::tempdir().unwrap();
    for has_answered in [false, true] {
        let halt = CancellationToken::new();
        let model =
            Model::new("describe", Wire::OpenAi, &config, &tally(), has_answered, halt).unwrap();
        let replies = PartReplies::open(folder.path(), "describe", 0).unwrap();
        // The first one is answered, and then sixty in a row are not.
        for outcome in ask_all(&model, &replies, [199].into_iter().chain(0..199)).await {
            outcome.unwrap();
        }
        let failed = |n: &usize| {
            let outcome = replies.outcome(&question(*n).key).unwrap();
            matches!(outcome, Outcome::Failed(..))
        };
        assert_eq!((0..200).filter(failed).count(), 60);
    }
    assert_eq!(server.calls(), 260);
}

/// A part's questions with the reasons of those that failed.
fn failed(replies: &PartReplies, questions: std::ops::Range<usize>) -> Vec<(usize, Reason)> {
    let outcome = |n: usize| match replies.outcome(&question(n).key).unwrap() {
        Outcome::Failed(reason, _) => Some((n, reason)),
        Outcome::Reply(_) => None,
        Outcome::Open => panic!("question {n} was lost"),
    };
    questions.filter_map(outcome).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_hang_fail_and_the_run_goes_on() {
    // At the end of a part: no success comes between.
    let server = ModelServer::start(|call| match number(call) {
        88..100 if call.number.is_multiple_of(2) => Act::Half,
        88..100 => Act::Stall(Duration::from_secs(60)),
        _ => Act::Say(answer_for(call)),
    })
    .await;
    let config = Endpoint {
        request_timeout_s: 3.0,
        give_up_s: 6.0,
        retries: 3,
        concurrency: 16,
        ..endpoint(&server)
    };
    let folder = tempfile::tempdir().unwrap();
    let hang: Vec<usize> = (88..100).collect();
    for has_answered in [false, true] {
        let halt = CancellationToken::new();
        let model =
            Model::new("describe", Wire::OpenAi, &config, &tally(), has_answered, halt).unwrap();
        for (part, questions) in [(0, 0..100), (1, 100..200)] {
            let replies = PartReplies::open(folder.path(), "describe", part).unwrap();
            for outcome in ask_all(&model, &replies, questions.clone()).await {
                outcome.unwrap();
            }
            let failed = failed(&replies, questions);
            let expected = if part == 0 { hang.as_slice() } else { &[] };
            assert_eq!(failed.iter().map(|(n, _)| *n).collect::<Vec<_>>(), expected);
            let is_no_answer = |reason| matches!(reason, Reason::Timeout | Reason::BodyBroken);
            assert!(failed.iter().all(|(_, reason)| is_no_answer(*reason)), "{failed:?}");
        }
    }
    let spent = magiclens::endpoint::Spending::of_files(folder.path()).unwrap().all();
    assert_eq!(spent.calls, 188, "what hangs is no call that was answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_hangs_for_all_ends_the_run() {
    let server = ModelServer::start(|call| match call.number {
        0..30 => Act::Say(answer_for(call)),
        _ => Act::Stall(Duration::from_secs(60)),
    })
    .await;
    let config = Endpoint { request_timeout_s: 0.5, give_up_s: 1.0, ..endpoint(&server) };
    let error = first_error(&server, &config, 200).await;
    assert!(matches!(error, ModelError::Down { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_questions_are_asked_once() {
    let server = ModelServer::start(|call| match number(call) {
        0..10 => Act::Say("this is no JSON".into()),
        // So that they are all in flight together.
        _ => Act::Stall(Duration::from_millis(50)),
    })
    .await;
    let config = Endpoint { retries: 0, ..endpoint(&server) };
    let (folder, tally) = (tempfile::tempdir().unwrap(), tally());
    let model = model(Wire::OpenAi, &config, &tally);
    let step = StepReplies::new(folder.path(), "describe");
    let parts = [0, 1].map(|part| step.part(part).unwrap());
    // Twice in each part, then in one that begins when the others are done.
    let asked = || (0..40).chain(0..40);
    let both =
        tokio::join!(ask_all(&model, &parts[0], asked()), ask_all(&model, &parts[1], asked()));
    let later = step.part(2).unwrap();
    let third = ask_all(&model, &later, asked()).await;
    for outcome in both.0.into_iter().chain(both.1).chain(third) {
        outcome.unwrap();
    }
    assert_eq!(server.calls(), 40);
    for n in 0..40 {
        let replies = [&parts[0], &parts[1], &later].map(|part| {
            match part.outcome(&question(n).key).unwrap() {
                Outcome::Reply(reply) => (reply.ended, reply.text),
                other => panic!("question {n}: {other:?}"),
            }
        });
        assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
    }
    let spent = magiclens::endpoint::Spending::of_files(folder.path()).unwrap().all();
    assert_eq!((spent.calls, tally.spent()), (40, spent), "copies are free");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_before_an_error_is_kept() {
    let server = ModelServer::start(|call| match call.number {
        0 => Act::Say("this is no JSON".into()),
        _ => Act::Status(401, Vec::new(), json!({ "error": "wrong key" }).to_string()),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let replies = PartReplies::open(folder.path(), "describe", 0).unwrap();
    let tally = tally();
    let model = model(Wire::OpenAi, &endpoint(&server), &tally);
    let outcomes = ask_all(&model, &replies, 0..1).await;
    assert!(matches!(outcomes[0], Err(AskError::Model(ModelError::Abort { .. }))));
    let spent = magiclens::endpoint::Spending::of_files(folder.path()).unwrap().all();
    assert_eq!((spent.calls, tally.spent()), (1, spent));
    assert!(!replies.is_known(&question(0).key));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_not_know_is_left_out() {
    let server = ModelServer::start(|call| {
        let refuse = |param: &str, message: &str| {
            let error =
                json!({ "message": message, "param": param, "code": "unsupported_parameter" });
            Act::Status(400, Vec::new(), json!({ "error": error }).to_string())
        };
        let format = call.body["response_format"]["type"].as_str().unwrap_or("none");
        if format != "none" {
            return refuse("response_format", "response_format is not supported");
        }
        if call.body.get("max_tokens").is_some() {
            return refuse("max_tokens", "Unsupported parameter: 'max_tokens'");
        }
        Act::Say("{\"ok\": true}".into())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let replies = PartReplies::open(folder.path(), "describe", 0).unwrap();
    let config = Endpoint { concurrency: 1, ..endpoint(&server) };
    let model = model(Wire::OpenAi, &config, &tally());
    for outcome in ask_all(&model, &replies, 0..10).await {
        outcome.unwrap();
    }
    assert_eq!(server.calls(), 13, "three requests find out, ten are answered");
    let last = server.bodies().pop().unwrap();
    assert!(last.contains("JSON Schema") && last.contains("max_completion_tokens"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_is_never_passed() {
    let server = ModelServer::start(|call| Act::Say(answer_for(call))).await;
    let prices = [("test-model".to_owned(), Price { input: 10.0, output: 100.0 })];
    // 100 tokens in and 20 out cost 0.003; 0.006 may be in flight for each.
    let budget = Budget { max_cost: 0.1, prices: prices.into(), ..Budget::default() };
    let folder = tempfile::tempdir().unwrap();
    let mut spent = Totals::default();
    for _ in 0..2 {
        let tally = Tally::new(&budget, spent);
        let replies = PartReplies::open(folder.path(), "describe", 0).unwrap();
        let model = model(Wire::OpenAi, &endpoint(&server), &tally);
        let outcomes = ask_all(&model, &replies, 0..1000).await;
        let error = outcomes.into_iter().find_map(Result::err).expect("the money is spent");
        assert!(error.to_string().starts_with("budget.max_cost = 0.1 would be passed"), "{error}");
        assert!(tally.spent().cost <= 0.1 && tally.spent().cost > 0.03, "{:?}", tally.spent());
        replies.seal().await.unwrap();
        spent = magiclens::endpoint::Spending::of_files(folder.path()).unwrap().all();
        assert!((spent.cost - tally.spent().cost).abs() < 1e-9);
    }
    assert!(server.calls() < 34, "{} calls for 0.1", server.calls());
}
