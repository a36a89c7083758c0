//! A patch of each type on one Deployment; the first byte chooses the type.
#![no_main]

use bytes::Bytes;
use http::Request;
use libfuzzer_sys::fuzz_target;
use wavetank_apiserver::{Server, ServerConfig};
use wavetank_kernel::{Seed, SimTime};
use wavetank_model::Actor;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const DEPLOYMENT: &str = r#"{"metadata":{"name":"web","finalizers":["a.b/c"]},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i","env":[{"name":"A","value":"1"}]}]}}}}"#;

fuzz_target!(|data: &[u8]| {
    let Some((first, patch)) = data.split_first() else {
        return;
    };
    let media = match first % 4 {
        0 => "application/json-patch+json",
        1 => "application/merge-patch+json",
        2 => "application/strategic-merge-patch+json",
        _ => "application/apply-patch+yaml",
    };
    let mut server = Server::new(ServerConfig::default(), Seed(1));
    let (actor, now) = (Actor::new("user"), SimTime::from_millis(1_000));
    let create = Request::post(DEPLOYMENTS).body(Bytes::from_static(DEPLOYMENT.as_bytes()));
    let Ok(create) = create else { return };
    drop(server.handle(&create, &actor, now));
    let patch = Request::patch(format!("{DEPLOYMENTS}/web?fieldManager=fuzz"))
        .header("content-type", media)
        .body(Bytes::copy_from_slice(patch));
    let Ok(patch) = patch else { return };
    drop(server.handle(&patch, &actor, now));
});
