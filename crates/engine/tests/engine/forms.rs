//! What is asked for in a form comes in it, by every door.

use std::ops::ControlFlow;
use std::sync::Arc;

use gptneo_engine::{
    BeamSettings, Cause, Engine, FinishReason, Form, Generation, History, Rail, Request, Sampling, SchedulerOptions,
    Speculation,
};
use gptneo_text::Tokenizer;
use serde_json::Value;

use crate::schema::{SCHEMAS, admits};
use crate::toy::{Dice, EOS, Law, Toy, hashed, markov, run, sampled};

/// Joined tokens beside single bytes.
const JOINED: [&str; 16] =
    ["{\"", "\":", "\",", "\"}", "true", "null", "Ġ\"", ":Ġ", "],", "[[", "ab", "12", "name", "age", "é", "<a>"];
/// Bytes as the tokenizer spells them: printable ASCII, space, line break, and the two of `é`.
fn words() -> Vec<String> {
    let printable = (0x21u8..=0x7e).map(|byte| char::from(byte).to_string());
    let others = ["Ġ", "Ċ", "Ã", "©", "ÿ"].map(str::to_owned);
    ["<|endoftext|>".to_owned()].into_iter().chain(printable).chain(others).chain(JOINED.map(spelled)).collect()
}

fn spelled(text: &str) -> String {
    text.replace('é', "Ã©")
}

fn tokenizer() -> Tokenizer {
    let vocab: serde_json::Map<String, Value> = words().into_iter().zip((0..).map(Value::from)).collect();
    Tokenizer::from_bpe(&serde_json::to_vec(&vocab).unwrap(), b"").unwrap()
}

fn vocab() -> usize {
    words().len()
}

fn toy(law: Law) -> Toy {
    Toy::new(vocab(), law).positions(2048)
}

fn engine(toy: Toy) -> Engine {
    Engine::new(Box::new(toy), Some(tokenizer()))
}

/// Wants to say `text`, a byte a token, and then to end.
fn wanting(text: &str) -> Law {
    let ids = tokenizer().encode(text).unwrap();
    Arc::new(move |tokens| {
        let next = ids.get(tokens.len() - 1).copied().unwrap_or(EOS);
        (0..vocab() as u32).map(|id| if id == next { 10.0 } else { -(id as f32) / 100.0 }).collect()
    })
}

fn asked(form: Form) -> Request {
    Request { form: Some(form), max_tokens: Some(600), ..Request::new(vec![1]) }
}

/// What a model that wants to say `text` says in this form.
fn says(form: &Form, text: &str) -> (String, Cause) {
    let done = run(&mut engine(toy(wanting(text))), asked(form.clone())).remove(0);
    (done.text, done.cause)
}

fn admitted(form: &Form, texts: &[&str]) {
    for text in texts {
        let (said, cause) = says(form, text);
        assert_eq!(said, *text, "{form:?}");
        assert!(matches!(cause, Cause::EndOfSequence | Cause::FormComplete), "{form:?}: {text} ended by {cause:?}");
    }
}

fn not_admitted(form: &Form, texts: &[&str]) {
    for text in texts {
        let (said, cause) = says(form, text);
        assert!(said != *text || cause == Cause::MaxTokens, "{form:?} admits {text}");
    }
}

fn refused(request: Request) -> String {
    let outcome = engine(toy(hashed(vocab(), 3.0))).generate(request, &mut |_| ControlFlow::Continue(()));
    outcome.expect_err("is refused").to_string()
}

fn whole(generation: &Generation) -> bool {
    matches!(generation.cause, Cause::EndOfSequence | Cause::FormComplete)
}

#[test]
fn what_is_sampled_is_valid() {
    let mut engine = engine(toy(hashed(vocab(), 2.0)));
    let mut ended = 0;
    for (seed, source) in (0..240).zip(SCHEMAS.iter().cycle()) {
        let schema: Value = serde_json::from_str(source).unwrap();
        let request = Request { sampling: sampled(seed), ..asked(Form::JsonSchema((*source).to_owned())) };
        let done = run(&mut engine, request).remove(0);
        if !whole(&done) {
            assert_eq!(done.finish_reason(), FinishReason::Length);
            continue;
        }
        ended += 1;
        assert_eq!(done.finish_reason(), FinishReason::Stop);
        let value: Value = serde_json::from_str(&done.text).unwrap_or_else(|why| panic!("{why}: {}", done.text));
        assert!(admits(&schema, &value, &schema), "{source} does not admit {}", done.text);
    }
    assert!(ended > 230, "{ended} of 240 came to their end");
}

#[test]
fn schemas_admit_what_they_admit() {
    let schema = |source: &str| Form::JsonSchema(source.to_owned());
    admitted(&Form::JsonObject, &["{}", r#"{"a":1}"#, "{ \"a\": [null,\n  true, -1.5e3, \"\\u0007\\n\\\"x\"]}"]);
    not_admitted(&Form::JsonObject, &["[]", "1", "{", r#"{"a":}"#, r#"{"a":01}"#, "{'a':1}"]);
    admitted(&schema(r#"{"type": "string", "pattern": "^[a-c]+-[0-9]{2}$"}"#), &[r#""abc-12""#]);
    not_admitted(&schema(r#"{"type": "string", "pattern": "^[a-c]+-[0-9]{2}$"}"#), &[r#""abd-12""#, r#""a-1""#]);
    admitted(&schema("true"), &["1", "[]", "\"a\""]);
    admitted(&schema(SCHEMAS[2]), &[r#"{"a":[1,"x\"y\\z",null],"b":{"c":-2.5}}"#]);
    not_admitted(&schema(r#"{"type": "integer", "minimum": 3, "maximum": 12}"#), &["2", "13", "3.5", "-4"]);
    admitted(&schema(r#"{"type": "integer", "minimum": 3, "maximum": 12}"#), &["3", "9", "10", "12"]);
    admitted(&schema(r#"{"type": "string", "format": "date"}"#), &["\"2026-11-28\""]);
}

#[test]
fn regular_expressions_match_the_whole_text() {
    let regex = |source: &str| Form::Regex(source.to_owned());
    admitted(&regex("[a-z]{2,4}"), &["ab", "abcd"]);
    not_admitted(&regex("[a-z]{2,4}"), &["a", "abcde", "a1"]);
    admitted(&regex("a/b|c\\/d"), &["a/b", "c/d"]);
    admitted(&regex("é+"), &["é", "ééé"]);
    admitted(&regex("(?i)yes|no?"), &["YeS", "n", "nO"]);
    admitted(&regex("^a$"), &["a"]);
}

#[test]
fn lark_grammars_are_read() {
    let lark = Form::Lark("start: \"<\" NAME (\",\" NAME)* \">\"\nNAME: /[a-z]+/\n%ignore \" \"".to_owned());
    admitted(&lark, &["<a>", "<ab, cd>"]);
    not_admitted(&lark, &["<>", "<A>"]);
}

/// The grammar of JSON that comes with llama.cpp, in words of our own.
const JSON: &str = r#"
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws     ::= | " " | "\n" [ \t]{0,20}
"#;

/// llama.cpp's grammar of arithmetic, in which spaces may be line breaks.
const ARITHMETIC: &str = r#"
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
"#;

#[test]
fn grammars_admit_what_they_admit() {
    let grammar = |source: &str| Form::Grammar(source.to_owned());
    admitted(&grammar(JSON), &["{}", r#"{"a": [1, -2.5e3, "x\"", {"b": null}], "c": true }"#, "{\n  \"é\":[]}"]);
    not_admitted(&grammar(JSON), &["[]", r#"{"a" 1}"#, r#"{"a":1,}"#, "{\"a\":\"\n\"}"]);
    // Without recursion it is exact, also where a repetition must give back what it took.
    let greedy = grammar("root ::= [a-z]* \"end\" [a-z]?");
    admitted(&greedy, &["end", "endend", "spend", "ends", "enend"]);
    not_admitted(&greedy, &["en", "ending", "end."]);
    // What follows a repetition may begin as it goes on.
    admitted(&grammar(ARITHMETIC), &["1=2\n", "1 +x_1 = (2*3) \n", "a\n= b\n\n", "1=2\n3=4\n"]);
    not_admitted(&grammar(ARITHMETIC), &["1=2", "1+=2\n", "1+ 2=3\n", "=2\n", "(1=2\n"]);
    let sums = grammar("root ::= term (\"+\" term)*\nterm ::= [0-9]+ | \"(\" root \")\"");
    admitted(&sums, &["1", "1+22", "(1+(2))+3", "((((((1))))))"]);
    not_admitted(&sums, &["", "1+", "(1", "1)", "+1"]);
    admitted(&grammar("root ::= .{2} \"\\n\"? | \"\""), &["", "é.", "ab\n"]);
    admitted(&grammar("root ::= [^a-c] [\\u00e9] \"\\x41\"{2,}"), &["déAA", "zéAAAA"]);
    not_admitted(&grammar("root ::= [^a-c] [\\u00e9] \"\\x41\"{2,}"), &["aéAA", "déA"]);
}

#[test]
fn the_end_comes_where_the_form_may_end_and_nowhere_else() {
    let regex = |source: &str| Form::Regex(source.to_owned());
    // The model would end at once; then it takes the lowest id that is left.
    assert_eq!(says(&regex("[b-d]{3}"), ""), ("bbb".to_owned(), Cause::FormComplete));
    assert_eq!(says(&regex("[b-d]{3,}"), ""), ("bbb".to_owned(), Cause::EndOfSequence));
    assert_eq!(says(&regex("x|xy"), "x"), ("x".to_owned(), Cause::EndOfSequence));
    assert_eq!(says(&Form::Grammar("root ::= \"\"".to_owned()), "abc"), (String::new(), Cause::FormComplete));
}

#[test]
fn what_follows_the_end_is_not_asked_for() {
    let toy = toy(wanting("abc"));
    let watch = toy.watch();
    let done = run(&mut engine(toy), asked(Form::Regex("abc".to_owned()))).remove(0);
    assert_eq!((done.text.as_str(), done.cause), ("abc", Cause::FormComplete));
    assert_eq!(watch.lock().unwrap().steps.len(), 3);
}

#[test]
fn lengths_give_way_to_the_form_or_cut_it() {
    let form = || Some(Form::Regex("a{4}".to_owned()));
    let request = Request { form: form(), min_tokens: 10, max_tokens: Some(20), ..Request::new(vec![1]) };
    let done = run(&mut engine(toy(wanting("aaaa"))), request).remove(0);
    assert_eq!((done.text.as_str(), done.cause), ("aaaa", Cause::FormComplete));
    let request = Request { form: form(), max_tokens: Some(3), ..Request::new(vec![1]) };
    let done = run(&mut engine(toy(wanting("aaaa"))), request).remove(0);
    assert_eq!((done.text.as_str(), done.finish_reason()), ("aaa", FinishReason::Length));
    let request = Request { form: form(), max_tokens: Some(4), ..Request::new(vec![1]) };
    assert_eq!(run(&mut engine(toy(wanting("aaaa"))), request).remove(0).cause, Cause::FormComplete);
    // Before the minimum the end is forbidden as long as something else may follow.
    let form = Some(Form::Regex("a+".to_owned()));
    let request = Request { form, min_tokens: 3, max_tokens: Some(9), ..Request::new(vec![1]) };
    let done = run(&mut engine(toy(wanting("a"))), request).remove(0);
    assert_eq!((done.text.as_str(), done.cause), ("aaa", Cause::EndOfSequence));
}

#[test]
fn stops_keep_their_meaning() {
    let letters = || Some(Form::Regex("[a-z]{3,9}".to_owned()));
    let request = Request { form: letters(), stop_strings: vec!["cd".into()], ..Request::new(vec![1]) };
    let done = run(&mut engine(toy(wanting("bcdef"))), request).remove(0);
    assert_eq!((done.text.as_str(), done.cause), ("b", Cause::StopString("cd".into())));
    // A stop id ends a whole text, and does not stand in one.
    let stop = tokenizer().id_of("z").unwrap();
    let request = || Request { form: letters(), stop_ids: vec![stop], ..Request::new(vec![1]) };
    let done = run(&mut engine(toy(wanting("zbcz"))), request()).remove(0);
    assert_eq!(done.text.find('z'), None);
    assert!(done.text.len() >= 3, "{}", done.text);
    let done = run(&mut engine(toy(wanting("bcdz"))), request()).remove(0);
    assert_eq!((done.text.as_str(), done.cause), ("bcd", Cause::StopId(stop)));
}

#[test]
fn models_that_cannot_end_end_with_the_form() {
    let request = |source: &str| Request {
        form: Some(Form::Regex(source.to_owned())),
        ignore_eos: true,
        max_tokens: Some(9),
        ..Request::new(vec![1])
    };
    let done = run(&mut engine(toy(wanting("cd"))), request("cd")).remove(0);
    assert_eq!((done.text.as_str(), done.cause), ("cd", Cause::FormComplete));
    let done = run(&mut engine(toy(wanting("cd")).no_eos()), request("[a-d]+")).remove(0);
    assert_eq!((done.ids().len(), done.cause), (9, Cause::MaxTokens));
}

#[test]
fn an_echoed_prompt_is_not_part_of_the_form() {
    let request = Request { echo: true, form: Some(Form::Regex("xy".to_owned())), ..Request::new("{") };
    let done = run(&mut engine(toy(wanting("xy"))), request).remove(0);
    assert_eq!(done.text, "{xy");
}

/// Raises one token above all others, and forbids another.
#[derive(Debug)]
struct Willful {
    raised: u32,
    forbidden: Option<u32>,
}

impl Rail for Willful {
    fn name(&self) -> &str {
        "willful"
    }

    fn needs_text(&self) -> bool {
        false
    }

    fn alter_logits(&self, _: History<'_>, logits: &mut [f32]) {
        logits[self.raised as usize] = 1e6;
        if let Some(id) = self.forbidden {
            logits[id as usize] = f32::NEG_INFINITY;
        }
    }
}

#[test]
fn form_and_rails_both_hold() {
    let id = |token: &str| tokenizer().id_of(token).unwrap();
    let with = |forbidden, source: &str| {
        let rail: Arc<dyn Rail> = Arc::new(Willful { raised: id("Q"), forbidden });
        let mut engine = Engine::with_rails(
            Box::new(toy(wanting("bbb"))),
            Some(tokenizer()),
            vec![rail],
            SchedulerOptions::default(),
        );
        let outcome = engine.generate(asked(Form::Regex(source.to_owned())), &mut |_| ControlFlow::Continue(()));
        outcome.map(|mut done| done.remove(0).text).map_err(|error| error.to_string())
    };
    assert_eq!(with(None, "[a-c]{3}"), Ok("bbb".to_owned()));
    assert!(!with(Some(id("b")), "[a-c]{3}").unwrap().contains('b'));
    let message = with(Some(id("b")), "b{3}").unwrap_err();
    assert!(message.starts_with("no token is left") && message.contains("form"), "{message}");
}

#[test]
fn bias_and_penalties_do_not_open_the_form() {
    let bias = (0..vocab() as u32).map(|id| (id, if id % 2 == 0 { 100.0 } else { -100.0 })).collect();
    let sampling = Sampling { logit_bias: bias, repeat_penalty: 1.5, presence_penalty: 2.0, top_k: 3, ..sampled(4) };
    let source = SCHEMAS[0];
    let request = Request { sampling, n: 8, ..asked(Form::JsonSchema(source.to_owned())) };
    let schema: Value = serde_json::from_str(source).unwrap();
    for done in run(&mut engine(toy(hashed(vocab(), 3.0))), request).iter().filter(|done| whole(done)) {
        let value: Value = serde_json::from_str(&done.text).unwrap();
        assert!(admits(&schema, &value, &schema), "{}", done.text);
    }
}

#[test]
fn samples_follow_their_own_way() {
    let source = SCHEMAS[3];
    let request = |n| Request { n, sampling: sampled(11), ..asked(Form::JsonSchema(source.to_owned())) };
    let law = hashed(vocab(), 2.0);
    let many = run(&mut engine(toy(law.clone())), request(12));
    let schema: Value = serde_json::from_str(source).unwrap();
    let mut distinct = std::collections::HashSet::new();
    for done in many.iter().filter(|done| whole(done)) {
        let value: Value = serde_json::from_str(&done.text).unwrap();
        assert!(admits(&schema, &value, &schema), "{}", done.text);
        distinct.insert(done.text.clone());
    }
    assert!(distinct.len() > 4, "{distinct:?}");
    assert_eq!(run(&mut engine(toy(law)), request(1))[0].ids(), many[0].ids());
}

#[test]
fn speculation_changes_no_token() {
    let mut dice = Dice(31);
    for round in 0..60 {
        let law = markov(vocab(), 6.0, dice.from(1, 3));
        let noise = markov(vocab(), dice.below(4) as f32, 3);
        let near: Law = {
            let law = law.clone();
            Arc::new(move |tokens| law(tokens).iter().zip(noise(tokens)).map(|(a, b)| a + b).collect())
        };
        let sampling = if dice.once_in(3) { Sampling::default() } else { sampled(round) };
        let source = SCHEMAS[dice.below(SCHEMAS.len())];
        let request = Request {
            sampling,
            n: dice.from(1, 3),
            max_tokens: Some(dice.from(1, 120)),
            ignore_eos: dice.once_in(2),
            ..asked(Form::JsonSchema(source.to_owned()))
        };
        let with = |speculation| {
            let engine = engine(toy(law.clone()));
            let mut engine = engine.with_draft(Box::new(toy(near.clone()))).unwrap();
            let done = run(&mut engine, Request { speculation, ..request.clone() });
            done.into_iter().map(|one| (one.ids(), one.cause)).collect::<Vec<_>>()
        };
        let plain = with(Speculation::None);
        for guess in [Speculation::PromptLookup { ngram: 3, tokens: 8 }, Speculation::Draft { tokens: 5 }] {
            assert_eq!(with(guess), plain, "{guess:?} {request:?}");
        }
    }
}

#[test]
fn a_draft_is_kept_to_the_form_too() {
    let law = hashed(vocab(), 4.0);
    let toy = toy(law.clone());
    let watch = toy.watch();
    let mut engine = engine(toy).with_draft(Box::new(self::toy(law))).unwrap();
    let speculation = Speculation::Draft { tokens: 5 };
    let form = Some(Form::Regex("[a-z]{61}".to_owned()));
    let done = run(&mut engine, Request { form, speculation, sampling: sampled(1), ..Request::new(vec![1]) }).remove(0);
    assert_eq!(done.text.len(), 61);
    // A draft that agrees is always taken: six tokens a step, so it was asked under the form.
    let steps = watch.lock().unwrap().steps.len();
    assert!(steps <= 2 + done.ids().len().div_ceil(6), "{steps} steps for {} tokens", done.ids().len());
}

#[test]
fn the_same_tokens_alone_in_a_batch_and_in_scarcity() {
    let law = hashed(vocab(), 2.5);
    let request = |seed: u64| {
        let form = match seed % 8 {
            6 => None,
            7 => Some(Form::Grammar(JSON.to_owned())),
            other => Some(Form::JsonSchema(SCHEMAS[other as usize].to_owned())),
        };
        let prompt = (1..3 + seed as u32 % 9).collect::<Vec<u32>>();
        Request {
            form,
            sampling: sampled(seed),
            max_tokens: Some(60),
            n: 1 + seed as usize % 2,
            ..Request::new(prompt)
        }
    };
    let ids = |done: Vec<Generation>| done.iter().map(|one| (one.ids(), one.cause.clone())).collect::<Vec<_>>();
    let alone: Vec<_> = (0..24).map(|seed| ids(run(&mut engine(toy(law.clone())), request(seed)))).collect();
    for pages in [4096, 60] {
        let mut engine = engine(toy(law.clone()).pages(pages));
        let mut together = vec![Vec::new(); 24];
        let outcome = engine.generate_many((0..24).map(request), &mut |place, done| {
            together[place] = ids(done.unwrap());
            ControlFlow::Continue(())
        });
        outcome.unwrap();
        assert_eq!(together, alone, "{pages} pages");
    }
}

#[test]
fn refuses_what_does_not_go_with_a_form() {
    let beams = Some(BeamSettings { width: 2, ..BeamSettings::default() });
    let message = refused(Request { beams, ..asked(Form::JsonObject) });
    assert!(message.starts_with("`beams` does not go with `form`"), "{message}");
    let mut bare = Engine::new(Box::new(toy(hashed(vocab(), 3.0))), None);
    let outcome = bare.generate(asked(Form::JsonObject), &mut |_| ControlFlow::Continue(()));
    let message = outcome.expect_err("is refused").to_string();
    assert!(message.starts_with("a form for what is generated needs a tokenizer"), "{message}");
}

#[test]
fn a_tokenizer_that_lacks_bytes_is_an_error_in_words() {
    let law = hashed(crate::toy::VOCAB, 3.0);
    let mut engine = crate::toy::engine(Toy::new(crate::toy::VOCAB, law));
    let outcome = engine.generate(asked(Form::JsonObject), &mut |_| ControlFlow::Continue(()));
    let message = outcome.expect_err("has no bracket").to_string();
    assert!(message.starts_with("no token goes on"), "{message}");
    let done = run(&mut engine, Request { max_tokens: Some(2), ..Request::new(vec![1]) });
    assert_eq!(done.len(), 1, "it goes on working");
}

#[test]
fn refuses_forms_that_are_none_in_words() {
    let says = |form: Form, wanted: &str| {
        let message = refused(asked(form.clone()));
        let checked = form.check().expect_err("is seen without a tokenizer").to_string();
        assert!(
            message.contains(wanted) && checked.contains(wanted),
            "wanted `{wanted}`, found `{message}`, `{checked}`"
        );
        assert!(!message.contains('\n') && message.len() < 500, "{message}");
    };
    let schema = |source: &str| Form::JsonSchema(source.to_owned());
    says(
        schema("{"),
        "the JSON schema cannot be kept to: it is not JSON: EOF while parsing an object at line 1 column 1",
    );
    says(schema("3"), "it must be an object, or true");
    says(schema("false"), "it admits nothing");
    says(schema(r#"{"not": {}}"#), "not");
    says(schema(r#"{"type": "strnig"}"#), "strnig");
    says(schema(r##"{"$ref": "#/nowhere"}"##), "nowhere");
    says(schema(r#"{"$ref": "http://elsewhere/x"}"#), "http://elsewhere/x");
    says(schema(r#"{"type": "string", "pattern": "("}"#), "unclosed group");
    says(schema(r#"{"type": "string", "format": "no-such"}"#), "no-such");
    says(schema(r#"{"type": "array", "uniqueItems": true}"#), "uniqueItems");
    says(schema(r#"{"x-guidance": {}}"#), "`x-guidance` is no keyword");
    says(schema(&format!("{}1{}", "[".repeat(90), "]".repeat(90))), "nested deeper than 64");
    says(schema(&format!("{}1{}", "[".repeat(900), "]".repeat(900))), "recursion limit exceeded");
    says(schema(&format!("{{\"const\": \"{}\"}}", "x".repeat(200_000))), "may have at most 131072");
    let fields: Vec<String> = (0..600).map(|i| format!("\"f{i}\": {{}}")).collect();
    says(schema(&format!("{{\"properties\": {{{}}}}}", fields.join(","))), "has 600 fields, and may have at most 512");
    says(schema(r#"{"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]}"#), "oneOf");
    says(Form::Regex("(a".to_owned()), "the regular expression cannot be kept to");
    says(Form::Regex("(a".to_owned()), "unclosed group");
    says(Form::Regex(String::new()), "it is empty");
    says(Form::Regex("a\\".to_owned()), "backslash");
    says(Form::Regex("a(?=b)".to_owned()), "look-around");
    says(Form::Grammar("root ::= x".to_owned()), "the grammar cannot be kept to: rule `x` is used in line 1");
    says(Form::Lark("start: x".to_owned()), "unknown name: \"x\"");
    says(Form::Lark("beginning: \"x\"".to_owned()), "no start rule");
}
