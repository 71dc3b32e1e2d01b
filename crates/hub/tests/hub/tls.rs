//! Encrypted connections: whom we trust, and where they may lead.

use std::fs;
use std::path::PathBuf;

use gptneo_hub::{Download, Hub, HubError, HubSettings, Unreachable};
use tempfile::TempDir;

use crate::server::{Reply, Server};

fn hub(cache: &TempDir, certificates: Option<PathBuf>) -> Hub {
    let mut settings = HubSettings::new(cache.path());
    settings.certificates = certificates;
    Hub::new(settings).unwrap()
}

fn authority() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/hub/tls/authority.pem")
}

fn fetch(hub: &Hub, cache: &TempDir, url: &str) -> Result<Vec<u8>, HubError> {
    let dest = cache.path().join("file");
    hub.download(&Download::new(url, &dest), &())?;
    Ok(fs::read(dest).unwrap())
}

#[test]
fn an_unknown_authority_is_not_trusted() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start_tls(|_| Reply::new(200, "hello"));
    let failed = fetch(&hub(&cache, None), &cache, &server.url()).unwrap_err();
    assert!(matches!(failed, HubError::Unreachable { why: Unreachable::Tls, .. }), "{failed:?}");
    assert!(failed.to_string().contains("SSL_CERT_FILE"), "{failed}");
    assert!(server.requests().is_empty());
}

#[test]
fn an_authority_of_the_users_choice_is_trusted() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start_tls(|_| Reply::new(200, "hello"));
    assert_eq!(fetch(&hub(&cache, Some(authority())), &cache, &server.url()).unwrap(), b"hello");
}

#[test]
fn a_certificate_for_another_name_is_not_trusted() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start_tls(|_| Reply::new(200, "hello"));
    let other_name = server.url().replace("127.0.0.1", "localhost");
    let failed = fetch(&hub(&cache, Some(authority())), &cache, &other_name).unwrap_err();
    assert!(matches!(failed, HubError::Unreachable { why: Unreachable::Tls, .. }), "{failed:?}");
    assert!(server.requests().is_empty());
}

#[test]
fn https_never_leads_to_http() {
    let cache = tempfile::tempdir().unwrap();
    let plain = Server::start(|_| Reply::new(200, "hello"));
    let to = plain.url();
    let server = Server::start_tls(move |_| Reply::new(302, "").with("Location", &to));
    let failed = fetch(&hub(&cache, Some(authority())), &cache, &server.url()).unwrap_err();
    assert!(matches!(failed, HubError::Redirect { why: "it leads from https to http", .. }), "{failed:?}");
    assert!(plain.requests().is_empty());
}

#[test]
fn http_may_lead_to_https() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start_tls(|_| Reply::new(200, "hello"));
    let to = server.url();
    let plain = Server::start(move |_| Reply::new(301, "").with("Location", &to));
    assert_eq!(fetch(&hub(&cache, Some(authority())), &cache, &plain.url()).unwrap(), b"hello");
}

#[test]
fn certificates_that_are_none_are_refused() {
    let cache = tempfile::tempdir().unwrap();
    let file = cache.path().join("bad.pem");
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"] {
        fs::write(&file, text).unwrap();
        let failed = fetch(&hub(&cache, Some(file.clone())), &cache, "https://127.0.0.1:1/");
        assert!(matches!(failed, Err(HubError::BadSetting { name: "SSL_CERT_FILE", .. })), "{text}: {failed:?}");
    }
}
