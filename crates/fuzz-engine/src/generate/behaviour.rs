//! What workloads do, and which requests go wrong.

use wavetank_json::{Value, json};

use super::Drawn;
use crate::dice::Dice;

/// Draws rules for some of the objects.
pub(super) fn workloads(desired: &[Drawn], live: &[Drawn], dice: &mut Dice) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for drawn in desired.iter().chain(live) {
        let is_new = !out.iter().any(|rule| rule["match"] == drawn.reference);
        if !is_new || !dice.chance(if drawn.kind.is_finite() { 45 } else { 30 }) {
            continue;
        }
        let mut rule = rule(drawn, dice);
        // What is there before the first step must come to rest.
        let is_live = live.iter().any(|live| live.reference == drawn.reference);
        if is_live && let Some(rule) = rule.as_object_mut() {
            rule.remove("hang");
            rule.remove("timeline");
        }
        if rule.as_object().is_none_or(wavetank_json::Map::is_empty) {
            continue;
        }
        rule["match"] = drawn.reference.as_str().into();
        out.push(rule);
    }
    out
}

/// Draws health scripts: for a kind that nothing else judges, or in place of Argo CD's own check.
pub(super) fn scripts(dice: &mut Dice) -> Value {
    let (group, kind) = *dice.pick(&[
        ("example.com", "Widget"),
        ("", "ConfigMap"),
        ("batch", "Job"),
    ]);
    let judged = *dice.pick(&[
        "obj.status ~= nil",
        "obj.metadata.generation ~= 1",
        "obj.metadata.annotations ~= nil",
    ]);
    let mut script = format!(
        "hs = {{status = \"Degraded\", message = \"no\"}}\nif {judged} then hs.status = \"Healthy\" end\n"
    );
    if dice.chance(60) {
        script += "if obj.metadata.deletionTimestamp ~= nil then hs.deletionMessage = \"on its way out\" end\n";
    }
    if dice.chance(25) {
        script += "if obj.metadata.finalizers ~= nil then error(\"no idea\") end\n";
    }
    json!([{"group": group, "kind": kind, "health.lua": script + "return hs\n"}])
}

fn seconds(dice: &mut Dice) -> String {
    format!("{}s", dice.between(0, 40))
}

fn rule(drawn: &Drawn, dice: &mut Dice) -> Value {
    let mut rule = match drawn.kind.kind {
        "Job" | "Pod" => match dice.between(0, 9) {
            0..3 => json!({"attempts": [{"succeed": {"after": seconds(dice)}}]}),
            3..6 => {
                json!({"attempts": [{"fail": {"after": seconds(dice), "exitCode": 3, "message": "no luck"}}]})
            }
            6 | 7 => {
                json!({"attempts": [{"fail": {"after": seconds(dice)}}, {"succeed": {"after": seconds(dice)}}]})
            }
            8 => json!({"hang": {}}),
            _ => json!({"hang": {"state": dice.pick(&["Pending", "ImagePullBackOff"])}}),
        },
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => match dice.between(0, 5) {
            0..3 => json!({"ready": {"after": seconds(dice)}}),
            3 => json!({"timeline": [{"ready": {"after": "3s"}}, {"crash": {"after": "20s"}}]}),
            4 => json!({"timeline": [{"crash": {"after": "2s", "exitCode": 2}}]}),
            _ => json!({"hang": {"state": "ImagePullBackOff"}}),
        },
        "Widget" => json!({"timeline": [{"status": {"phase": "Ready"}, "after": seconds(dice)}]}),
        _ => json!({}),
    };
    if dice.chance(25) || rule.as_object().is_some_and(wavetank_json::Map::is_empty) {
        let deletion = if dice.between(0, 5) == 0 {
            json!({"never": true})
        } else {
            json!({"after": seconds(dice)})
        };
        rule["deletion"] = deletion;
    }
    rule
}

/// Draws faults, in a part of the scenarios.
pub(super) fn faults(desired: &[Drawn], live: &[Drawn], dice: &mut Dice) -> Vec<Value> {
    let mut out = Vec::new();
    if !dice.chance(35) {
        return out;
    }
    for _ in 0..dice.between(1, 2) {
        let drawn = if live.is_empty() || dice.chance(75) {
            dice.pick(desired)
        } else {
            dice.pick(live)
        };
        let mut fault = match dice.between(0, 11) {
            0..7 => reply(&drawn.reference, dice),
            7 => {
                json!({"on": format!("{} {}", verb(dice), drawn.reference), "delay": seconds(dice)})
            }
            8 => json!({
                "on": format!("{} {}", verb(dice), drawn.reference), "dryRun": false,
                "lose": dice.pick(&["request", "response"]),
            }),
            9 => json!({"on": format!("watch {}", drawn.kind.kind), "delay": seconds(dice)}),
            10 => {
                json!({"on": format!("view {}", drawn.reference), "stale": {"passes": dice.between(1, 3)}})
            }
            _ => {
                json!({"on": format!("view {}", drawn.reference), "hide": {"passes": dice.between(1, 3)}})
            }
        };
        if drawn.kind == super::WIDGET
            && fault["on"]
                .as_str()
                .is_some_and(|on| on.starts_with("watch"))
        {
            fault["on"] = "watch Widget.example.com".into();
        }
        fault["optional"] = true.into();
        fault["by"] = "engine".into();
        if matches!(fault["on"].as_str(), Some(on) if on.starts_with("view") || on.starts_with("watch"))
            && let Some(fault) = fault.as_object_mut()
        {
            fault.remove("by");
        }
        out.push(fault);
    }
    out
}

fn verb(dice: &mut Dice) -> &'static str {
    const VERBS: &[(u64, &str)] = &[
        (5, "create"),
        (5, "patch"),
        (3, "delete"),
        (2, "update"),
        (2, "write"),
    ];
    dice.weighted::<&str>(VERBS)
}

fn reply(reference: &str, dice: &mut Dice) -> Value {
    let (code, reason, message) = *dice.pick(&[
        (500, "InternalError", "etcdserver: request timed out"),
        (
            503,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        (403, "Forbidden", "denied by the test"),
        (409, "Conflict", "the object has been modified"),
        (422, "Invalid", "field is immutable"),
        (
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
        (409, "AlreadyExists", "the object exists"),
        (
            400,
            "BadRequest",
            "admission webhook \"a\" denied the request",
        ),
    ]);
    let mut fault = json!({
        "on": format!("{} {reference}", verb(dice)),
        "reply": {"code": code, "reason": reason, "message": message},
    });
    if dice.chance(60) {
        fault["dryRun"] = false.into();
    }
    if reason == "Conflict" {
        // Who tries again more than once sleeps in between, which a program does in real time.
        fault["on"] = format!("{} {reference}", dice.pick(&["create", "patch", "delete"])).into();
    } else {
        match dice.between(0, 9) {
            0..3 => fault["times"] = json!(dice.between(2, 3)),
            3..5 => fault["times"] = "always".into(),
            _ => {}
        }
    }
    if dice.chance(25) {
        fault["after"] = dice.between(1, 2).into();
    }
    fault
}
