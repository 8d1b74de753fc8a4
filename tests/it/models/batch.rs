//! Batch files: out, answered elsewhere, and back.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{options, priced, set, status};
use crate::model_server::{Call, answer_for};
use crate::support::{Mined, run};

/// Answers every request of a batch file as a batch service does, `lost` of them not.
fn answer_batch(requests: &Path, results: &Path, number: usize) -> usize {
    let text = std::fs::read_to_string(requests).unwrap();
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let request: Value = serde_json::from_str(line).unwrap();
        assert_eq!(request["url"], "/v1/chat/completions");
        let call = Call {
            number: at,
            in_flight: 1,
            content: crate::model_server::content(&request["body"]),
            path: "/v1/chat/completions".into(),
            head: String::new(),
            body: request["body"].clone(),
        };
        let id = &request["custom_id"];
        lines.push(match at % 5 {
            // Failed and expired ones come back once; lost ones do not come back at all.
            0 if number == 0 => json!({ "id": "b", "custom_id": id, "response": null,
                "error": { "code": "batch_expired", "message": "too late" } }),
            1 if number == 0 => continue,
            _ => {
                let body = crate::model_server::wrap(&call, &answer_for(&call));
                json!({ "id": "b", "custom_id": id, "error": null,
                    "response": { "status_code": 200, "body": body } })
            }
        });
    }
    // Whatever the order.
    lines.reverse();
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(results, text.join("\n")).unwrap();
    lines.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_out_and_comes_back() {
    let mined = Mined::serve(&options()).await;
    let batch_run = || {
        let mut command = mined.command("run");
        set(
            &mut command,
            [
                ("instruct.provider", "batch".to_owned()),
                ("instruct.endpoint.model", "test-model".to_owned()),
                ("instruct.batch_requests", "10".to_owned()),
            ],
        );
        command
    };
    let folder = mined.folder.path().join("run/batch/instruct");
    let mut seen: HashSet<String> = HashSet::new();
    let mut rounds = 0;
    loop {
        let output = run(batch_run()).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            break;
        }
        assert_eq!(output.status.code(), Some(4), "{stderr}");
        assert!(stderr.contains("put the result files into"), "{stderr}");
        // Run again before anything came back: nothing is written twice.
        let files = || {
            let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            entries.filter(|path| path.is_file()).collect::<Vec<_>>()
        };
        let written = files().len();
        assert_eq!(run(batch_run()).await.status.code(), Some(4));
        assert_eq!(files().len(), written);
        for path in files() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if seen.insert(name.clone()) {
                answer_batch(&path, &folder.join("results").join(format!("out-{name}")), rounds);
            }
        }
        rounds += 1;
        assert!(rounds < 5, "{stderr}");
    }
    assert_eq!(rounds, 2, "what failed or was lost is asked once more");
    let tables = mined.tables("run").await;
    assert!(!tables.triplets.is_empty());
    assert!(tables.instructions.iter().all(|row| row.generator == "openai/test-model"));
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_files_stop_at_the_cap_and_what_is_away_counts() {
    let mined = Mined::serve(&options()).await;
    let batch_run = |max_cost: &str| {
        let mut command = mined.command("run");
        set(
            &mut command,
            [
                ("instruct.provider", "batch".to_owned()),
                ("instruct.endpoint.model", "test-model".to_owned()),
            ],
        );
        priced(&mut command, max_cost);
        command
    };
    let folder = mined.folder.path().join("run/batch/instruct");
    let ids = || {
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let texts = files.filter(|path| path.is_file()).map(std::fs::read_to_string);
        let texts: Vec<String> = texts.map(Result::unwrap).collect();
        let of = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["custom_id"].as_str().unwrap().to_owned()
        };
        texts.iter().flat_map(|text| text.lines()).map(of).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        let output = run(batch_run("1.0")).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{stderr}");
        assert!(stderr.contains("held back: budget.max_cost = 1 would be passed"), "{stderr}");
    }
    let pairs = mined.tables("run").await.pairs.len();
    let first = ids();
    assert!(!first.is_empty() && first.len() < pairs.min(20), "{} of {pairs}", first.len());
    // Without an answer there is nothing left for more; with them there is.
    let answer = |name: &str| {
        answer_batch(&folder.join(name), &folder.join("results").join(format!("out-{name}")), 1)
    };
    answer("requests-00000.jsonl");
    assert_eq!(run(batch_run("100")).await.status.code(), Some(4));
    answer("requests-00001.jsonl");
    let output = run(batch_run("100")).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all = ids();
    assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (pairs, pairs));
    let told = status(&mined).await;
    assert!(told.contains(&format!("instruct: {pairs} calls")), "{told}");
}

/// The request files of a step, and of each request the address of its image.
fn requests(folder: &Path) -> (Vec<PathBuf>, Vec<String>) {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
    let texts: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let address = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let parts = line["body"]["messages"][1]["content"].as_array().unwrap();
        let url = &parts.last().unwrap()["image_url"]["url"];
        url.as_str().unwrap().to_owned()
    };
    (files, texts.lines().map(address).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn images_go_out_in_batch_files_or_by_address() {
    const BASE: &str = "https://images.example/run";
    let mined = Mined::serve(&options()).await;
    let describe_run = |out: &str, base: &str| {
        let mut command = mined.command(out);
        set(
            &mut command,
            [
                ("describe.provider", "batch".to_owned()),
                ("describe.endpoint.model", "test-model".to_owned()),
                ("describe.batch_image_base_url", base.to_owned()),
                ("describe.batch_image_query_env", "SIGNATURE".to_owned()),
            ],
        );
        command
    };
    let unsigned = run(describe_run("linked", BASE)).await;
    let stderr = String::from_utf8_lossy(&unsigned.stderr).into_owned();
    assert_eq!(unsigned.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("SIGNATURE is not set"), "{stderr}");
    for (out, base) in [("inline", ""), ("linked", BASE)] {
        let batch_run = || {
            let mut command = describe_run(out, base);
            command.env("SIGNATURE", "sig=a%2Fb");
            command
        };
        let output = run(batch_run()).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{stderr}");
        let folder = mined.folder.path().join(out).join("batch/describe");
        let (files, addresses) = requests(&folder);
        assert!(addresses.len() > 10, "{addresses:?}");
        for address in &addresses {
            let Some(name) = address.strip_prefix(&format!("{BASE}/")) else {
                assert!(base.is_empty() && address.starts_with("data:image/"), "{address:.60}");
                continue;
            };
            let name = name.strip_suffix("?sig=a%2Fb").expect("addresses are signed");
            let bytes = std::fs::read(folder.join("images").join(name)).unwrap();
            let format = magiclens::imaging::Format::sniff(&bytes).unwrap();
            assert_eq!(Path::new(name).extension().unwrap(), format.as_str());
        }
        assert_eq!(stderr.contains("have to be at https://images.example/run"), base == BASE);
        for path in files {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            answer_batch(&path, &folder.join("results").join(format!("out-{name}")), 1);
        }
        let output = run(batch_run()).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tables = mined.tables(out).await;
        assert!(!tables.triplets.is_empty());
        assert_eq!(
            tables.descriptions.len() + tables.rejects_of("descriptions").len(),
            tables.groups.len()
        );
        assert!(tables.descriptions.iter().all(|row| row.generator == "openai/test-model"));
    }
}
