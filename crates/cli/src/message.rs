//! Messages on standard error.

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
