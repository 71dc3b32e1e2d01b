//! The definitions that ship with the program. `tests/eval/shipped.rs` holds that these are all files of the folder.

/// Names and texts.
pub(super) const FILES: &[(&str, &str)] = &[
    ("arc.yaml", include_str!("../../tasks/arc.yaml")),
    ("arithmetic.yaml", include_str!("../../tasks/arithmetic.yaml")),
    ("glue.yaml", include_str!("../../tasks/glue.yaml")),
    ("groups_glue.yaml", include_str!("../../tasks/groups_glue.yaml")),
    ("groups_superglue.yaml", include_str!("../../tasks/groups_superglue.yaml")),
    ("gsm8k.yaml", include_str!("../../tasks/gsm8k.yaml")),
    ("hellaswag.yaml", include_str!("../../tasks/hellaswag.yaml")),
    ("lambada_openai.yaml", include_str!("../../tasks/lambada_openai.yaml")),
    ("logiqa.yaml", include_str!("../../tasks/logiqa.yaml")),
    ("mathqa.yaml", include_str!("../../tasks/mathqa.yaml")),
    ("nq_open.yaml", include_str!("../../tasks/nq_open.yaml")),
    ("openbookqa.yaml", include_str!("../../tasks/openbookqa.yaml")),
    ("pile.yaml", include_str!("../../tasks/pile.yaml")),
    ("piqa.yaml", include_str!("../../tasks/piqa.yaml")),
    ("pubmedqa.yaml", include_str!("../../tasks/pubmedqa.yaml")),
    ("sciq.yaml", include_str!("../../tasks/sciq.yaml")),
    ("summaries.yaml", include_str!("../../tasks/summaries.yaml")),
    ("superglue.yaml", include_str!("../../tasks/superglue.yaml")),
    ("translation.yaml", include_str!("../../tasks/translation.yaml")),
    ("triviaqa.yaml", include_str!("../../tasks/triviaqa.yaml")),
    ("truthfulqa.yaml", include_str!("../../tasks/truthfulqa.yaml")),
    ("wikitext.yaml", include_str!("../../tasks/wikitext.yaml")),
    ("winogrande.yaml", include_str!("../../tasks/winogrande.yaml")),
];
