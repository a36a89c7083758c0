use wavetank_json::json;
use wavetank_kernel::SimTime;
use wavetank_model::Actor;

use super::*;

fn object(revision: &str) -> Value {
    json!({"metadata": {"name": "a", "namespace": "default", "resourceVersion": revision}})
}

#[test]
fn a_view_lags_until_its_watch_brings_what_was_committed() {
    let view = View::default();
    let key = ObjectKey::new("", "ConfigMap", "default", "a");
    let gvk = GroupVersionKind::new("v1", "ConfigMap");
    view.committed().kinds.push(gvk.group_kind());
    let commit = |kind, revision: &str| {
        Observer::committed(
            &view,
            &Change {
                kind,
                key: key.clone().into(),
                gvk: gvk.clone(),
                revision: 1,
                time: SimTime::ZERO,
                actor: Actor::new(Actor::USER),
                manager: String::new(),
                old: None,
                new: Arc::new(object(revision)),
                wire: None,
            },
        );
    };
    assert!(!view.lags());
    commit(ChangeKind::Created, "9");
    assert!(view.lags());
    view.show(key.clone(), object("9"));
    assert!(!view.lags());
    commit(ChangeKind::Updated, "10");
    assert!(view.lags());
    // A watch may be ahead of the observer.
    view.show(key.clone(), object("11"));
    assert!(!view.lags());
    commit(ChangeKind::Deleted, "12");
    assert!(view.lags());
    view.remove(&key);
    assert!(!view.lags());
}
