//! Comet against a double that checks every call, and the promise that a cut loses nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gptneo_runs::sink::{Comet, CometSettings, Secret, deliver};
use gptneo_runs::{Observer, Recorder, State};
use serde_json::{Value, json};

use super::double::{Call, Double, Reply};
use super::world::{World, loss, sample, step};

/// What Comet has been told, once a call has passed every check.
#[derive(Default)]
struct Told {
    metrics: BTreeMap<(String, u64), Vec<f64>>,
    parameters: BTreeMap<String, String>,
    others: BTreeMap<String, String>,
    output: Vec<String>,
    ended: bool,
    created: usize,
}

/// Accepts what the documentation of the API allows, and nothing else.
fn check(call: &Call, told: &mut Told) -> Result<Value, String> {
    if call.authorization.as_deref() != Some("sesame") {
        return Err("no key".to_owned());
    }
    let what = call.path.strip_prefix("/api/rest/v2/write/experiment/").ok_or("another path")?;
    if call.method != "POST" {
        return Err("not a POST".to_owned());
    }
    let fields = call.body.as_object().ok_or("no object")?;
    let only = |names: &[&str]| {
        let unknown: Vec<_> = fields.keys().filter(|key| !names.contains(&key.as_str())).collect();
        if unknown.is_empty() { Ok(()) } else { Err(format!("{what} has {unknown:?}")) }
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned).ok_or(format!("no {name}"));
    let number = |name: &str| fields.get(name).and_then(Value::as_u64).ok_or(format!("no {name}"));
    if what == "create" {
        only(&["workspaceName", "projectName", "experimentName"])?;
        if (text("workspaceName")?, text("projectName")?) != ("me".to_owned(), "stories".to_owned()) {
            return Err("another project".to_owned());
        }
        text("experimentName")?;
        told.created += 1;
        return Ok(json!({"experimentKey": "key-1", "link": "http://comet/key-1"}));
    }
    if text("experimentKey")? != "key-1" {
        return Err("another experiment".to_owned());
    }
    match what {
        "metric" => {
            only(&["experimentKey", "metricName", "metricValue", "step", "timestamp"])?;
            let value = fields["metricValue"].as_f64().ok_or("no value")?;
            if number("timestamp")? < 1_600_000_000_000 {
                return Err("the timestamp is not in milliseconds".to_owned());
            }
            told.metrics.entry((text("metricName")?, number("step")?)).or_default().push(value);
        }
        "parameter" => {
            only(&["experimentKey", "parameterName", "parameterValue"])?;
            told.parameters.insert(text("parameterName")?, text("parameterValue")?);
        }
        "log-other" => {
            only(&["experimentKey", "key", "value"])?;
            told.others.insert(text("key")?, text("value")?);
        }
        "output" => {
            only(&["experimentKey", "runContext", "outputLines"])?;
            for line in fields["outputLines"].as_array().ok_or("no lines")? {
                line["localTimestamp"].as_i64().ok_or("no time")?;
                line["offset"].as_i64().ok_or("no offset")?;
                line["stderr"].as_bool().ok_or("no stderr")?;
                told.output.push(line["output"].as_str().ok_or("no output")?.to_owned());
            }
        }
        "set-start-end-time" => {
            only(&["experimentKey", "startTimeMillis", "endTimeMillis"])?;
            number("startTimeMillis")?;
            told.ended |= fields.contains_key("endTimeMillis");
        }
        other => return Err(format!("there is no {other}")),
    }
    Ok(json!({"msg": "Saved"}))
}

/// A Comet that treats call number `n` (from 0) as `fate` says: `None` for properly.
fn comet(fate: impl Fn(usize) -> Option<Reply> + Send + 'static) -> (Double, Arc<Mutex<Told>>) {
    let told = Arc::new(Mutex::new(Told::default()));
    let theirs = Arc::clone(&told);
    let mut count = 0;
    let double = Double::start(move |call| {
        count += 1;
        if let Some(reply) = fate(count - 1) {
            return reply;
        }
        match check(call, &mut theirs.lock().unwrap()) {
            Ok(body) => Reply::Answer(200, body),
            Err(why) => Reply::Answer(400, json!({"msg": why})),
        }
    });
    (double, told)
}

fn sink(double: &Double) -> Comet {
    Comet::new(&CometSettings {
        address: double.address.clone(),
        key: Secret::new("sesame"),
        workspace: "me".to_owned(),
        project: "stories".to_owned(),
        proxy: None,
    })
    .unwrap()
}

fn complete(told: &Told, steps: u64) {
    for at in 1..=steps {
        let values = told.metrics.get(&("loss".to_owned(), at)).unwrap_or_else(|| panic!("step {at} is missing"));
        // JSON is read here to the last digit but one.
        assert!(values.iter().all(|value| (value - loss(at)).abs() < 1e-14), "step {at}: {values:?}");
    }
    assert_eq!(told.metrics.len() as u64, steps * 6, "every metric of every step");
    assert_eq!(told.parameters["model.layers"], "2");
    assert_eq!(told.output, ["[step 5] sample: Once upon"]);
    assert_eq!(told.others["gptneo.state"], "finished");
    assert!(told.ended);
}

fn finished_run(world: &mut World, steps: u64) -> gptneo_runs::Run {
    let run = world.begin("r");
    world.steps(&run, 1, steps);
    world.store.record(run.id, &sample(5, " upon")).unwrap();
    world.store.set_state(run.id, State::Finished).unwrap();
    run
}

#[test]
fn every_call_is_as_the_api_wants_it() {
    let (double, told) = comet(|_| None);
    let mut world = World::new();
    let run = finished_run(&mut world, 20);
    deliver(&mut world.store, run.id, &mut sink(&double)).unwrap();
    complete(&told.lock().unwrap(), 20);
    let calls = double.calls().len();
    deliver(&mut world.store, run.id, &mut sink(&double)).unwrap();
    assert_eq!(double.calls().len(), calls, "there was nothing left to tell");
}

#[test]
fn a_cut_anywhere_loses_nothing() {
    for at in [0, 1, 4, 9, 10, 40, 69, 70, 71, 72] {
        let (double, told) = comet(move |call| (call == at).then_some(Reply::Cut));
        let mut world = World::new();
        let run = finished_run(&mut world, 10);
        let first = deliver(&mut world.store, run.id, &mut sink(&double));
        assert!(first.is_err_and(|error| error.transient), "call {at} was cut");
        // Another process, later.
        deliver(&mut world.store, run.id, &mut sink(&double)).unwrap();
        let told = told.lock().unwrap();
        complete(&told, 10);
        assert_eq!(told.created, 1, "cut at {at}");
        assert!(told.metrics.values().all(|values| values.len() == 1), "cut at {at}: something was taken twice");
    }
}

#[test]
fn a_server_that_is_away_does_not_stop_a_run_and_is_told_later() {
    let nobody = Double::start(|_| Reply::Answer(503, Value::Null));
    let mut world = World::new();
    let run = world.begin("r");
    let words = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&words);
    let say = move |text: &str| heard.lock().unwrap().push(text.to_owned());
    let mut recorder = Recorder::start(&world.store, run.id, vec![Box::new(sink(&nobody))], say).unwrap();
    for at in 1..=10 {
        recorder.observe(&step(at));
    }
    assert!(recorder.flush(Duration::from_secs(10)));
    recorder.observe(&sample(5, " upon"));
    while words.lock().unwrap().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(recorder);
    let words = words.lock().unwrap().clone();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(words[0].contains("503") && words[0].contains("stays in the store") && !words[0].contains("sesame"));
    assert_eq!(world.store.sinks(run.id).unwrap()[0].2.metrics, 60);

    world.store.set_state(run.id, State::Finished).unwrap();
    let (double, told) = comet(|_| None);
    deliver(&mut world.store, run.id, &mut sink(&double)).unwrap();
    complete(&told.lock().unwrap(), 10);
}

#[test]
fn a_wrong_key_is_said_and_not_tried_again() {
    let (double, _) = comet(|_| Some(Reply::Answer(401, json!({"msg": "who?"}))));
    let mut world = World::new();
    let run = finished_run(&mut world, 5);
    let error = deliver(&mut world.store, run.id, &mut sink(&double)).unwrap_err();
    assert!(!error.transient && error.what.contains("check the key"), "{error}");
    assert_eq!(double.calls().len(), 1);
}

#[test]
fn a_recorder_delivers_while_the_run_goes_on() {
    let (double, told) = comet(|_| None);
    let mut world = World::new();
    let run = world.begin("r");
    let sinks: Vec<Box<dyn gptneo_runs::sink::Sink>> = vec![Box::new(sink(&double))];
    let mut recorder = Recorder::start(&world.store, run.id, sinks, |words: &str| panic!("{words}")).unwrap();
    for at in 1..=30 {
        recorder.observe(&step(at));
    }
    recorder.observe(&sample(5, " upon"));
    let outcome = recorder.finish(State::Finished);
    assert_eq!((outcome.lost, outcome.undelivered), (0, Vec::new()));
    complete(&told.lock().unwrap(), 30);
}
