//! `-c`: a model that is told to remember less than it could.

use gptneo_model::probe::Probe;
use gptneo_model::{LanguageModel, ModelError, Run, SequenceId, Spec};

/// A model whose context ends earlier; everything else is the model's.
struct Confined {
    model: Box<dyn LanguageModel>,
    spec: Spec,
}

/// The model with a context of at most `positions`.
pub(crate) fn confine(model: Box<dyn LanguageModel>, positions: usize) -> Box<dyn LanguageModel> {
    if positions >= model.spec().positions {
        return model;
    }
    let spec = Spec { positions, ..model.spec().clone() };
    Box::new(Confined { model, spec })
}

impl Confined {
    /// Refuses to grow past the smaller limit, as the model refuses to grow past its own.
    fn check(&self, runs: &[Run<'_>]) -> Result<(), ModelError> {
        for run in runs {
            let held = self.model.len(run.sequence)?;
            let added = match run.input {
                gptneo_model::Input::Tokens(ids) => ids.len(),
                gptneo_model::Input::Embeddings(values) => values.len() / self.spec.width,
            };
            if held + added > self.spec.positions {
                return Err(ModelError::PastLastPosition { held, added, limit: self.spec.positions });
            }
        }
        Ok(())
    }
}

impl LanguageModel for Confined {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn open(&mut self) -> SequenceId {
        self.model.open()
    }

    fn len(&self, sequence: SequenceId) -> Result<usize, ModelError> {
        self.model.len(sequence)
    }

    fn fork(&mut self, sequence: SequenceId, len: usize) -> Result<SequenceId, ModelError> {
        self.model.fork(sequence, len)
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ModelError> {
        self.model.truncate(sequence, len)
    }

    fn can_cut(&self, sequence: SequenceId, len: usize) -> bool {
        self.model.can_cut(sequence, len)
    }

    fn close(&mut self, sequence: SequenceId) {
        self.model.close(sequence);
    }

    fn fits(&self, growth: &[(Option<SequenceId>, usize)]) -> bool {
        self.model.fits(growth)
    }

    fn forward(&mut self, runs: &[Run<'_>], logits: &mut Vec<f32>) -> Result<(), ModelError> {
        self.check(runs)?;
        self.model.forward(runs, logits)
    }

    fn forward_probed(
        &mut self,
        runs: &[Run<'_>],
        logits: &mut Vec<f32>,
        probe: &mut dyn Probe,
    ) -> Result<(), ModelError> {
        self.check(runs)?;
        self.model.forward_probed(runs, logits, probe)
    }

    fn token_bytes(&self, context: usize) -> u64 {
        self.model.token_bytes(context)
    }

    fn token_operations(&self, context: usize, logits: bool) -> u64 {
        self.model.token_operations(context, logits)
    }

    fn weight_bytes(&self) -> u64 {
        self.model.weight_bytes()
    }
}
