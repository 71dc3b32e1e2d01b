//! From samples to a sheet: which texts meet, and in which order.

use std::collections::{BTreeMap, HashMap};

use super::draw::Draws;
use super::error::{Result, setting, shown};
use super::samples::{Sample, Source};
use super::sheet::{Blind, Item, Key, KeyItem, MOST_ITEMS, Prompt, Sheet, check_sources};

/// The longest title, in characters.
const LONGEST_TITLE: usize = 200;

/// How to make a sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetPlan {
    /// What judges are told it is about. It must not name a source.
    pub title: String,
    /// Of the order of items and of the two texts of each.
    pub seed: u64,
    /// The most items, drawn evenly from all pairs of sources; `None` for all.
    pub items: Option<usize>,
    /// What to do where two sources had different prompts.
    pub prompts: Prompts,
    /// The longest prompt or text that a judge is to read, in characters.
    pub longest: usize,
    /// What to do with longer ones.
    pub overlong: Overlong,
}

impl Default for SheetPlan {
    fn default() -> Self {
        Self {
            title: String::new(),
            seed: 0,
            items: None,
            prompts: Prompts::Same,
            longest: 20_000,
            overlong: Overlong::Refuse,
        }
    }
}

/// What judges see as the prompt where sources had different ones: one question in two templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompts {
    /// Different prompts are an error.
    Same,
    /// Each side shows its own; the judge can tell the templates apart.
    Each,
    /// Both sides show that of the one of the two that was named first.
    First,
}

/// What to do with texts that are too long for a judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlong {
    /// They are an error.
    Refuse,
    /// Texts keep their beginning and prompts their end, and say so in words where they are cut.
    Shorten,
}

/// A sheet, and what did not get into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// With its key.
    pub sheet: Sheet,
    /// Prompts that only one source has answered.
    pub unpaired: usize,
    /// Items that the plan's limit left out.
    pub left_out: usize,
    /// Texts and prompts that were shortened, counted once for each item they are in.
    pub shortened: usize,
}

/// Two samples of one prompt, and whose they are.
#[derive(Clone, Copy)]
struct Pair<'a> {
    sources: [usize; 2],
    samples: [&'a Sample; 2],
}

/// Pairs up the answers of every two sources to each prompt.
///
/// # Errors
/// Sources that are fewer than 2 or more than 32 or share a name, a prompt id that comes twice in a source, different
/// prompts or overlong texts where the plan allows none, no prompt that two sources have answered, more than 100,000 items.
pub fn make_sheet(sources: &[Source], plan: &SheetPlan) -> Result<Made> {
    let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    check_sources(&names)?;
    check_title(&plan.title, &names)?;
    if plan.longest == 0 || plan.items == Some(0) {
        return Err(setting("texts need at least 1 character, and a sheet at least 1 item"));
    }
    let (mut pairs, unpaired) = pair_up(sources)?;
    let all = pairs.len();
    if all == 0 {
        return Err(setting("no prompt was answered by two sources; do their samples use the same ids?"));
    }
    let seed = plan.seed.to_string();
    if let Some(most) = plan.items {
        pairs = drawn_evenly(pairs, most, &seed);
    }
    if pairs.len() > MOST_ITEMS {
        return Err(setting(format!("there are {} items; a sheet has at most {MOST_ITEMS}; set a limit", pairs.len())));
    }
    Draws::new(&["items", &seed]).shuffle(&mut pairs);
    let mut coins = Draws::new(&["texts", &seed]);
    let mut limit = Limit { plan, shortened: 0 };
    let (mut items, mut key) = (Vec::new(), Vec::new());
    for mut pair in pairs {
        let prompt = prompt_of(&pair, &names, plan.prompts)?;
        if coins.coin() {
            pair.sources.reverse();
            pair.samples.reverse();
        }
        let id = &pair.samples[0].id;
        let prompt = match prompt {
            None => {
                Prompt::Each([limit.prompt(id, &pair.samples[0].prompt)?, limit.prompt(id, &pair.samples[1].prompt)?])
            }
            Some(text) => Prompt::Shared(limit.prompt(id, text)?),
        };
        let texts = [limit.text(id, &pair.samples[0].text)?, limit.text(id, &pair.samples[1].text)?];
        items.push(Item { prompt, texts });
        key.push(KeyItem { prompt: id.clone(), sources: pair.sources });
    }
    let left_out = all - items.len();
    let key = Key { seed: plan.seed, sources: names, items: key };
    let sheet = Sheet::new(Blind { title: plan.title.clone(), items }, key);
    Ok(Made { sheet, unpaired, left_out, shortened: limit.shortened })
}

fn check_title(title: &str, names: &[String]) -> Result<()> {
    if title.chars().count() > LONGEST_TITLE {
        return Err(setting(format!("the title is longer than {LONGEST_TITLE} characters")));
    }
    let lower = title.to_lowercase();
    match names.iter().find(|name| lower.contains(&name.to_lowercase())) {
        Some(name) => Err(setting(format!("the title names the source `{name}`; judges must not know the sources"))),
        None => Ok(()),
    }
}

/// All pairs, by the order of the first source that has a prompt, and how many prompts have none.
fn pair_up(sources: &[Source]) -> Result<(Vec<Pair<'_>>, usize)> {
    let mut place: HashMap<&str, usize> = HashMap::new();
    let mut prompts: Vec<Vec<(usize, &Sample)>> = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        for sample in &source.samples {
            let place = *place.entry(&sample.id).or_insert(prompts.len());
            if place == prompts.len() {
                prompts.push(Vec::new());
            }
            if prompts[place].last().is_some_and(|(last, _)| *last == at) {
                return Err(setting(format!(
                    "source `{}` has the prompt id `{}` twice",
                    source.name,
                    shown(&sample.id)
                )));
            }
            prompts[place].push((at, sample));
        }
    }
    let unpaired = prompts.iter().filter(|answers| answers.len() == 1).count();
    let mut pairs = Vec::new();
    for answers in &prompts {
        for (at, first) in answers.iter().enumerate() {
            let with = answers[at + 1..].iter();
            pairs.extend(with.map(|second| Pair { sources: [first.0, second.0], samples: [first.1, second.1] }));
        }
    }
    Ok((pairs, unpaired))
}

/// At most `most` pairs: the first of every two sources, then the second of every two, each in an order drawn.
fn drawn_evenly<'a>(pairs: Vec<Pair<'a>>, most: usize, seed: &str) -> Vec<Pair<'a>> {
    let mut of_two: BTreeMap<[usize; 2], Vec<Pair<'a>>> = BTreeMap::new();
    for pair in pairs {
        of_two.entry(pair.sources).or_default().push(pair);
    }
    let mut draws = Draws::new(&["limit", seed]);
    let mut ranked = Vec::new();
    for list in of_two.values_mut() {
        draws.shuffle(list);
        ranked.extend(list.iter().copied().enumerate());
    }
    draws.shuffle(&mut ranked);
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().take(most).map(|(_, pair)| pair).collect()
}

/// The prompt that both sides show, or `None` for each its own.
fn prompt_of<'a>(pair: &Pair<'a>, names: &[String], prompts: Prompts) -> Result<Option<&'a str>> {
    let [first, second] = pair.samples;
    if first.prompt == second.prompt {
        return Ok(Some(&first.prompt));
    }
    match prompts {
        Prompts::Each => Ok(None),
        Prompts::First => Ok(Some(&first.prompt)),
        Prompts::Same => {
            let [one, other] = pair.sources.map(|at| &names[at]);
            Err(setting(format!(
                "`{one}` and `{other}` had different prompts for `{}`; show each side its own, or both the first",
                shown(&first.id)
            )))
        }
    }
}

/// Holds texts to the plan's length.
struct Limit<'p> {
    plan: &'p SheetPlan,
    shortened: usize,
}

impl Limit<'_> {
    fn text(&mut self, id: &str, text: &str) -> Result<String> {
        let longest = self.plan.longest;
        let Some(length) = self.over("text", id, text)? else { return Ok(text.to_owned()) };
        let kept: String = text.chars().take(longest).collect();
        Ok(format!("{kept} [shortened: the first {longest} of {length} characters]"))
    }

    /// A text goes on where its prompt ends, so the end is what a judge needs.
    fn prompt(&mut self, id: &str, prompt: &str) -> Result<String> {
        let longest = self.plan.longest;
        let Some(length) = self.over("prompt", id, prompt)? else { return Ok(prompt.to_owned()) };
        let kept: String = prompt.chars().skip(length - longest).collect();
        Ok(format!("[shortened: the last {longest} of {length} characters] {kept}"))
    }

    /// How many characters it has, if those are too many.
    fn over(&mut self, what: &str, id: &str, text: &str) -> Result<Option<usize>> {
        let longest = self.plan.longest;
        if text.len() <= longest {
            return Ok(None);
        }
        let length = text.chars().count();
        if length <= longest {
            return Ok(None);
        }
        if self.plan.overlong == Overlong::Refuse {
            let id = shown(id);
            return Err(setting(format!(
                "a {what} for `{id}` has {length} characters; at most {longest} are allowed; shorten such texts, or allow more"
            )));
        }
        self.shortened += 1;
        Ok(Some(length))
    }
}
