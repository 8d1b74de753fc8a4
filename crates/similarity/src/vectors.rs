//! Vectors of length 1, as models give them.

/// Their cosine. Summed up in 64 bits, so that the length of a vector leaves no trace.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_compared() {
        assert_eq!(dot(&[0.6, 0.8], &[0.6, 0.8]), 1.0);
        assert_eq!(dot(&[1.0, 0.0], &[0.0, 1.0]), 0.0);
        assert_eq!(dot(&[1.0, 0.0], &[-1.0, 0.0]), -1.0);
        assert_eq!(dot(&[], &[]), 0.0);
    }
}
