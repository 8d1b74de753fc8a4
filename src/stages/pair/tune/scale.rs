//! Steps of a similarity from the least value there is to the largest, as fine as there is room for: bounds
//! of embeddings lie close together, often between 0.95 and 1.

/// Widths of a step, in thousandths.
const STEPS: [i32; 9] = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/// Equal steps over a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    from: i32,
    step: i32,
    count: usize,
}

impl Scale {
    /// Over a range in thousandths, in at most so many steps, 5 or more.
    pub fn over(least: i32, most: i32, at_most: usize) -> Self {
        let with = |step: i32| {
            let from = least.div_euclid(step) * step;
            // A value at the end of the last step belongs to it.
            let count = (most - from + step - 1).div_euclid(step).max(1) as usize;
            Self { from, step, count }
        };
        let mut all = STEPS.into_iter().map(with);
        let fits = all.find(|scale| scale.count <= at_most);
        fits.unwrap_or_else(|| with(STEPS[STEPS.len() - 1]))
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The step of a value in thousandths.
    pub fn at(&self, thousandths: i32) -> usize {
        let step = (thousandths - self.from).div_euclid(self.step).max(0) as usize;
        step.min(self.count - 1)
    }

    /// A step's bounds in words.
    pub fn range(&self, step: usize) -> String {
        let digits = match self.step {
            step if step % 100 == 0 => 1,
            step if step % 10 == 0 => 2,
            _ => 3,
        };
        let bound = |at: usize| f64::from(self.from + self.step * at as i32) / 1000.0;
        format!("{:.digits$}–{:.digits$}", bound(step), bound(step + 1))
    }
}

/// A similarity in whole thousandths. What a cosine lacks by rounding alone is not counted against it.
pub fn thousandths(similarity: f32) -> i32 {
    ((f64::from(similarity) * 1000.0 + 1e-3).floor() as i32).clamp(-1000, 1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps_are_as_fine_as_the_values_lie_close() {
        let ranges = |least: f32, most: f32| {
            let scale = Scale::over(thousandths(least), thousandths(most), 20);
            (scale.len(), scale.range(0), scale.range(scale.len() - 1))
        };
        let words = |len, first: &str, last: &str| (len, first.to_owned(), last.to_owned());
        assert_eq!(ranges(0.0, 1.0), words(20, "0.00–0.05", "0.95–1.00"));
        assert_eq!(ranges(0.957, 0.996), words(20, "0.956–0.958", "0.994–0.996"));
        assert_eq!(ranges(-1.0, 1.0), words(20, "-1.0–-0.9", "0.9–1.0"));
        assert_eq!(ranges(0.5, 0.5), words(1, "0.500–0.501", "0.500–0.501"));
    }

    #[test]
    fn a_step_holds_its_lower_bound_and_the_last_one_its_upper() {
        let scale = Scale::over(0, 1000, 10);
        for (value, expected) in [(-1.0, 0), (0.1, 1), (0.799, 7), (0.8, 8), (1.0, 9), (2.0, 9)] {
            assert_eq!(scale.at(thousandths(value)), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn every_value_has_a_step_that_says_so(
            values in prop::collection::vec(-1000_i32..=1000, 1..30), at_most in 5_usize..40,
        ) {
            let (least, most) = (*values.iter().min().unwrap(), *values.iter().max().unwrap());
            let scale = Scale::over(least, most, at_most);
            prop_assert!(scale.len() <= at_most);
            for value in values {
                let step = scale.at(value) as i32;
                let from = scale.from + step * scale.step;
                prop_assert!((from..=from + scale.step).contains(&value), "{value} {scale:?}");
            }
            prop_assert_eq!(scale.at(most), scale.len() - 1);
        }
    }
}
