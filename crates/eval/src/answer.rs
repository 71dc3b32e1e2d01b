//! What a model is asked, and what it answers.

use serde_json::{Value, json};

use crate::definition::Generating;

/// One thing asked of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// How likely a continuation is.
    Likelihood {
        /// What is given; may be empty.
        context: String,
        /// What is scored.
        continuation: String,
    },
    /// How likely a whole text is.
    Rolling {
        /// The text.
        text: String,
    },
    /// Which label a text, or a pair of texts, has.
    Classify {
        /// The text.
        text: String,
        /// What goes with it.
        pair: Option<String>,
    },
    /// How likely a sentence is, token for token.
    Sentence {
        /// What goes before it. Where it is empty the first token follows the model's beginning token, and the others follow the sentence
        /// alone, as the measures of bias define it.
        context: String,
        /// What is scored.
        sentence: String,
    },
    /// To go on.
    Generate {
        /// The prompt.
        context: String,
        /// How.
        generating: Generating,
        /// Which of several, where they are drawn.
        sample: usize,
    },
}

impl Request {
    /// Its arguments, as samples hold them.
    pub(crate) fn arguments(&self) -> Value {
        match self {
            Self::Likelihood { context, continuation } => json!([context, continuation]),
            Self::Rolling { text } | Self::Classify { text, pair: None } => json!([text]),
            Self::Classify { text, pair: Some(pair) } => json!([text, pair]),
            Self::Sentence { context, sentence } => json!([context, sentence]),
            Self::Generate { context, generating, .. } => json!([context, {
                "until": generating.until,
                "max_gen_toks": generating.max_tokens,
                "do_sample": generating.temperature > 0.0,
                "temperature": generating.temperature,
                "top_p": generating.top_p,
                "top_k": generating.top_k,
            }]),
        }
    }

    /// What names it among all requests.
    pub(crate) fn key(&self) -> String {
        let kind = match self {
            Self::Likelihood { .. } => json!("loglikelihood"),
            Self::Rolling { .. } => json!("loglikelihood_rolling"),
            Self::Classify { .. } => json!("classification"),
            Self::Sentence { .. } => json!("sentence"),
            Self::Generate { sample, .. } => json!(["generate_until", sample]),
        };
        crate::hash(json!([kind, self.arguments()]).to_string().as_bytes())
    }
}

/// A number that depends on all of a request, made of its key.
pub(crate) fn number(key: &str) -> u64 {
    key.bytes().fold(0, |number: u64, digit| number.rotate_left(5) ^ u64::from(digit))
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Of a likelihood.
    Likelihood {
        /// Summed, in nats.
        logprob: f64,
        /// Whether every token is the likeliest.
        greedy: bool,
    },
    /// Of a whole text, in nats.
    Rolling(f64),
    /// Of a sentence.
    Sentence {
        /// Summed, in nats.
        logprob: f64,
        /// Over how many tokens; not 0.
        tokens: usize,
    },
    /// Generated.
    Text(String),
    /// Of labels, in the model's order, or of a value alone.
    Logits(Vec<f32>),
}

impl Answer {
    /// The log-likelihood.
    pub(crate) fn logprob(&self) -> Option<f64> {
        match self {
            Self::Likelihood { logprob, .. } | Self::Rolling(logprob) | Self::Sentence { logprob, .. } => {
                Some(*logprob)
            }
            Self::Text(_) | Self::Logits(_) => None,
        }
    }

    /// The mean log-probability of a token of a sentence, in nats.
    pub(crate) fn per_token(&self) -> Option<f64> {
        if let Self::Sentence { logprob, tokens } = self { Some(logprob / *tokens as f64) } else { None }
    }

    /// The text.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// As samples hold it: the harness writes numbers as text.
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Likelihood { logprob, greedy } => {
                json!([crate::python::float_repr(*logprob), if *greedy { "True" } else { "False" }])
            }
            Self::Rolling(logprob) => json!(crate::python::float_repr(*logprob)),
            Self::Sentence { logprob, tokens } => json!([crate::python::float_repr(*logprob), tokens]),
            Self::Text(text) => json!(text),
            Self::Logits(logits) => json!(logits),
        }
    }
}

/// The place of the largest, the first of equal ones.
pub(crate) fn largest(numbers: &[f64]) -> usize {
    let mut best = 0;
    for (at, number) in numbers.iter().enumerate() {
        if *number > numbers[best] {
            best = at;
        }
    }
    best
}
