//! Contamination: planted overlaps are found and nothing else, whatever the shards are cut like; plain comparison agrees, and so do real sets.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gptneo_eval::contamination::{Decontamination, Examination, Settings, TaskContamination, Verdict, examine};
use gptneo_eval::data::Library;
use gptneo_eval::{Catalog, EvalError, Options, Shards, Watch};
use gptneo_text::shards::{Manifest, Settings as Taken, ShardWriter, SourceEntry, Split, Stamp, TokenizerEntry};
use gptneo_text::{Tokenizer, WordCounts};
use proptest::prelude::*;
use serde_json::{Value, json};

struct Nobody;

impl Watch for Nobody {
    fn answered(&mut self, _: usize, _: usize) {}
}

fn tokenizer() -> Tokenizer {
    let mut counts = WordCounts::new();
    counts.add("the quick brown fox and the lazy dog went over the hills, and far away").unwrap();
    counts.learn(290, 2).unwrap()
}

/// Writes shards with so many documents each.
fn shards(dir: &Path, tokenizer: &Tokenizer, documents: &[String], each: usize) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    let sha256 = tokenizer.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect();
    let end_of_text = tokenizer.eos().unwrap();
    let vocab_size = tokenizer.vocab_size() as u32;
    let taken = Taken { format: None, field: "text".to_owned(), shard_tokens: 1, held_out_ppm: 0 };
    let mut manifest = Manifest::new(TokenizerEntry { sha256, vocab_size, end_of_text }, taken);
    manifest.sources.push(SourceEntry {
        name: "mine.jsonl".to_owned(),
        bytes: 0,
        sha256: String::new(),
        documents: documents.len() as u64,
        text_bytes: 0,
        tokens: 0,
    });
    for (number, part) in documents.chunks(each).enumerate() {
        let path = dir.join(Split::Train.shard(number as u64));
        let mut writer = ShardWriter::create(&path, vocab_size, tokenizer.fingerprint()).unwrap();
        for (at, text) in part.iter().enumerate() {
            let mut ids = tokenizer.encode_plain(text).unwrap();
            ids.push(end_of_text);
            let record = (number * each + at + 1) as u64;
            writer.push(&ids, Stamp { source: 0, record, text_bytes: text.len() as u32 }).unwrap();
        }
        manifest.train.push(writer.finish().unwrap());
    }
    manifest.write(dir).unwrap();
    dir.to_owned()
}

const TASK: &str = "
task: mine
output_type: loglikelihood
test_split: test
local: {test: [{files: test.jsonl}]}
doc_to_text: \"{{text}}\"
doc_to_target: \" {{answer}}\"
";

/// Looks for the documents of a task.
fn examined(
    dir: &Path,
    definition: &str,
    documents: &[Value],
    plan: &Decontamination,
    watch: &mut dyn Watch,
) -> Result<Examination, EvalError> {
    let lines: String = documents.iter().map(|document| format!("{document}\n")).collect();
    fs::write(dir.join("test.jsonl"), lines).unwrap();
    fs::write(dir.join("mine.yaml"), definition).unwrap();
    let mut catalog = Catalog::shipped().unwrap();
    catalog.include(&dir.join("mine.yaml")).unwrap();
    let chosen = catalog.choose(&["mine".to_owned()]).unwrap();
    let library = Library { folders: vec![dir.to_owned()], ..Library::default() };
    examine(chosen, &library, &Options::default(), plan, watch)
}

fn looked_for(dir: &Path, definition: &str, documents: &[Value], plan: &Decontamination) -> TaskContamination {
    examined(dir, definition, documents, plan, &mut Nobody).unwrap().tasks.remove(0).found
}

/// Of a task that is defined as above and with `more`.
fn look(dir: &Path, more: &str, documents: &[Value], plan: &Decontamination) -> TaskContamination {
    looked_for(dir, &format!("{TASK}{more}"), documents, plan)
}

fn plan(folders: &[PathBuf], tokenizer: &Tokenizer, settings: Settings, threads: usize) -> Decontamination {
    let shards = Shards::open(folders, false, tokenizer.clone(), threads).unwrap();
    Decontamination { shards: Arc::new(shards), settings }
}

fn kinds(found: &TaskContamination) -> Vec<&'static str> {
    let kind = |verdict: &Verdict| match verdict {
        Verdict::Clean => "clean",
        Verdict::TooShort => "short",
        Verdict::OnlyCommon => "common",
        Verdict::Contaminated(_) => "bad",
    };
    found.documents.iter().map(kind).collect()
}

/// So many words that nobody else has, from `from` on.
fn words(from: usize, count: usize) -> String {
    (from..from + count).map(|at| format!("w{at}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_planted_is_found_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer();
    let common = words(9000, 13);
    let mut corpus: Vec<String> = (0..11).map(|at| format!("{} {common} {}", words(20_000 + at, 3), at)).collect();
    corpus.push(format!("before {} after", words(0, 30)));
    corpus.push(words(100, 20).to_uppercase().replace(' ', ", -- \n“").replace('W', "w’"));
    // Twelve words in a row, twice, and no thirteenth.
    corpus.push(format!("{} gap {}", words(200, 12), words(212, 12)));
    // Thirteen words, cut in two by the end of a document.
    corpus.push(format!("so {}", words(300, 7)));
    corpus.push(format!("{} far", words(307, 6)));
    corpus.push(format!("it was {} indeed", words(400, 9)));
    corpus.push(format!("short {}", words(500, 7)));
    let telling = words(600, 13);
    (0..10).for_each(|at| corpus.push(format!("{telling} {at}")));
    // The answer belongs to what is looked for.
    corpus.push(format!("{} paris", words(700, 12)));

    let text = |text: String| json!({"text": text, "answer": "xyzzy"});
    let documents = [
        text(words(0, 30)),
        text(words(100, 20)),
        text(words(200, 24)),
        text(words(300, 13)),
        json!({"text": words(400, 8), "answer": "w408"}),
        json!({"text": words(500, 6), "answer": "w506"}),
        text(format!("{common} and more")),
        text(format!("{telling} and more")),
        json!({"text": words(700, 12), "answer": "Paris!"}),
        json!({"text": words(700, 12), "answer": "London"}),
        text(words(30_000, 50)),
    ];
    for each in [1, 3, 1000] {
        for threads in [1, 3] {
            let folder = shards(&dir.path().join(format!("shards-{each}-{threads}")), &tokenizer, &corpus, each);
            let plan = plan(std::slice::from_ref(&folder), &tokenizer, Settings::default(), threads);
            let found = look(dir.path(), "", &documents, &plan);
            let kinds = kinds(&found);
            let wanted = ["bad", "bad", "clean", "clean", "bad", "short", "common", "bad", "bad", "clean", "clean"];
            assert_eq!(kinds, wanted, "{each} documents a shard, {threads} threads");
            assert_eq!((found.contaminated(), found.too_short(), found.only_common()), (5, 1, 1));
            let Verdict::Contaminated(first) = &found.documents[1] else { panic!() };
            assert_eq!((first.ngram.as_str(), first.documents), (words(100, 13).as_str(), 1));
            assert_eq!((first.overlapping, first.ngrams), (8, 9), "the answer is in none of the eight");
            assert_eq!(first.first.source, "mine.jsonl:13");
            assert_eq!(first.first.shard, Split::Train.shard(12 / each as u64));
            assert_eq!(first.first.document, 12 % each as u64);
            assert_eq!(first.first.folder, folder);
            let Verdict::Contaminated(often) = &found.documents[7] else { panic!() };
            assert_eq!((often.documents, often.first.source.as_str()), (10, "mine.jsonl:19"));
        }
    }
}

#[test]
fn a_definition_says_what_is_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer();
    let folder = shards(&dir.path().join("shards"), &tokenizer, &[words(0, 40)], 1);
    let plan = plan(&[folder], &tokenizer, Settings::default(), 1);
    let documents = [json!({"text": words(0, 20), "answer": words(100, 20)})];
    let asked = |more: &str| look(dir.path(), more, &documents, &plan);
    let whole = asked("");
    assert_eq!((whole.contaminated(), whole.query), (1, "the prompt without examples, and the right answer"));
    let answer = asked("doc_to_decontamination_query: answer");
    assert_eq!((answer.contaminated(), answer.query), (0, "doc_to_decontamination_query"));
    assert_eq!(asked("doc_to_decontamination_query: \"so: {{text}}\"").contaminated(), 1);
    // A description and examples would stand in front of every document.
    let described = format!("description: \"{} \"", words(20, 20));
    let other = [json!({"text": words(200, 20), "answer": "b"})];
    assert_eq!(look(dir.path(), &described, &other, &plan).contaminated(), 0);
}

#[test]
fn of_choices_the_right_one_counts() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer();
    let folder = shards(&dir.path().join("shards"), &tokenizer, &[words(0, 14)], 1);
    let plan = plan(&[folder], &tokenizer, Settings::default(), 1);
    let definition = "
task: mine
output_type: multiple_choice
test_split: test
local: {test: [{files: test.jsonl}]}
doc_to_text: \"{{text}}\"
doc_to_choice: choices
doc_to_target: right
";
    let document = |right: usize| json!({"text": words(0, 12), "choices": ["w12", "else"], "right": right});
    let found = looked_for(dir.path(), definition, &[document(0), document(1)], &plan);
    assert_eq!(found.documents.iter().map(Verdict::contaminated).collect::<Vec<_>>(), [true, false]);
}

/// The definition read literally: sets of strings.
fn plainly(queries: &[String], corpus: &[String], settings: Settings) -> Vec<&'static str> {
    let words = |text: &str| -> Vec<String> {
        let kept: String = text.chars().filter(|c| c.is_alphanumeric() || c.is_whitespace()).collect();
        kept.to_lowercase().split_whitespace().map(str::to_owned).collect()
    };
    let runs = |text: &str, len: usize| -> BTreeSet<Vec<String>> {
        words(text).windows(len).map(<[String]>::to_vec).collect()
    };
    let judge = |query: &String| {
        let count = words(query).len();
        if count < settings.least {
            return "short";
        }
        let len = count.min(settings.words);
        let mut documents: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        for text in corpus {
            let there = runs(text, len);
            for run in runs(query, len).intersection(&there) {
                *documents.entry(run.clone()).or_default() += 1;
            }
        }
        match documents.values().min() {
            None => "clean",
            Some(&least) if least <= settings.common => "bad",
            Some(_) => "common",
        }
    };
    queries.iter().map(judge).collect()
}

fn text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["a", "b", "C", "É", "d'e", "f", "straße", "-", "7", "“", "ИВАН"]);
    let space = prop::sample::select(vec![" ", "  ", "\n", ", ", "\t", ". ", "\u{a0}", "—", ""]);
    prop::collection::vec((word, space), 0..25)
        .prop_map(|parts| parts.into_iter().map(|(word, space)| format!("{word}{space}")).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn comparing_sets_of_strings_agrees(
        queries in prop::collection::vec(text(), 1..8),
        corpus in prop::collection::vec(text(), 1..20),
        each in 1usize..8,
        threads in 1usize..4,
        run in 1usize..6,
        least in 1usize..4,
        common in 1u64..4,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let tokenizer = tokenizer();
        let settings = Settings { words: run, least, common };
        let folder = shards(&dir.path().join("shards"), &tokenizer, &corpus, each);
        let plan = plan(&[folder], &tokenizer, settings, threads);
        let documents: Vec<_> = queries.iter().map(|text| json!({"text": text, "answer": ""})).collect();
        let found = look(dir.path(), "doc_to_decontamination_query: text", &documents, &plan);
        prop_assert_eq!(kinds(&found), plainly(&queries, &corpus, settings));
    }
}

#[test]
fn shards_that_cannot_be_used_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer();
    let folder = shards(&dir.path().join("good"), &tokenizer, &[words(0, 40), words(50, 4000)], 1);
    let refused = |folders: &[PathBuf], part: &str| {
        let error = Shards::open(folders, false, tokenizer.clone(), 1).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(&[dir.path().join("nowhere")], "no token shards");
    refused(&[folder.clone(), folder.clone()], "named twice");
    let other = WordCounts::new().learn(257, 2).unwrap();
    let error = Shards::open(std::slice::from_ref(&folder), false, other, 1).unwrap_err();
    assert!(matches!(&error, EvalError::Shards { why, .. } if why.contains("tokenizer")), "{error}");
    let empty = shards(&dir.path().join("empty"), &tokenizer, &[], 1);
    refused(&[empty], "no document to train on");

    // Damage that no header tells is found when it is read.
    let path = folder.join(Split::Train.shard(1));
    let mut bytes = fs::read(&path).unwrap();
    bytes[2000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let shards = Shards::open(&[folder], false, tokenizer.clone(), 2).unwrap();
    let plan = Decontamination { shards: Arc::new(shards), settings: Settings::default() };
    let one = [json!({"text": "a", "answer": "b"})];
    let error = examined(dir.path(), TASK, &one, &plan, &mut Nobody).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
}

#[test]
fn a_scan_can_be_called_off() {
    struct Impatient;
    impl Watch for Impatient {
        fn answered(&mut self, _: usize, _: usize) {}
        fn stopped(&self) -> bool {
            true
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer();
    let corpus: Vec<String> = (0..200).map(|at| words(at * 5000, 5000)).collect();
    let folder = shards(&dir.path().join("shards"), &tokenizer, &corpus, 50);
    let plan = plan(&[folder], &tokenizer, Settings::default(), 1);
    let one = [json!({"text": "a", "answer": "b"})];
    let error = examined(dir.path(), TASK, &one, &plan, &mut Impatient).unwrap_err();
    assert!(matches!(error, EvalError::Stopped), "{error}");
}

fn shared(path: &str) -> Option<PathBuf> {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(path);
    if full.exists() {
        return Some(full);
    }
    eprintln!("NOT RUN: {} is not there", full.display());
    None
}

#[test]
fn lambada_stands_in_thirty_novels_as_often_as_sets_of_strings_find() {
    let (Some(novels), Some(data)) = (shared("corpus/standardebooks.jsonl.zst"), shared("tokenizer")) else { return };
    let lines = zstd::decode_all(fs::File::open(novels).unwrap()).unwrap();
    let text = |line: &str| serde_json::from_str::<Value>(line).unwrap()["text"].as_str().unwrap().to_owned();
    let corpus: Vec<String> = std::str::from_utf8(&lines).unwrap().lines().map(text).collect();
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = Tokenizer::open(&data.join("gpt2")).unwrap();
    let folder = shards(&dir.path().join("shards"), &tokenizer, &corpus, 500);
    let library = Library { folders: vec![data.parent().unwrap().to_owned()], ..Library::default() };
    // Python, over the texts themselves: sets of strings. Its books are older than what LAMBADA is made of.
    for (words, contaminated, only_common) in [(13, 0, 0), (8, 5, 0), (6, 606, 13)] {
        let settings = Settings { words, least: words.min(8), common: 10 };
        let plan = plan(std::slice::from_ref(&folder), &tokenizer, settings, 2);
        let chosen = Catalog::shipped().unwrap().choose(&["lambada_openai".to_owned()]).unwrap();
        let found = examine(chosen, &library, &Options::default(), &plan, &mut Nobody).unwrap();
        eprintln!("{words} words: {:.1} MB/s", found.scanned.speed() / 1e6);
        let counts = &found.tasks[0].found;
        assert_eq!((counts.documents.len(), counts.contaminated()), (5153, contaminated), "{words} words");
        assert_eq!((counts.only_common(), counts.too_short()), (only_common, 0), "{words} words");
    }
}
