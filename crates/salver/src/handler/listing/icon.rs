//! What kind of content a name promises, for its icon: only looks depend on it.

use super::rows::{Kind, Row};

/// The class of an entry on the page: a letter, for there may be 100,000.
pub(super) fn class(row: &Row<'_>) -> &'static str {
    match row.kind {
        Kind::Folder => "d",
        Kind::Other => "o",
        Kind::File => of_name(row.name),
    }
}

/// The class of a file of this name.
pub(super) fn of_name(name: &[u8]) -> &'static str {
    let Some(dot) = memchr::memrchr(b'.', name).filter(|dot| *dot > 0) else { return "f" };
    let extension = name.get(dot + 1..).unwrap_or_default().to_ascii_lowercase();
    match extension.as_slice() {
        b"png" | b"jpg" | b"jpeg" | b"gif" | b"webp" | b"avif" | b"svg" | b"bmp" | b"ico" | b"apng" => IMAGE,
        b"mp4" | b"webm" | b"mkv" | b"mov" | b"avi" | b"m4v" | b"ogv" | b"mpg" | b"mpeg" => "v",
        b"mp3" | b"ogg" | b"oga" | b"opus" | b"flac" | b"wav" | b"m4a" | b"aac" | b"weba" => "m",
        b"pdf" => "p",
        b"zip" | b"tar" | b"gz" | b"tgz" | b"bz2" | b"xz" | b"zst" | b"br" | b"7z" | b"rar" | b"iso"
        | b"deb" | b"rpm" | b"whl" | b"jar" | b"dmg" | b"apk" => "z",
        b"txt" | b"md" | b"rst" | b"log" | b"csv" | b"tsv" | b"doc" | b"docx" | b"odt" | b"rtf" | b"tex"
        | b"epub" | b"adoc" | b"org" => "t",
        b"rs" | b"py" | b"js" | b"mjs" | b"ts" | b"jsx" | b"tsx" | b"c" | b"h" | b"cc" | b"cpp" | b"hpp"
        | b"go" | b"java" | b"kt" | b"rb" | b"php" | b"pl" | b"lua" | b"sh" | b"bash" | b"zsh" | b"fish"
        | b"ps1" | b"sql" | b"html" | b"htm" | b"css" | b"scss" | b"json" | b"toml" | b"yaml" | b"yml"
        | b"xml" | b"ini" | b"cfg" | b"conf" | b"ipynb" | b"swift" | b"zig" | b"hs" | b"ml" | b"wasm" => "c",
        _ => "f",
    }
}

/// Whether entries of this class have a preview.
pub(super) fn has_preview(class: &str) -> bool {
    !matches!(class, "d" | "o" | "z")
}

/// The class of pictures: they have thumbnails.
pub(super) const IMAGE: &str = "i";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides_in_any_case() {
        for (name, want) in
            [("a.PNG", IMAGE), ("a.tar.gz", "z"), (".png", "f"), ("Makefile", "f"), ("a.rs", "c")]
        {
            assert_eq!(of_name(name.as_bytes()), want, "{name}");
        }
    }
}
