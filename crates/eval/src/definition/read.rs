//! A task of its YAML.

use std::sync::Arc;

use serde_json::{Value, json};

use super::classification;
use super::complete::complete;
use super::dataset::dataset;
use super::examples::examples;
use super::yaml::{Content, Fault, Node};
use super::{Field, Filter, Generating, Metric, Output, Pipeline, Task};
use crate::aggregate::{Aggregation, known_metric};
use crate::functions;
use crate::template::Template;

pub(super) type Read<T> = Result<T, Fault>;

/// What a definition may say. Those that the harness knows and nothing here follows are accepted where they change no number.
const KNOWN: &[&str] = &[
    "task",
    "task_alias",
    "tag",
    "group",
    "dataset_path",
    "dataset_name",
    "dataset_kwargs",
    "revision",
    "local",
    "training_split",
    "validation_split",
    "test_split",
    "fewshot_split",
    "process_docs",
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "doc_to_pair",
    "process_results",
    "description",
    "target_delimiter",
    "fewshot_delimiter",
    "fewshot_config",
    "num_fewshot",
    "metric_list",
    "output_type",
    "generation_kwargs",
    "repeats",
    "filter_list",
    "should_decontaminate",
    "doc_to_decontamination_query",
    "gen_prefix",
    "metadata",
    "unsafe_code",
    "protocol",
    "documents",
];

/// The named fields of a mapping.
pub(crate) fn fields(node: &Node) -> Read<&[(String, Node)]> {
    match &node.content {
        Content::Map(fields) => Ok(fields),
        _ => Err(node.fault(format!("a mapping is wanted here, found {}", node.kind()))),
    }
}

pub(super) struct Fields<'a> {
    line: usize,
    fields: &'a [(String, Node)],
}

impl<'a> Fields<'a> {
    pub(super) fn new(node: &'a Node) -> Read<Self> {
        Ok(Self { line: node.line, fields: fields(node)? })
    }

    /// What is wrong with all of it.
    pub(super) fn fault(&self, why: impl Into<String>) -> Fault {
        Fault { line: self.line, why: why.into() }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn only(&self, known: &[&str]) -> Read<()> {
        match self.fields.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, node)) => Err(node.fault(format!("`{name}` is not known; known are {}", known.join(", ")))),
            None => Ok(()),
        }
    }

    /// A field that says something.
    pub(super) fn find(&self, name: &str) -> Option<&'a Node> {
        let found = self.fields.iter().find(|(known, _)| known == name).map(|(_, node)| node);
        found.filter(|node| node.content != Content::Null)
    }

    pub(super) fn text(&self, name: &str) -> Read<Option<String>> {
        self.find(name).map(|node| text(node, name)).transpose()
    }

    pub(super) fn wanted(&self, name: &str) -> Read<&'a Node> {
        self.find(name).ok_or_else(|| self.fault(format!("`{name}` is missing")))
    }

    fn number(&self, name: &str) -> Read<Option<f64>> {
        self.find(name)
            .map(|node| match node.content {
                Content::Int(value) => Ok(value as f64),
                Content::Float(value) => Ok(value),
                _ => Err(node.fault(format!("`{name}` is a number, found {}", node.kind()))),
            })
            .transpose()
    }

    fn count(&self, name: &str, most: usize) -> Read<Option<usize>> {
        let Some(node) = self.find(name) else { return Ok(None) };
        match node.content {
            Content::Int(value) if usize::try_from(value).is_ok_and(|value| value <= most) => Ok(Some(value as usize)),
            _ => Err(node.fault(format!("`{name}` is a whole number from 0 to {most}"))),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Read<bool> {
        match self.find(name) {
            None => Ok(false),
            Some(Node { content: Content::Bool(value), .. }) => Ok(*value),
            Some(node) => Err(node.fault(format!("`{name}` is true or false, found {}", node.kind()))),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Read<Vec<String>> {
        match self.find(name) {
            None => Ok(Vec::new()),
            Some(Node { content: Content::List(items), .. }) => items.iter().map(|item| text(item, name)).collect(),
            Some(node) => Ok(vec![text(node, name)?]),
        }
    }

    pub(super) fn field(&self, name: &str) -> Read<Option<Field>> {
        self.find(name).map(|node| field(node, name)).transpose()
    }

    pub(super) fn documents_function(&self, name: &str) -> Read<Option<functions::DocumentsFunction>> {
        self.find(name).map(|node| function(node, name, functions::documents)).transpose()
    }
}

/// What a definition says of itself in `metadata.version`.
pub(super) fn version(fields: &Fields<'_>) -> Read<Option<Value>> {
    let metadata = fields.find("metadata").map(Node::json).transpose()?.unwrap_or(Value::Null);
    Ok(metadata.get("version").cloned())
}

fn text(node: &Node, name: &str) -> Read<String> {
    match &node.content {
        Content::Text(text) => Ok(text.clone()),
        Content::Int(value) => Ok(value.to_string()),
        _ => Err(node.fault(format!("`{name}` is a text, found {}", node.kind()))),
    }
}

fn function<F>(node: &Node, name: &str, find: fn(&str) -> Option<F>) -> Read<F> {
    let Content::Function(wanted) = &node.content else {
        return Err(node.fault(format!("`{name}` is a function (`!function NAME`), found {}", node.kind())));
    };
    find(wanted).ok_or_else(|| {
        node.fault(format!(
            "`{name}` wants the function `{wanted}`, which is Python of its author's and cannot be run here; write it as \
             a template, or use one of the functions that gptneo has (docs/eval.md lists them)"
        ))
    })
}

fn template(node: &Node, name: &str, source: &str) -> Read<Template> {
    Template::new(source).map_err(|why| node.fault(format!("`{name}` is no template: {why}")))
}

fn field(node: &Node, name: &str) -> Read<Field> {
    Ok(match &node.content {
        Content::Text(source) => Field::Template(template(node, name, source)?),
        Content::Function(_) => Field::Function(function(node, name, functions::field)?),
        _ => Field::Constant(node.json()?),
    })
}

/// A task of the mapping that a file holds.
pub(crate) fn read(node: &Node) -> Read<Task> {
    let fields = Fields::new(node)?;
    if let Some(prompt) = fields.find("use_prompt") {
        return Err(prompt.fault("prompts of promptsource are not had here: write `doc_to_text` as a template"));
    }
    for picture in ["doc_to_image", "doc_to_audio", "custom_dataset"] {
        if let Some(node) = fields.find(picture) {
            return Err(node.fault(format!("`{picture}` is not supported: tasks here are of text, in files")));
        }
    }
    fields.only(KNOWN)?;
    let output = output(&fields)?;
    let target_delimiter = fields.text("target_delimiter")?.unwrap_or_else(|| " ".to_owned());
    let fewshot_delimiter = fields.text("fewshot_delimiter")?.unwrap_or_else(|| "\n\n".to_owned());
    let process_results =
        fields.find("process_results").map(|node| function(node, "process_results", functions::results)).transpose()?;
    let splits = ["training_split", "validation_split", "test_split"].map(|name| fields.text(name));
    let [training_split, validation_split, test_split] = splits;
    let generating = generating(&fields, &fewshot_delimiter)?;
    let task = Task {
        name: fields.text("task")?.ok_or_else(|| node.fault("`task`, the name, is missing"))?,
        alias: fields.text("task_alias")?,
        tags: [fields.texts("tag")?, fields.texts("group")?].concat(),
        dataset: dataset(&fields)?,
        training_split: training_split?,
        validation_split: validation_split?,
        test_split: test_split?,
        documents: fields.find("documents").map(|node| function(node, "documents", functions::made)).transpose()?,
        process_docs: fields.documents_function("process_docs")?,
        description: fields
            .find("description")
            .map(|node| template(node, "description", &text(node, "description")?))
            .transpose()?,
        doc_to_text: fields.field("doc_to_text")?,
        doc_to_target: fields.field("doc_to_target")?,
        labels: classification::labels(&fields, output),
        doc_to_choice: fields.field("doc_to_choice")?,
        doc_to_pair: fields.field("doc_to_pair")?,
        gen_prefix: fields.field("gen_prefix")?,
        decontamination_query: fields.field("doc_to_decontamination_query")?,
        examples: examples(&fields)?,
        num_fewshot: match output {
            // A head has seen texts alone.
            Output::Classification => Some(0),
            _ => fields.count("num_fewshot", 1000)?,
        },
        metrics: metrics(&fields, output, process_results.is_some())?,
        repeats: fields.count("repeats", 10_000)?.unwrap_or(1).max(1),
        pipelines: pipelines(&fields)?,
        version: version(&fields)?.unwrap_or(json!("Yaml")),
        protocol: fields.text("protocol")?,
        source: Arc::new(node.shown()),
        target_delimiter,
        fewshot_delimiter,
        output,
        generating,
        process_results,
    };
    complete(&task, &fields)?;
    Ok(task)
}

fn output(fields: &Fields<'_>) -> Read<Output> {
    let all = [
        Output::Loglikelihood,
        Output::LoglikelihoodRolling,
        Output::MultipleChoice,
        Output::Sentences,
        Output::GenerateUntil,
        Output::Classification,
    ];
    let Some(node) = fields.find("output_type") else { return Ok(Output::GenerateUntil) };
    let wanted = text(node, "output_type")?;
    all.into_iter().find(|output| output.name() == wanted).ok_or_else(|| {
        let names = all.map(Output::name).join(", ");
        node.fault(format!("`output_type` is one of {names}, found `{wanted}`"))
    })
}

fn generating(fields: &Fields<'_>, delimiter: &str) -> Read<Generating> {
    let mut found =
        Generating { until: vec![delimiter.to_owned()], max_tokens: 256, temperature: 0.0, top_p: 1.0, top_k: 0 };
    let Some(node) = fields.find("generation_kwargs") else { return Ok(found) };
    let given = Fields::new(node)?;
    given.only(&["until", "max_gen_toks", "do_sample", "temperature", "top_p", "top_k"])?;
    if given.find("until").is_some() {
        found.until = given.texts("until")?;
    }
    found.max_tokens = given.count("max_gen_toks", 1 << 20)?.unwrap_or(256);
    if given.flag("do_sample")? {
        found.temperature = given.number("temperature")?.unwrap_or(1.0);
        found.top_p = given.number("top_p")?.unwrap_or(1.0);
        found.top_k = given.count("top_k", 1 << 20)?.unwrap_or(0);
    } else if given.number("temperature")?.is_some_and(|temperature| temperature != 0.0) {
        let node = given.wanted("temperature")?;
        return Err(node.fault("a `temperature` without `do_sample: true` has no meaning: say which is meant"));
    }
    Ok(found)
}

fn metrics(fields: &Fields<'_>, output: Output, own: bool) -> Read<Vec<Metric>> {
    let plain = |name: &str| {
        let (aggregation, higher_is_better) = known_metric(name)?;
        Some(Metric {
            name: name.to_owned(),
            by: None,
            aggregation,
            higher_is_better,
            ignore_case: false,
            ignore_punctuation: false,
            ignore_numbers: false,
            regexes_to_ignore: Vec::new(),
        })
    };
    let Some(node) = fields.find("metric_list") else {
        let names: &[&str] = match output {
            Output::Loglikelihood => &["perplexity", "acc"],
            Output::LoglikelihoodRolling => &["word_perplexity", "byte_perplexity", "bits_per_byte"],
            Output::MultipleChoice => &["acc", "acc_norm"],
            Output::Sentences => return fields.wanted("metric_list").map(|_| Vec::new()),
            Output::GenerateUntil => &["exact_match"],
            Output::Classification if fields.find("doc_to_choice").is_some() => &["acc"],
            Output::Classification => &["pearson", "spearman"],
        };
        return Ok(names.iter().filter_map(|name| plain(name)).collect());
    };
    let Content::List(items) = &node.content else { return Err(node.fault("`metric_list` is a list")) };
    let mut found = Vec::new();
    for item in items {
        let given = Fields::new(item)?;
        given.only(&[
            "metric",
            "by",
            "aggregation",
            "higher_is_better",
            "ignore_case",
            "ignore_punctuation",
            "ignore_numbers",
            "regexes_to_ignore",
            "hf_evaluate",
            "strict",
        ])?;
        let name = match &given.wanted("metric")?.content {
            Content::Function(name) => name.rsplit('.').next().unwrap_or(name).to_owned(),
            _ => text(given.wanted("metric")?, "metric")?,
        };
        let aggregation = match given.find("aggregation") {
            None => None,
            Some(node) => {
                let wanted = match &node.content {
                    Content::Function(name) => name.clone(),
                    _ => text(node, "aggregation")?,
                };
                Some(Aggregation::named(&wanted).ok_or_else(|| {
                    let names = Aggregation::NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                    node.fault(format!("the aggregation `{wanted}` is not known; known are {names}"))
                })?)
            }
        };
        let mut metric = match (plain(&name), aggregation) {
            (Some(metric), _) => metric,
            // A function of ours may give scores of any name.
            (None, aggregation) if own => Metric {
                aggregation: aggregation.unwrap_or(Aggregation::Mean),
                higher_is_better: true,
                ..plain("acc").expect("it is known")
            },
            _ => return Err(item.fault(format!("the metric `{name}` is not known (docs/eval.md lists them)"))),
        };
        metric.name = name;
        metric.by = given.text("by")?;
        metric.aggregation = aggregation.unwrap_or(metric.aggregation);
        if given.find("higher_is_better").is_some() {
            metric.higher_is_better = given.flag("higher_is_better")?;
        }
        metric.ignore_case = given.flag("ignore_case")?;
        metric.ignore_punctuation = given.flag("ignore_punctuation")?;
        metric.ignore_numbers = given.flag("ignore_numbers")?;
        metric.regexes_to_ignore =
            given.texts("regexes_to_ignore")?.iter().map(|pattern| regex(item, pattern)).collect::<Read<_>>()?;
        found.push(metric);
    }
    if found.is_empty() {
        return Err(node.fault("`metric_list` is empty"));
    }
    Ok(found)
}

fn regex(node: &Node, pattern: &str) -> Read<regex::Regex> {
    let built = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build();
    built.map_err(|error| node.fault(format!("`{pattern}` is no regular expression that is understood here: {error}")))
}

fn pipelines(fields: &Fields<'_>) -> Read<Vec<Pipeline>> {
    let Some(node) = fields.find("filter_list") else {
        return Ok(vec![Pipeline { name: "none".to_owned(), filters: vec![Filter::TakeFirst] }]);
    };
    let Content::List(items) = &node.content else { return Err(node.fault("`filter_list` is a list")) };
    let mut found = Vec::new();
    for item in items {
        let given = Fields::new(item)?;
        given.only(&["name", "filter"])?;
        let name = given.text("name")?.ok_or_else(|| item.fault("a filter has a `name`"))?;
        let steps = given.wanted("filter")?;
        let Content::List(steps) = &steps.content else { return Err(steps.fault("`filter` is a list")) };
        found.push(Pipeline { name, filters: steps.iter().map(filter).collect::<Read<_>>()? });
    }
    if found.is_empty() { Err(node.fault("`filter_list` is empty")) } else { Ok(found) }
}

fn filter(node: &Node) -> Read<Filter> {
    let given = Fields::new(node)?;
    given.only(&["function", "regex_pattern", "group_select", "fallback", "k"])?;
    let name = given.text("function")?.ok_or_else(|| node.fault("a filter names its `function`"))?;
    Ok(match name.as_str() {
        "take_first" => Filter::TakeFirst,
        "majority_vote" => Filter::MajorityVote,
        "lowercase" => Filter::Lowercase,
        "uppercase" => Filter::Uppercase,
        "remove_whitespace" => Filter::RemoveWhitespace,
        "regex" => {
            let pattern = given.text("regex_pattern")?.unwrap_or_else(|| r"#### (\-?[0-9\.\,]+)".to_owned());
            let group = match given.find("group_select").map(|node| &node.content) {
                None => 0,
                Some(Content::Int(group)) if (-100..=100).contains(group) => *group as isize,
                Some(_) => return Err(node.fault("`group_select` is a whole number")),
            };
            let fallback = given.text("fallback")?.unwrap_or_else(|| "[invalid]".to_owned());
            Filter::Regex { pattern: regex(node, &pattern)?, group, fallback }
        }
        other => {
            return Err(node.fault(format!(
                "the filter `{other}` is not known; known are take_first, majority_vote, regex, lowercase, uppercase, \
                 remove_whitespace"
            )));
        }
    })
}
