//! Which texts meet on a sheet, and what a sheet gives away.

use std::collections::{BTreeMap, BTreeSet};

use gptneo_eval::review::{Overlong, Prompt, Prompts, Sheet, SheetPlan, Source, make_sheet, page};

use crate::world::{sheet, source};

fn refused(sources: &[Source], plan: &SheetPlan, wanted: &str) {
    let error = make_sheet(sources, plan).unwrap_err().to_string();
    assert!(error.contains(wanted), "{error}");
}

fn texts(sheet: &Sheet) -> BTreeSet<[String; 2]> {
    let sorted = |mut texts: [String; 2]| {
        texts.sort();
        texts
    };
    sheet.items().iter().map(|item| sorted(item.texts.clone())).collect()
}

#[test]
fn every_two_answers_to_a_prompt_meet_once() {
    let mut sources = vec![source("a", 40), source("b", 40), source("c", 41)];
    sources[1].samples.remove(7);
    let made = make_sheet(&sources, &SheetPlan::default()).unwrap();
    assert_eq!((made.unpaired, made.left_out, made.shortened), (1, 0, 0));
    let mut wanted = BTreeSet::new();
    for at in 0..40 {
        for (one, other) in [("a", "b"), ("a", "c"), ("b", "c")] {
            if at != 7 || (one, other) == ("a", "c") {
                wanted.insert([format!("{one} {at}"), format!("{other} {at}")]);
            }
        }
    }
    assert_eq!(made.sheet.items().len(), wanted.len());
    assert_eq!(texts(&made.sheet), wanted);
    let answers_its_prompt = |item: &gptneo_eval::review::Item| {
        let Prompt::Shared(prompt) = &item.prompt else { return false };
        item.texts.iter().all(|text| text.split(' ').nth(1) == prompt.strip_prefix('p'))
    };
    assert!(made.sheet.items().iter().all(answers_its_prompt));
}

#[test]
fn the_seed_draws_the_order_and_the_sides() {
    let first = |seed: u64| {
        let plan = SheetPlan { seed, ..SheetPlan::default() };
        make_sheet(&[source("a", 200), source("b", 200)], &plan).unwrap().sheet
    };
    let (one, other) = (first(1), first(2));
    assert_eq!(one, first(1));
    assert_ne!(one.hash(), other.hash());
    assert_eq!(texts(&one), texts(&other));
    let a_first = one.items().iter().filter(|item| item.texts[0].starts_with('a')).count();
    assert!(a_first.abs_diff(100) < 35, "{a_first}");
    assert_ne!(one.items()[0].prompt, Prompt::Shared("p0".to_owned()));
}

#[test]
fn a_limit_takes_from_all_pairs_alike() {
    let plan = SheetPlan { items: Some(32), ..SheetPlan::default() };
    let made = make_sheet(&[source("a", 50), source("b", 50), source("c", 50)], &plan).unwrap();
    assert_eq!((made.sheet.items().len(), made.left_out), (32, 118));
    let mut counts = BTreeMap::new();
    for [one, other] in texts(&made.sheet) {
        *counts.entry((one.as_bytes()[0], other.as_bytes()[0])).or_insert(0) += 1;
    }
    assert!(counts.len() == 3 && counts.values().all(|&count| count == 10 || count == 11), "{counts:?}");
}

#[test]
fn templates_can_be_compared() {
    let mut sources = [source("a", 30), source("b", 30)];
    sources[1].samples.iter_mut().for_each(|sample| sample.prompt = format!("Question: {}", sample.prompt));
    let plan = |prompts| SheetPlan { prompts, ..SheetPlan::default() };
    refused(&sources, &plan(Prompts::Same), "`model-a` and `model-b` had different prompts for `");
    let each = make_sheet(&sources, &plan(Prompts::Each)).unwrap().sheet;
    for item in each.items() {
        let Prompt::Each(prompts) = &item.prompt else { panic!("{item:?}") };
        assert!(prompts.iter().zip(&item.texts).all(|(p, text)| p.starts_with("Question") == text.starts_with('b')));
    }
    let first = make_sheet(&sources, &plan(Prompts::First)).unwrap().sheet;
    assert!(first.items().iter().all(|item| matches!(&item.prompt, Prompt::Shared(prompt) if prompt.starts_with('p'))));
}

#[test]
fn texts_that_nobody_reads_are_refused_or_shortened_in_words() {
    let mut sources = [source("a", 3), source("b", 3)];
    sources[0].samples[1].text = "é".repeat(1_000_000);
    sources[1].samples[1].prompt = format!("{}end", "x".repeat(1_000_000));
    sources[0].samples[1].prompt = sources[1].samples[1].prompt.clone();
    let words = "has 1000003 characters; at most 20000 are allowed; shorten such texts, or allow more";
    refused(&sources, &SheetPlan::default(), words);
    let plan = SheetPlan { overlong: Overlong::Shorten, longest: 10, ..SheetPlan::default() };
    let made = make_sheet(&sources, &plan).unwrap();
    assert_eq!(made.shortened, 2);
    let item = made.sheet.items().iter().find(|item| item.texts.iter().any(|text| text.starts_with('é'))).unwrap();
    assert_eq!(item.prompt, Prompt::Shared("[shortened: the last 10 of 1000003 characters] xxxxxxxend".to_owned()));
    assert!(item.texts.contains(&"éééééééééé [shortened: the first 10 of 1000000 characters]".to_owned()));
}

#[test]
fn says_why_no_sheet_can_be_made() {
    let plan = SheetPlan::default();
    refused(&[], &plan, "a sheet compares 2 to 32 sources, but there are 0");
    refused(&[source("a", 1)], &plan, "there are 1");
    refused(&vec![source("a", 1); 33], &plan, "there are 33");
    refused(&[source("a", 1), source("a", 1)], &plan, "two sources have the name `model-a`");
    refused(&[source("a\n", 1), source("b", 1)], &plan, "characters that do not show");
    refused(&[source("a", 0), source("b", 3)], &plan, "no prompt was answered by two sources");
    let mut twice = source("a", 2);
    twice.samples[1].id = "0".to_owned();
    refused(&[twice, source("b", 1)], &plan, "source `model-a` has the prompt id `0` twice");
    let titled = SheetPlan { title: "Is MODEL-B better?".to_owned(), ..SheetPlan::default() };
    refused(&[source("a", 1), source("b", 1)], &titled, "the title names the source `model-b`");
    let long = SheetPlan { title: "x".repeat(201), ..SheetPlan::default() };
    refused(&[source("a", 1), source("b", 1)], &long, "longer than 200");
    refused(
        &[source("a", 1), source("b", 1)],
        &SheetPlan { items: Some(0), ..SheetPlan::default() },
        "at least 1 item",
    );
    let many: Vec<Source> = (0..32).map(|at| source(&format!("{at:02}"), 210)).collect();
    refused(&many, &plan, "there are 104160 items; a sheet has at most 100000; set a limit");
}

#[test]
fn the_page_is_the_same_with_and_without_the_key_and_names_nobody() {
    let sheet = sheet(&["a", "b"], 20);
    let page = page(&sheet);
    assert_eq!(page, gptneo_eval::review::page(&sheet.blinded()));
    assert!(!page.contains("model-") && !sheet.blinded().to_json().contains("model-"));
    assert!(sheet.to_json().contains("model-a"));
    assert!(
        page.contains("content=\"default-src 'none'; style-src 'sha256-") && page.contains("'; script-src 'sha256-")
    );
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
}
