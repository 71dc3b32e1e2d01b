//! `[eval]`: tasks of the field that are measured as a run goes. Who measures them is given to the trainer; here is what and how often.

use std::path::PathBuf;

use super::RecipeError;
use super::section::Section;

/// `[eval]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvalRecipe {
    /// `every` so many steps; 0 for never.
    pub every: u64,
    /// `at_start`: also before the first step.
    pub at_start: bool,
    /// `tasks`, by the names that `gptneo eval tasks` lists.
    pub tasks: Vec<String>,
    /// `limit`: the first documents of each task; 0 for all.
    pub limit: u64,
    /// `num_fewshot`: examples before each document; as the task is defined where absent.
    pub num_fewshot: Option<u64>,
    /// `data`: folders to look for data sets in, before the hub.
    pub data: Vec<PathBuf>,
    /// `include`: folders or files of definitions of one's own.
    pub include: Vec<PathBuf>,
}

impl EvalRecipe {
    /// Whether anything is measured.
    pub fn asks(&self) -> bool {
        self.every > 0 || self.at_start
    }
}

pub(super) fn eval(mut s: Section<'_>) -> Result<EvalRecipe, RecipeError> {
    let paths = |names: Vec<String>| names.into_iter().map(PathBuf::from).collect();
    let recipe = EvalRecipe {
        every: s.or("every", 0)?,
        at_start: s.or("at_start", false)?,
        tasks: s.or("tasks", Vec::new())?,
        limit: s.or("limit", 0)?,
        num_fewshot: s.optional("num_fewshot")?,
        data: paths(s.or("data", Vec::new())?),
        include: paths(s.or("include", Vec::new())?),
    };
    s.finish()?;
    match (recipe.asks(), recipe.tasks.is_empty()) {
        (true, true) => Err(RecipeError::Conflict("`eval.every` and `eval.at_start` need `eval.tasks`".into())),
        (false, false) => Err(RecipeError::Conflict("`eval.tasks` needs `eval.every`, or `eval.at_start`".into())),
        _ => Ok(recipe),
    }
}
