//! Jobs (API-326…338).

use serde_json::json;

use crate::cluster::Cluster;
use crate::objects::job;

#[test]
fn t101_a_job_succeeds() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(job("a", &["sleep", "20"], json!({})));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Job", "Pod"]), @"");
}
