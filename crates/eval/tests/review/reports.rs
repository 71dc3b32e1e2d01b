//! What a report says of answers, and what must not change it.

use gptneo_eval::review::{
    Answers, Bootstrap, Judgement, Measured, Preference, Report, Scores, Sheet, SheetPlan, Sides, make_sheet,
};
use serde_json::Value;

use crate::world::{Dice, answers, even, lines, report, scores, sheet, source};

/// Judges by the texts alone: what is said of an item does not depend on the sides.
fn fair(a: &str, b: &str, dice: &mut Dice) -> Judgement {
    let score = |text: &str, dice: &mut Dice| {
        let base = if text.starts_with('a') { 3 } else { 2 };
        let any = |dice: &mut Dice| base + dice.below(3) as u8;
        Scores { fluency: any(dice), coherence: any(dice), relevance: any(dice) }
    };
    // In the order of the texts, so that the same dice say the same.
    let swapped = a > b;
    let (one, other) = (score(a.min(b), dice), score(a.max(b), dice));
    let first = match dice.below(10) {
        0..5 => Preference::A,
        5..8 => Preference::B,
        8 => Preference::Tie,
        _ => Preference::BothBad,
    };
    let preference = match (swapped, first) {
        (true, Preference::A) => Preference::B,
        (true, Preference::B) => Preference::A,
        (_, same) => same,
    };
    let (a, b) = if swapped { (other, one) } else { (one, other) };
    Judgement { a, b, preference, note: None }
}

/// Three judges, two of whom agree more often than not.
fn three() -> (Sheet, String) {
    let sheet = sheet(&["a", "b", "c"], 30);
    let mut all = String::new();
    for (at, judge) in ["ann", "bob", "eve"].into_iter().enumerate() {
        all += &lines(&sheet, judge, |shown| {
            let alike = shown.item as u64 % 4 != at as u64;
            let mut dice =
                Dice(if alike { shown.item as u64 * 77 + 1 } else { (shown.item * 91 + at) as u64 * 13 + 5 });
            for _ in 0..8 {
                dice.roll();
            }
            fair(shown.a, shown.b, &mut dice)
        });
    }
    (sheet, all)
}

#[test]
fn counts_what_was_said() {
    let sheet = sheet(&["a", "b"], 10);
    // Text `a` wins items 1 to 6, ties on 7, both are bad on 8; `b` wins the rest.
    let lines = lines(&sheet, "ann", |shown| {
        let a_is_a = shown.a.starts_with('a');
        let of = |a_wins: bool| if a_wins == a_is_a { Preference::A } else { Preference::B };
        let preference = match shown.item {
            1..=6 => of(true),
            7 => Preference::Tie,
            8 => Preference::BothBad,
            _ => of(false),
        };
        let (good, bad) = (Scores { fluency: 5, coherence: 4, relevance: 3 }, scores(2));
        Judgement { a: if a_is_a { good } else { bad }, b: if a_is_a { bad } else { good }, preference, note: None }
    });
    let report = report(&sheet, &lines);
    let at = report.sources.iter().position(|source| source.name == "model-a").unwrap();
    let outcomes = report.sources[at].outcomes.unwrap();
    let counts = [outcomes.won, outcomes.tied, outcomes.both_bad, outcomes.lost].map(|tally| tally.count);
    assert_eq!(counts, [6, 1, 1, 2]);
    assert_eq!((outcomes.points.value, outcomes.points.n), (0.7, 10));
    let interval = outcomes.points.interval.unwrap();
    assert!(0.3 < interval.low && interval.low < 0.6 && 0.8 < interval.high && interval.high <= 1.0, "{interval:?}");
    let means: Vec<f64> = report.sources[at].means.iter().map(|(_, mean)| mean.unwrap().value).collect();
    assert_eq!(means, [5.0, 4.0, 3.0]);
    assert_eq!(report.pairs.len(), 1);
    assert_eq!((report.seconds.value, report.seconds.n), (5.5, 10), "items took 1 to 10 seconds");
    let Measured::Known(strengths) = &report.strengths else { panic!() };
    assert!((strengths[at].strength.value - (0.7_f64 / 0.3).ln() / 2.0).abs() < 1e-9);
    assert_eq!((report.answers, report.items_answered, report.prompts, report.judges.len()), (10, 10, 10, 1));
    for agreement in &report.agreement {
        assert!(matches!(&agreement.alpha, Measured::Refused(why) if why.contains("at least two judges")));
    }
    assert!(report.to_text().contains("refused: no two judges have judged the same item"));
}

#[test]
fn the_order_of_answers_does_not_matter() {
    let (sheet, all) = three();
    let wanted = report(&sheet, &all);
    let mut shuffled: Vec<&str> = all.lines().collect();
    let mut dice = Dice(99);
    for end in (1..shuffled.len()).rev() {
        shuffled.swap(end, dice.below(end + 1));
    }
    assert_eq!(report(&sheet, &shuffled.join("\n")), wanted);
}

#[test]
fn swapping_the_sides_shown_changes_only_the_share_of_a() {
    let (sheet, all) = three();
    let wanted = report(&sheet, &all);
    let swap = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let (a, b) = (line["a"].clone(), line["b"].clone());
        (line["a"], line["b"]) = (b, a);
        line["sides"] = if line["sides"] == "kept" { "swapped".into() } else { "kept".into() };
        line["preference"] = match line["preference"].as_str() {
            Some("a") => "b".into(),
            Some("b") => "a".into(),
            other => other.into(),
        };
        line.to_string()
    };
    let swapped: Vec<String> = all.lines().map(swap).collect();
    let mut found = report(&sheet, &swapped.join("\n"));
    let (one, other) = (found.chose_a.unwrap(), wanted.chose_a.unwrap());
    assert!((one.value + other.value - 1.0).abs() < 1e-12 && one.n == other.n);
    found.chose_a = wanted.chose_a;
    for (judge, before) in found.judges.iter_mut().zip(&wanted.judges) {
        judge.chose_a = before.chose_a;
    }
    assert_eq!(found, wanted);
    let kept = answers(&sheet, &all).iter().filter(|answer| answer.sides == Sides::Kept).count();
    assert!((60..=210).contains(&kept), "{kept}");
}

#[test]
fn names_of_sources_and_judges_do_not_matter() {
    let (sheet, all) = three();
    let text = report(&sheet, &all).to_json();
    let renamed_sheet = sheet.to_json().replace("model-", "other-");
    let renamed_sheet = Sheet::read("x", renamed_sheet.as_bytes()).unwrap();
    let found = report(&renamed_sheet, &all.replace("\"ann\"", "\"amy\"")).to_json();
    assert_eq!(found.replace("other-", "model-").replace("\"amy\"", "\"ann\""), text);
}

#[test]
fn agreement_needs_judges_who_share_items_and_sees_how_far_they_agree() {
    let (sheet, all) = three();
    for agreement in report(&sheet, &all).agreement {
        let Measured::Known(alpha) = agreement.alpha else { panic!("{agreement:?}") };
        let interval = alpha.interval.unwrap();
        assert!(0.1 < alpha.value && alpha.value < 0.95, "{agreement:?}");
        assert!(interval.low < alpha.value && alpha.value < interval.high, "{agreement:?}");
        let units = if agreement.about == "preference" { 90 } else { 180 };
        assert_eq!((agreement.units, alpha.n, agreement.judges), (units, 3 * units, 3));
    }
    // The same judge twice over agrees with itself.
    let ann: String = all.lines().filter(|line| line.contains("\"ann\"")).map(|line| format!("{line}\n")).collect();
    let twin = format!("{ann}{}", ann.replace("\"ann\"", "\"twin\""));
    for agreement in report(&sheet, &twin).agreement {
        assert!(matches!(&agreement.alpha, Measured::Known(alpha) if alpha.value == 1.0), "{agreement:?}");
    }
    let flat = ["ann", "bob"].map(|judge| lines(&sheet, judge, |_| even(3, Preference::Tie))).concat();
    for agreement in report(&sheet, &flat).agreement {
        assert!(matches!(&agreement.alpha, Measured::Refused(why) if why.contains("the same value")), "{agreement:?}");
    }
}

#[test]
fn a_judge_who_always_takes_a_is_seen() {
    let sheet = sheet(&["a", "b"], 40);
    let both = lines(&sheet, "ann", |_| even(3, Preference::A)) + &lines(&sheet, "bob", |_| even(3, Preference::Tie));
    let report = report(&sheet, &both);
    let found = report.judges[0].chose_a.unwrap();
    assert_eq!((found.value, found.n), (1.0, 40));
    assert!(found.interval.unwrap().low > 0.9);
    assert_eq!((report.judges[1].chose_a, report.chose_a.unwrap().n), (None, 40));
}

#[test]
fn rare_losses_leave_wide_intervals_and_a_note() {
    let sheet = sheet(&["a", "b"], 20);
    let lines = lines(&sheet, "ann", |shown| {
        let a_wins = shown.item != 1;
        even(3, if a_wins == shown.a.starts_with('a') { Preference::A } else { Preference::B })
    });
    let report = report(&sheet, &lines);
    let Measured::Known(strengths) = &report.strengths else { panic!() };
    let found = strengths[0].strength;
    assert!((found.value - 19_f64.ln() / 2.0).abs() < 1e-9);
    // A third of the resamples lack the one loss: with half a win more on both sides, 20.5 to 0.5.
    assert!((found.interval.unwrap().high - 41_f64.ln() / 2.0).abs() < 1e-9, "{found:?}");
    assert!(report.notes.iter().any(|note| note.contains("resamples a source never lost")), "{:?}", report.notes);
}

#[test]
fn all_numbers_come_with_their_count_and_interval_in_every_form() {
    let (sheet, all) = three();
    let report = report(&sheet, &all);
    let csv = report.to_csv();
    let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').take(7).collect()).collect();
    assert_eq!(csv.lines().next(), Some("section,subject,measure,value,low,high,n,note"));
    assert_eq!(rows.len(), 3 * 3 + 3 * 5 + 3 * 5 + 3 * 2 + 3 + 7 + 4 + 4);
    for row in &rows {
        let number = |at: usize| row[at].parse::<f64>().unwrap();
        assert!(number(4) <= number(3) && number(3) <= number(5) && number(6) >= 50.0, "{row:?}");
    }
    let text = report.to_text();
    assert!(text.lines().all(|line| line.chars().count() < 160), "{text}");
    assert!(rows.iter().all(|row| text.contains(&format!("n {}", row[6]))));
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json["strengths"]["known"][0]["source"], "model-a");
    assert_eq!(json["sources"][0]["means"][0][0], "fluency");
    assert_eq!(json["agreement"][1]["metric"], "ordinal");
}

#[test]
fn says_why_there_is_no_report() {
    let (sheet, all) = three();
    let refused = |sheet: &Sheet, answers: &Answers, resamples, wanted: &str| {
        let error = Report::new(sheet, answers, Bootstrap { resamples, seed: 0 }).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    let given = answers(&sheet, &all);
    refused(&sheet, &Answers::default(), 100, "there are no answers yet");
    refused(&sheet.blinded(), &given, 100, "it has no key");
    refused(&sheet, &given, 19, "20 to 100000");
    let other = make_sheet(&[source("a", 2), source("b", 2)], &SheetPlan::default()).unwrap().sheet;
    refused(&other, &given, 100, "the answers belong to another sheet");
}
