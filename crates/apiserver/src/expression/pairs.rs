//! Macros of two variables: `all`, `exists`, `existsOne`, `transformList`, `transformMap` and `transformMapEntry` with a
//! name for the index or key and one for the value.
//!
//! They are expanded into loops over pairs, which the evaluator knows: [`PAIRS`] makes a list of pairs, [`INSERT`] and
//! [`MERGE`] collect maps.

use std::sync::Arc;

use kube_cel::cel::common::ast::{
    ComprehensionExpr, Expr, IdedExpr, ListExpr, LiteralValue, MapExpr,
};
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::{ExecutionError, Value};

use super::dialect::{bound, call, with_id};

/// `@pairs(range)`: a list of lists of index or key, and value; maps in the order of their keys.
pub(super) const PAIRS: &str = "@pairs";
/// `@insert(map, key, value)`: the map with one more entry.
pub(super) const INSERT: &str = "@insert";
/// `@merge(map, map)`: both.
pub(super) const MERGE: &str = "@merge";

const RESULT: &str = "@result";
const PAIR: &str = "@pair";

/// What `name` stands for with a range and its arguments, if it is such a macro.
pub(super) fn expanded(
    id: u64,
    name: &str,
    range: &IdedExpr,
    arguments: &[IdedExpr],
) -> Option<Expr> {
    let [one, two, arguments @ ..] = arguments else {
        return None;
    };
    let (Expr::Ident(one), Expr::Ident(two)) = (&one.expr, &two.expr) else {
        return None;
    };
    if one == two {
        return None;
    }
    let made = |expr| with_id(id, expr);
    let flag = |value: bool| made(Expr::Literal(LiteralValue::Boolean(value.into())));
    let number = |value: i64| made(Expr::Literal(LiteralValue::Int(value.into())));
    let named = |name: &str| made(Expr::Ident(name.to_owned()));
    let calls = |function: &str, arguments| made(call(function, None, arguments));
    let result = || named(RESULT);
    // What is said of one pair.
    let within = |body: IdedExpr| {
        let part = |index| calls("_[_]", vec![named(PAIR), number(index)]);
        let inner = made(bound(id, two.clone(), part(1), body));
        made(bound(id, one.clone(), part(0), inner))
    };
    let kept_if = |filter: Option<&IdedExpr>, step| match filter {
        Some(filter) => calls("_?_:_", vec![filter.clone(), step, result()]),
        None => step,
    };
    let (filter, last) = match arguments {
        [last] => (None, last.clone()),
        [filter, last] if name.starts_with("transform") => (Some(filter), last.clone()),
        _ => return None,
    };
    let items = |elements| {
        made(Expr::List(ListExpr {
            elements,
            optional_indices: Vec::new(),
        }))
    };
    let no_map = || made(Expr::Map(MapExpr::default()));
    let not_false = |condition| calls("@not_strictly_false", vec![condition]);
    let (start, condition, step, end) = match name {
        "all" => {
            let step = calls("_&&_", vec![result(), within(last)]);
            (flag(true), not_false(result()), step, result())
        }
        "exists" => {
            let step = calls("_||_", vec![result(), within(last)]);
            let condition = not_false(calls("!_", vec![result()]));
            (flag(false), condition, step, result())
        }
        "existsOne" | "exists_one" => {
            let more = calls("_+_", vec![result(), number(1)]);
            let step = calls("_?_:_", vec![within(last), more, result()]);
            let is_one = calls("_==_", vec![result(), number(1)]);
            (number(0), flag(true), step, is_one)
        }
        "transformList" => {
            let step = kept_if(filter, calls("_+_", vec![result(), items(vec![last])]));
            (items(Vec::new()), flag(true), within(step), result())
        }
        "transformMap" => {
            let step = calls(INSERT, vec![result(), named(one), last]);
            let step = kept_if(filter, step);
            (no_map(), flag(true), within(step), result())
        }
        "transformMapEntry" => {
            let step = kept_if(filter, calls(MERGE, vec![result(), last]));
            (no_map(), flag(true), within(step), result())
        }
        _ => return None,
    };
    Some(Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: calls(PAIRS, vec![range.clone()]),
        iter_var: PAIR.to_owned(),
        iter_var2: None,
        accu_var: RESULT.to_owned(),
        accu_init: start,
        loop_cond: condition,
        loop_step: step,
        result: end,
    })))
}

/// See [`PAIRS`].
pub(super) fn pairs(range: &Value) -> Result<Value, ExecutionError> {
    let pair = |key: Value, value: &Value| Value::List(Arc::new(vec![key, value.clone()]));
    let pairs = match range {
        Value::List(items) => (0..)
            .zip(items.iter())
            .map(|(index, item)| pair(Value::Int(index), item))
            .collect(),
        Value::Map(map) => {
            let mut entries: Vec<(&Key, &Value)> = map.map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            entries
                .into_iter()
                .map(|(key, value)| pair(Value::from(key.clone()), value))
                .collect()
        }
        _ => return Err(ExecutionError::NoSuchOverload),
    };
    Ok(Value::List(Arc::new(pairs)))
}

/// See [`INSERT`].
pub(super) fn insert(map: &Value, key: Value, value: Value) -> Result<Value, ExecutionError> {
    let key = match key {
        Value::String(text) => Key::String(text),
        Value::Int(number) => Key::Int(number),
        Value::UInt(number) => Key::Uint(number),
        Value::Bool(flag) => Key::Bool(flag),
        _ => return Err(ExecutionError::NoSuchOverload),
    };
    added(map, [(key, value)])
}

/// See [`MERGE`].
pub(super) fn merge(map: &Value, more: &Value) -> Result<Value, ExecutionError> {
    let Value::Map(more) = more else {
        return Err(ExecutionError::NoSuchOverload);
    };
    let entries = more.map.iter();
    added(
        map,
        entries.map(|(key, value)| (key.clone(), value.clone())),
    )
}

fn added(
    map: &Value,
    entries: impl IntoIterator<Item = (Key, Value)>,
) -> Result<Value, ExecutionError> {
    let Value::Map(map) = map else {
        return Err(ExecutionError::NoSuchOverload);
    };
    let mut all = (*map.map).clone();
    for (key, value) in entries {
        if all.contains_key(&key) {
            let why = format!("insert failed: key {key} already exists");
            return Err(ExecutionError::function_error(INSERT, why));
        }
        all.insert(key, value);
    }
    Ok(Value::Map(Map { map: Arc::new(all) }))
}
