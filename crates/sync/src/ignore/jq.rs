//! jq paths of ignored fields: `del(<path>)`, as Argo CD runs it.
//!
//! A path that cannot be read is found when the app is read ([`check`]); one that does not fit an object leaves that as
//! it is. Unlike Argo CD's a path has no time limit.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, data, unwrap_valr};
use jaq_json::{Val, read};
use wavetank_json::Value;

type Program = Filter<data::JustLut<Val>>;

/// So many compiled paths are remembered.
const REMEMBERED: usize = 64;

thread_local! {
    /// Compiled paths: a pure function of their text, so this is no state.
    static PROGRAMS: RefCell<BTreeMap<String, Option<Rc<Program>>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Whether the path can be read.
pub(super) fn check(path: &str) -> bool {
    program(path).is_some()
}

/// Deletes what the path names; an object on which it fails stays as it is.
pub(super) fn delete(object: &mut Value, path: &str) {
    if let Some(program) = program(path)
        && let Some(changed) = run(&program, object)
    {
        *object = changed;
    }
}

fn program(path: &str) -> Option<Rc<Program>> {
    PROGRAMS.with_borrow_mut(|programs| {
        if let Some(known) = programs.get(path) {
            return known.clone();
        }
        if programs.len() >= REMEMBERED {
            programs.clear();
        }
        let compiled = compile(&format!("del({path})")).map(Rc::new);
        programs.insert(path.to_owned(), compiled.clone());
        compiled
    })
}

fn compile(code: &str) -> Option<Program> {
    let definitions = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let functions = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(definitions)
        .load(&arena, File { code, path: () })
        .ok()?;
    Compiler::default()
        .with_funs(functions)
        .compile(modules)
        .ok()
}

/// The first output, if it is an object.
fn run(program: &Program, object: &Value) -> Option<Value> {
    let input = read::parse_single(object.to_string().as_bytes()).ok()?;
    let context = Ctx::<data::JustLut<Val>>::new(&program.lut, Vars::new([]));
    let output = program
        .id
        .run((context, input))
        .map(unwrap_valr)
        .next()?
        .ok()?;
    serde_json::from_str(&output.to_string())
        .ok()
        .filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_json::json;

    use super::*;

    /// SYNC-149: what a path names goes; a path that does not fit changes nothing.
    #[rstest]
    #[case(".spec.replicas", json!({"spec": {"list": [{"name": "a", "x": 1}, {"name": "b", "x": 2}]}}))]
    #[case(".spec.list[0].x", json!({"spec": {"replicas": 1.5, "list": [{"name": "a"}, {"name": "b", "x": 2}]}}))]
    #[case(".spec.list[]", json!({"spec": {"replicas": 1.5, "list": []}}))]
    #[case(".spec.list[] | select(.name == \"b\")", json!({"spec": {"replicas": 1.5, "list": [{"name": "a", "x": 1}]}}))]
    #[case(".spec.list[] | select(.name == \"a\") | .x", json!({"spec": {"replicas": 1.5, "list": [{"name": "a"}, {"name": "b", "x": 2}]}}))]
    #[case(".spec.list[]?.x, .spec.replicas", json!({"spec": {"list": [{"name": "a"}, {"name": "b"}]}}))]
    #[case(".spec.list | map(select(.x > 1))[]?", sample())]
    #[case(".nothing[].x", sample())]
    #[case(".spec.replicas.inner", sample())]
    fn a_path_names_what_goes(#[case] path: &str, #[case] expected: Value) {
        let mut object = sample();
        delete(&mut object, path);
        assert_eq!(object, expected);
    }

    fn sample() -> Value {
        json!({"spec": {"replicas": 1.5, "list": [{"name": "a", "x": 1}, {"name": "b", "x": 2}]}})
    }

    #[test]
    fn a_path_that_cannot_be_read_is_found() {
        assert!(check(".spec[] | select(.a | test(\"^x\"))"));
        assert!(!check(".spec[") && !check("nonsense(1)"));
    }
}
