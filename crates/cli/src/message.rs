//! Results on standard output, messages on standard error.

use anyhow::{Context, Result};
use std::io::{ErrorKind, Write};

/// `summit: error: what failed: why`.
pub fn error(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // A cause that its context already quotes would be said twice.
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    eprintln!("summit: error: {text}");
}

/// `summit: warning: text`.
pub fn warning(text: &str) {
    eprintln!("summit: warning: {text}");
}

/// A remark on the way.
pub fn note(text: &str) {
    eprintln!("summit: {text}");
}

/// A result, with a line end. A reader that has seen enough (`| head`) is no error.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out
        .write_all(text.trim_end().as_bytes())
        .and_then(|()| out.write_all(b"\n"));
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// `1 image`, `2 images`.
pub fn images(count: u32) -> String {
    format!("{count} image{}", if count == 1 { "" } else { "s" })
}
