//! The dashboard: curves of loss, learning rate and gradient norm, the newest sample, the log, and the line.
//!
//! [`Dashboard`] is what is known and how it is drawn, on any backend; [`Screen`] is the terminal; [`Tui`] joins them on a
//! thread of their own.

use std::collections::VecDeque;
use std::io::{self, Stderr};
use std::sync::mpsc::{Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gptneo_runs::curve::{Axis, Place, thin};
use gptneo_runs::plot::{Chart, Line as Curve};
use gptneo_runs::{Event, Level, Observer, Sample, Started, State, StepMetrics, now};
use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event as TerminalEvent, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::curves;
use super::live::{line, said};
use super::pace::Pace;
use crate::terminal;

/// Points that a curve keeps; when it has twice as many they are thinned.
const POINTS: usize = 4_096;
/// Lines of the log that are kept.
const LOG: usize = 200;
/// How often it is drawn.
const FRAME: Duration = Duration::from_millis(100);

/// What is known of a run.
#[derive(Debug, Default)]
struct Dashboard {
    started: Option<Started>,
    ended: Option<State>,
    metrics: Option<StepMetrics>,
    pace: Pace,
    loss: Vec<Place>,
    held_out: Vec<Place>,
    norm: Vec<Place>,
    rate: Vec<Place>,
    sample: Option<Sample>,
    log: VecDeque<(Level, String)>,
}

impl Dashboard {
    /// Takes notice of an event that happened at `time` (seconds since 1970).
    fn observe(&mut self, event: &Event, time: f64) {
        match event {
            Event::Started(started) => {
                for curve in [&mut self.loss, &mut self.held_out, &mut self.norm, &mut self.rate] {
                    curve.retain(|(step, _)| *step <= started.after_step as f64);
                }
                self.started = Some(started.clone());
                self.ended = None;
            }
            Event::Step(metrics) => {
                let at = metrics.step as f64;
                add(&mut self.loss, (at, metrics.loss));
                add(&mut self.norm, (at, metrics.gradient_norm));
                add(&mut self.rate, (at, metrics.learning_rate));
                self.pace.step(metrics.step, time);
                self.metrics = Some(metrics.clone());
                return;
            }
            Event::Evaluation(evaluation) => {
                if let Some((_, loss)) = evaluation.values.iter().find(|(name, _)| name == "loss") {
                    add(&mut self.held_out, (evaluation.step as f64, *loss));
                }
            }
            Event::Sample(sample) => {
                self.sample = Some(sample.clone());
                return;
            }
            Event::Ended(state) => self.ended = Some(*state),
            Event::Artifact(_) | Event::Message(_) => {}
        }
        let level = match event {
            Event::Message(message) => message.level,
            Event::Ended(State::Failed) => Level::Error,
            _ => Level::Info,
        };
        let words = match event {
            Event::Message(message) => Some(terminal::harmless(&message.text)),
            other => said(other),
        };
        if let Some(words) = words {
            if self.log.len() == LOG {
                self.log.pop_front();
            }
            self.log.push_back((level, words));
        }
    }

    /// Draws everything.
    fn draw(&self, frame: &mut Frame<'_>) {
        let [head, curves, below, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Percentage(60),
            Constraint::Min(4),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let [loss, side] = Layout::horizontal([Constraint::Percentage(64), Constraint::Fill(1)]).areas(curves);
        let [rate, norm] = Layout::vertical([Constraint::Percentage(50), Constraint::Fill(1)]).areas(side);
        let [sample, log] = Layout::horizontal([Constraint::Percentage(50), Constraint::Fill(1)]).areas(below);

        frame.render_widget(self.head(), head);
        let held_out = ("held out", &self.held_out);
        let losses = if self.held_out.is_empty() {
            vec![("loss", &self.loss)]
        } else {
            vec![("training", &self.loss), held_out]
        };
        draw_curves(frame, loss, "loss", &losses);
        draw_curves(frame, rate, "learning rate", &[("", &self.rate)]);
        draw_curves(frame, norm, "gradient norm", &[("", &self.norm)]);
        self.draw_sample(frame, sample);
        self.draw_log(frame, log);
        frame.render_widget(Line::from("q leaves").style(Style::default().add_modifier(Modifier::DIM)), foot);
    }

    fn head(&self) -> Line<'static> {
        let name = self.started.as_ref().map_or_else(String::new, |started| terminal::harmless(&started.name));
        let state = match self.ended {
            Some(state) => format!(" {}", state.name()),
            None => String::new(),
        };
        let steps = self.started.as_ref().and_then(|started| started.steps);
        let rest = self.metrics.as_ref().map_or_else(|| "begins".to_owned(), |m| line(m, steps, &self.pace));
        Line::from(vec![
            Span::styled(format!("{name}{state}  "), Style::default().add_modifier(Modifier::BOLD)),
            Span::raw(rest),
        ])
    }

    fn draw_sample(&self, frame: &mut Frame<'_>, area: Rect) {
        let (title, text) = match &self.sample {
            None => ("sample".to_owned(), Line::from("none yet")),
            Some(Sample { step, prompt, text }) => {
                let prompt = Span::styled(terminal::harmless(prompt), Style::default().add_modifier(Modifier::BOLD));
                let text = Span::raw(terminal::harmless(text));
                (format!("sample after step {}", terminal::grouped(*step)), Line::from(vec![prompt, text]))
            }
        };
        let block = Block::bordered().title(title);
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(block), area);
    }

    fn draw_log(&self, frame: &mut Frame<'_>, area: Rect) {
        let rows = usize::from(area.height.saturating_sub(2));
        let newest = self.log.iter().skip(self.log.len().saturating_sub(rows));
        let shown = newest.map(|(level, words)| {
            let colour = match level {
                Level::Info => ratatui::style::Color::Reset,
                Level::Warning => ratatui::style::Color::Yellow,
                Level::Error => ratatui::style::Color::Red,
            };
            Line::from(words.replace('\n', " ")).style(Style::default().fg(colour))
        });
        let paragraph = Paragraph::new(shown.collect::<Vec<_>>()).block(Block::bordered().title("log"));
        frame.render_widget(paragraph, area);
    }
}

fn add(curve: &mut Vec<Place>, (step, value): Place) {
    if !value.is_finite() {
        return;
    }
    curve.truncate(curve.partition_point(|point| point.0 < step));
    curve.push((step, value));
    if curve.len() > 2 * POINTS {
        *curve = thin(curve, POINTS / 2);
    }
}

fn draw_curves(frame: &mut Frame<'_>, area: Rect, title: &str, curves: &[(&str, &Vec<Place>)]) {
    let axis = |label: &str| Axis { label: label.to_owned(), log: false };
    let line = |(label, points): &(&str, &Vec<Place>)| Curve {
        label: (*label).to_owned(),
        points: points.to_vec(),
        behind: Vec::new(),
    };
    let lines = curves.iter().map(line).collect();
    let chart = Chart { title: title.to_owned(), x: axis(""), y: axis(""), lines };
    curves::draw(&chart, area, frame.buffer_mut());
}

/// What a person pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// `q` or Escape.
    Leave,
    /// Ctrl-C, which is no signal while the terminal is ours.
    Interrupt,
}

/// The terminal while it is ours; given back when this is dropped.
struct Screen {
    terminal: Terminal<CrosstermBackend<Stderr>>,
}

impl Screen {
    /// Takes the terminal behind standard error.
    fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        let taken = execute!(io::stderr(), EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stderr())))
            .and_then(|mut terminal| terminal.clear().map(|()| terminal));
        if taken.is_err() {
            let _ = disable_raw_mode();
        }
        Ok(Self { terminal: taken? })
    }

    /// Shows what is known.
    fn draw(&mut self, dashboard: &Dashboard) -> io::Result<()> {
        self.terminal.draw(|frame| dashboard.draw(frame)).map(drop)
    }

    /// Waits for a key that means something, at most so long.
    fn key(&mut self, patience: Duration) -> io::Result<Option<Key>> {
        if !event::poll(patience)? {
            return Ok(None);
        }
        let TerminalEvent::Key(key) = event::read()? else { return Ok(None) };
        Ok(match key.code {
            _ if key.kind == KeyEventKind::Release => None,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Interrupt),
            KeyCode::Char('q') | KeyCode::Esc => Some(Key::Leave),
            _ => None,
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = disable_raw_mode();
        let _ = execute!(io::stderr(), LeaveAlternateScreen);
        let _ = self.terminal.show_cursor();
    }
}

/// A dashboard on a thread of its own. After `q` the run goes on without it.
pub(crate) struct Tui {
    events: Option<Sender<(f64, Event)>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Tui {
    /// Takes the terminal. `interrupt` is called for Ctrl-C.
    ///
    /// # Errors
    /// If the terminal cannot be used so.
    pub(crate) fn start(interrupt: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (events, incoming) = channel();
        let mut screen = Screen::open()?;
        let work = move || {
            let mut dashboard = Dashboard::default();
            loop {
                loop {
                    match incoming.try_recv() {
                        Ok((time, event)) => dashboard.observe(&event, time),
                        Err(TryRecvError::Empty) => break,
                        Err(TryRecvError::Disconnected) => return Ok(()),
                    }
                }
                screen.draw(&dashboard)?;
                match screen.key(FRAME)? {
                    Some(Key::Leave) => return Ok(()),
                    Some(Key::Interrupt) => interrupt(),
                    None => {}
                }
            }
        };
        let thread = thread::Builder::new().name("dashboard".to_owned()).spawn(work)?;
        Ok(Self { events: Some(events), thread: Some(thread) })
    }

    /// Whether it is still looked at.
    pub(crate) fn is_open(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Takes notice of an event that happened at `time` (seconds since 1970).
    pub(crate) fn observe_at(&mut self, event: &Event, time: f64) {
        if let Some(events) = &self.events {
            // After `q` nobody listens, and nothing is missing: the store has it all.
            let _ = events.send((time, event.clone()));
        }
    }
}

impl Observer for Tui {
    fn observe(&mut self, event: &Event) {
        self.observe_at(event, now());
    }
}

impl Drop for Tui {
    fn drop(&mut self) {
        drop(self.events.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use gptneo_runs::{Evaluation, Message};
    use ratatui::backend::TestBackend;

    use super::*;

    fn shown(dashboard: &Dashboard, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| dashboard.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(usize::from(width));
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>() + "\n").collect()
    }

    fn step(step: u64) -> Event {
        Event::Step(StepMetrics {
            step,
            loss: 2.0 + 8.0 / step as f64,
            gradient_norm: 0.5,
            learning_rate: 1e-4 * step as f64,
            tokens_per_second: 1_000.0,
            ..StepMetrics::default()
        })
    }

    fn trained() -> Dashboard {
        let mut dashboard = Dashboard::default();
        let started = Started { name: "pocket".to_owned(), after_step: 0, steps: Some(200), tokens: None };
        dashboard.observe(&Event::Started(started), 0.0);
        (1..=100).for_each(|at| dashboard.observe(&step(at), at as f64));
        let values = vec![("loss".to_owned(), 2.25)];
        dashboard.observe(&Event::Evaluation(Evaluation { step: 100, on: "held_out".to_owned(), values }), 101.0);
        let sample = Sample { step: 100, prompt: "Once".to_owned(), text: " there was\u{1b}[2J a cat".to_owned() };
        dashboard.observe(&Event::Sample(sample), 101.0);
        let message = Message { level: Level::Warning, step: None, text: "the loss has jumped".to_owned() };
        dashboard.observe(&Event::Message(message), 102.0);
        dashboard
    }

    #[test]
    fn shows_curves_sample_log_and_line() {
        let shown = shown(&trained(), 120, 40);
        for wanted in [
            "pocket",
            "step 100/200",
            "1 m 40 s left",
            "learning rate",
            "gradient norm",
            "training",
            "held out",
            "sample after step 100",
            "Once there was\u{fffd}[2J a cat",
            "the loss has jumped",
            "held_out loss 2.2500",
            "q leaves",
        ] {
            assert!(shown.contains(wanted), "no `{wanted}` in\n{shown}");
        }
        let dots = shown.chars().filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count();
        assert!(dots > 60, "{shown}");
    }

    #[test]
    fn fits_any_terminal() {
        for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 90)] {
            shown(&trained(), width, height);
            shown(&Dashboard::default(), width, height);
        }
    }

    #[test]
    fn a_resumed_run_takes_its_curves_back() {
        let mut dashboard = trained();
        let started = Started { name: "pocket".to_owned(), after_step: 60, steps: None, tokens: None };
        dashboard.observe(&Event::Started(started), 200.0);
        assert_eq!(dashboard.loss.len(), 60);
        dashboard.observe(&step(61), 201.0);
        assert_eq!(dashboard.loss.last().unwrap().0, 61.0);
    }

    #[test]
    fn a_long_run_keeps_few_points() {
        let mut dashboard = Dashboard::default();
        (1..=50_000).for_each(|at| dashboard.observe(&step(at), at as f64));
        assert!(dashboard.loss.len() <= 2 * POINTS);
        assert!(dashboard.loss.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(dashboard.loss.last().unwrap().0, 50_000.0);
    }
}
