//! Tools: passed to the model's template, where it has a place for them. What the model makes of them is its text.

use serde_json::{Value, json};

use super::content_of;
use crate::fields::Fields;
use crate::problem::Problem;

/// Most tools of a request.
const MOST: usize = 128;

/// The tools of a request; none where `tool_choice` says so.
pub(super) fn take(fields: &mut Fields) -> Result<Vec<Value>, Problem> {
    let tools = fields.array("tools", MOST)?.unwrap_or_default();
    for (at, tool) in tools.iter().enumerate() {
        let at = format!("tools[{at}]");
        let mut tool = Fields::of(tool.clone(), &at)?;
        if tool.required("type")? != "function" {
            return Err(Problem::field(format!("{at}.type"), format!("`{at}.type` must be `function`")));
        }
        let mut function = tool.object("function")?.ok_or_else(|| tool.missing("function"))?;
        function.required("name")?;
        function.string("description")?;
        function.object("parameters")?;
        function.ignore(&["strict"]);
        function.finish()?;
        tool.finish()?;
    }
    match fields.take("tool_choice") {
        None => Ok(tools),
        Some(Value::String(choice)) if choice == "auto" => Ok(tools),
        Some(Value::String(choice)) if choice == "none" => Ok(Vec::new()),
        Some(_) => Err(Problem::field(
            "tool_choice",
            "`tool_choice` must be auto or none: a model of this line cannot be made to call a tool, but what it says can be given a form \
             with `response_format`",
        )),
    }
}

/// Whether a conversation speaks of tools.
pub(super) fn spoken_of(messages: &[Value]) -> bool {
    messages.iter().any(|message| message["role"] == "tool" || message["tool_calls"].is_array())
}

/// The turns of a conversation with tools, as templates expect them.
pub(super) fn messages(values: Vec<Value>) -> Result<Vec<Value>, Problem> {
    let read = |(at, value): (usize, Value)| {
        let at = format!("messages[{at}]");
        let mut fields = Fields::of(value, &at)?;
        let role = match fields.required("role")?.as_str() {
            "system" | "developer" => "system",
            "user" => "user",
            "assistant" => "assistant",
            "tool" => "tool",
            _ => {
                let message = format!("`{at}.role` must be system, developer, user, assistant or tool");
                return Err(Problem::field(format!("{at}.role"), message));
            }
        };
        let calls = fields.array("tool_calls", MOST)?;
        let content = content_of(&mut fields, &at)?;
        if content.is_none() && !(role == "assistant" && calls.is_some()) {
            return Err(fields.missing("content"));
        }
        let mut turn = json!({"role": role, "content": content});
        for name in ["tool_call_id", "name"] {
            if let Some(text) = fields.string(name)? {
                turn[name] = json!(text);
            }
        }
        if let Some(calls) = calls {
            turn["tool_calls"] = json!(calls);
        }
        fields.ignore(&["refusal", "annotations", "audio"]);
        fields.finish()?;
        Ok(turn)
    };
    values.into_iter().enumerate().map(read).collect()
}
