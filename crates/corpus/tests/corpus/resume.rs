//! A run that was stopped anywhere goes on and ends with the same bytes.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gptneo_corpus::{CorpusError, Status, Watch, tokenize};

use super::world::{Noise, World, bytes_of, jsonl, texts};

/// Stops the run after so many reports.
struct StopAfter {
    left: AtomicU64,
    cancel: Arc<AtomicBool>,
}

impl Watch for StopAfter {
    fn resumed(&self, _: &Status) {}

    fn at(&self, _: &Status) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.cancel.store(true, Ordering::Relaxed);
        }
    }
}

/// Several sources of several batches each, with records that are left out.
fn world() -> World {
    let broken = |number: u64| {
        let mut lines: Vec<String> = jsonl(&texts(2500, number)).lines().map(str::to_owned).collect();
        (0..lines.len()).step_by(97).for_each(|at| lines[at] = "broken".to_owned());
        lines.join("\n")
    };
    let text = texts(1500, 8).join("<|endoftext|>");
    let zst = zstd::encode_all(broken(7).as_bytes(), 1).unwrap();
    World::new().with("a.jsonl.zst", zst).with("b.txt", text).with("c.jsonl", broken(9))
}

#[test]
fn stopped_anywhere_it_ends_with_the_same_bytes() {
    let world = world();
    let mut job = world.job("whole");
    job.shard_tokens = 40_000;
    tokenize(&job, &()).unwrap();
    let wanted = bytes_of(&job.output);
    assert!(wanted.len() > 10, "{} files", wanted.len());
    let mut noise = Noise(3);
    for round in 0..6 {
        job.output = world.output(&format!("cut{round}"));
        job.resume = false;
        let mut stops = 0;
        loop {
            let cancel = Arc::new(AtomicBool::new(false));
            job.cancel = Some(Arc::clone(&cancel));
            job.workers = 1 + noise.below(3) as usize;
            let watch = StopAfter { left: AtomicU64::new(1 + noise.below(4)), cancel };
            match tokenize(&job, &watch) {
                Ok(_) => break,
                Err(CorpusError::Cancelled) => stops += 1,
                Err(other) => panic!("{other}"),
            }
            job.resume = true;
        }
        assert!(stops > 0, "round {round} was never stopped");
        assert!(bytes_of(&job.output) == wanted, "round {round}, stopped {stops} times");
    }
}

#[test]
fn what_a_kill_leaves_behind_is_made_again() {
    let world = world();
    let mut job = world.job("whole");
    job.shard_tokens = 40_000;
    tokenize(&job, &()).unwrap();
    let wanted = bytes_of(&job.output);
    job.output = world.output("cut");
    let cancel = Arc::new(AtomicBool::new(false));
    job.cancel = Some(Arc::clone(&cancel));
    assert!(tokenize(&job, &StopAfter { left: AtomicU64::new(4), cancel }).is_err());
    assert!(matches!(tokenize(&job, &()), Err(CorpusError::Output { .. })), "without --resume it is refused");
    // Half a shard, a whole one that was not recorded, half a record.
    let one = fs::read(job.output.join("train-00000.tokens")).unwrap();
    for name in ["train-00090.tokens", "train-00091.tokens.part", "held-out-00091.tokens.part", "unfinished.json.part"]
    {
        fs::write(job.output.join(name), &one).unwrap();
    }
    job.resume = true;
    job.cancel = None;
    let report = tokenize(&job, &()).unwrap();
    assert!(report.resumed_tokens > 0);
    assert!(bytes_of(&job.output) == wanted);
    // Killed between the manifest and the removal of the record.
    fs::write(job.output.join("unfinished.json"), "{}").unwrap();
    assert!(tokenize(&job, &()).is_err(), "a damaged record is not passed over");
}

#[test]
fn a_run_goes_on_only_with_what_it_began_with() {
    let world = world();
    let mut job = world.job("out");
    let cancel = Arc::new(AtomicBool::new(false));
    job.cancel = Some(Arc::clone(&cancel));
    assert!(tokenize(&job, &StopAfter { left: AtomicU64::new(3), cancel }).is_err());
    job.cancel = None;
    job.resume = true;
    let refused = |job: &gptneo_corpus::Job, what: &str| {
        let found = tokenize(job, &());
        assert!(
            matches!(&found, Err(CorpusError::Output { detail, .. }) if detail.contains(what)),
            "{what}: {found:?}"
        );
    };
    refused(&gptneo_corpus::Job { shard_tokens: 5, ..job.clone() }, "shard length");
    refused(&gptneo_corpus::Job { held_out_ppm: 5, ..job.clone() }, "held-out");
    refused(&gptneo_corpus::Job { sources: job.sources[1..].to_vec(), ..job.clone() }, "sources");
    let shard = job.output.join("train-00000.tokens");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[1..]).unwrap();
    refused(&job, "train-00000.tokens");
    fs::remove_file(&shard).unwrap();
    refused(&job, "train-00000.tokens");
    fs::write(&shard, &bytes).unwrap();
    // The same length, another time.
    let path = &job.sources[0].path;
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    job.sources = gptneo_corpus::find(&world.names, None, None).unwrap().sources;
    refused(&job, "changed");
}
