//! `chat` over a pipe: answers alone on standard output, the rest told on standard error.

use super::runner::{Outcome, Program, shared, with_tokenizer};

fn chat(lines: &str, more: &[&str]) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let program = Program::new(["chat", "--chat-template", "plain", "-n", "6", "--temp", "0", "-m"]).arg(model);
    more.iter().fold(program, |p, a| p.arg(*a)).stdin(lines).run()
}

#[test]
fn every_question_has_an_answer() {
    let outcome = chat("hi\n\nand?\n", &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.text().lines().count(), 2, "{}", outcome.text());
}

#[test]
fn commands_are_told_apart_from_questions() {
    let outcome = chat("/help\n/system\n/system be kind\n/system\n/reset\n/exit\nnever read\n", &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.text(), "");
    for said in ["/save FILE", "there is no system text", "system: be kind", "begins anew"] {
        assert!(outcome.stderr.contains(said), "{said}: {}", outcome.stderr);
    }
    let unknown = chat("/frobnicate\n", &[]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("there is no command /frobnicate"), "{}", unknown.stderr);
    assert_eq!(chat("/retry\n", &[]).code, Some(2));
}

#[test]
fn a_conversation_can_be_saved_and_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("talk.json");
    let name = file.to_str().unwrap();
    let outcome = chat(&format!("hi\n/retry\n/save {name}\n/save {name}\n"), &["--system", "be kind"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let roles: Vec<&str> = saved["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant"]);
    let again = chat(&format!("hi\n/save {name}\n"), &[]);
    assert_eq!(again.code, Some(3));
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
}

#[test]
fn several_lines_can_be_one_question() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("talk.txt");
    let outcome = chat(&format!("one\\\ntwo\n\"\"\"three\nfour\"\"\"\n/save {}\n", file.display()), &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let saved = std::fs::read_to_string(&file).unwrap();
    assert!(saved.starts_with("User: one\ntwo\n"), "{saved}");
    assert!(saved.contains("User: three\nfour\n"), "{saved}");
}

#[test]
fn says_what_is_dropped_when_the_context_is_full() {
    let outcome = chat(&"hat in a hat\n".repeat(6), &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("the context of 64 tokens is full: the oldest 2 messages were dropped"),
        "{}",
        outcome.stderr
    );
    let long = chat(&format!("{}\n", "x".repeat(200)), &[]);
    assert_eq!(long.code, Some(2));
    assert!(long.stderr.contains("this message alone takes"), "{}", long.stderr);
}

#[test]
fn a_base_model_is_not_talked_to_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let outcome = Program::new(["chat", "-m"]).arg(&model).stdin("hi\n").run();
    assert_eq!(outcome.code, Some(2));
    for said in ["continues text", "plain, alpaca, chatml, vicuna", "--chat-template-file"] {
        assert!(outcome.stderr.contains(said), "{said}: {}", outcome.stderr);
    }
    let config =
        r#"{"chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}", "eos_token": "<|endoftext|>"}"#;
    std::fs::write(model.join("tokenizer_config.json"), config).unwrap();
    let outcome = Program::new(["chat", "-m"]).arg(&model).stdin("hi\n").run();
    assert_eq!(outcome.code, Some(2), "not even one that came with the model");
    assert!(outcome.stderr.contains("--chat-template model"), "{}", outcome.stderr);
    let named = Program::new(["chat", "-n", "3", "--chat-template", "model", "-m"]).arg(&model).stdin("hi\n").run();
    assert_eq!(named.code, Some(0), "{}", named.stderr);
}

#[test]
fn a_model_that_was_trained_to_chat_answers_in_its_form() {
    let Some(dir) = shared("weights/tinytalk-gptneo-hf") else { return };
    let temp = tempfile::tempdir().unwrap();
    let form = temp.path().join("form.jinja");
    let source = "{% for m in messages %}{{ 'User' if m.role == 'user' else 'Bot' }}: {{ m.content }}\
                  {{ eos_token if m.role != 'user' }}\n{% endfor %}Bot:";
    std::fs::write(&form, source).unwrap();
    let program = Program::new(["chat", "--temp", "0", "--chat-template-file"]).arg(&form).arg("-m").arg(&dir);
    let outcome = program.stdin("hey, how are you?\n").run();
    assert_eq!(outcome.text(), "I'm good, thanks for asking. How about you?\n", "{}", outcome.stderr);
}
