//! Health of an application, from that of its objects (SYNC-126).

use wavetank_json::Value;
use wavetank_model::{ObjectKey, argo, object};

use crate::assessor::Assessor;
use crate::status::{Health, HealthError, HealthStatus};

/// Keeps a live object out of the aggregation; waves wait for it nevertheless (SYNC-127, SYNC-206).
pub const IGNORE_HEALTHCHECK: &str = "argocd.argoproj.io/ignore-healthcheck";

/// One object of an application: what is desired, what is there, or both.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The desired object.
    pub target: Option<&'a Value>,
    /// The object in the cluster.
    pub live: Option<&'a Value>,
}

/// Health of an application and of its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppHealth {
    /// The application's.
    pub status: HealthStatus,
    /// That of each pair, in their order; `None` for pairs that have none or are not looked at.
    pub resources: Vec<Option<Health>>,
    /// The first assessment that failed, and of which object.
    pub error: Option<String>,
    /// The objects that the application has its health from, in the order of the pairs; none where it is healthy, or has
    /// no live object.
    pub causes: Vec<ObjectKey>,
}

/// So many causes are named.
const NAMED: usize = 3;

impl AppHealth {
    /// What Argo CD says of the causes since 3.6; empty where there are none.
    pub fn message(&self) -> String {
        if self.causes.is_empty() {
            return String::new();
        }
        let named = self.causes.iter().take(NAMED).map(|key| {
            let group = Some(&key.group).filter(|group| !group.is_empty());
            let namespace = Some(&key.namespace).filter(|namespace| !namespace.is_empty());
            let before = |text: Option<&String>| text.map(|text| format!("{text}/"));
            format!(
                "{}{}:{}{}",
                before(group).unwrap_or_default(),
                key.kind,
                before(namespace).unwrap_or_default(),
                key.name
            )
        });
        let named = named.collect::<Vec<_>>().join(", ");
        match self.causes.len().saturating_sub(NAMED) {
            0 => format!("Caused by {named}"),
            more => format!("Caused by {named} and {more} more"),
        }
    }
}

/// The health of the application `app` whose objects are `pairs`: the worst of theirs (SYNC-126).
pub fn application(assessor: &Assessor, app: &ObjectKey, pairs: &[Pair<'_>]) -> AppHealth {
    let mut status = HealthStatus::Healthy;
    let (mut counted, mut any_live) = (false, false);
    let mut error = None;
    let mut causes: Vec<ObjectKey> = Vec::new();
    let resources = pairs
        .iter()
        .map(|pair| {
            if pair.target.is_some_and(argo::is_skipped)
                || pair.live.or(pair.target).is_some_and(argo::is_hook)
            {
                return None;
            }
            counted = true;
            let Some(live) = pair.live else {
                return Some(Health::new(HealthStatus::Missing, ""));
            };
            any_live = true;
            if object::annotation(live, IGNORE_HEALTHCHECK) == Some("true") || is(live, app) {
                return None;
            }
            let health = assessor.assess(live).unwrap_or_else(|failure| {
                error.get_or_insert_with(|| failed(live, &failure.error));
                Some(failure.health)
            })?;
            // An empty status is as mild as Healthy.
            if let Some(new) = health.status
                && !(is_application(live)
                    && matches!(new, HealthStatus::Missing | HealthStatus::Unknown))
            {
                if new.is_worse(status) {
                    status = new;
                    causes.clear();
                }
                if new == status && status != HealthStatus::Healthy {
                    causes.extend(ObjectKey::of(live));
                }
            }
            Some(health)
        })
        .collect();
    if counted && !any_live {
        status = HealthStatus::Missing;
    }
    AppHealth {
        status,
        resources,
        error,
        causes,
    }
}

fn failed(live: &Value, error: &HealthError) -> String {
    let kind = live.get("kind").and_then(Value::as_str).unwrap_or_default();
    format!(
        "failed to get resource health for {kind:?} with name {:?} in namespace {:?}: {error}",
        object::name(live),
        object::namespace(live)
    )
}

fn is(live: &Value, app: &ObjectKey) -> bool {
    is_application(live)
        && object::name(live) == app.name
        && object::namespace(live) == app.namespace
}

fn is_application(object: &Value) -> bool {
    let text = |field: &str| {
        object
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    text("kind") == "Application" && text("apiVersion").starts_with("argoproj.io/")
}
