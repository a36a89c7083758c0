//! Certificates of a control plane: one authority, one server certificate, one client certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use wavetank_json::json;

/// Says what could not be made.
fn failed<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> String {
    let what = what.to_owned();
    move |error| format!("{what} cannot be made: {error}")
}

/// A certificate with its key, PEM.
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// A certificate authority of its own.
pub(super) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A fresh one.
    ///
    /// # Errors
    /// What could not be made.
    pub(super) fn generate() -> Result<Self, String> {
        let key = KeyPair::generate().map_err(failed("the authority's key"))?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "wavetank-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params
            .self_signed(&key)
            .map_err(failed("the authority"))?
            .pem();
        Ok(Self {
            certificate,
            issuer: Issuer::new(params, key),
        })
    }

    /// Its certificate, PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its key, PEM.
    pub(super) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// For servers on loopback, which are clients of each other too (etcd's peers).
    ///
    /// # Errors
    /// What could not be made.
    pub(super) fn server(&self) -> Result<Identity, String> {
        let names = [
            "127.0.0.1",
            "10.96.0.1",
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ];
        let mut params = CertificateParams::new(names.map(str::to_owned))
            .map_err(failed("the server's names"))?;
        params
            .distinguished_name
            .push(DnType::CommonName, "wavetank");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(params)
    }

    /// For a client who is `user` of `group`.
    ///
    /// # Errors
    /// What could not be made.
    pub(super) fn client(&self, user: &str, group: &str) -> Result<Identity, String> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<Identity, String> {
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed("a key"))?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(failed("a certificate"))?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// Public and private half of a key, PEM: for tokens of `ServiceAccounts`.
///
/// # Errors
/// What could not be made.
pub(super) fn key_pair() -> Result<(String, String), String> {
    let key = KeyPair::generate().map_err(failed("the key of ServiceAccounts"))?;
    Ok((key.public_key_pem(), key.serialize_pem()))
}

/// A kubeconfig for `client` on a loopback port, as JSON, which is YAML.
pub(super) fn kubeconfig(port: u16, authority: &str, client: &Identity) -> String {
    let encoded = |text: &str| STANDARD.encode(text);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "wavetank", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority-data": encoded(authority),
        }}],
        "users": [{"name": "wavetank", "user": {
            "client-certificate-data": encoded(&client.certificate),
            "client-key-data": encoded(&client.key),
        }}],
        "contexts": [{"name": "wavetank", "context": {"cluster": "wavetank", "user": "wavetank"}}],
        "current-context": "wavetank",
    })
    .to_string()
}
