//! A validator of JSON by as much of JSON Schema as these tests use.

use serde_json::Value;

/// Whether `schema` admits `value`; `root` is where references begin.
pub(crate) fn admits(schema: &Value, value: &Value, root: &Value) -> bool {
    let Value::Object(keys) = schema else { return schema != &Value::Bool(false) };
    keys.iter().all(|(key, wanted)| match key.as_str() {
        "$defs" | "$schema" | "title" => true,
        "$ref" => {
            let pointer = wanted.as_str().and_then(|at| at.strip_prefix('#')).expect("a reference inside");
            admits(root.pointer(pointer).expect("it is there"), value, root)
        }
        "anyOf" => wanted.as_array().expect("a list").iter().any(|choice| admits(choice, value, root)),
        "const" => value == wanted,
        "enum" => wanted.as_array().expect("a list").contains(value),
        "type" => match wanted.as_str().expect("one type") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            // JSON knows one kind of number: -0 is an integer too.
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("no type {other}"),
        },
        "properties" => value.as_object().is_none_or(|fields| {
            let known = fields.iter().filter_map(|(name, field)| Some((wanted.get(name)?, field)));
            known.into_iter().all(|(schema, field)| admits(schema, field, root))
        }),
        "required" => value.as_object().is_none_or(|fields| {
            wanted.as_array().expect("a list").iter().all(|name| fields.contains_key(name.as_str().expect("a name")))
        }),
        "additionalProperties" => value.as_object().is_none_or(|fields| {
            let more = fields.iter().filter(|(name, _)| schema["properties"].get(name.as_str()).is_none());
            more.into_iter().all(|(_, field)| admits(wanted, field, root))
        }),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| admits(wanted, item, root))),
        "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= wanted.as_u64().expect("a count")),
        "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= wanted.as_u64().expect("a count")),
        "minLength" => value.as_str().is_none_or(|s| s.chars().count() as u64 >= wanted.as_u64().expect("a count")),
        "maxLength" => value.as_str().is_none_or(|s| s.chars().count() as u64 <= wanted.as_u64().expect("a count")),
        "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().expect("a number")),
        "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().expect("a number")),
        other => panic!("this validator knows no `{other}`"),
    })
}

/// Schemas whose values are short, with all that the validator knows.
pub(crate) const SCHEMAS: [&str; 6] = [
    r#"{"type": "object", "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 6}, "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c\n\"é"]}, "minItems": 1, "maxItems": 3},
        "well": {"type": "boolean"}, "none": {"type": "null"}},
        "required": ["name", "age", "tags"], "additionalProperties": false}"#,
    r#"{"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "array", "maxItems": 2,
        "items": {"type": "number", "minimum": -5, "maximum": 5.5}}}"#,
    r#"{"const": {"a": [1, "x\"y\\z", null], "b": {"c": -2.5}}}"#,
    r##"{"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["value", "next"],
        "additionalProperties": false, "properties": {"value": {"type": "integer", "minimum": -9, "maximum": 9},
        "next": {"anyOf": [{"type": "null"}, {"const": "end"}, {"$ref": "#/$defs/node"}]}}}}}"##,
    r#"{"enum": ["yes", "no", 7, null, true, [1, 2]]}"#,
    r#"{"type": "object", "properties": {"kind": {"const": "point"}}, "required": ["kind"],
        "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 3}}"#,
];
