//! Adapters: not there, of another model, with settings that cannot be heeded, damaged.

use std::path::Path;

use serde_json::{Value, json};

use super::Table;
use super::runner::{Program, adapter, copy, golden};

pub(super) fn add(table: &mut Table) {
    places(table);
    settings(table);
    factors(table);
}

fn run(table: &Table, lora: impl AsRef<Path>) -> Program {
    let program = Program::new(["run", "-n", "2", "--tokens", "1,2", "-m"]).arg(table.model());
    program.arg("--lora").arg(lora.as_ref())
}

/// A copy of the good adapter, changed.
fn changed(table: &Table, change: impl FnOnce(&Path)) -> std::path::PathBuf {
    let dir = table.path(&format!("adapter-{}", table.cases.len()));
    copy(&adapter("gpt_neo"), &dir);
    change(&dir);
    dir
}

fn places(table: &mut Table) {
    table.add("--lora nowhere", run(table, "./nowhere"), 3, "./nowhere: No such file or directory");
    table.add("--lora of a file", run(table, table.model().join("config.json")), 3, "config.json: Not a directory");
    table.add("--lora of a model", run(table, table.model()), 3, "adapter_config.json is not there");
    let dir = changed(table, |dir| std::fs::remove_file(dir.join("adapter_model.safetensors")).unwrap());
    table.add("--lora without factors", run(table, dir), 3, "adapter_model.safetensors is not there");
    table.add(
        "--lora of another family",
        run(table, adapter("gpt2")),
        4,
        "adapts a module that a gpt_neo model does not have",
    );
    for verb in ["score", "bench"] {
        let program = Program::new([verb, "-m"]).arg(golden("gpt_neo_inner")).arg("--lora").arg(adapter("gpt_neo"));
        let flags: &[&str] = if verb == "score" { &["--tokens", "1,2"] } else { &["--prompt", "8", "--gen", "4"] };
        let program = flags.iter().fold(program, |program, flag| program.arg(*flag));
        table.add(format!("{verb} --lora of another width"), program, 4, "has shape [4, 32], but [4, 16]");
    }
    for verb in ["convert", "quantize"] {
        let out = table.path(&format!("{verb}-lora.gguf"));
        let program = Program::new([verb, "-m"]).arg(golden("gpt_neo_inner")).arg("-o").arg(out);
        let program = program.arg("--type").arg("f16").arg("--lora").arg(adapter("gpt_neo"));
        table.add(format!("{verb} --lora of another width"), program, 4, "the adapter was made for another model");
    }
    let alone = Program::new(["run", "--tokens", "1", "--lora-scale", "2", "-m"]).arg(table.model());
    table.add("--lora-scale without --lora", alone, 2, "--lora <DIR>");
    for value in ["nan", "inf", "1000", "strong"] {
        let program = run(table, adapter("gpt_neo")).arg("--lora-scale").arg(value);
        table.add(format!("--lora-scale {value}"), program, 2, "number from -100 to 100");
    }
}

fn settings(table: &mut Table) {
    let mut with = |key: &str, value: Value, says| {
        let name = format!("adapter {key} = {value}");
        let dir = changed(table, |dir| {
            let path = dir.join("adapter_config.json");
            let mut settings: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            settings[key] = value;
            std::fs::write(&path, settings.to_string()).unwrap();
        });
        table.add(name, run(table, dir), 4, says);
    };
    with("peft_type", json!("IA3"), "`peft_type` is IA3");
    with("task_type", json!("TOKEN_CLS"), "`task_type` is TOKEN_CLS");
    with("task_type", json!("SEQ_CLS"), "`modules_to_save` names nothing");
    with("modules_to_save", json!(["lm_head"]), "`modules_to_save` is [\"lm_head\"]");
    with("use_dora", json!(true), "`use_dora` is true");
    with("bias", json!("all"), "`bias` is all");
    with("init_lora_weights", json!("pissa"), "changes the base model too");
    with("trainable_token_indices", json!([1, 2]), "`trainable_token_indices`");
    with("a_new_kind_of_scale", json!(3), "`a_new_kind_of_scale` is 3");
    with("r", json!(0), "`r` is 0");
    with("r", json!(1_u64 << 60), "`r` is 1152921504606846976");
    with("r", json!(5), "has shape [4, 32], but [5, 32] (rank 5)");
    with("lora_alpha", json!("x"), "`lora_alpha` is \"x\"");
    with("lora_alpha", json!(1e308), "`lora_alpha`");
    with("rank_pattern", json!({"c_(fc|proj)": 4}), "only names of modules");
    with("alpha_pattern", json!({"c_fc": 1, "mlp.c_fc": 2}), "two things");
    with("target_modules", json!(["q_proj"]), "`target_modules` does not name");
    with("target_modules", json!(7), "`target_modules` is 7");
    let mut file = |name: &str, text: &[u8], says| {
        let dir = changed(table, |dir| std::fs::write(dir.join("adapter_config.json"), text).unwrap());
        table.add(format!("adapter_config.json {name}"), run(table, dir), 4, says);
    };
    file("empty", b"", "not a JSON object");
    file("list", b"[]", "not a JSON object");
    file("nested", "[".repeat(100_000).as_bytes(), "not a JSON object");
    file("huge", &vec![b' '; 2 << 20], "at most 1048576 are read");
}

/// The factors' file as header and data.
fn parts(path: &Path) -> (Value, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap();
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + len]).unwrap(), bytes[8 + len..].to_vec())
}

fn factors(table: &mut Table) {
    let first = "base_model.model.transformer.h.0.attn.attention.q_proj.lora_A.weight";
    let mut with = |name: &str, change: &dyn Fn(&mut Value, &mut Vec<u8>), says| {
        let dir = changed(table, |dir| {
            let path = dir.join("adapter_model.safetensors");
            let (mut header, mut data) = parts(&path);
            change(&mut header, &mut data);
            let header = header.to_string();
            std::fs::write(path, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()).unwrap();
        });
        table.add(format!("adapter {name}"), run(table, dir), 4, says);
    };
    let rename = |header: &mut Value, name: &str| {
        let entry = header.as_object_mut().unwrap().remove(first).unwrap();
        header[name] = entry;
    };
    with("cut in the data", &|_, data| data.truncate(data.len() - 1), "truncated");
    with(
        "with a NaN",
        &|header, data| {
            let at = header[first]["data_offsets"][0].as_u64().unwrap() as usize;
            data[at + 8..at + 12].copy_from_slice(&f32::NAN.to_le_bytes());
        },
        "not finite at index 2",
    );
    with("turned", &|header, _| header[first]["shape"] = json!([32, 4]), "has shape [32, 4], but [4, 32]");
    with("flat", &|header, _| header[first]["shape"] = json!([128]), "has shape [128]");
    with("of whole numbers", &|header, _| header[first]["dtype"] = json!("I32"), "wanted f32, f16 or bf16");
    with(
        "of a layer too many",
        &|header, _| {
            rename(header, "base_model.model.transformer.h.7.attn.attention.q_proj.lora_A.weight");
        },
        "adapts layer 7, but the model has 2 layers",
    );
    with(
        "of an embedding",
        &|header, _| {
            rename(header, "base_model.model.transformer.wte.lora_embedding_A");
        },
        "adapts an embedding",
    );
    with(
        "of the output matrix",
        &|header, _| rename(header, "base_model.model.lm_head.lora_A.weight"),
        "output matrix",
    );
    with(
        "with DoRA's vector",
        &|header, _| {
            rename(header, "base_model.model.transformer.h.0.mlp.c_fc.lora_magnitude_vector");
        },
        "belongs to DoRA",
    );
    with("with a foreign tensor", &|header, _| rename(header, "weights"), "is no factor of an adapter");
    with(
        "without its A",
        &|header, _| {
            rename(header, "base_model.model.transformer.h.0.attn.attention.q_proj.lora_A.bias");
        },
        "is no factor of an adapter",
    );
    with(
        "with one name twice",
        &|header, _| {
            rename(header, "transformer.h.0.attn.attention.q_proj.lora_B.weight");
        },
        "is there twice",
    );
}
