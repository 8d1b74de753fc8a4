//! Ranks over TCP: every other rank talks to rank 0 alone.
//!
//! Meant for ranks on CPUs and for small tensors. Sums are added in the order of ranks, so that
//! they are the same bits in every run. A rank that dies or hangs ends the call on all others with
//! an error that names it. Not encrypted and not authenticated, as torchrun's own stores are not:
//! for networks of one's own.

mod rendezvous;
mod wire;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tch::{Device, Kind, Tensor};

use super::{Collective, CollectiveError, World};
use wire::{Call, Header, Line, Problem};

/// A group of ranks over TCP.
#[derive(Debug)]
pub struct Tcp {
    rank: usize,
    world: usize,
    /// At rank 0 those to ranks 1, 2, …; elsewhere the one to rank 0.
    lines: Vec<Line>,
    /// Calls so far.
    sequence: Cell<u64>,
    timeout: Duration,
}

impl Tcp {
    /// Meets the other ranks of this world. Rank 0 listens, the others try until it does.
    pub fn open(world: &World, timeout: Duration) -> Result<Self, CollectiveError> {
        rendezvous::open(world, timeout)
    }

    /// Rank 0 of `world`, on a socket that listens already.
    pub fn host(
        listener: TcpListener,
        world: usize,
        timeout: Duration,
    ) -> Result<Self, CollectiveError> {
        rendezvous::host(listener, world, timeout)
    }

    /// Another rank, with rank 0 at this address.
    pub fn join(
        address: SocketAddr,
        rank: usize,
        world: usize,
        timeout: Duration,
    ) -> Result<Self, CollectiveError> {
        rendezvous::join(&[address], rank, world, timeout)
    }

    fn new(rank: usize, world: usize, lines: Vec<Line>, timeout: Duration) -> Self {
        Self { rank, world, lines, sequence: Cell::new(0), timeout }
    }

    /// Sends `mine` to rank 0, which makes one answer for all from what came, by rank, its own
    /// first.
    ///
    /// `lengths` is what each rank sends, `answer` the length of the answer.
    fn exchange(
        &self,
        call: Call,
        form: u64,
        mine: Vec<u8>,
        lengths: impl Fn(usize) -> usize,
        answer: usize,
        combine: impl FnOnce(Vec<Vec<u8>>) -> Result<Vec<u8>, CollectiveError>,
    ) -> Result<Vec<u8>, CollectiveError> {
        let sequence = self.sequence.get() + 1;
        self.sequence.set(sequence);
        let header = Header { call, sequence, form, length: mine.len() };
        if self.rank != 0 {
            return self.ask(header, &mine, answer);
        }
        let all = self.collect(header, mine, lengths).and_then(combine);
        let result = all.and_then(|answer| self.tell(header, &answer).map(|()| answer));
        result.inspect_err(|error| self.give_up(sequence, error))
    }

    fn ask(&self, header: Header, mine: &[u8], answer: usize) -> Result<Vec<u8>, CollectiveError> {
        // Rank 0 notices first who is missing, and says so.
        let patience = self.timeout + (self.timeout / 2).min(Duration::from_secs(30));
        let lost = |problem| lost(0, header, problem);
        let line = &self.lines[0];
        let sent = line.send(header, mine, patience);
        // A rank 0 that gave up takes nothing any more, but what it said is still to be read.
        let wait = if sent.is_ok() { patience } else { Duration::from_secs(1) };
        let reply = line.header(wait).map_err(|problem| lost(sent.err().unwrap_or(problem)))?;
        if reply.call == Call::GiveUp {
            let reason = line.reason(reply.length, patience).map_err(lost)?;
            return Err(CollectiveError::GivenUp(reason));
        }
        if (reply.call, reply.sequence, reply.length) != (header.call, header.sequence, answer) {
            return Err(out_of_step(0, reply, Header { length: answer, ..header }));
        }
        let mut bytes = vec![0; answer];
        line.payload(&mut bytes, patience).map_err(lost)?;
        Ok(bytes)
    }

    fn collect(
        &self,
        header: Header,
        mine: Vec<u8>,
        lengths: impl Fn(usize) -> usize,
    ) -> Result<Vec<Vec<u8>>, CollectiveError> {
        let mut all = vec![mine];
        for (line, rank) in self.lines.iter().zip(1..) {
            let lost = |problem| lost(rank, header, problem);
            let got = line.header(self.timeout).map_err(lost)?;
            let wanted = Header { length: lengths(rank), ..header };
            if got != wanted {
                return Err(out_of_step(rank, got, wanted));
            }
            let mut bytes = vec![0; wanted.length];
            line.payload(&mut bytes, self.timeout).map_err(lost)?;
            all.push(bytes);
        }
        Ok(all)
    }

    fn tell(&self, header: Header, answer: &[u8]) -> Result<(), CollectiveError> {
        let header = Header { length: answer.len(), ..header };
        for (line, rank) in self.lines.iter().zip(1..) {
            let sent = line.send(header, answer, self.timeout);
            sent.map_err(|problem| lost(rank, header, problem))?;
        }
        Ok(())
    }

    /// Tells those who still listen. Who does not will notice.
    fn give_up(&self, sequence: u64, error: &CollectiveError) {
        let reason = error.to_string();
        let header = Header { call: Call::GiveUp, sequence, form: 0, length: reason.len() };
        for line in &self.lines {
            let _ = line.send(header, reason.as_bytes(), Duration::from_secs(1));
        }
    }
}

impl Collective for Tcp {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.world
    }

    fn all_gather(&self, tensor: &Tensor) -> Result<Tensor, CollectiveError> {
        let mine = bytes_of(tensor)?;
        let (length, kind) = (mine.len(), tensor.f_kind()?);
        let mut size = tensor.size();
        let form = form(kind, &size, 0);
        let total = length * self.world;
        let combine = |all: Vec<Vec<u8>>| Ok(all.concat());
        let all = self.exchange(Call::AllGather, form, mine, |_| length, total, combine)?;
        size[0] *= self.world as i64;
        Ok(Tensor::f_from_data_size(&all, &size, kind)?.f_to_device(tensor.device())?)
    }

    fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<(), CollectiveError> {
        let mine = bytes_of(tensor)?;
        let (length, kind, size) = (mine.len(), tensor.f_kind()?, tensor.size());
        let form = form(kind, &size, 0);
        let combine = |all: Vec<Vec<u8>>| sum(&all, &size, kind);
        let call = Call::AllReduceSum;
        let total = self.exchange(call, form, mine, |_| length, length, combine)?;
        overwrite(tensor, &total, &size, kind)
    }

    fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<(), CollectiveError> {
        let (kind, size) = (tensor.f_kind()?, tensor.size());
        let whole = bytes_of(tensor)?;
        let (length, form) = (whole.len(), form(kind, &size, root as u64));
        let mine = if self.rank == root { whole } else { Vec::new() };
        let lengths = |rank| if rank == root { length } else { 0 };
        let combine = |mut all: Vec<Vec<u8>>| Ok(all.swap_remove(root));
        let call = Call::Broadcast;
        let bytes = self.exchange(call, form, mine, lengths, length, combine)?;
        overwrite(tensor, &bytes, &size, kind)
    }

    fn barrier(&self) -> Result<(), CollectiveError> {
        let combine = |_| Ok(Vec::new());
        self.exchange(Call::Barrier, 0, Vec::new(), |_| 0, 0, combine).map(drop)
    }
}

fn lost(rank: usize, header: Header, problem: Problem) -> CollectiveError {
    let (call, sequence) = (header.call.name(), header.sequence);
    CollectiveError::Lost { rank, call, sequence, problem }
}

fn out_of_step(rank: usize, got: Header, wanted: Header) -> CollectiveError {
    let words = |header: Header| {
        let Header { call, sequence, form, length } = header;
        format!("{} number {sequence} of {length} bytes, form {form:x}", call.name())
    };
    let problem = format!("rank {rank} does {}, here it is {}", words(got), words(wanted));
    CollectiveError::OutOfStep { sequence: wanted.sequence, problem }
}

/// Kind, shape and another number as one number (FNV-1a).
fn form(kind: Kind, size: &[i64], extra: u64) -> u64 {
    let numbers = [kind.elt_size_in_bytes() as u64, extra];
    let numbers = numbers.into_iter().chain(size.iter().map(|&side| side as u64));
    numbers
        .fold(0xcbf2_9ce4_8422_2325, |hash, number| (hash ^ number).wrapping_mul(0x0100_0000_01b3))
}

fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>, CollectiveError> {
    let tensor = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; tensor.numel() * tensor.f_kind()?.elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}

fn sum(parts: &[Vec<u8>], size: &[i64], kind: Kind) -> Result<Vec<u8>, CollectiveError> {
    let mut total = Tensor::f_zeros(size, (kind, Device::Cpu))?;
    for part in parts {
        let _ = total.f_add_(&Tensor::f_from_data_size(part, size, kind)?)?;
    }
    bytes_of(&total)
}

fn overwrite(
    tensor: &mut Tensor,
    bytes: &[u8],
    size: &[i64],
    kind: Kind,
) -> Result<(), CollectiveError> {
    let value = Tensor::f_from_data_size(bytes, size, kind)?;
    // The way into a leaf that requires a gradient.
    Ok(tensor.detach().f_copy_(&value)?)
}
