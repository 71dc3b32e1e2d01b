//! Adapters that PEFT trained for classification, and adapters trained here.

use gptneo_device::Device;
use gptneo_kernels::Isa;
use gptneo_model::training::{Adapters, Part, TrainError, TrainOptions, Trainable};
use gptneo_model::{
    Adapter, AdapterError, Classifier, FreshHead, LanguageModel, LoadOptions, Merged, TensorSource, load, open,
};

use super::golden::{Golden, NAMES, assert_close, base, cpu, folder, network};

fn peft(name: &str) -> Adapter {
    let device = cpu(Isa::detect(), 1);
    Adapter::open(&device, &folder(name).join("adapter"), open(&base(name)).unwrap().config()).unwrap()
}

fn options(adapter: &Adapter, golden: &Golden) -> TrainOptions {
    let stated = adapter.settings();
    let mut targets: Vec<_> = adapter.iter().map(|(role, _, _)| role).collect();
    targets.sort_by_key(|role| *role as usize);
    targets.dedup();
    let trainable = Trainable::Adapters(Adapters {
        rank: stated.rank,
        alpha: stated.alpha,
        rank_stabilised: stated.rank_stabilised,
        dropout: 0.0,
        targets,
    });
    TrainOptions { trainable, ..golden.options() }
}

/// What the golden classifier tells: PEFT keeps neither names nor padding.
fn classifier(name: &str) -> Classifier {
    open(&folder(name)).unwrap().config().classifier.clone().unwrap()
}

#[test]
fn a_merged_adapter_has_the_logits_of_peft() {
    for name in NAMES {
        let (golden, body, adapter) = (Golden::read(name), open(&base(name)).unwrap(), peft(name));
        let device = cpu(Isa::detect(), 1);
        let merged = Merged::new(&device, &body, &adapter).unwrap();
        let labels = merged.config().classifier.as_ref().unwrap().labels();
        assert_eq!(labels.len(), classifier(name).labels().len(), "{name}");
        assert_eq!(labels[0], "LABEL_0", "{name}");
        let found = golden.decoded(&merged, &classifier(name), Isa::detect());
        assert_close(&found, &golden.floats["adapter.logits"], name);
        // Over a base that is a classifier already, its labels keep their names.
        let named = open(&folder(name)).unwrap();
        let merged = Merged::new(&device, &named, &adapter).unwrap();
        assert_eq!(merged.config(), named.config(), "{name}");
        let found = golden.decoded(&merged, &classifier(name), Isa::detect());
        assert_close(&found, &golden.floats["adapter.logits"], name);
    }
}

#[test]
fn every_family_has_the_gradients_of_peft() {
    for name in NAMES {
        let (golden, body, adapter) = (Golden::read(name), open(&base(name)).unwrap(), peft(name));
        let source = FreshHead::new(&body, classifier(name), 1);
        for isa in Isa::available() {
            let context = format!("{name} on {isa}");
            let mut network = network(cpu(isa, 2), &source, options(&adapter, &golden));
            network.load_adapter(&adapter).unwrap();
            let (_, logits) = golden.evaluated(&mut network);
            assert_close(&logits, &golden.floats["adapter.logits"], &context);
            let outcome = golden.step(&mut network);
            let loss = f64::from(golden.floats["adapter.loss"][0]);
            assert!((outcome.loss - loss).abs() < 1e-5 * loss, "{context}: loss {}, not {loss}", outcome.loss);
            golden.check_gradients(&network, "adapter.gradient.base_model.model.", &context);
        }
    }
}

#[test]
fn what_was_trained_is_written_and_read_as_pefts() {
    let scratch = tempfile::tempdir().unwrap();
    for name in NAMES {
        let (golden, body, adapter) = (Golden::read(name), open(&base(name)).unwrap(), peft(name));
        let source = FreshHead::new(&body, classifier(name), 1);
        let mut network = network(cpu(Isa::detect(), 2), &source, options(&adapter, &golden));
        network.initialise_adapters(2);
        let ups: Vec<_> = network.layout().slots().iter().filter(|slot| slot.part == Part::Up).cloned().collect();
        for (n, slot) in ups.iter().enumerate() {
            let values: Vec<f32> = (0..slot.range.len()).map(|i| ((i + 31 * n) as f32 * 0.61).sin() * 0.3).collect();
            let (device, _, parameters) = network.parts();
            device.write(&mut parameters.trained, slot.range.start, &values);
        }
        let (_, wanted) = golden.evaluated(&mut network);
        let trained = network.adapter(Some("some/base")).unwrap().unwrap();
        assert_eq!(trained.score().unwrap().len(), source.config().outputs() * source.config().width);
        assert_eq!(trained.parameters(), network.layout().trained() as u64, "{name}: the head is counted");
        trained.save(scratch.path()).unwrap();
        let read = Adapter::open(network.device(), scratch.path(), source.config()).unwrap();
        assert_eq!(read, trained, "{name}");
        let on_base = Adapter::open(network.device(), scratch.path(), body.config()).unwrap();
        let device = cpu(Isa::detect(), 1);
        let merged = Merged::new(&device, &body, &on_base).unwrap();
        let found = golden.decoded(&merged, &classifier(name), Isa::detect());
        assert_close(&found, &wanted, name);
        let snapshot = network.snapshot().unwrap();
        assert_close(&golden.decoded(&snapshot, &classifier(name), Isa::detect()), &wanted, name);
    }
}

#[test]
fn heads_that_do_not_fit_are_refused() {
    let (golden, body, adapter) = (Golden::read("gpt_neo"), open(&base("gpt_neo")).unwrap(), peft("gpt_neo"));
    let two = body.config().clone().classifying(Classifier::unnamed(2).unwrap());
    let folder = folder("gpt_neo").join("adapter");
    let device = cpu(Isa::detect(), 1);
    let message = Adapter::open(&device, &folder, &two).unwrap_err().to_string();
    assert!(message.contains("96 values, but wanted are 2 rows of 32"), "{message}");
    assert!(matches!(adapter.check(&two), Err(AdapterError::Head { .. })));
    let mut decoder = load(cpu(Isa::detect(), 1), &body, &LoadOptions::default(), &mut |_| ()).unwrap().decoder;
    let message = decoder.add_adapter(&adapter).unwrap_err().to_string();
    assert!(message.contains("must be merged"), "{message}");

    // A network of other labels, and one without.
    let source = FreshHead::new(&body, Classifier::unnamed(2).unwrap(), 1);
    let mut other = network(cpu(Isa::detect(), 1), &source, options(&adapter, &golden));
    assert!(matches!(other.load_adapter(&adapter), Err(TrainError::OtherAdapter)));
    let mut language = network(cpu(Isa::detect(), 1), &body, options(&adapter, &golden));
    assert!(matches!(language.load_adapter(&adapter), Err(TrainError::OtherAdapter)));
    let mut bare = Adapter::new(body.config(), adapter.settings().clone());
    assert!(bare.insert_score(vec![0.0; 33]).is_err() && bare.insert_score(Vec::new()).is_err());
}
