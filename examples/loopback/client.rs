//! A customer's program: it calls a product's API over HTTP, and prints what was said.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "it plays a program outside, which calls the product"
)]

use std::error::Error;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::net::TcpStream;

pub(crate) struct Client {
    address: SocketAddr,
    token: Option<String>,
}

/// What the API has answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    /// The body as it was sent.
    pub(crate) text: String,
}

impl Client {
    /// Somebody with this token, or with none.
    pub(crate) fn new(address: SocketAddr, token: Option<&str>) -> Self {
        Self { address, token: token.map(str::to_owned) }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Box<dyn Error>> {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Box<dyn Error>> {
        println!("\n> {method} {path} {}", body.map(Value::to_string).unwrap_or_default());
        let answer = self.exchange(method, path, body).await?;
        show(&answer);
        Ok(answer)
    }

    /// As [`Client::send`], without a word.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Box<dyn Error>> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body)))?;

        // Each on a connection of its own.
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        let text = String::from_utf8(bytes.to_vec())?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
        Ok(Answer { status, body, text })
    }
}

/// Lists line by line, everything else in one line; nobody reads beyond that.
fn show(answer: &Answer) {
    println!("< {}", answer.status);
    match serde_json::from_str::<Vec<&RawValue>>(&answer.text) {
        Ok(items) => {
            for item in items.iter().take(LINES) {
                println!("  {}", shortened(item.get()));
            }
            if items.len() > LINES {
                println!("  … and {} more", items.len() - LINES);
            }
        }
        Err(_) => println!("  {}", shortened(&answer.text)),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

const LINES: usize = 8;
const WIDTH: usize = 420;
