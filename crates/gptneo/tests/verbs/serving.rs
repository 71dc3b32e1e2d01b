//! `gptneo serve`, as a process: what flags and files make of the server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};

use super::runner::{Program, gptneo};

/// A server that is ended when this is dropped.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start<'a>(args: impl IntoIterator<Item = &'a str>) -> Self {
        let mut child = Program::new(["serve", "--port", "0"]).args(args).command().spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut said = Vec::new();
        let mut until = |words: &str| {
            for line in lines.by_ref() {
                said.push(line.clone());
                if let Some((_, rest)) = line.split_once(words) {
                    return rest.to_owned();
                }
            }
            panic!("the server ended: {said:?}");
        };
        let address = until("listening on http://");
        until("ready after");
        Self { child, address }
    }

    /// Status and body.
    fn ask(&self, key: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{reply}")))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A file of keys, which nobody else may read.
fn keys(folder: &Path, text: &str) -> String {
    let path = write(folder, "keys.txt", text);
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path
}

#[test]
fn files_and_folders_come_to_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["presets", "reviews", "words"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    write(folder.path(), "words/few.txt", "dragon\n");
    let keys =
        keys(folder.path(), "sk-of-the-child name=child blocked-words=words/few.txt\nsk-of-the-adult name=adult\n");
    let preset = "title = \"T\"\ngroup = \"G\"\ndescription = \"D\"\ntemplate = \"{{x}}:\"\n\
                  settings = {temperature = 0.5, max_tokens = 3, stop = []}\n\
                  fields = [{name = \"x\", label = \"X\", kind = \"line\"}]\n";
    write(folder.path(), "presets/mine.toml", preset);
    let sample = |text: &str| format!("{}\n", json!({"id": 1, "prompt": "p", "text": text}));
    let (a, b) = (write(folder.path(), "a.jsonl", &sample("one")), write(folder.path(), "b.jsonl", &sample("two")));
    let (a, b, sheet) = (format!("small={a}"), format!("large={b}"), at("reviews/tales.json"));
    assert_eq!(gptneo(["eval", "review", "make", &a, &b, "--title", "Tales", "-o", &sheet]).code, Some(0));

    let (presets, reviews, store) = (at("presets"), at("reviews"), at("store/runs.sqlite"));
    let server =
        Served::start(["--api-key-file", &keys, "--presets", &presets, "--reviews", &reviews, "--runs-store", &store]);
    let (child, adult) = ("sk-of-the-child", "sk-of-the-adult");
    let get = |path: &str| server.ask(adult, "GET", path, None).1;

    let model = get("/local/models")["models"][0].clone();
    assert_eq!(
        (&model["name"], &model["family"], &model["cache"]),
        (&"pocket".into(), &"gpt_neo".into(), &"f16".into())
    );
    assert!(model["card"].as_str().unwrap().starts_with("# Model card: pocket"));
    assert_eq!(get("/local/presets")["presets"].as_array().unwrap().last().unwrap()["name"], "mine");
    assert_eq!(get("/local/runs"), json!({"runs": []}));

    // The key's rail, and no other's.
    let prompt = json!({"prompt": "Once there was a dragon", "max_tokens": 2});
    let refused = server.ask(child, "POST", "/v1/completions", Some(&prompt));
    assert_eq!((refused.0, &refused.1["error"]["code"]), (400, &"content_filter".into()));
    assert_eq!(server.ask(adult, "POST", "/v1/completions", Some(&prompt)).0, 200);

    // A judgement is in the file that `eval review report` reads.
    assert_eq!(get("/local/reviews"), json!({"reviews": [{"id": "tales", "title": "Tales", "items": 1, "judges": 0}]}));
    let item = get("/local/reviews/tales/next?judge=ann")["item"].clone();
    let scores = json!({"fluency": 4, "coherence": 4, "relevance": 4});
    let preference = if item["a"] == "two" { "a" } else { "b" };
    let answer = json!({"judge": "ann", "item": item["id"], "a": scores, "b": scores, "preference": preference});
    let answered = server.ask(adult, "POST", "/local/reviews/tales/answers", Some(&answer));
    assert_eq!(answered, (200, json!({"ok": true})));
    assert_eq!(get("/local/reviews/tales/report")["answers"], 1);
    let counted = gptneo(["eval", "review", "report", &sheet, &at("reviews/tales.answers.jsonl"), "--json"]).json();
    assert_eq!(counted["sources"][1]["outcomes"]["won"]["count"], 1, "{counted}");

    // Feedback is where `runs feedback` looks.
    let said = json!({"kind": "report", "model": "pocket", "prompt": "p", "response": "r", "reason": "harmful"});
    assert_eq!(server.ask(child, "POST", "/local/feedback", Some(&said)), (200, json!({"id": 1})));
    assert_eq!(get("/local/feedback")["items"], json!([]), "another's");
    let found = gptneo(["runs", "feedback", "--store", &store, "--json"]).json();
    assert_eq!((&found[0]["client"], &found[0]["reason"]), (&"child".into(), &"harmful".into()));
}

#[test]
fn words_of_a_key_that_are_not_there_are_said_with_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(folder.path(), "sk-of-the-child name=child blocked-words=gone.txt\n");
    let ended = gptneo(["serve", "--port", "0", "--api-key-file", &keys]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    for words in ["the key `child`", "gone.txt"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("sk-of-the-child"), "{}", ended.stderr);
}
