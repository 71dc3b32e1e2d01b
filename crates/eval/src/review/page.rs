//! The page on which a judge works: one HTML file that needs nothing else.
//!
//! The page asks what a [`Session`](super::Session) asks, in the same order and with the same sides, keeps its progress in
//! the browser, and saves answers as a file that [`read_answers`](super::read_answers()) reads. What it shows comes from the
//! blind part of the sheet alone.
//!
//! Texts of models reach the page as JSON in which `<`, `>`, `&` and the line separators are escaped, so that no text ends
//! its element, and the script puts them into the document as text only. A content security policy allows the page's own
//! script and style by their hashes, and no request at all.

use serde::Serialize;

use super::judgement::{LONGEST_NOTE, Scale};
use super::sheet::{Prompt, Sheet};
use super::visible::{LONGEST_NAME, visible};
use crate::policy_hash;

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

#[derive(Serialize)]
struct Data<'s> {
    sheet: &'s str,
    title: String,
    scales: Vec<[&'static str; 2]>,
    longest_name: usize,
    longest_note: usize,
    items: Vec<ShownItem>,
}

#[derive(Serialize)]
struct ShownItem {
    /// One that both sides share, or two.
    prompts: Vec<String>,
    texts: [String; 2],
}

/// The page for a sheet, with or without its key: the page never holds it.
pub fn page(sheet: &Sheet) -> String {
    let shown = |text: &String| visible(text).into_owned();
    let items = sheet.items().iter().map(|item| ShownItem {
        prompts: match &item.prompt {
            Prompt::Shared(prompt) => vec![shown(prompt)],
            Prompt::Each(prompts) => prompts.iter().map(shown).collect(),
        },
        texts: [shown(&item.texts[0]), shown(&item.texts[1])],
    });
    let data = Data {
        sheet: sheet.hash(),
        title: visible(sheet.title()).into_owned(),
        scales: Scale::ALL.map(|scale| [scale.name(), scale.question()]).to_vec(),
        longest_name: LONGEST_NAME,
        longest_note: LONGEST_NOTE,
        items: items.collect(),
    };
    // The texts come last: what they hold is not searched for marks.
    let parts = [
        ("@style-hash@", policy_hash(STYLE)),
        ("@script-hash@", policy_hash(SCRIPT)),
        ("@style@", STYLE.to_owned()),
        ("@script@", SCRIPT.to_owned()),
        ("@data@", escaped(&serde_json::to_string(&data).expect("strings can be written"))),
    ];
    parts.iter().fold(HTML.to_owned(), |page, (mark, part)| page.replacen(mark, part, 1))
}

/// JSON that cannot end the element it stands in.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 16);
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_json_is_the_same_json() {
        let text = "</script><!--<script>&amp;\u{2028}\u{2029}é\\u003c\"";
        let json = serde_json::to_string(text).unwrap();
        let safe = escaped(&json);
        assert!(!safe.contains(['<', '>', '&', '\u{2028}', '\u{2029}']));
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }

    #[test]
    fn the_parts_cannot_end_their_elements_and_hold_no_marks() {
        for part in [STYLE, SCRIPT] {
            assert!(!part.contains("</") && !part.contains("<!--") && !part.contains('\r'));
            assert!(!["@data@", "@script@", "@style@"].iter().any(|mark| part.contains(mark)));
        }
        assert!(HTML.find("@data@") > HTML.find("@style@"));
    }
}
