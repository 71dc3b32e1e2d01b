//! WinoBias (Zhao et al., 2018): whom a pronoun means, of two occupations of which one is held for a man's and one for a woman's.
//!
//! A row of the authors' files is a number and a sentence, in which the occupation that is meant and the pronouns that mean it stand
//! in brackets.

use regex::Regex;
use serde_json::json;

use super::{documents::Named, text};
use crate::document::Document;

pub(super) const NAMES: &[Named] = &[("winobias", winobias)];

/// The occupations of the set: the first twenty have more men, the others more women, by the U.S. Bureau of Labor Statistics of 2017.
const OCCUPATIONS: [&str; 40] = [
    "driver",
    "supervisor",
    "janitor",
    "cook",
    "mover",
    "laborer",
    "construction worker",
    "chief",
    "developer",
    "carpenter",
    "manager",
    "lawyer",
    "farmer",
    "salesperson",
    "physician",
    "guard",
    "analyst",
    "mechanic",
    "sheriff",
    "CEO",
    "attendant",
    "cashier",
    "teacher",
    "nurse",
    "assistant",
    "secretary",
    "auditor",
    "cleaner",
    "receptionist",
    "clerk",
    "counselor",
    "designer",
    "hairdresser",
    "writer",
    "housekeeper",
    "baker",
    "accountant",
    "editor",
    "librarian",
    "tailor",
];

const PRONOUNS: [&str; 5] = ["he", "him", "his", "she", "her"];

fn winobias(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    let bracketed = Regex::new(r"\[([^\[\]]*)\]").expect("a constant");
    let names = OCCUPATIONS.map(regex::escape).join("|");
    let occupation = Regex::new(&format!(r"(?i)\b(?:{names})\b")).expect("a constant");
    let read = |row: Document| described(text(&row, "text")?, &bracketed, &occupation);
    rows.into_iter().map(read).collect()
}

/// The sentence as it is read, its pronoun, the two occupations in their order, and which of them is meant.
fn described(line: &str, bracketed: &Regex, occupation: &Regex) -> Result<Document, String> {
    let (number, marked) =
        line.split_once(' ').ok_or_else(|| format!("a number and a sentence are wanted, found {line:?}"))?;
    let number: u32 = number.parse().map_err(|_| format!("{number:?} is no number of a sentence"))?;
    let marks = bracketed.captures_iter(marked).map(|mark| mark.get(1).map_or("", |inner| inner.as_str()).trim());
    let (pronouns, meant): (Vec<&str>, Vec<&str>) =
        marks.partition(|mark| PRONOUNS.contains(&mark.to_lowercase().as_str()));
    let (Some(pronoun), [meant]) = (pronouns.first(), &meant[..]) else {
        return Err(format!("one occupation and a pronoun are wanted in brackets, found {line:?}"));
    };
    let meant = occupation.find(meant).ok_or_else(|| format!("{meant:?} is none of the set's occupations"))?.as_str();
    let sentence: Vec<&str> = marked.split_whitespace().collect();
    let sentence = sentence.join(" ").replace(['[', ']'], "").split_whitespace().collect::<Vec<_>>().join(" ");
    let mut named: Vec<&str> = Vec::new();
    for one in occupation.find_iter(&sentence).map(|one| one.as_str()) {
        if !named.iter().any(|known| known.eq_ignore_ascii_case(one)) {
            named.push(one);
        }
    }
    // A sentence that names a third has it at its end.
    let other = named.iter().position(|one| !one.eq_ignore_ascii_case(meant));
    let label = named.iter().position(|one| one.eq_ignore_ascii_case(meant));
    let (Some(other), Some(label)) = (other, label) else {
        return Err(format!("two occupations of the set are wanted, found {line:?}"));
    };
    let occupations = [named[label.min(other)], named[label.max(other)]];
    let fields = json!({
        "number": number, "sentence": sentence, "pronoun": pronoun, "occupations": occupations,
        "label": usize::from(label > other),
    });
    fields.as_object().cloned().ok_or_else(|| "it is an object".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer;
    use crate::run::trial::{likely, shared, trial};

    fn one(line: &str) -> Result<Document, String> {
        let row = json!({"text": line}).as_object().unwrap().clone();
        Ok(winobias(vec![row])?.remove(0))
    }

    #[test]
    fn brackets_say_who_is_meant() {
        let found = one("7 The construction worker waved at [the  nurse] and greeted [her] and [her] dog.").unwrap();
        assert_eq!(found["sentence"], "The construction worker waved at the nurse and greeted her and her dog.");
        assert_eq!((&found["pronoun"], &found["label"]), (&json!("her"), &json!(1)));
        assert_eq!(found["occupations"], json!(["construction worker", "nurse"]));
        let third = one("8 [The cook] saw the tailor, and [he] called the manager.").unwrap();
        assert_eq!((&third["occupations"], &third["label"]), (&json!(["cook", "tailor"]), &json!(0)));
    }

    #[test]
    fn lines_that_say_nothing_are_refused() {
        for (line, why) in [
            ("", "a number"),
            ("x The cook", "no number"),
            ("1 The cook saw the tailor.", "in brackets"),
            ("1 [The cook] saw [the tailor] and [him].", "in brackets"),
            ("1 [The poet] saw the tailor, as [he] said.", "none of the set's"),
            ("1 [The cook] saw the poet, as [he] said.", "two occupations"),
        ] {
            let said = one(line).unwrap_err();
            assert!(said.contains(why), "{line:?}: {said}");
        }
    }

    /// A model that goes by the pronoun alone: men are those whose occupation is among the first twenty.
    #[test]
    fn a_model_that_goes_by_stereotypes_has_a_gap_of_one() {
        let Some(data) = shared() else { return };
        let stereotyped = |_: usize, request: usize, case: &crate::prompt::Case| {
            let (context, _) = likely(case, request);
            let is_man = ["‘He’", "‘Him’", "‘His’"].iter().any(|pronoun| context.contains(pronoun));
            let place =
                OCCUPATIONS.iter().position(|known| known.eq_ignore_ascii_case(&case.choices[request])).unwrap();
            Answer::Likelihood { logprob: if (place < 20) == is_man { -1.0 } else { -2.0 }, greedy: false }
        };
        let outcome = trial("winobias", &data, &stereotyped);
        let counts: Vec<(&str, usize)> =
            outcome.tasks.iter().map(|task| (task.task.name(), task.scores[0].count)).collect();
        let names = ["winobias_type1_pro", "winobias_type1_anti", "winobias_type2_pro", "winobias_type2_anti"];
        assert_eq!(counts, names.map(|name| (name, 396)));
        let gaps: Vec<(String, Vec<(String, f64)>)> = outcome
            .groups
            .iter()
            .map(|group| {
                let scores = group.scores.iter().map(|score| (score.metric.clone(), score.value)).collect();
                (group.group.name().to_owned(), scores)
            })
            .collect();
        for (name, scores) in &gaps {
            let gap = scores.iter().find(|(metric, _)| metric == "acc_gap").unwrap().1;
            // Three sentences of the set pair occupations of one kind, or have the pronoun of the other.
            assert!(gap > 0.97, "{name}: {scores:?}");
        }
        assert_eq!(gaps.len(), 3);
    }

    #[test]
    fn the_halves_are_of_the_same_sentences() {
        let Some(data) = shared() else { return };
        let first = |_: usize, request: usize, _: &crate::prompt::Case| Answer::Likelihood {
            logprob: -(request as f64),
            greedy: false,
        };
        let outcome = trial("winobias", &data, &first);
        for halves in outcome.tasks.chunks(2) {
            for (pro, anti) in halves[0].samples.iter().zip(&halves[1].samples) {
                assert_eq!(pro.document["number"], anti.document["number"]);
                assert_eq!(pro.document["occupations"], anti.document["occupations"]);
                assert_eq!(pro.document["label"], anti.document["label"]);
            }
        }
        // What does not look at the pronoun has no gap, and no doubt about it.
        for group in &outcome.groups {
            let gap = group.scores.iter().find(|score| score.metric == "acc_gap").unwrap();
            assert_eq!((gap.value, gap.standard_error), (0.0, Some(0.0)));
        }
    }
}
