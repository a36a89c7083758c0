//! Who asks.

use bytes::Bytes;
use http::{HeaderName, Request};
use wavetank_json::Value;
use wavetank_model::Actor;

use super::Attributes;

/// May do everything, whatever the roles say.
pub(super) const MASTERS: &str = "system:masters";
/// Everybody who says who they are.
pub(super) const AUTHENTICATED: &str = "system:authenticated";
/// What the user names of `ServiceAccounts` begin with.
pub(crate) const ACCOUNT: &str = "system:serviceaccount:";
const USER: HeaderName = HeaderName::from_static("impersonate-user");
const GROUPS: HeaderName = HeaderName::from_static("impersonate-group");

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
}

fn all(request: &Request<Bytes>, name: &HeaderName) -> Vec<String> {
    let values = request.headers().get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .map(str::to_owned)
        .collect()
}

impl Subject {
    /// The actor that the caller names, who may do everything.
    pub(crate) fn of(actor: &Actor) -> Self {
        Self {
            user: actor.user_name(),
            groups: vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()],
        }
    }

    /// Whom a request asks to be taken for, with the groups it names.
    pub(super) fn impersonated(request: &Request<Bytes>) -> Option<(Self, Vec<String>)> {
        let user = all(request, &USER)
            .into_iter()
            .next()
            .filter(|user| !user.is_empty())?;
        let groups = all(request, &GROUPS);
        Some((Self::named(user, groups.clone()), groups))
    }

    /// A user with the groups that follow from its name.
    pub(crate) fn named(user: String, mut groups: Vec<String>) -> Self {
        if let Some(account) = user.strip_prefix(ACCOUNT) {
            let namespace = account.split(':').next().unwrap_or_default();
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        let known = if user == "system:anonymous" {
            "system:unauthenticated"
        } else {
            AUTHENTICATED
        };
        groups.push(known.to_owned());
        Self { user, groups }
    }

    /// This one as what somebody asks to impersonate.
    pub(super) fn as_attributes(&self) -> Attributes<'_> {
        let account = self.user.strip_prefix(ACCOUNT);
        match account.and_then(|account| account.split_once(':')) {
            Some((namespace, name)) => Attributes {
                resource: "serviceaccounts",
                namespace,
                name,
                ..Attributes::default()
            },
            None => Attributes {
                resource: "users",
                name: &self.user,
                ..Attributes::default()
            },
        }
    }

    /// Whether a subject of a binding in `namespace` means this one.
    pub(super) fn is(&self, subject: &Value, namespace: &str) -> bool {
        let text = |field: &str| {
            subject
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        match text("kind") {
            "User" => text("name") == self.user,
            "Group" => self.groups.iter().any(|group| group == text("name")),
            _ => {
                let namespace = match text("namespace") {
                    "" => namespace,
                    own => own,
                };
                self.user == format!("{ACCOUNT}{namespace}:{}", text("name"))
            }
        }
    }
}
