//! Which share of a run one process works on.

use std::fmt;
use std::str::FromStr;

/// Slice i of n owns the parts k ≡ i mod n, so that what a part holds does not depend on n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slice {
    /// Which one, from 0.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

impl Slice {
    /// All of a run.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Whether there is no other.
    pub fn is_whole(self) -> bool {
        self.of == 1
    }

    /// Whether this is the one that takes what cannot be shared.
    pub fn is_first(self) -> bool {
        self.index == 0
    }

    /// Whether a part is its own.
    pub fn owns(self, part: u32) -> bool {
        part % self.of == self.index
    }

    /// The one of the same run that owns a part.
    pub fn owner_of(self, part: u32) -> Self {
        Self { index: part % self.of, ..self }
    }

    /// All slices of the same run.
    pub fn all(self) -> impl Iterator<Item = Self> {
        (0..self.of).map(move |index| Self { index, ..self })
    }
}

impl Default for Slice {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Slice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |text: &str| text.trim().parse::<u32>().ok();
        let (index, of) = text.split_once('/').ok_or("give it as i/n, such as 0/100")?;
        match (parse(index), parse(of)) {
            (Some(index), Some(of)) if index < of => Ok(Self { index, of }),
            (Some(_), Some(of)) if of > 0 => Err(format!("i goes from 0 to {}", of - 1)),
            _ => Err("give it as i/n, such as 0/100".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_begin_at_0() {
        assert_eq!("3/100".parse(), Ok(Slice { index: 3, of: 100 }));
        for (text, expected) in [("4/4", "0 to 3"), ("x", "i/n"), ("1/0", "i/n"), ("-1/4", "i/n")] {
            let error = text.parse::<Slice>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn each_part_has_one_owner() {
        let slices: Vec<Slice> = Slice { index: 2, of: 3 }.all().collect();
        for part in 0..20 {
            let owners: Vec<_> = slices.iter().filter(|slice| slice.owns(part)).collect();
            assert_eq!(owners, [&slices[0].owner_of(part)]);
        }
        assert!((0..20).all(|part| Slice::WHOLE.owns(part)));
    }
}
