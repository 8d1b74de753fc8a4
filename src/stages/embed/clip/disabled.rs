//! A build without libtorch: a CLIP that cannot be had, with the surface of the one that can.

use std::marker::PhantomData;

use crate::config::Embed;
use crate::record::ImageId;
use crate::stages::context::{Context, StageError};
use crate::stages::embed::Outcome;
use crate::stages::embed::occurrences::{Occurrence, Source};

/// There is none.
pub enum Clip {}

/// There are none either.
pub struct PartVectors<'a> {
    never: Clip,
    clip: PhantomData<&'a Clip>,
}

impl Clip {
    /// Says what this build lacks.
    pub async fn check(_: &Embed) -> Result<(), StageError> {
        Err(StageError::Feature { key: "pair.similarity = \"clip\"", feature: "torch" })
    }

    /// The same.
    pub async fn open(config: &Embed) -> Result<Self, StageError> {
        Self::check(config).await?;
        unreachable!("the check fails in every build without the feature")
    }

    /// Never called.
    pub fn identity(&self) -> &str {
        match *self {}
    }

    /// Never called.
    pub async fn load(&mut self) -> Result<(), StageError> {
        match *self {}
    }

    /// Never called.
    pub async fn images(
        &self,
        _: &Context,
        _: Vec<(ImageId, Vec<u8>)>,
    ) -> Result<Vec<Outcome>, StageError> {
        match *self {}
    }

    /// Never called.
    pub async fn part<'a>(
        &'a self,
        _: &'a Context,
        _: &Source,
    ) -> Result<PartVectors<'a>, StageError> {
        match *self {}
    }
}

impl PartVectors<'_> {
    /// Never called.
    pub async fn of(&mut self, _: &[Occurrence]) -> Result<Vec<(Outcome, Outcome)>, StageError> {
        let Self { never, clip: PhantomData } = self;
        match *never {}
    }
}
