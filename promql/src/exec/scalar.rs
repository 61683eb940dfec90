//! Scalars: one value a step, or the same for all.

/// The values of a scalar expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Steps {
    Constant(f64),
    Each(Vec<f64>),
}

impl Steps {
    /// The value at a step.
    #[inline(always)]
    pub(crate) fn at(&self, step: usize) -> f64 {
        match self {
            Steps::Constant(v) => *v,
            Steps::Each(values) => values[step],
        }
    }

    /// Bytes the values take.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Steps::Constant(_) => 0,
            Steps::Each(values) => values.len() as u64 * 8,
        }
    }

    /// Both operands' values put through `f`.
    pub(crate) fn zip(&self, other: &Steps, f: impl Fn(f64, f64) -> f64) -> Steps {
        match (self, other) {
            (Steps::Constant(a), Steps::Constant(b)) => Steps::Constant(f(*a, *b)),
            (Steps::Constant(a), Steps::Each(b)) => {
                Steps::Each(b.iter().map(|b| f(*a, *b)).collect())
            }
            (Steps::Each(a), other) => {
                let values = a.iter().enumerate().map(|(i, a)| f(*a, other.at(i)));
                Steps::Each(values.collect())
            }
        }
    }

    /// Every value put through `f`.
    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Steps {
        match self {
            Steps::Constant(v) => Steps::Constant(f(*v)),
            Steps::Each(values) => Steps::Each(values.iter().map(|v| f(*v)).collect()),
        }
    }

    /// The values over `steps`.
    pub(crate) fn expand(&self, steps: usize) -> Vec<f64> {
        match self {
            Steps::Constant(v) => vec![*v; steps],
            Steps::Each(values) => values.clone(),
        }
    }
}
