//! `gptneo eval review`: people judge what models wrote.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use gptneo_eval::review::{
    Answers, Bootstrap, Form, Prompts, Report, Session, Sheet, SheetPlan, Shown, Source, make_sheet, page,
    read_answers, read_samples, visible,
};

use crate::args::{JudgeReviewArgs, MakeReviewArgs, PageReviewArgs, ReportReviewArgs, ReviewArgs, ReviewVerb};
use crate::failure::Failure;
use crate::terminal;

pub(super) fn run(args: &ReviewArgs) -> Result<(), Failure> {
    match &args.verb {
        ReviewVerb::Make(args) => make(args),
        ReviewVerb::Page(args) => write_page(args),
        ReviewVerb::Judge(args) => judge(args),
        ReviewVerb::Report(args) => report(args),
    }
}

fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    File::open(path).map(BufReader::new).map_err(|error| Failure::io("cannot read", path, &error))
}

fn sheet(path: &Path) -> Result<Sheet, Failure> {
    Ok(Sheet::read(&path.display().to_string(), open(path)?)?)
}

fn make(args: &MakeReviewArgs) -> Result<(), Failure> {
    let mut sources = Vec::new();
    for given in &args.sources {
        let Some((name, path)) = given.split_once('=').filter(|(name, path)| !name.is_empty() && !path.is_empty())
        else {
            return Err(Failure::usage(format!("`{given}` is no NAME=FILE")).hint("small=a.jsonl large=b.jsonl"));
        };
        let samples = read_samples(path, open(Path::new(path))?)?;
        sources.push(Source { name: name.to_owned(), samples });
    }
    let plan = SheetPlan {
        title: args.title.clone(),
        seed: args.seed,
        items: args.items,
        prompts: if args.different_prompts { Prompts::Each } else { Prompts::Same },
        ..SheetPlan::default()
    };
    let made = make_sheet(&sources, &plan)?;
    fs::write(&args.output, made.sheet.to_json()).map_err(|error| Failure::io("cannot write", &args.output, &error))?;
    for (count, what) in [
        (made.unpaired, "samples have no other to stand beside"),
        (made.left_out, "pairs are left out, as --items asks"),
        (made.shortened, "texts are shortened"),
    ] {
        if count > 0 {
            terminal::warn(&format!("{count} {what}"));
        }
    }
    let count = made.sheet.items().len();
    terminal::line(&format!(
        "{}: {count} items; it tells which side is which, so judges must not see it",
        args.output.display()
    ))
}

fn write_page(args: &PageReviewArgs) -> Result<(), Failure> {
    let page = page(&sheet(&args.sheet)?);
    fs::write(&args.output, page).map_err(|error| Failure::io("cannot write", &args.output, &error))?;
    terminal::line(&format!("{}: open it in a browser; answers are saved from there", args.output.display()))
}

fn judge(args: &JudgeReviewArgs) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(
            Failure::usage("judging needs a terminal to answer in").hint("gptneo eval review page, for a browser")
        );
    }
    let sheet = sheet(&args.sheet)?;
    let failed = |error: io::Error| Failure::io("cannot write", &args.answers, &error);
    let mut answers = Answers::default();
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&args.answers).map_err(failed)?;
    let read = read_answers(&sheet, &args.answers.display().to_string(), BufReader::new(&file), &mut answers)?;
    if read.cut_short {
        terminal::warn("the last answer was cut short, and is asked for again");
    }
    file.set_len(read.resume_at).map_err(failed)?;
    io::Seek::seek(&mut file, io::SeekFrom::End(0)).map_err(failed)?;
    if read.resume_at > 0 {
        file.write_all(b"\n").map_err(failed)?;
    }
    let mut session = Session::new(&sheet, &args.judge, &answers)?;
    terminal::line(&format!(
        "{}\nAnswers end with Enter. Also: u takes the last one back, s puts an item off, q stops.",
        sheet.title()
    ))?;
    let mut lines = io::stdin().lock().lines();
    'items: while let Some(shown) = session.current() {
        let progress = session.progress();
        show(&shown, progress.answered + 1, progress.total)?;
        let begun = Instant::now();
        let mut form = Form::default();
        while let Some(question) = form.question() {
            terminal::line(&question.words())?;
            let Some(line) = lines.next() else { return Ok(()) };
            let line = line.map_err(|error| Failure::io("cannot read", Path::new("standard input"), &error))?;
            match line.trim() {
                "q" => return Ok(()),
                "s" => {
                    session.skip();
                    continue 'items;
                }
                "u" if form.back() => {}
                "u" => {
                    if let Some(record) = session.undo() {
                        file.write_all(format!("{}\n", record.line()).as_bytes()).map_err(failed)?;
                    }
                    continue 'items;
                }
                keys => {
                    for key in keys.chars().filter(|key| !key.is_whitespace()) {
                        if let Err(why) = form.press(key) {
                            terminal::warn(why);
                            break;
                        }
                    }
                }
            }
        }
        let judgement = form.judgement(None).expect("every question is answered");
        let record = session.answer(judgement, begun.elapsed().as_secs_f64())?;
        file.write_all(format!("{}\n", record.line()).as_bytes()).map_err(failed)?;
        file.sync_data().map_err(failed)?;
    }
    terminal::line("all items are judged")
}

fn show(shown: &Shown<'_>, number: usize, total: usize) -> Result<(), Failure> {
    let part = |name: &str, text: &str| format!("{}\n{}\n", terminal::bold(name), visible(text));
    let prompts = if shown.prompt_a == shown.prompt_b {
        part("Prompt", shown.prompt_a)
    } else {
        part("Prompt of A", shown.prompt_a) + &part("Prompt of B", shown.prompt_b)
    };
    terminal::line(&format!("\n[{number} of {total}]\n{prompts}{}{}", part("A", shown.a), part("B", shown.b)))
}

fn report(args: &ReportReviewArgs) -> Result<(), Failure> {
    let sheet = sheet(&args.sheet)?;
    let mut answers = Answers::default();
    for path in &args.answers {
        let read = read_answers(&sheet, &path.display().to_string(), open(path)?, &mut answers)?;
        if read.cut_short {
            terminal::warn(&format!("{}: the last answer is cut short, and does not count", path.display()));
        }
        if read.replaced > 0 {
            terminal::warn(&format!(
                "{}: {} earlier answers were given again, and do not count",
                path.display(),
                read.replaced
            ));
        }
    }
    let report = Report::new(&sheet, &answers, Bootstrap::default())?;
    let text = if args.json {
        report.to_json()
    } else if args.csv {
        report.to_csv()
    } else {
        report.to_text()
    };
    terminal::line(text.trim_end())
}
