//! What somebody does.

use wavetank_json::{Value, json};

use super::{Drawn, annotations};
use crate::dice::Dice;

/// Draws the steps: a sync at least.
pub(super) fn steps(desired: &[Drawn], live: &[Drawn], dice: &mut Dice) -> Vec<Value> {
    let mut out = vec![sync(desired, dice)];
    let mut gone = Vec::new();
    for _ in 0..*dice.weighted(&[(50, 0), (35, 1), (15, 2)]) {
        for _ in 0..dice.between(1, 2) {
            if let Some(step) = change(desired, live, &mut gone, dice) {
                out.push(step);
            }
        }
        out.push(sync(desired, dice));
    }
    out
}

fn sync(desired: &[Drawn], dice: &mut Dice) -> Value {
    let mut sync = json!({});
    if dice.chance(50) {
        sync["prune"] = true.into();
    }
    if dice.chance(4) {
        sync["dryRun"] = true.into();
    }
    if dice.chance(6) {
        sync["force"] = true.into();
    }
    if dice.chance(8) {
        sync["strategy"] = "apply".into();
    }
    if dice.chance(8) {
        let count = dice.between(1, 2);
        let mut some: Vec<&str> = Vec::new();
        for _ in 0..count {
            let reference = dice.pick(desired).reference.as_str();
            if !reference.ends_with('*') && !some.contains(&reference) {
                some.push(reference);
            }
        }
        if !some.is_empty() {
            sync["resources"] = json!(some);
        }
    }
    if dice.chance(10) {
        sync["syncOptions"] = json!(annotations::sync_options(dice));
    }
    json!({"sync": sync})
}

/// A change between two syncs; `gone` are the desired objects that were taken away.
fn change(
    desired: &[Drawn],
    live: &[Drawn],
    gone: &mut Vec<String>,
    dice: &mut Dice,
) -> Option<Value> {
    let kept: Vec<&Drawn> = desired
        .iter()
        .filter(|drawn| !gone.contains(&drawn.reference) && !drawn.reference.ends_with('*'))
        .collect();
    if kept.is_empty() {
        return None;
    }
    let drawn = *dice.pick(&kept);
    Some(match dice.between(0, 9) {
        0..3 => {
            gone.push(drawn.reference.clone());
            json!({"commit": {"remove": [drawn.reference]}})
        }
        3..6 => {
            json!({"commit": {"patch": [{"target": drawn.reference, "merge": merge(drawn, dice)}]}})
        }
        6 => json!({"delete": drawn.reference}),
        7 => match live.first() {
            Some(live) if live.reference != "Namespace/shop" => json!({"delete": live.reference}),
            _ => json!({"advance": "10s"}),
        },
        8 => json!({"advance": format!("{}s", dice.between(1, 60))}),
        _ => {
            json!({"commit": {"patch": [{"target": drawn.reference, "merge": {"metadata": {"labels": {"round": "two"}}}}]}})
        }
    })
}

fn merge(drawn: &Drawn, dice: &mut Dice) -> Value {
    let body = match drawn.kind.kind {
        "ConfigMap" => json!({"data": {"colour": "black"}}),
        "Secret" => json!({"stringData": {"colour": "black"}}),
        "Deployment" | "StatefulSet" => json!({"spec": {"replicas": dice.between(0, 3)}}),
        "Service" => json!({"spec": {"selector": {"app": "other"}}}),
        "Widget" => json!({"spec": {"size": 10}}),
        // Fields that cannot change.
        "Job" => {
            json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "alpine:4"}]}}}})
        }
        "PersistentVolumeClaim" => json!({"spec": {"accessModes": ["ReadWriteMany"]}}),
        _ => json!({"metadata": {"annotations": {"example.com/round": "two"}}}),
    };
    if dice.chance(30) {
        let annotations = Value::Object(annotations::draw(drawn.kind, dice));
        return json!({"metadata": {"annotations": annotations}});
    }
    body
}

/// Draws actions that are bound to events, in a part of the scenarios.
pub(super) fn bound(desired: &[Drawn], live: &[Drawn], dice: &mut Dice) -> Vec<Value> {
    let mut out = Vec::new();
    let confirms = desired
        .iter()
        .chain(live)
        .any(|drawn| drawn.object.to_string().contains("confirm"));
    if confirms || dice.chance(5) {
        out.push(json!({"event": "operation started", "delay": "40037ms", "optional": true, "do": [{"confirmPrune": {}}]}));
    }
    if !dice.chance(18) {
        return out;
    }
    let drawn = dice.pick(desired);
    let verb = *dice.pick(&["applied", "created", "succeeded", "failed", "deleting"]);
    let verb = match verb {
        "succeeded" | "failed" if !drawn.kind.is_finite() => "applied",
        verb => verb,
    };
    let action = match dice.between(0, 5) {
        3 if !drawn.reference.ends_with('*') => json!({"delete": drawn.reference}),
        4 => json!({"restart": "engine"}),
        _ => json!({"terminate": {}}),
    };
    // Never the instant at which something else happens.
    let delay = *dice.pick(&["137ms", "1037ms", "5037ms", "30037ms"]);
    out.push(json!({
        "event": format!("{} {verb}", drawn.reference), "delay": delay, "optional": true, "do": [action],
    }));
    out
}
