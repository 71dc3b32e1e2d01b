//! The learning rate of a step, as a share of its peak.

/// What happens after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Half a cosine down to the floor.
    Cosine,
    /// A straight line down to the floor.
    Linear,
    /// Nothing.
    Constant,
    /// The peak, then a straight line down to the floor over the last `decay` steps.
    StableThenDecay,
}

/// Warm-up in a straight line from 0, then [`Shape`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// What happens after the warm-up.
    pub shape: Shape,
    /// Steps in all.
    pub steps: u64,
    /// Steps until the peak.
    pub warmup: u64,
    /// Last steps, in which [`Shape::StableThenDecay`] falls.
    pub decay: u64,
    /// The share of the peak at the end.
    pub floor: f64,
}

impl Schedule {
    /// The factor of step `step` (the first is 0): `(step + 1) / warmup` while warming up, 1 at its end, the floor in the
    /// last step.
    pub fn factor(&self, step: u64) -> f64 {
        let done = step + 1;
        if done < self.warmup {
            return done as f64 / self.warmup as f64;
        }
        let share = |from: u64, to: u64| {
            if to <= from { 1.0 } else { (done.clamp(from, to) - from) as f64 / (to - from) as f64 }
        };
        let fall = 1.0 - self.floor;
        match self.shape {
            Shape::Constant => 1.0,
            Shape::Linear => 1.0 - fall * share(self.warmup, self.steps),
            Shape::Cosine => {
                let angle = std::f64::consts::PI * share(self.warmup, self.steps);
                self.floor + fall * 0.5 * (1.0 + angle.cos())
            }
            Shape::StableThenDecay if self.decay == 0 => 1.0,
            Shape::StableThenDecay => 1.0 - fall * share(self.steps - self.decay, self.steps),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(shape: Shape) -> Schedule {
        Schedule { shape, steps: 110, warmup: 10, decay: 20, floor: 0.1 }
    }

    const ALL: [Shape; 4] = [Shape::Cosine, Shape::Linear, Shape::Constant, Shape::StableThenDecay];

    #[test]
    fn warms_up_in_a_line_to_the_peak() {
        for shape in ALL {
            let s = schedule(shape);
            assert!((s.factor(0) - 0.1).abs() < 1e-12);
            assert!((s.factor(4) - 0.5).abs() < 1e-12);
            assert_eq!(s.factor(9), 1.0, "{shape:?}");
        }
    }

    #[test]
    fn ends_at_the_floor() {
        for shape in ALL {
            let end = if shape == Shape::Constant { 1.0 } else { 0.1 };
            assert!((schedule(shape).factor(109) - end).abs() < 1e-12, "{shape:?}");
            assert!((schedule(shape).factor(10_000) - end).abs() < 1e-12, "{shape:?} goes on at its end");
        }
    }

    #[test]
    fn is_half_way_in_the_middle() {
        assert!((schedule(Shape::Cosine).factor(59) - 0.55).abs() < 1e-12);
        assert!((schedule(Shape::Linear).factor(59) - 0.55).abs() < 1e-12);
        assert_eq!(schedule(Shape::StableThenDecay).factor(89), 1.0);
        assert!((schedule(Shape::StableThenDecay).factor(99) - 0.55).abs() < 1e-12);
    }

    #[test]
    fn never_rises_after_the_peak() {
        for shape in ALL {
            let s = schedule(shape);
            assert!((9..200).all(|step| s.factor(step + 1) <= s.factor(step)), "{shape:?}");
        }
    }

    #[test]
    fn works_without_warm_up() {
        let s = Schedule { shape: Shape::Linear, steps: 10, warmup: 0, decay: 0, floor: 0.0 };
        assert!((s.factor(0) - 0.9).abs() < 1e-12);
        assert_eq!(s.factor(9), 0.0);
    }
}
