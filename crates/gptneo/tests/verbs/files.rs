//! `quantize` and `convert`: what they write, what they leave alone.

use super::runner::{Program, golden, gptneo, with_tokenizer};

#[test]
fn a_quantised_model_is_a_file_that_runs() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    for dtype in ["f32", "f16", "bf16", "q8_0", "q4_0"] {
        let out = dir.path().join(format!("{dtype}.gguf"));
        let report =
            Program::new(["quantize", "--json", "--type", dtype, "-m"]).arg(&model).arg("-o").arg(&out).run().json();
        assert_eq!(report["type"], dtype);
        assert_eq!(report["file_bytes"].as_u64().unwrap(), std::fs::metadata(&out).unwrap().len());
        let text = gptneo(["run", "in a hat", "-n", "4", "--temp", "0", "--ignore-eos", "-m", out.to_str().unwrap()]);
        assert_eq!(text.code, Some(0), "{dtype}: {}", text.stderr);
    }
}

#[test]
fn a_row_that_a_type_cannot_hold_falls_back_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x.gguf");
    // Rows of 24 fill no block of 32.
    let outcome =
        Program::new(["quantize", "--json", "--type", "q8_0", "-m"]).arg(golden("gpt_j")).arg("-o").arg(&out).run();
    assert!(outcome.stderr.contains("rows of 24 do not fill blocks of 32, so q8_0 became f16"), "{}", outcome.stderr);
    assert!(!outcome.json()["fallbacks"].as_array().unwrap().is_empty());
}

#[test]
fn without_a_text_the_way_to_a_report_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt2", dir.path());
    let out = dir.path().join("x.gguf");
    let outcome = Program::new(["quantize", "--type", "q8_0", "-m"]).arg(&model).arg("-o").arg(&out).run();
    assert!(outcome.stderr.contains("--text FILE"), "{}", outcome.stderr);
    assert!(outcome.text().contains("q8_0"), "{}", outcome.text());
}

#[test]
fn nothing_is_replaced_without_force() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x.gguf");
    std::fs::write(&out, "precious").unwrap();
    let program = Program::new(["convert", "-m"]).arg(golden("gpt2")).arg("-o").arg(&out);
    assert_eq!(program.run().code, Some(3));
    assert_eq!(std::fs::read(&out).unwrap(), b"precious");
    assert_eq!(program.arg("--force").run().code, Some(0));
    assert_eq!(&std::fs::read(&out).unwrap()[..4], b"GGUF");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["x.gguf"], "no temporary file stays");
}

#[test]
fn a_tokenizer_survives_every_conversion() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let gguf = dir.path().join("x.gguf");
    let back = dir.path().join("back");
    assert_eq!(Program::new(["convert", "-m"]).arg(&model).arg("-o").arg(&gguf).run().code, Some(0));
    assert_eq!(Program::new(["convert", "-m"]).arg(&gguf).arg("-o").arg(&back).run().code, Some(0));
    let ids =
        |model: &std::path::Path| Program::new(["tokenize", "-m"]).arg(model).stdin("the thin<|endoftext|> hat").run();
    let wanted = ids(&model).text().to_owned();
    assert!(!wanted.is_empty());
    assert_eq!(ids(&gguf).text(), wanted);
    assert_eq!(ids(&back).text(), wanted);
}
