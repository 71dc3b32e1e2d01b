//! Losses and gradients.

use gptneo_device::Device;
use gptneo_kernels::{Cpu, Isa};
use gptneo_model::training::{
    Batch, Dropouts, IGNORE, Initial, Kind, Network, NextToken, Plan, Recompute, TrainError, TrainOptions, Write,
};
use gptneo_model::{Classifier, FreshHead, TensorSource, open};

use super::golden::{Golden, KEY, NAMES, assert_close, base, cpu, folder, network, norm};

#[test]
fn every_family_has_the_logits_loss_and_gradients_of_transformers() {
    for name in NAMES {
        let (golden, source) = (Golden::read(name), open(&folder(name)).unwrap());
        for isa in Isa::available() {
            let context = format!("{name} on {isa}");
            assert_close(
                &golden.decoded(&source, source.config().classifier.as_ref().unwrap(), isa),
                &golden.floats["logits"],
                &context,
            );
            let mut network = network(cpu(isa, 2), &source, golden.options());
            let (evaluated, logits) = golden.evaluated(&mut network);
            assert_close(&logits, &golden.floats["logits"], &context);
            let outcome = golden.step(&mut network);
            let loss = f64::from(golden.floats["loss"][0]);
            assert!((outcome.loss - loss).abs() < 1e-5 * loss, "{context}: loss {}, not {loss}", outcome.loss);
            assert_eq!((outcome.counted, evaluated.counted), (2, 2), "{context}");
            if !source.config().classifier.as_ref().unwrap().is_value() {
                assert!((evaluated.loss - loss).abs() < 1e-5 * loss, "{context}: evaluated {}", evaluated.loss);
            }
            golden.check_gradients(&network, "gradient.", &context);
        }
    }
}

#[test]
fn with_dropout_the_gradient_is_the_slope_of_the_loss() {
    for name in NAMES {
        let (golden, source) = (Golden::read(name), open(&folder(name)).unwrap());
        let dropout = Dropouts { embedding: 0.1, attention: 0.2, residual: 0.1 };
        let mut network = network(cpu(Isa::detect(), 2), &source, TrainOptions { dropout, ..golden.options() });
        golden.step(&mut network);
        let direction = network.parameters().gradients.as_slice().to_vec();
        let weights = network.parameters().trained.as_slice().to_vec();
        for kind in [Kind::Matrix, Kind::Embedding, Kind::Norm] {
            let mut along = vec![0.0; direction.len()];
            for slot in network.layout().slots().iter().filter(|slot| slot.kind == kind) {
                along[slot.range.clone()].copy_from_slice(&direction[slot.range.clone()]);
            }
            let (slope, size) = (norm(&along).powi(2), 2e-3 / norm(&along));
            let mut at = |h: f64| {
                let moved: Vec<f32> =
                    weights.iter().zip(&along).map(|(w, d)| (f64::from(*w) + h * f64::from(*d)) as f32).collect();
                write_weights(&mut network, &moved);
                golden.step(&mut network).loss
            };
            let found = (at(size) - at(-size)) / (2.0 * size);
            assert!((found - slope).abs() < 0.01 * slope, "{name} {kind:?}: slope {found}, gradient {slope}");
            write_weights(&mut network, &weights);
        }
    }
}

#[test]
fn threads_and_recomputing_do_not_change_a_bit() {
    for name in NAMES {
        let (golden, source) = (Golden::read(name), open(&folder(name)).unwrap());
        let bits = |threads: usize, recompute: Recompute| {
            let options = TrainOptions { recompute, ..golden.options() };
            let mut network = network(cpu(Isa::detect(), threads), &source, options);
            let loss = golden.step(&mut network).loss.to_bits();
            let gradients = network.parameters().gradients.as_slice().iter().map(|g| g.to_bits());
            (loss, gradients.collect::<Vec<_>>())
        };
        let one = bits(1, Recompute::Nothing);
        assert!(one == bits(2, Recompute::Layers) && one == bits(3, Recompute::Nothing), "{name}");
    }
}

#[test]
fn a_fresh_head_stands_on_the_body_of_the_language_model_and_learns() {
    for name in ["gpt2", "gpt_neo", "gpt_j", "gpt_neox"] {
        let (golden, body) = (Golden::read(name), open(&base(name)).unwrap());
        let classifier = Classifier::classes(["no", "yes"].map(str::to_owned).to_vec()).unwrap();
        let source = FreshHead::new(&body, classifier.clone(), 3);
        assert_eq!(source.config().outputs(), 2);
        let mut network = network(cpu(Isa::detect(), 2), &source, golden.options());
        let weights = network.parameters().trained.as_slice().to_vec();
        let score = network.layout().slots().iter().find(|slot| slot.name == "score.weight").unwrap().range.clone();
        let deviation = norm(&weights[score.clone()]) / (score.len() as f64).sqrt();
        assert!((0.01..0.03).contains(&deviation), "{name}: {deviation}");

        // The same seed draws the same head, here and where everything is drawn.
        let mut drawn = Network::new(cpu(Isa::detect(), 1), source.config().clone(), golden.options()).unwrap();
        drawn.initialise(Initial::Transformers, 3).unwrap();
        assert!(drawn.parameters().trained.as_slice()[score.clone()] == weights[score.clone()], "{name}");
        let other = FreshHead::new(&body, classifier.clone(), 4);
        drawn.load(&other, &mut |_| ()).unwrap();
        let loaded = drawn.parameters().trained.as_slice();
        assert!(loaded[score.end..] == weights[score.end..], "{name}: one body");
        assert!(loaded[score.clone()] != weights[score], "{name}: another head");

        // Two sequences are soon told apart.
        let golden = Golden { labels: vec![0, 1], ..golden };
        for _ in 0..60 {
            golden.step(&mut network);
            let parameters = network.parameters();
            let gradients = parameters.gradients.as_slice();
            let rate = 0.1 / norm(gradients).max(1.0) as f32;
            let moved: Vec<f32> =
                parameters.trained.as_slice().iter().zip(gradients).map(|(w, g)| w - rate * g).collect();
            write_weights(&mut network, &moved);
        }
        let (outcome, logits) = golden.evaluated(&mut network);
        assert!(outcome.loss < 0.2, "{name}: {}", outcome.loss);
        assert!(logits[0] > logits[1] && logits[3] > logits[2], "{name}: {logits:?}");
    }
}

fn write_weights(network: &mut Network<Cpu>, weights: &[f32]) {
    let (device, _, parameters) = network.parts();
    device.write(&mut parameters.trained, 0, weights);
}

#[test]
fn only_rows_with_a_label_are_shown_and_labels_must_exist() {
    let (golden, source) = (Golden::read("gpt_neo"), open(&folder("gpt_neo")).unwrap());
    let mut network = network(cpu(Isa::detect(), 2), &source, golden.options());
    let classifier = source.config().classifier.clone().unwrap();
    let mut rows = Vec::new();
    golden.batch(&classifier, |batch, _| {
        network.evaluate_logits(batch, &mut |row, logits| rows.push((row, logits.len()))).unwrap();
        let last = golden.segments[0] - 1;
        assert_eq!(rows, [(last, 3), (batch.rows() - 1, 3)]);
        let mut targets = batch.targets.to_vec();
        targets[last] = 3;
        let refused = network.evaluate(&Batch { targets: &targets, ..*batch }).unwrap_err();
        assert!(matches!(refused, TrainError::UnknownLabel { id: 3, labels: 3, .. }), "{refused}");
        targets.fill(IGNORE);
        let batch = Batch { targets: &targets, ..*batch };
        let outcome = network.step(&batch, &mut NextToken::mean(0), KEY, Write::Set, &mut |_, _, _| ()).unwrap();
        assert_eq!((outcome.loss, outcome.counted), (0.0, 0));
        assert!(network.parameters().gradients.as_slice().iter().all(|&g| g == 0.0));
    });
    let refused = network.load(&open(&base("gpt_neo")).unwrap(), &mut |_| ());
    assert!(matches!(refused, Err(TrainError::OtherArchitecture)), "a language model has no head for these labels");
}

#[test]
fn a_plan_has_no_logits_of_a_vocabulary() {
    let device = cpu(Isa::detect(), 2);
    let language = gptneo_model::shapes::config("gpt-neo-125m").unwrap();
    let classifier = language.clone().classifying(Classifier::unnamed(3).unwrap());
    let options = TrainOptions::new(4, 256);
    let plan = |config| Plan::new(&device, config, &options).unwrap();
    let (language, classifier) = (plan(&language), plan(&classifier));
    assert_eq!(classifier.trained, language.trained + 3 * 768);
    assert!(classifier.scratch + 100_000_000 < language.scratch, "{classifier:?} {language:?}");
}
