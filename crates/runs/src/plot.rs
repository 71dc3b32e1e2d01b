//! Curves as SVG or PNG files.
//!
//! SVG leaves its letters to whoever shows it. PNG carries a bitmap font (module `lettering`), so both look the same on
//! every machine, with or without fonts.

mod lettering;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::RGBColor;

use crate::curve::{Axis, Place, thin};
use crate::error::RunsError;
use lettering::{LARGE, Lettering, SMALL};

/// Colours that most colour-blind people tell apart (Okabe and Ito), darkest first.
pub const COLOURS: [(u8, u8, u8); 7] =
    [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (90, 90, 90)];

/// Drawings are at least and at most so large, in pixels.
pub const SIZES: std::ops::RangeInclusive<u32> = 200..=8_000;

/// Curves in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Stands above.
    pub title: String,
    /// The axis along.
    pub x: Axis,
    /// The axis up.
    pub y: Axis,
    /// The curves.
    pub lines: Vec<Line>,
}

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name in the legend.
    pub label: String,
    /// Its points, in the order of the axis along.
    pub points: Vec<Place>,
    /// Points that are drawn faintly behind it: what it was before it was smoothed.
    pub behind: Vec<Place>,
}

impl Chart {
    /// How many points have no place on the axes: not finite, or not positive on a logarithmic one.
    pub fn left_out(&self) -> usize {
        let lines = self.lines.iter().map(|line| if line.behind.is_empty() { &line.points } else { &line.behind });
        lines.flatten().filter(|(x, y)| !self.x.holds(*x) || !self.y.holds(*y)).count()
    }

    /// The drawing as an SVG file of `width` times `height` pixels.
    ///
    /// # Errors
    /// [`RunsError::Drawing`] for a size outside [`SIZES`].
    pub fn svg(&self, width: u32, height: u32) -> Result<String, RunsError> {
        check(width, height)?;
        let mut text = String::new();
        {
            let root = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
            self.draw(&root)?;
        }
        Ok(text)
    }

    /// The drawing as a PNG file of `width` times `height` pixels.
    ///
    /// # Errors
    /// [`RunsError::Drawing`] for a size outside [`SIZES`].
    pub fn png(&self, width: u32, height: u32) -> Result<Vec<u8>, RunsError> {
        check(width, height)?;
        let mut pixels = vec![0; width as usize * height as usize * 3];
        {
            let canvas = BitMapBackend::with_buffer(&mut pixels, (width, height));
            self.draw(&Lettering::new(canvas).into_drawing_area())?;
        }
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
        written.map_err(|error| RunsError::Drawing(error.to_string()))?;
        Ok(file)
    }

    fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>) -> Result<(), RunsError> {
        self.try_draw(root).map_err(|error| RunsError::Drawing(error.to_string()))
    }

    fn try_draw<B: DrawingBackend>(
        &self,
        root: &DrawingArea<B, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let (width, height) = root.dim_in_pixel();
        let font = |size: u32| ("monospace", f64::from(size)).into_font();
        let all = || self.lines.iter().flat_map(|line| line.points.iter().chain(&line.behind));
        let (x0, x1) = self.x.range(all().map(|point| point.0), 0.01);
        let (y0, y1) = self.y.range(all().map(|point| point.1), 0.05);
        let x_ticks = self.x.ticks((x0, x1), (width / 110) as usize);
        let y_ticks = self.y.ticks((y0, y1), (height / 60) as usize);

        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(root)
            .margin(12)
            .margin_right(24)
            .caption(&self.title, font(LARGE))
            .x_label_area_size(48)
            .y_label_area_size(84)
            .build_cartesian_2d(
                Span { low: x0, high: x1, ticks: x_ticks.clone() },
                Span { low: y0, high: y1, ticks: y_ticks.clone() },
            )?;
        chart
            .configure_mesh()
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .x_labels(x_ticks.len())
            .y_labels(y_ticks.len())
            .x_label_formatter(&|place| self.x.number(*place))
            .y_label_formatter(&|place| self.y.number(*place))
            .label_style(font(SMALL))
            .axis_desc_style(font(SMALL))
            .bold_line_style(RGBColor(225, 225, 225))
            .light_line_style(TRANSPARENT)
            .draw()?;

        let place = |points: &[Place]| {
            let held = points.iter().filter(|(x, y)| self.x.holds(*x) && self.y.holds(*y));
            let places: Vec<Place> = held.map(|(x, y)| (self.x.place(*x), self.y.place(*y))).collect();
            thin(&places, width as usize)
        };
        let colour = |index: usize| {
            let (red, green, blue) = COLOURS[index % COLOURS.len()];
            RGBColor(red, green, blue)
        };
        for (index, line) in self.lines.iter().enumerate() {
            chart.draw_series(LineSeries::new(place(&line.behind), colour(index).mix(0.25)))?;
        }
        for (index, line) in self.lines.iter().enumerate() {
            let style = colour(index).stroke_width(2);
            let points = place(&line.points);
            // A line needs two points; one alone is a dot.
            if let [point] = points[..] {
                chart.draw_series([Circle::new(point, 4, colour(index).filled())])?;
            }
            chart
                .draw_series(LineSeries::new(points, style))?
                .label(&line.label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        if self.lines.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .margin(10)
                .legend_area_size(28)
                .label_font(font(SMALL))
                .background_style(WHITE.mix(0.85))
                .border_style(RGBColor(200, 200, 200))
                .draw()?;
        }
        root.present()
    }
}

/// An axis with the ticks that [`Axis::ticks`] found.
struct Span {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Ranged for Span {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

fn check(width: u32, height: u32) -> Result<(), RunsError> {
    if SIZES.contains(&width) && SIZES.contains(&height) {
        return Ok(());
    }
    let (least, most) = (SIZES.start(), SIZES.end());
    Err(RunsError::Drawing(format!("{width} x {height} pixels: a side has {least} to {most}")))
}
