//! stand-in
use super::matrix::Matrix;
/// h
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// r
    pub row: u32,
    /// s
    pub score: f32,
}
/// t
pub fn top_k(matrix: &Matrix, queries: &[f32], k: usize) -> Vec<Vec<Hit>> {
    queries
        .chunks(matrix.width())
        .map(|q| {
            let mut hits: Vec<Hit> = (0..matrix.rows() as usize)
                .map(|row| Hit {
                    row: row as u32,
                    score: matrix.row(row).iter().zip(q).map(|(a, b)| a * b).sum(),
                })
                .collect();
            hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
            hits.truncate(k);
            hits
        })
        .collect()
}
