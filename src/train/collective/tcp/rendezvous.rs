//! How ranks find each other: rank 0 listens, the others connect and say who they are.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::wire::{Call, Header, Line, MAGIC, Problem, VERSION};
use super::{CollectiveError, Tcp, World};

/// Between two tries to connect or two looks for a connection.
const PAUSE: Duration = Duration::from_millis(20);
/// A connection that does not say who it is within this time is somebody else's.
const HELLO: Duration = Duration::from_secs(5);

/// Meets the other ranks as the environment says.
pub(super) fn open(world: &World, timeout: Duration) -> Result<Tcp, CollectiveError> {
    let found = (world.address.as_str(), world.port).to_socket_addrs();
    let addresses: Vec<_> = found.map_err(|error| failed(world.rank, world, error))?.collect();
    if world.rank != 0 {
        return join(&addresses, world.rank, world.world, timeout);
    }
    let listener = listen(&addresses).map_err(|error| failed(0, world, error))?;
    host(listener, world.world, timeout)
}

/// At the address that the others know; where that is not this machine's own, as behind a service
/// name, at all of them.
fn listen(addresses: &[SocketAddr]) -> std::io::Result<TcpListener> {
    TcpListener::bind(addresses).or_else(|error| match error.kind() {
        std::io::ErrorKind::AddrNotAvailable => {
            let port = addresses.first().map_or(0, SocketAddr::port);
            TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
        }
        _ => Err(error),
    })
}

/// Waits for all other ranks.
pub(super) fn host(
    listener: TcpListener,
    world: usize,
    timeout: Duration,
) -> Result<Tcp, CollectiveError> {
    let address = listener.local_addr().map_or_else(|_| "?".to_owned(), |a| a.to_string());
    let failed = |problem| CollectiveError::Rendezvous { rank: 0, address, problem };
    let lines = gather(&listener, world, timeout).map_err(failed)?;
    Ok(Tcp::new(0, world, lines, timeout))
}

fn gather(listener: &TcpListener, world: usize, timeout: Duration) -> Result<Vec<Line>, Problem> {
    let until = Instant::now() + timeout;
    let mut lines = BTreeMap::new();
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    while lines.len() + 1 < world {
        match listener.accept() {
            Ok((stream, _)) => admit(stream, world, &mut lines)?,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if Instant::now() >= until {
                    return Err(missing(world, &lines, timeout));
                }
                sleep(PAUSE);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    let welcome = Header { call: Call::Hello, sequence: 0, form: VERSION, length: 0 };
    for line in lines.values() {
        line.send(welcome, &[], HELLO)?;
    }
    Ok(lines.into_values().collect())
}

/// Takes a connection in that says it is one of ours; others are dropped without a word.
fn admit(
    stream: TcpStream,
    world: usize,
    lines: &mut BTreeMap<usize, Line>,
) -> Result<(), Problem> {
    let Ok(line) = Line::new(stream) else { return Ok(()) };
    let Ok(hello) = line.header(HELLO) else { return Ok(()) };
    let mut payload = [0; 24];
    if hello.call != Call::Hello || hello.form != MAGIC || hello.length != payload.len() {
        return Ok(());
    }
    let Ok(()) = line.payload(&mut payload, HELLO) else { return Ok(()) };
    let [version, rank, theirs] = unpack(payload);
    if version != VERSION || theirs != world as u64 {
        return Err(format!(
            "rank {rank} speaks version {version} in a world of {theirs}, \
             here it is version {VERSION} and {world}"
        ));
    }
    let rank = usize::try_from(rank).unwrap_or(usize::MAX);
    if !(1..world).contains(&rank) || lines.insert(rank, line).is_some() {
        return Err(format!("rank {rank} came twice or is none of {world}"));
    }
    Ok(())
}

fn missing(world: usize, lines: &BTreeMap<usize, Line>, timeout: Duration) -> Problem {
    let ranks = (1..world).filter(|rank| !lines.contains_key(rank)).map(|rank| rank.to_string());
    let ranks = ranks.collect::<Vec<_>>().join(", ");
    format!("no word from rank {ranks} within {} s", timeout.as_secs_f64())
}

/// Connects to rank 0, which may not be up yet, and waits until all are there.
pub(super) fn join(
    addresses: &[SocketAddr],
    rank: usize,
    world: usize,
    timeout: Duration,
) -> Result<Tcp, CollectiveError> {
    let address = addresses.first().map_or_else(|| "?".to_owned(), ToString::to_string);
    let failed = |problem| CollectiveError::Rendezvous { rank, address, problem };
    let line = knock(addresses, rank, world, timeout).map_err(failed)?;
    Ok(Tcp::new(rank, world, vec![line], timeout))
}

fn knock(
    addresses: &[SocketAddr],
    rank: usize,
    world: usize,
    timeout: Duration,
) -> Result<Line, Problem> {
    let until = Instant::now() + timeout;
    let stream = loop {
        match TcpStream::connect(addresses) {
            Ok(stream) => break stream,
            Err(error) if Instant::now() >= until => return Err(error.to_string()),
            Err(_) => sleep(PAUSE),
        }
    };
    let line = Line::new(stream).map_err(|error| error.to_string())?;
    let hello = Header { call: Call::Hello, sequence: 0, form: MAGIC, length: 24 };
    line.send(hello, &pack([VERSION, rank as u64, world as u64]), HELLO)?;
    let welcome = line.header(until.saturating_duration_since(Instant::now()) + HELLO)?;
    let ours = (welcome.call, welcome.form) == (Call::Hello, VERSION);
    ours.then_some(line).ok_or_else(|| "somebody else answers there".to_owned())
}

fn pack(fields: [u64; 3]) -> [u8; 24] {
    let mut bytes = [0; 24];
    for (slot, field) in bytes.chunks_exact_mut(8).zip(fields) {
        slot.copy_from_slice(&field.to_le_bytes());
    }
    bytes
}

fn unpack(bytes: [u8; 24]) -> [u64; 3] {
    let field = |index: usize| {
        let eight = bytes[index * 8..][..8].try_into().expect("the slice is of eight bytes");
        u64::from_le_bytes(eight)
    };
    [field(0), field(1), field(2)]
}

fn failed(rank: usize, world: &World, error: std::io::Error) -> CollectiveError {
    let address = format!("{}:{}", world.address, world.port);
    CollectiveError::Rendezvous { rank, address, problem: error.to_string() }
}
