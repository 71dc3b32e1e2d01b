//! Curves made of letters: the same drawing in a dashboard and on standard output.

use std::fmt::Write as _;

use gptneo_runs::curve::{Axis, Place, thin};
use gptneo_runs::plot::{COLOURS, Chart};
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::widgets::{self, Block, Dataset, GraphType, LegendPosition, Widget};

/// Draws a chart into a part of the screen.
pub(crate) fn draw(chart: &Chart, area: Rect, buffer: &mut Buffer) {
    let place = |points: &[Place]| {
        let held = points.iter().filter(|(x, y)| chart.x.holds(*x) && chart.y.holds(*y));
        let places: Vec<Place> = held.map(|(x, y)| (chart.x.place(*x), chart.y.place(*y))).collect();
        // A letter shows two columns of dots.
        thin(&places, usize::from(area.width) * 2)
    };
    let lines: Vec<Vec<Place>> = chart.lines.iter().map(|line| place(&line.points)).collect();
    let values = || chart.lines.iter().flat_map(|line| &line.points);
    let x = chart.x.range(values().map(|point| point.0), 0.0);
    let y = chart.y.range(values().map(|point| point.1), 0.0);
    let several = lines.len() > 1;
    let datasets = lines.iter().zip(&chart.lines).enumerate().map(|(index, (points, line))| {
        let dataset = Dataset::default()
            .marker(Marker::Braille)
            .graph_type(if points.len() > 1 { GraphType::Line } else { GraphType::Scatter })
            .style(Style::default().fg(colour(index)))
            .data(points);
        if several { dataset.name(line.label.as_str()) } else { dataset }
    });
    let labels = |axis: &Axis, (low, high): (f64, f64), count: usize| -> Vec<String> {
        let at = |index: usize| low + (high - low) * index as f64 / (count - 1) as f64;
        (0..count).map(|index| axis.number(round(axis, at(index), low, high))).collect()
    };
    let rows = usize::from(area.height / 5).clamp(2, 6);
    let columns = usize::from(area.width / 20).clamp(2, 6);
    widgets::Chart::new(datasets.collect())
        .block(Block::default().title(chart.title.as_str()).title_alignment(Alignment::Center))
        .x_axis(
            widgets::Axis::default()
                .title(chart.x.label.as_str())
                .bounds([x.0, x.1])
                .labels(labels(&chart.x, x, columns)),
        )
        .y_axis(widgets::Axis::default().bounds([y.0, y.1]).labels(labels(&chart.y, y, rows)))
        .legend_position(Some(LegendPosition::TopRight))
        .hidden_legend_constraints((
            ratatui::layout::Constraint::Percentage(60),
            ratatui::layout::Constraint::Percentage(60),
        ))
        .render(area, buffer);
}

/// A place whose number has no more digits than the range deserves.
fn round(axis: &Axis, place: f64, low: f64, high: f64) -> f64 {
    let value = axis.value(place);
    let span = (axis.value(high) - axis.value(low)).abs();
    if axis.log || span == 0.0 {
        // Two digits are enough between powers of ten.
        let unit = 10f64.powf(value.abs().log10().floor() - 1.0);
        return axis.place(if unit > 0.0 { (value / unit).round() * unit } else { value });
    }
    let unit = 10f64.powf(span.log10().floor() - 2.0);
    (value / unit).round() * unit
}

fn colour(index: usize) -> Color {
    let (red, green, blue) = COLOURS[index % COLOURS.len()];
    Color::Rgb(red, green, blue)
}

/// The chart as lines of text, `width` times `height` letters.
pub(crate) fn text(chart: &Chart, width: u16, height: u16, coloured: bool) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw(chart, area, &mut buffer);
    let mut text = String::new();
    for y in 0..height {
        let mut row = String::new();
        let mut now = Color::Reset;
        for x in 0..width {
            let cell = &buffer[(x, y)];
            if coloured && cell.fg != now {
                now = cell.fg;
                let _ = match now {
                    Color::Rgb(red, green, blue) => write!(row, "\x1b[38;2;{red};{green};{blue}m"),
                    _ => write!(row, "\x1b[0m"),
                };
            }
            row.push_str(cell.symbol());
        }
        if now != Color::Reset {
            row.push_str("\x1b[0m");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use gptneo_runs::plot::Line;

    use super::*;

    fn chart(lines: &[(&str, f64)]) -> Chart {
        let axis = |label: &str| Axis { label: label.to_owned(), log: false };
        let points = |scale: f64| (0..=100).map(|x| (f64::from(x), scale * f64::from(x))).collect();
        let line = |(label, scale): &(&str, f64)| Line {
            label: (*label).to_owned(),
            points: points(*scale),
            behind: Vec::new(),
        };
        let lines = lines.iter().map(line).collect();
        Chart { title: "a: loss".to_owned(), x: axis("step"), y: axis("loss"), lines }
    }

    #[test]
    fn a_rising_curve_rises() {
        let drawn = text(&chart(&[("a", 2.0)]), 60, 16, false);
        let rows: Vec<&str> = drawn.lines().collect();
        assert!(rows[0].contains("a: loss"), "{drawn}");
        assert!(drawn.contains("step") && drawn.contains("100") && drawn.contains("200"), "{drawn}");
        let dots = |row: &str| row.chars().position(|c| ('\u{2801}'..='\u{28ff}').contains(&c));
        let columns: Vec<usize> = rows.iter().filter_map(|row| dots(row)).collect();
        assert!(columns.len() > 8 && columns.is_sorted_by(|a, b| a > b), "{drawn}");
        assert!(!drawn.contains('\x1b'));
    }

    #[test]
    fn several_curves_have_a_legend_and_colours() {
        let drawn = text(&chart(&[("first", 1.0), ("second", 2.0)]), 80, 20, true);
        assert!(drawn.contains("first") && drawn.contains("second"), "{drawn}");
        assert!(drawn.contains("\x1b[38;2;0;114;178m") && drawn.contains("\x1b[38;2;213;94;0m"));
    }

    #[test]
    fn an_empty_chart_is_drawn() {
        let mut nothing = chart(&[("a", 1.0)]);
        nothing.lines[0].points.clear();
        assert!(text(&nothing, 40, 10, false).contains("a: loss"));
    }
}
