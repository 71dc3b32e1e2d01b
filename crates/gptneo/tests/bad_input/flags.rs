//! Flags: unknown, malformed, out of range, contradictory.

use super::Table;
use super::runner::Program;

pub(super) fn add(table: &mut Table) {
    unparsable(table);
    out_of_range(table);
    contradictory(table);
    environment(table);
}

fn unparsable(table: &mut Table) {
    let mut usage = |args: &[&str], says| table.add(args.join(" "), Program::new(args.iter().copied()), 2, says);
    usage(&[], "Usage: gptneo");
    usage(&["frobnicate"], "unrecognized subcommand 'frobnicate'");
    usage(&["rum"], "'run'");
    usage(&["train"], "the following required arguments were not provided");
    usage(&["serve", "--port", "70000"], "70000 is not in 0..=65535");
    usage(&["--frobnicate"], "unexpected argument '--frobnicate'");
    usage(&["run", "--frobnicate", "x"], "unexpected argument '--frobnicate'");
    usage(&["run", "--temprature", "1", "x"], "'--temperature'");
    usage(&["run", "one", "two"], "unexpected argument 'two'");
    usage(&["run", "-m"], "a value is required for '--model <MODEL>'");
    usage(&["run", "-m", "a", "-m", "b", "x"], "cannot be used multiple times");
    usage(&["run", "--json=yes", "x"], "unexpected value 'yes'");
    usage(&["score", "--top"], "a value is required for '--top <K>'");
    usage(&["completions"], "required arguments were not provided");
    usage(&["completions", "cobol"], "[possible values: bash, elvish, fish, powershell, zsh]");
    usage(&["quantize", "-m", "x", "--type", "q8_0"], "--output <FILE>");
    usage(&["quantize", "-m", "x", "-o", "y"], "--type <TYPE>");
    usage(&["convert", "-m", "x"], "--output <PATH>");
    usage(&["pull"], "<ID>");
    usage(&["show"], "<MODEL>");
    usage(&["rm"], "<ID>");
}

fn out_of_range(table: &mut Table) {
    let model = table.model();
    let mut with = |verb: &str, flag: &str, value: &str, says| {
        let mut program = Program::new([verb, "-m"]).arg(&model).arg(flag).arg(value);
        if verb == "run" {
            program = program.arg("-p").arg("a");
        }
        table.add(format!("{verb} {flag} {value}"), program, 2, says);
    };
    for value in ["nan", "NaN", "inf", "-1", "-0.1", "1e39", "warm", ""] {
        with("run", "--temp", value, "'--temp <T>'");
    }
    for value in ["0", "-0.5", "1.0001", "2", "nan", "x"] {
        with("run", "--top-p", value, "above 0 and at most 1");
    }
    for value in ["-1", "1.5", "99999999999999999999", "x"] {
        with("run", "--top_k", value, "whole number of tokens");
    }
    for value in ["-0.1", "1.1", "nan"] {
        with("run", "--min-p", value, "from 0 (off) to 1");
    }
    for value in ["0", "nan"] {
        with("run", "--typical", value, "above 0 and at most 1");
    }
    for value in ["0", "-1", "inf"] {
        with("run", "--repeat-penalty", value, "above 0");
    }
    with("run", "--repeat-last-n", "-2", "-1 for all of them");
    with("run", "--presence-penalty", "nan", "from -100 to 100");
    with("run", "--frequency_penalty", "1e30", "from -100 to 100");
    for value in ["-1", "18446744073709551616", "0x10", "1.0"] {
        with("run", "--seed", value, "whole number from 0 to 18446744073709551615");
    }
    for value in ["-2", "4294967296000", "many", "1.5"] {
        with("run", "-n", value, "whole number of tokens from 0");
    }
    with("run", "--min-tokens", "-1", "whole number of tokens");
    with("run", "--stop", "", "empty stop string");
    for value in ["x", "5", "+1", "5+nan", "5+inf", "99999999999+1"] {
        with("run", "--logit-bias", value, "'--logit-bias <ID+BIAS>'");
    }
    with("run", "--logit-bias", "112-100", "names token id 112");
    with("run", "--temp", "-inf", "unexpected argument");
    with("run", "--beams", "0", "beams from 1");
    with("run", "--beams", "-1", "beams from 1");
    with("run", "-N", "-1", "samples from 1");
    with("run", "--beams", "100000", "beams from 1");
    with("run", "-N", "0", "samples from 1");
    with("run", "--threads", "0", "threads from 1");
    with("run", "--threads", "-4", "threads from 1");
    with("run", "--threads", "99999999999999999999", "threads from 1");
    with("run", "-c", "0", "tokens from 1");
    with("run", "--device", "cuda", "this build runs on the CPU only");
    with("run", "--device", "tpu", "choose cpu or auto");
    with("run", "--quant", "q3", "choose one of f32, f16, bf16, q8_0, q6_k, q4_k, q4_0");
    with("run", "--quant", "q5_k", "q5_k can be read but not made");
    with("run", "--cache-type-k", "q4_0", "choose one of f32, f16, q8_0");
    with("run", "--cache_type_v", "bf16", "choose one of f32, f16, q8_0");
    with("bench", "--prompt", "0", "tokens from 1");
    with("bench", "--gen", "-1", "tokens from 1");
    with("bench", "--batch", "0", "sequences from 1");
    with("bench", "--repeat", "0", "0 is not in 1..=100");
    with("score", "--top", "0", "entries from 1");
    with("score", "--tokens", "1,2,x", "`x` is not a token id");
    with("score", "--tokens", "-1", "`-1` is not a token id");
    with("score", "--tokens", "1,4294967296", "`4294967296` is not a token id");
}

fn contradictory(table: &mut Table) {
    let model = table.model();
    let mut run = |args: &[&str], says| {
        let program = Program::new(["run", "-m"]).arg(&model);
        let program = args.iter().fold(program, |program, arg| program.arg(*arg));
        table.add(format!("run {}", args.join(" ")), program, 2, says);
    };
    run(&["a", "-p", "b"], "cannot be used with");
    run(&["a", "-f", "b"], "cannot be used with");
    run(&["a", "--tokens", "1"], "cannot be used with");
    run(&["-p", "a", "--tokens", "1"], "cannot be used with");
    run(&["-f", "a", "--tokens", "1"], "cannot be used with");
    run(&["a", "--lookup", "--draft-model", "b"], "cannot be used with");
    run(&["a", "--logprobs", "2"], "--json");
    run(&["a", "--beams", "2", "--temp", "1"], "does not go with `temperature`");
    run(&["a", "--beams", "2", "--lookup"], "does not go with `speculation`");
    run(&["a", "--beams", "2", "-N", "3"], "at most the width of the beam search");
    run(&["a", "-n", "2", "--min-tokens", "3"], "at most max_tokens");
    let score = Program::new(["score", "-m"]).arg(&model).arg("--text").arg("a").arg("--tokens").arg("1");
    table.add("score text and tokens", score, 2, "cannot be used with");
    let chat = Program::new(["chat", "-m"]).arg(&model).arg("--chat-template").arg("plain");
    table.add("chat two templates", chat.arg("--chat-template-file").arg("x"), 2, "cannot be used with");
}

fn environment(table: &mut Table) {
    let model = table.model();
    let mut with = |name: &str, value: &str, says| {
        let program = Program::new(["run", "-m"]).arg(&model).arg("-p").arg("a").env(name, value);
        table.add(format!("{name}={value}"), program, 2, says);
    };
    with("GPTNEO_THREADS", "0", "GPTNEO_THREADS");
    with("GPTNEO_THREADS", "many", "GPTNEO_THREADS");
    with("GPTNEO_ISA", "avx9000", "avx9000");
    let hub = |args: &[&str]| Program::new(args.iter().copied());
    let endpoint = hub(&["pull", "a/b"]).env("HF_ENDPOINT", "ftp://nowhere").env("HF_HUB_OFFLINE", "0");
    table.add("HF_ENDPOINT", endpoint, 2, "HF_ENDPOINT");
    let token = hub(&["pull", "a/b", "--hf-token", "two\nlines"]);
    table.add("--hf-token", token, 2, "--hf-token");
    table.add(
        "HF_HUB_DOWNLOAD_TIMEOUT",
        hub(&["list"]).env("HF_HUB_DOWNLOAD_TIMEOUT", "soon"),
        2,
        "HF_HUB_DOWNLOAD_TIMEOUT",
    );
}
