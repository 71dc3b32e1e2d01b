//! Which parts of a grammar are terminals.
//!
//! What stands side by side in a rule and is regular becomes one terminal: terminals are dear to begin and cheap to be in.
//! But a terminal takes all that it can, so `[0-9]+ [ \n]*` before a rule that wants a line break would never let it have
//! one. Such a terminal, one that a text may go on in although what follows could begin there, is taken apart, and its
//! parts again, until none is left or they are single characters. (What follows in the shape of the same terminal does
//! not count: words beside words are one word.)

use std::collections::{HashMap, HashSet, VecDeque};
use std::slice;

use super::chars::{Chars, Edges};
use super::facts::Facts;
use super::{Node, Rule};

/// Rounds of taking apart.
const MAX_ROUNDS: usize = 32;
/// Most terminals that are compared with what follows them.
const MAX_TERMINALS: usize = 256;
/// Most productions for which that is done.
const MAX_PRODUCTIONS: usize = 1024;

/// A grammar of productions over terminals. The first production is that of the root.
pub(super) struct Plan<'a> {
    pub(super) productions: Vec<Production>,
    /// Each a sequence that is regular.
    pub(super) terminals: Vec<&'a [Node]>,
}

/// A rule, or a group inside one.
pub(super) struct Production {
    pub(super) name: String,
    pub(super) choices: Vec<Vec<Part>>,
}

/// A symbol, so many times.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) symbol: Symbol,
    pub(super) least: u32,
    pub(super) most: Option<u32>,
}

#[derive(Clone, Copy)]
pub(super) enum Symbol {
    Terminal(usize),
    Production(usize),
}

/// A plan for the grammar that begins in `root`.
pub(super) fn plan<'a>(rules: &'a [Rule], root: usize, facts: &Facts) -> Plan<'a> {
    let mut apart = HashSet::new();
    let mut edges = Edges::new(rules);
    let mut rounds = 0;
    loop {
        let plan = Planner::new(rules, facts, &apart).plan(root);
        let overrun = overrunning(&plan, facts, &mut edges);
        rounds += 1;
        if overrun.is_empty() || rounds == MAX_ROUNDS {
            return plan;
        }
        apart.extend(overrun);
    }
}

struct Planner<'a, 'p> {
    rules: &'a [Rule],
    facts: &'p Facts,
    /// Terminals that are taken apart.
    apart: &'p HashSet<&'a [Node]>,
    plan: Plan<'a>,
    known_terminals: HashMap<&'a [Node], usize>,
    known_rules: HashMap<usize, usize>,
    /// Productions without choices yet.
    open: VecDeque<(usize, &'a [Node])>,
}

impl<'a, 'p> Planner<'a, 'p> {
    fn new(rules: &'a [Rule], facts: &'p Facts, apart: &'p HashSet<&'a [Node]>) -> Self {
        Self {
            rules,
            facts,
            apart,
            plan: Plan { productions: Vec::new(), terminals: Vec::new() },
            known_terminals: HashMap::new(),
            known_rules: HashMap::new(),
            open: VecDeque::new(),
        }
    }

    fn plan(mut self, root: usize) -> Plan<'a> {
        self.rule(root);
        while let Some((production, nodes)) = self.open.pop_front() {
            let choices: Vec<&[Node]> = match nodes {
                [Node::Choice(choices)] => choices.iter().map(slice::from_ref).collect(),
                nodes => vec![nodes],
            };
            let choices = choices.into_iter().map(|nodes| self.sequence(nodes)).collect();
            self.plan.productions[production].choices = choices;
        }
        self.plan
    }

    fn rule(&mut self, number: usize) -> Symbol {
        if let Some(&known) = self.known_rules.get(&number) {
            return Symbol::Production(known);
        }
        let body = self.rules[number].body.as_slice();
        let production = self.production(format!("r{number}"), body);
        self.known_rules.insert(number, production);
        Symbol::Production(production)
    }

    fn group(&mut self, nodes: &'a [Node]) -> Symbol {
        let name = format!("g{}", self.plan.productions.len());
        Symbol::Production(self.production(name, nodes))
    }

    fn production(&mut self, name: String, nodes: &'a [Node]) -> usize {
        let production = self.plan.productions.len();
        self.plan.productions.push(Production { name, choices: Vec::new() });
        self.open.push_back((production, nodes));
        production
    }

    fn terminal(&mut self, nodes: &'a [Node]) -> Symbol {
        let Plan { terminals, .. } = &mut self.plan;
        Symbol::Terminal(*self.known_terminals.entry(nodes).or_insert_with(|| {
            terminals.push(nodes);
            terminals.len() - 1
        }))
    }

    fn sequence(&mut self, nodes: &'a [Node]) -> Vec<Part> {
        if let [Node::Sequence(nodes)] = nodes {
            return self.sequence(nodes);
        }
        let facts = self.facts;
        let mut parts = Vec::new();
        for run in nodes.chunk_by(|a, b| facts.is_regular(a) && facts.is_regular(b)) {
            match run {
                run if run.iter().all(|node| facts.is_empty(node)) => {}
                [Node::Rule(number)] if !facts.is_regular(&run[0]) => parts.push(once(self.rule(*number))),
                [Node::Repeat(inner, least, most)] if !facts.is_regular(&run[0]) => {
                    let symbol = match **inner {
                        Node::Rule(number) => self.rule(number),
                        _ => self.group(slice::from_ref(&**inner)),
                    };
                    parts.push(Part { symbol, least: *least, most: *most });
                }
                run if !facts.is_regular(&run[0]) => parts.push(once(self.group(run))),
                run => self.place(run, &mut parts),
            }
        }
        parts
    }

    /// Adds a regular sequence, as a terminal or taken apart.
    fn place(&mut self, nodes: &'a [Node], parts: &mut Vec<Part>) {
        if !self.apart.contains(nodes) {
            return parts.push(once(self.terminal(nodes)));
        }
        match nodes {
            [Node::Rule(number)] => parts.push(once(self.rule(*number))),
            [Node::Sequence(nodes)] => self.place(nodes, parts),
            [Node::Repeat(inner, least, most)] => {
                let inner = slice::from_ref(&**inner);
                let symbol = if self.apart.contains(inner) { self.group(inner) } else { self.terminal(inner) };
                parts.push(Part { symbol, least: *least, most: *most });
            }
            [Node::Choice(_)] => parts.push(once(self.group(nodes))),
            [_] => parts.push(once(self.terminal(nodes))),
            nodes => {
                for node in nodes {
                    if !self.facts.is_empty(node) {
                        self.place(slice::from_ref(node), parts);
                    }
                }
            }
        }
    }
}

fn once(symbol: Symbol) -> Part {
    Part { symbol, least: 1, most: Some(1) }
}

/// A set of terminals.
type Set = [u64; MAX_TERMINALS / 64];

/// The terminals in which a text may go on although what follows them, other than themselves, could begin there.
fn overrunning<'a>(plan: &Plan<'a>, facts: &Facts, edges: &mut Edges<'a>) -> Vec<&'a [Node]> {
    if plan.terminals.len() > MAX_TERMINALS || plan.productions.len() > MAX_PRODUCTIONS {
        return Vec::new();
    }
    let goes_on: Vec<Chars> = plan.terminals.iter().map(|nodes| edges.goes_on(nodes)).collect();
    if goes_on.iter().all(Chars::is_empty) {
        return Vec::new();
    }
    let begins: Vec<Chars> = plan.terminals.iter().map(|nodes| edges.begins(nodes)).collect();
    let follow = Follow::of(plan, facts).terminals;
    let overruns = |terminal: usize| {
        let others = (0..plan.terminals.len()).filter(|&other| other != terminal && has(&follow[terminal], other));
        others.into_iter().any(|other| begins[other].meets(&goes_on[terminal]))
    };
    (0..plan.terminals.len()).filter(|&terminal| overruns(terminal)).map(|at| plan.terminals[at]).collect()
}

fn has(set: &Set, terminal: usize) -> bool {
    set[terminal / 64] >> (terminal % 64) & 1 == 1
}

/// Adds what is in `more`; returns whether anything was new.
fn add(set: &mut Set, more: &Set) -> bool {
    let before = *set;
    set.iter_mut().zip(more).for_each(|(word, more)| *word |= more);
    *set != before
}

/// What may come first in productions, and after everything.
struct Follow {
    may_be_empty: Vec<bool>,
    terminal_may_be_empty: Vec<bool>,
    first: Vec<Set>,
    productions: Vec<Set>,
    terminals: Vec<Set>,
}

impl Follow {
    fn of(plan: &Plan<'_>, facts: &Facts) -> Self {
        let (productions, terminals) = (plan.productions.len(), plan.terminals.len());
        let nothing = Set::default();
        let mut follow = Self {
            may_be_empty: vec![false; productions],
            terminal_may_be_empty: plan.terminals.iter().map(|nodes| facts.may_be_empty(nodes)).collect(),
            first: vec![nothing; productions],
            productions: vec![nothing; productions],
            terminals: vec![nothing; terminals],
        };
        while follow.first_round(plan) {}
        while follow.follow_round(plan) {}
        follow
    }

    fn first_round(&mut self, plan: &Plan<'_>) -> bool {
        let mut new = false;
        for (production, choices) in plan.productions.iter().map(|production| &production.choices).enumerate() {
            for choice in choices {
                let (first, empty) = self.first_of(choice);
                new |= add(&mut self.first[production], &first);
                new |= empty && !self.may_be_empty[production];
                self.may_be_empty[production] |= empty;
            }
        }
        new
    }

    /// What may come first in a sequence, and whether it may be empty.
    fn first_of(&self, parts: &[Part]) -> (Set, bool) {
        let mut first = Set::default();
        for part in parts {
            let empty = match part.symbol {
                Symbol::Terminal(terminal) => {
                    first[terminal / 64] |= 1 << (terminal % 64);
                    self.terminal_may_be_empty[terminal]
                }
                Symbol::Production(production) => {
                    add(&mut first, &self.first[production]);
                    self.may_be_empty[production]
                }
            };
            if !empty && part.least > 0 {
                return (first, false);
            }
        }
        (first, true)
    }

    fn follow_round(&mut self, plan: &Plan<'_>) -> bool {
        let mut new = false;
        for (production, choices) in plan.productions.iter().map(|production| &production.choices).enumerate() {
            for choice in choices {
                // From the end: what follows a part is the first of the rest and, where that may be empty, of what is behind.
                let mut behind = self.productions[production];
                for part in choice.iter().rev() {
                    let (first, empty) = self.first_of(slice::from_ref(part));
                    let mut after = behind;
                    if part.most != Some(1) {
                        add(&mut after, &first);
                    }
                    new |= match part.symbol {
                        Symbol::Terminal(terminal) => add(&mut self.terminals[terminal], &after),
                        Symbol::Production(inner) => add(&mut self.productions[inner], &after),
                    };
                    if empty {
                        add(&mut behind, &first);
                    } else {
                        behind = first;
                    }
                }
            }
        }
        new
    }
}
