//! Batches as tensors where the model is: a thread copies the next one while a step is computed.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use magiclens_torch::shim;
use tch::{Device, Kind, Tensor};

use super::data::{Batch, DataError, Failure, Loader};
use super::mask::Labels;
use super::step::Rows;
use crate::model::MagicLens;

/// A batch of one rank on its device.
#[derive(Debug)]
pub struct Fed {
    /// Its step.
    pub step: u64,
    /// `[2·rows + hard, 3, S, S]`: query images, target images, hard negatives.
    pub pixels: Tensor,
    /// Token ids of the instructions `[rows, L]`.
    pub ids: Tensor,
    /// What the loss has to know of the rows.
    pub rows: Rows,
    /// Instructions that were cut.
    pub cut_texts: usize,
    /// Rows of the whole batch, all ranks, whose page an earlier row has.
    pub shared_pages: usize,
    /// What did not decode, with the `triplet_id`.
    pub failures: Vec<(String, Failure)>,
}

/// The thread that feeds, and what it has ready.
pub struct Feed {
    ready: Option<Receiver<Result<Fed, DataError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Takes over a loader of images for the model, to its device and in what it computes in.
    pub fn start(loader: Loader, model: &MagicLens) -> Self {
        let (device, kind) = (model.device(), model.compute());
        let size = model.config().image_size;
        let (send, ready) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let mut loader = loader;
            while let Some(batch) = loader.next() {
                let fed = batch.map(|batch| {
                    let (fed, batch) = move_to(batch, size, device, kind);
                    loader.recycle(batch);
                    fed
                });
                if send.send(fed).is_err() {
                    return;
                }
            }
        });
        Self { ready: Some(ready), thread: Some(thread) }
    }
}

impl Iterator for Feed {
    type Item = Result<Fed, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.ready.as_ref()?.recv().ok()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.ready = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn move_to(batch: Batch, size: i64, device: Device, kind: Kind) -> (Fed, Batch) {
    let pixels = Tensor::from_slice(&batch.pixels).reshape([-1, 3, size, size]);
    let ids = Tensor::from_slice(&batch.ids).reshape([batch.rows as i64, batch.length as i64]);
    let named = |failure: &Failure| (batch.triplet_ids[failure.row].clone(), failure.clone());
    let fed = Fed {
        step: batch.step,
        // Here and not there: half the bytes are pinned and sent.
        pixels: upload(&pixels.to_kind(kind), device),
        ids: upload(&ids, device),
        rows: Rows {
            labels: Labels {
                query_cluster: batch.query_cluster.clone(),
                target_cluster: batch.target_cluster.clone(),
                valid: batch.valid.clone(),
            },
            hard_rows: batch.hard_row.iter().map(|&row| row as usize).collect(),
        },
        cut_texts: batch.cut_texts,
        shared_pages: batch.shared_pages,
        failures: batch.failures.iter().map(named).collect(),
    };
    (fed, batch)
}

/// From pinned memory a GPU fetches without the CPU.
fn upload(tensor: &Tensor, device: Device) -> Tensor {
    match device {
        Device::Cpu => tensor.shallow_clone(),
        device => {
            let pinned = shim::pin(tensor).expect("memory can be pinned");
            pinned.to_device_(device, tensor.kind(), true, false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_come_in_what_is_computed_in_and_counts_come_along() {
        let pixels: Vec<f32> = (0..2 * 3 * 2 * 2).map(|at| (at as f32 * 0.731).sin()).collect();
        let batch = || Batch {
            rows: 1,
            pixels: pixels.clone(),
            ids: vec![1, 2],
            length: 2,
            cut_texts: 3,
            shared_pages: 4,
            ..Batch::default()
        };
        let (fed, back) = move_to(batch(), 2, Device::Cpu, Kind::Float);
        let numbers = Vec::<f32>::try_from(&fed.pixels.reshape([-1])).unwrap();
        assert_eq!((numbers, fed.cut_texts, fed.shared_pages), (pixels.clone(), 3, 4));
        assert_eq!(back.pixels, pixels);
        let (fed, _) = move_to(batch(), 2, Device::Cpu, Kind::BFloat16);
        assert_eq!((fed.pixels.kind(), fed.pixels.size()), (Kind::BFloat16, vec![2, 3, 2, 2]));
        // Eight bits of a number are kept, the last of them rounded.
        let apart =
            (fed.pixels.to_kind(Kind::Float).reshape([-1]) - Tensor::from_slice(&pixels)).abs();
        assert!((0.0005..0.002).contains(&apart.max().double_value(&[])));
    }
}
