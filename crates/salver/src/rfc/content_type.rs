//! The media type of a file by its extension: RFC 9110 §8.3.1, as http.server and browsers expect it.
//!
//! The content is never looked at. Where `mime_guess` and today's registrations differ, `KNOWN` says what is sent.

use http::HeaderValue;

/// The `Content-Type` of a file of this name; `default` where its extension says nothing.
///
/// The extension is what follows the last dot, in any case; a dot at the very beginning begins none. Text carries its charset.
///
/// ```
/// use http::HeaderValue;
/// use salver::rfc::content_type;
///
/// let default = HeaderValue::from_static("application/octet-stream");
/// assert_eq!(content_type::of(b"page.HTML", &default), "text/html; charset=utf-8");
/// assert_eq!(content_type::of(b"archive.tar.gz", &default), "application/gzip");
/// assert_eq!(content_type::of(b"README", &default), default);
/// ```
#[must_use]
pub fn of(name: &[u8], default: &HeaderValue) -> HeaderValue {
    let Some(extension) = extension(name) else { return default.clone() };
    let known = KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension));
    if let Some((_, known)) = known {
        return HeaderValue::from_static(known);
    }
    match mime_guess::from_ext(extension).first_raw() {
        None => default.clone(),
        Some(text) if text.starts_with("text/") => HeaderValue::try_from(format!("{text}; charset=utf-8"))
            .expect("media types are visible ASCII and spaces"),
        Some(other) => HeaderValue::from_static(other),
    }
}

/// Whether content of this type is worth compressing: text, and binary formats that are not compressed themselves.
///
/// ```
/// use salver::rfc::content_type::is_text;
/// assert!(is_text(b"application/ld+json; charset=utf-8") && !is_text(b"image/png"));
/// ```
#[must_use]
pub fn is_text(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let begins = |prefix: &str| {
        media_type.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    let ends = |suffix: &str| {
        let start = media_type.len().checked_sub(suffix.len()).and_then(|start| media_type.get(start..));
        start.is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
    };
    begins("text/")
        || ["+json", "+xml", "+text", "+yaml"].into_iter().any(ends)
        || COMPRESSIBLE.iter().any(|known| media_type.eq_ignore_ascii_case(known.as_bytes()))
}

/// What follows the last dot, as `os.path.splitext` has it: dots that begin the name are part of it.
fn extension(name: &[u8]) -> Option<&str> {
    let start = memchr::memrchr(b'/', name).map_or(0, |slash| slash + 1);
    let name = name.get(start..)?;
    let dot = memchr::memrchr(b'.', name)?;
    let stem = name.get(..dot)?;
    if stem.iter().all(|byte| *byte == b'.') {
        return None;
    }
    str::from_utf8(name.get(dot + 1..)?).ok().filter(|extension| !extension.is_empty())
}

/// Looked up before `mime_guess`: the commonest first, for it is read from the front.
const KNOWN: &[(&str, &str)] = &[
    ("html", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    // RFC 9239: text/javascript is the one type for scripts; browsers refuse modules of most others.
    ("mjs", "text/javascript; charset=utf-8"),
    ("cjs", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    // As http.server maps them: the file as it is, never an encoding to undo.
    ("gz", "application/gzip"),
    ("bz2", "application/x-bzip2"),
    ("xz", "application/x-xz"),
    ("z", "application/octet-stream"),
    ("tgz", "application/gzip"),
    ("zst", "application/zstd"), // RFC 8878
    // As Python's mimetypes has them, where mime_guess differs for no good reason.
    ("dll", "application/octet-stream"),
    ("h5", "application/x-hdf5"),
    ("ksh", "text/plain; charset=utf-8"),
    ("m3u", "application/vnd.apple.mpegurl"),
    ("obj", "application/octet-stream"),
    ("pyc", "application/x-python-code"),
    ("srt", "text/plain; charset=utf-8"),
    ("wsdl", "application/xml"),
    ("xsl", "application/xml"),
    // Registered types where mime_guess has an older name, or none.
    ("woff", "font/woff"), // RFC 8081
    ("otf", "font/otf"),
    ("ico", "image/vnd.microsoft.icon"),
    ("yaml", "application/yaml"), // RFC 9512
    ("yml", "application/yaml"),
    ("toml", "application/toml"),
    ("md", "text/markdown; charset=utf-8"), // RFC 7763
    ("jsonl", "application/jsonl"),
    ("ndjson", "application/x-ndjson"),
    ("map", "application/json"), // source maps: ECMA-426
    ("m4a", "audio/mp4"),
    ("opus", "audio/ogg"), // RFC 7845
    ("rpm", "application/x-rpm"),
    ("deb", "application/vnd.debian.binary-package"),
    ("jar", "application/java-archive"),
    ("m3u8", "application/vnd.apple.mpegurl"), // RFC 8216
    // Source that is to be read in the browser, not saved; `.ts` is TypeScript far more often than a video.
    ("ts", "text/plain; charset=utf-8"),
    ("tsx", "text/plain; charset=utf-8"),
    ("mts", "text/plain; charset=utf-8"),
    ("cts", "text/plain; charset=utf-8"),
    ("py", "text/x-python; charset=utf-8"),
    ("sh", "application/x-sh"), // as http.server: saved, not shown
    ("php", "text/plain; charset=utf-8"),
    ("sql", "application/sql"), // RFC 6922
    ("java", "text/plain; charset=utf-8"),
    ("go", "text/plain; charset=utf-8"),
    ("rb", "text/plain; charset=utf-8"),
    ("pl", "text/plain; charset=utf-8"),
    ("swift", "text/plain; charset=utf-8"),
    ("kt", "text/plain; charset=utf-8"),
    ("vue", "text/plain; charset=utf-8"),
    ("wgsl", "text/plain; charset=utf-8"),
    ("bat", "text/plain; charset=utf-8"),
    ("diff", "text/plain; charset=utf-8"),
    ("patch", "text/plain; charset=utf-8"),
    ("rst", "text/x-rst; charset=utf-8"),
    ("adoc", "text/plain; charset=utf-8"),
    ("lock", "text/plain; charset=utf-8"),
];

/// Types that are worth compressing beside text and the structured suffixes.
const COMPRESSIBLE: &[&str] = &[
    "application/json",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/wasm",
    "application/yaml",
    "application/toml",
    "application/sql",
    "application/jsonl",
    "application/x-ndjson",
    "application/x-sh",
    "application/x-tex",
    "application/rtf",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "application/x-font-ttf",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEFAULT: HeaderValue = HeaderValue::from_static("application/octet-stream");

    #[test]
    fn names_have_the_type_of_their_extension() {
        for (name, content_type) in [
            ("a.html", "text/html; charset=utf-8"),
            ("a.htm", "text/html; charset=utf-8"),
            ("A.HTML", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.log", "text/plain; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a.xml", "text/xml; charset=utf-8"),
            ("a.rs", "text/x-rust; charset=utf-8"),
            ("a.c", "text/plain; charset=utf-8"),
            ("a.vtt", "text/vtt; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.webmanifest", "application/manifest+json"),
            ("a.geojson", "application/geo+json"),
            ("a.wasm", "application/wasm"),
            ("a.yaml", "application/yaml"),
            ("a.sh", "application/x-sh"),
            ("a.py", "text/x-python; charset=utf-8"),
            ("a.pdf", "application/pdf"),
            ("a.zip", "application/zip"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.jpeg", "image/jpeg"),
            ("a.gif", "image/gif"),
            ("a.webp", "image/webp"),
            ("a.avif", "image/avif"),
            ("a.ico", "image/vnd.microsoft.icon"),
            ("a.woff", "font/woff"),
            ("a.woff2", "font/woff2"),
            ("a.ttf", "font/ttf"),
            ("a.mp3", "audio/mpeg"),
            ("a.mp4", "video/mp4"),
            ("a.webm", "video/webm"),
            ("a.gz", "application/gzip"),
            ("a.tar.gz", "application/gzip"),
            ("a.html.GZ", "application/gzip"),
            ("a.bz2", "application/x-bzip2"),
            ("a.xz", "application/x-xz"),
            ("a.Z", "application/octet-stream"),
            ("a.tar", "application/x-tar"),
            ("a.b/c.png", "image/png"),
            (".hidden.html", "text/html; charset=utf-8"),
            ("a.nothing-known", "application/octet-stream"),
            ("a", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            (".html", "application/octet-stream"),
            ("..html", "application/octet-stream"),
            ("a.html/b", "application/octet-stream"),
            ("html", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(of(name.as_bytes(), &DEFAULT), content_type, "{name}");
        }
        assert_eq!(of(b"\xFF.html", &DEFAULT), "text/html; charset=utf-8");
        assert_eq!(of(b"a.\xFF", &DEFAULT), DEFAULT);
        assert_eq!(of(b"a", &HeaderValue::from_static("text/plain")), "text/plain");
    }

    #[test]
    fn no_extension_is_known_twice() {
        for (position, (extension, _)) in KNOWN.iter().enumerate() {
            assert!(KNOWN[..position].iter().all(|(before, _)| before != extension), "{extension}");
            assert_eq!(*extension, extension.to_ascii_lowercase());
        }
    }

    #[test]
    fn text_is_worth_compressing() {
        for (content_type, compress) in [
            ("text/html; charset=utf-8", true),
            ("TEXT/Plain", true),
            ("application/json", true),
            ("application/json;charset=utf-8", true),
            ("application/manifest+json", true),
            ("image/svg+xml", true),
            ("application/wasm", true),
            ("text/javascript; charset=utf-8", true),
            ("image/png", false),
            ("video/mp4", false),
            ("application/zip", false),
            ("application/gzip", false),
            ("font/woff2", false),
            ("application/octet-stream", false),
            ("application/jsonp", false),
            ("+json", true),
            ("json", false),
            ("", false),
        ] {
            assert_eq!(is_text(content_type.as_bytes()), compress, "{content_type}");
        }
    }

    proptest! {
        #[test]
        fn every_name_has_a_type(name in any::<Vec<u8>>(), extension in "[a-zA-Z0-9]{1,5}") {
            let name = [&name, b"x.".as_slice(), extension.as_bytes()].concat();
            let content_type = of(&name, &DEFAULT);
            prop_assert!(content_type.to_str().unwrap().contains('/'));
            prop_assert_eq!(of(&name.to_ascii_uppercase(), &DEFAULT), content_type);
        }
    }
}
