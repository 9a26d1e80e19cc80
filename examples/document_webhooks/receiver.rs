//! A company's endpoint: an HTTPS server on loopback, with a certificate from an authority of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::serve::Listener;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;

#[derive(Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    /// The authority's certificate: whoever sends has to trust it.
    pub(crate) root: Vec<u8>,
    messages: Arc<Mutex<Vec<Message>>>,
}

/// What has arrived.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) path: String,
    /// `user:password`, as it was sent.
    pub(crate) login: Option<String>,
    pub(crate) body: Bytes,
}

impl Receiver {
    pub(crate) async fn listen() -> Result<Self, Box<dyn std::error::Error>> {
        let (root, tls) = behind_tls()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Self { address: listener.local_addr()?, root, messages: Arc::default() };
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(Secured { listener, tls }, router).await });
        Ok(receiver)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// What has arrived so far, in this order.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn take(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let login = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let login = login.and_then(|encoded| String::from_utf8(STANDARD.decode(encoded).ok()?).ok());
    let message = Message { path: uri.path().to_owned(), login, body };
    receiver.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    StatusCode::OK
}

/// An authority, and what a server needs that it vouches for.
fn behind_tls() -> Result<(Vec<u8>, TlsAcceptor), Box<dyn std::error::Error>> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let root = authority.self_signed(&key)?.der().to_vec();
    let issuer = Issuer::new(authority, key);

    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
    Ok((root, TlsAcceptor::from(Arc::new(config))))
}

/// Connections that have shaken hands.
struct Secured {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for Secured {
    type Io = TlsStream<<TcpListener as Listener>::Io>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            // Whoever cannot shake hands is not let in.
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
