//! Vectors that someone else made: a Parquet file of `id` and `embedding`, as `search embed` writes them,
//! for the queries and one for the gallery. They are compared by their dot products.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::EvaluateError;
use super::score::{Outcome, rank};
use crate::retrieval::benchmarks::{Benchmark, Task};

/// Vectors by name.
#[derive(Debug)]
pub struct Given {
    path: PathBuf,
    width: usize,
    rows: Vec<f32>,
    places: HashMap<String, usize>,
}

/// Ranks a benchmark by vectors of its queries and of its gallery.
pub fn outcomes(
    benchmark: &Benchmark,
    queries: &Given,
    gallery: &Given,
) -> Result<Vec<Vec<Outcome>>, EvaluateError> {
    if queries.width != gallery.width {
        return Err(queries.bad(format!(
            "has vectors of {} numbers, and {} of {}",
            queries.width,
            gallery.path.display(),
            gallery.width
        )));
    }
    let of_task = |task: &Task| {
        let asked: Vec<&str> = task.queries.iter().map(|query| query.id.as_str()).collect();
        let shared = |id: &str| {
            let of = |other: &&Task| other.queries.iter().any(|query| query.id == id);
            benchmark.tasks.len() > 1 && benchmark.tasks.iter().filter(of).count() > 1
        };
        let asked = queries.of(task, &asked, shared)?;
        let images: Vec<&str> = task.gallery.iter().map(|entry| entry.id.as_str()).collect();
        // Images of one name are one image, whatever the part.
        let images = gallery.of(task, &images, |_| false)?;
        Ok(rank(task, &asked, &images, queries.width, benchmark.depth()))
    };
    benchmark.tasks.iter().map(of_task).collect()
}

impl Given {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, EvaluateError> {
        let mut given =
            Self { path: path.to_owned(), width: 0, rows: Vec::new(), places: HashMap::new() };
        given.fill().map_err(|problem| given.bad(problem))?;
        Ok(given)
    }

    fn fill(&mut self) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let file = File::open(&self.path).map_err(|error| said(&error))?;
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| said(&error))?;
        for batch in reader.build().map_err(|error| said(&error))? {
            let batch = batch.map_err(|error| said(&error))?;
            let column = |name: &str, kind: &DataType| {
                let column = batch.column_by_name(name).ok_or(format!("has no column {name}"))?;
                cast(column, kind).map_err(|error| format!("{name}: {error}"))
            };
            let numbers = Field::new_list_field(DataType::Float32, true);
            let ids = column("id", &DataType::Utf8)?;
            let vectors = column("embedding", &DataType::List(numbers.into()))?;
            for (id, vector) in ids.as_string::<i32>().iter().zip(vectors.as_list::<i32>().iter()) {
                let id = id.ok_or("has a row without an id")?;
                let vector = vector.ok_or_else(|| format!("has no embedding of {id}"))?;
                let vector = vector.as_primitive::<Float32Type>();
                self.add(id, (vector.null_count() == 0).then(|| vector.values().as_ref()))?;
            }
        }
        match self.width {
            0 => Err("has no embeddings".to_owned()),
            _ => Ok(()),
        }
    }

    fn add(&mut self, id: &str, vector: Option<&[f32]>) -> Result<(), String> {
        let vector = vector.ok_or_else(|| format!("has gaps in the embedding of {id}"))?;
        if self.places.is_empty() {
            self.width = vector.len();
        }
        if vector.len() != self.width {
            return Err(format!(
                "{id} has {} numbers, where others have {}",
                vector.len(),
                self.width
            ));
        }
        if self.places.insert(id.to_owned(), self.places.len()).is_some() {
            return Err(format!("has {id} twice"));
        }
        self.rows.extend_from_slice(vector);
        Ok(())
    }

    /// Vectors in the order of names: of `part/name`, else of the name where it is not `shared` by parts.
    fn of(
        &self,
        task: &Task,
        names: &[&str],
        shared: impl Fn(&str) -> bool,
    ) -> Result<Vec<f32>, EvaluateError> {
        let mut rows = Vec::with_capacity(names.len() * self.width);
        for name in names {
            let whole = format!("{}/{name}", task.name);
            let place = match (self.places.get(&whole), self.places.get(*name)) {
                (Some(place), _) => place,
                (None, Some(_)) if shared(name) => {
                    return Err(self.bad(format!("several parts have {name}: call it {whole}")));
                }
                (None, Some(place)) => place,
                (None, None) => return Err(self.bad(format!("has no embedding of {whole}"))),
            };
            rows.extend_from_slice(&self.rows[place * self.width..][..self.width]);
        }
        Ok(rows)
    }

    fn bad(&self, problem: String) -> EvaluateError {
        EvaluateError::List(format!("{}: {problem}", self.path.display()))
    }
}
