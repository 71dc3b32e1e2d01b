//! Models and files that are not there, are something else, or may not be read or written.

use super::Table;
use super::runner::{Program, golden};

pub(super) fn add(table: &mut Table) {
    models(table);
    hub(table);
    outputs(table);
}

fn models(table: &mut Table) {
    let mut with = |name: &str, code, says| {
        table.add(format!("-m {name}"), Program::new(["run", "-p", "a", "-m", name]), code, says);
    };
    with("", 2, "it is empty");
    with("random:", 2, "there is no shape named ``");
    with("random:llama-7b", 2, "gpt-neo-125m");
    with("./nowhere", 3, "there is no file or directory ./nowhere");
    with("/nowhere/at/all", 3, "there is no file or directory /nowhere/at/all");
    with("nowhere.gguf", 3, "there is no file or directory nowhere.gguf");
    with("~/model", 3, "there is no file or directory");
    with("C:\\model", 2, "is not a model id");
    with("a b", 2, "letters, digits");
    with("../..", 3, "../../config.json: No such file or directory\n");
    with("owner/na..me", 2, "no `..`");
    with("https://huggingface.co/gpt2", 3, "there is no file or directory");
    with(&"x".repeat(5000), 2, "it is too long");
    let none = Program::new(["data", "tokenize", "a.txt", "-o", "shards"]);
    table.add("shards of nobody's tokens", none, 2, "--model <MODEL>");
    let empty = table.path("empty-directory");
    std::fs::create_dir(&empty).unwrap();
    table.add("empty directory", Program::new(["run", "-p", "a", "-m"]).arg(&empty), 3, "config.json");
    table.add("show an empty directory", Program::new(["show"]).arg(&empty), 3, "config.json");
    let file = table.write("notes.txt", "hello");
    table.add("a text file as a model", Program::new(["run", "-p", "a", "-m"]).arg(file), 3, "config.json");
    table.add("/dev/null as a model", Program::new(["run", "-p", "a", "-m", "/dev/null"]), 3, "config.json");
    let draft = Program::new(["run", "-p", "a", "--draft-model", "./nowhere", "-m"]).arg(table.model());
    table.add("draft nowhere", draft, 3, "./nowhere");
    let other = Program::new(["run", "-n", "1", "--tokens", "1", "--draft-model"]).arg(golden("gpt2_bf16"));
    table.add("draft of another vocabulary", other.arg("-m").arg(golden("gpt_neo")), 2, "draft model");
}

fn hub(table: &mut Table) {
    let mut with =
        |args: &[&str], code, says| table.add(args.join(" "), Program::new(args.iter().copied()), code, says);
    with(&["run", "-p", "a", "-m", "owner/model"], 3, "is not there in the cache");
    with(&["pull", "owner/model"], 3, "is not there in the cache");
    with(&["pull", "owner/model/more"], 2, "more than one `/`");
    with(&["pull", ""], 2, "it is empty");
    with(&["rm", "owner/model"], 3, "is not in the cache");
    with(&["rm", "../../etc"], 2, "`../../etc`");
    with(&["show", "owner/model"], 3, "is not");
    with(&["tokenize", "-m", "owner/model"], 3, "is not there in the cache");
    let refused =
        Program::new(["pull", "owner/model"]).env("HF_HUB_OFFLINE", "0").env("HF_ENDPOINT", "http://127.0.0.1:9");
    table.add("hub that refuses", refused.env("GPTNEO_TEST", "1"), 3, "127.0.0.1:9");
    let offline = Program::new(["run", "--offline", "-p", "a", "-m", "owner/model"]).env("HF_HUB_OFFLINE", "0");
    table.add("--offline", offline, 3, "is not there in the cache");
}

fn outputs(table: &mut Table) {
    let model = table.model();
    let existing = table.write("existing.gguf", "precious");
    let quantize =
        |out: &std::ffi::OsStr| Program::new(["quantize", "--type", "q8_0", "-m"]).arg(&model).arg("-o").arg(out);
    table.add("quantize onto a file", quantize(existing.as_os_str()), 3, "exists");
    table.add("quantize into nowhere", quantize("/nowhere/x.gguf".as_ref()), 3, "/nowhere");
    table.add("quantize onto a directory", quantize(table.dir.path().as_os_str()).arg("--force"), 3, "directory");
    table.add("quantize onto a full disk", quantize("/dev/full".as_ref()).arg("--force"), 3, "/dev/full");
    table.add(
        "quantize onto itself",
        {
            let itself = model.join("model.safetensors");
            quantize(itself.as_os_str()).arg("--force")
        },
        2,
        "model.safetensors",
    );
    let text = Program::new(["quantize", "--type", "q8_0", "--text", "./nowhere.txt", "-m"]).arg(&model);
    table.add("quantize with a text nowhere", text.arg("-o").arg(table.path("t.gguf")), 3, "nowhere.txt");
    let convert = Program::new(["convert", "-m"]).arg(&model).arg("-o").arg(&existing);
    table.add("convert onto a file", convert, 3, "exists");
    let lossy = Program::new(["convert", "--type", "q8_0", "-m"]).arg(&model).arg("-o").arg(table.path("r.gguf"));
    table.add("convert to a lossy type", lossy, 2, "gptneo quantize --type q8_0");
    let file = Program::new(["convert", "-m"]).arg(&model).arg("-o").arg(table.path("r.safetensors"));
    table.add("convert to one file of safetensors", file, 2, "is a directory");
    let itself = Program::new(["convert", "--force", "-m"]).arg(&model).arg("-o").arg(&model);
    table.add("convert onto itself", itself, 2, "is the model that is being read");
    let full = Program::new(["run", "-n", "2", "--tokens", "1", "-m"]).arg(&model);
    table.add("blocked words nowhere", full.clone().arg("--blocked-words").arg("./nowhere"), 3, "nowhere");
    let none = table.write("no-words.txt", "\n\n");
    table.add("blocked words empty", full.clone().arg("--blocked-words").arg(none), 4, "names no words");
    table.add(
        "prompt blocked",
        {
            let words = table.write("words.txt", "an\n");
            Program::new(["run", "-n", "2", "-p", "an", "--blocked-words"]).arg(words).arg("-m").arg(&model)
        },
        2,
        "refused",
    );
    table.add("chat without a template", Program::new(["chat", "-m"]).arg(&model), 2, "--chat-template");
    let unknown = Program::new(["chat", "--chat-template", "klingon", "-m"]).arg(&model);
    table.add("chat with an unknown template", unknown, 2, "klingon");
    let own = Program::new(["chat", "--chat-template", "model", "-m"]).arg(&model);
    table.add("chat with a template the model lacks", own, 2, "came without a chat template");
    let file = Program::new(["chat", "--chat-template-file", "./nowhere", "-m"]).arg(&model);
    table.add("chat with a template file nowhere", file, 3, "nowhere");
    let broken = table.write("broken.jinja", "{% for x in %}");
    let broken = Program::new(["chat", "--chat-template-file"]).arg(broken).arg("-m").arg(&model);
    table.add("chat with a broken template", broken, 4, "template");
}
