//! The contract of health scripts (SYNC-123, SYNC-124, SYNC-205).
#![cfg(feature = "lua")]

use std::collections::BTreeMap;
use std::sync::Arc;

use rstest::rstest;
use wavetank_health::{Assessor, Health, HealthStatus, LuaHealth, Override};
use wavetank_json::{Value, json};

fn run(script: &str) -> Result<Option<Health>, String> {
    run_on(
        script,
        &json!({"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"n": 3, "none": null}}),
    )
}

fn run_on(script: &str, object: &Value) -> Result<Option<Health>, String> {
    LuaHealth::new(script)
        .assess(object)
        .map_err(|error| error.0)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is compared with results that may be errors"
)]
fn is(status: HealthStatus, message: &str) -> Result<Option<Health>, String> {
    Ok(Some(Health::new(status, message)))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is compared with results that may be errors"
)]
fn empty() -> Result<Option<Health>, String> {
    Ok(Some(Health::default()))
}

#[rstest]
#[case::table(
    "return {status = 'Healthy', message = 'fine'}",
    is(HealthStatus::Healthy, "fine")
)]
#[case::global(
    "hs = {}\nhs.status = 'Degraded'\nreturn hs",
    is(HealthStatus::Degraded, "")
)]
#[case::case_of_letters(
    "return {Status = 'Missing', MESSAGE = 'm'}",
    is(HealthStatus::Missing, "m")
)]
#[case::other_fields(
    "return {status = 'Healthy', other = {1, 2, {a = true}}}",
    is(HealthStatus::Healthy, "")
)]
#[case::deletion_message_of_another_type(
    "return {status = 'Healthy', deletionMessage = {a = 1}}",
    empty()
)]
#[case::nothing("local x = 1", empty())]
#[case::nil("return nil", empty())]
#[case::empty_table("return {}", empty())]
#[case::list("return {'Healthy'}", empty())]
#[case::number_as_message("return {status = 'Healthy', message = 5}", empty())]
#[case::number_as_status("return {status = 5}", empty())]
#[case::invalid(
    "return {status = 'healthy'}",
    is(HealthStatus::Unknown, "Lua returned an invalid health status")
)]
#[case::no_status(
    "return {message = 'm'}",
    is(HealthStatus::Unknown, "Lua returned an invalid health status")
)]
#[case::text("return 'Healthy'", Err("expect table output from Lua script, not string".to_owned()))]
#[case::number("return 5", Err("expect table output from Lua script, not number".to_owned()))]
#[case::truth("return true", Err("expect table output from Lua script, not boolean".to_owned()))]
#[case::function("return function() end", Err("expect table output from Lua script, not function".to_owned()))]
#[case::last_of_several("return 1, {status = 'Healthy'}", is(HealthStatus::Healthy, ""))]
#[case::mixed("return {'a', status = 'Healthy'}", Err("cannot encode mixed or invalid key types".to_owned()))]
#[case::sparse("return {[1] = 'a', [5] = 'b'}", Err("cannot encode sparse array".to_owned()))]
#[case::holds_a_function("return {status = print}", Err("cannot encode function to JSON".to_owned()))]
#[case::holds_itself("local t = {}\nt.status = t\nreturn t", Err("cannot encode recursively nested tables to JSON".to_owned()))]
#[case::error("error('boom')", Err("<string>:1: boom".to_owned()))]
#[case::index("\nreturn obj.status.phase", Err("<string>:2: attempt to index field 'status' (a nil value)".to_owned()))]
#[case::syntax("return {", Err("<string>:1: unexpected symbol near <eof>".to_owned()))]
fn what_a_script_returns(#[case] script: &str, #[case] expected: Result<Option<Health>, String>) {
    assert_eq!(run(script), expected);
}

#[rstest]
#[case::numbers(
    "return {status = 'Healthy', message = type(obj.spec.n) .. (obj.spec.n + 1)}",
    "number4"
)]
#[case::null_is_absent(
    "return {status = 'Healthy', message = tostring(obj.spec.none)}",
    "nil"
)]
#[case::kind("return {status = 'Healthy', message = obj.kind}", "Widget")]
#[case::labels(
    "local names = '' for _, name in ipairs({'a', 'b', 'c'}) do if name == 'b' then goto continue end names = names .. name \
     ::continue:: end return {status = 'Healthy', message = names .. table.getn({1, 2}) .. table.maxn({[3] = 1})}",
    "ac23"
)]
#[case::tables(
    "local t = {3, 1}\ntable.sort(t)\nreturn {status = 'Healthy', message = tostring(t[1])}",
    "1"
)]
fn a_script_sees_the_object(#[case] script: &str, #[case] message: &str) {
    assert_eq!(run(script), is(HealthStatus::Healthy, message));
}

#[test]
fn lists_of_the_object_are_lists() {
    let object = json!({"status": {"conditions": [{"type": "Ready"}, {"type": "Synced"}]}});
    let script = "local n = 0
        for i, condition in ipairs(obj.status.conditions) do n = n + 1 end
        return {status = 'Healthy', message = n .. ' of ' .. #obj.status.conditions}";
    assert_eq!(run_on(script, &object), is(HealthStatus::Healthy, "2 of 2"));
}

#[rstest]
#[case("string", "nil")]
#[case("math", "nil")]
#[case("io", "nil")]
#[case("debug", "nil")]
#[case("coroutine", "nil")]
#[case("dofile", "nil")]
#[case("loadfile", "nil")]
#[case("loadstring", "nil")]
#[case("os.execute", "nil")]
#[case("os.getenv", "nil")]
#[case("table", "table")]
#[case("package", "table")]
#[case("unpack", "function")]
#[case("table.getn", "function")]
#[case("table.unpack", "nil")]
#[case("rawlen", "nil")]
#[case("os.time", "function")]
fn libraries_are_those_of_argo_cd(#[case] name: &str, #[case] expected: &str) {
    assert_eq!(
        run(&format!(
            "return {{status = 'Healthy', message = type({name})}}"
        )),
        is(HealthStatus::Healthy, expected)
    );
}

#[test]
fn open_libraries_are_there_when_asked_for() {
    let script = "return {status = 'Healthy', message = string.upper('a') .. ('b'):rep(2) .. math.floor(2.5)}";
    let health = LuaHealth::new(script)
        .with_open_libs(true)
        .assess(&json!({}))
        .map_err(|error| error.0);
    assert_eq!(health, is(HealthStatus::Healthy, "Abb2"));
}

#[test]
fn assessments_share_no_globals() {
    let check = LuaHealth::new(
        "count = (count or 0) + 1\nreturn {status = 'Healthy', message = tostring(count)}",
    );
    for _ in 0..2 {
        assert_eq!(check.assess(&json!({})).unwrap().unwrap().message, "1");
    }
}

#[rstest]
#[case::plain("while true do end")]
#[case::caught("while true do pcall(function() while true do end end) end")]
#[case::caught_once("pcall(function() while true do end end)\nreturn {status = 'Healthy'}")]
fn endless_scripts_end(#[case] script: &str) {
    let error = run(script).unwrap_err();
    assert!(error.contains("context deadline exceeded"), "{error}");
    let check = LuaHealth::new(script);
    check.assess(&json!({})).unwrap_err();
    check.assess(&json!({})).unwrap_err();
}

#[test]
fn endless_coroutines_end() {
    let script = "local co = coroutine.create(function() while true do end end)
        coroutine.resume(co)
        while true do end";
    let error = LuaHealth::new(script)
        .with_open_libs(true)
        .assess(&json!({}))
        .unwrap_err();
    assert!(error.0.contains("context deadline exceeded"), "{error}");
}

#[test]
fn greedy_scripts_end() {
    let error = run(
        "local t = {}\nlocal i = 0\nwhile true do i = i + 1\nt[i] = {i, i, i, i, i, i, i, i} end",
    )
    .unwrap_err();
    assert!(
        error.contains("not enough memory") || error.contains("context deadline exceeded"),
        "{error}"
    );
}

#[rstest]
#[case("os.time()", "1767225600")]
#[case("os.time({year = 2026, month = 1, day = 2, hour = 0})", "1767312000")]
#[case("os.time({year = 2025, month = 13, day = 1})", "1767268800")]
#[case("os.date('!%Y-%m-%dT%H:%M:%SZ', 0)", "1970-01-01T00:00:00Z")]
#[case("os.date('*t').year", "2026")]
fn time_is_that_of_the_run(#[case] expression: &str, #[case] expected: &str) {
    let script = format!("return {{status = 'Healthy', message = tostring({expression})}}");
    assert_eq!(run(&script), is(HealthStatus::Healthy, expected));
}

#[test]
fn a_clock_can_be_given() {
    let check = LuaHealth::new("return {status = 'Healthy', message = tostring(os.time())}")
        .with_clock(Arc::new(|| 42));
    assert_eq!(check.assess(&json!({})).unwrap().unwrap().message, "42");
}

#[test]
fn syntax_errors_are_known_beforehand() {
    assert!(LuaHealth::new("return {}").syntax_error().is_none());
    assert_eq!(
        LuaHealth::new("if").syntax_error().unwrap().to_string(),
        "<string>:1: unexpected symbol near <eof>"
    );
}

/// SYNC-124: scripts beat the built-in checks; an empty script is none.
#[test]
fn scripts_go_by_their_keys() {
    let scripts = BTreeMap::from([
        (
            "apps/Deployment".to_owned(),
            "return {status = 'Suspended'}".to_owned(),
        ),
        ("Service".to_owned(), String::new()),
        (
            "*.example.com/*".to_owned(),
            "return {status = 'Degraded', message = obj.kind}".to_owned(),
        ),
    ]);
    let clock: wavetank_health::LuaClock = Arc::new(|| 0);
    let assessor = Assessor::new().with_scripts(&scripts, &clock);
    let health = |api_version: &str, kind: &str| {
        assessor
            .assess(&json!({"apiVersion": api_version, "kind": kind}))
            .unwrap()
            .map(|health| health.status.unwrap())
    };
    assert_eq!(
        health("apps/v1", "Deployment"),
        Some(HealthStatus::Suspended)
    );
    assert_eq!(health("v1", "Service"), Some(HealthStatus::Healthy));
    assert_eq!(
        health("db.example.com/v1", "Cluster"),
        Some(HealthStatus::Degraded)
    );
    assert_eq!(health("example.org/v1", "Cluster"), None);
}

/// SYNC-105.
#[test]
fn a_failing_script_makes_the_object_unknown() {
    let assessor =
        Assessor::new().with_override("ConfigMap", Arc::new(LuaHealth::new("error('boom')")));
    let failure = assessor
        .assess(&json!({"apiVersion": "v1", "kind": "ConfigMap"}))
        .unwrap_err();
    assert_eq!(
        failure.health,
        Health::new(HealthStatus::Unknown, "<string>:1: boom")
    );
}

/// SYNC-105: what a script says of a deletion, since 3.6.
#[test]
fn a_script_may_say_what_a_deletion_waits_for() {
    let script = "return {status = 'Degraded', message = 'm', deletionMessage = 'waits for ' .. obj.metadata.name}";
    let key = "example.com/Widget";
    let assessor = Assessor::new().with_override(key, Arc::new(LuaHealth::new(script)));
    let health = |metadata: Value| {
        let object =
            json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata});
        let health = assessor.assess(&object).unwrap().unwrap();
        (health.status, health.message)
    };
    let degraded = Some(HealthStatus::Degraded);
    assert_eq!(
        health(json!({"name": "w", "deletionTimestamp": "2026-01-01T00:00:00Z"})),
        (degraded, "waits for w".to_owned())
    );
    assert_eq!(health(json!({"name": "w"})), (degraded, "m".to_owned()));
}
