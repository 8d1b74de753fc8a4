//! Examples and exit codes that end the `--help` of each verb.

pub const MINE: &str = "\
Examples:
  mine --seed-urls https://example.org/ --out runs/first --set crawl.contact=you@example.org
  mine --seed-urls seeds.txt --scope domain --max-depth 3 --out runs/second --config my.toml
  mine --warc crawl.warc.gz --out runs/third --set crawl.contact=you@example.org
  mine warc-paths --crawl CC-MAIN-2024-10 --slice 0/9000 > part.txt
  mine --warc part.txt --out runs/cc --config my.toml
  mine --out runs/first                 resume, or report that the run is finished
  mine --out s3://bucket/run --slice 3/16
                                        one of 16 processes over one run
  mine status runs/first                the funnel so far, with reasons
  mine head runs/first/triplets         the first rows of a table
  mine report runs/first                a report as one HTML file
  mine serve runs/first                 the same during a run, with search and review marks
  mine forget runs/first --domain example.org
                                        exclude a site; then run again
  mine eval-prompts runs/first --a old.toml --b new.toml
                                        two prompts over the same pairs
  mine judge runs/first                 blind, in the browser: are its triplets good?
  mine export runs/first --format webdataset
                                        its shards as tar files
  mine tune-pairs --out runs/first      similarities of pairs, to choose the bounds
  mine hash-images cirr/dev --out cirr.parquet
                                        a benchmark's hashes, for --decontaminate
  mine plan --target-triplets 36.7M --from runs/first
                                        machines, hours, storage and cost of more
  mine executor --out /shared/run       one executor for --engine http://HOST:PORT,…
  mine config                           every key with its value

Exit codes: 0 done, 1 failed, 2 done with more failures than run.failure_budget,
3 bad configuration, 4 batch files wait for their results, 5 other slices have unfinished parts and are
not running.";

pub const STATUS: &str = "\
Examples:
  mine status runs/first
  mine status s3://bucket/run           also while other processes work on the run";

pub const HEAD: &str = "\
Examples:
  mine head runs/first/triplets query_url instruction target_url --limit 3
  mine head runs/first/rejects/images url reason
  mine head s3://bucket/run/pages";

pub const FORGET: &str = "\
Examples:
  mine forget runs/first --domain example.org
  mine forget runs/first --url https://example.org/a.jpg --url https://example.org/page
  mine forget runs/first --cluster 5f1d…  an image with all its near-duplicates
  mine --out runs/first && mine compact runs/first
                                        make the tables again, then remove the bytes";

pub const COMPACT: &str = "\
Examples:
  mine forget runs/first --domain example.org && mine --out runs/first && mine compact runs/first";

pub const REHYDRATE: &str = "\
Examples:
  mine rehydrate published/triplets --out full --set crawl.contact=you@example.org";

pub const EVAL_PROMPTS: &str = "\
Examples:
  mine eval-prompts runs/first --a old.toml --b new.toml --sample 200
  mine judge eval-prompts.parquet --run runs/first
                                        which side people prefer";

pub const TUNE_PAIRS: &str = "\
Examples:
  mine tune-pairs --out runs/first
  mine tune-pairs --out runs/first --set pair.similarity=clip --html pairs.html";

pub const WARC_PATHS: &str = "\
Examples:
  mine warc-paths --crawl CC-MAIN-2024-10 --slice 0/9000 > part.txt
  mine --warc part.txt --out runs/cc --config my.toml";

pub const HASH_IMAGES: &str = "\
Examples:
  mine hash-images cirr/dev --out cirr.parquet
  mine --out runs/first --decontaminate cirr.parquet --redo export";

pub const PLAN: &str = "\
Examples:
  mine plan --target-triplets 36.7M --from runs/first
  mine plan --target-triplets 1M --from runs/first --json";

pub const CONFIG: &str = "\
Examples:
  mine config > pipeline.toml           every key with its default, to start from
  mine config --out runs/first          the configuration that a run keeps
  mine config --set crawl.max_depth=5   the configuration with this key changed";

pub const EXPORT: &str = "\
Examples:
  mine export runs/first --format webdataset
  mine export runs/first --format webdataset --to s3://bucket/tars
  mine export runs/first --redo --set export.max_per_domain=1000";

pub const JUDGE: &str = "\
Examples:
  mine judge runs/first --sample 50     are these triplets correct?
  mine eval-prompts runs/first --a old.toml --b new.toml
  mine judge eval-prompts.parquet --run runs/first --name ann
  evaluate --benchmark holdout --data runs/first --model runs/a --model-b runs/b --out runs/judge
  mine judge runs/judge
  mine judge runs/judge --results       results so far, with confidence intervals";

pub const COMPLETIONS: &str = "\
Examples:
  source <(mine completions bash)
  mine completions zsh > \"${fpath[1]}/_mine\"
  mine completions fish > ~/.config/fish/completions/mine.fish";

pub const REPORT: &str = "\
Examples:
  mine report runs/first
  mine report s3://bucket/run --html run.html --sample 1000";

pub const SERVE: &str = "\
Examples:
  mine serve runs/first                 then open the printed address
  mine serve runs/first --listen 0.0.0.0:8081
                                        for others, with a token in the address";

pub const EXECUTOR: &str = "\
Examples:
  mine executor --out /shared/run --listen 0.0.0.0:7001
  mine --out /shared/run --engine http://node1:7001,http://node2:7001";
