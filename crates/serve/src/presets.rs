//! Prompts for common uses, as data: what a person fills in, and the text that a base model continues.
//!
//! Models of this line continue text and follow no instructions. So a preset is the beginning of a document whose continuation is what was
//! wanted: examples of the same kind, the values, and a string that ends the answer. It is a TOML file:
//!
//! ```toml
//! title = "Rhyme"
//! group = "Write"
//! description = "A word that rhymes."
//! template = "hat: cat\nday: way\n{{word}}:"
//!
//! [settings]
//! temperature = 0.5
//! max_tokens = 5
//! stop = ["\n"]
//!
//! [[fields]]
//! name = "word"
//! label = "Word"
//! kind = "line"
//! ```
//!
//! `{{field}}` stands for a value, and nothing else in a template means anything. Values are put in as they are: what looks like a field in
//! one is text.
//!
//! ```
//! let presets = gptneo_serve::Presets::built_in();
//! let summary = presets.find("summary")?;
//! let prompt = summary.fill(&[("text", "Swifts sleep while they fly.")])?;
//! assert!(prompt.ends_with("Text: Swifts sleep while they fly.\nSummary:"));
//! # Ok::<(), gptneo_serve::PresetError>(())
//! ```

use serde::{Deserialize, Serialize};

/// Longest template, in bytes.
const LONGEST: usize = 64 << 10;
/// Most fields of one preset, and most presets.
const MOST_FIELDS: usize = 16;
const MOST_PRESETS: usize = 500;
/// As many stop strings as a request may have, and as long.
const MOST_STOPS: usize = 4;
const LONGEST_STOP: usize = 256;

/// Those that come with the program, by group.
const BUILT_IN: [(&str, &str); 14] = [
    ("article", include_str!("../presets/article.toml")),
    ("post", include_str!("../presets/post.toml")),
    ("email", include_str!("../presets/email.toml")),
    ("report", include_str!("../presets/report.toml")),
    ("meeting", include_str!("../presets/meeting.toml")),
    ("summary", include_str!("../presets/summary.toml")),
    ("support", include_str!("../presets/support.toml")),
    ("explain", include_str!("../presets/explain.toml")),
    ("ask", include_str!("../presets/ask.toml")),
    ("quiz", include_str!("../presets/quiz.toml")),
    ("code-complete", include_str!("../presets/code-complete.toml")),
    ("code-explain", include_str!("../presets/code-explain.toml")),
    ("code-optimise", include_str!("../presets/code-optimise.toml")),
    ("brainstorm", include_str!("../presets/brainstorm.toml")),
];

/// A preset that is none, or values that do not fill one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresetError {
    /// A file that is not what it should be.
    #[error("the preset `{name}` cannot be read: {why}")]
    Bad {
        /// Which.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// There is none of that name.
    #[error("there is no preset `{name}`; there are: {}", .known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// More than are kept.
    #[error("there are more than {MOST_PRESETS} presets")]
    TooMany,
    /// A value that must be given.
    #[error("the preset `{preset}` wants a value for `{field}` ({label})")]
    Missing {
        /// The preset.
        preset: String,
        /// The field.
        field: String,
        /// What people call it.
        label: String,
    },
    /// A value that is none of the choices.
    #[error("`{field}` of the preset `{preset}` is one of: {}", .choices.join(", "))]
    NoChoice {
        /// The preset.
        preset: String,
        /// The field.
        field: String,
        /// What there is to choose from.
        choices: Vec<String>,
    },
    /// A value for a field that there is not, or a second value.
    #[error("the preset `{preset}` takes no {second}value for `{field}`; its fields are: {}", .known.join(", "), second = if *.twice { "second " } else { "" })]
    Needless {
        /// The preset.
        preset: String,
        /// The field.
        field: String,
        /// Whether it has one already.
        twice: bool,
        /// The fields there are.
        known: Vec<String>,
    },
}

/// What a person fills in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// What templates and flags call it.
    pub name: String,
    /// What people call it.
    pub label: String,
    /// How it is filled in.
    pub kind: FieldKind,
    /// An example of a value.
    #[serde(default)]
    pub placeholder: String,
    /// What there is to choose from; the first is meant where nothing is chosen.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// How a field is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Text of any length.
    Text,
    /// A few words.
    Line,
    /// One of several.
    Choice,
}

/// How its text is continued, where nothing else is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresetSettings {
    /// 0 to 2.
    pub temperature: f64,
    /// Most tokens of the answer.
    pub max_tokens: usize,
    /// What ends it.
    pub stop: Vec<String>,
}

/// A prompt for one use.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preset {
    /// Names it.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it belongs to.
    pub group: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// What is filled in.
    pub fields: Vec<Field>,
    /// The text, with `{{field}}` for values.
    pub template: String,
    /// How it is continued.
    pub settings: PresetSettings,
    #[serde(skip)]
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The place of a field.
    Value(usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    title: String,
    group: String,
    description: String,
    template: String,
    settings: PresetSettings,
    fields: Vec<Field>,
}

impl Preset {
    /// Reads a preset; `name` is what it is called.
    ///
    /// # Errors
    /// [`PresetError::Bad`], in words: no TOML, an unknown key, a field that the template has not or the other way round, a setting out of
    /// range.
    pub fn parse(name: &str, text: &str) -> Result<Self, PresetError> {
        let bad = |why: String| PresetError::Bad { name: name.chars().take(100).collect(), why };
        if !is_name(name) {
            return Err(bad("a name is of letters, digits, `-` and `_`, and has at most 64".to_owned()));
        }
        let written: Written = toml::from_str(text).map_err(|error| bad(error.to_string().trim_end().to_owned()))?;
        let Written { title, group, description, template, settings, fields } = written;
        check_fields(&fields).map_err(bad)?;
        check_settings(&settings).map_err(bad)?;
        let parts = parts(&template, &fields).map_err(bad)?;
        Ok(Self { name: name.to_owned(), title, group, description, fields, template, settings, parts })
    }

    /// The field that a text without a name is for: the first of the kind `text`, else the first.
    pub fn main(&self) -> &Field {
        let text = self.fields.iter().find(|field| field.kind == FieldKind::Text);
        text.unwrap_or(&self.fields[0])
    }

    /// The prompt with these values, by the names of their fields.
    ///
    /// # Errors
    /// A field without a value (a blank one is none), one that is given twice or that there is not, a value that is none of the choices.
    pub fn fill(&self, values: &[(&str, &str)]) -> Result<String, PresetError> {
        let mut given: Vec<Option<&str>> = vec![None; self.fields.len()];
        for (name, value) in values {
            let place = self.fields.iter().position(|field| field.name == *name);
            let needless = |twice| PresetError::Needless {
                preset: self.name.clone(),
                field: name.chars().take(100).collect(),
                twice,
                known: self.fields.iter().map(|field| field.name.clone()).collect(),
            };
            match place.map(|place| given[place].replace(*value)) {
                Some(None) => {}
                Some(Some(_)) => return Err(needless(true)),
                None => return Err(needless(false)),
            }
        }
        let value = |place: usize| self.value(&self.fields[place], given[place]);
        // A field that the template does not show must be right all the same; `parts` sees to it that there is none.
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Ok(text.as_str()),
                Part::Value(place) => value(*place),
            })
            .collect()
    }

    fn value<'v>(&'v self, field: &'v Field, given: Option<&'v str>) -> Result<&'v str, PresetError> {
        let missing = || PresetError::Missing {
            preset: self.name.clone(),
            field: field.name.clone(),
            label: field.label.clone(),
        };
        match (field.kind, given) {
            (FieldKind::Choice, None) => field.choices.first().map(String::as_str).ok_or_else(missing),
            (FieldKind::Choice, Some(value)) => {
                let choice = field.choices.iter().find(|choice| *choice == value).map(String::as_str);
                choice.ok_or_else(|| PresetError::NoChoice {
                    preset: self.name.clone(),
                    field: field.name.clone(),
                    choices: field.choices.clone(),
                })
            }
            (_, Some(value)) if !value.trim().is_empty() => Ok(value),
            _ => Err(missing()),
        }
    }
}

fn check_fields(fields: &[Field]) -> Result<(), String> {
    if fields.is_empty() || fields.len() > MOST_FIELDS {
        return Err(format!("it has {} fields, but must have 1 to {MOST_FIELDS}", fields.len()));
    }
    for (at, field) in fields.iter().enumerate() {
        let name = &field.name;
        if !is_name(name) {
            return Err(format!("the field {} has a name that is none: letters, digits, `-` and `_`", at + 1));
        }
        if fields[..at].iter().any(|other| other.name == *name) {
            return Err(format!("the field `{name}` is there twice"));
        }
        match (field.kind, field.choices.len()) {
            (FieldKind::Choice, 0 | 1) => return Err(format!("the field `{name}` leaves nothing to choose")),
            (FieldKind::Text | FieldKind::Line, 1..) => {
                return Err(format!("the field `{name}` has choices, but is not of the kind `choice`"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_settings(settings: &PresetSettings) -> Result<(), String> {
    let PresetSettings { temperature, max_tokens, stop } = settings;
    if !(0.0..=2.0).contains(temperature) {
        return Err(format!("`temperature` is {temperature}, but must be 0 to 2"));
    }
    if !(1..=100_000).contains(max_tokens) {
        return Err(format!("`max_tokens` is {max_tokens}, but must be 1 to 100000"));
    }
    if stop.len() > MOST_STOPS || stop.iter().any(|stop| stop.is_empty() || stop.len() > LONGEST_STOP) {
        return Err(format!("`stop` has at most {MOST_STOPS} strings of 1 to {LONGEST_STOP} bytes"));
    }
    Ok(())
}

/// Takes a template apart.
fn parts(template: &str, fields: &[Field]) -> Result<Vec<Part>, String> {
    if template.len() > LONGEST {
        return Err(format!("the template has {} bytes, but may have at most {LONGEST}", template.len()));
    }
    let (mut parts, mut rest) = (Vec::new(), template);
    while let Some((text, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or("a `{{` of the template is not closed")?;
        let place = fields.iter().position(|field| field.name == name);
        let unknown = || {
            let shown: String = name.chars().take(40).collect();
            format!("the template has `{{{{{shown}}}}}`, but there is no such field")
        };
        parts.extend((!text.is_empty()).then(|| Part::Text(text.to_owned())));
        parts.push(Part::Value(place.ok_or_else(unknown)?));
        rest = after;
    }
    parts.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
    let unused = fields.iter().enumerate().find(|(at, _)| !parts.contains(&Part::Value(*at)));
    match unused {
        Some((_, field)) => Err(format!("the template does not use the field `{}`", field.name)),
        None => Ok(parts),
    }
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// The presets there are.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Presets(Vec<Preset>);

impl Default for Presets {
    fn default() -> Self {
        Self::built_in()
    }
}

impl Presets {
    /// Those that come with the program.
    pub fn built_in() -> Self {
        let read = |(name, text): (&str, &str)| Preset::parse(name, text).expect("a test holds that each can be read");
        Self(BUILT_IN.into_iter().map(read).collect())
    }

    /// These and another, which takes the place of one of the same name.
    ///
    /// # Errors
    /// [`PresetError::TooMany`].
    pub fn add(&mut self, preset: Preset) -> Result<(), PresetError> {
        match self.0.iter().position(|known| known.name == preset.name) {
            Some(at) => self.0[at] = preset,
            None if self.0.len() >= MOST_PRESETS => return Err(PresetError::TooMany),
            None => self.0.push(preset),
        }
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Preset> {
        self.0.iter()
    }

    /// The one of this name.
    ///
    /// # Errors
    /// [`PresetError::Unknown`], which names those there are.
    pub fn find(&self, name: &str) -> Result<&Preset, PresetError> {
        self.0.iter().find(|preset| preset.name == name).ok_or_else(|| PresetError::Unknown {
            name: name.chars().take(100).collect(),
            known: self.0.iter().map(|preset| preset.name.clone()).collect(),
        })
    }
}

#[cfg(test)]
#[path = "presets/tests.rs"]
mod tests;
