//! Policies of Hugging Face directories from outside: laws, golden numbers, faults. One binary, since each is linked with Burn.

mod adapters;
mod common;
mod controls;
mod device;
mod divergence;
mod dropout;
mod faults;
mod golden;
mod gradients;
mod published;
mod rounded;
mod sampler_is_trainer;
mod sampling;
mod soft;
