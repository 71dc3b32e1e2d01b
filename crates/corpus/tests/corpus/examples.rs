//! Lines of JSON to examples: each form is read, what is learned is the response, a bad line is named.

use gptneo_corpus::{CorpusError, ExampleJob, ExampleSet, Holds, examples, find, holds, labels};
use gptneo_text::{ChatTemplate, Special};

use super::world::{World, tokenizer};

fn job(world: &World, template: Option<&str>, held_out_ppm: u32) -> ExampleJob {
    ExampleJob {
        sources: find(&world.names, None, None).unwrap().sources,
        tokenizer: tokenizer(),
        template: template.map(|name| ChatTemplate::named(name).unwrap()),
        labels: Vec::new(),
        held_out_ppm,
        workers: 2,
        cancel: None,
    }
}

/// Of each example: all of its text, and what of it is learned.
fn texts(set: &ExampleSet) -> Vec<(String, String)> {
    let tokenizer = tokenizer();
    let text = |ids: &[u32]| tokenizer.decode(ids, Special::Keep).unwrap();
    let of = |placed: &gptneo_corpus::Placed| {
        let ids = placed.example.ids();
        let learned = placed.example.learned().iter().map(|range| text(&ids[range.clone()])).collect::<Vec<_>>();
        (text(ids), learned.join("|"))
    };
    set.train.iter().map(of).collect()
}

#[test]
fn reads_prompts_conversations_and_text() {
    let lines = [
        r#"{"prompt": "2 + 2 =", "response": " 4", "extra": [1, {"x": null}]}"#,
        "",
        r#"{"prompt": "3 + 3 =", "completion": " 6"}"#,
        r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}"#,
        r#"{"text": "A tale."}"#,
    ];
    let world = World::new().with("a.jsonl", lines.join("\n"));
    let set = examples(&job(&world, Some("plain"), 0), &()).unwrap();
    let wanted = [
        ("User: 2 + 2 =\nAssistant:  4<|endoftext|>", "  4<|endoftext|>"),
        ("User: 3 + 3 =\nAssistant:  6<|endoftext|>", "  6<|endoftext|>"),
        ("User: Hi\nAssistant: Hello<|endoftext|>", " Hello<|endoftext|>"),
        ("A tale.<|endoftext|>", "A tale.<|endoftext|>"),
    ];
    assert_eq!(texts(&set), wanted.map(|(all, learned)| (all.to_owned(), learned.to_owned())));
    assert_eq!(set.train.iter().map(|placed| placed.line).collect::<Vec<_>>(), [1, 3, 4, 5]);
    assert_eq!(set.sources, ["a.jsonl"]);

    let world = World::new().with("a.jsonl", lines[..3].join("\n"));
    let set = examples(&job(&world, None, 0), &()).unwrap();
    assert_eq!(texts(&set)[0], ("2 + 2 = 4<|endoftext|>".to_owned(), " 4<|endoftext|>".to_owned()));
}

#[test]
fn a_line_that_is_no_example_is_named() {
    let good = r#"{"prompt": "a", "response": "b"}"#;
    for (line, words) in [
        ("not json", "expected"),
        (r#"{"prompt": "a"}"#, "it must have"),
        (r#"{"prompt": "a", "response": " "}"#, "response is empty"),
        (r#"{"prompt": "a", "response": "b", "completion": "b"}"#, "keep one"),
        (r#"{"prompt": "a", "response": "b", "text": "b"}"#, "it must have"),
        (r#"{"prompt": 7, "response": "b"}"#, "string"),
        (r#"{"messages": [{"role": "robot", "content": "x"}]}"#, "robot"),
        (r#"{"messages": [{"role": "user", "content": "x"}]}"#, "chat template"),
        (r#"{"messages": []}"#, "chat template"),
        (r#"{"text": "  "}"#, "text is empty"),
    ] {
        let world = World::new().with("a.jsonl", format!("{good}\n{line}\n{good}\n"));
        let error = examples(&job(&world, None, 0), &()).unwrap_err();
        assert!(matches!(error, CorpusError::Source { .. }), "{line}: {error:?}");
        let text = error.to_string();
        assert!(text.contains("line 2") && text.contains(words), "{line}: {text}");
    }
    let world = World::new().with("a.jsonl", [good.as_bytes(), b"\n{\"text\": \"\xff\"}"].concat());
    assert!(examples(&job(&world, None, 0), &()).unwrap_err().to_string().contains("line 2"));
    let world = World::new().with("a.txt", "A tale.");
    assert!(examples(&job(&world, None, 0), &()).unwrap_err().to_string().contains(".jsonl"));
    let world = World::new().with("a.jsonl", "\n\n");
    assert!(matches!(examples(&job(&world, None, 0), &()), Err(CorpusError::NoDocuments { .. })));
}

#[test]
fn labels_are_found_and_learned_by_name_or_number() {
    let lines =
        [r#"{"text": "good", "label": "yes"}"#, r#"{"text": "bad", "label": "no"}"#, r#"{"text": "fine", "label": 1}"#];
    let world = World::new().with("a.jsonl", lines.join("\n"));
    let mut job = job(&world, None, 0);
    assert_eq!(labels(&job.sources).unwrap(), ["1", "no", "yes"]);
    assert_eq!(holds(&job.sources[0]).unwrap(), Holds::Labels);
    assert!(examples(&job, &()).unwrap_err().to_string().contains("model.labels"));
    job.labels = vec!["no".to_owned(), "yes".to_owned()];
    let set = examples(&job, &()).unwrap();
    assert_eq!(set.train.iter().map(|placed| placed.example.label()).collect::<Vec<_>>(), [Some(1), Some(0), Some(1)]);
    let learned = |line: &str| {
        let world = World::new().with("a.jsonl", line);
        let job = ExampleJob { sources: find(&world.names, None, None).unwrap().sources, ..job.clone() };
        examples(&job, &()).unwrap().train.remove(0).example
    };
    let pair = learned(r#"{"text": "good", "text_pair": "day", "label": "yes"}"#);
    assert_eq!(pair, learned(r#"{"text": "good\nday", "label": "yes"}"#), "one below the other");
    for (line, words) in [
        (r#"{"text": "x", "label": "maybe"}"#, "none of no, yes"),
        (r#"{"text": "x", "label": 2}"#, "none of no, yes"),
        (r#"{"text": "x"}"#, "no `label`"),
        (r#"{"text": "x", "text_pair": "y"}"#, "a `text_pair` stands beside"),
        (r#"{"prompt": "x", "response": "y", "text_pair": "z"}"#, "a `text_pair` stands beside"),
        (r#"{"prompt": "x", "response": "y", "label": 1}"#, "a `text` alone"),
        (r#"{"text": "x", "label": [1]}"#, "line 2"),
    ] {
        let world = World::new().with("a.jsonl", format!("{}\n{line}", lines[0]));
        let job = ExampleJob { sources: find(&world.names, None, None).unwrap().sources, ..job.clone() };
        let error = examples(&job, &()).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains(words), "{line}: {error}");
    }
}

#[test]
fn the_held_out_part_and_the_order_depend_on_the_lines_alone() {
    let line = |n: usize| format!("{{\"prompt\": \"count {n}\", \"response\": \" {}\"}}\n", n + 1);
    let world = World::new().with("a.jsonl", (0..20_000).map(line).collect::<String>());
    let one = examples(&ExampleJob { workers: 1, ..job(&world, None, 100_000) }, &()).unwrap();
    let four = examples(&ExampleJob { workers: 4, ..job(&world, None, 100_000) }, &()).unwrap();
    assert_eq!(one, four);
    assert_eq!(one.fingerprint(), four.fingerprint());
    let held_out = one.held_out.len();
    assert!((1800..2200).contains(&held_out), "{held_out}");
    assert_eq!(one.train.len() + held_out, 20_000);
    let other = examples(&job(&world, None, 50_000), &()).unwrap();
    assert_ne!(one.fingerprint(), other.fingerprint());
}

#[test]
fn the_first_line_tells_what_a_source_holds() {
    let world = World::new()
        .with("a.jsonl", "\n{\"prompt\": \"a\", \"response\": \"b\"}")
        .with("b.jsonl", "{\"messages\": []}")
        .with("c.jsonl", "{\"text\": \"x\"}")
        .with("d.txt", "x");
    let found: Vec<Holds> =
        find(&world.names, None, None).unwrap().sources.iter().map(|source| holds(source).unwrap()).collect();
    assert_eq!(found, [Holds::Responses, Holds::Responses, Holds::Text, Holds::Text]);
    let world = World::new().with("e.jsonl", "{}").with("f.jsonl", "");
    assert!(find(&world.names, None, None).unwrap().sources.iter().all(|source| holds(source).is_err()));
}
