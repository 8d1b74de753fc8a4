//! Several ranks in one test: a thread each, over loopback.

use std::net::TcpListener;
use std::time::Duration;

use super::Tcp;

/// Runs `work` on so many ranks and returns what each returned, by rank.
pub(crate) fn ranks<T: Send>(world: usize, work: impl Fn(Tcp) -> T + Sync) -> Vec<T> {
    ranks_within(world, Duration::from_secs(60), work)
}

/// The same with a timeout for each call.
pub(crate) fn ranks_within<T: Send>(
    world: usize,
    timeout: Duration,
    work: impl Fn(Tcp) -> T + Sync,
) -> Vec<T> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let work = &work;
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..world)
            .map(|rank| {
                scope.spawn(move || work(Tcp::join(address, rank, world, timeout).unwrap()))
            })
            .collect();
        let first = work(Tcp::host(listener, world, timeout).unwrap());
        let rest = others.into_iter().map(|thread| thread.join().unwrap());
        std::iter::once(first).chain(rest).collect()
    })
}
