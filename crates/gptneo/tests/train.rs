//! `gptneo train` as a user runs it, and as a machine interrupts it.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on says so by its panic")]

mod runner;
#[path = "train/tasks.rs"]
mod tasks;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gptneo_train::log::without_clock;
use gptneo_train::store::sha256_of;
use runner::{Program, gptneo};
use tempfile::TempDir;

/// A folder with a text and a recipe; runs lie in it by name.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let line =
            |i: u32| format!("{{\"text\": \"the {} hen laid {} eggs on day {}\"}}\n", i % 7, i % 5, i * 37 % 101);
        fs::write(folder.path().join("hens.jsonl"), (0..400).map(line).collect::<String>()).unwrap();
        let recipe = format!(
            "name = \"hens\"\nseed = 3\n[model]\ninit = \"original\"\n[model.config]\nmodel_type = \"gpt_neo\"\nvocab_size = 300\n\
             hidden_size = 32\nnum_layers = 2\nnum_heads = 2\nattention_types = [[[\"global\", \"local\"], 1]]\nwindow_size = 8\n\
             max_position_embeddings = 32\n[data]\nsources = [{:?}]\nvocab = 300\nheld_out_fraction = 0.1\nsequence = 32\n\
             [batch]\nsequences = 4\nmicro = 2\n[schedule]\nsteps = 60\nwarmup = 5\n[optimizer]\nlr = 0.003\n\
             [checkpoint]\nevery = 3\n[evaluation]\nevery = 10\n[sample]\nevery = 20\nprompts = [\"the\"]\ntokens = 4\n",
            folder.path().join("hens.jsonl")
        );
        fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
        Self { folder }
    }

    fn output(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str) -> Program {
        let recipe = self.folder.path().join("recipe.toml");
        Program::new(["train", recipe.to_str().unwrap(), "--set", &format!("output={}", self.output(name).display())])
    }

    fn start(&self, name: &str) -> Child {
        let mut command = self.program(name).arg("--resume").arg("auto").command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// What two runs must have in common: the log but its clock, and the last weights and moments.
    fn result(&self, name: &str) -> (String, String, String) {
        let output = self.output(name);
        let log = without_clock(&fs::read_to_string(output.join("log.jsonl")).unwrap()).unwrap();
        let last = output.join("checkpoints/step-00000060");
        let digest = |file: &str| sha256_of(&last.join(file)).unwrap();
        (log, digest("model.safetensors"), digest("optimizer.safetensors"))
    }
}

#[test]
fn a_recipe_trains_a_model_that_runs() {
    let world = World::new();
    let report = world.program("run").arg("--json").run().json();
    assert_eq!(report["steps"], 60);
    let (loss, bits) = (report["loss"].as_f64().unwrap(), report["held_out_bits_per_byte"].as_f64().unwrap());
    assert!(loss < 4.0 && bits < 3.0, "{report}");
    let model = report["checkpoint"].as_str().unwrap();
    let said = gptneo(["run", "-m", model, "the", "-n", "8", "--ignore-eos", "--json"]).json();
    assert_eq!(said["completion_tokens"], 8);
    let again = world.program("run").run();
    assert_eq!((again.code, again.stderr.contains("--resume auto")), (Some(2), true), "{}", again.stderr);
    let (log, ..) = world.result("run");
    for event in ["step", "evaluation", "sample"] {
        assert!(log.contains(&format!("\"event\":\"{event}\"")), "{log}");
    }
}

#[test]
fn a_run_is_recorded_and_goes_on_under_its_name() {
    let world = World::new();
    let (home, board) = (world.output("home"), world.output("board"));
    let train = |flags: &[&str]| {
        let program = flags.iter().fold(world.program("run"), |program, flag| program.arg(*flag));
        program.env("GPTNEO_HOME", home.as_os_str()).run()
    };
    let runs = |args: &[&str]| {
        let program = Program::new(["runs"].iter().chain(args).copied());
        program.env("GPTNEO_HOME", home.as_os_str()).run()
    };
    let finished = train(&["--tensorboard", board.to_str().unwrap()]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let shown = runs(&["show", "hens", "--json"]).json();
    assert_eq!((&shown["state"], &shown["last_step"]), (&"finished".into(), &60.into()), "{shown}");
    assert_eq!(shown["settings"]["optimizer.lr"], "0.003");
    assert!(shown["tokenizer_hash"].is_string() && shown["data_hash"].is_string(), "{shown}");
    let files = |at: &Path| fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let events = files(&board).iter().flat_map(|folder| files(folder)).count();
    assert!(events >= 1, "no event files in {}", board.display());

    // The last checkpoint is lost: the run goes back, and is still the same one.
    fs::remove_dir_all(world.output("run").join("checkpoints/step-00000060")).unwrap();
    let again = train(&["--resume", "auto"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let listed = runs(&["list", "--json"]).json();
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["runs"][0]["last_step"], 60);

    let alone = world.program("alone").arg("--no-store").env("GPTNEO_HOME", world.output("none").as_os_str()).run();
    assert_eq!(alone.code, Some(0), "{}", alone.stderr);
    assert!(!world.output("none").exists());
    let no_terminal = world.program("tui").arg("--tui").run();
    assert_eq!((no_terminal.code, no_terminal.stderr.contains("terminal")), (Some(2), true), "{}", no_terminal.stderr);
}

#[test]
fn the_plan_is_told_without_a_run() {
    let world = World::new();
    let told = world.program("plan").arg("--plan").run();
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    for part in ["memory", "weights", "gradients", "optimizer", "activations"] {
        assert!(told.text().contains(part), "{}", told.text());
    }
    let told_with = |flags: &[&str]| {
        let told = flags.iter().fold(world.program("plan").arg("--plan"), |program, flag| program.arg(flag)).run();
        told.text().to_owned()
    };
    let less = told_with(&["--recompute"]);
    assert_eq!(less, told_with(&["--set", "model.recompute=true"]));
    assert_ne!(less, told.text());
    assert!(!world.output("plan").join("log.jsonl").exists());
}

/// A run large enough that the program is little beside it.
#[test]
fn the_plan_is_within_a_twentieth_of_the_peak() {
    let world = World::new();
    let mut program = world.program("large").arg("--json").arg("--no-store");
    let larger = ["model.config.hidden_size=512", "model.config.num_layers=6", "model.config.num_heads=8"];
    let shorter = ["schedule.steps=2", "schedule.warmup=0", "checkpoint.every=2", "sample.every=2"];
    let layers = ["model.config.attention_types=[[[\"global\", \"local\"], 3]]"];
    for set in larger.into_iter().chain(shorter).chain(layers) {
        program = program.arg("--set").arg(set);
    }
    let report = program.run().json();
    let planned = report["planned_bytes"].as_f64().unwrap();
    // Where the system does not tell it, there is nothing to compare.
    if let Some(peak) = report["peak_rss_bytes"].as_f64() {
        assert!((0.95..=1.05).contains(&(peak / planned)), "{peak} of {planned} planned");
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_code() {
    let world = World::new();
    let set = |set: &[&str]| {
        let program = set.iter().fold(world.program("refused"), |program, set| program.arg("--set").arg(*set));
        program.run()
    };
    let big = ["data.sequence=32", "batch.sequences=262144", "batch.micro=262144", "model.config.hidden_size=1024"];
    let cases: &[(&[&str], i32, &str)] = &[
        (&["optimizer.lrr=1"], 4, "optimizer.lr"),
        (&["optimizer.lr=fast"], 4, "a number"),
        (&["optimizer"], 2, "no `=`"),
        (&["data.sequence=33"], 2, "32 positions"),
        (&["model.config.vocab_size=250"], 2, "250 tokens"),
        (&["data.sources=[\"/nowhere.jsonl\"]"], 3, "/nowhere.jsonl"),
        (&big, 5, "--set"),
    ];
    for (sets, code, words) in cases {
        let outcome = set(sets);
        assert_eq!(outcome.code, Some(*code), "{sets:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{sets:?}: {}", outcome.stderr);
    }
    let missing = gptneo(["train", "/nowhere.toml"]);
    assert_eq!(missing.code, Some(3), "{}", missing.stderr);
}

#[cfg(unix)]
#[test]
fn a_signal_saves_and_stops_and_the_run_goes_on() {
    let world = World::new();
    assert_eq!(world.program("whole").run().code, Some(0));
    for signal in ["INT", "TERM"] {
        let mut child = world.start(signal);
        wait_for_lines(&world.output(signal).join("log.jsonl"), 8);
        assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
        assert_eq!(world.start(signal).wait().unwrap().code(), Some(0));
        assert_eq!(world.result(signal), world.result("whole"), "{signal}");
    }
}

fn wait_for_lines(log: &Path, lines: usize) {
    let begun = Instant::now();
    while fs::read_to_string(log).map_or(0, |text| text.lines().count()) < lines {
        assert!(begun.elapsed() < Duration::from_secs(60), "no {lines} lines in {}", log.display());
        thread::sleep(Duration::from_millis(2));
    }
}

/// Kills runs at moments drawn from the whole time that one takes, saves among them, until so many were killed; every run
/// that then ends by itself must be the uninterrupted one.
fn kill(times: usize, seed: u64) {
    let world = World::new();
    let begun = Instant::now();
    assert_eq!(world.program("whole").run().code, Some(0));
    let whole = begun.elapsed();
    let wanted = world.result("whole");
    let (mut killed, mut runs, mut state) = (0, 0, seed);
    while killed < times {
        runs += 1;
        let name = format!("run-{runs}");
        loop {
            let mut child = world.start(&name);
            // A generator of Lehmer's.
            state = state * 48_271 % 0x7FFF_FFFF;
            let moment = whole.mul_f64(1.1 * state as f64 / f64::from(0x7FFF_FFFF));
            thread::sleep(moment);
            if killed < times && child.try_wait().unwrap().is_none() {
                // SIGKILL: nothing is said, nothing is flushed.
                child.kill().unwrap();
                killed += usize::from(!child.wait().unwrap().success());
            } else {
                assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
                break;
            }
        }
        assert_eq!(world.result(&name), wanted, "{name}, after {killed} kills");
        fs::remove_dir_all(world.output(&name)).unwrap();
    }
}

#[test]
fn killed_at_thirty_moments_it_ends_with_the_same_bits() {
    kill(30, 20_261_123);
}

#[test]
#[ignore = "minutes: .ci/run --full runs it"]
fn killed_at_three_hundred_moments_it_ends_with_the_same_bits() {
    kill(300, 987_654_321);
}
