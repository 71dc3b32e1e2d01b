//! `adapter_config.json` as PEFT writes it: hostile text, and no setting passed over that would change what is computed.
//!
//! Ranks and alphas of single matrices stand in `rank_pattern` and `alpha_pattern`, whose keys PEFT takes for regular
//! expressions over module names. Here a key is a module's name, or the end of one from a dot on; a real expression is refused.

use serde_json::{Map, Value, json};

use super::AdapterSettings;

/// Longest file read; real ones have a few kilobytes.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Keys that change nothing here: of training, of bookkeeping, or told by the tensors themselves.
const HARMLESS: &[&str] = &[
    "auto_mapping",
    "base_model_name_or_path",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
];

/// Keys that are read.
const READ: &[&str] = &[
    "alpha_pattern",
    "bias",
    "fan_in_fan_out",
    "init_lora_weights",
    "lora_alpha",
    "lora_dropout",
    "modules_to_save",
    "peft_type",
    "r",
    "rank_pattern",
    "target_modules",
    "task_type",
    "use_rslora",
];

/// What PEFT calls the heads of classifiers; in the families here it is `score`.
const CLASSIFICATION_HEADS: [&str; 2] = ["classifier", "score"];

/// Ways to begin that leave the model's own matrices as they were; others need a changed base.
const INITS: &[&str] = &["gaussian", "eva", "orthogonal"];

/// What the file says.
#[derive(Debug)]
pub(super) struct PeftSettings {
    pub(super) settings: AdapterSettings,
    /// Module names, or their ends, if there is such a list and nothing narrows it.
    pub(super) targets: Option<Vec<String>>,
    /// Whether it is for sequence classification, and brings a head.
    pub(super) classifies: bool,
    /// Whether every target must have its tensors.
    pub(super) complete: bool,
    ranks: Vec<(String, f64)>,
    alphas: Vec<(String, f64)>,
}

impl PeftSettings {
    /// The rank of a module's pair.
    pub(super) fn rank(&self, module: &str) -> Result<usize, String> {
        let rank = pattern(&self.ranks, "rank_pattern", module)?;
        Ok(rank.map_or(self.settings.rank, |rank| rank as usize))
    }

    /// The alpha of a module's pair.
    pub(super) fn alpha(&self, module: &str) -> Result<f32, String> {
        let alpha = pattern(&self.alphas, "alpha_pattern", module)?;
        Ok(alpha.map_or(self.settings.alpha, |alpha| alpha as f32))
    }

    /// Reads the text of the file; an error says what is wrong with it.
    pub(super) fn from_json(text: &[u8]) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("{} bytes; at most {MAX_BYTES} are read", text.len()));
        }
        let value: Value = serde_json::from_slice(text).map_err(|error| format!("not a JSON object: {error}"))?;
        let Value::Object(map) = value else { return Err(format!("not a JSON object: found {}", shown(&value))) };
        let keys = Keys(&map);
        match keys.text("peft_type")? {
            Some("LORA") => {}
            Some(other) => return Err(format!("`peft_type` is {other:.40}: only LORA adapters are known here")),
            None => return Err("key `peft_type` is missing: wanted \"LORA\"".into()),
        }
        for (key, value) in &map {
            let known = HARMLESS.contains(&key.as_str()) || READ.contains(&key.as_str()) || key.starts_with('_');
            if !known && !is_unset(value) {
                let key: String = key.chars().take(80).collect();
                return Err(format!(
                    "`{key}` is {}, which changes what the adapter computes in a way not supported here",
                    shown(value)
                ));
            }
        }
        let classifies = match keys.text("task_type")? {
            None | Some("CAUSAL_LM") => false,
            Some("SEQ_CLS") => true,
            Some(other) => {
                return Err(format!(
                    "`task_type` is {other:.40}; only CAUSAL_LM (text) and SEQ_CLS (classification) are supported"
                ));
            }
        };
        keys.saved_modules(classifies)?;
        match keys.text("bias")? {
            None | Some("none") => {}
            Some(other) => return Err(format!("`bias` is {other:.40}: adapters that train biases are not supported")),
        }
        match keys.get("init_lora_weights") {
            None | Some(Value::Bool(_)) => {}
            Some(Value::String(name)) if INITS.contains(&name.as_str()) => {}
            Some(other) => {
                return Err(format!(
                    "`init_lora_weights` is {}, which changes the base model too: convert it to a plain adapter with PEFT",
                    shown(other)
                ));
            }
        }
        keys.flag("fan_in_fan_out")?;
        let settings = AdapterSettings {
            rank: rank("r", keys.get("r").ok_or("key `r` is missing")?)?,
            alpha: keys.number("lora_alpha")?.ok_or("key `lora_alpha` is missing")? as f32,
            rank_stabilised: keys.flag("use_rslora")?,
            dropout: keys.number("lora_dropout")?.unwrap_or(0.0) as f32,
            base: keys.get("base_model_name_or_path").and_then(Value::as_str).map(str::to_owned),
        };
        if !(0.0..=1.0).contains(&settings.dropout) {
            return Err(format!("`lora_dropout` is {}; it must be from 0 to 1", settings.dropout));
        }
        if !settings.alpha.is_finite() {
            return Err("`lora_alpha` is beyond the numbers of f32".into());
        }
        let narrowed =
            ["exclude_modules", "layers_to_transform"].iter().any(|key| keys.get(key).is_some_and(|v| !is_unset(v)));
        Ok(Self {
            settings,
            targets: keys.targets()?,
            classifies,
            complete: !narrowed,
            ranks: keys.patterns("rank_pattern", |key, value| rank(key, value).map(|rank| rank as f64))?,
            alphas: keys.patterns("alpha_pattern", number)?,
        })
    }
}

/// The text of the file for an adapter of these settings.
pub(super) fn to_json(
    settings: &AdapterSettings,
    classifies: bool,
    fan_in_fan_out: bool,
    targets: &[String],
    ranks: &[(String, usize)],
    alphas: &[(String, f32)],
) -> String {
    let ranks: Map<String, Value> = ranks.iter().map(|(key, rank)| (key.clone(), json!(rank))).collect();
    let alphas: Map<String, Value> = alphas.iter().map(|(key, alpha)| (key.clone(), short(*alpha))).collect();
    let (task, saved) = if classifies { ("SEQ_CLS", json!(CLASSIFICATION_HEADS)) } else { ("CAUSAL_LM", Value::Null) };
    let value = json!({
        "alpha_pattern": alphas, "base_model_name_or_path": settings.base, "bias": "none",
        "fan_in_fan_out": fan_in_fan_out, "inference_mode": true, "init_lora_weights": true,
        "lora_alpha": short(settings.alpha), "lora_dropout": short(settings.dropout), "modules_to_save": saved,
        "peft_type": "LORA", "r": settings.rank, "rank_pattern": ranks, "target_modules": targets,
        "task_type": task, "use_dora": false, "use_rslora": settings.rank_stabilised,
    });
    format!("{value:#}\n")
}

/// A number as people write it: whole ones without a point, others in the fewest digits that give the same f32.
fn short(value: f32) -> Value {
    let whole = value as i64;
    if whole as f32 == value {
        json!(whole)
    } else {
        json!(value.to_string().parse::<f64>().unwrap_or(f64::from(value)))
    }
}

/// Whether a module's name is `key`, or ends with it from a dot on.
pub(super) fn names(key: &str, module: &str) -> bool {
    module.strip_suffix(key).is_some_and(|head| head.is_empty() || head.ends_with('.'))
}

/// What the pattern says of a module, if anything; keys that say different things are refused.
fn pattern(entries: &[(String, f64)], what: &str, module: &str) -> Result<Option<f64>, String> {
    let mut found: Option<(&str, f64)> = None;
    for (key, value) in entries {
        let matches = match key.strip_prefix('^') {
            Some(start) => module.starts_with(start),
            None => names(key, module),
        };
        match found {
            Some((other, before)) if matches && before != *value => {
                return Err(format!("`{what}` says two things of `{module}`: by `{other}`, and by `{key}`"));
            }
            None if matches => found = Some((key, *value)),
            _ => {}
        }
    }
    Ok(found.map(|(_, value)| value))
}

/// Typed look-ups; a null is as good as absent.
struct Keys<'a>(&'a Map<String, Value>);

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        let wrong = |value| format!("`{key}` is {}; it must be a string", shown(value));
        self.get(key).map(|value| value.as_str().ok_or_else(|| wrong(value))).transpose()
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        let wrong = |value| format!("`{key}` is {}; it must be true or false", shown(value));
        self.get(key).map_or(Ok(false), |value| value.as_bool().ok_or_else(|| wrong(value)))
    }

    fn number(&self, key: &str) -> Result<Option<f64>, String> {
        self.get(key).map(|value| number(key, value)).transpose()
    }

    /// A list of module names; of a regular expression or `all-linear` the tensors tell what is meant.
    fn targets(&self) -> Result<Option<Vec<String>>, String> {
        let wrong =
            |value: &Value| format!("`target_modules` is {}; it must be a string or a list of them", shown(value));
        match self.get("target_modules") {
            None | Some(Value::String(_)) => Ok(None),
            Some(Value::Array(list)) => {
                let one = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| wrong(value));
                list.iter().map(one).collect::<Result<_, _>>().map(Some)
            }
            Some(other) => Err(wrong(other)),
        }
    }

    /// Modules trained whole: of a classifier its head, which PEFT lists by every name that one may have; of others none.
    fn saved_modules(&self, classifies: bool) -> Result<(), String> {
        let value = match self.get("modules_to_save") {
            Some(value) if !is_unset(value) => value,
            _ if classifies => {
                return Err(
                    "`modules_to_save` names nothing, so the classification head was not saved: wanted \"score\""
                        .into(),
                );
            }
            _ => return Ok(()),
        };
        let names: Option<Vec<&str>> = value.as_array().map(|list| list.iter().filter_map(Value::as_str).collect());
        let heads = |names: &[&str]| names.iter().all(|name| CLASSIFICATION_HEADS.contains(name));
        match names {
            Some(names) if classifies && heads(&names) && names.contains(&"score") => Ok(()),
            _ => Err(format!(
                "`modules_to_save` is {}: only the head of a classifier (`task_type` SEQ_CLS, \"score\") may be trained whole",
                shown(value)
            )),
        }
    }

    fn patterns(
        &self,
        what: &str,
        read: impl Fn(&str, &Value) -> Result<f64, String>,
    ) -> Result<Vec<(String, f64)>, String> {
        let map = match self.get(what) {
            None => return Ok(Vec::new()),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(format!("`{what}` is {}; it must be an object", shown(other))),
        };
        map.iter().map(|(key, value)| Ok((plain(what, key)?, read(what, value)?))).collect()
    }
}

/// A pattern's key as the name it stands for.
fn plain(what: &str, key: &str) -> Result<String, String> {
    let name = key.replace("\\.", ".");
    let body = name.strip_prefix('^').unwrap_or(&name);
    if body.is_empty() || body.contains(|c: char| "\\*+?[](){}|^$".contains(c)) {
        let key: String = key.chars().take(80).collect();
        return Err(format!("`{what}` has the key `{key}`: only names of modules, or their ends, are supported"));
    }
    Ok(name)
}

fn number(key: &str, value: &Value) -> Result<f64, String> {
    let fits = |number: &f64| (*number as f32).is_finite();
    value.as_f64().filter(fits).ok_or_else(|| format!("`{key}` is {}; it must be a number", shown(value)))
}

fn rank(key: &str, value: &Value) -> Result<usize, String> {
    let found = value.as_u64().filter(|rank| (1..=1 << 20).contains(rank));
    found
        .map(|rank| rank as usize)
        .ok_or_else(|| format!("`{key}` is {}; a rank must be a whole number from 1 to 1048576", shown(value)))
}

/// Whether a value is what a setting has that was never set.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// A value as it may stand in a message: short.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: Value) -> Result<PeftSettings, String> {
        let mut config = json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["c_fc"]});
        config[key] = value;
        PeftSettings::from_json(config.to_string().as_bytes())
    }

    #[test]
    fn accepts_what_changes_nothing() {
        for (key, value) in [
            ("modules_to_save", Value::Null),
            ("modules_to_save", json!([])),
            ("use_dora", json!(false)),
            ("a_setting_of_tomorrow", json!({})),
            ("init_lora_weights", json!("gaussian")),
            ("layers_to_transform", json!([1])),
            ("task_type", json!("CAUSAL_LM")),
            ("lora_dropout", json!(0.1)),
        ] {
            assert!(with(key, value.clone()).is_ok(), "{key} = {value}");
        }
    }

    #[test]
    fn refuses_what_it_would_have_to_guess_by_name() {
        for (key, value) in [
            ("modules_to_save", json!(["lm_head"])),
            ("use_dora", json!(true)),
            ("a_setting_of_tomorrow", json!(1)),
            ("init_lora_weights", json!("pissa")),
            ("bias", json!("all")),
            ("task_type", json!("SEQ_2_SEQ_LM")),
            ("peft_type", json!("IA3")),
            ("peft_type", Value::Null),
            ("r", json!(0)),
            ("r", json!(-1)),
            ("r", json!(1u64 << 40)),
            ("r", Value::Null),
            ("lora_alpha", json!("8")),
            ("lora_alpha", json!(1e300)),
            ("lora_alpha", Value::Null),
            ("lora_dropout", json!(1.5)),
            ("use_rslora", json!(1)),
            ("target_modules", json!([1])),
            ("rank_pattern", json!({"h.(0|1).mlp": 2})),
            ("rank_pattern", json!({"c_fc": 0})),
            ("alpha_pattern", json!({"c_fc": null})),
            ("alpha_pattern", json!([])),
        ] {
            let message = with(key, value.clone()).unwrap_err();
            assert!(message.contains(&format!("`{key}`")), "{key} = {value}: {message}");
        }
        assert!(PeftSettings::from_json(b"[1]").is_err());
        assert!(PeftSettings::from_json("[".repeat(1 << 20).as_bytes()).is_err());
    }

    #[test]
    fn classifiers_bring_their_head_and_nothing_else() {
        let read = |task: &str, saved: Value| {
            let config =
                json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "task_type": task, "modules_to_save": saved});
            PeftSettings::from_json(config.to_string().as_bytes())
        };
        assert!(read("SEQ_CLS", json!(["classifier", "score"])).unwrap().classifies);
        assert!(!read("CAUSAL_LM", json!([])).unwrap().classifies);
        for (task, saved) in [
            ("SEQ_CLS", Value::Null),
            ("SEQ_CLS", json!(["classifier"])),
            ("SEQ_CLS", json!(["score", "wte"])),
            ("SEQ_CLS", json!("score")),
            ("CAUSAL_LM", json!(["score"])),
        ] {
            let message = read(task, saved.clone()).unwrap_err();
            assert!(message.contains("`modules_to_save`"), "{task} {saved}: {message}");
        }
    }

    #[test]
    fn patterns_name_modules_by_their_ends() {
        let settings = with("rank_pattern", json!({"h.1.mlp.c_fc": 2, "^transformer.h.0": 3, "proj": 9})).unwrap();
        assert_eq!(settings.rank("transformer.h.1.mlp.c_fc"), Ok(2));
        assert_eq!(settings.rank("transformer.h.11.mlp.c_fc"), Ok(4), "another layer");
        assert_eq!(settings.rank("transformer.h.0.mlp.c_fc"), Ok(3));
        assert_eq!(settings.rank("transformer.h.1.mlp.c_proj"), Ok(4), "`proj` begins inside a name");
        let settings = with("alpha_pattern", json!({"c_fc": 2, "mlp.c_fc": 3})).unwrap();
        assert!(settings.alpha("transformer.h.1.mlp.c_fc").unwrap_err().contains("two things"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([short(16.0), short(0.1), short(-2.5)].map(|v| v.to_string()), ["16", "0.1", "-2.5"]);
    }
}
