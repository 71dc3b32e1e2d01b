//! Drawings of the page: intervals as dots with whiskers, distributions as bars.
//!
//! Along, places are shares of the width, so a drawing fills whatever room there is and its letters keep their size. What a
//! drawing shows stands beside it in words for those who do not see it.

use gptneo_runs::curve::Axis;

use super::html::Html;
use crate::review::resample::quantile;

/// Pixels between the rows of intervals.
const ROW: usize = 42;
/// Pixels of a drawing of bars, without its numbers.
const BARS: f64 = 120.0;
/// Bars of a distribution.
const MOST_BARS: usize = 30;

/// One value with its interval.
pub(super) struct Dot {
    pub(super) label: String,
    pub(super) value: f64,
    /// Of 95 %, where there is one.
    pub(super) interval: Option<[f64; 2]>,
    /// What others have published for it.
    pub(super) published: Vec<f64>,
}

/// Where a value stands along the width, in percent, with room for letters at both ends.
struct Across<'a> {
    axis: &'a Axis,
    range: (f64, f64),
}

impl Across<'_> {
    fn place(&self, value: f64) -> String {
        self.at(self.axis.place(value))
    }

    fn at(&self, place: f64) -> String {
        let (low, high) = self.range;
        let share = ((place - low) / (high - low)).clamp(0.0, 1.0);
        // A range that is wider than any number has no places.
        let share = if share.is_nan() { 0.5 } else { share };
        format!("{:.2}%", 3.0 + 94.0 * share)
    }

    /// The lines and numbers of the axis, the numbers at this height.
    fn ticks(&self, html: &mut Html, bottom: usize) {
        for tick in self.axis.ticks(self.range, 5) {
            let (x, y) = (self.at(tick), bottom.to_string());
            html.void("line", &[("class", "grid"), ("x1", &x), ("x2", &x), ("y1", "0"), ("y2", &y)]);
            let below = (bottom + 15).to_string();
            html.element("text", &[("class", "tick"), ("x", &x), ("y", &below)], &self.axis.number(tick));
        }
    }
}

/// Dots with whiskers, one below the other. `bounds` are those beyond which the score cannot lie.
pub(super) fn intervals(html: &mut Html, title: &str, dots: &[Dot], log: bool, bounds: Option<(f64, f64)>) {
    let axis = Axis { label: String::new(), log };
    let held = |value: f64| bounds.map_or(value, |(low, high)| value.clamp(low, high));
    let ends = |dot: &Dot| dot.interval.unwrap_or([dot.value, dot.value]).map(held);
    let all =
        dots.iter().flat_map(|dot| ends(dot).into_iter().chain([held(dot.value)]).chain(dot.published.iter().copied()));
    let (low, high) = axis.range(all.collect::<Vec<_>>().into_iter(), 0.06);
    let range = bounds.map_or((low, high), |(least, most)| (low.max(axis.place(least)), high.min(axis.place(most))));
    let across = Across { axis: &axis, range: if range.0 < range.1 { range } else { (low, high) } };
    let bottom = dots.len() * ROW;
    let height = (bottom + 22).to_string();
    html.within("svg", &[("class", "plot"), ("role", "img"), ("width", "100%"), ("height", &height)], |html| {
        html.element("title", &[], title);
        html.element("desc", &[], &dots.iter().map(words).collect::<Vec<_>>().join(" "));
        across.ticks(html, bottom);
        for (at, dot) in dots.iter().enumerate() {
            let (letters, middle) = ((at * ROW + 14).to_string(), (at * ROW + 28).to_string());
            html.element("text", &[("class", "label"), ("x", "3%"), ("y", &letters)], &dot.label);
            if !axis.holds(dot.value) {
                continue;
            }
            if let Some([low, high]) = dot.interval.map(|ends| ends.map(held)) {
                let least = if log && low <= 0.0 { across.at(across.range.0) } else { across.place(low) };
                let most = across.place(high);
                let line = [("class", "whisker"), ("x1", &*least), ("x2", &*most), ("y1", &*middle), ("y2", &*middle)];
                html.void("line", &line);
            }
            for published in dot.published.iter().filter(|value| axis.holds(**value)) {
                let x = across.place(*published);
                let (above, below) = ((at * ROW + 21).to_string(), (at * ROW + 35).to_string());
                html.void("line", &[("class", "published"), ("x1", &x), ("x2", &x), ("y1", &above), ("y2", &below)]);
            }
            html.void("circle", &[("class", "dot"), ("cx", &across.place(dot.value)), ("cy", &middle), ("r", "5")]);
        }
    });
}

fn words(dot: &Dot) -> String {
    let interval = match dot.interval {
        Some([low, high]) => format!(", 95 % between {} and {}", shown(low), shown(high)),
        None => ", without an interval".to_owned(),
    };
    let published: Vec<String> = dot.published.iter().map(|value| format!(", published {}", shown(*value))).collect();
    format!("{}: {}{interval}{}.", dot.label, shown(dot.value), published.concat())
}

/// A distribution as bars, with its quarters in words below.
pub(super) fn bars(html: &mut Html, title: &str, unit: &str, values: &[f64]) {
    let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    if finite.is_empty() {
        return;
    }
    finite.sort_by(f64::total_cmp);
    let axis = Axis { label: String::new(), log: false };
    let (low, high) = axis.range(finite.iter().copied(), 0.0);
    let count = ((finite.len() as f64).sqrt().ceil() as usize).clamp(5, MOST_BARS);
    let width = (high - low) / count as f64;
    let mut heights = vec![0_usize; count];
    for value in &finite {
        heights[(((value - low) / width) as usize).min(count - 1)] += 1;
    }
    let most = heights.iter().copied().max().unwrap_or(1).max(1) as f64;
    let across = Across { axis: &axis, range: (low, high) };
    let told = quarters(&finite, unit, values.len() - finite.len());
    html.within("figure", &[], |html| {
        html.element("figcaption", &[], title);
        let height = format!("{}", BARS as usize + 22);
        html.within("svg", &[("class", "plot"), ("role", "img"), ("width", "100%"), ("height", &height)], |html| {
            html.element("title", &[], title);
            html.element("desc", &[], &told);
            across.ticks(html, BARS as usize);
            let each = format!("{:.3}%", 94.0 / count as f64 * 0.92);
            for (at, height) in heights.iter().enumerate().filter(|(_, height)| **height > 0) {
                let x = across.at(low + width * (at as f64 + 0.04));
                let tall = (BARS - 6.0) * *height as f64 / most;
                let (y, tall) = (format!("{:.1}", BARS - tall), format!("{tall:.1}"));
                html.void("rect", &[("class", "bar"), ("x", &x), ("y", &y), ("width", &each), ("height", &tall)]);
            }
            if low < 0.0 && high > 0.0 {
                let x = across.at(0.0);
                html.void("line", &[("class", "zero"), ("x1", &x), ("x2", &x), ("y1", "0"), ("y2", "120")]);
            }
        });
        html.element("p", &[("class", "soft")], &told);
    });
}

fn quarters(sorted: &[f64], unit: &str, left_out: usize) -> String {
    let at = |share: f64| shown(quantile(sorted, share));
    let left_out =
        if left_out > 0 { format!("; {left_out} without such a number are left out") } else { String::new() };
    format!(
        "{} documents: least {}, a quarter below {}, half below {}, three quarters below {}, most {}{}{unit}{left_out}.",
        sorted.len(),
        at(0.0),
        at(0.25),
        at(0.5),
        at(0.75),
        at(1.0),
        if unit.is_empty() { "" } else { " " },
    )
}

/// A number of a score as people read it.
pub(super) fn shown(value: f64) -> String {
    let size = value.abs();
    if size < 1e6 && (size >= 1e-3 || size == 0.0) { format!("{value:.4}") } else { format!("{value:.3e}") }
}
