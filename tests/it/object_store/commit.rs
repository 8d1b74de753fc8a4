//! The commit protocol where put-if-absent is the store's.

use std::sync::Arc;

use magiclens::record::Slice;
use magiclens::record::{Pair, Reason, Reject};
use magiclens::store::{Fingerprint, LockAttempt, Locks, Manifest, PlainPart, RunDir, Table};

use crate::s3::Server;

fn pair(n: usize) -> Pair {
    Pair { pair_id: format!("{n:064}"), ..Pair::default() }
}

async fn write(dir: &RunDir, rows: usize, padding: usize) -> Manifest {
    let table = Table::<Pair>::open(dir.store(), "pairs", &Fingerprint::new()).await.unwrap();
    let mut writer: PlainPart<Pair> = table.unwrap().part(7).unwrap();
    for n in 0..rows {
        let group_id = format!("{n}").repeat(padding);
        writer.push(Pair { group_id, ..pair(n) }).await.unwrap();
    }
    writer.reject(Reject::new("http://x/", Reason::Ad, "")).await.unwrap();
    writer.commit(rows as u64 + 1).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_of_a_part_one_wins_and_the_others_leave_nothing() {
    let (folder, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(server) = Server::start(folder.path()) else { return };
    // Connections of their own, as processes have.
    let dirs: Vec<_> = (0..12).map(|_| Arc::new(server.run_dir("race", scratch.path()))).collect();
    for round in 0..5 {
        let racers: Vec<_> = dirs
            .iter()
            .map(|dir| {
                let dir = Arc::clone(dir);
                tokio::spawn(async move { write(&dir, 100, 1).await })
            })
            .collect();
        let mut manifests = Vec::new();
        for racer in racers {
            manifests.push(racer.await.unwrap());
        }
        manifests.dedup();
        assert_eq!(manifests.len(), 1, "round {round}: every racer reports the one that counts");
        let mut left = dirs[0].store().names("pairs").await.unwrap();
        left.extend(dirs[0].store().names("rejects/pairs").await.unwrap());
        assert_eq!(left.len(), 4, "stage.json, a manifest, rows and rejects: {left:?}");
        let path = &manifests[0].files["rows"].path;
        assert!(dirs[0].store().read(path).await.unwrap().is_some());
        dirs[0].remove_table("pairs").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_part_goes_up_in_pieces_and_comes_back_whole() {
    let (folder, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(server) = Server::start(folder.path()) else { return };
    let dir = server.run_dir("large", scratch.path());
    let table = Table::<Reject>::open(dir.store(), "pages", &Fingerprint::new()).await.unwrap();
    let table = table.unwrap();
    let mut writer: PlainPart<Reject> = table.part(0).unwrap();
    // Noise, so that it stays large when packed.
    let noise = |n: u64| {
        let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut text = String::new();
        while text.len() < 40_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text += &format!("{state:016x}");
        }
        text
    };
    for n in 0..1500 {
        writer.push(Reject::new("http://x/", Reason::Ad, noise(n))).await.unwrap();
    }
    let manifest = writer.commit(1500).await.unwrap();
    let bytes = manifest.files["rows"].bytes;
    assert!(bytes > 25 << 20, "{bytes} bytes are more than two pieces");
    let rows = table.read::<Reject>(&manifest, "rows", 64).await.unwrap().unwrap();
    let rows = rows.collect().await.unwrap();
    assert_eq!(rows.len(), 1500);
    assert_eq!(rows[1234].detail, noise(1234));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_has_one_holder_and_slices_exclude_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path()) else { return };
    let machines = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let stores = [0, 1, 2].map(|n| server.run_dir("run", machines[n].path()).store().clone());
    let mut locks = stores.each_ref().map(Locks::of);
    let held = |attempt: LockAttempt| match attempt {
        LockAttempt::Held(lock) => Some(lock),
        LockAttempt::Busy(_) => None,
    };
    let [one, two] = [0, 1].map(|index| Slice { index, of: 2 });
    let first = held(locks[0].attempt(one).await.unwrap()).unwrap();
    assert!(held(locks[1].attempt(one).await.unwrap()).is_none(), "another machine, one slice");
    assert!(held(locks[2].attempt(Slice::WHOLE).await.unwrap()).is_none());
    let second = held(locks[1].attempt(two).await.unwrap()).unwrap();
    assert!(locks[2].is_at_work(one).await.unwrap());
    first.release().await.unwrap();
    assert!(!locks[2].is_at_work(one).await.unwrap());
    second.release().await.unwrap();
    let whole = held(locks[2].attempt(Slice::WHOLE).await.unwrap()).unwrap();
    assert!(held(locks[0].attempt(one).await.unwrap()).is_none());
    whole.release().await.unwrap();
    // A process that ended without giving it back: on its own machine the next one has it at once.
    let lost = held(locks[0].attempt(one).await.unwrap()).unwrap();
    drop(lost);
    assert!(
        held(locks[1].attempt(one).await.unwrap()).is_none(),
        "nobody else knows that it ended"
    );
    assert!(held(locks[0].attempt(one).await.unwrap()).is_some());
    assert_eq!(stores[0].names("leases").await.unwrap(), ["slice-0-of-2.json"]);
}
