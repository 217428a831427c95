//! The mathematics from outside: oracles, frozen answers of other frameworks, the registry, what is refused. One binary, so that it is linked once.

mod advantage;
mod advantage_golden;
mod frozen;
mod frozen_surrogates;
mod policy_gradient;
mod refused;
mod registry;
mod reward;
mod surrogate;
mod truth;
mod weight_curriculum;
