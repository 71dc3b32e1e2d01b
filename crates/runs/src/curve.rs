//! A metric prepared for the eye: smoothed, thinned, with axes that read well.

/// A point of a curve: where it stands on each axis.
pub type Place = (f64, f64);

/// Takes the noise out: an exponential average with `weight` (0 to 1) for what came before, corrected for its empty
/// beginning, as TensorBoard's slider does. Values that are not finite are left out of the average and stay as they are.
pub fn smooth(points: &[Place], weight: f64) -> Vec<Place> {
    let weight = weight.clamp(0.0, 0.9999);
    let (mut average, mut known) = (0.0, 0.0);
    let mut one = |&(x, y): &Place| {
        if !y.is_finite() {
            return (x, y);
        }
        average = average * weight + y * (1.0 - weight);
        known = known * weight + (1.0 - weight);
        (x, average / known)
    };
    points.iter().map(&mut one).collect()
}

/// At most about `2 * columns` points that look the same as all of them: the lowest and the highest of each column.
/// Points must be in the order of their first axis and finite.
pub fn thin(points: &[Place], columns: usize) -> Vec<Place> {
    let columns = columns.max(1);
    if points.len() <= 2 * columns {
        return points.to_vec();
    }
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    let width = (last - first) / columns as f64;
    let column = |x: f64| if width > 0.0 { (((x - first) / width) as usize).min(columns - 1) } else { 0 };
    let mut kept = Vec::with_capacity(2 * columns + 2);
    for run in points.chunk_by(|a, b| column(a.0) == column(b.0)) {
        let by_height = |a: &usize, b: &usize| run[*a].1.total_cmp(&run[*b].1);
        let low = (0..run.len()).min_by(by_height).expect("a chunk is not empty");
        let high = (0..run.len()).max_by(by_height).expect("a chunk is not empty");
        kept.push(run[low.min(high)]);
        if low != high {
            kept.push(run[low.max(high)]);
        }
    }
    kept
}

/// One axis of a drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it shows.
    pub label: String,
    /// Whether equal steps are equal factors.
    pub log: bool,
}

impl Axis {
    /// Whether a value has a place on it.
    pub fn holds(&self, value: f64) -> bool {
        value.is_finite() && (!self.log || value > 0.0)
    }

    /// Where a value stands: itself, or its decimal logarithm.
    pub fn place(&self, value: f64) -> f64 {
        if self.log { value.log10() } else { value }
    }

    /// The value that stands there.
    pub fn value(&self, place: f64) -> f64 {
        if self.log { 10f64.powf(place) } else { place }
    }

    /// The range of places that shows all `values`, with a margin of `margin` times its length, never empty.
    pub fn range(&self, values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
        let places = values.filter(|value| self.holds(*value)).map(|value| self.place(value));
        let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p), h.max(p)));
        if low > high {
            return (0.0, 1.0);
        }
        let length = high - low;
        let margin = if length > 0.0 { length * margin } else { (low.abs() * 0.05).max(0.01) };
        (low - margin, high + margin)
    }

    /// Places within a range that deserve a number, about `wanted` of them, in order.
    pub fn ticks(&self, (low, high): (f64, f64), wanted: usize) -> Vec<f64> {
        if !self.log {
            return even_ticks(low, high, wanted);
        }
        let decades = high - low;
        if decades < 1.0 {
            // Within a decade round values are found as on any axis, and put where they belong.
            let values = even_ticks(self.value(low), self.value(high), wanted);
            return values.into_iter().filter(|value| *value > 0.0).map(|value| self.place(value)).collect();
        }
        let factors: &[f64] = if decades * 3.0 <= wanted as f64 * 1.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let every = (decades / wanted.max(1) as f64).ceil().max(1.0) as i64;
        let exponents = (low.floor() as i64..=high.ceil() as i64).filter(|exponent| exponent % every == 0);
        let places = exponents.flat_map(|exponent| factors.iter().map(move |factor| exponent as f64 + factor.log10()));
        places.filter(|place| (low..=high).contains(place)).collect()
    }

    /// The number that a tick shows.
    pub fn number(&self, place: f64) -> String {
        number(self.value(place))
    }
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn even_ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let rough = (high - low) / wanted.max(1) as f64;
    if rough.is_nan() || rough <= 0.0 {
        return vec![low];
    }
    let unit = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|f| f * unit).find(|step| *step >= rough).unwrap_or(10.0 * unit);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|n| n as f64 * step).collect()
}

/// A number as short as an axis wants it: `0.25`, `12k`, `1.5M`, `3e-5`.
pub fn number(value: f64) -> String {
    let short = |value: f64, unit: &str| {
        // Four digits tell neighbouring ticks apart; what floating point adds behind them is cut.
        let text = format!("{value:.4}");
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !size.is_finite() => value.to_string(),
        size if !(1e-3..1e15).contains(&size) => {
            let text = format!("{value:.2e}");
            let (digits, exponent) = text.split_once('e').expect("the format has an exponent");
            format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        size if size < 1e4 => short(value, ""),
        size if size < 1e6 => short(value / 1e3, "k"),
        size if size < 1e9 => short(value / 1e6, "M"),
        size if size < 1e12 => short(value / 1e9, "G"),
        _ => short(value / 1e12, "T"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(log: bool) -> Axis {
        Axis { label: String::new(), log }
    }

    #[test]
    fn smoothing_keeps_what_is_constant_and_damps_what_is_not() {
        let flat: Vec<Place> = (0..20).map(|x| (f64::from(x), 3.0)).collect();
        assert!(smooth(&flat, 0.9).iter().all(|point| (point.1 - 3.0).abs() < 1e-12));
        let spiky = [(0.0, 1.0), (1.0, 1.0), (2.0, 9.0), (3.0, f64::NAN), (4.0, 1.0)];
        let smoothed = smooth(&spiky, 0.5);
        // (1 * 0.125 + 1 * 0.25 + 9 * 0.5) / 0.875
        assert!((smoothed[2].1 - 4.875 / 0.875).abs() < 1e-12, "{smoothed:?}");
        assert!(smoothed[3].1.is_nan() && smoothed[4].1.is_finite());
        assert_eq!(smooth(&spiky[..3], 0.0), spiky[..3]);
    }

    #[test]
    fn thinning_keeps_the_extremes_and_the_order() {
        let mut points: Vec<Place> = (0..10_000).map(|x| (f64::from(x), f64::from(x % 7))).collect();
        points[4_321].1 = 100.0;
        points[8_765].1 = -50.0;
        let thinned = thin(&points, 100);
        assert!(thinned.len() <= 200, "{}", thinned.len());
        assert!(thinned.contains(&(4_321.0, 100.0)) && thinned.contains(&(8_765.0, -50.0)));
        assert!(thinned.is_sorted_by(|a, b| a.0 <= b.0));
        assert_eq!(thin(&points[..150], 100), points[..150]);
    }

    #[test]
    fn ticks_are_round() {
        let numbers = |log: bool, range: (f64, f64), wanted| -> Vec<String> {
            let axis = axis(log);
            axis.ticks(range, wanted).into_iter().map(|tick| axis.number(tick)).collect()
        };
        assert_eq!(numbers(false, (0.0, 1.0), 5), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(numbers(false, (-3.0, 1_100.0), 4), ["0", "500", "1000"]);
        assert_eq!(numbers(true, (-1.0, 1.0), 6), ["0.1", "0.2", "0.5", "1", "2", "5", "10"]);
        assert_eq!(numbers(true, (-6.0, 0.0), 6), ["1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]);
        assert_eq!(numbers(true, (2f64.log10(), 6f64.log10()), 5), ["2", "3", "4", "5", "6"]);
    }

    #[test]
    fn numbers_are_short() {
        let check = |value, text: &str| assert_eq!(number(value), text);
        check(0.1 + 0.2, "0.3");
        check(12_000.0, "12k");
        check(1.5e6, "1.5M");
        check(-2.5e-5, "-2.5e-5");
        check(3e9, "3G");
        check(1e20, "1e20");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn a_range_is_never_empty() {
        let check = |values: &[f64]| {
            let (low, high) = axis(false).range(values.iter().copied(), 0.05);
            assert!(low < high && low.is_finite() && high.is_finite(), "{values:?}");
        };
        check(&[]);
        check(&[2.0, 2.0]);
        check(&[0.0]);
        check(&[f64::NAN, 1.0, f64::INFINITY]);
        assert!(!axis(true).holds(0.0));
    }
}
