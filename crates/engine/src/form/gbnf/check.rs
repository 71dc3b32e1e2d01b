//! What a grammar must not be, and what is known of its rules.

use std::collections::VecDeque;

use super::facts::may_be_empty;
use super::{Node, Rule, line};

/// Refuses a grammar that names nothing, begins with itself or never ends; returns the number of its root.
///
/// # Errors
/// In words, with the rule and its line.
pub(super) fn check(source: &str, rules: &[Rule]) -> Result<usize, String> {
    let root = rules.iter().position(|rule| rule.name == "root" && rule.body.is_some());
    let root = root.ok_or("there is no rule `root`, in which a grammar starts")?;
    let order = reachable(rules, root);
    if let Some(rule) = order.iter().map(|&number| &rules[number]).find(|rule| rule.body.is_none()) {
        return Err(format!("rule `{}` is used in line {}, but nowhere defined", rule.name, line(source, rule.at)));
    }
    left_recursion(source, rules, &order)?;
    let ends = settle(rules, |node, known| match node {
        Node::Rule(number) => Some(known[*number]),
        Node::Repeat(_, 0, _) => Some(true),
        _ => None,
    });
    if let Some(rule) = order.iter().find(|&&number| !ends[number]).map(|&number| &rules[number]) {
        let (name, line) = (&rule.name, line(source, rule.at));
        return Err(format!("rule `{name}` (line {line}) never ends: it needs a choice that does without itself"));
    }
    Ok(root)
}

/// The numbers of the rules that `root` may lead to, from the root on.
fn reachable(rules: &[Rule], root: usize) -> Vec<usize> {
    let mut seen = vec![false; rules.len()];
    seen[root] = true;
    let mut order = vec![root];
    let mut next = 0;
    while let Some(&number) = order.get(next) {
        next += 1;
        let Some(body) = &rules[number].body else { continue };
        mentions(body, &mut |other| {
            if !seen[other] {
                seen[other] = true;
                order.push(other);
            }
        });
    }
    order
}

/// Tells every rule that `node` names.
fn mentions(node: &Node, tell: &mut impl FnMut(usize)) {
    match node {
        Node::Text(_) | Node::Class(_) | Node::Any => {}
        Node::Rule(number) => tell(*number),
        Node::Sequence(nodes) | Node::Choice(nodes) => nodes.iter().for_each(|node| mentions(node, tell)),
        Node::Repeat(inner, ..) => mentions(inner, tell),
    }
}

/// What is true of each rule: the least that follows. `tells` answers for a node where its parts do not matter; elsewhere all
/// of a sequence must be true, and one of a choice.
pub(super) fn settle(rules: &[Rule], tells: impl Fn(&Node, &[bool]) -> Option<bool>) -> Vec<bool> {
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); rules.len()];
    for (user, rule) in rules.iter().enumerate() {
        rule.body.iter().for_each(|body| mentions(body, &mut |used| users[used].push(user)));
    }
    let mut known = vec![false; rules.len()];
    let mut queued = vec![true; rules.len()];
    let mut queue: VecDeque<usize> = (0..rules.len()).collect();
    while let Some(number) = queue.pop_front() {
        queued[number] = false;
        let Some(body) = &rules[number].body else { continue };
        if known[number] || !holds(body, &known, &tells) {
            continue;
        }
        known[number] = true;
        for &user in &users[number] {
            if !known[user] && !queued[user] {
                queued[user] = true;
                queue.push_back(user);
            }
        }
    }
    known
}

pub(super) fn holds(node: &Node, known: &[bool], tells: &impl Fn(&Node, &[bool]) -> Option<bool>) -> bool {
    if let Some(answer) = tells(node, known) {
        return answer;
    }
    match node {
        Node::Text(_) | Node::Class(_) | Node::Any | Node::Rule(_) => true,
        Node::Sequence(nodes) => nodes.iter().all(|node| holds(node, known, tells)),
        Node::Choice(nodes) => nodes.iter().any(|node| holds(node, known, tells)),
        Node::Repeat(inner, ..) => holds(inner, known, tells),
    }
}

fn left_recursion(source: &str, rules: &[Rule], order: &[usize]) -> Result<(), String> {
    let empties = settle(rules, may_be_empty);
    let firsts: Vec<Vec<usize>> = rules
        .iter()
        .map(|rule| {
            let mut found = Vec::new();
            if let Some(body) = &rule.body {
                first(body, &empties, &mut found);
            }
            found.sort_unstable();
            found.dedup();
            found
        })
        .collect();
    // Depth first with a list of its own: a rule met again on the way to itself is recursion.
    let mut state = vec![State::New; rules.len()];
    for &begin in order {
        let mut way = vec![(begin, 0)];
        while let Some((number, next)) = way.last_mut() {
            if *next == 0 && state[*number] == State::New {
                state[*number] = State::OnTheWay;
            } else if *next == 0 {
                way.pop();
                continue;
            }
            let Some(&other) = firsts[*number].get(*next) else {
                state[*number] = State::Done;
                way.pop();
                continue;
            };
            *next += 1;
            match state[other] {
                State::New => way.push((other, 0)),
                State::Done => {}
                State::OnTheWay => {
                    let from = way.iter().position(|(number, _)| *number == other).unwrap_or(0);
                    let names = way[from..].iter().map(|(number, _)| rules[*number].name.as_str());
                    let circle: Vec<&str> = names.chain([rules[other].name.as_str()]).collect();
                    return Err(begins_with_itself(source, &rules[other], &circle));
                }
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    OnTheWay,
    Done,
}

fn begins_with_itself(source: &str, rule: &Rule, circle: &[&str]) -> String {
    let round = match circle.len() {
        0..=2 => String::new(),
        3..=9 => format!(": {}", circle.join(", ")),
        many => format!(", by way of {} others", many - 2),
    };
    let (name, line) = (&rule.name, line(source, rule.at));
    format!(
        "line {line}: rule `{name}` begins with itself{round}; say it with a repetition, or with the recursion behind"
    )
}

/// The rules that may stand first in `node`, given which rules may be empty.
fn first(node: &Node, empties: &[bool], found: &mut Vec<usize>) {
    match node {
        Node::Text(_) | Node::Class(_) | Node::Any => {}
        Node::Rule(number) => found.push(*number),
        Node::Choice(nodes) => nodes.iter().for_each(|node| first(node, empties, found)),
        Node::Repeat(inner, ..) => first(inner, empties, found),
        Node::Sequence(nodes) => {
            for node in nodes {
                first(node, empties, found);
                if !holds(node, empties, &may_be_empty) {
                    break;
                }
            }
        }
    }
}
