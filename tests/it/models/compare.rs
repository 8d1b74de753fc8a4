//! `mine eval-prompts`: two prompts over the same pairs.

use std::collections::HashSet;

use magiclens::stages::instruct::compare::Compared;

use super::options;
use crate::model_server::{Act, ModelServer, answer_for};
use crate::support::{Mined, mine, run};

/// Writes the configuration of one side of a comparison: further lines of `[instruct]` and of its endpoint.
pub fn side_file(mined: &Mined, server: &ModelServer, side: &str, step: &str, endpoint: &str) {
    let text = format!(
        "[instruct]\nprovider = \"openai\"\n{step}\n[instruct.endpoint]\nbase_url = {:?}\n\
         model = \"test-model\"\n{endpoint}\n",
        server.url()
    );
    std::fs::write(mined.folder.path().join(format!("{side}.toml")), text).unwrap();
}

/// The rows of `compared.parquet`.
pub async fn compared(mined: &Mined) -> Vec<Compared> {
    let store = magiclens::store::Store::open(mined.folder.path().to_str().unwrap()).unwrap();
    let rows = magiclens::store::read_rows::<Compared>(&store, "compared.parquet", 64).await;
    rows.unwrap().collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_prompts_are_compared_over_the_same_pairs() {
    let mined = Mined::serve(&options()).await;
    mined.run("run").await;
    let prompt = include_str!("../../../prompts/instruct.v1.md");
    let terse = prompt.replace("You write", "Be terse. You write");
    for (name, text) in [("chatty.md", prompt), ("terse.md", &terse)] {
        std::fs::write(mined.folder.path().join(name), text).unwrap();
    }
    let is_terse = |body: &str| body.contains("Be terse. You write");
    let server = ModelServer::start(move |call| match is_terse(&call.body.to_string()) {
        true => Act::Say(answer_for(call).replace("is there one", "where is one")),
        false => Act::Say(answer_for(call)),
    })
    .await;
    for side in ["chatty", "terse"] {
        side_file(&mined, &server, side, &format!("prompt = \"{side}.md\""), "");
    }
    let compare = || {
        let mut command = mine(mined.folder.path());
        command.args(["eval-prompts", "run", "--a", "chatty.toml", "--b", "terse.toml"]);
        command.args(["--sample", "10", "--table", "compared.parquet"]);
        command
    };
    for _ in 0..2 {
        let output = run(compare()).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(server.calls(), 20, "ten pairs for each side, once");
    }
    assert_eq!(server.bodies().iter().filter(|body| is_terse(body)).count(), 10);
    let rows = compared(&mined).await;
    assert_eq!(rows.len(), 10);
    for row in &rows {
        assert!(row.a_instructions.iter().all(|text| text.starts_with("is there one")), "{row:?}");
        assert!(row.b_instructions.iter().all(|text| text.starts_with("where is one")), "{row:?}");
        assert!(!row.a_instructions.is_empty() || !row.a_problems.is_empty(), "{row:?}");
        let is_same_model = |side: &str| side.starts_with("openai/test-model ");
        assert!(is_same_model(&row.a_generator) && is_same_model(&row.b_generator), "{row:?}");
        assert_ne!(row.a_generator, row.b_generator, "the prompts have names of their own");
    }
    let firsts: HashSet<&str> = rows.iter().map(|row| row.first.as_str()).collect();
    assert_eq!(firsts.len(), 2, "a judge does not see one side first every time");
}
