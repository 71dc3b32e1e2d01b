//! A report as rows: for a spreadsheet, and for a terminal.

use std::fmt::Write;

use super::report::{Measured, Outcomes, Report, Tally};
use super::resample::Estimate;

/// One number of a report.
struct Row {
    section: &'static str,
    subject: String,
    measure: String,
    estimate: Option<Estimate>,
    note: String,
    /// Digits after the point that a terminal shows.
    digits: usize,
}

impl Report {
    /// One row a number: section, subject, measure, value, ends of the 95 % interval, n, note. What is not there is empty.
    ///
    /// Fields are quoted as RFC 4180 has it. Names that a spreadsheet would take for a formula get a `'` in front.
    pub fn to_csv(&self) -> String {
        let mut out = String::from("section,subject,measure,value,low,high,n,note\n");
        for row in self.rows() {
            let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
            let interval = row.estimate.and_then(|estimate| estimate.interval);
            let fields = [
                quoted(row.section),
                quoted(&row.subject),
                quoted(&row.measure),
                number(row.estimate.map(|estimate| estimate.value)),
                number(interval.map(|interval| interval.low)),
                number(interval.map(|interval| interval.high)),
                row.estimate.map(|estimate| estimate.n.to_string()).unwrap_or_default(),
                quoted(&row.note),
            ];
            out.push_str(&fields.join(","));
            out.push('\n');
        }
        out
    }

    /// Plain text in columns.
    pub fn to_text(&self) -> String {
        let Self { answers, items_answered, items, prompts, resamples, .. } = self;
        let mut out = format!(
            "sheet {}: {answers} answers of {} judges to {items_answered} of {items} items ({prompts} prompts)\n\
             [ ]: 95 % intervals, from {resamples} resamples of prompts unless said otherwise; n: observations\n",
            &self.sheet[..self.sheet.floor_char_boundary(12)],
            self.judges.len()
        );
        let rows = self.rows();
        for section in rows.chunk_by(|one, next| one.section == next.section) {
            let cells: Vec<[String; 5]> = section.iter().map(Row::cells).collect();
            let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            let widths: [usize; 4] = std::array::from_fn(width);
            let _ = writeln!(out, "\n{}", section[0].section);
            for [subject, measure, value, interval, rest] in &cells {
                let [w0, w1, w2, w3] = widths;
                let line = format!("  {subject:w0$}  {measure:w1$}  {value:>w2$}  {interval:w3$}  {rest}");
                let _ = writeln!(out, "{}", line.trim_end());
            }
        }
        if !self.notes.is_empty() {
            out.push_str("\nnotes\n");
            self.notes.iter().for_each(|note| out.push_str(&format!("  {note}\n")));
        }
        out
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut row = |section, subject: &str, measure: &str, estimate: Option<Estimate>, digits, note: String| {
            let (subject, measure) = (subject.to_owned(), measure.to_owned());
            let note = if estimate.is_none() && note.is_empty() { "no such answers".to_owned() } else { note };
            rows.push(Row { section, subject, measure, estimate, note, digits });
        };
        for source in &self.sources {
            for (scale, mean) in &source.means {
                row("mean scores (1 to 5)", &source.name, scale.name(), *mean, 2, String::new());
            }
        }
        for source in &self.sources {
            match &source.outcomes {
                Some(outcomes) => shares(outcomes, |measure, estimate, note| {
                    row("preferences", &source.name, measure, Some(estimate), 3, note);
                }),
                None => row("preferences", &source.name, "points", None, 3, String::new()),
            }
        }
        if self.sources.len() > 2 {
            for pair in &self.pairs {
                let subject = pair.sources.join(" : ");
                shares(&pair.outcomes, |measure, estimate, note| {
                    row("preferences in pairs", &subject, measure, Some(estimate), 3, note);
                });
            }
        }
        match &self.strengths {
            Measured::Known(strengths) => {
                for known in strengths {
                    let section = "strengths (Bradley-Terry; a tie is half a win)";
                    row(section, &known.source, "elo scale", Some(known.elo), 0, String::new());
                    row(section, &known.source, "ln strength", Some(known.strength), 3, String::new());
                }
            }
            Measured::Refused(why) => {
                row(
                    "strengths (Bradley-Terry; a tie is half a win)",
                    "all",
                    "elo scale",
                    None,
                    0,
                    format!("refused: {why}"),
                );
            }
        }
        for source in &self.sources {
            row("online elo (K 32; mean over orders)", &source.name, "elo", source.online_elo, 0, String::new());
        }
        for agreement in &self.agreement {
            let (estimate, note) = match &agreement.alpha {
                Measured::Known(alpha) => {
                    (Some(*alpha), format!("{} judges on {} units", agreement.judges, agreement.units))
                }
                Measured::Refused(why) => (None, format!("refused: {why}")),
            };
            row("agreement (Krippendorff's alpha)", agreement.about, agreement.metric.name(), estimate, 3, note);
        }
        let section = "position (share of A among A and B; Wilson's interval)";
        row(section, "all judges", "chose A", self.chose_a, 3, String::new());
        for judge in &self.judges {
            row(section, &judge.name, "chose A", judge.chose_a, 3, String::new());
        }
        row("time", "all judges", "median seconds", Some(self.seconds), 1, String::new());
        for judge in &self.judges {
            row("time", &judge.name, "median seconds", Some(judge.seconds), 1, String::new());
        }
        rows
    }
}

fn shares(outcomes: &Outcomes, mut row: impl FnMut(&str, Estimate, String)) {
    let mut tally = |measure: &str, Tally { count, share }: Tally| {
        row(measure, share, format!("{count} times"));
    };
    tally("won", outcomes.won);
    tally("tied", outcomes.tied);
    tally("both bad", outcomes.both_bad);
    tally("lost", outcomes.lost);
    row("points", outcomes.points, "wins, and half of ties and both bad".to_owned());
}

impl Row {
    fn cells(&self) -> [String; 5] {
        let digits = self.digits;
        let (value, interval, n) = match self.estimate {
            None => ("-".to_owned(), String::new(), String::new()),
            Some(Estimate { value, interval, n }) => (
                format!("{value:.digits$}"),
                interval.map_or("[no interval]".to_owned(), |i| format!("[{:.digits$}, {:.digits$}]", i.low, i.high)),
                format!("n {n}"),
            ),
        };
        let rest = [n, self.note.clone()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
        [self.subject.clone(), self.measure.clone(), value, interval, rest]
    }
}

fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t']) { "'" } else { "" };
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{guard}{}\"", field.replace('"', "\"\""))
    } else {
        format!("{guard}{field}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_formulas_disarmed() {
        for (field, wanted) in
            [("a b", "a b"), ("a,\"b\"", "\"a,\"\"b\"\"\""), ("=1+1", "'=1+1"), ("-x,y", "\"'-x,y\""), ("", "")]
        {
            assert_eq!(quoted(field), wanted);
        }
    }
}
