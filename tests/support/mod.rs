//! Running `mine` as its user does, over a served demo world, and reading what it leaves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::SystemTime;

use magiclens::record::{
    Description, Embedding, GroupImage, Image, Instruction, Page, Pair, Reject,
};
use magiclens::store::{Row, RunDir, read_rows};
use magiclens::table::{PoolImage, Triplet};
use magiclens_demo::{Drawn, Options, Running, World};
use tempfile::TempDir;

/// Python with the packages of `tests/requirements.txt`, as `make test` sets it up.
pub fn python() -> Option<PathBuf> {
    let python = std::env::var_os("MAGICLENS_PYTHON").map(PathBuf::from);
    if python.is_none() {
        eprintln!("skipped: MAGICLENS_PYTHON is not set (make test sets it)");
    }
    python
}

/// Chromium and its driver, where they are installed.
pub fn chromium() -> Option<[PathBuf; 2]> {
    let find = |names: &[&str]| {
        let folders = std::env::var_os("PATH")?;
        let all = std::env::split_paths(&folders);
        all.flat_map(|folder| names.iter().map(move |name| folder.join(name)).collect::<Vec<_>>())
            .find(|path| path.is_file())
    };
    let found = find(&["chromium", "google-chrome"]).zip(find(&["chromedriver"]));
    if found.is_none() {
        eprintln!("skipped: chromium and chromedriver are not installed");
    }
    found.map(|(chromium, driver)| [chromium, driver])
}

/// `short` in `make test`, `long` in `make soak`.
pub fn soak(short: usize, long: usize) -> usize {
    if std::env::var_os("MAGICLENS_SOAK").is_some() { long } else { short }
}

/// A `mine` command without the surroundings' configuration.
pub fn mine(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mine"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MAGICLENS_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// A served demo world, a folder, and how to mine the one into the other.
pub struct Mined {
    /// The world.
    pub world: Running,
    /// Holds run directories.
    pub folder: TempDir,
}

impl Mined {
    /// Serves a world and writes `mine.toml` and `seeds.txt` for it.
    pub async fn serve(options: &Options) -> Self {
        Self::of(World::generate(options)).await
    }

    /// Serves an existing world in the same way.
    pub async fn of(world: World) -> Self {
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let world = world.serve_drawn(address, Some(drawn())).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine.toml"), world.config()).unwrap();
        std::fs::write(folder.path().join("seeds.txt"), world.seeds().join("\n")).unwrap();
        Self { world, folder }
    }

    /// The same with few parts: where each takes requests, a run of many parts is all waiting.
    pub async fn serve_few_parts(options: &Options) -> Self {
        let mined = Self::serve(options).await;
        let path = mined.folder.path().join("mine.toml");
        // `[crawl]` is its last section.
        let config = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, config + "partitions = 4\n[filter]\npartitions = 4\n").unwrap();
        mined
    }

    /// `mine --seed-urls seeds.txt --config mine.toml --out OUT`.
    pub fn command(&self, out: &str) -> Command {
        let mut command = mine(self.folder.path());
        command.args(["--seed-urls", "seeds.txt", "--config", "mine.toml", "--out", out]);
        command
    }

    /// Starts a run; its output is thrown away.
    pub fn start(&self, out: &str) -> Child {
        let mut command = self.command(out);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs to the end; fails the test unless the exit code is 0.
    pub async fn run(&self, out: &str) -> Output {
        let output = run(self.command(out)).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Runs to the end and gives what it left.
    pub async fn tables_after_run(&self, out: &str) -> Tables {
        self.run(out).await;
        self.tables(out).await
    }

    /// What a run left.
    pub async fn tables(&self, out: &str) -> Tables {
        Tables::read(&self.folder.path().join(out)).await
    }
}

/// The folder of images that the tests of one build share: drawing takes two fifths of the CPU time of a small
/// run. Folders of other builds, which may draw differently, are removed.
fn drawn() -> Drawn {
    let program = std::env::current_exe().unwrap();
    let file = program.metadata().unwrap();
    let made = file.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let name = format!("{}-{}-{}", env!("CARGO_CRATE_NAME"), made.as_nanos(), file.len());
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&all).unwrap();
    let folder = all.join(name);
    if std::fs::create_dir(&folder).is_ok() {
        let others = std::fs::read_dir(&all).unwrap().map(|entry| entry.unwrap());
        let is_old = |entry: &std::fs::DirEntry| {
            let name = entry.file_name().into_string().unwrap();
            let ours = name.strip_prefix(env!("CARGO_CRATE_NAME"));
            ours.is_some_and(|rest| rest.starts_with('-')) && entry.path() != folder
        };
        for entry in others.filter(is_old) {
            // Another process may do the same.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Drawn::within(folder)
}

/// Runs a command without blocking the server in this process.
pub async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Waits for a child without blocking the server in this process.
pub async fn wait(mut child: Child) -> std::process::ExitStatus {
    tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap()
}

/// Sends a signal to a process by its name, as `STOP`.
pub fn signal(child: &Child, name: &str) {
    let mut kill = Command::new("kill");
    assert!(kill.args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

/// Stops a process, and gives back control once all its threads stand still.
pub async fn freeze(child: &Child) {
    signal(child, "STOP");
    let stands = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat"));
        // The state comes after the name, which is in brackets. A thread that has ended has no file.
        stat.map_or(true, |stat| stat.rsplit(") ").next().unwrap().starts_with('T'))
    };
    let tasks = || std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    while !tasks().all(stands) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Tables that reject.
const TABLES: [&str; 13] = [
    "pages",
    "image_uses",
    "fetch_list",
    "images",
    "image_clusters",
    "occurrences",
    "groups",
    "descriptions",
    "embeddings",
    "pairs",
    "instructions",
    "triplet_plan",
    "triplets",
];

/// The rows of a run directory in their order, times set to 0.
#[derive(Debug, PartialEq)]
pub struct Tables {
    /// `pages`.
    pub pages: Vec<Page>,
    /// `images`.
    pub images: Vec<Image>,
    /// `rejects/*`, by table.
    pub rejects: Vec<(&'static str, Vec<Reject>)>,
    /// `groups`.
    pub groups: Vec<GroupImage>,
    /// `pairs`.
    pub pairs: Vec<Pair>,
    /// `triplets`.
    pub triplets: Vec<Triplet>,
    /// `test_pool`.
    pub test_pool: Vec<PoolImage>,
    /// `descriptions`.
    pub descriptions: Vec<Description>,
    /// `instructions`.
    pub instructions: Vec<Instruction>,
    /// `embeddings`.
    pub embeddings: Vec<Embedding>,
}

impl Tables {
    /// Reads committed parts through their manifests.
    pub async fn read(dir: &Path) -> Self {
        Self::of(&RunDir::open(dir.to_str().unwrap()).unwrap()).await
    }

    /// The same of a run directory wherever it lies.
    pub async fn of(run: &RunDir) -> Self {
        let mut pages: Vec<Page> = rows(run, "pages", "rows").await;
        pages.iter_mut().for_each(|page| page.fetched_at = 0);
        let mut images: Vec<Image> = rows(run, "images", "rows").await;
        images.iter_mut().for_each(|image| image.fetched_at = 0);
        let mut rejects = Vec::new();
        for table in TABLES {
            rejects.push((table, rows(run, table, "rejects").await));
        }
        let mut groups: Vec<GroupImage> = rows(run, "groups", "rows").await;
        groups.iter_mut().for_each(|image| image.fetched_at = 0);
        let mut triplets: Vec<Triplet> = rows(run, "triplets", "rows").await;
        triplets.iter_mut().for_each(|triplet| triplet.fetched_at = 0);
        let descriptions = rows(run, "descriptions", "rows").await;
        let instructions = rows(run, "instructions", "rows").await;
        let pairs = rows(run, "pairs", "rows").await;
        let embeddings = rows(run, "embeddings", "rows").await;
        let test_pool = rows(run, "test_pool", "rows").await;
        Self {
            pages,
            images,
            rejects,
            groups,
            pairs,
            triplets,
            test_pool,
            descriptions,
            instructions,
            embeddings,
        }
    }

    /// The rejects of one table.
    pub fn rejects_of(&self, table: &str) -> &[Reject] {
        let found = self.rejects.iter().find(|(name, _)| *name == table);
        found.map(|(_, rejects)| rejects.as_slice()).unwrap()
    }

    /// Says where two runs differ, in few words, or nothing.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let lists = |tables: &Self| {
            let mut lists = vec![
                tables.pages.iter().map(|row| format!("page {row:?}")).collect::<Vec<_>>(),
                tables.images.iter().map(|row| format!("image {} {row:?}", row.url)).collect(),
                tables.groups.iter().map(|row| format!("group {row:?}")).collect(),
                tables.pairs.iter().map(|row| format!("pair {row:?}")).collect(),
                tables.triplets.iter().map(|row| format!("triplet {row:?}")).collect(),
                tables.test_pool.iter().map(|row| format!("pool {row:?}")).collect(),
                tables.descriptions.iter().map(|row| format!("{row:?}")).collect(),
                tables.instructions.iter().map(|row| format!("{row:?}")).collect(),
                tables.embeddings.iter().map(|row| format!("{row:?}")).collect(),
            ];
            for (table, rejects) in &tables.rejects {
                lists.push(rejects.iter().map(|row| format!("{table} {row:?}")).collect());
            }
            lists.concat()
        };
        let (mine, theirs) = (lists(self), lists(other));
        let cut = |line: &String| line.chars().take(600).collect::<String>();
        let only = |a: &[String], b: &[String]| a.iter().find(|line| !b.contains(line)).map(cut);
        if mine == theirs {
            return None;
        }
        Some(format!(
            "{} and {} rows; only here: {:?}; only there: {:?}",
            mine.len(),
            theirs.len(),
            only(&mine, &theirs),
            only(&theirs, &mine),
        ))
    }
}

async fn rows<R: Row>(run: &RunDir, table: &str, output: &str) -> Vec<R> {
    let mut all = Vec::new();
    for manifest in run.manifests(table).await.unwrap() {
        assert!(manifest.counts.conserved(), "{manifest:?}");
        if let Some(file) = manifest.files.get(output) {
            let rows = read_rows::<R>(run.store(), &file.path, 64).await.unwrap();
            let rows = rows.collect().await.unwrap();
            assert_eq!(rows.len() as u64, file.rows, "{}", file.path);
            all.extend(rows);
        }
    }
    all
}
