//! One request of raw parts: method, target, content type and accept in the first lines, the body behind them.
#![no_main]

use bytes::Bytes;
use http::Request;
use libfuzzer_sys::fuzz_target;
use wavetank_apiserver::{Server, ServerConfig};
use wavetank_kernel::{Chooser, Seed, SimTime};
use wavetank_model::Actor;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(5, |byte| *byte == b'\n');
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (method, uri, media, accept) = (text(), text(), text(), text());
    let body = Bytes::copy_from_slice(parts.next().unwrap_or_default());
    let request = Request::builder()
        .method(method.as_str())
        .uri(uri)
        .header("content-type", media)
        .header("accept", accept)
        .body(body);
    let Ok(request) = request else { return };
    let mut server = Server::new(ServerConfig::default(), Seed(1));
    let now = SimTime::from_millis(1_000);
    drop(server.handle(&request, &Actor::new("user"), now));
    server.run_due(SimTime::from_millis(60_000), &mut Chooser::canonical());
});
