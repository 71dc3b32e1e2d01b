//! MLflow against a double: limits of a batch, and no second run after an interrupted beginning.

use std::sync::{Arc, Mutex};

use gptneo_runs::sink::{Login, MlFlow, MlFlowSettings, Secret, deliver};
use gptneo_runs::{NewRun, State};
use serde_json::{Value, json};

use super::double::{Double, Reply};
use super::world::{World, new_run};

/// A small MLflow: one experiment at most, runs found by their tag. Call number `cut` is done, but its answer is cut.
fn mlflow(cut: Option<usize>) -> Double {
    let experiment = Arc::new(Mutex::new(None::<String>));
    let runs = Arc::new(Mutex::new(Vec::<Value>::new()));
    let mut count = 0;
    Double::start(move |call| {
        let what = call.path.strip_prefix("/api/2.0/mlflow/").unwrap();
        let what = what.split('?').next().unwrap();
        let answer = match what {
            "experiments/get-by-name" => match &*experiment.lock().unwrap() {
                Some(id) => {
                    Reply::Answer(200, json!({"experiment": {"experiment_id": id, "lifecycle_stage": "active"}}))
                }
                None => Reply::Answer(404, json!({"error_code": "RESOURCE_DOES_NOT_EXIST"})),
            },
            "experiments/create" => {
                *experiment.lock().unwrap() = Some("7".to_owned());
                Reply::Answer(200, json!({"experiment_id": "7"}))
            }
            "runs/search" => {
                let filter = call.body["filter"].as_str().unwrap();
                let uid = filter.split('\'').nth(1).unwrap();
                let tagged = |run: &&Value| run["tags"].as_array().unwrap().iter().any(|tag| tag["value"] == uid);
                let found = runs.lock().unwrap().iter().find(tagged).map(|_| json!([{"info": {"run_id": "abc"}}]));
                Reply::Answer(200, found.map_or(json!({}), |found| json!({"runs": found})))
            }
            "runs/create" => {
                runs.lock().unwrap().push(call.body.clone());
                Reply::Answer(200, json!({"run": {"info": {"run_id": "abc"}}}))
            }
            _ => Reply::Answer(200, json!({})),
        };
        count += 1;
        if cut == Some(count - 1) { Reply::Cut } else { answer }
    })
}

fn sink(double: &Double) -> MlFlow {
    let login = Login::Password { user: "me".to_owned(), password: Secret::new("sesame") };
    let settings = MlFlowSettings { address: double.address.clone(), experiment: "e".to_owned(), login, proxy: None };
    MlFlow::new(&settings).unwrap()
}

fn calls(double: &Double, what: &str) -> Vec<Value> {
    double.calls().into_iter().filter(|call| call.path.ends_with(what)).map(|call| call.body).collect()
}

#[test]
fn batches_stay_within_the_limits() {
    let double = mlflow(None);
    let mut world = World::new();
    let settings = (0..250).map(|index| (format!("key.{index:03}"), "x".repeat(7_000))).collect();
    let run = world.store.begin(&NewRun { settings, ..new_run("r") }).unwrap();
    world.steps(&run, 1, 400);
    world.store.set_state(run.id, State::Stopped).unwrap();
    deliver(&mut world.store, run.id, &mut sink(&double)).unwrap();
    let batches = calls(&double, "runs/log-batch");
    let list = |batch: &Value, name: &str| batch[name].as_array().cloned().unwrap_or_default();
    assert!(batches.iter().all(|b| list(b, "metrics").len() <= 1_000 && list(b, "params").len() <= 100));
    assert!(batches.iter().all(|batch| batch.to_string().len() < 1_000_000));
    assert_eq!(batches.iter().map(|batch| list(batch, "metrics").len()).sum::<usize>(), 2_400);
    let parameters: Vec<Value> = batches.iter().flat_map(|batch| list(batch, "params")).collect();
    assert_eq!(parameters.len(), 250);
    assert!(parameters.iter().all(|parameter| parameter["value"].as_str().unwrap().ends_with("[cut]")));
    assert_eq!(calls(&double, "runs/update").last().unwrap()["status"], "KILLED");
    assert!(double.calls().iter().all(|call| call.authorization.as_deref() == Some("Basic bWU6c2VzYW1l")));
}

#[test]
fn an_interrupted_beginning_makes_no_second_run() {
    for cut in 0..6 {
        let double = mlflow(Some(cut));
        let mut world = World::new();
        let run = world.begin("r");
        world.steps(&run, 1, 3);
        world.store.set_state(run.id, State::Finished).unwrap();
        assert!(deliver(&mut world.store, run.id, &mut sink(&double)).is_err(), "call {cut} was cut");
        deliver(&mut world.store, run.id, &mut sink(&double)).unwrap();
        assert_eq!(calls(&double, "runs/create").len(), 1, "cut at {cut}");
        assert_eq!(calls(&double, "runs/update").last().unwrap()["status"], "FINISHED");
        let told = |batch: &Value| batch["metrics"].as_array().is_some_and(|metrics| metrics.len() == 18);
        assert!(calls(&double, "runs/log-batch").iter().any(told));
    }
}
