//! What asking a model costs on our side: a server that answers at once (or after a while), and a
//! client that asks it. benches/peers/endpoint.sh runs both, beside Python's `openai`.
//!
//! `model_bench serve PORT LATENCY_MS`, `model_bench ask BASE_URL CALLS CONCURRENCY`. The client goes
//! the whole way of a stage: prompt, key, limits, request, reply checked against its schema, reply
//! kept in a file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use magiclens::config::{Budget, Endpoint};
use magiclens::endpoint::{
    Ask, Checked, Model, PartReplies, Piece, Prompt, Question, Tally, Totals, Wire,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

const PROMPT: &str = include_str!("../prompts/instruct.v1.md");
const DEMONSTRATIONS: &str = include_str!("../prompts/instruct.v1.demonstrations.json");
const SCHEMA: &str = include_str!("../schemas/instruct.json");
const ANSWER: &str = r#"{"reasoning": "Both are of one place.", "relation": "another season", "keep": true, "instructions": ["how does it look under snow"]}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", port, latency] => serve(port.parse()?, latency.parse()?).await,
        ["ask", url, calls, concurrency] => ask(url, calls.parse()?, concurrency.parse()?).await,
        _ => bail!("usage: model_bench serve PORT LATENCY_MS | ask BASE_URL CALLS CONCURRENCY"),
    }
}

async fn serve(port: u16, latency_ms: u64) -> Result<()> {
    let body = json!({
        "id": "x", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{ "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": ANSWER } }],
        "usage": { "prompt_tokens": 900, "completion_tokens": 40, "total_tokens": 940 },
    });
    let body = Bytes::from(body.to_string());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        let answer = service_fn(move |request: Request<Incoming>| {
            let body = body.clone();
            async move {
                request.into_body().collect().await?;
                if latency_ms > 0 {
                    tokio::time::sleep(Duration::from_millis(latency_ms)).await;
                }
                let response = Response::builder().header("content-type", "application/json");
                Ok::<_, hyper::Error>(response.body(Full::new(body)).expect("a valid response"))
            }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new());
        tokio::spawn(http.serve_connection(TokioIo::new(stream), answer));
    }
}

async fn ask(url: &str, calls: usize, concurrency: usize) -> Result<()> {
    let schema = Checked::new(SCHEMA)?;
    let prompt = Prompt::new("instruct", PROMPT, &[("demonstrations", DEMONSTRATIONS)])?;
    let config = Endpoint {
        base_url: url.to_owned(),
        model: "m".into(),
        concurrency,
        ..Endpoint::default()
    };
    let tally = Tally::new(&Budget::default(), Totals::default());
    let model =
        Model::new("instruct", Wire::OpenAi, &config, &tally, false, CancellationToken::new())?;
    let folder = tempfile::tempdir()?;
    let replies = PartReplies::open(folder.path(), "instruct", 0)?;
    let value = schema.value();
    let (began, cpu) = (Instant::now(), cpu_seconds()?);
    let question = |n: usize| -> Result<Question> {
        let caption = format!("Boat number {n} lies in a harbour between two others.");
        let side = json!({ "alt": "A boat", "labels": ["boat", "harbour"], "caption": caption });
        let data = json!({ "page_title": "Boats", "max": 2, "query": side, "target": side });
        let (system, user) = prompt.render(&data)?;
        let key = hex::encode(Sha256::digest(format!("{system}\n{user}")));
        let ask = Ask {
            system,
            user: vec![Piece::Text(user)],
            schema_name: "instructions",
            schema: Arc::clone(&value),
            max_tokens: 1024,
            temperature: 0.7,
            seed: Some(1),
        };
        Ok(Question { key, ask })
    };
    let fits = |text: &str| schema.read::<Value>(text).is_ok();
    let (model, replies) = (&model, &replies);
    let mut asked = std::pin::pin!(
        stream::iter((0..calls).map(question))
            .map(|question| async move { anyhow::Ok(replies.ask(model, question?, fits).await?) })
            .buffer_unordered(concurrency)
    );
    while let Some(outcome) = asked.next().await {
        outcome?;
    }
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    if tally.spent().calls != calls as u64 {
        bail!("{} of {calls} calls were answered", tally.spent().calls);
    }
    use std::io::Write;
    writeln!(
        std::io::stdout(),
        "{:.4} {:.0} {:.0} {}",
        cpu * 1000.0 / calls as f64,
        calls as f64 / cpu,
        calls as f64 / wall,
        peak_mb()?
    )?;
    Ok(())
}

/// User and system time of this process.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit_once(") ").context("an odd /proc/self/stat")?.1;
    let fields: Vec<&str> = after.split(' ').collect();
    // utime and stime, in hundredths on every Linux there is.
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

fn peak_mb() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM")).context("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).context("an odd VmHWM")?.parse::<u64>()? / 1024)
}
