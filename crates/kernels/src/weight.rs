//! A weight as products read it: which numbers, and what is rounded before they are multiplied.

use std::ops::Range;

use crate::bf16::{PANEL, PackedBf16, Panels};
use crate::stored::Matrix;

/// What the operands of a product are rounded to; its sums are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arithmetic {
    /// Nothing is rounded: chains of fused multiply-adds in f32.
    #[default]
    F32,
    /// Both operands are rounded to bf16.
    Bf16,
}

/// A matrix that activations are multiplied with, forward and back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weight<'a> {
    /// Multiplied in f32, from whatever it is stored in.
    Single(Matrix<'a>),
    /// Multiplied in bf16: forward by what was packed once, back by what is stored, which is rounded alike.
    Rounded {
        /// The weight.
        stored: Matrix<'a>,
        /// The same, packed.
        packed: Panels<'a>,
    },
}

impl<'a> Weight<'a> {
    /// A weight, and what [`PackedBf16::new`] made of it.
    pub fn rounded(stored: Matrix<'a>, packed: &'a PackedBf16) -> Self {
        let packed = packed.panels();
        assert_eq!(stored.len(), packed.len(), "Weight::rounded: what is packed is of another weight");
        Weight::Rounded { stored, packed }
    }

    /// What a product with it is computed in.
    pub fn arithmetic(self) -> Arithmetic {
        match self {
            Weight::Single(_) => Arithmetic::F32,
            Weight::Rounded { .. } => Arithmetic::Bf16,
        }
    }

    /// The weight as it is stored.
    pub fn stored(self) -> Matrix<'a> {
        match self {
            Weight::Single(stored) | Weight::Rounded { stored, .. } => stored,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.stored().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows `range` of a weight with rows of `width`. One that is packed is cut between panels, at a multiple of
    /// [`Weight::unit`].
    pub(crate) fn rows(self, range: Range<usize>, width: usize) -> Self {
        match self {
            Weight::Single(stored) => Weight::Single(stored.rows(range, width)),
            Weight::Rounded { stored, packed } => {
                Weight::Rounded { stored: stored.rows(range.clone(), width), packed: packed.rows(range) }
            }
        }
    }

    /// What the rows of a part are a multiple of, all but the last one's.
    pub(crate) fn unit(self) -> usize {
        match self {
            Weight::Single(_) => 16,
            Weight::Rounded { .. } => PANEL,
        }
    }

    /// The same with what is multiplied in f32 widened: in place, or in `buffer`.
    pub(crate) fn widened<'b>(self, buffer: &'b mut Vec<f32>) -> Weight<'b>
    where
        'a: 'b,
    {
        match self {
            Weight::Single(stored) => Weight::Single(Matrix::F32(stored.widened(buffer))),
            rounded => rounded,
        }
    }

    /// What [`Weight::widened`] gave with this buffer.
    pub(crate) fn widened_before<'b>(self, buffer: &'b [f32]) -> Weight<'b>
    where
        'a: 'b,
    {
        match self {
            Weight::Single(stored @ Matrix::Bf16(_)) => Weight::Single(Matrix::F32(&buffer[..stored.len()])),
            other => other,
        }
    }
}

impl<'a, T: Into<Matrix<'a>>> From<T> for Weight<'a> {
    fn from(stored: T) -> Self {
        Weight::Single(stored.into())
    }
}
