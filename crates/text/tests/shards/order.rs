//! The order of sequences: every token once an epoch, parts by their amounts, the same whoever asks.

use std::collections::HashMap;
use std::sync::Arc;

use gptneo_text::TextError;
use gptneo_text::shards::{Amount, Dataset, Mixture, Order, Part, share};

use super::world::{Noise, dataset, documents};

const VOCAB: u32 = 200;

/// Datasets of so many documents.
fn datasets(counts: &[usize]) -> (tempfile::TempDir, Vec<Arc<Dataset>>) {
    let dir = tempfile::tempdir().unwrap();
    let make = |(at, &count): (usize, &usize)| {
        let folder = dir.path().join(format!("set{at}"));
        std::fs::create_dir(&folder).unwrap();
        Arc::new(dataset(&folder, &documents(count, 40, VOCAB, at as u64), VOCAB, 50))
    };
    let sets = counts.iter().enumerate().map(make).collect();
    (dir, sets)
}

fn order(sets: &[Arc<Dataset>], amounts: &[Amount], seq_len: usize, seed: u64) -> Order {
    let parts = sets.iter().zip(amounts).map(|(set, &amount)| Part { dataset: Arc::clone(set), amount });
    Order::new(Mixture::new(parts.collect()).unwrap(), seq_len, seed).unwrap()
}

#[test]
fn an_epoch_has_every_target_once() {
    let (_dir, sets) = datasets(&[130]);
    for seq_len in [1, 7, 64, 100_000] {
        let order = order(&sets, &[Amount::Epochs(1000)], seq_len, 5);
        let windows = order.epoch(0);
        assert_eq!(order.planned(), Some(windows));
        let mut orders = Vec::new();
        for epoch in 0..2 {
            let mut seen = vec![0; sets[0].tokens() as usize];
            let mut starts = Vec::new();
            for index in epoch * windows..(epoch + 1) * windows {
                let place = order.place(index);
                assert_eq!(place.epoch, epoch);
                starts.push(place.tokens.start);
                for target in place.tokens.start + 1..place.tokens.end {
                    seen[target as usize] += 1;
                }
            }
            // The first token of a stream has nothing before it.
            assert!(seen[0] == 0 && seen[1..].iter().all(|&count| count == 1), "{seq_len}");
            orders.push(starts);
        }
        assert!(windows < 20 || orders[0] != orders[1], "two epochs in the same order");
    }
}

#[test]
fn a_sequence_is_its_stretch_of_the_stream() {
    let (_dir, sets) = datasets(&[130]);
    let order = order(&sets, &[Amount::Weight(1)], 48, 1);
    let written = documents(130, 40, VOCAB, 0);
    let stream = written.concat();
    let mut short = 0;
    for index in 0..order.epoch(0) {
        let sequence = order.sequence(index).unwrap();
        let range = sequence.place.tokens.start as usize..sequence.place.tokens.end as usize;
        assert_eq!(sequence.tokens.len(), 49);
        assert_eq!(sequence.tokens[..=sequence.targets], stream[range]);
        assert!(sequence.tokens[sequence.targets + 1..].iter().all(|&id| id == VOCAB - 1));
        short += usize::from(sequence.targets < 48);
        let mut at = 0;
        for segment in &sequence.segments {
            assert_eq!(segment.range.start, at);
            at = segment.range.end;
            let document = &written[segment.document as usize];
            let offset = segment.offset as usize;
            assert_eq!(document[offset..offset + segment.range.len()], sequence.tokens[segment.range.clone()]);
        }
        assert_eq!(at, sequence.targets + 1);
    }
    assert!(short <= 1, "{short} sequences are short");
}

#[test]
fn parts_have_their_share_at_every_moment() {
    let (_dir, sets) = datasets(&[10, 20, 30, 40]);
    // The weights of the Pile's first four, in hundredths of a percent.
    let weights = [1811, 1440, 1207, 1001];
    let total: u64 = weights.iter().sum();
    let order = order(&sets, &weights.map(Amount::Weight), 16, 9);
    let mut counts = [0u64; 4];
    for index in 0..20_000 {
        assert_eq!(order.counts(index), counts);
        counts[order.place(index).part] += 1;
        for (count, weight) in counts.iter().zip(weights) {
            let wanted = (index + 1) * weight / total;
            assert!(count.abs_diff(wanted) <= 4, "{counts:?} of {}", index + 1);
        }
    }
}

#[test]
fn epochs_are_whole_when_they_are_over() {
    let (_dir, sets) = datasets(&[11, 57, 23, 301]);
    let order = order(&sets, &[1000, 2000, 3000, 1000].map(Amount::Epochs), 32, 2);
    let planned = order.planned().unwrap();
    let wanted: Vec<u64> = [1, 2, 3, 1].iter().enumerate().map(|(part, times)| times * order.epoch(part)).collect();
    assert_eq!(order.counts(planned), wanted);
    let mut seen: HashMap<(usize, u64), u64> = HashMap::new();
    for index in 0..planned {
        let place = order.place(index);
        *seen.entry((place.part, place.tokens.start)).or_default() += 1;
    }
    for ((part, _), times) in seen {
        assert_eq!(times, [1, 2, 3, 1][part]);
    }
}

#[test]
fn ranks_divide_a_batch_without_gaps() {
    let mut noise = Noise(1);
    for _ in 0..1000 {
        let start = noise.below(1 << 50);
        let count = noise.below(600);
        for ranks in [1, 2, 3, 8, 512] {
            let mut at = start;
            for rank in 0..ranks {
                let ours = share(start..start + count, rank, ranks);
                assert_eq!(ours.start, at);
                assert!((ours.end - ours.start).abs_diff(count / ranks) <= 1);
                at = ours.end;
            }
            assert_eq!(at, start + count);
        }
    }
}

#[test]
fn the_seed_alone_changes_the_order() {
    let (_dir, sets) = datasets(&[400, 100]);
    let amounts = [Amount::Weight(2), Amount::Weight(1)];
    let (one, again, other) =
        (order(&sets, &amounts, 8, 1), order(&sets, &amounts, 8, 1), order(&sets, &amounts, 8, 2));
    // Asked in any order, and far out, where nothing could have been counted through.
    let far = |i: u64| if i.is_multiple_of(2) { i } else { (1 << 55) + i * 7 };
    let mut differ = 0;
    for index in (0..500).rev().map(far) {
        assert_eq!(one.place(index), again.place(index));
        differ += usize::from(one.place(index) != other.place(index));
    }
    assert!(differ > 450, "{differ}");
    assert_eq!(one.sequence(1 << 55).unwrap().tokens.len(), 9);
}

#[test]
fn documents_have_names() {
    let (_dir, sets) = datasets(&[30]);
    let order = order(&sets, &[Amount::Weight(1)], 8, 1);
    assert_eq!(order.name(0, 4).unwrap(), "set0/a.jsonl:5");
}

#[test]
fn refuses_mixtures_that_mean_nothing() {
    let (_dir, sets) = datasets(&[10, 10]);
    let part = |at: usize, amount| Part { dataset: Arc::clone(&sets[at]), amount };
    let refused = |parts: Vec<Part>| assert!(matches!(Mixture::new(parts), Err(TextError::Mixture { .. })));
    refused(vec![]);
    refused(vec![part(0, Amount::Weight(0))]);
    refused(vec![part(0, Amount::Weight(1)), part(1, Amount::Epochs(1000))]);
    let other = tempfile::tempdir().unwrap();
    let other = Arc::new(dataset(other.path(), &documents(10, 5, 99, 1), 99, 10));
    refused(vec![part(0, Amount::Weight(1)), Part { dataset: other, amount: Amount::Weight(1) }]);
    let good = Mixture::new(vec![part(0, Amount::Weight(1))]).unwrap();
    assert!(matches!(Order::new(good, 0, 0), Err(TextError::Mixture { .. })));
}
