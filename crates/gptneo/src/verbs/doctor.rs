//! `gptneo doctor`: what gptneo finds on this machine, line by line, and what to do where that is not good.

use std::path::Path;
use std::thread;

use gptneo_hub::PullOptions;
use gptneo_kernels::{Isa, measure};
use serde::Serialize;

use crate::args::values::DeviceChoice;
use crate::args::{DoctorArgs, HubArgs, MachineArgs};
use crate::failure::{Failure, chain};
use crate::load::cpu;
use crate::memory as machine;
use crate::pulling::Bars;
use crate::source;
use crate::terminal;
use crate::verbs::World;

/// Memory below which nothing but the smallest models fits.
const LITTLE: u64 = 2_000_000_000;

#[derive(Serialize)]
struct Line {
    name: &'static str,
    ok: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    ok: bool,
    checks: Vec<Line>,
}

fn good(name: &'static str, found: impl Into<String>) -> Line {
    Line { name, ok: true, found: found.into(), advice: None }
}

fn bad(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Line {
    Line { name, ok: false, found: found.into(), advice: Some(advice.into()) }
}

pub(crate) fn run(args: &DoctorArgs, world: &World) -> Result<(), Failure> {
    let mut checks = vec![good("version", env!("CARGO_PKG_VERSION")), processor(), instructions(), threads(world)];
    checks.extend(memory());
    checks.extend(cache(world));
    if args.speed {
        checks.extend(speed(world));
    }
    if args.hub {
        checks.push(hub(world));
    }
    let ok = checks.iter().all(|line| line.ok);
    if args.json {
        return terminal::json(&Report { version: env!("CARGO_PKG_VERSION"), ok, checks });
    }
    let rows: Vec<Vec<String>> = checks
        .iter()
        .map(|line| vec![if line.ok { "ok" } else { "warn" }.to_owned(), line.name.to_owned(), line.found.clone()])
        .collect();
    let table = terminal::columns(&rows, &[false, false, false]);
    for (text, line) in table.lines().zip(&checks) {
        terminal::line(text)?;
        if let Some(advice) = &line.advice {
            terminal::line(&format!("      {advice}"))?;
        }
    }
    Ok(())
}

fn processor() -> Line {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).and_then(|line| line.split_once(':'));
    let name = model.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    good("processor", format!("{name}, {cores} hardware threads for us"))
}

fn instructions() -> Line {
    let best = Isa::detect();
    let all = Isa::available().map(Isa::name).collect::<Vec<_>>().join(", ");
    if best == Isa::Plain && cfg!(target_arch = "x86_64") {
        return bad("instructions", all, "this processor lacks AVX2 and FMA: it works, several times slower");
    }
    good("instructions", format!("{best} (of {all}; GPTNEO_ISA forces one)"))
}

fn threads(world: &World) -> Line {
    let args = MachineArgs { threads: None, device: DeviceChoice::Cpu };
    match cpu(&args, world.environment) {
        Ok(cpu) => good("threads", format!("{} (GPTNEO_THREADS or --threads changes it)", cpu.threads())),
        Err(failure) => bad("threads", failure.message(), "correct or unset the variable"),
    }
}

fn memory() -> Vec<Line> {
    let mut lines = Vec::new();
    match (machine::available(), machine::total()) {
        (Some(available), total) => {
            let of = total.map_or_else(String::new, |total| format!(" of {}", terminal::size(total)));
            let found = format!("{} available{of}", terminal::size(available));
            lines.push(if available < LITTLE {
                bad("memory", found, "close other programs, or use small models with --quant q4_0")
            } else {
                good("memory", found)
            });
        }
        _ => lines.push(bad("memory", "the system does not tell", "gptneo cannot say beforehand what fits")),
    }
    lines
}

fn cache(world: &World) -> Vec<Line> {
    let hub = match source::hub(&HubArgs::default(), world.environment) {
        Ok(hub) => hub,
        Err(failure) => return vec![bad("hub settings", failure.message(), "correct or unset the variable")],
    };
    let settings = hub.settings();
    let cache = settings.cache.clone();
    let mut lines = vec![match hub.list() {
        Ok(models) => {
            let bytes = models.iter().map(|m| m.bytes).sum();
            let partial = models.iter().filter(|m| !m.complete).count();
            let found = format!("{}: {} models, {}", cache.display(), models.len(), terminal::size(bytes));
            if partial > 0 {
                bad(
                    "cache",
                    format!("{found}, {partial} incomplete"),
                    "gptneo list names them; gptneo pull completes them",
                )
            } else {
                good("cache", found)
            }
        }
        Err(error) => bad("cache", chain(&error), "correct its rights, or set HF_HOME to another folder"),
    }];
    if let Some(advice) = unwritable(&cache) {
        lines.push(bad("cache rights", "cannot be written", advice));
    }
    let token =
        if settings.token.is_some() { "a token is set" } else { "no token (private and gated models need one)" };
    let offline = if settings.offline { "; offline" } else { "" };
    lines.push(good("hub", format!("{}; {token}{offline}", settings.endpoint)));
    lines
}

/// What to do about a cache that could not be written to; its first existing ancestor counts.
fn unwritable(cache: &Path) -> Option<String> {
    let existing = cache.ancestors().find(|path| path.exists())?;
    let metadata = std::fs::metadata(existing).ok()?;
    metadata
        .permissions()
        .readonly()
        .then(|| format!("{} is read-only: set HF_HOME to another folder to pull models", existing.display()))
}

fn speed(world: &World) -> Vec<Line> {
    let args = MachineArgs { threads: None, device: DeviceChoice::Cpu };
    let Ok(cpu) = cpu(&args, world.environment) else { return Vec::new() };
    let read = match measure::read_gb_per_s(&cpu) {
        Ok(rate) => good("memory speed", format!("reads {rate:.1} GB/s")),
        Err(error) => bad("memory speed", chain(&error), "free some memory and try again"),
    };
    vec![read, good("arithmetic", format!("{:.0} GFLOP/s in f32", measure::f32_gflop_per_s(&cpu)))]
}

/// Asks the hub for a model that is not there: an answer is an answer.
fn hub(world: &World) -> Line {
    let asked = source::hub(&HubArgs::default(), world.environment).and_then(|hub| {
        let id = source::hub_id("gptneo-doctor/no-such-model", &HubArgs::default())?;
        let options = PullOptions { cancel: Some(world.interrupt.flag()), ..PullOptions::default() };
        match hub.pull(&id, &options, &Bars::new()) {
            Err(gptneo_hub::HubError::NoSuchModel { .. } | gptneo_hub::HubError::Unauthorized { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    });
    match asked {
        Ok(()) => good("hub answers", "yes"),
        Err(failure) => bad("hub answers", failure.message(), "models in the cache work without it (--offline)"),
    }
}
