//! Proving that the other end is the URL's host.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::dial::Io;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::primitives::egress::TenantUrl;

/// A connector that trusts these roots, or Mozilla's.
///
/// The provider is passed by hand: a process that links two of them has no default, and rustls panics when it is
/// asked for one.
pub(super) fn connector(roots: Option<Vec<Vec<u8>>>) -> Result<TlsConnector> {
    let step = "set up TLS";
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new(ErrorKind::Internal, step).with_source(cause))?
        .with_root_certificates(trusted(roots)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Shakes hands; the certificate has to hold for the URL's host.
pub(super) async fn handshake(
    connector: &TlsConnector,
    url: &TenantUrl,
    io: Box<dyn Io>,
) -> io::Result<TlsStream<Box<dyn Io>>> {
    let name = match url.address() {
        Some(address) => ServerName::from(address),
        None => ServerName::try_from(url.host().to_owned()).map_err(io::Error::other)?,
    };
    connector.connect(name, io).await
}

fn trusted(roots: Option<Vec<Vec<u8>>>) -> Result<RootCertStore> {
    let Some(roots) = roots else {
        return Ok(RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()));
    };
    let mut store = RootCertStore::empty();
    for (index, root) in roots.into_iter().enumerate() {
        store.add(CertificateDer::from(root)).map_err(|cause| {
            let problem = Problem::new(
                format!("roots[{index}]"),
                "a root is one DER-encoded certificate",
                "decode PEM files first",
            );
            Error::invalid("set up TLS", [problem]).with_source(cause)
        })?;
    }
    Ok(store)
}
