//! Results on standard output, messages on standard error.

use anyhow::{Context, Result};
use std::io::{ErrorKind, Write};

/// `summit: error: what failed: why`.
pub fn error(error: &anyhow::Error) {
    eprintln!("summit: error: {}", sentence(error));
}

/// An error with its causes on one line. Where one of two neighbours says all the other does, that one stands
/// for both.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() || cause.contains(&text) {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text.replace(['\n', '\r'], " ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_twice() {
        let one = |root: &str, context: &str| {
            sentence(&anyhow::Error::msg(root.to_owned()).context(context.to_owned()))
        };
        assert_eq!(
            one("no such file", "cannot read a"),
            "cannot read a: no such file"
        );
        assert_eq!(one("cannot read a: no", "a"), "cannot read a: no");
        assert_eq!(one("no", "cannot read a: no"), "cannot read a: no");
        assert_eq!(one("one\ntwo", "a"), "a: one two");
    }
}
