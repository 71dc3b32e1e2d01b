//! Grammars and schemas that are none, and files of them that are not there.

use super::Table;
use super::runner::Program;

pub(super) fn add(table: &mut Table) {
    let model = table.model();
    let run = move || Program::new(["run", "-p", "a", "-m"]).arg(&model);
    let mut with = |flag: &str, form: &str, says| {
        let short: String = form.chars().take(60).collect();
        table.add(format!("{flag} {short}"), run().arg(flag).arg(form), 2, says);
    };
    with("--grammar", "", "there is no rule `root`");
    with("--grammar", "root ::= \"a", "line 1, column 10: the text is not closed");
    with("--grammar", "root ::= a", "rule `a` is used in line 1, but nowhere defined");
    with("--grammar", "root ::= root \"a\" | \"b\"", "rule `root` begins with itself");
    with("--grammar", "root ::= \"a\" root", "never ends");
    with("--grammar", &format!("root ::= {}", "(".repeat(9000)), "nested deeper than 64");
    with("--grammar", &"root".repeat(20_000), "may have at most 32768");
    with("--json-schema", "{", "it is not JSON");
    with("--json-schema", "7", "it must be an object, or true");
    with("--json-schema", r#"{"type": "strnig"}"#, "strnig");
    with("--json-schema", r#"{"uniqueItems": true, "type": "array"}"#, "uniqueItems");
    with("--json-schema", &format!("{}{}", "[".repeat(99), "]".repeat(99)), "nested deeper than 64");
    with("--json_schema", r#"{"$ref": "http://x/y"}"#, "http://x/y");
    let model = table.model();
    let run = || Program::new(["run", "-p", "a", "-m"]).arg(&model);
    let beams = run().args(["--beams", "2", "--grammar", "root ::= \"a\""]);
    table.add("beams in a form", beams, 2, "`beams` does not go with `form`");
    let both = run().args(["--json-schema", "{}", "--grammar", "root ::= \"a\""]);
    table.add("two forms", both, 2, "cannot be used with");
    table.add("no schema file", run().args(["--json-schema", "@nowhere.json"]), 3, "nowhere.json");
    table.add("no grammar file", run().args(["--grammar-file", "nowhere.gbnf"]), 3, "nowhere.gbnf");
    let wrong = table.write("wrong.gbnf", "root ::= \"a\"\nitem := \"b\"\n");
    table.add("a wrong grammar file", run().arg("--grammar-file").arg(wrong), 2, "line 2, column 6: wanted `::=`");
    let bare = super::runner::golden("gpt_neo");
    let ids = Program::new(["run", "--tokens", "1", "--grammar", "root ::= \"a\"", "-m"]).arg(bare);
    table.add("a form without a tokenizer", ids, 2, "a form for what is generated needs a tokenizer");
    // The small tokenizer has no byte above ASCII.
    let lacking = run().args(["--grammar", "root ::= \"é\""]);
    table.add("a form that the tokenizer cannot spell", lacking, 2, "no token goes on in the form asked for");
}
