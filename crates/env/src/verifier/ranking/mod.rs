//! Rankings of documents and lists of recommendations.

pub mod catalogue;
pub mod divergence;
pub mod gains;
pub mod mrr;
pub mod ndcg;
mod ranked;
pub mod recall;
mod titles;
