//! `config.json`: hostile values are refused by name; keys that would run code are never acted upon.

use serde_json::{Value, json};

use super::Table;
use super::runner::Program;

pub(super) fn add(table: &mut Table) {
    values(table);
    files(table);
}

fn values(table: &mut Table) {
    let mut with = |key: &str, value: Value, says| {
        let name = format!("config {key} = {value}");
        let dir = table.changed(&format!("config-{}", table.cases.len()), |dir| {
            let path = dir.join("config.json");
            let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            config[key] = value;
            std::fs::write(&path, config.to_string()).unwrap();
        });
        table.add(name, Program::new(["run", "-n", "2", "--tokens", "1,2", "-m"]).arg(dir), 4, says);
    };
    with("model_type", json!("llama"), "unknown architecture `llama`: gptneo runs gpt2, gpt_neo, gptj and gpt_neox");
    with("model_type", json!(7), "`model_type`");
    with("model_type", Value::Null, "key `model_type` is missing");
    with("model_type", json!("gpt2"), "config.json");
    with("architectures", json!(["GPTNeoForSequenceClassification"]), "`score.weight` of shape [2, 32] is missing");
    with("num_layers", json!(1_000_000_000), "num_layers is 1000000000");
    with("num_layers", json!(0), "num_layers is 0");
    with("num_layers", json!(-1), "`num_layers` is -1");
    with("num_layers", json!(3), "`attention_types` names 2 layers");
    with("num_layers", json!("2"), "`num_layers` is \"2\"");
    with("num_layers", Value::Null, "key `num_layers` is missing");
    with("hidden_size", json!(0), "hidden_size is 0");
    with("hidden_size", json!(33), "not a multiple of the 4 heads");
    with("hidden_size", json!(1_u64 << 40), "hidden_size");
    with("hidden_size", json!(64), "shape");
    with("hidden_size", json!(32.5), "`hidden_size` is 32.5");
    with("num_heads", json!(0), "num_heads is 0");
    with("num_heads", json!(5), "not a multiple of the 5 heads");
    with("num_heads", json!(-4), "`num_heads` is -4");
    with("vocab_size", json!(111), "111");
    with("vocab_size", json!(113), "transformer.wte.weight");
    with("vocab_size", json!(1e300), "`vocab_size` is");
    with("max_position_embeddings", json!(65), "transformer.wpe.weight");
    with("max_position_embeddings", json!(0), "max_position_embeddings is 0");
    with("max_position_embeddings", json!(4_000_000_000_u64), "positions");
    with("intermediate_size", json!(64), "but the config implies [64]");
    with("intermediate_size", json!(0), "intermediate_size is 0");
    with("window_size", json!(0), "window_size is 0");
    with("window_size", json!(-1), "`window_size` is -1");
    with("window_size", Value::Null, "`window_size` is missing");
    with("attention_types", json!([[["global", "local"], 1_000_000_000]]), "more layers");
    with("attention_types", json!([[["sideways"], 2]]), "known are `global` and `local`");
    with("attention_types", json!("global"), "`attention_types` is");
    with("attention_types", json!([]), "`attention_types` names 0 layers");
    with("attention_types", Value::Null, "`attention_types` is missing");
    with("activation_function", json!("sine"), "known are gelu, gelu_new");
    with("activation_function", json!(1), "`activation_function` is 1");
    with("layer_norm_epsilon", json!(0.0), "layer norm epsilon is 0");
    with("layer_norm_epsilon", json!(-1e-5), "layer norm epsilon");
    with("eos_token_id", json!(112), "112; it must be 0 to 111");
    with("eos_token_id", json!("end"), "`eos_token_id` is \"end\"");
    with("tie_word_embeddings", json!("yes"), "`tie_word_embeddings` is \"yes\"");
    with("tie_word_embeddings", json!(false), "`lm_head.weight`");
    with("quantization_config", json!({"bits": 4}), "`quantization_config` is not known");
    with("rope_scaling", json!({"type": "yarn"}), "`rope_scaling` is not known");
    with("num_experts", json!(8), "`num_experts` is not known");
}

fn files(table: &mut Table) {
    let mut with = |name: &str, text: &[u8], says| {
        let dir = table.changed(&format!("config-file-{}", table.cases.len()), |dir| {
            std::fs::write(dir.join("config.json"), text).unwrap();
        });
        table.add(format!("config.json {name}"), Program::new(["run", "--tokens", "1", "-m"]).arg(dir), 4, says);
    };
    with("empty", b"", "not a JSON object");
    with("cut", b"{\"model_type\": \"gpt", "not a JSON object");
    with("list", b"[1]", "not a JSON object");
    with("number", b"7", "not a JSON object");
    with("nested", "[".repeat(100_000).as_bytes(), "not a JSON object");
    with("huge", &vec![b' '; 2 << 20], "at most 1048576 are read");
    with("not UTF-8", b"{\"model_type\": \"gpt\xff\"}", "not a JSON object");
    with("binary", &[0u8, 1, 2, 3, 255, 254], "not a JSON object");
    with("lone surrogate", b"{\"model_type\": \"\\ud800\"}", "not a JSON object");
    with("NaN", b"{\"model_type\": NaN}", "not a JSON object");
    let missing = table.changed("config-missing", |dir| std::fs::remove_file(dir.join("config.json")).unwrap());
    table.add("config.json missing", Program::new(["run", "--tokens", "1", "-m"]).arg(missing), 3, "config.json");
    let folder = table.changed("config-folder", |dir| {
        std::fs::remove_file(dir.join("config.json")).unwrap();
        std::fs::create_dir(dir.join("config.json")).unwrap();
    });
    table.add("config.json is a directory", Program::new(["run", "--tokens", "1", "-m"]).arg(folder), 3, "config.json");
}
