//! Makes a page of hostile texts, and checks the answers that were given on it; `.ci/review_page.py` works in between.
//!
//!     review_page make FOLDER           writes FOLDER/sheet.json, FOLDER/page.html and FOLDER/each.html
//!     review_page read FOLDER ANSWERS   fails unless ANSWERS is what one judge of FOLDER/sheet.json would give
use std::error::Error;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use gptneo_eval::review::{
    Answers, Bootstrap, Prompts, Report, Sample, Sheet, SheetPlan, Source, make_sheet, page, read_answers,
};

const TEXTS: [&str; 8] = [
    "Once upon a time there was a fox who could not sleep.\n\nSo it counted hens.",
    "</script><script>window.hacked = 1</script><img src=x onerror=\"window.hacked = 1\">",
    "<!--<script> \u{2028} & &lt;b&gt; ${window.hacked = 1} @data@ @script@",
    "plain \u{202E}desrever\u{2069} \u{1b}[2J bell\u{7} nul\u{0} \u{FEFF}",
    "",
    "مرحبا بالعالم — שלום — नमस्ते — 你好 🦙👩‍👩‍👧",
    "unbreakableunbreakableunbreakableunbreakableunbreakableunbreakableunbreakableunbreakableunbreakableunbreakableunbreakable",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞",
];

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", folder] => make(Path::new(folder)),
        ["read", folder, answers] => read(Path::new(folder), answers),
        _ => Err("usage: review_page make FOLDER | review_page read FOLDER ANSWERS".into()),
    }
}

fn make(folder: &Path) -> Result<(), Box<dyn Error>> {
    let source = |name: &str, shift: usize| {
        let of = |at: usize| Sample {
            id: at.to_string(),
            prompt: format!("{} (prompt {at})", TEXTS[(at + 1) % TEXTS.len()]),
            text: format!("{}{}", TEXTS[(at + shift) % TEXTS.len()], if shift == 0 { "" } else { "." }),
        };
        Source { name: name.to_owned(), samples: (0..TEXTS.len()).map(of).collect() }
    };
    let mut sources = [source("secret-model-one", 0), source("secret-model-two", 3)];
    let plan = SheetPlan {
        title: "Stories <b>& more</b>".to_owned(),
        seed: 7,
        prompts: Prompts::Each,
        ..SheetPlan::default()
    };
    let sheet = make_sheet(&sources, &plan)?.sheet;
    fs::write(folder.join("sheet.json"), sheet.to_json())?;
    fs::write(folder.join("page.html"), page(&sheet))?;
    sources[1].samples.iter_mut().for_each(|sample| sample.prompt = format!("Another template: {}", sample.prompt));
    Ok(fs::write(folder.join("each.html"), page(&make_sheet(&sources, &plan)?.sheet))?)
}

fn read(folder: &Path, path: &str) -> Result<(), Box<dyn Error>> {
    let sheet = Sheet::read("sheet.json", File::open(folder.join("sheet.json"))?)?;
    let mut answers = Answers::default();
    read_answers(&sheet, path, BufReader::new(File::open(path)?), &mut answers)?;
    let report = Report::new(&sheet, &answers, Bootstrap::default())?;
    if answers.len() != sheet.items().len() || report.judges.len() != 1 {
        return Err(format!("{} answers of {} judges", answers.len(), report.judges.len()).into());
    }
    match answers.iter().find(|answer| answer.sides != sheet.sides(&answer.judge, answer.item)) {
        Some(answer) => Err(format!("item {} was shown with other sides", answer.item).into()),
        None => Ok(()),
    }
}
