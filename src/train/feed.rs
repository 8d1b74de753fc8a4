//! Batches as tensors where the model is: a thread copies the next one while a step is computed.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

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
        pixels: upload(&pixels, device).to_kind(kind),
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
        failures: batch.failures.iter().map(named).collect(),
    };
    (fed, batch)
}

/// From pinned memory a GPU fetches without the CPU.
fn upload(tensor: &Tensor, device: Device) -> Tensor {
    match device {
        Device::Cpu => tensor.shallow_clone(),
        device => tensor.pin_memory(device).to_device_(device, tensor.kind(), true, false),
    }
}
