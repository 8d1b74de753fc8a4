//! Turns names and shapes of other formats into ours. What no rule knows stays unknown, by its
//! name.

mod flax;
mod open_clip;

use std::collections::{BTreeMap, btree_map};

use tch::Tensor;

use super::source::Named;

/// Whose names a file uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Hugging Face's CLIPModel, and ours, which has the same names and more.
    HuggingFace,
    /// OpenAI's and OpenCLIP's.
    OpenClip,
    /// The released MagicLens's: paths of flax modules.
    Flax,
}

/// Tensors by our names, and what came with them.
#[derive(Debug)]
pub(super) struct Found {
    pub layout: Layout,
    pub tensors: BTreeMap<String, Entry>,
    /// What no rule knows.
    pub unknown: Vec<String>,
    /// By our name of a projection: the heads that its shape in the file has.
    pub heads: BTreeMap<String, i64>,
}

/// A tensor and what its file calls it.
#[derive(Debug)]
pub(super) struct Entry {
    pub tensor: Tensor,
    pub from: String,
}

impl Found {
    /// Whether any tensor of the added layers is there.
    pub fn has_head(&self) -> bool {
        let ours = |name: &String| name.starts_with("fusion.") || name.starts_with("pooler.");
        self.tensors.keys().any(ours)
    }

    /// The first of two names for one tensor holds, the second is unknown.
    fn put(&mut self, name: String, tensor: Tensor, from: &str) {
        match self.tensors.entry(name) {
            btree_map::Entry::Vacant(place) => {
                place.insert(Entry { tensor, from: from.to_owned() });
            }
            btree_map::Entry::Occupied(_) => self.unknown.push(from.to_owned()),
        }
    }
}

/// Renames and reshapes all tensors by the rules of the layout that their names show.
pub(super) fn to_ours(named: Named) -> Found {
    let layout = recognise(&named);
    let (tensors, heads) = (BTreeMap::new(), BTreeMap::new());
    let mut found = Found { layout, tensors, unknown: Vec::new(), heads };
    for (name, tensor) in named {
        match layout {
            Layout::HuggingFace => found.put(name.clone(), flat_scale(&name, tensor), &name),
            Layout::OpenClip => open_clip::take(&mut found, &name, tensor),
            Layout::Flax => flax::take(&mut found, &name, tensor),
        }
    }
    found
}

fn recognise(named: &Named) -> Layout {
    let any = |test: &dyn Fn(&str) -> bool| named.keys().any(|name| test(name));
    if any(&|name| name.starts_with("params/")) {
        Layout::Flax
    } else if any(&|name| name.starts_with("visual.") || name.contains("resblocks.")) {
        Layout::OpenClip
    } else {
        Layout::HuggingFace
    }
}

/// Some writers know no tensors without dimensions.
fn flat_scale(name: &str, tensor: Tensor) -> Tensor {
    let single = name == "logit_scale" && tensor.size() == [1];
    if single { tensor.view([0i64; 0]) } else { tensor }
}
