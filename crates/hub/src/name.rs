//! File names that come from a server and become paths here.

use std::path::{Path, PathBuf};

use crate::error::HubError;
use crate::id::shorten;

/// A relative path inside a repository, with `/` between its parts, that stays inside whatever folder it is joined to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoPath(String);

impl RepoPath {
    /// Checks a name.
    ///
    /// # Errors
    /// [`HubError::BadName`] for a name that is absolute, climbs (`..`), or holds what file systems and terminals
    /// take for something else.
    pub fn new(name: &str) -> Result<RepoPath, HubError> {
        match offence(name) {
            None => Ok(RepoPath(name.to_owned())),
            Some(why) => Err(HubError::BadName { name: shorten(name), why }),
        }
    }

    /// The name as the hub knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path under `folder`.
    pub fn under(&self, folder: &Path) -> PathBuf {
        let mut path = folder.to_owned();
        path.extend(self.0.split('/'));
        path
    }

    /// How many folders deep the file lies: 0 for a file at the top.
    pub(crate) fn depth(&self) -> usize {
        self.0.matches('/').count()
    }
}

/// The rule that a name breaks, if any.
fn offence(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > 1024 {
        return Some("it is too long");
    }
    if name.starts_with('/') {
        return Some("it is absolute");
    }
    for c in name.chars() {
        match c {
            '\\' => return Some("it holds a backslash"),
            ':' => return Some("it holds a colon"),
            _ if c.is_control() => return Some("it holds a control character"),
            // Direction marks make a name read as another.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                return Some("it holds an invisible character");
            }
            _ => {}
        }
    }
    for part in name.split('/') {
        match part {
            "" => return Some("a part of it is empty"),
            "." | ".." => return Some("it climbs out of its folder"),
            _ if part.len() > 255 => return Some("a part of it is too long"),
            _ if cfg!(windows) && (part.ends_with(['.', ' ']) || is_device(part)) => {
                return Some("it names a device");
            }
            _ => {}
        }
    }
    None
}

fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end().to_ascii_uppercase();
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (stem.len() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT")) && !stem.ends_with('0'))
}

/// Percent-encodes everything but unreserved characters and those in `keep`.
pub(crate) fn percent_encode(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_names_that_repositories_have() {
        for name in [
            "config.json",
            "onnx/model.onnx",
            "a b.txt",
            "1_Pooling/config.json",
            ".gitattributes",
            "%2e%2e",
            "ü.md",
            "...",
        ] {
            let path = RepoPath::new(name).unwrap().under(Path::new("/cache"));
            assert!(path.starts_with("/cache"), "{name}");
        }
    }

    #[test]
    fn refuses_names_that_lead_elsewhere() {
        let long_part = "x".repeat(256);
        let long = "x/".repeat(600) + "x";
        let huge = "a".repeat(64 << 10);
        let table = [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../x",
            "a/..",
            "a/b/../../../c",
            ".",
            "./x",
            "a/./b",
            "a//b",
            "a/",
            "//host/x",
            "a\\b",
            "..\\x",
            "\\\\host\\share",
            "C:\\x",
            "C:x",
            "c:/x",
            "file.txt:stream",
            "a\0b",
            "\0",
            "a\nb",
            "a\rb",
            "a\tb",
            "\u{1b}[2J",
            "a\u{7f}",
            "a\u{85}b",
            "gpj.\u{202e}exe",
            "\u{2066}x",
            "\u{200f}x",
            "\u{feff}x",
        ];
        for name in table.into_iter().chain([long_part.as_str(), &long, &huge]) {
            assert!(matches!(RepoPath::new(name), Err(HubError::BadName { .. })), "{name:.40?}");
        }
    }

    #[test]
    fn ten_thousand_generated_names_stay_inside() {
        let pieces =
            ["..", ".", "", "/", "a", "..\\", "%2e%2e", "\0", "b.json", "C:", "/..", "../", "\u{202e}", " ", "~"];
        let mut state = 1u64;
        for _ in 0..10_000 {
            let mut name = String::new();
            for _ in 0..1 + state % 6 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                name.push_str(pieces[(state >> 33) as usize % pieces.len()]);
                if state >> 63 == 1 {
                    name.push('/');
                }
            }
            if let Ok(path) = RepoPath::new(&name) {
                let full = path.under(Path::new("/cache/x"));
                let inside = full.components().skip(3).all(|c| matches!(c, std::path::Component::Normal(_)));
                assert!(full.starts_with("/cache/x") && inside && full.components().count() > 3, "{name:?}");
            }
        }
    }

    #[test]
    fn knows_device_names() {
        for part in ["con", "NUL.txt", "Com1", "lpt9.json"] {
            assert!(is_device(part), "{part}");
        }
        assert!(!is_device("config.json") && !is_device("com0") && !is_device("console"));
    }

    #[test]
    fn encodes_for_urls() {
        assert_eq!(percent_encode("a b/ü?#%2e", b"/"), "a%20b/%C3%BC%3F%23%252e");
        assert_eq!(percent_encode("refs/pr/1", b""), "refs%2Fpr%2F1");
    }
}
