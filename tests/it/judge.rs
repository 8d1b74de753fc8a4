//! `mine judge` as people use it: in a browser by keyboard, stopped and gone on with, by several judges.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use magiclens::stages::instruct::compare::Compared;
use magiclens::store::{Layout, RowWriter, Store};
use magiclens_demo::Options;
use serde_json::Value;

use crate::support::{Mined, Tables, chromium, mine, python, run};

/// Texts that would do something if they were taken for markup.
const HOSTILE: &str = "<script>window.hostile = 1</script><img src=x onerror='window.hostile=1'>";

/// A page that is being served; killed with -9 at the end.
struct Judging {
    child: Child,
    url: String,
}

impl Judging {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = mine(folder);
        command.arg("judge").args(arguments).args(["--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().expect("it says where it serves").unwrap();
            if let Some(at) = line.find("http://") {
                let url = line[at..].split(['"', ' ']).next().unwrap();
                break url.to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }

    /// Presses keys; gives what was on the page before each and after the last.
    fn press(&self, folder: &Path, keys: &[&str]) -> Option<Vec<Value>> {
        let (python, [browser, driver]) = (python()?, chromium()?);
        let mut command = Command::new(python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge_browser.py"));
        command.arg(browser).arg(driver).arg(&self.url).arg(folder.join("judge.png")).args(keys);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

impl Drop for Judging {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn results(folder: &Path, arguments: &[&str]) -> String {
    let mut command = mine(folder);
    command.arg("judge").args(arguments).arg("--results");
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The row of a table in which a name stands: its cells.
fn row(table: &str, name: &str) -> Vec<String> {
    let cells = |line: &str| line.split(['│', '┆']).map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = table.lines().map(cells).collect();
    let found = rows.into_iter().find(|cells| cells.get(1).is_some_and(|cell| cell == name));
    found.unwrap_or_else(|| panic!("no {name} in\n{table}"))
}

async fn mined() -> (Mined, Tables) {
    let options = Options { sites: 2, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    let tables = mined.tables_after_run("run").await;
    (mined, tables)
}

#[tokio::test(flavor = "multi_thread")]
async fn triplets_are_rated_by_keyboard_and_judging_goes_on_after_a_kill() {
    let (mined, _) = mined().await;
    let folder = mined.folder.path();
    let arguments = ["run", "--sample", "6"];
    let judging = Judging::start(folder, &arguments);
    // good, hard to say, good taken back, bad.
    let Some(seen) = judging.press(folder, &["g", "u", "g", "j", "x", "b"]) else { return };
    assert_eq!(seen[0]["progress"], "item 1 of 6, 0 judged");
    assert_eq!(seen[4]["pressed"][0], "good", "back at what was said last");
    assert_eq!(seen[5]["pressed"].as_array().unwrap().len(), 0, "taken back");
    assert_eq!(seen[6]["progress"], "item 4 of 6, 3 judged");
    for page in &seen {
        assert_ne!(page["instruction"], "");
        let images = page["images"].as_array().unwrap();
        assert!(images.len() == 2 && images.iter().all(|width| width != 0), "{page}");
        assert_eq!(page["result"], Value::Null);
    }
    drop(judging);

    let again = Judging::start(folder, &arguments);
    let seen = again.press(folder, &["1", "1", "3"]).unwrap();
    assert_eq!(seen[0]["progress"], "item 4 of 6, 3 judged");
    let result = seen[3]["result"].as_str().unwrap();
    let shown = |name: &str| row(result, name)[2].clone();
    assert_eq!([shown("good"), shown("bad"), shown("unsure")], ["3", "2", "1"]);
    assert!(results(folder, &arguments).await.contains("6 of 6 judged"));
}

/// A folder as `evaluate --model-b` writes it, of images of a run: `new` is right three times of four.
fn side_by_side(folder: &Path, tables: &Tables) {
    std::fs::create_dir_all(folder.join("judge")).unwrap();
    let mut table = "number,query_image,instruction,left_image,right_image,verdict\n".to_owned();
    let mut key = "number,query_id,left_model,right_model\n".to_owned();
    for number in 1..=4_usize {
        for (at, side) in ["query", "left", "right"].iter().enumerate() {
            let image = &tables.images[3 * number + at];
            std::fs::write(folder.join(format!("judge/{number}_{side}.img")), &image.bytes)
                .unwrap();
        }
        let names = format!("judge/{number}_left.img,judge/{number}_right.img");
        table.push_str(&format!("{number},judge/{number}_query.img,\"{HOSTILE}\",{names},\n"));
        let models =
            if number % 2 == 0 { "secret-new,secret-old" } else { "secret-old,secret-new" };
        key.push_str(&format!("{number},query {number},{models}\n"));
    }
    std::fs::write(folder.join("judge.csv"), table).unwrap();
    std::fs::write(folder.join("judge_key.csv"), key).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_judged_blind_and_by_several() {
    let (mined, tables) = mined().await;
    let folder = mined.folder.path();
    side_by_side(&folder.join("results"), &tables);
    let ann = Judging::start(folder, &["results", "--name", "ann"]);
    magiclens::http::install_tls();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| client.get(format!("{}{path}", ann.url)).send().await.unwrap();
    let items = get("api/items").await.text().await.unwrap();
    assert!(!items.contains("secret"), "{items}");
    assert_eq!(get("api/result").await.status(), 403, "blind to the end");
    assert_eq!(get("images/0/target").await.status(), 404);
    assert_eq!(get("images/9/query").await.status(), 404);
    let wrong = client.post(format!("{}api/verdicts", ann.url));
    let wrong = wrong.header("content-type", "application/json");
    let wrong = wrong.body(r#"{"item": 0, "verdict": "good"}"#);
    assert_eq!(wrong.send().await.unwrap().status(), 400);

    let keys = ["ARROW_LEFT", "ARROW_LEFT", "ARROW_RIGHT", "2"];
    let Some(seen) = ann.press(folder, &keys) else { return };
    assert_eq!(seen[0]["instruction"], HOSTILE);
    assert_eq!(seen[0]["images"].as_array().unwrap().len(), 3);
    let result = seen[4]["result"].as_str().unwrap().to_owned();
    let wins = |name: &str| row(&result, name)[2].parse::<usize>().unwrap();
    assert_eq!((wins("secret-new") + wins("secret-old"), wins("tie")), (3, 1));
    drop(ann);

    let bob = Judging::start(folder, &["results", "--name", "bob"]);
    let seen = bob.press(folder, &["2", "2", "2", "2"]).unwrap();
    assert_eq!(seen[0]["progress"], "item 1 of 4, 0 judged", "bob has verdicts of his own");
    let both = results(folder, &["results"]).await;
    assert_eq!(row(&both, "tie")[2], "4", "where they differ, it is a tie:\n{both}");
    assert!(both.contains("4 of 4 judged by 2, who agree on 1 of 4"), "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_are_judged_over_the_images_of_their_run() {
    let (mined, tables) = mined().await;
    let folder = mined.folder.path();
    let store = Store::open(folder.to_str().unwrap()).unwrap();
    let mut writer = RowWriter::create(&store, "table.parquet".into(), Layout::Part).unwrap();
    let texts = |text: &str, count: usize| vec![format!("{text} {HOSTILE}"); count];
    for (number, (a, b)) in [(2, 1), (1, 1), (0, 1), (1, 0), (0, 0)].into_iter().enumerate() {
        let [query, target] = [&tables.images[number], &tables.images[number + 1]];
        let row = Compared {
            pair_id: format!("pair {number}"),
            query_url: query.url.clone(),
            target_url: target.url.clone(),
            first: if number == 0 { "b" } else { "a" }.into(),
            a_generator: "secret-a".into(),
            b_generator: "secret-b".into(),
            a_instructions: texts("chatty", a),
            b_instructions: texts("terse", b),
            ..Compared::default()
        };
        writer.push(row).await.unwrap();
    }
    writer.close().await.unwrap();

    let mut command = mine(folder);
    command.args(["judge", "table.parquet"]);
    let refused = run(command).await;
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("--run"), "{said}");

    let arguments = ["table.parquet", "--run", "run"];
    let judging = Judging::start(folder, &arguments);
    let Some(seen) = judging.press(folder, &["1", "1"]) else { return };
    let is_chatty = |text: &Value| text.as_str().unwrap().starts_with("chatty");
    let lefts: Vec<bool> = seen[..2].iter().map(|page| is_chatty(&page["sides"][0][0])).collect();
    assert_ne!(lefts[0], lefts[1], "the table says which side is on the left");
    for page in &seen[..2] {
        let text = page["sides"][0][0].as_str().unwrap();
        assert!(text.ends_with(HOSTILE), "{text}");
        assert!(page["images"].as_array().unwrap().iter().all(|width| width != 0), "{page}");
    }
    let table = results(folder, &arguments).await;
    let wins = |name: &str| row(&table, name)[2].clone();
    assert_eq!([wins("A: secret-a"), wins("B: secret-b")], ["1", "1"]);
    for left_out in ["1, only B has", "1, only A has", "1, neither has"] {
        assert!(table.contains(left_out), "{table}");
    }
}
