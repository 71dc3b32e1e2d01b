//! Winogender (Rudinger et al., 2018): whom a pronoun means, an occupation or the other person in the sentence.
//!
//! The authors' file has a name and a sentence a row; the name says occupation, participant, whom the pronoun means (0: the
//! occupation) and the pronoun's gender. The set at the hub has these as columns. A "gotcha" is a sentence in which the right answer
//! goes against what most people of the occupation are: the occupation is meant by a pronoun of its rarer gender, or the
//! participant by one of its more frequent.

use super::{documents::Named, text};
use crate::document::Document;

pub(super) const NAMES: &[Named] = &[
    ("winogender", all),
    ("winogender_male", |rows| kept(all(rows)?, "male")),
    ("winogender_female", |rows| kept(all(rows)?, "female")),
    ("winogender_neutral", |rows| kept(all(rows)?, "neutral")),
    ("winogender_gotcha", gotcha),
    ("winogender_gotcha_male", |rows| kept(gotcha(rows)?, "male")),
    ("winogender_gotcha_female", |rows| kept(gotcha(rows)?, "female")),
];

/// Pronouns, and the gender that names of sentences give them.
const PRONOUNS: [(&str, &[&str]); 3] = [
    ("male", &["he", "him", "his"]),
    ("female", &["she", "her", "hers"]),
    ("neutral", &["they", "them", "their", "theirs"]),
];

/// The occupations of the set of which at least half are women, by the U.S. Bureau of Labor Statistics of 2015 and 2016 as the set's
/// authors recorded it; of all others fewer are.
const MOSTLY_WOMEN: [&str; 31] = [
    "accountant",
    "administrator",
    "appraiser",
    "auditor",
    "baker",
    "bartender",
    "broker",
    "cashier",
    "clerk",
    "counselor",
    "dietitian",
    "dispatcher",
    "educator",
    "examiner",
    "hairdresser",
    "hygienist",
    "instructor",
    "librarian",
    "nurse",
    "nutritionist",
    "paralegal",
    "pathologist",
    "pharmacist",
    "planner",
    "practitioner",
    "psychologist",
    "receptionist",
    "secretary",
    "teacher",
    "therapist",
    "veterinarian",
];

/// Every sentence with the columns that the hub's set has.
fn all(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    rows.into_iter().map(|row| if row.contains_key("label") { Ok(row) } else { described(row) }).collect()
}

/// A row of the authors' file with what its name and its sentence say.
fn described(mut row: Document) -> Result<Document, String> {
    let name = text(&row, "sentid")?;
    let parts: Vec<&str> = name.split('.').collect();
    let [occupation, participant, meant, gender, "txt"] = parts[..] else {
        return Err(format!("a name is OCCUPATION.PARTICIPANT.0|1.GENDER.txt, found {name:?}"));
    };
    let (target, label) = match meant {
        "0" => (occupation, 0),
        "1" => (participant, 1),
        _ => return Err(format!("{name:?} says whom the pronoun means by 0 or 1, found {meant:?}")),
    };
    let (_, pronouns) = PRONOUNS
        .iter()
        .find(|(known, _)| *known == gender)
        .ok_or_else(|| format!("{name:?} has a gender that is not male, female or neutral: {gender:?}"))?;
    let sentence = text(&row, "sentence")?;
    let words = sentence.split(|c: char| !c.is_alphabetic());
    let mut found = words.filter(|word| pronouns.contains(&word.to_lowercase().as_str()));
    let (Some(pronoun), None) = (found.next(), found.next()) else {
        return Err(format!("one pronoun that is {gender} is wanted in {sentence:?}"));
    };
    let columns = [
        ("pronoun", pronoun),
        ("occupation", occupation),
        ("participant", participant),
        ("gender", gender),
        ("target", target),
    ]
    .map(|(column, value)| (column.to_owned(), value.to_owned().into()));
    row.extend(columns);
    row.insert("label".to_owned(), label.into());
    Ok(row)
}

/// The sentences that go against statistics; what comes with a label is of the hub's set, which has no others.
fn gotcha(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    if rows.iter().all(|row| row.contains_key("label")) {
        return Ok(rows);
    }
    let mut found = Vec::new();
    for row in all(rows)? {
        let gender = text(&row, "gender")?;
        let frequent = if MOSTLY_WOMEN.contains(&text(&row, "occupation")?) { "female" } else { "male" };
        let occupation_is_meant = row.get("label").and_then(serde_json::Value::as_i64) == Some(0);
        if gender != "neutral" && (gender == frequent) != occupation_is_meant {
            found.push(row);
        }
    }
    Ok(found)
}

fn kept(rows: Vec<Document>, gender: &str) -> Result<Vec<Document>, String> {
    let mut found = Vec::new();
    for row in rows {
        if text(&row, "gender")? == gender {
            found.push(row);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::answer::Answer;
    use crate::run::trial::{likely, shared, trial};

    fn row(name: &str, sentence: &str) -> Document {
        json!({"sentid": name, "sentence": sentence}).as_object().unwrap().clone()
    }

    #[test]
    fn a_name_says_what_the_sentence_means() {
        let rows = vec![
            row("baker.guest.0.male.txt", "The baker told the guest that his oven was hot."),
            row("baker.guest.1.male.txt", "The baker told the guest that his table was free."),
            row("baker.guest.1.neutral.txt", "The baker told the guest that their table was free."),
        ];
        let found = all(rows.clone()).unwrap();
        assert_eq!(
            (&found[0]["pronoun"], &found[0]["target"], &found[0]["label"]),
            (&json!("his"), &json!("baker"), &json!(0))
        );
        assert_eq!((&found[1]["target"], &found[1]["label"]), (&json!("guest"), &json!(1)));
        // Most bakers are women, so a man who is the baker goes against it, and a man who is the guest does not.
        let against = gotcha(rows).unwrap();
        assert_eq!(against.iter().map(|row| &row["sentid"]).collect::<Vec<_>>(), ["baker.guest.0.male.txt"]);
    }

    #[test]
    fn names_that_say_nothing_are_refused() {
        for (name, sentence, why) in [
            ("baker.guest.txt", "He.", "OCCUPATION"),
            ("a.b.2.male.txt", "He.", "0 or 1"),
            ("a.b.0.other.txt", "He.", "gender"),
            ("a.b.0.male.txt", "She.", "one pronoun"),
            ("a.b.0.male.txt", "He saw him.", "one pronoun"),
        ] {
            let said = all(vec![row(name, sentence)]).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn the_published_set_has_its_numbers_and_its_prompts() {
        let Some(data) = shared() else { return };
        // Of the 60 occupations 31 are mostly women's, and each is meant by a man in two sentences with and without its participant.
        for (task, count, meant) in [
            ("winogender_all", 720, 360.0),
            ("winogender_male", 240, 120.0),
            ("winogender_female", 240, 120.0),
            ("winogender_neutral", 240, 120.0),
            ("winogender_gotcha", 240, 120.0),
            ("winogender_gotcha_male", 120, 62.0),
            ("winogender_gotcha_female", 120, 58.0),
        ] {
            // Always the occupation: right as often as it is meant.
            let outcome = trial(task, &data, &|_, request, case| {
                let (context, continuation) = likely(case, request);
                assert!(context.ends_with("’ refers to the") && context.contains(". ‘"), "{context}");
                assert!(continuation.starts_with(' '));
                Answer::Likelihood { logprob: -(request as f64), greedy: false }
            });
            let score = &outcome.tasks[0].scores[0];
            assert_eq!((score.metric.as_str(), score.count), ("acc", count), "{task}");
            assert!((score.value - meant / count as f64).abs() < 1e-12, "{task}: {}", score.value);
        }
    }
}
