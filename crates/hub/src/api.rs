//! The two questions asked of a hub: which files a revision has, and what one of them is.

use std::io::Read;

use serde::Deserialize;
use ureq::http::header;

use crate::client::{Answer, Client, Request, parse};
use crate::digest::Expected;
use crate::error::HubError;
use crate::id::ModelId;
use crate::location::Location;
use crate::name::{RepoPath, percent_encode};
use crate::status::{Subject, refusal};

/// A listing of a large repository is a few hundred kilobytes.
const LONGEST_LISTING: u64 = 32 << 20;

/// A revision of a model.
#[derive(Debug)]
pub(crate) struct Revision {
    /// The commit, in hexadecimal.
    pub(crate) commit: String,
    pub(crate) files: Vec<RepoPath>,
}

/// One file of it.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) path: RepoPath,
    /// Also the name of its blob in the cache.
    pub(crate) etag: String,
    pub(crate) size: Option<u64>,
    pub(crate) expected: Option<Expected>,
}

#[derive(Deserialize)]
struct ModelInfo {
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// Asks for the commit and the files of a revision.
pub(crate) fn revision(client: &Client<'_>, id: &ModelId) -> Result<Revision, HubError> {
    let endpoint = &client.settings.endpoint;
    let kind = if id.prefix().is_empty() { "models/" } else { id.prefix() };
    let url = format!("{endpoint}/api/{kind}{}/revision/{}", id.repo(), percent_encode(id.revision(), b""));
    let request = Request { location: parse(&url)?, describe: false, from: 0, if_range: None };
    let shown = request.location.shown();
    let what = id.to_string();
    let bytes = client.persist(&what, || {
        let answer = client.send(&request)?;
        if answer.status != 200 {
            return Err(refusal(answer, Subject::Model(id), endpoint));
        }
        let mut bytes = Vec::new();
        let at = answer.location;
        let body = answer.body.into_with_config().limit(u64::MAX).reader();
        body.take(LONGEST_LISTING + 1).read_to_end(&mut bytes).map_err(|e| client.read_failure(&at, e))?;
        Ok(bytes)
    })?;
    let protocol = |why: String| HubError::Protocol { url: shown.clone(), why };
    if bytes.len() as u64 > LONGEST_LISTING {
        return Err(protocol(format!("the list of files is longer than {LONGEST_LISTING} bytes")));
    }
    let info: ModelInfo = serde_json::from_slice(&bytes)
        .map_err(|e| protocol(format!("the answer is not a model's description: {e}")))?;
    let commit = info.sha.ok_or_else(|| protocol("the answer names no commit (`sha`)".to_owned()))?;
    if !is_commit(&commit) {
        return Err(protocol(format!("`{}` is not a commit", crate::id::shorten(&commit))));
    }
    let files = info.siblings.iter().map(|s| RepoPath::new(&s.rfilename)).collect::<Result<_, _>>()?;
    Ok(Revision { commit, files })
}

/// Where a file of a commit is fetched.
pub(crate) fn file_location(
    client: &Client<'_>,
    id: &ModelId,
    commit: &str,
    path: &RepoPath,
) -> Result<Location, HubError> {
    let file = percent_encode(path.as_str(), b"/");
    parse(&format!("{}/{}/resolve/{commit}/{file}", client.settings.endpoint, id.shown()))
}

/// Asks for the size and the tag of a file.
pub(crate) fn describe(
    client: &Client<'_>,
    id: &ModelId,
    commit: &str,
    path: &RepoPath,
) -> Result<Described, HubError> {
    let location = file_location(client, id, commit, path)?;
    let request = Request { location, describe: true, from: 0, if_range: None };
    client.persist(path.as_str(), || {
        let answer = client.send(&request)?;
        // A redirect that describes the file is as good as a 200; `send` returns no other redirect.
        if !(answer.status == 200 || (300..400).contains(&answer.status)) {
            return Err(refusal(answer, Subject::File(id, path.as_str()), &client.settings.endpoint));
        }
        read_description(&answer, commit, path)
    })
}

fn read_description(answer: &Answer, commit: &str, path: &RepoPath) -> Result<Described, HubError> {
    let protocol = |why: String| HubError::Protocol { url: answer.location.shown(), why };
    if let Some(other) = answer.header("x-repo-commit").filter(|c| *c != commit) {
        return Err(protocol(format!("asked about commit {commit}, it answers for {}", crate::id::shorten(other))));
    }
    let tag = answer.header("x-linked-etag").or_else(|| answer.header(header::ETAG.as_str()));
    let etag = tag.map(|t| t.strip_prefix("W/").unwrap_or(t).trim_matches('"').to_owned());
    let etag = etag.ok_or_else(|| protocol("the file has no ETag".to_owned()))?;
    if !is_blob_name(&etag) {
        return Err(protocol(format!("`{}` cannot name a file in the cache", crate::id::shorten(&etag))));
    }
    let is_described = (300..400).contains(&answer.status);
    let linked = answer.header("x-linked-size");
    // The length of a redirect's own body says nothing about the file.
    let length = linked.or_else(|| answer.header(header::CONTENT_LENGTH.as_str()).filter(|_| !is_described));
    let size = match length {
        None => None,
        Some(text) => {
            Some(text.parse().map_err(|_| protocol(format!("`{}` is not a length", crate::id::shorten(text))))?)
        }
    };
    let expected = Expected::from_etag(&etag);
    Ok(Described { path: path.clone(), etag, size, expected })
}

/// A git commit: 40 hexadecimal digits, or 64 in repositories of the newer kind.
pub(crate) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A tag becomes a file name in `blobs`.
fn is_blob_name(etag: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=128).contains(&etag.len())
        && etag.bytes().all(plain)
        && !etag.starts_with('.')
        && !etag.ends_with(".incomplete")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_tag_never_becomes_a_file_name() {
        for etag in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "a\\b",
            "a b",
            "x.incomplete",
            ".lock",
            "a\0",
            "ü",
            &"a".repeat(129),
        ] {
            assert!(!is_blob_name(etag), "{etag:?}");
        }
        assert!(is_blob_name("ce013625030ba8dba906f756967f9e9ca394464a") && is_blob_name("5f-62a1.x_y"));
    }

    #[test]
    fn a_commit_is_hexadecimal() {
        assert!(is_commit(&"0a".repeat(20)) && is_commit(&"0a".repeat(32)));
        for text in ["", "main", "../../x", &"0A".repeat(20), &"0".repeat(39), &"/".repeat(40)] {
            assert!(!is_commit(text), "{text}");
        }
    }
}
