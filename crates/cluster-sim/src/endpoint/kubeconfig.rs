//! The file that clients find the server with.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wavetank_json::json;

use super::EndpointError;

/// What stands in the file. The contexts are `wavetank` (a cluster administrator, the default) and `wavetank-engine`.
pub struct Kubeconfig<'a> {
    /// `https://127.0.0.1:6443`.
    pub server: &'a str,
    /// Certificate of the authority, PEM; none over plain HTTP.
    pub authority: Option<&'a str>,
    /// Token of the user.
    pub user: &'a str,
    /// Token of the engine.
    pub engine: &'a str,
}

/// A file that was written; removed when the server stops, since its tokens are worth nothing then.
pub struct Written(PathBuf);

impl Drop for Written {
    fn drop(&mut self) {
        // The file may have been removed by whoever asked for it.
        fs::remove_file(&self.0).ok();
    }
}

impl Kubeconfig<'_> {
    /// The text of the file.
    pub fn text(&self) -> String {
        let mut cluster = json!({"server": self.server});
        if let Some(authority) = self.authority {
            cluster["certificate-authority-data"] = STANDARD.encode(authority).into();
        }
        let context = |name: &str, user: &str| json!({"name": name, "context": {"cluster": "wavetank", "user": user}});
        let user = |name: &str, token: &str| json!({"name": name, "user": {"token": token}});
        // JSON is YAML.
        json!({
            "apiVersion": "v1", "kind": "Config", "preferences": {},
            "clusters": [{"name": "wavetank", "cluster": cluster}],
            "users": [user("wavetank", self.user), user("wavetank-engine", self.engine)],
            "contexts": [context("wavetank", "wavetank"), context("wavetank-engine", "wavetank-engine")],
            "current-context": "wavetank",
        })
        .to_string()
    }

    /// Writes the file, readable by its owner only. An existing file is not touched: it may be somebody's own.
    ///
    /// # Errors
    /// [`EndpointError`] when the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<Written, EndpointError> {
        let refused = || {
            format!(
                "cannot write the kubeconfig {} (an existing file is never overwritten)",
                path.display()
            )
        };
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(EndpointError::of(refused()))?;
        file.write_all(self.text().as_bytes())
            .map_err(EndpointError::of(refused()))?;
        Ok(Written(path.to_owned()))
    }
}

/// A bearer token nobody can guess.
///
/// # Errors
/// [`EndpointError`] when the operating system gives no random numbers.
pub fn token() -> Result<String, EndpointError> {
    let mut bytes = [0_u8; 24];
    let mut random = fs::File::open("/dev/urandom").map_err(EndpointError::of(
        "the operating system gives no random numbers",
    ))?;
    random.read_exact(&mut bytes).map_err(EndpointError::of(
        "the operating system gives no random numbers",
    ))?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}
