//! Bytes of an image as a `data:` address, and the check of such addresses.

/// An image as a `data:` address (base64).
///
/// `media_type` is for example `image/png`. The drawing accepts `png`, `jpeg`, `webp`, `gif` and `avif`.
#[must_use]
pub fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut address = format!("data:{media_type};base64,");
    address.reserve(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let sextet = bits >> (18 - 6 * position) & 63;
            let filled = position <= chunk.len();
            address.push(if filled {
                char::from(ALPHABET[sextet as usize])
            } else {
                '='
            });
        }
    }
    address
}

/// Whether this is a raster image in base64, safe to stand in an attribute.
///
/// SVG images are refused: they can carry script where a viewer follows them.
pub(super) fn is_image_data_uri(address: &str) -> bool {
    let Some((kind, payload)) = address
        .strip_prefix("data:image/")
        .and_then(|rest| rest.split_once(";base64,"))
    else {
        return false;
    };
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    ["png", "jpeg", "webp", "gif", "avif"].contains(&kind) && payload.bytes().all(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_length() {
        // The vectors of RFC 4648 section 10.
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, encoded) in vectors {
            assert_eq!(
                data_uri("image/png", bytes.as_bytes()),
                format!("data:image/png;base64,{encoded}")
            );
        }
    }

    #[test]
    fn only_raster_images_pass() {
        assert!(is_image_data_uri("data:image/png;base64,Zg=="));
        for bad in [
            "https://example.org/a.png",
            "data:image/svg+xml;base64,Zg==",
            "data:text/html;base64,Zg==",
            "data:image/png;base64,\"/><script>",
            "data:image/png,Zg",
        ] {
            assert!(!is_image_data_uri(bad), "{bad}");
        }
    }
}
