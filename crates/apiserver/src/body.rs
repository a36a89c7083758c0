//! Bodies of requests: JSON, YAML, protobuf (API-058, 060, 063).

use wavetank_json::Value;
use wavetank_model::schema;
use wavetank_model::{DeleteOptions, PatchType, Propagation, Status};

use crate::create::{Incoming, unrecognized};
use crate::failure::{self, Problem};
use crate::protobuf;
use crate::request;

/// Media types of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Yaml,
    Protobuf,
}

impl Media {
    /// The media type that is named, without parameters; custom resources have no protobuf form.
    pub(crate) fn of(name: &str, custom: bool) -> Result<Self, Status> {
        match name {
            "" | "application/json" => Ok(Self::Json),
            "application/yaml" => Ok(Self::Yaml),
            protobuf::MEDIA_TYPE if !custom => Ok(Self::Protobuf),
            _ => {
                let accepted = ["application/json", "application/yaml", protobuf::MEDIA_TYPE];
                let count = accepted.len() - usize::from(custom);
                Err(failure::unsupported_media_type(&accepted[..count]))
            }
        }
    }
}

/// Reads an object; `kind` is what it should be.
pub(crate) fn object(media: Media, body: &[u8], kind: &str) -> Result<Incoming, Status> {
    let no_json = |why| format!("couldn't get version/kind; json parse error: {why}");
    let read = match media {
        Media::Json => json(body).map_err(no_json),
        Media::Yaml => yaml(body).map_err(no_json),
        Media::Protobuf => protobuf::decode(body)
            .map(Incoming::from)
            .map_err(|error| error.to_string()),
    };
    read.map_err(|why| unrecognized(kind, &why, body))
}

/// Reads a patch.
pub(crate) fn patch(patch_type: PatchType, body: &[u8]) -> Result<Incoming, Status> {
    if patch_type == PatchType::Apply {
        return yaml(body)
            .map_err(|error| failure::bad_request(format!("error decoding patch: {error}")));
    }
    json(body).map_err(failure::bad_request)
}

/// Reads options that came as a body.
pub(crate) fn options(media: Media, body: &[u8]) -> Result<Value, Status> {
    let read = match media {
        Media::Json => serde_json::from_slice(body).map_err(|error| go_json_error(&error, body)),
        Media::Yaml => yaml(body).map(|incoming| incoming.object),
        Media::Protobuf => protobuf::decode(body).map_err(|error| error.to_string()),
    };
    read.map_err(failure::bad_request)
}

/// Reads options of a delete, and whether it is a dry run.
pub(crate) fn delete_options(body: &Value) -> Result<(DeleteOptions, bool), Status> {
    let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
    if !matches!(text("kind"), "" | "DeleteOptions") {
        let why = failure::unregistered(text("kind"), text("apiVersion"));
        return Err(failure::bad_request(why));
    }
    let mut problems = Vec::new();
    let dry_run = request::dry_run(
        body.get("dryRun")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str),
        &mut problems,
    );
    let written = body
        .get("propagationPolicy")
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    let orphan = body.get("orphanDependents").and_then(Value::as_bool);
    let mut propagation = match orphan {
        Some(true) => Some(Propagation::Orphan),
        Some(false) => Some(Propagation::Background),
        None => None,
    };
    if let Some(text) = written {
        if orphan.is_some() {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            problems.push(Problem::invalid(
                "propagationPolicy",
                &format!("{text:?}"),
                detail,
            ));
        }
        propagation = match text {
            "Foreground" => Some(Propagation::Foreground),
            "Background" => Some(Propagation::Background),
            "Orphan" => Some(Propagation::Orphan),
            _ => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                problems.push(Problem::unsupported(
                    "propagationPolicy",
                    &format!("{text:?}"),
                    &supported,
                ));
                None
            }
        };
    }
    if !problems.is_empty() {
        return Err(failure::invalid("DeleteOptions.meta.k8s.io", "", problems));
    }
    let precondition = |field: &str| {
        body.get("preconditions")
            .and_then(|all| all.get(field))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let options = DeleteOptions {
        propagation,
        grace_period_seconds: body.get("gracePeriodSeconds").and_then(Value::as_i64),
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
    };
    Ok((options, dry_run))
}

fn json(body: &[u8]) -> Result<Incoming, String> {
    let (object, problems) = schema::parse(body).map_err(|error| go_json_error(&error, body))?;
    Ok(Incoming {
        object,
        problems,
        patched: false,
        touched: None,
    })
}

fn yaml(body: &[u8]) -> Result<Incoming, String> {
    // JSON is YAML; clients mostly send it, and it is read faster. A key that stands twice is for the other reader.
    if let Ok((object, problems)) = schema::parse(body)
        && object.is_object()
        && problems.is_empty()
    {
        return Ok(object.into());
    }
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    serde_saphyr::from_str::<Value>(text)
        .map(Incoming::from)
        .map_err(|error| error.to_string())
}

/// Says what is wrong with JSON in the words of Go's decoder, as far as they can be told.
fn go_json_error(error: &serde_json::Error, body: &[u8]) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let text = error.to_string();
    let wanted = [
        ("key must be a string", "object key string"),
        ("expected value", "value"),
    ];
    let wanted = wanted.iter().find(|(start, _)| text.starts_with(start));
    let line = body.split(|byte| *byte == b'\n').nth(error.line() - 1);
    let letter = line.and_then(|line| line.get(error.column().saturating_sub(1)));
    if let Some(((_, wanted), letter)) = wanted.zip(letter) {
        format!(
            "invalid character '{}' looking for beginning of {wanted}",
            char::from(*letter)
        )
    } else {
        format!("invalid character: {error}")
    }
}
