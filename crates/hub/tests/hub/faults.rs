//! Servers that cut, lie, stumble and refuse to continue.

use std::fs;
use std::time::{Duration, Instant};

use gptneo_hub::{HubError, HubSettings, PullOptions, Unreachable};

use crate::server::Reply;
use crate::world::{World, noise};

const WEIGHTS: &str = "model.safetensors";
const ON_WEIGHTS: &str = "GET /cdn/model.safetensors";

/// Asserts that the pull failed and left no weights behind, complete or not.
fn assert_nothing_kept(world: &World) {
    assert!(!world.snapshot().join(WEIGHTS).exists());
    assert!(!world.blob(WEIGHTS).exists());
    assert!(!world.part(WEIGHTS).exists());
    assert!(!world.model().join("refs").exists());
}

#[test]
fn a_cut_connection_is_continued_by_range() {
    let world = World::small();
    world.fault(ON_WEIGHTS, 1, |_, reply| Reply { cut: Some(300_000), ..reply });
    world.fault(ON_WEIGHTS, 1, |_, reply| Reply { cut: Some(200_000), ..reply });
    let pulled = world.pull().unwrap();
    assert_eq!(world.starts(WEIGHTS), [0, 300_000, 500_000]);
    assert_eq!(pulled.fetched_bytes, 900_000 + 3_000 + 26, "no byte came twice");
    assert_eq!(fs::read(world.blob(WEIGHTS)).unwrap(), world.file(WEIGHTS));
}

#[test]
fn a_connection_may_break_often_while_bytes_come() {
    let world = World::small();
    world.fault(ON_WEIGHTS, 17, |_, reply| Reply { cut: Some(50_000), ..reply });
    world.pull().unwrap();
    assert_eq!(world.starts(WEIGHTS).len(), 18);
}

#[test]
fn gives_up_when_no_bytes_come_and_goes_on_next_time() {
    let world = World::small();
    world.fault(ON_WEIGHTS, 1, |_, reply| Reply { cut: Some(100_000), ..reply });
    world.fault(ON_WEIGHTS, 3, |_, reply| Reply { cut: Some(0), ..reply });
    let failed = world.pull();
    assert!(matches!(failed, Err(HubError::Cut { wanted: 900_000, found: 100_000, .. })), "{failed:?}");
    world.forget();
    world.pull().unwrap();
    assert_eq!(world.starts(WEIGHTS), [100_000]);
}

#[test]
fn a_part_from_python_is_continued() {
    let world = World::small();
    fs::create_dir_all(world.model().join("blobs")).unwrap();
    fs::write(world.part(WEIGHTS), &world.file(WEIGHTS)[..123_456]).unwrap();
    world.pull().unwrap();
    assert_eq!(world.starts(WEIGHTS), [123_456]);
    assert_eq!(fs::read(world.blob(WEIGHTS)).unwrap(), world.file(WEIGHTS));
}

#[test]
fn a_whole_part_is_checked_and_not_fetched() {
    let world = World::small();
    fs::create_dir_all(world.model().join("blobs")).unwrap();
    fs::write(world.part(WEIGHTS), world.file(WEIGHTS)).unwrap();
    world.pull().unwrap();
    assert_eq!(world.starts(WEIGHTS), [0; 0]);
    assert_eq!(fs::read(world.blob(WEIGHTS)).unwrap(), world.file(WEIGHTS));
}

#[test]
fn a_damaged_or_overlong_part_is_thrown_away() {
    for part in [noise(300_000, 77), noise(900_000, 78), noise(900_001, 79)] {
        let world = World::small();
        fs::create_dir_all(world.model().join("blobs")).unwrap();
        fs::write(world.part(WEIGHTS), part).unwrap();
        world.pull().unwrap();
        assert_eq!(world.starts(WEIGHTS).last(), Some(&0));
        assert_eq!(world.told("Restarted"), 1);
        assert_eq!(fs::read(world.blob(WEIGHTS)).unwrap(), world.file(WEIGHTS));
    }
}

#[test]
fn a_server_that_ignores_range_is_read_from_the_start() {
    let world = World::small();
    world.fault(ON_WEIGHTS, 1, |_, reply| Reply { cut: Some(300_000), ..reply });
    let bytes = world.file(WEIGHTS);
    world.fault(ON_WEIGHTS, 1, move |_, _| Reply::new(200, bytes.clone()));
    world.pull().unwrap();
    assert_eq!(world.starts(WEIGHTS), [0, 300_000]);
    assert_eq!(fs::read(world.blob(WEIGHTS)).unwrap(), world.file(WEIGHTS));
}

#[test]
fn a_server_that_continues_elsewhere_is_asked_again_from_the_start() {
    for (range, status) in
        [("bytes 0-9/900000", 206), ("bytes 5-9/10", 206), ("nonsense", 206), ("bytes */900000", 416)]
    {
        let world = World::small();
        world.fault(ON_WEIGHTS, 1, |_, reply| Reply { cut: Some(300_000), ..reply });
        world.fault(ON_WEIGHTS, 1, move |_, _| Reply::new(status, noise(10, 1)).with("Content-Range", range));
        world.pull().unwrap();
        assert_eq!(world.starts(WEIGHTS), [0, 300_000, 0], "{range}");
        assert_eq!(fs::read(world.blob(WEIGHTS)).unwrap(), world.file(WEIGHTS));
    }
}

#[test]
fn a_length_that_contradicts_the_announcement_is_refused() {
    for length in [10, 899_999, 900_001] {
        let world = World::small();
        world.fault(ON_WEIGHTS, 9, move |_, _| Reply::new(200, noise(length, 1)));
        let failed = world.pull();
        assert!(
            matches!(failed, Err(HubError::WrongLength { wanted: 900_000, found, .. }) if found == length as u64),
            "{failed:?}"
        );
        assert!(!world.snapshot().join(WEIGHTS).exists());
    }
}

#[test]
fn a_content_length_that_promises_too_much_is_a_cut() {
    let world = World::small();
    world.fault("HEAD /EleutherAI", 9, |_, mut reply| {
        if let Some(size) = reply.headers.iter_mut().find(|(n, _)| n == "X-Linked-Size") {
            size.1 = "900005".to_owned();
        }
        reply
    });
    world.fault(ON_WEIGHTS, 9, |request, reply| {
        let left = 900_005 - request.range_start().unwrap_or(0) as u64;
        Reply { declared: Some(left), ..reply }
    });
    let failed = world.pull();
    assert!(matches!(failed, Err(HubError::Cut { wanted: 900_005, .. } | HubError::Protocol { .. })), "{failed:?}");
    assert!(!world.snapshot().join(WEIGHTS).exists() && !world.blob(WEIGHTS).exists());
}

#[test]
fn chunks_beyond_the_announced_length_are_refused() {
    let world = World::small();
    world.fault(ON_WEIGHTS, 9, |_, _| Reply { chunked: true, ..Reply::new(200, noise(1_000_000, 5)) });
    let failed = world.pull();
    assert!(matches!(failed, Err(HubError::WrongLength { wanted: 900_000, .. })), "{failed:?}");
    assert_nothing_kept(&world);
}

#[test]
fn a_body_in_chunks_is_as_good() {
    let world = World::small();
    world.fault(ON_WEIGHTS, 1, |_, reply| Reply { chunked: true, cut: Some(250_000), ..reply });
    world.fault(ON_WEIGHTS, 9, |_, reply| Reply { chunked: true, ..reply });
    world.pull().unwrap();
    assert_eq!(world.starts(WEIGHTS), [0, 250_000]);
    assert_eq!(fs::read(world.blob(WEIGHTS)).unwrap(), world.file(WEIGHTS));
}

#[test]
fn damage_in_transit_is_fetched_again_once() {
    let world = World::small();
    world.fault(ON_WEIGHTS, 1, |_, mut reply| {
        reply.body[450_000] ^= 1;
        reply
    });
    world.pull().unwrap();
    assert_eq!(world.starts(WEIGHTS), [0, 0]);
    assert_eq!(world.told("Restarted"), 1);
    assert_eq!(fs::read(world.blob(WEIGHTS)).unwrap(), world.file(WEIGHTS));
}

#[test]
fn damage_twice_is_an_error_and_leaves_nothing() {
    let world = World::small();
    world.fault(ON_WEIGHTS, 9, |_, mut reply| {
        reply.body[0] ^= 0x80;
        reply
    });
    let failed = world.pull();
    assert!(matches!(failed, Err(HubError::Checksum { ref wanted, .. }) if wanted.starts_with("sha256")), "{failed:?}");
    assert_eq!(world.starts(WEIGHTS), [0, 0]);
    assert_nothing_kept(&world);
    assert_eq!(world.client().locate(&crate::world::ID.parse().unwrap()), None);
}

#[test]
fn small_files_are_held_against_their_git_id() {
    let world = World::small();
    world.fault("GET /EleutherAI/gpt-neo-test/resolve/", 9, |_, mut reply| {
        reply.body[0] ^= 1;
        reply
    });
    let failed = world.pull();
    assert!(
        matches!(failed, Err(HubError::Checksum { ref wanted, .. }) if wanted.starts_with("git blob")),
        "{failed:?}"
    );
    assert_eq!(crate::world::files_below(&world.model().join("snapshots")), [""; 0]);
}

#[test]
fn a_tag_that_is_no_hash_is_said_to_be_unverified() {
    let world = World::small();
    world.fault("HEAD", 9, |_, mut reply| {
        reply.headers.retain(|(n, _)| n != "X-Linked-Etag" && n != "ETag");
        reply.status = 200;
        let length = reply.headers.iter().find(|(n, _)| n == "X-Linked-Size").map(|(_, v)| v.clone());
        if let Some(length) = length {
            reply.headers.push(("Content-Length".to_owned(), length.clone()));
            return reply.with("ETag", format!("\"{length}-x\""));
        }
        let tag = format!("W/\"{}-y\"", reply.body.len());
        reply.with("ETag", tag)
    });
    world.pull().unwrap();
    assert_eq!(world.told("Unverified"), 4);
    assert!(world.model().join("blobs/900000-x").is_file());
}

#[test]
fn busy_servers_are_asked_again() {
    for status in [408, 429, 500, 502, 503, 504] {
        let world = World::small();
        for on in ["GET /api/", "HEAD /EleutherAI", ON_WEIGHTS] {
            world.fault(on, 2, move |_, _| Reply::new(status, "busy"));
        }
        world.pull().unwrap();
        assert_eq!(world.told("Retrying"), 6, "{status}");
    }
}

#[test]
fn waits_as_long_as_the_server_asks() {
    let world = World::small();
    world.fault("GET /api/", 1, |_, _| Reply::new(429, "").with("Retry-After", 1));
    let began = Instant::now();
    world.pull().unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[test]
fn gives_up_in_words_when_the_server_stays_busy() {
    let world = World::small();
    world.fault("GET /api/", 9, |_, _| Reply::new(503, r#"{"error":"overloaded\u001b[2J"}"#));
    let failed = world.pull().unwrap_err();
    assert!(matches!(failed, HubError::Status { status: 503, .. }));
    assert!(failed.to_string().contains("503 (overloaded [2J)"), "{failed}");
    assert_eq!(world.lines().len(), 4, "as many as attempts are allowed");
}

#[test]
fn a_wait_beyond_reason_is_an_error_at_once() {
    let world = World::small();
    world.fault("GET /api/", 9, |_, _| Reply::new(429, "").with("Retry-After", 86_400));
    let failed = world.pull().unwrap_err();
    assert!(failed.to_string().contains("86400 s"), "{failed}");
    assert_eq!(world.lines().len(), 1);
}

#[test]
fn silence_is_a_timeout_and_the_part_is_continued() {
    let mut world = World::small();
    world.settings.read_timeout = Duration::from_millis(100);
    world.fault(ON_WEIGHTS, 1, |_, reply| Reply { stall: Some(100_000), ..reply });
    world.pull().unwrap();
    assert_eq!(world.starts(WEIGHTS), [0, 100_000]);
}

#[test]
fn a_file_larger_than_the_disk_is_refused_before_the_first_byte() {
    let world = World::small();
    world.fault("HEAD", 9, |_, mut reply| {
        for (name, value) in &mut reply.headers {
            if name == "X-Linked-Size" {
                *value = (1u64 << 60).to_string();
            }
        }
        reply
    });
    let failed = world.pull();
    assert!(matches!(failed, Err(HubError::NoSpace { needed: Some(n), .. }) if n == 1 << 60), "{failed:?}");
    assert_eq!(world.starts(WEIGHTS), [0; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_is_said_to_be_full() {
    let world = World::small();
    fs::create_dir_all(world.model().join("blobs")).unwrap();
    // Every write to this device fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", world.part(WEIGHTS)).unwrap();
    let failed = world.pull().unwrap_err();
    assert!(matches!(failed, HubError::NoSpace { needed: None, .. }), "{failed:?}");
    assert!(failed.to_string().contains("it is full") && failed.to_string().contains("HF_HOME"), "{failed}");
}

#[test]
fn no_server_is_said_quickly() {
    let cache = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let long_label = "x".repeat(64);
    for (endpoint, wanted) in [
        (format!("http://127.0.0.1:{port}"), Unreachable::Refused),
        // A label of 64 letters cannot be resolved, with a network or without.
        (format!("http://{long_label}.invalid"), Unreachable::Name),
    ] {
        let mut settings = HubSettings::new(cache.path());
        settings.endpoint = endpoint;
        settings.retry.base = Duration::from_millis(1);
        let hub = gptneo_hub::Hub::new(settings).unwrap();
        let failed = hub.pull(&"a/b".parse().unwrap(), &PullOptions::default(), &());
        assert!(matches!(failed, Err(HubError::Unreachable { why, .. }) if why == wanted), "{failed:?}");
    }
}

#[test]
fn a_plain_server_behind_https_is_a_matter_of_tls() {
    let mut world = World::small();
    world.settings.endpoint = world.hub.url().replace("http:", "https:");
    let failed = world.pull();
    assert!(matches!(failed, Err(HubError::Unreachable { why: Unreachable::Tls, .. })), "{failed:?}");
}
