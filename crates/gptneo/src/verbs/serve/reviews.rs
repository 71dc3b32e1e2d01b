//! Judging over the server's page: sheets of a folder, made by `gptneo eval review make`, and answers beside them.
//!
//! A sheet `NAME.json` is served as `NAME`; what its judges say goes to `NAME.answers.jsonl`, which `gptneo eval review report` reads. The
//! list is made once, at the start: a name that is asked for is looked up in it and never becomes a path.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gptneo_eval::review::{
    Answers, Bootstrap, Estimate, Judgement, Measured, Preference, Report, ReviewError, Scale, Scores, Session, Sheet,
    read_answers, visible,
};
use gptneo_serve::{
    Review, ReviewAnswer, ReviewFault, ReviewItem, ReviewNext, ReviewPreference, ReviewReport, ReviewRow, ReviewScores,
    Reviews,
};

use crate::failure::Failure;
use crate::terminal;

/// Judges of whom it is kept when they were shown their item.
const MOST_WAITING: usize = 1000;

/// The sheets of a folder.
#[derive(Debug)]
pub(super) struct Sheets(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    id: String,
    sheet: Sheet,
    path: PathBuf,
    state: Mutex<State>,
    /// The last report, and of how many answers (replaced ones too) it was made.
    report: Mutex<Option<(usize, ReviewReport)>>,
}

#[derive(Debug, Default)]
struct State {
    answers: Answers,
    /// Opened with the first answer, at the end of the last whole line.
    file: Option<File>,
    /// Bytes of whole lines.
    length: u64,
    /// What judges look at, since when.
    waiting: HashMap<String, (usize, Instant)>,
}

impl Sheets {
    /// Reads every sheet of a folder, with the answers that there are.
    ///
    /// # Errors
    /// Exit code 3 for what cannot be read, 4 for a JSON file that is no sheet, and answers that are not to their sheet.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| Failure::io("cannot read", folder, &error);
        let entries = std::fs::read_dir(folder).map_err(cannot)?;
        let mut files: Vec<PathBuf> =
            entries.map(|entry| Ok(entry?.path())).collect::<Result<_, _>>().map_err(cannot)?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        let sheets = files.iter().map(|path| Entry::open(path)).collect::<Result<Vec<_>, _>>()?;
        if sheets.is_empty() {
            terminal::warn(&format!("{} has no sheets: `gptneo eval review make` makes them", folder.display()));
        }
        Ok(Self(sheets))
    }

    fn entry(&self, id: &str) -> Result<&Entry, ReviewFault> {
        self.0.iter().find(|entry| entry.id == id).ok_or(ReviewFault::Unknown)
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| Failure::io("cannot read", path, &error))
}

impl Entry {
    fn open(path: &Path) -> Result<Self, Failure> {
        let sheet = Sheet::read(&path.display().to_string(), BufReader::new(open(path)?))?;
        let id = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let path = path.with_extension("answers.jsonl");
        let mut state = State::default();
        if path.exists() {
            let name = path.display().to_string();
            let read = read_answers(&sheet, &name, BufReader::new(open(&path)?), &mut state.answers)?;
            if read.cut_short {
                terminal::warn(&format!("{name}: the last answer was cut short, and is asked for again"));
            }
            state.length = read.resume_at;
        }
        Ok(Self { id, sheet, path, state: Mutex::new(state), report: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, state: &mut State, line: &str) -> std::io::Result<()> {
        if state.file.is_none() {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path)?;
            state.file = Some(file);
        }
        let file = state.file.as_mut().expect("it was opened");
        // Whatever stands behind the last whole line was cut short: by a crash, or a full disk.
        file.set_len(state.length)?;
        file.seek(SeekFrom::Start(state.length))?;
        // A last line may lack its line break; blank lines do no harm.
        let line = if state.length > 0 { format!("\n{line}") } else { line.to_owned() };
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        state.length += line.len() as u64;
        Ok(())
    }
}

impl Reviews for Sheets {
    fn list(&self) -> Vec<Review> {
        let review = |entry: &Entry| Review {
            id: entry.id.clone(),
            title: visible(entry.sheet.title()).into_owned(),
            items: entry.sheet.items().len(),
            judges: entry.state().answers.judges().len(),
        };
        self.0.iter().map(review).collect()
    }

    fn next(&self, id: &str, judge: &str) -> Result<ReviewNext, ReviewFault> {
        let entry = self.entry(id)?;
        let mut state = entry.state();
        let session = Session::new(&entry.sheet, judge, &state.answers).map_err(fault)?;
        let progress = session.progress();
        let Some(shown) = session.current() else {
            return Ok(ReviewNext { done: true, place: progress.total, of: progress.total, item: None });
        };
        if state.waiting.len() >= MOST_WAITING {
            state.waiting.clear();
        }
        state.waiting.insert(judge.to_owned(), (shown.item, Instant::now()));
        let text = |text: &str| visible(text).into_owned();
        let item = ReviewItem {
            id: shown.item,
            prompt: text(shown.prompt_a),
            prompt_b: (shown.prompt_a != shown.prompt_b).then(|| text(shown.prompt_b)),
            a: text(shown.a),
            b: text(shown.b),
        };
        Ok(ReviewNext { done: false, place: progress.answered + 1, of: progress.total, item: Some(item) })
    }

    fn answer(&self, id: &str, answer: ReviewAnswer) -> Result<(), ReviewFault> {
        let entry = self.entry(id)?;
        let ReviewAnswer { judge, item, a, b, preference, note } = answer;
        let judgement = Judgement { a: scores(a), b: scores(b), preference: preferred(preference), note };
        let mut state = entry.state();
        let before = state.answers.iter().find(|given| given.judge == judge && given.item == item);
        match before {
            // A client that did not hear the answer sends it again.
            Some(before) if before.judgement == judgement => return Ok(()),
            Some(_) => return Err(ReviewFault::Invalid(format!("item {item} is judged already"))),
            None => {}
        }
        let mut session = Session::new(&entry.sheet, &judge, &state.answers).map_err(fault)?;
        for _ in 0..entry.sheet.items().len() {
            if session.current().is_none_or(|shown| shown.item == item) {
                break;
            }
            session.skip();
        }
        if session.current().is_none_or(|shown| shown.item != item) {
            return Err(ReviewFault::Invalid(format!("there is no item {item}")));
        }
        let since = state.waiting.get(&judge).filter(|(shown, _)| *shown == item);
        let seconds = since.map_or(0.0, |(_, since)| since.elapsed().as_secs_f64());
        let line = session.answer(judgement, seconds).map_err(fault)?.line();
        entry.append(&mut state, &line).map_err(|error| {
            ReviewFault::Failed(format!("the answer could not be kept: {}", crate::failure::reason(&error)))
        })?;
        state.waiting.remove(&judge);
        read_answers(&entry.sheet, "the answer", line.as_bytes(), &mut state.answers).map_err(fault)?;
        Ok(())
    }

    fn report(&self, id: &str) -> Result<ReviewReport, ReviewFault> {
        let entry = self.entry(id)?;
        // Held while counting: who asks at the same time waits for the same numbers.
        let mut last = entry.report.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = entry.state().answers.clone();
        let given = answers.len() + answers.replaced();
        if let Some((_, report)) = last.as_ref().filter(|(of, _)| *of == given) {
            return Ok(report.clone());
        }
        let report = match answers.is_empty() {
            true => ReviewReport::default(),
            false => counted(&Report::new(&entry.sheet, &answers, Bootstrap::default()).map_err(fault)?),
        };
        *last = Some((given, report.clone()));
        Ok(report)
    }
}

fn counted(report: &Report) -> ReviewReport {
    let strengths = match &report.strengths {
        Measured::Known(strengths) => strengths.as_slice(),
        Measured::Refused(_) => &[],
    };
    let rows = report.sources.iter().map(|source| {
        let mean = |wanted: Scale| {
            let found = source.means.iter().find(|(scale, _)| *scale == wanted);
            found.and_then(|(_, mean)| *mean).map(|mean| mean.value)
        };
        let strength: Option<Estimate> =
            strengths.iter().find(|strength| strength.source == source.name).map(|found| found.strength);
        ReviewRow {
            source: source.name.clone(),
            fluency: mean(Scale::Fluency),
            coherence: mean(Scale::Coherence),
            relevance: mean(Scale::Relevance),
            won: source.outcomes.map(|outcomes| outcomes.won.share.value),
            strength: strength.map(|strength| strength.value),
            interval: strength.and_then(|strength| strength.interval).map(|interval| [interval.low, interval.high]),
            count: source.outcomes.map_or(0, |outcomes| outcomes.points.n),
        }
    });
    let of_preferences = report.agreement.iter().find(|agreement| agreement.about == "preference");
    let alpha = of_preferences.and_then(|agreement| match &agreement.alpha {
        Measured::Known(alpha) => Some(alpha.value),
        Measured::Refused(_) => None,
    });
    ReviewReport { rows: rows.collect(), alpha, answers: report.answers }
}

fn scores(of: ReviewScores) -> Scores {
    Scores { fluency: of.fluency, coherence: of.coherence, relevance: of.relevance }
}

fn preferred(preference: ReviewPreference) -> Preference {
    match preference {
        ReviewPreference::A => Preference::A,
        ReviewPreference::B => Preference::B,
        ReviewPreference::Tie => Preference::Tie,
        ReviewPreference::BothBad => Preference::BothBad,
    }
}

fn fault(error: ReviewError) -> ReviewFault {
    ReviewFault::Invalid(error.to_string())
}

#[cfg(test)]
#[path = "reviews/tests.rs"]
mod tests;
