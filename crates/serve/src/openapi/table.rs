//! Every operation of the server, and the fields that it takes.

/// One operation.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) group: &'static str,
    pub(super) summary: &'static str,
    pub(super) answer: &'static str,
    pub(super) fields: &'static [Field],
}

/// A field of a request's body.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// JSON's types, with `|` between them.
    pub(super) kind: &'static str,
    pub(super) required: bool,
    pub(super) meaning: &'static str,
}

const fn must(name: &'static str, kind: &'static str, meaning: &'static str) -> Field {
    Field { name, kind, required: true, meaning }
}

const fn may(name: &'static str, kind: &'static str, meaning: &'static str) -> Field {
    Field { name, kind, required: false, meaning }
}

const fn get(path: &'static str, group: &'static str, summary: &'static str, answer: &'static str) -> Operation {
    Operation { method: "GET", path, group, summary, answer, fields: &[] }
}

const fn post(
    path: &'static str,
    group: &'static str,
    summary: &'static str,
    answer: &'static str,
    fields: &'static [Field],
) -> Operation {
    Operation { method: "POST", path, group, summary, answer, fields }
}

const OPENAI: &str = "OpenAI";
const OLLAMA: &str = "Ollama";
const OIP: &str = "Open Inference Protocol";
const OPERATING: &str = "Operating";
const LOCAL: &str = "The page";

const MODEL: Field = may("model", "string", "Which model; the server's first where none is named");

const COMPLETION: &[Field] = &[
    MODEL,
    must("prompt", "string|array", "What is continued: a text, token ids, or an array of either"),
    may("max_tokens", "integer", "Most tokens to generate; 16 where nothing is said"),
    may("n", "integer", "How many continuations of each prompt"),
    may("best_of", "integer", "How many are made, of which the n with the highest mean log-probability are given"),
    may("echo", "boolean", "Gives the prompt back before its continuation"),
    may("logprobs", "integer", "Log-probabilities of tokens, and of so many alternatives (0 to 5)"),
    may("stream", "boolean", "Sends the answer in parts, as server-sent events"),
    may("stream_options", "object", "include_usage: a last part with the count of tokens"),
    may("temperature", "number", "0 to 10; 0 takes the likeliest token every time; 1 where nothing is said"),
    may("top_p", "number", "Chooses among the likeliest tokens that make up this probability"),
    may("top_k", "integer", "Chooses among so many of the likeliest tokens"),
    may("min_p", "number", "Leaves out tokens less likely than this share of the likeliest one's probability"),
    may("typical_p", "number", "Keeps the most typical tokens of this probability"),
    may("repetition_penalty", "number", "Divides the scores of tokens that were there before"),
    may("presence_penalty", "number", "Lowers the scores of tokens that were generated at all (-2 to 2)"),
    may("frequency_penalty", "number", "Lowers the scores of tokens for each time they were generated (-2 to 2)"),
    may("logit_bias", "object", "Added to the scores of token ids (-100 to 100, at most 300 of them)"),
    may("seed", "integer", "The same seed gives the same tokens"),
    may("stop", "string|array", "Ends before one of these texts (at most 4)"),
    may("stop_token_ids", "array", "Ends before one of these tokens"),
    may("min_tokens", "integer", "Before so many tokens nothing ends"),
    may("ignore_eos", "boolean", "Goes on past the end-of-text token"),
    may(
        "truncate_prompt_tokens",
        "integer",
        "Cuts the prompt from the left to so many tokens (-1: to what fits); the answer says so",
    ),
    may("response_format", "object", "What the answer must be: type text, json_object, or json_schema with its schema"),
    may("json_schema", "object|string", "The same, as a schema alone"),
    may("grammar", "string", "What the answer must be, as a grammar in GBNF"),
    may("regex", "string", "What the answer must be, as a regular expression"),
    may("suffix", "string", "Not served"),
    may("user", "string", "Not used"),
];

const CHAT: &[Field] = &[
    MODEL,
    must("messages", "array", "The conversation: objects with role (system, user, assistant) and content"),
    may(
        "chat_template",
        "string",
        "How it is written down: plain, alpaca, chatml or vicuna; the model's own where nothing is said",
    ),
    may(
        "tools",
        "array",
        "Functions that the model's template is told of, if it has a place for them; what it says comes back as text",
    ),
    may("tool_choice", "string", "auto or none"),
    may("response_format", "object", "What the answer must be: type text, json_object, or json_schema with its schema"),
    may("json_schema", "object|string", "The same, as a schema alone"),
    may("grammar", "string", "What the answer must be, as a grammar in GBNF"),
    may("regex", "string", "What the answer must be, as a regular expression"),
    may("max_completion_tokens", "integer", "Most tokens to generate; what the context holds where nothing is said"),
    may("max_tokens", "integer", "The same, by its older name"),
    may("n", "integer", "How many answers"),
    may("logprobs", "boolean", "Log-probabilities of tokens"),
    may("top_logprobs", "integer", "And of so many alternatives (0 to 20)"),
    may("stream", "boolean", "Sends the answer in parts, as server-sent events"),
    may("stream_options", "object", "include_usage: a last part with the count of tokens"),
    may("temperature", "number", "As for completions, and so are the fields below"),
    may("top_p", "number", ""),
    may("top_k", "integer", ""),
    may("min_p", "number", ""),
    may("typical_p", "number", ""),
    may("repetition_penalty", "number", ""),
    may("presence_penalty", "number", ""),
    may("frequency_penalty", "number", ""),
    may("logit_bias", "object", ""),
    may("seed", "integer", ""),
    may("stop", "string|array", ""),
    may("stop_token_ids", "array", ""),
    may("min_tokens", "integer", ""),
    may("ignore_eos", "boolean", ""),
    may("truncate_prompt_tokens", "integer", ""),
];

const EMBEDDINGS: &[Field] = &[
    MODEL,
    must("input", "string|array", "A text, token ids, or an array of either"),
    may("encoding_format", "string", "float, or base64 of little-endian f32"),
    may("dimensions", "integer", "The model's width, and nothing else"),
];

const GENERATE: &[Field] = &[
    must("model", "string", "Which model"),
    may("prompt", "string", "What is continued"),
    may("system", "string", "What the model is told first; wants a chat template"),
    may("raw", "boolean", "Continues the text as it is, by no template"),
    may("format", "string|object", "json, or a JSON schema: what the answer must be"),
    may("context", "array", "Token ids before the prompt, from an earlier answer"),
    may("stream", "boolean", "Lines of JSON; true where nothing is said"),
    may(
        "options",
        "object",
        "num_predict, temperature, top_k, top_p, min_p, typical_p, repeat_penalty, repeat_last_n, presence_penalty, frequency_penalty, seed, stop, num_ctx",
    ),
    may("keep_alive", "string|number", "Not used: models stay until another needs their place"),
];

const OLLAMA_CHAT: &[Field] = &[
    must("model", "string", "Which model"),
    must("messages", "array", "The conversation"),
    may("format", "string|object", "json, or a JSON schema: what the answer must be"),
    may("stream", "boolean", "Lines of JSON; true where nothing is said"),
    may("options", "object", "As for /api/generate"),
    may("keep_alive", "string|number", "Not used"),
];

const INFER: &[Field] = &[
    must("inputs", "array", "Tensors: text (BYTES, [n]) or tokens (INT32 or INT64, [t] or [n, t])"),
    may("outputs", "array", "Which of text, finish_reason and tokens are wanted"),
    may("parameters", "object", "max_tokens, temperature and the other settings of completions"),
    may("id", "string", "Comes back with the answer"),
];

/// Everything.
pub(super) const OPERATIONS: &[Operation] = &[
    post(
        "/v1/completions",
        OPENAI,
        "Continues text",
        "Choices with text, log-probabilities and the reason of their end",
        COMPLETION,
    ),
    post("/v1/chat/completions", OPENAI, "Answers in a conversation", "Choices with a message", CHAT),
    post(
        "/v1/embeddings",
        OPENAI,
        "What a text is to the model",
        "The mean of its final hidden states, of length 1",
        EMBEDDINGS,
    ),
    get("/v1/models", OPENAI, "Models and adapters", "A list"),
    get("/v1/models/{name}", OPENAI, "One of them", "A model"),
    post("/v1/moderations", OPENAI, "Not served", "501, in words", &[]),
    post("/api/generate", OLLAMA, "Continues text", "Lines with parts of it, the last with times and counts", GENERATE),
    post("/api/chat", OLLAMA, "Answers in a conversation", "Lines with parts of a message", OLLAMA_CHAT),
    post(
        "/api/embed",
        OLLAMA,
        "What texts are to the model",
        "A vector for each",
        &[
            must("model", "string", "Which model"),
            must("input", "string|array", "A text, or several"),
            may("truncate", "boolean", "Cuts a text to the context; an error where nothing is said"),
            may("dimensions", "integer", "The model's width, and nothing else"),
        ],
    ),
    post(
        "/api/embeddings",
        OLLAMA,
        "The same for one text, by its older name",
        "A vector",
        &[must("model", "string", "Which model"), must("prompt", "string", "The text")],
    ),
    get("/api/tags", OLLAMA, "Models and adapters", "A list"),
    post(
        "/api/show",
        OLLAMA,
        "What a model is",
        "Its family, shape, and card",
        &[must("model", "string", "Which model")],
    ),
    get("/api/ps", OLLAMA, "Models in memory", "A list"),
    get("/api/version", OLLAMA, "The version", "The version"),
    post(
        "/api/pull",
        OLLAMA,
        "Not served, as /api/push, /api/create, /api/copy and /api/delete are not",
        "501, in words",
        &[],
    ),
    get("/v2", OIP, "The server", "Name and version"),
    get("/v2/health/live", OIP, "Whether it answers", "live"),
    get("/v2/health/ready", OIP, "Whether it will serve", "ready"),
    get("/v2/models/{model}", OIP, "A model's tensors", "Inputs and outputs"),
    get("/v2/models/{model}/ready", OIP, "Whether it will serve", "ready"),
    post("/v2/repository/index", OIP, "Every model", "A list, with what is in memory", &[]),
    post("/v2/repository/models/{model}/load", OIP, "Loads a model that is offered", "Nothing, once it is loaded", &[]),
    post("/v2/models/{model}/infer", OIP, "Continues texts", "Tensors of texts, of reasons, of counts", INFER),
    post(
        "/tokenize",
        OPERATING,
        "Text to token ids",
        "Ids, their count, and the model's context",
        &[
            MODEL,
            must("content", "string", "The text; prompt is another name for it"),
            may("with_pieces", "boolean", "Also what each token spells"),
        ],
    ),
    post("/detokenize", OPERATING, "Token ids to text", "The text", &[MODEL, must("tokens", "array", "Ids")]),
    get("/health/live", OPERATING, "Whether the process answers; wants no key", "ok"),
    get("/health/ready", OPERATING, "Whether it will serve", "ok, or 503 while it loads or ends"),
    get("/health", OPERATING, "The same", "ok, or 503 while it loads or ends"),
    get("/metrics", OPERATING, "Counters for a Prometheus", "Text"),
    get("/version", OPERATING, "The version", "The version"),
    get("/", OPERATING, "The page for people", "A page"),
    get("/favicon.svg", OPERATING, "A part of it", "A picture"),
    get("/assets/app.js", OPERATING, "A part of it", "A script"),
    get("/assets/app.css", OPERATING, "A part of it", "A style sheet"),
    get("/docs/style.css", OPERATING, "A part of the page below", "A style sheet"),
    get("/local/models", LOCAL, "Models with their shapes, memory, rails and cards", "A list"),
    get("/local/presets", LOCAL, "Prompts for what such models are used for", "A list"),
    get("/local/runs", LOCAL, "Runs of the store", "A list"),
    get("/local/runs/{id}", LOCAL, "One of them", "Settings, names of its metrics, samples and notes"),
    get("/local/runs/{id}/series", LOCAL, "A metric of a run (query: metric, after)", "Points"),
    get("/local/evaluations", LOCAL, "Scores of the store", "A list"),
    get("/local/reviews", LOCAL, "Sheets for blind judging", "A list"),
    get("/local/reviews/{id}/next", LOCAL, "What a judge has not judged (query: judge)", "An item"),
    post(
        "/local/reviews/{id}/answers",
        LOCAL,
        "A judgement",
        "ok",
        &[
            must("judge", "string", "Who judges"),
            must("item", "string|integer", "What was judged"),
            must("a", "object", "fluency, coherence and relevance of the first text, 1 to 5"),
            must("b", "object", "The same of the second"),
            must("preference", "string", "a, b or tie"),
            may("note", "string", "Words about it"),
        ],
    ),
    get(
        "/local/reviews/{id}/report",
        LOCAL,
        "What the judges said",
        "Means, agreement and strengths, each with its count",
    ),
    get("/local/feedback", LOCAL, "What people said of answers (query: before, limit)", "A list"),
    post(
        "/local/feedback",
        LOCAL,
        "Something about an answer",
        "Its id",
        &[
            must("kind", "string", "thumb, edit, choice or report"),
            must("model", "string", "Whose answer it is"),
            may("prompt", "string", "What was asked; or messages"),
            may("messages", "array", "The conversation up to the answer"),
            must("response", "string", "The answer"),
            may("rating", "integer", "1 or -1, of a thumb"),
            may("better", "string", "What it should have been"),
            may("reason", "string", "What is wrong with it, of a report"),
            may("note", "string", "Words about it"),
        ],
    ),
    Operation {
        method: "DELETE",
        path: "/local/feedback",
        group: LOCAL,
        summary: "Deletes all of it",
        answer: "How much it was",
        fields: &[],
    },
    Operation {
        method: "DELETE",
        path: "/local/feedback/{id}",
        group: LOCAL,
        summary: "Deletes one",
        answer: "ok",
        fields: &[],
    },
    get("/local/feedback/export", LOCAL, "All of it to learn from (query: form)", "Lines of JSON"),
    get("/policy", LOCAL, "How the models may be used", "Text"),
    get("/openapi.json", OPERATING, "This, for programs", "An OpenAPI document"),
    get("/docs", OPERATING, "This, for people", "A page"),
];
