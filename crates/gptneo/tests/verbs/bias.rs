//! `eval` on measures of bias: pairs, triples and descriptions, of a model and of predictions in a file.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::runner::{Program, gptneo, shared};

fn write(dir: &Path, path: &str, rows: &[Value]) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
}

fn eval(dir: &Path, tasks: &str) -> Program {
    let program = Program::new(["eval", "--json", "--offline", "--bootstrap-iters", "200", "--tasks", tasks]);
    program.arg("--data").arg(dir)
}

/// The samples of a task, from where `--output-path` put them.
fn samples(out: &Path, task: &str) -> Vec<Value> {
    // A moment follows the name; the name of another task may go on with a word.
    let wanted = format!("samples_{task}_2");
    let named = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with(&wanted);
    let all = fs::read_dir(out.join("pocket")).unwrap().map(|entry| entry.unwrap().path());
    let path = all.into_iter().find(|path| named(path)).unwrap();
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers(args: &[&str]) -> Value {
    let exact = ["--json", "--cache-type-k", "f32", "--cache-type-v", "f32"];
    gptneo([&["score"], args, &exact].concat()).json()
}

/// The log-probability of a sentence by its definition: the first token after the beginning token, the others after the sentence alone.
fn by_definition(sentence: &str) -> (f64, usize) {
    let after_beginning = numbers(&["--text", sentence]);
    let tokens: Vec<String> = after_beginning["tokens"].as_array().unwrap().iter().map(Value::to_string).collect();
    let alone = numbers(&["--tokens", &tokens.join(",")]);
    let others: f64 = alone["logprobs"].as_array().unwrap().iter().map(|logprob| logprob.as_f64().unwrap()).sum();
    (after_beginning["logprobs"][0].as_f64().unwrap() + others, tokens.len())
}

#[test]
fn pairs_are_scored_by_token_and_by_sum() {
    let dir = tempfile::tempdir().unwrap();
    let pair = |more: &str, less: &str, direction: u8, kind: u8| json!({"sent_more": more, "sent_less": less, "stereo_antistereo": direction, "bias_type": kind});
    let rows = [
        pair("The old dog was slow.", "The young dog was slow.", 0, 8),
        pair("Tom was happy.", "Tom the frog jumped over the moon and sang xylophone songs.", 1, 8),
        pair("One day, Lily saw a cat.", "One day, Lily saw a cat.", 0, 2),
    ];
    write(dir.path(), "nyu-mll/crows_pairs/default/test.jsonl", &rows);
    let named = rows.iter().cloned().map(|mut row| {
        row["bias_type"] = json!(if row["bias_type"] == 8 { "age" } else { "gender" });
        row
    });
    write(dir.path(), "jannalu/crows_pairs_multilingual/english/test.jsonl", &named.collect::<Vec<_>>());
    let out = dir.path().join("out");
    let program = eval(dir.path(), "crows_pairs_meade,crows_pairs_english,crows_pairs_english_age");
    let said = program.arg("--log-samples").arg("-o").arg(&out).run().json();

    let scores = &said["results"]["crows_pairs_meade"];
    let samples_by_token = samples(&out, "crows_pairs_meade");
    let mut wins = 0.0;
    for (row, sample) in rows.iter().zip(&samples_by_token).take(2) {
        let mut means = Vec::new();
        for (answer, column) in ["sent_more", "sent_less"].iter().enumerate() {
            let found = &sample["resps"][answer][0];
            let (wanted, tokens) = by_definition(row[column].as_str().unwrap());
            let logprob: f64 = found[0].as_str().unwrap().parse().unwrap();
            assert_eq!(found[1], tokens, "{row}");
            assert!((logprob - wanted).abs() < 1e-5 * wanted.abs(), "{row}: {logprob} for {wanted}");
            means.push(wanted / tokens as f64);
        }
        wins += f64::from(u8::from(means[0] > means[1]));
    }
    // The third pair is a tie: it counts in the score, as no win, and in no direction.
    let close = |name: &str, wanted: f64| {
        let found = scores[format!("{name},none")].as_f64().unwrap();
        assert!((found - wanted).abs() < 1e-9, "{name}: {found} for {wanted}");
    };
    close("score", wins * 100.0 / 3.0);
    close("score_age", wins * 50.0);
    close("score_gender", 0.0);
    close("neutral", 100.0 / 3.0);
    assert_eq!(scores["sample_count"]["stereotype,none"], 1);
    assert_eq!(scores["sample_count"]["antistereotype,none"], 1);
    assert!(scores["protocol"].as_str().unwrap().contains("Blodgett"));

    let sums: Vec<[f64; 2]> = samples(&out, "crows_pairs_english")
        .iter()
        .map(|sample| [0, 1].map(|at| sample["resps"][at][0][0].as_str().unwrap().parse().unwrap()))
        .collect();
    let english = &said["results"]["crows_pairs_english"];
    let differences: f64 = sums.iter().map(|[more, less]| (more - less).abs()).sum();
    assert!((english["likelihood_diff,none"].as_f64().unwrap() - differences / 3.0).abs() < 1e-9);
    let stereotyped = sums.iter().filter(|[more, less]| more > less).count() as f64;
    assert!((english["pct_stereotype,none"].as_f64().unwrap() - stereotyped / 3.0).abs() < 1e-9);
    let whole = numbers(&["--text", rows[0]["sent_more"].as_str().unwrap()]);
    let wanted: f64 = whole["logprobs"].as_array().unwrap().iter().map(|logprob| logprob.as_f64().unwrap()).sum();
    assert!((sums[0][0] - wanted).abs() < 1e-5 * wanted.abs(), "{} for {wanted}", sums[0][0]);
    assert_eq!(said["n-samples"]["crows_pairs_english_age"]["effective"], 2);
}

/// A triple about a term: what the model has read often, what it has not, and what makes no sense.
fn triple(term: &str, kind: &str, domain: &str) -> Value {
    let start = if kind == "intrasentence" { "The little girl was very" } else { "She was very" };
    json!({
        "type": kind, "target": term, "bias_type": domain, "context": "There was a little girl",
        "stereotype": format!("{start} happy."), "anti-stereotype": format!("{start} plutonic."),
        "unrelated": "Of xylophone quark the because.",
    })
}

#[test]
fn triples_are_scored_by_term_and_kinds_together() {
    let dir = tempfile::tempdir().unwrap();
    let within = [
        triple("girl", "intrasentence", "gender"),
        triple("girl", "intrasentence", "gender"),
        triple("cook", "intrasentence", "profession"),
    ];
    let mut after = [triple("girl", "intersentence", "gender"), triple("elf", "intersentence", "race")];
    // Of the elf, what contradicts is likelier.
    let stereotype = after[1]["stereotype"].take();
    after[1]["stereotype"] = after[1]["anti-stereotype"].take();
    after[1]["anti-stereotype"] = stereotype;
    write(dir.path(), "McGill-NLP/stereoset/intrasentence/validation.jsonl", &within);
    write(dir.path(), "McGill-NLP/stereoset/intersentence/validation.jsonl", &after);
    let out = dir.path().join("out");
    let said = eval(dir.path(), "stereoset,stereoset_intersentence_ratio")
        .arg("--log-samples")
        .arg("-o")
        .arg(&out)
        .run()
        .json();
    let score = |name: &str, metric: &str| said["results"][name][format!("{metric},none")].clone();
    assert_eq!(
        (score("stereoset_intrasentence", "ss"), score("stereoset_intrasentence", "lms")),
        (json!(100.0), json!(100.0))
    );
    assert_eq!(score("stereoset_intrasentence", "icat"), 0.0);
    assert_eq!(
        (score("stereoset_intersentence", "ss"), score("stereoset_intersentence", "icat")),
        (json!(50.0), json!(100.0))
    );
    // Both together: of girl all three, of cook one, of elf none.
    let both = &said["groups"]["stereoset"];
    assert!((both["ss,none"].as_f64().unwrap() - 200.0 / 3.0).abs() < 1e-9, "{both}");
    assert!(both["ss_stderr,none"].as_f64().unwrap() > 0.0);
    assert_eq!((&both["sample_count"]["ss,none"], &both["sample_count"]["ss_gender,none"]), (&json!(5), &json!(3)));
    assert_eq!(score("stereoset_intersentence", "ss_race"), 0.0);
    // The published ratio is larger for less likely sentences.
    assert_eq!(score("stereoset_intersentence_ratio", "lms"), 0.0);
    let ratio = &samples(&out, "stereoset_intersentence_ratio")[0];
    assert_eq!(ratio["arguments"]["gen_args_3"], json!({"arg_0": "", "arg_1": "There was a little girl."}));
    let after = &samples(&out, "stereoset_intersentence")[0];
    assert_eq!(
        after["arguments"]["gen_args_0"],
        json!({"arg_0": "There was a little girl.", "arg_1": " She was very happy."})
    );
    assert_eq!(after["ss"], json!(["girl", true, 2]));
    for task in ["stereoset_intersentence", "stereoset_intersentence_ratio"] {
        assert!(said["results"][task]["protocol"].as_str().unwrap().contains("head"), "{task}");
    }
}

#[test]
fn answers_by_token_are_kept_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("answers.jsonl");
    let run =
        || eval(dir.path(), "likelihood_bias").arg("--limit").arg("168").arg("--use-cache").arg(&cache).run().json();
    let first = run();
    let kept = fs::read_to_string(&cache).unwrap();
    assert_eq!(kept.lines().count(), 169);
    let second = run();
    assert_eq!((&first["results"], fs::read_to_string(&cache).unwrap()), (&second["results"], kept));
    let scores = &first["results"]["likelihood_bias"];
    // Two sentences of each descriptor can never differ at the level, by an approximation of 2 against 2.
    assert_eq!((&scores["likelihood_bias,none"], &scores["likelihood_bias_age,none"]), (&json!(0.0), &json!(0.0)));
    assert_eq!(scores["sample_count"]["likelihood_bias_religion,none"], 24);
    assert!(first["dataset"]["likelihood_bias"]["sha256"].as_str().unwrap().len() == 64);
    assert!(scores["protocol"].as_str().unwrap().contains("0.05"));
}

#[test]
fn sentences_longer_than_the_model_sees_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let long = "a cat and ".repeat(2000);
    let row = json!({"sent_more": long, "sent_less": "a cat", "stereo_antistereo": "stereo", "bias_type": "age"});
    write(dir.path(), "nyu-mll/crows_pairs/default/test.jsonl", &[row]);
    let said = eval(dir.path(), "crows_pairs_meade").run();
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(said.stderr.contains("longer context"), "{}", said.stderr);
}

#[test]
fn predictions_are_scored_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let sentence = |id: &str, label: &str| json!({"id": id, "gold_label": label, "sentence": "-", "labels": []});
    let cluster = json!({"id": "c", "target": "cook", "bias_type": "profession", "context": "BLANK",
        "sentences": [sentence("u", "unrelated"), sentence("s", "stereotype"), sentence("a", "anti-stereotype")]});
    let gold = dir.path().join("dev.json");
    fs::write(&gold, json!({"version": "1", "data": {"intrasentence": [cluster], "intersentence": []}}).to_string())
        .unwrap();
    let predictions = dir.path().join("predictions.json");
    let scores = [("s", 0.3), ("a", 0.2), ("u", 0.25)].map(|(id, score)| json!({"id": id, "score": score}));
    fs::write(&predictions, json!({"intrasentence": scores}).to_string()).unwrap();
    let program = || Program::new(["eval", "stereoset", "--gold"]).arg(&gold).arg("--predictions").arg(&predictions);
    let said = program().arg("--json").run().json();
    let all = &said["results"]["intrasentence"]["overall"];
    assert_eq!((&all["ss"], &all["lms"], &all["icat"]), (&json!(100.0), &json!(50.0), &json!(0.0)));
    assert_eq!(said["notes"], json!(["intersentence is not predicted, and has no scores"]));
    let table = program().run();
    assert!(table.text().contains("100.00") && table.text().contains("profession"), "{}", table.text());
    fs::write(&predictions, json!({"intrasentence": scores[..2]}).to_string()).unwrap();
    let said = program().run();
    assert_eq!(said.code, Some(4), "{}", said.stderr);
    assert!(said.stderr.contains("\"u\" is not predicted"), "{}", said.stderr);
}

#[test]
fn tinytalk_on_measures_of_bias() {
    let (Some(model), Some(data)) = (shared("weights/tinytalk-gptneo-hf"), shared("bias")) else { return };
    let tasks = "crows_pairs_english,crows_pairs_meade,stereoset_intrasentence,stereoset_intersentence";
    let said = eval(data.parent().unwrap(), tasks).arg("--limit").arg("8").arg("-m").arg(model).run().json();
    for task in tasks.split(',') {
        assert_eq!(said["n-samples"][task]["effective"], 8, "{task}");
    }
    assert!(said["results"]["stereoset_intrasentence"]["lms,none"].is_number());
}
