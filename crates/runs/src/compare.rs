//! What is different between runs: their settings, where they come from, and what came of it.

use serde::Serialize;

use crate::error::RunsError;
use crate::record::{Run, RunId, Summary};
use crate::store::Store;

/// Runs side by side. Every inner list has one entry a run, in the order they were asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The runs.
    pub runs: Vec<Run>,
    /// Settings and origins that are not the same in all of them; absent where a run has none.
    pub differences: Vec<Row<String>>,
    /// How many settings and origins are the same.
    pub same: usize,
    /// Every metric that one of them has.
    pub metrics: Vec<Row<Summary>>,
}

/// One name with what each run has for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row<T> {
    /// The name.
    pub name: String,
    /// One a run.
    pub values: Vec<Option<T>>,
}

impl Store {
    /// Compares runs.
    ///
    /// # Errors
    /// [`RunsError::UnknownRun`] for a run that is gone.
    pub fn compare(&self, ids: &[RunId]) -> Result<Comparison, RunsError> {
        let runs = ids.iter().map(|id| self.run(*id)).collect::<Result<Vec<_>, _>>()?;
        let mut facts = Vec::new();
        for run in &runs {
            facts.push([origins(run), self.settings(run.id)?].concat());
        }
        let all = table(&facts);
        let count = all.len();
        let differences: Vec<_> = all.into_iter().filter(|row| row.values.windows(2).any(|w| w[0] != w[1])).collect();
        let mut summaries = Vec::new();
        for run in &runs {
            let named = self.summaries(run.id)?.into_iter().map(|summary| (summary.name.clone(), summary));
            summaries.push(named.collect::<Vec<_>>());
        }
        let same = count - differences.len();
        Ok(Comparison { runs, differences, same, metrics: table(&summaries) })
    }
}

fn origins(run: &Run) -> Vec<(String, String)> {
    let origin = &run.origin;
    let facts = [
        ("kind", Some(run.kind.clone())),
        ("code", Some(origin.code.clone())),
        ("data hash", origin.data_hash.clone()),
        ("tokenizer hash", origin.tokenizer_hash.clone()),
        ("host", Some(origin.host.clone())),
        ("device", Some(origin.device.clone())),
        ("ranks", Some(origin.ranks.to_string())),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((format!("({name})"), value?))).collect()
}

/// One row a name, in the order in which names are first met.
fn table<T: Clone>(columns: &[Vec<(String, T)>]) -> Vec<Row<T>> {
    let mut rows: Vec<Row<T>> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for (column, facts) in columns.iter().enumerate() {
        for (name, value) in facts {
            let at = *index.entry(name.clone()).or_insert_with(|| {
                rows.push(Row { name: name.clone(), values: vec![None; columns.len()] });
                rows.len() - 1
            });
            rows[at].values[column] = Some(value.clone());
        }
    }
    rows
}
