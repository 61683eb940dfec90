//! Package `epimetheus`.
