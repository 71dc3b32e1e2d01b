//! Answers of several judges, read back from their files.

use std::collections::{BTreeSet, HashMap};
use std::io::BufRead;

use super::error::{Result, bad_answer, shown};
use super::judgement::{Answer, Record};
use super::lines::Lines;
use super::sheet::Sheet;

/// The longest line, in bytes: a note of 2,000 characters, escaped, and some more.
const LONGEST_LINE: usize = 64 << 10;

/// The most answers to one sheet.
const MOST_ANSWERS: usize = 2_000_000;

/// What counts of all answers to one sheet: of each judge on each item the last.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// In the order in which they were given; gone are those that were replaced or withdrawn.
    given: Vec<Option<Answer>>,
    place: HashMap<(String, usize), usize>,
    replaced: usize,
}

/// What reading one file found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswersRead {
    /// Answers in the file.
    pub answers: usize,
    /// Earlier answers of the same judge on the same item, in this file or one before, that no longer count.
    pub replaced: usize,
    /// Answers that their judge took back.
    pub withdrawn: usize,
    /// The last line was cut short, as by a crash, and was left out.
    pub cut_short: bool,
    /// Where to go on writing, in bytes: cut the file to this length and begin with a newline. Blank lines do no harm.
    pub resume_at: u64,
}

/// Reads one answers file into `answers`. `name` is for errors.
///
/// # Errors
/// Lines that are no answers, that belong to another sheet, or that name an item that the sheet has not. Only a last line
/// without a newline may be incomplete.
pub fn read_answers(sheet: &Sheet, name: &str, reader: impl BufRead, answers: &mut Answers) -> Result<AnswersRead> {
    let mut lines = Lines::new(name, reader, LONGEST_LINE);
    let mut read = AnswersRead::default();
    while let Some(line) = lines.next()? {
        let record = match Record::parse(&line.text) {
            Ok(record) => record,
            Err(_) if !line.ended && cut_short(&line.text) => {
                read.cut_short = true;
                read.resume_at = line.at;
                return Ok(read);
            }
            Err(detail) => return Err(lines.flaw(line.number, detail)),
        };
        check_fits(sheet, &record).map_err(|detail| lines.flaw(line.number, detail))?;
        if matches!(record, Record::Given(_)) {
            read.answers += 1;
        }
        match answers.take(record)? {
            Taken::New => {}
            Taken::Replaced => read.replaced += 1,
            Taken::Withdrawn => read.withdrawn += 1,
        }
    }
    read.resume_at = lines.bytes();
    Ok(read)
}

/// Whether a line is the beginning of JSON, and not something else.
fn cut_short(line: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(line).is_err_and(|error| error.is_eof())
}

fn check_fits(sheet: &Sheet, record: &Record) -> std::result::Result<(), String> {
    let (hash, item) = match record {
        Record::Given(answer) => (&answer.sheet, answer.item),
        Record::Withdrawn { sheet, item, .. } => (sheet, *item),
    };
    if hash != sheet.hash() {
        return Err(format!("it answers another sheet: {}, not {}", shown(hash), sheet.hash()));
    }
    if item == 0 || item > sheet.items().len() {
        return Err(format!("it answers item {item}, but the sheet has items 1 to {}", sheet.items().len()));
    }
    Ok(())
}

/// What became of a record.
pub(crate) enum Taken {
    /// It counts, and so does all else.
    New,
    /// It counts in the place of another.
    Replaced,
    /// It took one back, if there was one.
    Withdrawn,
}

impl Answers {
    /// In the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Answer> {
        self.given.iter().flatten()
    }

    /// How many count.
    pub fn len(&self) -> usize {
        self.place.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.place.is_empty()
    }

    /// How many answers were given and then replaced by a later one of the same judge on the same item.
    pub fn replaced(&self) -> usize {
        self.replaced
    }

    /// Who has answered, in the order of their names.
    pub fn judges(&self) -> BTreeSet<&str> {
        self.iter().map(|answer| answer.judge.as_str()).collect()
    }

    pub(crate) fn take(&mut self, record: Record) -> Result<Taken> {
        match record {
            Record::Given(answer) => {
                if self.given.len() == MOST_ANSWERS {
                    return Err(bad_answer(format!("there are more than {MOST_ANSWERS} answers")));
                }
                let before = self.place.insert((answer.judge.clone(), answer.item), self.given.len());
                self.given.push(Some(answer));
                let Some(at) = before else { return Ok(Taken::New) };
                self.given[at] = None;
                self.replaced += 1;
                Ok(Taken::Replaced)
            }
            Record::Withdrawn { judge, item, .. } => {
                if let Some(at) = self.place.remove(&(judge, item)) {
                    self.given[at] = None;
                }
                Ok(Taken::Withdrawn)
            }
        }
    }
}
