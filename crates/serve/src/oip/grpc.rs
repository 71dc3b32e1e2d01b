//! Over gRPC, on a port of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use gptneo_engine::Generation;
use serde_json::{Map, Value, json};
use tonic::{Code, Request, Response, Status};

use super::infer::{infer, rows};
use super::inference as wire;
use super::inference::grpc_inference_service_server::GrpcInferenceService;
use super::inference::infer_parameter::ParameterChoice;
use super::rest::VERSION;
use crate::app::App;
use crate::client::Client;
use crate::fields::Fields;
use crate::guard;
use crate::listen::Peer;
use crate::problem::Problem;
use crate::prompts::Given;

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    app: Arc<App>,
}

impl Service {
    /// Of this server.
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Who asks.
    fn client<T>(&self, request: &Request<T>) -> Result<Client, Problem> {
        let address = request.extensions().get::<Peer>().map_or(IpAddr::from([127, 0, 0, 1]), |peer| peer.0);
        let client = guard::identify(&self.app, request.metadata().as_ref(), address)?;
        self.app.rates.request(&client.id(), client.allowance(), Instant::now())?;
        Ok(client)
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let code = match problem.status {
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::NOT_IMPLEMENTED => Code::Unimplemented,
            StatusCode::INTERNAL_SERVER_ERROR => Code::Internal,
            _ => Code::InvalidArgument,
        };
        Status::new(code, problem.message)
    }
}

fn check_version(version: &str) -> Result<(), Status> {
    match version {
        "" | VERSION => Ok(()),
        _ => Err(Status::not_found(format!("a model here has the version {VERSION} alone"))),
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    async fn server_live(
        &self,
        _: Request<wire::ServerLiveRequest>,
    ) -> Result<Response<wire::ServerLiveResponse>, Status> {
        Ok(Response::new(wire::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        request: Request<wire::ServerReadyRequest>,
    ) -> Result<Response<wire::ServerReadyResponse>, Status> {
        self.client(&request)?;
        let ready = self.app.catalogue.begun() && !self.app.draining();
        Ok(Response::new(wire::ServerReadyResponse { ready }))
    }

    async fn model_ready(
        &self,
        request: Request<wire::ModelReadyRequest>,
    ) -> Result<Response<wire::ModelReadyResponse>, Status> {
        self.client(&request)?;
        check_version(&request.get_ref().version)?;
        self.app.catalogue.entry(&request.get_ref().name)?;
        Ok(Response::new(wire::ModelReadyResponse { ready: !self.app.draining() }))
    }

    async fn server_metadata(
        &self,
        request: Request<wire::ServerMetadataRequest>,
    ) -> Result<Response<wire::ServerMetadataResponse>, Status> {
        self.client(&request)?;
        let (name, version) = ("gptneo".to_owned(), self.app.version.clone());
        Ok(Response::new(wire::ServerMetadataResponse { name, version, extensions: Vec::new() }))
    }

    async fn model_metadata(
        &self,
        request: Request<wire::ModelMetadataRequest>,
    ) -> Result<Response<wire::ModelMetadataResponse>, Status> {
        self.client(&request)?;
        check_version(&request.get_ref().version)?;
        let entry = self.app.catalogue.entry(&request.get_ref().name)?;
        let tensor = |name: &str, datatype: &str, shape: &[i64]| wire::model_metadata_response::TensorMetadata {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
        };
        Ok(Response::new(wire::ModelMetadataResponse {
            name: entry.name,
            versions: vec![VERSION.to_owned()],
            platform: "gptneo".to_owned(),
            inputs: vec![tensor("text", "BYTES", &[-1]), tensor("tokens", "INT64", &[-1, -1])],
            outputs: vec![
                tensor("text", "BYTES", &[-1]),
                tensor("finish_reason", "BYTES", &[-1]),
                tensor("tokens", "INT32", &[-1]),
            ],
        }))
    }

    async fn model_infer(
        &self,
        request: Request<wire::ModelInferRequest>,
    ) -> Result<Response<wire::ModelInferResponse>, Status> {
        let client = self.client(&request)?;
        let request = request.into_inner();
        check_version(&request.model_version)?;
        let raw = !request.raw_input_contents.is_empty();
        let prompts = prompts(&request)?;
        let parameters = Fields::of(Value::Object(parameters(&request)?), "parameters")?;
        let outcome = infer(&self.app, &client, &request.model_name, parameters, prompts).await?;
        let wanted: Vec<&str> = request.outputs.iter().map(|output| output.name.as_str()).collect();
        if let Some(unknown) = wanted.iter().find(|name| !["text", "finish_reason", "tokens"].contains(name)) {
            return Err(Status::invalid_argument(format!("there is no output of {} characters' name", unknown.len())));
        }
        Ok(Response::new(answer(&request.id, outcome.model, &outcome.generations, &wanted, raw)))
    }
}

fn parameters(request: &wire::ModelInferRequest) -> Result<Map<String, Value>, Problem> {
    let mut found = Map::new();
    for (name, parameter) in &request.parameters {
        let value = match &parameter.parameter_choice {
            None => Value::Null,
            Some(ParameterChoice::BoolParam(value)) => json!(value),
            Some(ParameterChoice::Int64Param(value)) => json!(value),
            Some(ParameterChoice::StringParam(value)) => json!(value),
            Some(ParameterChoice::Uint64Param(value)) => json!(value),
            Some(ParameterChoice::DoubleParam(value)) if value.is_finite() => json!(value),
            Some(ParameterChoice::DoubleParam(value)) => {
                return Err(Problem::field("parameters", format!("a parameter is {value}, but must be finite")));
            }
        };
        found.insert(name.clone(), value);
    }
    Ok(found)
}

fn prompts(request: &wire::ModelInferRequest) -> Result<Vec<Given>, Problem> {
    let raw = &request.raw_input_contents;
    if !raw.is_empty() && raw.len() != request.inputs.len() {
        let message = format!("there are {} inputs, but {} raw contents", request.inputs.len(), raw.len());
        return Err(Problem::field("raw_input_contents", message));
    }
    let mut prompts = Vec::new();
    for (at, input) in request.inputs.iter().enumerate() {
        let shape: Option<Vec<u64>> = input.shape.iter().map(|&axis| u64::try_from(axis).ok()).collect();
        let shape =
            shape.ok_or_else(|| Problem::field("inputs", format!("`inputs[{at}].shape` has a negative size")))?;
        let contents = input.contents.clone().unwrap_or_default();
        match (input.name.as_str(), input.datatype.as_str()) {
            ("text" | "prompt" | "text_input", "BYTES") => {
                let texts = match raw.get(at) {
                    Some(raw) => strings(raw)?,
                    None => contents.bytes_contents,
                };
                let elements = shape.iter().try_fold(1u64, |all, &axis| all.checked_mul(axis));
                if elements != Some(texts.len() as u64) {
                    let message = format!("`inputs[{at}]` has shape {shape:?}, but {} values", texts.len());
                    return Err(Problem::field("inputs", message));
                }
                for text in texts {
                    let text = String::from_utf8(text)
                        .map_err(|_| Problem::field("inputs", format!("`inputs[{at}]` is not UTF-8")))?;
                    prompts.push(Given::Text(text));
                }
            }
            ("tokens", datatype @ ("INT32" | "INT64")) => {
                let wide = datatype == "INT64";
                let ids: Vec<i64> = match raw.get(at) {
                    Some(raw) if wide => {
                        raw.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()
                    }
                    Some(raw) => raw.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes).into()).collect(),
                    None if wide => contents.int64_contents,
                    None => contents.int_contents.into_iter().map(i64::from).collect(),
                };
                let ids: Option<Vec<u32>> = ids.into_iter().map(|id| u32::try_from(id).ok()).collect();
                let ids = ids.ok_or_else(|| {
                    Problem::field("inputs", format!("`inputs[{at}]` has a value that is no token id"))
                })?;
                prompts.extend(rows(&shape, ids)?);
            }
            _ => {
                let message = format!("`inputs[{at}]` must be `text` of BYTES, or `tokens` of INT32 or INT64");
                return Err(Problem::field("inputs", message));
            }
        }
    }
    Ok(prompts)
}

/// Elements that have their length before them.
fn strings(mut raw: &[u8]) -> Result<Vec<Vec<u8>>, Problem> {
    let mut found = Vec::new();
    while let Some((length, rest)) = raw.split_first_chunk::<4>() {
        let element = rest.split_at_checked(u32::from_le_bytes(*length) as usize);
        let Some((element, rest)) = element else { break };
        found.push(element.to_vec());
        raw = rest;
    }
    match raw.is_empty() {
        true => Ok(found),
        false => Err(Problem::field("raw_input_contents", "the lengths in the raw contents say more than there is")),
    }
}

fn answer(id: &str, model: String, generations: &[Generation], wanted: &[&str], raw: bool) -> wire::ModelInferResponse {
    let texts = generations.iter().map(|generation| generation.text.clone().into_bytes()).collect();
    let reasons = generations.iter().map(|generation| generation.finish_reason().name().as_bytes().to_vec()).collect();
    let counts: Vec<i32> = generations
        .iter()
        .map(|generation| i32::try_from(generation.completion_tokens()).unwrap_or(i32::MAX))
        .collect();
    let bytes = |contents: Vec<Vec<u8>>| wire::InferTensorContents { bytes_contents: contents, ..Default::default() };
    let tensors = [
        ("text", "BYTES", bytes(texts)),
        ("finish_reason", "BYTES", bytes(reasons)),
        ("tokens", "INT32", wire::InferTensorContents { int_contents: counts, ..Default::default() }),
    ];
    let mut response = wire::ModelInferResponse {
        model_name: model,
        model_version: VERSION.to_owned(),
        id: id.to_owned(),
        ..Default::default()
    };
    for (name, datatype, contents) in tensors {
        if !wanted.is_empty() && !wanted.contains(&name) {
            continue;
        }
        let contents = match raw {
            false => Some(contents),
            true => {
                let mut bytes: Vec<u8> = contents.int_contents.iter().flat_map(|count| count.to_le_bytes()).collect();
                for element in &contents.bytes_contents {
                    bytes.extend(u32::try_from(element.len()).unwrap_or(u32::MAX).to_le_bytes());
                    bytes.extend(element);
                }
                response.raw_output_contents.push(bytes);
                None
            }
        };
        response.outputs.push(wire::model_infer_response::InferOutputTensor {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: vec![generations.len() as i64],
            parameters: Default::default(),
            contents,
        });
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_strings_are_read_by_their_lengths() {
        assert_eq!(strings(b"\x02\0\0\0hi\0\0\0\0").unwrap(), [b"hi".to_vec(), Vec::new()]);
        assert!(strings(b"").unwrap().is_empty());
        for wrong in [&b"\x03\0\0\0hi"[..], b"\xff\xff\xff\xffhi", b"\0\0\0", b"hi"] {
            assert!(strings(wrong).is_err(), "{wrong:?}");
        }
    }
}
