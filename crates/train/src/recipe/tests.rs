use super::*;

const SMALL: &str = r#"
name = "small"
[model]
shape = "gpt-neo-125m"
[data]
train = ["shards"]
[schedule]
steps = 10
"#;

fn set(overrides: &[&str]) -> Result<Recipe, RecipeError> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    Recipe::parse(SMALL, &overrides)
}

#[test]
fn what_is_not_said_has_the_published_defaults() {
    let recipe = set(&[]).unwrap();
    let OptimizerRecipe { beta1, beta2, eps, weight_decay, clip, .. } = recipe.optimizer;
    assert_eq!((beta1, beta2, eps, weight_decay, clip), (0.9, 0.95, 1e-8, 0.1, 1.0));
    assert_eq!((recipe.schedule.shape, recipe.schedule.floor), (Shape::Cosine, 0.1));
    assert_eq!(recipe.output, PathBuf::from("runs/small"));
}

#[test]
fn an_unknown_field_is_refused_with_the_nearest_name() {
    for (given, nearest) in [
        ("optimizer.learning_rate=1", None),
        ("optimizer.weightdecay=1", Some("optimizer.weight_decay")),
        ("sede=1", Some("seed")),
        ("batch.sequence=1", Some("batch.sequences")),
        ("data.train=[{path = 'a', wieght = 2}]", Some("data.train[0].weight")),
    ] {
        let Err(RecipeError::UnknownField { nearest: found, .. }) = set(&[given]) else { panic!("{given} is taken") };
        assert_eq!(found.as_deref(), nearest, "{given}");
    }
}

#[test]
fn values_that_make_no_sense_are_refused_by_name() {
    for (given, field) in [
        ("optimizer.lr=-1", "optimizer.lr"),
        ("optimizer.lr=nan", "optimizer.lr"),
        ("optimizer.beta2=1", "optimizer.beta2"),
        ("optimizer.kind=adam", "optimizer.kind"),
        ("optimizer.clip=\"much\"", "optimizer.clip"),
        ("model.dropout=1.0", "model.dropout"),
        ("model.config=3", "model.config"),
        ("data.sequence=1", "data.sequence"),
        ("data.train=7", "data.train"),
        ("data.train=[{path='a', weight=0}]", "data.train[0].weight"),
        ("data.train=[{path='a', epochs=-1}]", "data.train[0].epochs"),
        ("batch.sequences=0", "batch.sequences"),
        ("schedule.steps=ten", "schedule.steps"),
        ("seed=-1", "seed"),
        ("name=a/b", "name"),
        ("guard.policy=ignore", "guard.policy"),
        ("checkpoint.keep=0", "checkpoint.keep"),
        ("batch=3", "batch"),
    ] {
        let error = set(&[given]).expect_err(given);
        assert!(error.to_string().starts_with(&format!("`{field}` is")), "{given}: {error}");
    }
}

#[test]
fn fields_that_do_not_go_together_are_refused() {
    for given in [
        &["model.from=gpt2"][..],
        &["data.train=[]"],
        &["eval.every=5"],
        &["eval.tasks=piqa"],
        &["data.train=[{path='a', weight=1, epochs=1}]"],
        &["data.sources=['a.txt']"],
        &["data.examples=['a.jsonl']"],
        &["data.template=plain"],
        &["model.labels=['yes', 'no']"],
        &["data.held_out_fraction=0.1"],
        &["adapter.rank=4"],
        &["schedule.epochs=2"],
        &["schedule.warmup=1", "schedule.warmup_ratio=0.1"],
        &["evaluation.at_start=true"],
        &["evaluation.every=10"],
        &["checkpoint.keep_best=true"],
        &["sample.every=1"],
        &["schedule.warmup=10"],
        &["schedule.kind=warmup-stable-decay", "schedule.warmup=5", "schedule.decay=6"],
        &["batch.ramp_from=1"],
        &["batch.ramp_from=3", "batch.ramp_steps=1"],
        &["batch.micro=2"],
        &["guard.policy=roll-back", "checkpoint.every=0"],
    ] {
        assert!(matches!(set(given), Err(RecipeError::Conflict(_))), "{given:?}");
    }
}

#[test]
fn epochs_become_steps_once_the_data_is_counted() {
    let text = SMALL.replace("steps = 10", "epochs = 2.5\nwarmup_ratio = 0.1");
    let mut recipe = Recipe::parse(&text, &["batch.sequences=8".into()]).unwrap();
    recipe.count_steps(Some(100)).unwrap();
    assert_eq!((recipe.schedule.steps, recipe.schedule.warmup, recipe.epochs), (32, 3, None));
    let mut weighted = Recipe::parse(&text, &[]).unwrap();
    assert!(matches!(weighted.count_steps(None), Err(RecipeError::Conflict(_))));
    assert!(matches!(weighted.count_steps(Some(0)), Err(RecipeError::Conflict(_))), "no steps at all");
    let neither = SMALL.replace("steps = 10", "");
    assert!(matches!(Recipe::parse(&neither, &[]), Err(RecipeError::Missing { .. })));
}

#[test]
fn adapters_stand_beside_a_trained_model() {
    let text = SMALL.replace("shape = \"gpt-neo-125m\"", "from = \"base\"");
    let recipe = |set: &[&str]| {
        let set: Vec<String> = set.iter().map(|&text| text.to_owned()).collect();
        Recipe::parse(&text, &set).unwrap().adapter
    };
    assert_eq!(recipe(&[]), None);
    let adapter = recipe(&["adapter.rank=4"]).unwrap();
    assert_eq!((adapter.alpha, adapter.targets), (8.0, vec!["all-linear".to_owned()]));
    let adapter = recipe(&["adapter.targets=[\"q_proj\", \"v_proj\"]", "adapter.alpha=32"]).unwrap();
    assert_eq!((adapter.rank, adapter.alpha, adapter.targets.len()), (8, 32.0, 2));
}

#[test]
fn parts_have_weights_or_epochs() {
    let recipe = set(&["data.train=[{path='a', weight=18.11}, {path='b', epochs=2.5}, 'c']"]).unwrap();
    let amounts: Vec<Amount> = recipe.data.train.iter().map(|part| part.amount).collect();
    assert_eq!(amounts, [Amount::Weight(18_110_000), Amount::Epochs(2500), Amount::Epochs(1000)]);
}

#[test]
fn text_that_is_no_toml_says_where() {
    let error = Recipe::parse("name = ", &[]).unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
}

#[test]
fn an_architecture_may_stand_in_the_recipe() {
    let text = SMALL.replace("shape = \"gpt-neo-125m\"", "config = { model_type = \"gpt_neo\", hidden_size = 8 }");
    let recipe = Recipe::parse(&text, &[]).unwrap();
    assert_eq!(recipe.model.start, Start::Config("{\"model_type\":\"gpt_neo\",\"hidden_size\":8}".into()));
}

#[test]
fn the_text_says_the_overrides_and_reads_back() {
    let recipe = set(&["optimizer.lr=0.5", "data.held_out=h"]).unwrap();
    let again = Recipe::parse(&recipe.text, &[]).unwrap();
    assert_eq!(again, recipe);
    assert_eq!(again.optimizer.lr, 0.5);
}

#[test]
fn what_is_computed_does_not_hang_on_how_it_is_watched() {
    let essence = |overrides: &[&str]| set(overrides).unwrap().essence().unwrap();
    let plain = essence(&["batch.sequences=8"]);
    for same in ["output=x", "name=other", "batch.micro=4", "checkpoint.keep=9", "sample.tokens=9", "eval.limit=5"] {
        assert_eq!(essence(&["batch.sequences=8", same]), plain, "{same}");
    }
    for other in ["seed=1", "optimizer.lr=1", "batch.sequences=9", "data.sequence=64"] {
        assert_ne!(essence(&["batch.sequences=8", other]), plain, "{other}");
    }
}

#[test]
fn the_page_on_recipes_names_every_field() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
    // What a table would refuse names all the fields that it knows.
    let known = |assignment: &str| match set(&[assignment]) {
        Err(RecipeError::UnknownField { known, .. }) => known,
        other => panic!("{assignment}: {other:?}"),
    };
    let sections = [
        "model",
        "adapter",
        "data",
        "batch",
        "schedule",
        "optimizer",
        "guard",
        "checkpoint",
        "evaluation",
        "eval",
        "sample",
    ];
    for section in sections {
        for field in known(&format!("{section}.zzz=1")).split(", ") {
            assert!(page.contains(&format!("`{section}.{field}`")), "{section}.{field} is not on the page");
        }
    }
    for field in known("zzz=1").split(", ").filter(|field| !sections.contains(field)) {
        assert!(page.contains(&format!("| `{field}` |")), "{field} is not on the page");
    }
}

#[test]
fn the_recipes_that_ship_are_recipes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let recipes: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    assert!(recipes.len() >= 5, "{recipes:?}");
    for path in recipes {
        let text = std::fs::read_to_string(&path).unwrap();
        let recipe = Recipe::parse(&text, &[]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(path.file_stem().unwrap().to_str(), Some(recipe.name.as_str()));
        for says in ["command", "hardware", "expected"] {
            assert!(text.contains(&format!("#   {says}")), "{} does not say its {says}", path.display());
        }
    }
}
