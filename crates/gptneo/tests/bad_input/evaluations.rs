//! Evaluations: names, definitions, data and flags that cannot be used.

use std::path::Path;

use super::Table;
use super::runner::Program;

pub(super) fn add(table: &mut Table) {
    let model = table.model();
    let eval = |args: &[&str]| {
        let program = Program::new(["eval", "--offline", "-m"]).arg(&model);
        args.iter().fold(program, |program, arg| program.arg(*arg))
    };
    table.add("no task", eval(&[]), 2, "no task is named");
    table.add("a task nobody knows", eval(&["--tasks", "lambda_openai"]), 2, "near are lambada_openai");
    table.add("a score of masked models", eval(&["--tasks", "crows_pairs_mlm"]), 2, "Take crows_pairs_meade");
    let predictions = table.write("predictions.json", "{\"intrasentence\": [{\"id\": \"a\", \"score\": NaN}]}");
    let stereoset =
        |gold: &str| Program::new(["eval", "stereoset", "--predictions"]).arg(&predictions).arg("--gold").arg(gold);
    table.add("a gold file nowhere", stereoset("./nowhere"), 3, "nowhere");
    let gold = table.write("gold.json", "{\"data\": {\"intrasentence\": []}}");
    table.add("a gold file of none", stereoset(&gold.display().to_string()), 4, "not one triple");
    table.add("a gold file that is none", stereoset(&predictions.display().to_string()), 4, "dev.json");
    table.add("a pattern of none", eval(&["--tasks", "zz*"]), 2, "there is no task");
    table.add("a set nowhere", eval(&["--tasks", "mathqa"]), 3, "regisss/math_qa");
    table.add("data in no folder", eval(&["--tasks", "piqa", "--data", "./nowhere"]), 3, "nowhere");
    table.add("a limit of none", eval(&["--tasks", "piqa", "--limit", "0"]), 2, "at least one document");
    table.add("a limit that is none", eval(&["--tasks", "piqa", "--limit", "ten"]), 2, "number of documents");
    table.add("a negative limit", eval(&["--tasks", "piqa", "--limit", "-3"]), 2, "number of documents");
    table.add("examples that are no number", eval(&["--tasks", "piqa", "--num-fewshot", "few"]), 2, "--num-fewshot");
    table.add("too many examples", eval(&["--tasks", "piqa", "--num-fewshot", "1001"]), 2, "1000");
    table.add("a setting nobody knows", eval(&["--tasks", "piqa", "--gen-kwargs", "heat=2"]), 2, "only max_gen_toks");
    table.add("no tokens", eval(&["--tasks", "piqa", "--gen-kwargs", "max_gen_toks=0"]), 2, "whole number");
    table.add("samples without a place", eval(&["--tasks", "piqa", "--log-samples"]), 2, "--output-path");
    table.add("a folder nowhere", eval(&["--tasks", "piqa", "--include-path", "./nowhere"]), 3, "nowhere");
    let bare = Program::new(["eval", "--tasks", "piqa", "-m", "random:pythia-14m"]);
    table.add("a model without tokenizer", bare, 2, "--tokenizer");
    let code = |more: &[&str]| eval(&[&["--tasks", "humaneval"], more].concat());
    table.add("programs that nobody runs", code(&[]), 2, "--allow-code-execution");
    table.add("no Python", code(&["--allow-code-execution", "--python", "./nowhere"]), 3, "no Python interpreter");
    table.add(
        "a Python that is none",
        code(&["--allow-code-execution", "--python", "/bin/true"]),
        3,
        "does not run Python",
    );
    table.add("a Python for nothing", code(&["--python", "python3"]), 2, "--allow-code-execution");
    table.add("no time", code(&["--allow-code-execution", "--code-seconds", "0"]), 2, "--code-seconds");
    let cache = table.write("answers.jsonl", "hello\n");
    let own = own(table, "good", "text: '{{text}}'", "{\"text\": \"a\", \"label\": 0}\n");
    table.add("a cache that is none", own.arg("--use-cache").arg(cache), 4, "no file of answers");

    definitions(table);
    data(table);
    judges(table);
    shards(table);
}

fn judges(table: &mut Table) {
    let (model, classifier) = (table.model(), super::runner::classifier("gpt_neo"));
    let named = |kind: &str, path: &std::path::Path, rest: &str| format!("{kind}:{}{rest}", path.display());
    let eval = |flag: &str, scorer: String| {
        let program = Program::new(["eval", "--offline", "--tasks", "bold_gender", "-m"]).arg(&model);
        program.arg(flag).arg(scorer)
    };
    let (toxicity, sentiment) = ("--toxicity-scorer", "--sentiment-scorer");
    let list = table.write("list.txt", "crud\n");
    let columns = table.write("columns.txt", "crud\nholy moly\t-1.5\n");
    let latin = table.write("latin.txt", b"crud\nm\xe4h\n");
    let blank = table.write("blank.txt", "\n \n");
    let with_labels = table.path("classifier");
    super::runner::copy(&classifier, &with_labels);
    super::runner::add_tokenizer(&with_labels);
    let value = super::runner::classifier("gpt_neo_value");
    let nowhere = table.path("nowhere");
    let unjudged = Program::new(["eval", "--offline", "--tasks", "real_toxicity_prompts", "-m"]).arg(&model);
    table.add("a task without its judge", unjudged, 2, "--toxicity-scorer words:FILE");
    table.add("a task with half its judges", eval(toxicity, named("words", &list, "")), 2, "--sentiment-scorer vader");
    table.add("a scorer of no kind", eval(toxicity, "detoxify".to_owned()), 2, "must be words:FILE");
    table.add("a scorer without a file", eval(sentiment, "vader:".to_owned()), 2, "must be vader:FILE");
    table.add("a list nowhere", eval(toxicity, named("words", &nowhere, "")), 3, "nowhere");
    table.add("a list of columns", eval(toxicity, named("words", &columns, "")), 4, "line 2: a tab");
    table.add("a list of Latin 1", eval(toxicity, named("words", &latin, "")), 4, "line 2: the text is not UTF-8");
    table.add("a list of nothing", eval(toxicity, named("words", &blank, "")), 4, "there is no word");
    table.add("a folder for a list", eval(toxicity, named("words", table.dir.path(), "")), 3, "directory");
    table.add("a lexicon of words", eval(sentiment, named("vader", &list, "")), 4, "line 1: a term, a tab");
    table.add("a lexicon nowhere", eval(sentiment, named("vader", &nowhere, "")), 3, "nowhere");
    table.add("a classifier nowhere", eval(toxicity, named("classifier", &nowhere, "")), 3, "nowhere");
    table.add("a model for a classifier", eval(toxicity, named("classifier", &model, "")), 2, "is no classifier");
    table.add("a value for a label", eval(toxicity, named("classifier", &value, "")), 2, "tells a value");
    table.add(
        "no label toxic",
        eval(toxicity, named("classifier", &with_labels, "")),
        2,
        "has no label \"toxic\"; it has contra",
    );
    table.add(
        "a classifier of tokens",
        eval(toxicity, named("classifier", &classifier, "#neutral")),
        2,
        "has no tokenizer",
    );
}

/// Token shards that are none, damaged, or of another tokenizer; and lengths that a context cannot hold.
fn shards(table: &mut Table) {
    let good = |name: &str, tokenizer: &Path, table: &Table| {
        let text = table.write(&format!("{name}.txt"), "the hen in the tin ran at the hat ".repeat(40));
        let program = Program::new(["data", "tokenize", "-m"]).arg(tokenizer).arg(text).arg("-o").arg(table.path(name));
        let made = program.run();
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        table.path(name)
    };
    let model = table.model();
    let own = good("shards", &model, table);
    let other = table.changed("another", |dir| std::fs::write(dir.join("merges.txt"), "#version: 0.2\nt h\n").unwrap());
    let foreign = good("foreign", &other, table);
    let damaged = good("damaged", &model, table);
    let path = damaged.join("train-00000.tokens");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[150] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let cut = good("cut", &model, table);
    let path = cut.join("train-00000.tokens");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let empty = table.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let missing = good("missing", &model, table);
    std::fs::remove_file(missing.join("train-00000.tokens")).unwrap();

    let definition = "task: mine\noutput_type: loglikelihood\ntest_split: test\nlocal: {test: [{files: looked.jsonl}]}\n\
                      doc_to_text: '{{text}}'\ndoc_to_target: ' b'\n";
    table.write("looked.jsonl", "{\"text\": \"a\"}\n");
    let definition = table.write("looked.yaml", definition);
    let cases = [
        ("in no folder", table.path("nowhere"), 3, "no token shards"),
        ("in an empty folder", empty, 3, "gptneo data tokenize"),
        ("of another tokenizer", foreign, 4, "name the one that made them"),
        ("damaged", damaged, 4, "checksum"),
        ("cut short", cut, 4, "bytes long"),
        ("of a missing file", missing, 3, "train-00000.tokens"),
    ];
    for (name, folder, code, says) in cases {
        let eval = |verb: &[&str]| Program::new(["eval"].iter().chain(verb).copied()).arg("-m").arg(&model);
        let task = |program: Program| {
            let program = program.arg("--offline").arg("--tasks").arg("mine").arg("--include-path").arg(&definition);
            program.arg("--data").arg(table.dir.path())
        };
        let whole = task(eval(&["contamination"])).arg(&folder);
        let beside = task(eval(&[])).arg("--decontaminate").arg(&folder);
        let memorisation = eval(&["memorisation", "--prefix", "8", "--continuation", "8"]).arg("--shards").arg(&folder);
        table.add(format!("contamination: shards {name}"), whole, code, says);
        table.add(format!("decontaminate: shards {name}"), beside, code, says);
        table.add(format!("memorisation: shards {name}"), memorisation, code, says);
    }
    let memorisation = |flags: &[&str]| {
        let program = Program::new(["eval", "memorisation", "-m"]).arg(&model).arg("--shards").arg(&own);
        flags.iter().fold(program, |program, flag| program.arg(*flag))
    };
    table.add("a prefix beyond the context", memorisation(&[]), 2, "context holds 64");
    table.add("a prefix of nothing", memorisation(&["--prefix", "0"]), 2, "--prefix");
    table.add("a sample of none", memorisation(&["--sample", "0"]), 2, "--sample");
    let short = memorisation(&["--prefix", "8", "--continuation", "8", "-c", "12"]);
    table.add("a context cut below the prefix", short, 2, "context holds 12");
    let tiny = table.write("tiny.txt", "the hen");
    let folder = table.path("tiny");
    let made = Program::new(["data", "tokenize", "-m"]).arg(&model).arg(tiny).arg("-o").arg(&folder).run();
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let program = Program::new(["eval", "memorisation", "-m"]).arg(&model).arg("--shards").arg(folder);
    let program = program.arg("--prefix").arg("20").arg("--continuation").arg("20");
    table.add("documents shorter than the prefix", program, 2, "has 40 tokens");
    let bare = Program::new(["eval", "memorisation", "-m", "random:pythia-14m", "--shards"]).arg(&own);
    table.add("memorisation without tokenizer", bare, 2, "--tokenizer");
    let twice = Program::new(["eval", "contamination", "--tasks", "mine", "-m"]).arg(&model).arg("--include-path");
    let twice = twice.arg(&definition).arg(&own).arg(&own);
    table.add("the same shards twice", twice, 4, "named twice");
    let without = Program::new(["eval", "contamination", "--tasks", "mine"]).arg(&own);
    table.add("contamination without tokenizer", without, 2, "--model");
}

/// A task of one's own, with a definition that ends in `more` and this data.
fn own(table: &Table, name: &str, more: &str, data: &str) -> Program {
    let more = more.replace("text: ", "doc_to_text: ");
    let text = format!(
        "task: mine\noutput_type: multiple_choice\ntest_split: test\nlocal: {{test: [{{files: {name}.jsonl}}]}}\n\
         doc_to_choice: ['a', 'b']\ndoc_to_target: label\n{more}\n"
    );
    table.write(&format!("{name}.jsonl"), data);
    evaluated(table, name, &text)
}

fn evaluated(table: &Table, name: &str, definition: &str) -> Program {
    let path = table.write(&format!("{name}.yaml"), definition);
    let program = Program::new(["eval", "--offline", "--tasks", "mine", "-m"]).arg(table.model());
    program.arg("--include-path").arg(path).arg("--data").arg(table.dir.path())
}

fn definitions(table: &mut Table) {
    let good = "{\"text\": \"a\", \"label\": 0}\n";
    let cases: [(&str, &str, &str); 16] = [
        ("unknown-field", "text: a\nmetrics_list: []", "`metrics_list` is not known"),
        ("unknown-metric", "text: a\nmetric_list: [{metric: accuracy}]", "the metric `accuracy` is not known"),
        ("unknown-aggregation", "text: a\nmetric_list: [{metric: acc, aggregation: sum}]", "aggregation `sum`"),
        ("no-metrics", "text: a\nmetric_list: []", "`metric_list` is empty"),
        ("python", "text: !function utils.prompt", "utils.prompt"),
        ("made-of-nothing", "text: a\ndocuments: !function piqa", "`documents` wants the function `piqa`"),
        ("sentences-alone", "text: a\nsentences: true", "`sentences` is not known"),
        ("other-tag", "text: !python a", "only !function is"),
        ("broken-template", "text: '{{ text'", "is no template"),
        ("unknown-column", "text: '{{ txt }}'", "document 0 of test"),
        (
            "endless-template",
            "text: '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}'",
            "fuel",
        ),
        (
            "broken-filter",
            "text: a\nfilter_list: [{name: x, filter: [{function: regex, regex_pattern: '('}]}]",
            "regular",
        ),
        ("unknown-filter", "text: a\nfilter_list: [{name: x, filter: [{function: sort}]}]", "filter `sort`"),
        ("bare-truth", "text: yes\ndescription: no", "quote it"),
        ("twice", "text: a\ntext: b", "stands twice"),
        ("half-list", "text: a\nmetric_list: [", "no YAML"),
    ];
    for (name, more, says) in cases {
        let program = own(table, name, more, good);
        table.add(format!("definition: {name}"), program, 4, says);
    }
    let whole: [(&str, &str, &str); 9] = [
        (
            "few-answers",
            "task: mine\ntest_split: t\ndoc_to_text: a\nprocess_results: !function humaneval\nmetric_list: [{metric: pass@10}]\n",
            "`repeats` of at least 10",
        ),
        (
            "unknown-passes",
            "task: mine\ntest_split: t\ndoc_to_text: a\nprocess_results: !function humaneval\nmetric_list: [{metric: pass@3}]\n",
            "known are pass@1",
        ),
        ("nameless-split", "task: mine\ndoc_to_text: a\ndoc_to_target: b\n", "neither `test_split`"),
        ("no-text", "task: mine\ntest_split: t\ndoc_to_target: b\n", "`doc_to_text` is missing"),
        ("wrong-kind", "task: mine\ntest_split: t\noutput_type: guess\n", "`output_type` is one of"),
        ("a-list", "- task: mine\n", "a definition is a mapping"),
        ("includes-nothing", "task: mine\ninclude: other.yaml\n", "cannot be included"),
        ("of-no-metric", "group: mine\ntask: [piqa]\naggregate_metric_list: [{metric: []}]\n", "`metric` is empty"),
        ("of-itself", "group: mine\ntask: [mine]\n", "holds itself"),
    ];
    for (name, text, says) in whole {
        let program = evaluated(table, name, text);
        table.add(format!("definition: {name}"), program, 4, says);
    }
}

fn data(table: &mut Table) {
    let cases: [(&str, &str, &str); 6] = [
        ("data-none", "", "without a single row"),
        ("data-text", "hello\n", "line 1"),
        ("data-cut", "{\"text\": \"a\", \"label\": 0}\n{\"text\": ", "line 2"),
        ("data-list", "[1, 2]\n", "line 1"),
        ("data-without-label", "{\"text\": \"a\"}\n", "document 0 of test"),
        ("data-many-labels", "{\"text\": \"a\", \"label\": 0}\n{\"text\": 5}\n", "document 1 of test"),
    ];
    for (name, data, says) in cases {
        let program = own(table, name, "text: '{{text}}'", data);
        table.add(format!("data: {name}"), program, 4, says);
    }
}
