//! Presets from the program and from a folder of the user's, and how flags fill them.

use std::path::{Path, PathBuf};

use gptneo_engine::Request;
use gptneo_serve::{FieldKind, Preset, PresetError, Presets};

use crate::args::{GenerationArgs, PresetArgs, PromptArgs};
use crate::failure::{Failure, Kind};
use crate::{input, request, terminal};

/// What stands for no preset, but for the list of them.
const LIST: &str = "list";

/// What `--preset` asks for.
pub(crate) enum Wanted {
    /// Nothing.
    No,
    /// To be told what there is.
    List(Presets),
    /// This one.
    One(Box<Preset>),
}

/// Reads the flags.
///
/// # Errors
/// A name that is none, a folder or a file in it that cannot be read.
pub(crate) fn wanted(args: &PresetArgs) -> Result<Wanted, Failure> {
    let Some(name) = &args.preset else { return Ok(Wanted::No) };
    let presets = read(args.presets.as_deref())?;
    if name == LIST {
        return Ok(Wanted::List(presets));
    }
    Ok(Wanted::One(Box::new(presets.find(name)?.clone())))
}

/// Those of the program, and those of a folder, which take the place of others of their name.
///
/// # Errors
/// Exit code 3 for a folder or file that cannot be read, 4 for a file that is no preset.
pub(crate) fn read(folder: Option<&Path>) -> Result<Presets, Failure> {
    let mut presets = Presets::built_in();
    let Some(folder) = folder else { return Ok(presets) };
    let cannot = |error: std::io::Error| Failure::io("cannot read", folder, &error);
    let entries = std::fs::read_dir(folder).map_err(cannot)?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_, _>>().map_err(cannot)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    for path in files {
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let preset = Preset::parse(&name, &input::file(&path)?)
            .map_err(|error| Failure::because(Kind::BadFile, &error).within(&path.display().to_string()))?;
        presets.add(preset)?;
    }
    Ok(presets)
}

/// Tells what there is, with the fields of each.
pub(crate) fn list(presets: &Presets) -> Result<(), Failure> {
    let mut rows = vec![["preset", "for", "fields"].map(str::to_owned).to_vec()];
    for preset in presets.iter() {
        let field = |field: &gptneo_serve::Field| match field.kind {
            FieldKind::Choice => format!("{} ({})", field.name, field.choices.join(" | ")),
            _ if field.name == preset.main().name => format!("{} (PROMPT)", field.name),
            _ => field.name.clone(),
        };
        let fields: Vec<String> = preset.fields.iter().map(field).collect();
        let row = [preset.name.clone(), format!("{}: {}", preset.group, preset.title), fields.join(", ")];
        rows.push(row.iter().map(|cell| terminal::harmless(cell)).collect());
    }
    terminal::line(&terminal::columns(&rows, &[false, false, false]))
}

/// The preset's text with the values that were given: what is otherwise a prompt fills its main field.
///
/// # Errors
/// Exit code 2 for a value that is missing, or does not fit.
pub(crate) fn fill(preset: &Preset, args: &PresetArgs, prompt: &PromptArgs) -> Result<String, Failure> {
    let mut values = Vec::new();
    for set in &args.set {
        let none = || Failure::usage(format!("--set {set} names no field")).hint("--set FIELD=VALUE");
        values.push(set.split_once('=').ok_or_else(none)?);
    }
    let main = preset.main().name.as_str();
    let is_set = values.iter().any(|(name, _)| *name == main);
    let given = match request::given(prompt)? {
        None if !is_set => input::standard()?.map(request::without_last_break),
        given => given,
    };
    values.extend(given.as_deref().map(|text| (main, text)));
    Ok(preset.fill(&values)?)
}

/// Continues as the preset says, where flags say nothing.
pub(crate) fn settle(preset: &Preset, args: &GenerationArgs, beams: bool, request: &mut Request) {
    let settings = &preset.settings;
    if args.sampling.temp.is_none() && !beams {
        request.sampling.temperature = settings.temperature as f32;
    }
    if args.length.n_predict.is_none() {
        request.max_tokens = Some(settings.max_tokens.max(args.length.min_tokens));
    }
    request.stop_strings.extend(settings.stop.iter().cloned());
}

impl From<PresetError> for Failure {
    fn from(error: PresetError) -> Self {
        let failure = Failure::because(Kind::Usage, &error);
        match &error {
            PresetError::Unknown { .. } => failure.hint("--preset list"),
            PresetError::Missing { field, .. } => failure.hint(format!("--set {field}=...")),
            _ => failure,
        }
    }
}
