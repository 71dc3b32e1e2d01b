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
    for name in names.into_iter().filter(wanted) {
        for chosen in catalog.choose(&[name.to_owned()])? {
            match chosen {
                Chosen::Task(task) if task.name() == name => tasks.push(task),
                Chosen::Group(group, members) if group.name() == name => groups.push((group, members)),
                _ => {}
            }
        }
    }
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
