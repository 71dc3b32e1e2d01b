//! Two evaluations beside each other: numbers worked out by hand and by SciPy, and files that may hold anything.

use gptneo_eval::{Basis, Comparison, EvalError, Paired, Saved, Unpaired};
use serde_json::{Value, json};

use super::world::{World, one, sample};

fn compare(world: &World) -> Result<Comparison, EvalError> {
    compare_by(world, 10_000)
}

fn compare_by(world: &World, resamples: usize) -> Result<Comparison, EvalError> {
    Comparison::of(&Saved::open(&world.path("a"))?, &Saved::open(&world.path("b"))?, resamples)
}

fn paired(found: &Comparison, at: usize) -> &Paired {
    match &found.scores[at].basis {
        Basis::Paired(paired) => paired,
        Basis::Unpaired(unpaired) => panic!("{unpaired:?}"),
    }
}

fn unpaired(found: &Comparison, at: usize) -> &Unpaired {
    match &found.scores[at].basis {
        Basis::Unpaired(unpaired) => unpaired,
        Basis::Paired(paired) => panic!("{paired:?}"),
    }
}

/// One score of one task, with these measures of documents that both have.
fn both(metric: &str, values: [f64; 2], measures: [Vec<Value>; 2]) -> World {
    let world = World::new();
    for ((model, value), measures) in ["a", "b"].into_iter().zip(values).zip(measures) {
        world.results(model, &one("task", metric, value, 0.05));
        let samples: Vec<Value> = measures.into_iter().enumerate().map(|(at, m)| sample(at, metric, m)).collect();
        world.samples(model, "task", &samples);
    }
    world
}

#[test]
fn right_and_wrong_by_hand() {
    // A has 1 1 1 0 0 0 0 0 right, B 1 1 0 1 1 1 0 0, of eight documents that both have, and each two of its own.
    let world = World::new();
    let (a, b) = ([1, 1, 1, 0, 0, 0, 0, 0, 1, 1], [1, 1, 0, 1, 1, 1, 0, 0, 0, 0]);
    for (model, right, own) in [("a", a, 100), ("b", b, 200)] {
        world.results(model, &one("task", "acc", 0.5, 0.1));
        let at = |at: usize| if at < 8 { at } else { own + at };
        let mut samples: Vec<Value> =
            right.iter().enumerate().map(|(place, right)| sample(at(place), "acc", json!(f64::from(*right)))).collect();
        // The order of a file is nothing to go by.
        if model == "b" {
            samples.reverse();
        }
        world.samples(model, "task", &samples);
    }
    let found = compare(&world).unwrap();
    let paired = paired(&found, 0);
    assert_eq!((paired.count, paired.wins, paired.ties, paired.losses), (8, 3, 4, 1));
    assert_eq!((paired.paired_a, paired.paired_b, paired.difference), (0.375, 0.625, 0.25));
    let mcnemar = paired.mcnemar.as_ref().unwrap();
    // Of four that only one has right, three are B's: 2 (1 + 4) / 16.
    assert_eq!((mcnemar.only_a, mcnemar.only_b), (1, 3));
    assert!((mcnemar.p - 0.625).abs() < 1e-12, "{}", mcnemar.p);
    let note = "task: 2 of 10 documents of A and 2 of 10 of B have no other with the same document and prompt";
    assert!(found.notes.iter().any(|said| said.starts_with(note)), "{:?}", found.notes);
}

#[test]
fn a_document_asked_otherwise_is_another() {
    let world = both("acc", [0.5, 0.5], [vec![json!(1.0); 4], vec![json!(1.0); 4]]);
    let mut samples: Vec<Value> = (0..4).map(|at| sample(at, "acc", json!(1.0))).collect();
    samples[2]["prompt_hash"] = json!("q");
    world.samples("b", "task", &samples);
    let found = compare(&world).unwrap();
    assert_eq!(paired(&found, 0).count, 3);
    // What the results say is not what the samples make.
    assert!(found.notes.iter().any(|note| note.contains("the samples of A make 1.000000")), "{:?}", found.notes);
    let all: Vec<Value> = (10..14).map(|at| sample(at, "acc", json!(1.0))).collect();
    world.samples("b", "task", &all);
    let found = compare(&world).unwrap();
    assert!(unpaired(&found, 0).why.contains("no document"), "{found:?}");
}

#[test]
fn documents_that_are_alike_are_paired_in_turn() {
    let twice = |values: [f64; 3]| -> Vec<Value> {
        let samples = values.iter().enumerate().map(|(at, value)| sample(at.min(1), "acc", json!(value)));
        samples.collect()
    };
    let world = both("acc", [0.0, 0.0], [vec![], vec![]]);
    world.samples("a", "task", &twice([1.0, 0.0, 1.0]));
    world.samples("b", "task", &twice([1.0, 1.0, 0.0]));
    let found = compare(&world).unwrap();
    assert_eq!((paired(&found, 0).count, paired(&found, 0).wins, paired(&found, 0).losses), (3, 1, 1));
}

#[test]
fn intervals_are_scipys() {
    // scipy.stats.bootstrap((a, b), statistic, paired=True, method="percentile", n_resamples=200_000), of the same measures.
    let a = |at: usize| -2.0 - (at * 7 % 10) as f64 / 3.0;
    let b = |at: usize| -1.8 - (at * 3 % 10) as f64 / 3.2 - (at % 4) as f64 / 7.0;
    let of = |measure: &dyn Fn(f64, usize) -> Value| {
        let side = |one: &dyn Fn(usize) -> f64| (0..30).map(|at| measure(one(at), at)).collect::<Vec<_>>();
        [side(&a), side(&b)]
    };
    let check = |metric: &str, measures: [Vec<Value>; 2], wanted: [f64; 3], tolerance: f64| {
        let found = compare_by(&both(metric, [1.0, 1.0], measures), 100_000).unwrap();
        let found = paired(&found, 0);
        assert!((found.difference - wanted[0]).abs() < 1e-9, "{metric}: {found:?}");
        for (found, wanted) in found.interval.iter().zip(&wanted[1..]) {
            assert!((found - wanted).abs() < tolerance, "{metric}: {found} {wanted}");
        }
    };
    check("perplexity", of(&|l, _| json!(l)), PERPLEXITY, 0.3);
    check("bits_per_byte", of(&|l, at| json!([l, at % 5 + 1])), BITS, 0.004);
    check("mcc", of(&|l, at| json!([at % 2, usize::from(l < -3.2)])), MATTHEWS, 0.01);
}

/// The difference, and the ends of its interval.
const PERPLEXITY: [f64; 3] = [-2.819_566_654_210_81, -21.8027, 15.8548];
const BITS: [f64; 3] = [-0.042_794_227_899_385_36, -0.32025, 0.23459];
const MATTHEWS: [f64; 3] = [0.133_630_620_956_212_2, -0.46875, 0.72858];

#[test]
fn texts_are_compared_as_a_corpus() {
    let said = |wrong: usize| {
        let one = |at: usize| {
            let text = if at.is_multiple_of(wrong) {
                "the dog lay there".to_owned()
            } else {
                format!("the cat {at} sat on a mat")
            };
            json!([[format!("the cat {at} sat on a mat")], text])
        };
        (0..20).map(one).collect::<Vec<_>>()
    };
    for metric in ["bleu", "chrf", "ter"] {
        let found = compare(&both(metric, [50.0, 80.0], [said(2), said(5)])).unwrap();
        let found = paired(&found, 0);
        let better = if metric == "ter" { -1.0 } else { 1.0 };
        assert!(found.difference * better > 0.0 && found.p < 0.1, "{metric}: {found:?}");
        // Wrong in A alone: 2, 4, 6, 8, 12, 14, 16, 18; in B alone: 5, 15.
        assert_eq!((found.wins, found.losses, found.mcnemar.clone()), (8, 2, None), "{metric}");
    }
}

#[test]
fn without_samples_errors_are_put_together() {
    let world = World::new();
    let mut a = one("task", "acc", 0.5, 0.03);
    a["results"]["only"] = json!({"acc,none": 1.0});
    a["n-shot"] = json!({"task": 0});
    world.results("a", &a);
    let mut b = one("task", "acc", 0.6, 0.04);
    b["n-shot"] = json!({"task": 5});
    world.results("b", &b);
    let found = compare(&world).unwrap();
    let one = unpaired(&found, 0);
    assert!((one.difference - 0.1).abs() < 1e-12 && (one.standard_error.unwrap() - 0.05).abs() < 1e-12, "{one:?}");
    // 2 * scipy.stats.norm.sf(2)
    assert!((one.p.unwrap() - 0.045_500_263_896_358_42).abs() < 1e-9, "{one:?}");
    assert!((one.interval.unwrap()[0] - 0.002_001_800_772_997_3).abs() < 1e-9, "{one:?}");
    assert!(one.why.contains("no samples of A and B"), "{}", one.why);
    assert_eq!((found.only_a.as_slice(), found.only_b.len()), (&["only".to_owned()][..], 0));
    assert!(
        found.notes.iter().any(|note| note == "task: the number of examples is not the same: 0 and 5"),
        "{:?}",
        found.notes
    );
}

#[test]
fn early_results_are_read() {
    let world = World::new();
    for (model, acc) in [("a", 0.2), ("b", 0.3)] {
        world.results(model, &json!({"results": {"piqa": {"acc": acc, "acc_stderr": 0.01, "acc_norm": 0.5}}}));
    }
    let found = compare(&world).unwrap();
    assert_eq!(found.scores.len(), 2);
    assert!(unpaired(&found, 0).p.unwrap() < 1e-6);
    assert_eq!(unpaired(&found, 1).p, None);
}

#[test]
fn the_makers_results_of_pythia_are_read() {
    let of = |size: &str| {
        let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/eval/pythia-results");
        data.join(format!("evals/pythia-v1/pythia-{size}/zero-shot/{size}_step143000.json"))
    };
    if !of("70m").exists() {
        eprintln!("skipped: no results of Pythia under ../shared/data");
        return;
    }
    let [a, b] = ["70m", "160m"].map(|size| Saved::open(&of(size)).unwrap());
    let found = Comparison::of(&a, &b, 1000).unwrap();
    let acc = found.scores.iter().find(|score| score.task == "lambada_openai" && score.metric == "acc").unwrap();
    assert!((acc.a - 0.184_552_687_754_705_99).abs() < 1e-15 && acc.b > 0.32);
}

#[test]
fn whatever_a_file_holds_is_refused_in_words() {
    let line = |lines: &str| {
        let world = both("acc", [0.5, 0.5], [vec![json!(1.0); 3], vec![json!(1.0); 3]]);
        world.lines("b", "task", lines);
        compare(&world)
    };
    let refused = |lines: &str, words: &str| {
        let error = line(lines).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("samples_task_1.jsonl"), "{error}");
    };
    refused("{}\n\n{", "line 1: it has no `doc_hash`");
    let good = sample(0, "acc", json!(1.0));
    refused(&format!("{good}\n\nhello\n"), "line 3: no JSON");
    refused(&format!("{good}\n[1]\n"), "line 2: no sample");
    refused(&"[".repeat(100_000), "no JSON");
    refused(&good.to_string().replace("\"d0000\"", "7"), "`doc_hash` is no short text");
    refused(&good.to_string().replace("d0000", &"x".repeat(5000)), "`doc_hash` is no short text");
    // A measure that is none leaves the score unpaired, and says so.
    let bad: String = (0..3).map(|at| format!("{}\n", sample(at, "acc", json!({"a": 1})))).collect();
    let found = line(&bad).unwrap();
    assert!(unpaired(&found, 0).why.contains("a sample of B: a number is wanted, found an object"), "{found:?}");
    assert!(line("").is_ok_and(|found| unpaired(&found, 0).why.contains("no document")));

    let world = World::new();
    let open = |text: &str| {
        let path = world.path("x.json");
        std::fs::write(&path, text).unwrap();
        Saved::open(&path).unwrap_err().to_string()
    };
    for (text, words) in [("", "no JSON"), ("[]", "no results"), ("{\"results\": []}", "no results"), ("{", "no JSON")]
    {
        let error = open(text);
        assert!(error.contains(words) && error.contains("x.json"), "{error}");
    }
    let error = Saved::open(&world.path("nowhere")).unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
    let error = Saved::open(&world.path("")).unwrap_err().to_string();
    assert!(error.contains("no file results_*.json"), "{error}");
}

#[test]
fn a_folder_means_its_newest_results() {
    let world = World::new();
    let path = world.results("a", &one("task", "acc", 0.5, 0.1));
    let newer = path.with_file_name("results_2.json");
    std::fs::write(&newer, one("task", "acc", 0.25, 0.1).to_string()).unwrap();
    let value = |saved: &Saved| saved.scores("task")[0].value;
    assert_eq!(value(&Saved::open(&world.path("a")).unwrap()), 0.25);
    assert_eq!(value(&Saved::open(&world.path("")).unwrap()), 0.25, "the one folder that has any");
    world.results("b", &one("task", "acc", 0.5, 0.1));
    let error = Saved::open(&world.path("")).unwrap_err().to_string();
    assert!(error.contains("several models") && error.contains("results_2.json"), "{error}");
    // A task's name is no way out of the folder.
    std::fs::write(world.path("samples_x_1.jsonl"), "{}").unwrap();
    world.results("c", &one("/../../samples_x", "acc", 0.5, 0.1));
    assert_eq!(Saved::open(&world.path("c")).unwrap().samples_file("/../../samples_x"), None);
    let saved = Saved::open(&world.path("b")).unwrap();
    let error = saved.with_samples(&[world.path("samples_x_1.jsonl")]).unwrap_err().to_string();
    assert!(error.contains("no task in the results"), "{error}");
}
