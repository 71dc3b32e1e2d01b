//! A request's body: read within bounds of size and time, and taken apart as JSON.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::app::App;
use crate::client::Client;
use crate::fields::Fields;
use crate::problem::Problem;

/// A JSON object, and who sent it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) fields: Fields,
    pub(crate) client: Client,
}

/// A body as it came.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) bytes: Bytes,
    pub(crate) client: Client,
}

impl FromRequest<Arc<App>> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let client = request.extensions().get::<Client>().cloned();
        let client = client.ok_or_else(|| Problem::internal("the request passed no guard"))?;
        let limit = app.limits.body;
        let read = Limited::new(request.into_body(), limit).collect();
        match tokio::time::timeout(app.limits.body_time, read).await {
            Err(_) => Err(Problem::too_slow()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::too_large(limit)),
            Ok(Err(error)) => Err(Problem::invalid(format!("the request's body cannot be read: {error}"))),
            Ok(Ok(body)) => Ok(Self { bytes: body.to_bytes(), client }),
        }
    }
}

impl FromRequest<Arc<App>> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let Raw { bytes, client } = Raw::from_request(request, app).await?;
        Ok(Self { fields: Fields::parse(&bytes)?, client })
    }
}
