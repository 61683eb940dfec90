//! Errors of the API: the type clients switch on, the status code, the text.

use hyper::StatusCode;
use model::QueryError;
use model::cancel::CancelReason;
use model::number::go_quote;
use promql::EngineError;

/// What kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Timeout,
    Canceled,
    Execution,
    BadData,
    Internal,
    NotFound,
    Unavailable,
}

impl Kind {
    /// The value of `errorType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Timeout => "timeout",
            Kind::Canceled => "canceled",
            Kind::Execution => "execution",
            Kind::BadData => "bad_data",
            Kind::Internal => "internal",
            Kind::NotFound => "not_found",
            Kind::Unavailable => "unavailable",
        }
    }

    /// The status code.
    pub fn status(self) -> StatusCode {
        match self {
            Kind::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            // The code nginx gave to a client that left; no name in the registry.
            Kind::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Kind::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::BadData => StatusCode::BAD_REQUEST,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Internal | Kind::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ApiError {
    pub kind: Kind,
    pub text: String,
}

impl ApiError {
    /// An error of this kind.
    pub fn new(kind: Kind, text: impl Into<String>) -> ApiError {
        ApiError { kind, text: text.into() }
    }

    /// The request makes no sense.
    pub fn bad_data(text: impl Into<String>) -> ApiError {
        ApiError::new(Kind::BadData, text)
    }

    /// One parameter makes no sense.
    pub fn invalid(parameter: &str, why: &str) -> ApiError {
        ApiError::bad_data(format!("invalid parameter {}: {why}", go_quote(parameter)))
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> ApiError {
        let kind = match error {
            QueryError::Cancelled(CancelReason::Canceled) => Kind::Canceled,
            _ => Kind::Execution,
        };
        ApiError::new(kind, error.to_string())
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> ApiError {
        let kind = match error {
            EngineError::Parse(text) => return ApiError::invalid("query", &text),
            EngineError::Execution(_) | EngineError::Memory(_) => Kind::Execution,
            EngineError::Canceled(_) => Kind::Canceled,
            EngineError::Timeout(_) => Kind::Timeout,
            EngineError::Storage(_) => Kind::Internal,
        };
        ApiError::new(kind, error.to_string())
    }
}
