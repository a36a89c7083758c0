//! Logs of simulated Pods (API-229): nothing runs in them, so a container's log is what the `echo`s of its command
//! would print, and the message it ended with. `follow` ends at the end of what is there.

use jiff::Timestamp;
use wavetank_json::Value;
use wavetank_model::Status;

use crate::answer::Answer;
use crate::asked::Asked;
use crate::failure;
use crate::server::Server;

impl Server {
    /// Answers `GET …/pods/{name}/log`.
    pub(crate) fn read_log(&self, asked: &Asked<'_>) -> Result<Answer, Status> {
        let key = asked.resource.storage_key(&asked.namespace, &asked.name);
        let stored = self
            .store
            .get(asked.resource.table, &key)
            .ok_or_else(|| failure::not_found(&asked.resource, &asked.name))?;
        let pod = self.store.value(stored);
        let container = container(&pod, &asked.name, asked.query.text("container"))?;
        let name = container["name"].as_str().unwrap_or_default();
        let state = state(&pod, name, &asked.name, asked.query.flag("previous"))?;
        let since = state["startedAt"].as_str().unwrap_or_default();
        let mut lines = printed(container);
        if let Some(message) = state["message"].as_str().filter(|text| !text.is_empty()) {
            lines.extend(message.lines().map(str::to_owned));
        }
        if let Some(seconds) = asked.query.number("sinceSeconds")?
            && since
                .parse::<Timestamp>()
                .is_ok_and(|start| asked.wall.as_second() - start.as_second() > seconds)
        {
            lines.clear();
        }
        if let Some(last) = asked.query.number("tailLines")? {
            let last = usize::try_from(last).map_err(|_| {
                failure::bad_request("tailLines must be greater than or equal to 0")
            })?;
            lines.drain(..lines.len().saturating_sub(last));
        }
        let stamp = if asked.query.flag("timestamps") {
            format!("{since} ")
        } else {
            String::new()
        };
        let mut text = String::new();
        for line in &lines {
            text.extend([stamp.as_str(), line, "\n"]);
        }
        if let Some(limit) = asked.query.number("limitBytes")? {
            let limit = usize::try_from(limit).unwrap_or(0);
            let end = (0..=limit.min(text.len()))
                .rev()
                .find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
        }
        Ok(Answer::text(200, text))
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"]
        .into_iter()
        .filter_map(|list| pod["spec"][list].as_array())
        .flatten()
}

/// The container that is asked for, or the only one.
fn container<'a>(pod: &'a Value, name: &str, wanted: &str) -> Result<&'a Value, Status> {
    if !wanted.is_empty() {
        return containers(pod)
            .find(|container| container["name"] == wanted)
            .ok_or_else(|| {
                failure::bad_request(format!("container {wanted} is not valid for pod {name}"))
            });
    }
    let main = pod["spec"]["containers"].as_array();
    let names = |list: &str| -> Vec<&str> {
        let list = pod["spec"][list].as_array().into_iter().flatten();
        list.filter_map(|one| one["name"].as_str()).collect()
    };
    if let Some([one]) = main.map(Vec::as_slice) {
        return Ok(one);
    }
    let mut text = format!(
        "a container name must be specified for pod {name}, choose one of: [{}]",
        names("containers").join(" ")
    );
    let init = names("initContainers");
    if !init.is_empty() {
        text = format!("{text} or one of the init containers: [{}]", init.join(" "));
    }
    Err(failure::bad_request(text))
}

/// The running or terminated state of a container, or why there is no log.
fn state<'a>(
    pod: &'a Value,
    container: &str,
    name: &str,
    previous: bool,
) -> Result<&'a Value, Status> {
    let statuses = ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .filter_map(|list| pod["status"][list].as_array())
        .flatten();
    let status = statuses
        .clone()
        .find(|status| status["name"] == container)
        .unwrap_or(&Value::Null);
    if previous {
        let last = &status["lastState"]["terminated"];
        return if last.is_object() {
            Ok(last)
        } else {
            Err(failure::bad_request(format!(
                "previous terminated container {container:?} in pod {name:?} not found"
            )))
        };
    }
    ["running", "terminated"]
        .map(|state| &status["state"][state])
        .into_iter()
        .chain([&status["lastState"]["terminated"]])
        .find(|state| state.is_object())
        .ok_or_else(|| {
            let reason = status["state"]["waiting"]["reason"].as_str();
            let reason = reason.unwrap_or("ContainerCreating");
            failure::bad_request(format!(
                "container {container:?} in pod {name:?} is waiting to start: {reason}"
            ))
        })
}

/// What the `echo`s of the command print.
fn printed(container: &Value) -> Vec<String> {
    let words: Vec<&str> = ["command", "args"]
        .into_iter()
        .filter_map(|list| container[list].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if let ["echo", rest @ ..] = words.as_slice() {
        return vec![rest.join(" ")];
    }
    words
        .iter()
        .flat_map(|word| word.split(['\n', ';', '&', '|']))
        .filter_map(|part| part.trim().strip_prefix("echo "))
        .map(|text| text.trim().trim_matches(['"', '\'']).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;
    use wavetank_json::json;
    use wavetank_kernel::{Seed, SimTime};
    use wavetank_model::Actor;

    use crate::{ResponseBody, Server, ServerConfig};

    fn ask(server: &mut Server, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut request = Request::builder().method(method).uri(path);
        if method == "PATCH" {
            request = request.header("content-type", "application/merge-patch+json");
        }
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        let now = SimTime::from_millis(1_000);
        let answer = server.handle(&request, &Actor::new(Actor::USER), now);
        let code = answer.status().as_u16();
        let ResponseBody::Full(body) = answer.into_body() else {
            panic!("no watch was asked for")
        };
        (code, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn a_log_holds_what_the_echoes_print() {
        let mut server = Server::new(ServerConfig::default(), Seed(1));
        let pods = "/api/v1/namespaces/default/pods";
        let container = json!({"name": "c", "image": "i", "command": ["sh", "-c", "echo one; echo 'two'; exit 3"]});
        let other = json!({"name": "d", "image": "i"});
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [container, other]}});
        ask(&mut server, "POST", pods, &pod.to_string());
        let log = format!("{pods}/p/log");
        let (code, text) = ask(&mut server, "GET", &log, "");
        assert_eq!(code, 400);
        assert!(
            text.contains("a container name must be specified for pod p, choose one of: [c d]")
        );
        let (code, text) = ask(&mut server, "GET", &format!("{log}?container=c"), "");
        assert_eq!(code, 400);
        assert!(text.contains("waiting to start: ContainerCreating"));
        let ended =
            json!({"exitCode": 3, "startedAt": "2026-01-01T00:00:00Z", "message": "bad luck"});
        let status = json!({"status": {"containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": ended}}]}});
        ask(
            &mut server,
            "PATCH",
            &format!("{pods}/p/status"),
            &status.to_string(),
        );
        let mut read =
            |query: &str| ask(&mut server, "GET", &format!("{log}?container=c{query}"), "").1;
        assert_eq!(read(""), "one\ntwo\nbad luck\n");
        assert_eq!(read("&tailLines=1"), "bad luck\n");
        assert_eq!(read("&limitBytes=5"), "one\nt");
        assert_eq!(
            read("&tailLines=1&timestamps=true"),
            "2026-01-01T00:00:00Z bad luck\n"
        );
        assert!(read("&previous=true").contains("previous terminated container"));
        assert_eq!(
            ask(&mut server, "GET", &format!("{pods}/none/log"), "").0,
            404
        );
    }
}
