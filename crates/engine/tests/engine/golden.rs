//! The engine over the real decoder: what transformers says (`fixtures/golden`), and the same tokens in any company.

use std::path::{Path, PathBuf};

use gptneo_engine::{
    BeamSettings, EarlyStopping, Engine, Event, Request, Sampling, Scheduler, SchedulerOptions, Speculation,
};
use gptneo_kernels::{Cpu, CpuOptions};
use gptneo_model::{LanguageModel, LoadOptions, load, open};
use safetensors::SafeTensors;

use crate::toy::run;

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden").join(name)
}

pub(crate) fn cpu(threads: usize) -> Cpu {
    Cpu::new(CpuOptions { threads: Some(threads), ..CpuOptions::default() }).unwrap()
}

pub(crate) fn model(name: &str, threads: usize, cache_positions: usize) -> Box<dyn LanguageModel> {
    let options = LoadOptions { cache_positions: Some(cache_positions), ..LoadOptions::default() };
    let source = open(&folder(name)).unwrap();
    Box::new(load(cpu(threads), &source, &options, &mut |_| ()).unwrap().decoder)
}

struct Golden(Vec<u8>);

impl Golden {
    fn read(name: &str) -> Self {
        Self(std::fs::read(folder(name).join("golden.safetensors")).unwrap())
    }

    fn ids(&self, name: &str) -> Option<Vec<i64>> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).ok()?;
        Some(tensor.data().as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect())
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    fn prompt(&self) -> Vec<u32> {
        self.ids("ids").unwrap().into_iter().map(|id| id as u32).collect()
    }
}

#[test]
fn greedy_is_that_of_transformers() {
    let mut compared = 0;
    for name in ["gpt2", "gpt_neo", "gpt_j", "gpt_neox"] {
        let golden = Golden::read(name);
        let Some(wanted) = golden.ids("greedy") else { continue };
        let request = Request { max_tokens: Some(wanted.len()), ignore_eos: true, ..Request::new(golden.prompt()) };
        let done = run(&mut Engine::new(model(name, 2, 256), None), request).remove(0);
        let found: Vec<i64> = done.ids().into_iter().map(i64::from).collect();
        assert_eq!(found, wanted, "{name}");
        compared += 1;
    }
    assert!(compared >= 1);
}

#[test]
fn beams_are_those_of_transformers() {
    let golden = Golden::read("gpt_neo");
    let mut engine = Engine::new(model("gpt_neo", 2, 1024), None);
    for (name, eos) in [("beam", None), ("beam_eos", golden.ids("beam_eos.eos"))] {
        let settings = BeamSettings { width: 4, length_penalty: 1.0, early_stopping: EarlyStopping::Heuristic };
        let request = Request {
            beams: Some(settings),
            n: 4,
            max_tokens: Some(20),
            ignore_eos: true,
            stop_ids: eos.iter().flatten().map(|&id| id as u32).collect(),
            ..Request::new(golden.prompt())
        };
        let done = run(&mut engine, request);
        let rows = golden.ids(&format!("{name}.ids")).unwrap();
        let scores = golden.floats(&format!("{name}.scores"));
        for (generation, (row, score)) in done.iter().zip(rows.chunks(20).zip(scores)) {
            let end = row.iter().position(|id| *id == -1 || eos.as_ref().is_some_and(|eos| eos.contains(id)));
            let wanted: Vec<u32> = row[..end.unwrap_or(20)].iter().map(|&id| id as u32).collect();
            assert_eq!(generation.ids(), wanted, "{name}, beam {}", generation.sample);
            assert!((generation.beam_score.unwrap() - f64::from(score)).abs() < 1e-4, "{name}");
        }
        assert_eq!(done.len(), 4);
    }
}

fn requests() -> Vec<Request> {
    let ids = |len: u32, by: u32| (0..len).map(|t| (t * by + 3) % 100).collect::<Vec<u32>>();
    (0..24)
        .map(|i| Request {
            sampling: Sampling { temperature: (i % 3) as f32 / 2.0, top_k: 30, seed: i, ..Sampling::default() },
            max_tokens: Some(20),
            ignore_eos: true,
            n: if i % 5 == 0 { 3 } else { 1 },
            speculation: match i % 3 {
                0 => Speculation::None,
                1 => Speculation::PromptLookup { ngram: 2, tokens: 5 },
                _ => Speculation::Draft { tokens: 3 },
            },
            // Many begin alike.
            ..Request::new(ids(5 + (i as u32 * 7) % 40, 1 + i as u32 % 2))
        })
        .collect()
}

/// Ids of every sample of every request, served together.
fn together(name: &str, threads: usize, cache_positions: usize, options: SchedulerOptions) -> Vec<Vec<Vec<u32>>> {
    let draft = model(name, threads, 512);
    let mut scheduler =
        Scheduler::new(model(name, threads, cache_positions), None, Vec::new(), options).with_draft(draft).unwrap();
    let tickets: Vec<_> = requests().into_iter().map(|request| scheduler.submit(request).unwrap()).collect();
    let mut found: Vec<Vec<Vec<u32>>> = requests().iter().map(|r| vec![Vec::new(); r.n]).collect();
    while !scheduler.idle() {
        for (ticket, event) in scheduler.step() {
            match event {
                Event::Finished(generation) => {
                    let at = tickets.iter().position(|t| *t == ticket).unwrap();
                    found[at][generation.sample] = generation.ids();
                }
                Event::Failed(error) => panic!("{error}"),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn the_same_tokens_alone_in_company_and_on_any_number_of_threads() {
    for name in ["gpt_neo", "gpt_j"] {
        let alone: Vec<Vec<Vec<u32>>> = requests()
            .into_iter()
            .map(|request| {
                let mut engine = Engine::new(model(name, 1, 1024), None);
                let request = Request { speculation: Speculation::None, ..request };
                run(&mut engine, request).iter().map(|generation| generation.ids()).collect()
            })
            .collect();
        let usual = SchedulerOptions::default();
        let narrow = SchedulerOptions { prefill_tokens: 13, shared_prefill_tokens: 7, max_sequences: 5, ..usual };
        assert_eq!(together(name, 1, 8192, usual), alone, "{name}: all at once");
        assert_eq!(together(name, 2, 8192, narrow), alone, "{name}: in small pieces, on two threads");
        assert_eq!(together(name, 4, 384, usual), alone, "{name}: short of memory, on four threads");
    }
}
