use std::collections::BTreeSet;
use std::path::Path;

use super::*;

const RHYME: &str = r#"
title = "Rhyme"
group = "Write"
description = "A word that rhymes."
template = "hat: cat\n{{word}} ({{how}}), again {{word}}:"
settings = { temperature = 0.5, max_tokens = 5, stop = ["\n"] }
[[fields]]
name = "word"
label = "Word"
kind = "line"
[[fields]]
name = "how"
label = "How"
kind = "choice"
choices = ["well", "badly"]
"#;

fn rhyme() -> Preset {
    Preset::parse("rhyme", RHYME).unwrap()
}

fn words(text: &str) -> String {
    Preset::parse("rhyme", text).unwrap_err().to_string()
}

#[test]
fn every_file_is_built_in_and_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.map(|name| name.strip_suffix(".toml").unwrap().to_owned()).collect();
    let names: BTreeSet<String> = Presets::built_in().iter().map(|preset| preset.name.clone()).collect();
    assert_eq!(files, names);
}

#[test]
fn built_in_templates_are_fit_for_a_model_that_continues_text() {
    for preset in Presets::built_in().iter() {
        let name = &preset.name;
        // A token of words begins with their space: a prompt that ends in one asks for an unusual token.
        assert!(!preset.template.ends_with([' ', '\t']), "{name} ends in a space");
        assert!(!preset.settings.stop.is_empty(), "{name} would never end");
        assert!(preset.template.len() < 2200, "{name} leaves a small context no room");
        let texts = [&preset.title, &preset.group, &preset.description];
        assert!(texts.iter().all(|text| !text.trim().is_empty()), "{name} lacks words");
        for field in &preset.fields {
            assert!(!field.label.is_empty(), "{name}, {}", field.name);
            assert!(field.kind == FieldKind::Choice || !field.placeholder.is_empty(), "{name}, {}", field.name);
        }
        // What separates the examples ends an answer.
        let separated = ["\n###\n", "\n***\n", "\n```"].iter().filter(|mark| preset.template.contains(*mark));
        assert!(separated.clone().all(|mark| preset.settings.stop.iter().any(|s| s == mark.trim_end())), "{name}");
        let values: Vec<(&str, &str)> = preset
            .fields
            .iter()
            .map(|field| (field.name.as_str(), field.choices.first().map_or("{{text}}", String::as_str)))
            .collect();
        let prompt = preset.fill(&values).unwrap();
        assert!(prompt.contains("{{text}}"), "{name} has read a value again");
    }
}

#[test]
fn values_are_text_and_nothing_else() {
    let filled = rhyme().fill(&[("word", "{{how}} }} {{word}}"), ("how", "badly")]).unwrap();
    assert_eq!(filled, "hat: cat\n{{how}} }} {{word}} (badly), again {{how}} }} {{word}}:");
    assert_eq!(rhyme().fill(&[("word", "day")]).unwrap(), "hat: cat\nday (well), again day:");
}

#[test]
fn a_value_that_does_not_fit_is_named() {
    let words = |values: &[(&str, &str)]| rhyme().fill(values).unwrap_err().to_string();
    assert_eq!(words(&[]), "the preset `rhyme` wants a value for `word` (Word)");
    assert_eq!(words(&[("word", " \n")]), "the preset `rhyme` wants a value for `word` (Word)");
    assert_eq!(words(&[("word", "x"), ("how", "so")]), "`how` of the preset `rhyme` is one of: well, badly");
    assert!(words(&[("word", "x"), ("wrod", "x")]).contains("no value for `wrod`; its fields are: word, how"));
    assert!(words(&[("word", "x"), ("word", "y")]).contains("no second value for `word`"));
}

#[test]
fn a_file_that_is_none_is_refused_in_words() {
    for (from, to, wanted) in [
        ("{{how}}", "{{hwo}}", "`{{hwo}}`, but there is no such field"),
        ("({{how}})", "", "does not use the field `how`"),
        ("again {{word}}:", "again {{word:", "not closed"),
        ("\"how\"", "\"word\"", "`word` is there twice"),
        ("\"how\"", "\"h w\"", "field 2 has a name that is none"),
        ("\"badly\"", "", "nothing to choose"),
        ("\"line\"", "\"slider\"", "slider"),
        ("kind = \"line\"", "kind = \"line\"\nchoices = [\"a\"]", "not of the kind `choice`"),
        ("0.5", "2.5", "`temperature` is 2.5"),
        ("0.5", "nan", "`temperature`"),
        ("max_tokens = 5", "max_tokens = 0", "`max_tokens` is 0"),
        ("[\"\\n\"]", "[\"\"]", "`stop`"),
        ("group", "grup", "grup"),
    ] {
        let text = RHYME.replacen(from, to, 1);
        assert_ne!(text, RHYME, "{from} is not there");
        assert!(words(&text).contains(wanted), "{from}: {}", words(&text));
    }
    assert!(Preset::parse("../x", RHYME).unwrap_err().to_string().contains("a name is of letters"));
    assert!(words(&RHYME.replace("hat", &"x".repeat(70_000))).contains("at most 65536"));
}

#[test]
fn one_of_the_same_name_takes_its_place() {
    let mut presets = Presets::built_in();
    let count = presets.iter().count();
    presets.add(Preset { name: "summary".into(), ..rhyme() }).unwrap();
    presets.add(rhyme()).unwrap();
    assert_eq!(presets.iter().count(), count + 1);
    assert_eq!(presets.find("summary").unwrap().title, "Rhyme");
    assert!(presets.find("rime").unwrap_err().to_string().contains("there is no preset `rime`; there are: article"));
}

#[test]
fn a_text_without_a_name_is_for_the_main_field() {
    let main = |name: &str| Presets::built_in().find(name).unwrap().main().name.clone();
    assert_eq!(main("ask"), "text");
    assert_eq!(main("support"), "question");
    assert_eq!(main("email"), "notes");
    assert_eq!(rhyme().main().name, "word");
}
