//! A conversation loop: `cargo run --release --example chat -- MODEL_DIRECTORY TEMPLATE`, with a template that the
//! model was trained on (plain, alpaca, chatml, vicuna).

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::ops::ControlFlow;
use std::path::Path;

use gptneo::engine::{Engine, Request, Sampling};
use gptneo::kernels::{Cpu, CpuOptions};
use gptneo::model::{LoadOptions, load, open};
use gptneo::text::{ChatTemplate, Message, Role, Tokenizer};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(model), Some(template)) = (args.next(), args.next()) else {
        return Err("wanted: chat MODEL_DIRECTORY TEMPLATE".into());
    };
    let source = open(Path::new(&model))?;
    let tokenizer = Tokenizer::open(Path::new(&model))?;
    let template = ChatTemplate::named(&template)?.with_tokens_of(&tokenizer);
    let loaded = load(Cpu::new(CpuOptions::default())?, &source, &LoadOptions::default(), &mut |_| {})?;
    let mut engine = Engine::new(Box::new(loaded.decoder), Some(tokenizer));

    let mut messages = Vec::new();
    for question in io::stdin().lock().lines() {
        messages.push(Message::new(Role::User, question?));
        let request = Request {
            max_tokens: Some(128),
            sampling: Sampling { temperature: 0.7, top_p: 0.95, ..Sampling::default() },
            stop_strings: template.stops().iter().map(|&stop| stop.to_owned()).collect(),
            ..Request::new(template.render(&messages, true)?)
        };
        let mut out = io::stdout();
        let done = engine.generate(request, &mut |piece| match out
            .write_all(piece.text.as_bytes())
            .and_then(|()| out.flush())
        {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        })?;
        writeln!(out)?;
        messages.push(Message::new(Role::Assistant, done[0].text.trim()));
    }
    Ok(())
}
