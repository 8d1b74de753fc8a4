//! What a host sees of us: one by one at its rate, under our name, no URL twice.

use std::collections::BTreeMap;

use magiclens_demo::Options;

use crate::support::{Mined, run};

#[tokio::test(flavor = "multi_thread")]
async fn each_host_is_asked_at_its_rate_and_told_who_asks() {
    let options = Options { sites: 3, pages_per_site: 4, odd: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    let mut command = mined.command("run");
    command.args(["--set", "http.host_rate=20", "--set", "http.host_concurrency=1"]);
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut by_host: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for access in mined.world.log() {
        let named = access.user_agent.starts_with(concat!("magiclens/", env!("CARGO_PKG_VERSION")));
        assert!(named && access.user_agent.contains("(+"), "{}", access.user_agent);
        by_host.entry(access.host.clone()).or_default().push(access);
    }
    assert!(by_host.len() >= 3, "{:?}", by_host.keys());
    for (host, log) in by_host {
        let span = log[log.len() - 1].time.duration_since(log[0].time).unwrap().as_secs_f64();
        // Two stages begin with a full token each; the rest is one request every 50 ms.
        let least = (log.len() as f64 - 3.0) / 20.0;
        assert!(span >= least * 0.9, "{host}: {} requests in {span} s", log.len());
        let mut paths: Vec<_> = log.iter().map(|access| access.path.clone()).collect();
        paths.retain(|path| !path.contains("robots.txt") && !path.contains(".well-known"));
        let asked = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), asked, "{host}: something was asked for twice");
    }
}
