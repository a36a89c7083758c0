//! A certificate authority and a certificate of its own for each start.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::EndpointError;

/// Name of HTTP/2 in TLS.
pub const HTTP_2: &str = "h2";
/// Name of HTTP/1.1 in TLS.
pub const HTTP_1: &str = "http/1.1";

/// What the server shows to its clients.
pub struct Identity {
    /// Certificate of the authority, PEM: what clients trust.
    pub authority: String,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    /// A fresh one, for `address`, the loopback addresses and the names a cluster's server has (API-304).
    ///
    /// # Errors
    /// [`EndpointError`] when a key or certificate cannot be made.
    pub fn generate(address: IpAddr) -> Result<Self, EndpointError> {
        let authority_key =
            KeyPair::generate().map_err(EndpointError::of("cannot make the authority's key"))?;
        let mut authority = CertificateParams::default();
        authority
            .distinguished_name
            .push(DnType::CommonName, "wavetank-ca");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = authority
            .self_signed(&authority_key)
            .map_err(EndpointError::of("cannot make the authority"))?;
        let issuer = Issuer::new(authority, authority_key);
        let mut names = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        names.push(address.to_string());
        names.extend(
            ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned),
        );
        names.sort();
        names.dedup();
        let mut server =
            CertificateParams::new(names).map_err(EndpointError::of("cannot name the server"))?;
        server
            .distinguished_name
            .push(DnType::CommonName, "wavetank");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(EndpointError::of("cannot make the server's key"))?;
        let signed = server
            .signed_by(&key, &issuer)
            .map_err(EndpointError::of("cannot sign the server's certificate"))?;
        Ok(Self {
            authority: certificate.pem(),
            certificate: signed.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        })
    }

    /// What makes TLS connections of TCP connections, offering `protocols`, the best first; an API server offers
    /// [`HTTP_2`] and [`HTTP_1`] (API-001).
    ///
    /// # Errors
    /// [`EndpointError`] when the TLS library does not take the certificate.
    pub fn acceptor(&self, protocols: &[&str]) -> Result<TlsAcceptor, EndpointError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(EndpointError::of(
                "the TLS library lacks its protocol versions",
            ))?
            .with_no_client_auth()
            .with_single_cert(
                vec![self.certificate.clone()],
                PrivateKeyDer::Pkcs8(self.key.clone_key()),
            )
            .map_err(EndpointError::of(
                "the TLS library does not take its own certificate",
            ))?;
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
