//! A run as plain text that every tool reads: CSV and JSON lines, one value of one metric a line.

use std::io::{self, Write};

use serde_json::json;

use crate::record::{Metric, Run, Text};

/// `run,step,time,metric,value`: metrics alone, times in seconds since 1970, values with all their digits; `NaN`, `inf` and
/// `-inf` where a value is none. Quoted as RFC 4180 says.
///
/// # Errors
/// Those of `out`.
pub fn csv(out: &mut impl Write, runs: &[(Run, Vec<Metric>)]) -> io::Result<()> {
    out.write_all(b"run,step,time,metric,value\n")?;
    for (run, metrics) in runs {
        let name = field(&run.name);
        for Metric { name: metric, step, time, value } in metrics {
            writeln!(out, "{name},{step},{time:.3},{},{value}", field(metric))?;
        }
    }
    Ok(())
}

fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// One object a line: `{"run", "metric", "step", "time", "value"}`, then `{"run", "text", "step", "time", "title", "body"}`
/// for samples and messages. JSON has no NaN: such a value is `null`, infinities are `"inf"` and `"-inf"`.
///
/// # Errors
/// Those of `out`.
pub fn jsonl(out: &mut impl Write, run: &Run, metrics: &[Metric], texts: &[Text]) -> io::Result<()> {
    for Metric { name, step, time, value } in metrics {
        let value = if value.is_infinite() { json!(value.to_string()) } else { json!(value) };
        writeln!(out, "{}", json!({"run": run.name, "metric": name, "step": step, "time": time, "value": value}))?;
    }
    for Text { kind, step, time, title, body } in texts {
        let line = json!({
            "run": run.name, "text": kind.name(), "step": step, "time": time, "title": title, "body": body,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
