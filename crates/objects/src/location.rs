//! Paths and URLs as text.

use url::Url;

/// URL schemes that are read over the network.
const SCHEMES: [&str; 8] = ["http", "https", "s3", "s3a", "gs", "az", "abfs", "abfss"];

/// Whether a location is a URL of a known scheme; anything else is a path.
#[must_use]
pub fn is_remote(location: &str) -> bool {
    location.split_once("://").is_some_and(|(scheme, _)| {
        SCHEMES
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    })
}

/// A location as it may be shown: a URL without user, password, query and fragment, which may hold secrets.
#[must_use]
pub fn shown(location: &str) -> String {
    if !is_remote(location) {
        return location.to_owned();
    }
    let Ok(mut url) = Url::parse(location) else {
        return "(an address that is not understood)".to_owned();
    };
    url.set_query(None);
    url.set_fragment(None);
    // Refused only by URLs that cannot have either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// A `/` separated relative path below a location.
#[must_use]
pub fn joined(location: &str, relative: &str) -> String {
    if relative.is_empty() {
        return location.to_owned();
    }
    if !is_remote(location) {
        return std::path::Path::new(location)
            .join(relative)
            .to_string_lossy()
            .into_owned();
    }
    let Ok(mut url) = Url::parse(location) else {
        return format!("{location}/{relative}");
    };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(relative.split('/'));
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(
            shown("https://me:word@host/a%20b.jpg?X-Amz-Signature=1#f"),
            "https://host/a%20b.jpg"
        );
        assert_eq!(shown("C://x?y"), "C://x?y");
        assert!(!shown("http://[::1?secret").contains("secret"));
    }

    #[test]
    fn joining_keeps_the_query_and_encodes() {
        assert_eq!(joined("s3://b/p/", "a b/c?.png"), "s3://b/p/a%20b/c%3F.png");
        assert_eq!(joined("http://h/p?q=1", "x"), "http://h/p/x?q=1");
        assert_eq!(joined("folder", "a/b.png"), "folder/a/b.png");
    }
}
