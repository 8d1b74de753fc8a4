//! Vectors of what a part shows or says more than once, each kept until its last use: nothing is computed
//! twice, and only what will come again takes memory.

use std::collections::HashMap;

/// Keys that come again, and the vectors of those that came.
#[derive(Debug, Default)]
pub struct Repeats {
    left: HashMap<String, u32>,
    held: HashMap<String, Vec<f32>>,
}

impl Repeats {
    /// Notes one use that will come.
    pub fn announce(&mut self, key: String) {
        *self.left.entry(key).or_default() += 1;
    }

    /// Ends the announcements: what is used once needs no memory.
    pub fn close(&mut self) {
        self.left.retain(|_, uses| *uses > 1);
        self.left.shrink_to_fit();
    }

    /// The vector of a key that came before.
    pub fn get(&self, key: &str) -> Option<&Vec<f32>> {
        self.held.get(key)
    }

    /// Notes a use, and keeps the vector for the next one.
    pub fn used(&mut self, key: &str, vector: &[f32]) {
        let Some(left) = self.left.get_mut(key) else { return };
        *left -= 1;
        if *left == 0 {
            self.left.remove(key);
            self.held.remove(key);
        } else if !self.held.contains_key(key) {
            self.held.insert(key.to_owned(), vector.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_held_from_its_first_use_to_its_last() {
        let mut repeats = Repeats::default();
        for key in ["a", "b", "a", "c", "a"] {
            repeats.announce(key.into());
        }
        repeats.close();
        assert_eq!(repeats.left.len(), 1);
        for (key, held) in [("a", true), ("b", true), ("a", true), ("c", true), ("a", false)] {
            repeats.used(key, &[1.0]);
            assert_eq!(repeats.get("a").is_some(), held, "after {key}");
            assert_eq!(repeats.held.len(), usize::from(held));
        }
        assert!(repeats.left.is_empty());
    }
}
