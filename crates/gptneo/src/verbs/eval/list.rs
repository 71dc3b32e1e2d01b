//! `gptneo eval tasks`: what there is to measure.

use gptneo_eval::Chosen;
use serde_json::json;

use super::catalog;
use crate::args::TasksArgs;
use crate::failure::Failure;
use crate::terminal;

pub(crate) fn run(args: &TasksArgs) -> Result<(), Failure> {
    let catalog = catalog(&args.include_path)?;
    let (names, tags) = catalog.names();
    let wanted = |name: &&str| args.text.as_deref().is_none_or(|text| name.contains(text));
    let mut tasks = Vec::new();
    let mut groups = Vec::new();
    let names: Vec<String> = names.into_iter().filter(wanted).map(str::to_owned).collect();
    // A group that is wanted brings its members along, which may not be.
    for chosen in catalog.choose(&names)? {
        match chosen {
            Chosen::Task(task) if wanted(&task.name()) => tasks.push(task),
            Chosen::Group(group, members) if wanted(&group.name()) => groups.push((group, members)),
            _ => {}
        }
    }
    tasks.sort_by(|a, b| a.name().cmp(b.name()));
    groups.sort_by(|(a, _), (b, _)| a.name().cmp(b.name()));
    let tags: Vec<&str> = tags.into_iter().filter(wanted).collect();
    if args.json {
        return terminal::json(&json!({
            "tasks": tasks.iter().map(|task| json!({
                "name": task.name(), "output_type": task.output().name(), "split": task.split(),
                "dataset": task.data(), "protocol": task.protocol(), "tags": task.tags(),
            })).collect::<Vec<_>>(),
            "groups": groups.iter().map(|(group, tasks)| json!({"name": group.name(), "tasks": tasks})).collect::<Vec<_>>(),
            "tags": tags,
        }));
    }
    let heading = ["task", "asks for", "split", "data"].map(str::to_owned).to_vec();
    let mut rows = vec![heading];
    rows.extend(tasks.iter().map(|task| {
        let split = task.split().unwrap_or_default().to_owned();
        vec![task.name().to_owned(), task.output().name().to_owned(), split, task.data()]
    }));
    let mut text = terminal::columns(&rows, &[false; 4]);
    for (group, members) in groups {
        text += &format!("\n\ngroup {}: {}", group.name(), members.join(", "));
    }
    if !tags.is_empty() {
        text += &format!("\n\ntags: {}", tags.join(", "));
    }
    terminal::line(&text)
}
