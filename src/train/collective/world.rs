//! The environment that torchrun gives each process
//! (<https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables>).

use thiserror::Error;

/// Number of this process among all.
pub const RANK: &str = "RANK";
/// Number of processes.
pub const WORLD_SIZE: &str = "WORLD_SIZE";
/// Number of this process on its machine: its GPU.
pub const LOCAL_RANK: &str = "LOCAL_RANK";
/// Where rank 0 can be reached.
pub const MASTER_ADDR: &str = "MASTER_ADDR";
/// The port there.
pub const MASTER_PORT: &str = "MASTER_PORT";
/// `True` where torchrun itself listens at that port.
pub const AGENT_STORE: &str = "TORCHELASTIC_USE_AGENT_STORE";

/// Which process this is, of how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// This process, from 0 on.
    pub rank: usize,
    /// Number of processes.
    pub world: usize,
    /// This process on its machine, from 0 on: the GPU to use.
    pub local_rank: usize,
    /// Host name or address of rank 0.
    pub address: String,
    /// Where rank 0 listens: `MASTER_PORT`, or the one after it where torchrun holds that itself.
    pub port: u16,
}

/// The environment does not make sense.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum WorldError {
    /// One is set and another, which it needs, is not.
    #[error("{0} is not set, though {RANK} or {WORLD_SIZE} is")]
    Missing(&'static str),
    /// Not a number, or one too large.
    #[error("{name} is {value:?}, which is no number that fits")]
    Number {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// A rank that there is not.
    #[error("{RANK} is {rank} where {WORLD_SIZE} is {world}")]
    Rank {
        /// This rank.
        rank: usize,
        /// Number of ranks.
        world: usize,
    },
}

impl World {
    /// One process alone.
    pub fn alone() -> Self {
        Self { rank: 0, world: 1, local_rank: 0, address: String::new(), port: 0 }
    }

    /// Reads this process's environment; alone without `RANK` and `WORLD_SIZE`.
    pub fn from_env() -> Result<Self, WorldError> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, WorldError> {
        if get(RANK).is_none() && get(WORLD_SIZE).is_none() {
            return Ok(Self::alone());
        }
        let text = |name| get(name).ok_or(WorldError::Missing(name));
        let (rank, world) = (number(RANK, text(RANK)?)?, number(WORLD_SIZE, text(WORLD_SIZE)?)?);
        if rank >= world {
            return Err(WorldError::Rank { rank, world });
        }
        if world == 1 {
            return Ok(Self::alone());
        }
        let local_rank = get(LOCAL_RANK).map_or(Ok(rank), |value| number(LOCAL_RANK, value))?;
        let held = get(AGENT_STORE).is_some_and(|value| value == "True");
        let port: u16 = number(MASTER_PORT, text(MASTER_PORT)?)?;
        let port = if held { port.checked_add(1) } else { Some(port) };
        let too_large = WorldError::Number { name: MASTER_PORT, value: u16::MAX.to_string() };
        let port = port.ok_or(too_large)?;
        Ok(Self { rank, world, local_rank, address: text(MASTER_ADDR)?, port })
    }
}

fn number<T: std::str::FromStr>(name: &'static str, value: String) -> Result<T, WorldError> {
    value.trim().parse().map_err(|_| WorldError::Number { name, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<World, WorldError> {
        let find = |name: &str| pairs.iter().find(|(key, _)| *key == name);
        World::read(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    const TWO: [(&str, &str); 4] =
        [(RANK, "1"), (WORLD_SIZE, "2"), (MASTER_ADDR, "10.0.0.1"), (MASTER_PORT, "29500")];

    #[test]
    fn nothing_set_is_one_process() {
        assert_eq!(read(&[]).unwrap(), World::alone());
        assert_eq!(read(&[(RANK, "0"), (WORLD_SIZE, "1")]).unwrap(), World::alone());
    }

    #[test]
    fn torchrun_says_who_we_are() {
        let world = read(&TWO).unwrap();
        assert_eq!((world.rank, world.world, world.local_rank), (1, 2, 1));
        assert_eq!((world.address.as_str(), world.port), ("10.0.0.1", 29_500));
        let local = read(&[&TWO[..], &[(LOCAL_RANK, "0")]].concat()).unwrap();
        assert_eq!(local.local_rank, 0);
    }

    #[test]
    fn the_agents_own_port_is_left_to_it() {
        let world = read(&[&TWO[..], &[(AGENT_STORE, "True")]].concat()).unwrap();
        assert_eq!(world.port, 29_501);
        let world = read(&[&TWO[..], &[(AGENT_STORE, "False")]].concat()).unwrap();
        assert_eq!(world.port, 29_500);
    }

    #[test]
    fn half_an_environment_is_an_error_that_names_the_rest() {
        assert_eq!(read(&[(RANK, "0")]), Err(WorldError::Missing(WORLD_SIZE)));
        assert_eq!(read(&TWO[..3]), Err(WorldError::Missing(MASTER_PORT)));
        let wrong = read(&[(RANK, "2"), (WORLD_SIZE, "2")]);
        assert_eq!(wrong, Err(WorldError::Rank { rank: 2, world: 2 }));
        let value = || "x".to_owned();
        let wrong = read(&[(RANK, "x"), (WORLD_SIZE, "2")]);
        assert_eq!(wrong, Err(WorldError::Number { name: RANK, value: value() }));
    }
}
