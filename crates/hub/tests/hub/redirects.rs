//! Who is followed where, and who sees the token.

use gptneo_hub::HubError;

use crate::server::{Reply, Server};
use crate::world::{ID, World};

const ON_WEIGHTS: &str = "GET /cdn/model.safetensors";

fn redirect(to: &str) -> Reply {
    Reply::new(302, "over there").with("Location", to)
}

#[test]
fn the_token_goes_to_the_endpoint_and_nobody_else() {
    let mut world = World::small();
    world.set_token("hf_secret");
    world.pull().unwrap();
    assert!(world.hub.requests().iter().all(|r| r.header("authorization") == Some("Bearer hf_secret")));
    assert!(!world.cdn.requests().is_empty());
    assert!(world.cdn.requests().iter().all(|r| r.header("authorization").is_none()));
}

#[test]
fn the_token_does_not_come_back_with_the_request() {
    let mut world = World::small();
    world.set_token("hf_secret");
    let home = world.hub.url();
    world.fault(ON_WEIGHTS, 1, move |_, _| redirect(&format!("{home}/cdn/model.safetensors?back")));
    world.pull().unwrap();
    let back: Vec<_> = world.hub.requests().into_iter().filter(|r| r.path.ends_with("?back")).collect();
    assert_eq!(back.len(), 1);
    assert!(back[0].header("authorization").is_none(), "it went through other hands");
}

#[test]
fn a_renamed_model_is_followed_with_the_token() {
    let mut world = World::small();
    world.set_token("hf_secret");
    let real = format!("/api/models/{ID}/revision/main");
    world.fault("GET /api/models/old/name", 1, move |_, _| Reply::new(307, "").with("Location", &real));
    let pulled = world.pull_as("old/name", &Default::default());
    // The listing is found; files are asked for under the name the user gave, and this hub knows no such files.
    assert!(matches!(pulled, Err(HubError::NoSuchFile { .. } | HubError::Status { .. })), "{pulled:?}");
    let requests = world.hub.requests();
    assert_eq!(requests[1].path, format!("/api/models/{ID}/revision/main"));
    assert_eq!(requests[1].header("authorization"), Some("Bearer hf_secret"));
}

#[test]
fn relative_redirects_are_followed() {
    let world = World::small();
    world.fault(ON_WEIGHTS, 1, |_, _| redirect("model.safetensors?again"));
    world.pull().unwrap();
    assert!(world.lines().contains(&"GET /cdn/model.safetensors?again".to_owned()));
}

#[test]
fn a_loop_ends() {
    let world = World::small();
    let there = world.cdn.url() + "/cdn/model.safetensors";
    world.fault(ON_WEIGHTS, 99, move |_, _| redirect(&there));
    let failed = world.pull();
    assert!(matches!(failed, Err(HubError::Redirect { why: "there are too many redirects", .. })), "{failed:?}");
    assert!(world.lines().len() < 30);
}

#[test]
fn no_redirect_leads_into_another_network() {
    // The hub is on loopback: sent to a private network, to link-local addresses, or to anything special, nobody goes.
    for to in [
        "http://10.0.0.1/x",
        "http://172.16.5.4:80/x",
        "http://192.168.1.1/x",
        "http://100.64.0.1/x",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/x",
        "http://[fd00::1]/x",
        "http://[::ffff:10.0.0.1]/x",
        "http://[::ffff:a9fe:a9fe]/x",
        "http://[64:ff9b::a9fe:a9fe]/x",
        "http://[2002:a9fe:a9fe::]/x",
        "http://[::]/x",
        "http://0.0.0.0/x",
        "http://2852039166/x",
        "http://0xa9fea9fe/x",
        "http://0251.0376.0251.0376/x",
        "http://10.1/x",
        "http://224.0.0.1/x",
        "http://255.255.255.255/x",
        "//10.0.0.1/x",
    ] {
        let world = World::small();
        world.fault(ON_WEIGHTS, 9, move |_, _| redirect(to));
        let failed = world.pull();
        assert!(
            matches!(failed, Err(HubError::Redirect { why: "it leads into a private network", .. })),
            "{to}: {failed:?}"
        );
        assert_eq!(world.starts("model.safetensors").len(), 1, "a refusal is not tried again");
    }
}

#[test]
fn only_http_is_followed() {
    for to in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "javascript:0",
        "http://user:pw@127.0.0.1/x",
        "http://",
        "http://a b/",
    ] {
        let world = World::small();
        world.fault(ON_WEIGHTS, 9, move |_, _| redirect(to));
        let failed = world.pull();
        assert!(
            matches!(failed, Err(HubError::Redirect { why: "it is not a plain http(s) URL", .. })),
            "{to}: {failed:?}"
        );
    }
    let world = World::small();
    world.fault(ON_WEIGHTS, 9, |_, _| Reply::new(302, "nowhere"));
    assert!(matches!(world.pull(), Err(HubError::Redirect { why: "it names no location", .. })));
}

#[test]
fn signatures_are_not_repeated_in_messages() {
    let world = World::small();
    world.fault(ON_WEIGHTS, 9, |_, _| Reply::new(410, "gone"));
    let failed = world.pull().unwrap_err().to_string();
    assert!(failed.contains("410") && failed.contains("/cdn/model.safetensors"), "{failed}");
    assert!(!failed.contains("secret"), "{failed}");
}

#[test]
fn a_proxy_is_used_where_one_is_set() {
    let mut world = World::small();
    let proxy = Server::start(|_| Reply::new(403, "no tunnels here"));
    world.settings.proxies.http = Some(proxy.url());
    let failed = world.pull();
    assert!(failed.is_err());
    assert!(proxy.requests().iter().all(|r| r.method == "CONNECT") && !proxy.requests().is_empty());
    assert_eq!(world.lines().len(), 0);

    world.settings.proxies.none_for = vec!["127.0.0.1".to_owned()];
    world.pull().unwrap();
}
