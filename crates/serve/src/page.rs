//! The page: files that were built from `page/` and are part of the program, so that a browser asks nobody else for anything.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::digits::hex;
use crate::problem::Problem;

/// A file of the page.
struct File {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const FILES: [File; 4] = [
    File { path: "/", kind: "text/html; charset=utf-8", bytes: include_bytes!("../page/dist/index.html") },
    File { path: "/favicon.svg", kind: "image/svg+xml", bytes: include_bytes!("../page/dist/favicon.svg") },
    File {
        path: "/assets/app.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../page/dist/assets/app.js"),
    },
    File {
        path: "/assets/app.css",
        kind: "text/css; charset=utf-8",
        bytes: include_bytes!("../page/dist/assets/app.css"),
    },
];

/// Its routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    FILES.iter().fold(Router::new(), |router, file| router.route(file.path, get(answer)))
}

async fn answer(uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let place = FILES.iter().position(|file| file.path == uri.path());
    let (file, tag) = place
        .and_then(|place| FILES.get(place).zip(tags().get(place)))
        .ok_or_else(|| Problem::not_found("no such file"))?;
    let kept = headers.get(IF_NONE_MATCH).is_some_and(|kept| kept == tag);
    // A browser may keep it, and asks each time whether it is still the same: another version of the program has other files.
    let about = [
        (CONTENT_TYPE, HeaderValue::from_static(file.kind)),
        (ETAG, tag.clone()),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok(match kept {
        true => (StatusCode::NOT_MODIFIED, about).into_response(),
        false => (about, file.bytes).into_response(),
    })
}

/// Of each file a name that changes with it.
fn tags() -> &'static [HeaderValue] {
    static TAGS: OnceLock<Vec<HeaderValue>> = OnceLock::new();
    TAGS.get_or_init(|| {
        let tag = |file: &File| {
            let digest = hex(&Sha256::digest(file.bytes)[..12]);
            HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"none\""))
        };
        FILES.iter().map(tag).collect()
    })
}
