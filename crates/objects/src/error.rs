//! Why bytes could not be had: sentences that are the same whenever the same fails, without anything
//! secret.

use object_store::client::{HttpError, HttpErrorKind};
use std::io;

/// Displays as one sentence without the location.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The system refused.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A device, pipe or folder.
    #[error("it is not a regular file")]
    NotAFile,
    /// Over the caller's limit.
    #[error("the file is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// Fewer bytes than there should be.
    #[error("the file ends before its end")]
    CutOff,
    /// No such object.
    #[error("the server does not have it")]
    NotFound,
    /// The credentials do not suffice, or there are none.
    #[error("the server refuses access")]
    Denied,
    /// The server answered with a failure to every attempt.
    #[error("the server answered with status {status}")]
    Status {
        /// HTTP status code of the last attempt.
        status: u16,
    },
    /// No answer in time, at any attempt.
    #[error("the server did not answer in time")]
    TimedOut,
    /// No connection, or one that broke, at every attempt.
    #[error("the connection failed")]
    Connection,
    /// A web server that only gives whole files.
    #[error("the server does not give parts of a file")]
    NoParts,
    /// A web server, asked for what is below an address.
    #[error("a web server cannot be listed; name its files, for example in a CSV list")]
    NoListing,
    /// Too many objects.
    #[error("more than {limit} files lie there")]
    TooMany {
        /// The limit.
        limit: u64,
    },
    /// A URL of an unknown kind, or none.
    #[error("the address is not understood")]
    Address,
    /// Anything else, in the words of the client; nothing secret is in them.
    #[error("the storage cannot be used: {reason}")]
    Storage {
        /// One sentence.
        reason: &'static str,
    },
}

impl ObjectError {
    /// Whether another attempt may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Connection | Self::CutOff)
    }
}

impl From<object_store::Error> for ObjectError {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error;
        match &error {
            Error::NotFound { .. } => Self::NotFound,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Self::Denied,
            Error::NotSupported { .. } => Self::NoParts,
            Error::InvalidPath { .. } => Self::Address,
            _ => from_chain(&error),
        }
    }
}

/// Looks through the causes for an answer's status or a transport failure.
fn from_chain(error: &(dyn std::error::Error + 'static)) -> ObjectError {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(http) = current.downcast_ref::<HttpError>() {
            return match http.kind() {
                HttpErrorKind::Timeout => ObjectError::TimedOut,
                _ => ObjectError::Connection,
            };
        }
        if let Some(status) = status_in(&current.to_string()) {
            return ObjectError::Status { status };
        }
        cause = current.source();
    }
    ObjectError::Storage {
        reason: "its settings in the environment are missing or wrong",
    }
}

/// The client's error type is private, its words are not.
fn status_in(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}
