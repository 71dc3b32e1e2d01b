//! `bench`, `show` and `doctor`: the fields, and that shares are what they are said to be.

use super::runner::{golden, gptneo};

#[test]
fn bench_has_the_fields_that_scripts_rely_on() {
    let flags = ["bench", "-m", "random:pythia-14m", "--quant", "q8_0", "--prompt", "64", "--gen", "8", "--batch", "4"];
    let report = gptneo(flags.iter().chain(&["--repeat", "1", "--json"])).json();
    for field in [
        "read_gb_per_s",
        "f32_gflop_per_s",
        "prefill_tokens_per_s",
        "prefill_share",
        "decode_tokens_per_s",
        "decode_share",
        "batch_tokens_per_s",
        "load_ms",
        "weight_bytes",
        "peak_rss_bytes",
    ] {
        assert!(report[field].as_f64().unwrap() > 0.0, "{field}: {report}");
    }
    assert_eq!(report["batch"], 4);
    assert_eq!(report["weights_type"], "q8_0");
    assert_eq!(report["output_type"], "q8_0");
    assert_eq!(report["cache_type_k"], "f16");
    let number = |field: &str| report[field].as_f64().unwrap();
    let bytes = number("decode_share") * number("read_gb_per_s") * 1e9 / number("decode_tokens_per_s");
    // A token reads every weight but the embedding's other rows, and a little cache.
    assert!(bytes < number("weight_bytes") * 1.1, "{bytes} {report}");
    assert!(bytes > number("weight_bytes") * 0.4, "{bytes} {report}");
    assert!(number("peak_rss_bytes") < 400e6, "the buffer that measures memory is not counted: {report}");
}

#[test]
fn show_tells_shape_and_memory() {
    let report = gptneo(["show", "--json", "random:gpt-neo-125m"]).json();
    assert_eq!(report["family"], "gpt_neo");
    assert_eq!(report["parameters"], 125_198_592);
    assert_eq!(report["layers"], 12);
    assert_eq!(report["window"], 256);
    assert_eq!(report["local_layers"], 6);
    let rows = report["memory"].as_array().unwrap();
    assert_eq!(
        rows.iter().map(|r| r["type"].as_str().unwrap()).collect::<Vec<_>>(),
        ["f32", "f16", "q8_0", "q6_k", "q4_k", "q4_0"]
    );
    assert_eq!(rows[0]["weights_bytes"], 125_198_592_u64 * 4);
    let totals: Vec<u64> = rows.iter().map(|r| r["total_bytes"].as_u64().unwrap()).collect();
    assert!(totals.is_sorted_by(|a, b| a >= b), "{totals:?}");

    let model = golden("gpt_j");
    let report = gptneo(["show", "--json", model.to_str().unwrap()]).json();
    assert_eq!(report["family"], "gptj");
    assert_eq!(report["stored_type"], "f32");
    assert!(report["tokenizer"].is_null());
    assert!(report["window"].is_null());
    let text = gptneo(["show", "random:gpt-j-6b"]);
    assert!(text.text().contains("6,050,882,784"), "{}", text.text());
    assert!(text.text().lines().all(|line| line.chars().count() <= 80), "{}", text.text());
}

#[test]
fn doctor_finds_a_machine() {
    let report = gptneo(["doctor", "--json"]).json();
    let names: Vec<&str> = report["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    for name in ["version", "processor", "instructions", "threads", "memory", "cache", "hub"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let text = gptneo(["doctor"]);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert!(text.text().lines().any(|line| line.starts_with("ok") && line.contains("threads")), "{}", text.text());
}
