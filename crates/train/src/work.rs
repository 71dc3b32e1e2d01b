//! The arithmetic that training needs, whatever a program makes of it.

use gptneo_device::Reach;
use gptneo_model::Config;
use gptneo_model::family::{Role, roles};

/// Operations (a multiply and an add are two) for one token of a sequence of `sequence`: 6 for each weight of a matrix
/// (2 forward, 4 backward; the output matrix counts, a look-up of an embedding does not), and attention over the keys
/// that are in reach: scores and their sum forward, and twice that backward.
pub fn operations_per_token(config: &Config, sequence: usize) -> f64 {
    let matrix = |(role, _): &(Role, Option<usize>)| match role {
        Role::Embedding => config.output() == Role::Embedding,
        Role::Positions => false,
        _ => true,
    };
    let weights: f64 = roles(config)
        .filter(matrix)
        .filter_map(|(role, _)| role.shape(config).1.map(|cols| role.shape(config).0 as f64 * cols as f64))
        .sum();
    let keys: f64 = config.reach.iter().map(|reach| mean_keys(*reach, sequence)).sum();
    6.0 * weights + 12.0 * config.width as f64 * keys
}

/// Keys that a token of a sequence sees, on average.
fn mean_keys(reach: Reach, sequence: usize) -> f64 {
    let seen = |position: usize| (position + 1 - reach.first_key(position)) as f64;
    (0..sequence).map(seen).sum::<f64>() / sequence.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use gptneo_model::shapes;

    #[test]
    fn the_floor_of_gpt_neo_125m_is_the_published_one() {
        let config = shapes::config("gpt-neo-125m").unwrap();
        // 123.5 M weights in matrices, and about 128 keys a layer.
        let giga = operations_per_token(&config, 256) / 1e9;
        assert!((giga - 0.756).abs() < 0.001, "{giga}");
    }

    #[test]
    fn a_window_bounds_what_a_token_sees() {
        assert_eq!(mean_keys(Reach::Global, 4), 2.5);
        assert_eq!(mean_keys(Reach::Local { window: 2 }, 4), 1.75);
    }
}
