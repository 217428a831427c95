//! A text policy whose passes run on a device.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device as BurnDevice, Tensor};
use cohort_core::{
    Execution, Footprint, Gradient, ParameterInfo, Policy, PolicyError, Precision, Request, RowSpec, Rows, Sample,
    Sampler, StoredAs, StoredTensor, Tape, policy::Asset,
};

use super::{
    decode::DeviceEngine,
    name::{Device, DeviceError},
    tape::{DeviceTape, Pass},
};
use crate::{
    decoder,
    divergence::Measured,
    graph::{Parts, upload, upload_all},
    pack::Pack,
    policy::TextPolicy,
    score::{check_temperature, deal, runs},
    slices::HeadRows,
};

/// A decoder language model whose sampler and trainer run on one device, in f32.
///
/// It is the [`TextPolicy`] that it was made from, which keeps the values that the optimizer reads and writes; the device holds a
/// second copy, and what was written is sent again. Calls from several threads run one after the other.
///
/// The rows of a sample depend on its neighbours by rounding alone: a device picks its products by their sizes. So `rows` and
/// `forward` agree to the bit where they are given the same samples, and otherwise, as the sampler does with both, within the red line.
#[derive(Debug)]
pub struct DevicePolicy {
    text: TextPolicy,
    name: Device,
    device: BurnDevice,
    /// Every parameter, in the order of the weights.
    values: Vec<Tensor<2>>,
    /// Held by whoever computes.
    turn: Mutex<()>,
}

impl DevicePolicy {
    /// Brings a policy to a device. On the processor it runs there by Burn's own operations: slower than the policy itself, and
    /// what tests hold devices to.
    ///
    /// # Errors
    /// The program was built without the device, the machine has none, or the policy asks for what runs on the processor alone:
    /// products in bf16, dropout in adapters.
    pub fn open(text: TextPolicy, name: Device) -> Result<Self, DeviceError> {
        let unsupported = |what| Err(DeviceError::Unsupported { device: name, what });
        if text.precision() != Precision::F32 {
            return unsupported("products in bf16 (policy.compute)");
        }
        if text.is_noisy() {
            return unsupported("dropout in adapters (policy.train.lora.dropout)");
        }
        Ok(Self::on(text, name, name.open()?))
    }

    fn on(text: TextPolicy, name: Device, device: BurnDevice) -> Self {
        let values = upload_all(&text.weights, &device);
        Self { text, name, device, values, turn: Mutex::new(()) }
    }

    /// The same values by another policy's description: of its first parameters where it has fewer.
    fn with(&self, text: TextPolicy) -> Self {
        let values = self.values[..text.weights.count()].to_vec();
        Self { text, name: self.name, device: self.device.clone(), values, turn: Mutex::new(()) }
    }

    /// Where it is.
    pub fn name(&self) -> Device {
        self.name
    }

    /// The policy on the processor: its values are these.
    pub fn host(&self) -> &TextPolicy {
        &self.text
    }

    pub(super) fn device(&self) -> &BurnDevice {
        &self.device
    }

    pub(super) fn values(&self) -> &[Tensor<2>] {
        &self.values
    }

    /// Waits for its turn on the device.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A gradient of nothing.
    pub(super) fn zeros(&self) -> Gradient {
        Gradient(self.text.parameters().iter().map(|info| vec![0.0; info.element_count()]).collect())
    }

    fn pass(&self, pack: &Pack, temperature: f32) -> Pass<'_> {
        Pass::new(self, Parts::new(self.text.model(), pack, temperature, Measured::default()))
    }
}

/// Columns of logp and entropy.
fn columns(packed: &[f32]) -> HeadRows {
    let column = |index: usize| packed.iter().skip(index).step_by(2).copied().collect();
    HeadRows { logp: column(0), entropy: column(1), log_sum_exp: Vec::new(), divergences: Vec::new() }
}

impl Sampler for DevicePolicy {
    fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
        let _alone = self.alone();
        let engine = DeviceEngine::new(self.text.model(), &self.values, &self.device);
        decoder::sample(
            engine,
            self.text.model(),
            self.text.limits(),
            self.text.prompts(),
            self.text.tokenizer(),
            requests,
        )
    }

    fn position_limit(&self) -> Option<usize> {
        self.text.position_limit()
    }
}

impl Policy for DevicePolicy {
    fn rows(&self, samples: &[&Sample], spec: RowSpec) -> Result<Vec<Rows>, PolicyError> {
        let temperature = check_temperature(spec)?;
        let _alone = self.alone();
        let mut out = Vec::with_capacity(samples.len());
        for run in runs(samples) {
            let pack = Pack::of(run, self.text.limits(), self.text.prompts())?;
            let packed = if pack.chosen.ids.is_empty() { Vec::new() } else { self.pass(&pack, temperature).score() };
            let first = out.len();
            deal(&pack.counts, first, columns(&packed), &Measured::default(), &mut out)?;
        }
        Ok(out)
    }

    fn forward<'a>(
        &'a self,
        samples: &[&Sample],
        spec: RowSpec,
    ) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError> {
        self.forward_by(samples, spec, Execution::default())
    }

    fn forward_by<'a>(
        &'a self,
        samples: &[&Sample],
        spec: RowSpec,
        execution: Execution,
    ) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError> {
        let temperature = check_temperature(spec)?;
        let pack = Pack::of(samples, self.text.limits(), self.text.prompts())?;
        let (packed, graph) = match pack.chosen.ids.is_empty() {
            true => (Vec::new(), None),
            false => {
                let _alone = self.alone();
                let (packed, graph) = self.pass(&pack, temperature).go(execution.activations);
                (packed, Some(graph))
            }
        };
        let mut out = Vec::with_capacity(samples.len());
        deal(&pack.counts, 0, columns(&packed), &Measured::default(), &mut out)?;
        Ok((out, Box::new(DeviceTape { policy: self, graph, counts: pack.counts })))
    }

    fn parameters(&self) -> &[ParameterInfo] {
        self.text.parameters()
    }

    fn read(&self, index: usize, look: &mut dyn FnMut(&[f32])) {
        self.text.read(index, look);
    }

    fn write(&mut self, index: usize, change: &mut dyn FnMut(&mut [f32])) {
        self.text.write(index, change);
        let at = self.text.weights.trained()[index];
        self.values[at] = upload(&self.text.weights, at, &self.device);
    }

    /// Of the host: weights, and the gradient as it comes back.
    fn footprint(&self) -> Option<Footprint> {
        let Footprint { weights, gradient, .. } = self.text.footprint()?;
        Some(Footprint { weights, gradient, ..Footprint::default() })
    }

    fn assets(&self) -> &[Asset] {
        self.text.assets()
    }

    fn stored_as(&self) -> StoredAs {
        self.text.stored_as()
    }

    fn stored(&self) -> Vec<StoredTensor> {
        self.text.stored()
    }

    fn read_stored(&self, index: usize, look: &mut dyn FnMut(&[u8])) {
        self.text.read_stored(index, look);
    }

    fn frozen(&self) -> Vec<StoredTensor> {
        self.text.frozen()
    }

    fn read_frozen(&self, index: usize, look: &mut dyn FnMut(&[u8])) {
        self.text.read_frozen(index, look);
    }

    /// On the device they share what neither has written since.
    fn duplicate(&self) -> Box<dyn Policy> {
        Box::new(self.with(self.text.copy()))
    }

    fn reference(&self) -> Box<dyn Policy> {
        Box::new(self.with(self.text.as_reference()))
    }
}
