//! Certificates for receivers on loopback, good ones and bad ones.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A root that tests trust.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

/// A chain, the leaf first, and the leaf's key.
pub(crate) struct Chain {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Result<Self, rcgen::Error> {
        let params = authority("test root")?;
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?.der().clone();
        Ok(Self { issuer: Issuer::new(params, key), root })
    }

    /// The root, DER-encoded.
    pub(crate) fn root(&self) -> &[u8] {
        &self.root
    }

    /// A valid certificate for these names or addresses.
    pub(crate) fn certify(
        &self,
        names: impl IntoIterator<Item = &'static str>,
    ) -> Result<Chain, rcgen::Error> {
        self.sign(CertificateParams::new(owned(names))?)
    }

    /// A certificate whose time is over.
    pub(crate) fn certify_expired(&self, name: &'static str) -> Result<Chain, rcgen::Error> {
        let mut params = CertificateParams::new(owned([name]))?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Result<Chain, rcgen::Error> {
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        Ok(Chain { certificates: vec![leaf.der().clone()], key: private(&key) })
    }
}

/// A certificate that vouches for itself.
pub(crate) fn self_signed(name: &'static str) -> Result<Chain, rcgen::Error> {
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(owned([name]))?.self_signed(&key)?;
    Ok(Chain { certificates: vec![leaf.der().clone()], key: private(&key) })
}

/// A leaf and a hundred authorities of one name that vouch for each other, so that a verifier which tries every path
/// never ends. None of them is trusted.
pub(crate) fn path_building_bomb(name: &'static str) -> Result<Chain, rcgen::Error> {
    let mut certificates = Vec::new();
    let mut issuer = Issuer::new(authority("bomb")?, KeyPair::generate()?);
    for _ in 0..100 {
        let key = KeyPair::generate()?;
        let params = authority("bomb")?;
        certificates.push(params.signed_by(&key, &issuer)?.der().clone());
        issuer = Issuer::new(params, key);
    }
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(owned([name]))?.signed_by(&key, &issuer)?;
    certificates.push(leaf.der().clone());
    certificates.reverse();
    Ok(Chain { certificates, key: private(&key) })
}

fn authority(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn owned(names: impl IntoIterator<Item = &'static str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}
