//! Ranks as threads of this process: sharing gradients and shards as ranks on many machines do.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Barrier, Mutex};

use gptneo_device::collective::{CollectiveError, Pending};
use gptneo_device::{Collective, Device, Single};
use gptneo_kernels::Cpu;
use gptneo_runs::Event;
use gptneo_train::files::Disk;
use gptneo_train::{Data, Ended, Recipe, Resume};

use crate::world::{Notes, World, run_rank};

type Buffer = <Cpu as Device>::Buffer;

struct Shared {
    barrier: Barrier,
    floats: Mutex<Vec<Vec<f32>>>,
    doubles: Mutex<Vec<Vec<f64>>>,
}

struct Threads {
    rank: usize,
    size: usize,
    shared: Arc<Shared>,
    started: HashMap<u64, Vec<f32>>,
    tickets: u64,
}

fn threads(size: usize) -> Vec<Threads> {
    let shared = Arc::new(Shared {
        barrier: Barrier::new(size),
        floats: Mutex::new(vec![Vec::new(); size]),
        doubles: Mutex::new(vec![Vec::new(); size]),
    });
    (0..size).map(|rank| Threads { rank, size, shared: shared.clone(), started: HashMap::new(), tickets: 0 }).collect()
}

impl Threads {
    /// What every rank has given, in order.
    fn exchange(&self, values: Vec<f32>) -> Vec<Vec<f32>> {
        self.shared.floats.lock().unwrap()[self.rank] = values;
        self.shared.barrier.wait();
        let all = self.shared.floats.lock().unwrap().clone();
        self.shared.barrier.wait();
        all
    }
}

fn read(device: &Cpu, buffer: &Buffer, range: &Range<usize>) -> Vec<f32> {
    let mut values = vec![0.0; range.len()];
    device.read(buffer, range.start, &mut values);
    values
}

impl Collective<Cpu> for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_reduce_start(
        &mut self,
        device: &Cpu,
        buffer: &Buffer,
        range: Range<usize>,
    ) -> Result<Pending, CollectiveError> {
        self.tickets += 1;
        self.started.insert(self.tickets, read(device, buffer, &range));
        Ok(Pending { range, ticket: self.tickets })
    }

    fn all_reduce_wait(&mut self, device: &Cpu, buffer: &mut Buffer, pending: Pending) -> Result<(), CollectiveError> {
        let mine = self.started.remove(&pending.ticket).unwrap();
        let all = self.exchange(mine);
        let sums: Vec<f32> = (0..pending.range.len()).map(|i| all.iter().map(|rank| rank[i]).sum()).collect();
        device.write(buffer, pending.range.start, &sums);
        Ok(())
    }

    fn reduce_scatter(&mut self, _: &Cpu, _: &mut Buffer, _: &[Range<usize>]) -> Result<(), CollectiveError> {
        panic!("the loop does not scatter")
    }

    fn all_gather(
        &mut self,
        device: &Cpu,
        buffer: &mut Buffer,
        shards: &[Range<usize>],
    ) -> Result<(), CollectiveError> {
        let all = self.exchange(read(device, buffer, &shards[self.rank]));
        for (shard, values) in shards.iter().zip(all) {
            device.write(buffer, shard.start, &values);
        }
        Ok(())
    }

    fn broadcast(
        &mut self,
        device: &Cpu,
        buffer: &mut Buffer,
        range: Range<usize>,
        root: usize,
    ) -> Result<(), CollectiveError> {
        let all = self.exchange(read(device, buffer, &range));
        device.write(buffer, range.start, &all[root]);
        Ok(())
    }

    fn sum(&mut self, values: &mut [f64]) -> Result<(), CollectiveError> {
        self.shared.doubles.lock().unwrap()[self.rank] = values.to_vec();
        self.shared.barrier.wait();
        let all = self.shared.doubles.lock().unwrap().clone();
        self.shared.barrier.wait();
        for (i, value) in values.iter_mut().enumerate() {
            *value = all.iter().map(|rank| rank[i]).sum();
        }
        Ok(())
    }

    fn barrier(&mut self) -> Result<(), CollectiveError> {
        self.shared.barrier.wait();
        Ok(())
    }
}

/// Trains on so many ranks, and gives the losses that rank 0 has told.
fn losses(recipe: &Recipe, ranks: usize, resume: Resume) -> Vec<f64> {
    let stop = AtomicBool::new(false);
    let told = std::thread::scope(|scope| {
        let runs: Vec<_> = threads(ranks)
            .into_iter()
            .map(|rank| {
                let stop = &stop;
                scope.spawn(move || {
                    let data = Box::new(Data::open(&recipe.data, recipe.seed).unwrap());
                    let ranks: Box<dyn Collective<Cpu>> = if ranks == 1 { Box::new(Single) } else { Box::new(rank) };
                    let mut notes = Notes::default();
                    let ended = run_rank(recipe, resume, Arc::new(Disk), stop, data, ranks, &mut notes);
                    assert!(matches!(ended, Ok(Ended::Finished { .. })), "{ended:?}");
                    notes.0
                })
            })
            .collect();
        let mut told: Vec<Vec<Event>> = runs.into_iter().map(|run| run.join().unwrap()).collect();
        assert!(told[1..].iter().all(Vec::is_empty), "rank 0 alone tells");
        told.swap_remove(0)
    });
    told.iter().filter_map(|event| if let Event::Step(step) = event { Some(step.loss) } else { None }).collect()
}

fn compare(what: &str, found: &[f64], wanted: &[f64], bound: f64) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let far = found.iter().zip(wanted).map(|(a, b)| ((a - b) / b).abs()).fold(0.0, f64::max);
    assert!(far < bound, "{what}: {far:.2e}");
}

#[test]
fn four_ranks_learn_what_one_does() {
    let world = World::new();
    for kind in ["adamw", "adafactor", "muon"] {
        let optimizer = format!("optimizer.kind={kind}");
        let set = |shard: &'static str| vec![optimizer.as_str(), shard, "schedule.steps=100", "checkpoint.every=0"];
        let alone = losses(&world.recipe(&format!("{kind}-1"), &set("optimizer.shard=true")), 1, Resume::Never);
        assert_eq!(alone.len(), 100);
        for shard in ["optimizer.shard=true", "optimizer.shard=false"] {
            for ranks in [2, 4] {
                let name = format!("{kind}-{ranks}-{shard}");
                let found = losses(&world.recipe(&name, &set(shard)), ranks, Resume::Never);
                // Orthogonalised and factored steps make more of a last bit than AdamW's.
                compare(&name, &found, &alone, if kind == "adamw" { 1e-5 } else { 1e-3 });
            }
        }
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let world = World::new();
    for kind in ["adamw", "adafactor", "muon"] {
        let optimizer = format!("optimizer.kind={kind}");
        let whole = losses(&world.recipe(&format!("{kind}-whole"), &[&optimizer]), 1, Resume::Never);
        let name = format!("{kind}-parts");
        let recipe = world.recipe(&name, &[&optimizer]);
        losses(&recipe, 4, Resume::Never);
        // The last checkpoint lost, the run goes on from the one before, on fewer and on more ranks.
        for (ranks, steps) in [(2, 4), (1, 4), (3, 4)] {
            std::fs::remove_dir_all(recipe.output.join("checkpoints/step-00000012")).unwrap();
            let again = losses(&recipe, ranks, Resume::Auto);
            compare(&format!("{kind} on {ranks}"), &again, &whole[12 - steps..], 1e-4);
        }
    }
}
