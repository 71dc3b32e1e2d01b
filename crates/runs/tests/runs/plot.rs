//! Drawings: readable, of the asked size, and honest about what they leave out.

use gptneo_runs::curve::{Axis, Place, smooth};
use gptneo_runs::plot::{Chart, Line};

fn chart() -> Chart {
    // A loss that falls with noise that repeats itself.
    let noisy = |scale: f64| -> Vec<Place> {
        let noise = |step: u64| ((step * 7_919 % 101) as f64 / 101.0 - 0.5) * 0.3;
        (1..=2_000).map(|step| (step as f64, 1.2 + scale / (step as f64).sqrt() + noise(step))).collect()
    };
    let line = |label: &str, scale: f64| {
        let behind = noisy(scale);
        Line { label: label.to_owned(), points: smooth(&behind, 0.95), behind }
    };
    let axis = |label: &str| Axis { label: label.to_owned(), log: false };
    let lines = vec![line("pocket", 6.0), line("pocket-2", 9.0), line("wider", 4.0)];
    Chart { title: "loss".to_owned(), x: axis("step"), y: axis("loss"), lines }
}

/// The pixels of a PNG file, three bytes each, and its width.
fn pixels(file: &[u8]) -> (Vec<u8>, u32) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (pixels, info.width)
}

/// Where something is drawn on white, in a part of the picture given as shares of its sides.
fn ink(file: &[u8], x: std::ops::Range<f64>, y: std::ops::Range<f64>) -> usize {
    let (pixels, width) = pixels(file);
    let height = pixels.len() as f64 / 3.0 / f64::from(width);
    let dark = |(index, pixel): (usize, &[u8])| {
        let (column, row) = (index as f64 % f64::from(width), (index as f64 / f64::from(width)).floor());
        let inside = x.contains(&(column / f64::from(width))) && y.contains(&(row / height));
        inside && pixel.iter().all(|part| *part < 100)
    };
    pixels.chunks(3).enumerate().filter(|pixel| dark(*pixel)).count()
}

#[test]
fn a_png_has_its_curves_and_its_letters() {
    let file = chart().png(900, 500).unwrap();
    let (pixels, width) = pixels(&file);
    assert_eq!((width, pixels.len()), (900, 900 * 500 * 3));
    let (blue, orange) = ([0, 114, 178], [213, 94, 0]);
    for colour in [blue, orange] {
        assert!(pixels.chunks(3).filter(|pixel| *pixel == colour).count() > 500, "{colour:?} is missing");
    }
    // The title, the numbers below and at the left, and the name of the axis that stands upright.
    assert!(ink(&file, 0.3..0.7, 0.0..0.09) > 50, "no title");
    assert!(ink(&file, 0.1..1.0, 0.9..0.96) > 100, "no numbers below");
    assert!(ink(&file, 0.04..0.11, 0.1..0.9) > 100, "no numbers at the left");
    assert!(ink(&file, 0.0..0.04, 0.3..0.7) > 30, "no name of the axis");
}

#[test]
fn an_svg_has_its_curves_and_its_letters() {
    let file = chart().svg(900, 500).unwrap();
    assert!(file.starts_with("<svg") && file.trim_end().ends_with("</svg>"));
    for text in [">\nloss", ">\nstep", ">\npocket-2", ">\n500", "#0072B2", "#D55E00"] {
        assert!(file.contains(text), "{text:?} is missing");
    }
}

#[test]
fn a_label_cannot_break_an_svg() {
    let mut chart = chart();
    chart.lines[0].label = "<script>&\"".to_owned();
    let file = chart.svg(400, 300).unwrap();
    assert!(!file.contains("<script>"));
}

#[test]
fn a_logarithmic_axis_says_what_it_cannot_show() {
    let mut chart = chart();
    for line in &mut chart.lines {
        line.behind.clear();
    }
    chart.lines[0].points[10].1 = 0.0;
    chart.lines[0].points[11].1 = f64::NAN;
    assert_eq!(chart.left_out(), 1);
    chart.y.log = true;
    assert_eq!(chart.left_out(), 2);
    chart.x.log = true;
    assert!(chart.svg(900, 500).unwrap().contains(">\n100"));
}

#[test]
fn draws_what_is_hardly_there() {
    let mut chart = chart();
    chart.lines.truncate(1);
    chart.lines[0].behind.clear();
    for points in [vec![], vec![(5.0, 2.0)], vec![(1.0, 2.0), (2.0, 2.0)]] {
        chart.lines[0].points = points;
        chart.png(300, 200).unwrap();
        chart.svg(300, 200).unwrap();
    }
}

#[test]
fn refuses_sizes_that_nobody_can_mean() {
    for (width, height) in [(0, 100), (10_000_000, 300), (300, 100_000)] {
        assert!(chart().png(width, height).is_err());
        assert!(chart().svg(width, height).is_err());
    }
}
