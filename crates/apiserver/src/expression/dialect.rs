//! What expressions mean beyond what the evaluator knows.
//!
//! An expression is rewritten before its first evaluation; [`context`] has the functions that it then calls, and [`bind`]
//! gives it its variables:
//!
//! - fields of an object that is null are absent (`@object.spec` instead of `object.spec`),
//! - `a.?b[?c].d` is optional all along, as is what is in an `oldSelf` that is optional,
//! - `optMap`, `optFlatMap` and macros of two variables are expanded ([`expand`]),
//! - maps are gone through in the order of their keys, so that a run gives the same text each time,
//! - `string` and `bool` of what they know on a real server, `dyn`, and `type` with the names of types.

use std::sync::{Arc, LazyLock};

use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr, IdedExpr, ListExpr, LiteralValue,
};
use kube_cel::cel::objects::{Key, OptionalValue};
use kube_cel::cel::{Context, ExecutionError, Value};
use wavetank_model::boolean;

use super::pairs::{self, INSERT, MERGE, PAIRS};
use super::parts::parts;
use super::words::TYPES;

/// The variables that may be null, each of which has a twin that is empty instead.
const ROOTS: [&str; 4] = ["object", "oldObject", "params", "namespaceObject"];
const OPTIONAL: &str = "@optional";
const ORDERED: &str = "@ordered";

/// Rewrites an expression; `optional` names a variable that holds an optional.
pub(super) fn rewrite(ided: &mut IdedExpr, optional: Option<&str>) {
    for part in parts(ided) {
        rewrite(part, optional);
    }
    match &mut ided.expr {
        Expr::Select(select) => {
            never_null(&mut select.operand);
            if is_optional(&select.operand, optional) {
                let operand = std::mem::take(&mut *select.operand);
                let literal = Expr::Literal(LiteralValue::String(select.field.clone().into()));
                let part = call(OPTIONAL, None, vec![operand, with_id(ided.id, literal)]);
                ided.expr = if select.test {
                    call("hasValue", Some(with_id(ided.id, part)), Vec::new())
                } else {
                    part
                };
            }
        }
        Expr::Call(call) => {
            if !matches!(call.func_name.as_str(), "_[_]" | "_?._" | "_[?_]") {
                return;
            }
            let Some(operand) = call.args.first_mut() else {
                return;
            };
            never_null(operand);
            if call.func_name != "_[_]" || is_optional(operand, optional) {
                OPTIONAL.clone_into(&mut call.func_name);
            }
        }
        Expr::Comprehension(loops) => {
            let range = std::mem::take(&mut loops.iter_range);
            loops.iter_range = with_id(range.id, call(ORDERED, None, vec![range]));
        }
        _ => {}
    }
}

fn never_null(operand: &mut IdedExpr) {
    if let Expr::Ident(name) = &mut operand.expr
        && ROOTS.contains(&name.as_str())
    {
        name.insert(0, '@');
    }
}

fn is_optional(operand: &IdedExpr, optional: Option<&str>) -> bool {
    match &operand.expr {
        Expr::Call(call) => call.func_name == OPTIONAL,
        Expr::Ident(name) => Some(name.as_str()) == optional,
        _ => false,
    }
}

pub(super) fn with_id(id: u64, expr: Expr) -> IdedExpr {
    IdedExpr { id, expr }
}

pub(super) fn call(function: &str, target: Option<IdedExpr>, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr {
        func_name: function.to_owned(),
        target: target.map(Box::new),
        args,
    })
}

/// Expands `x.optMap(name, mapped)`, `x.optFlatMap(name, mapped)` and macros of two variables.
pub(super) fn expand(ided: &mut IdedExpr) {
    parts(ided).into_iter().for_each(expand);
    let id = ided.id;
    if let Expr::Call(call) = &ided.expr
        && let Some(range) = &call.target
        && let Some(loops) = pairs::expanded(id, &call.func_name, range, &call.args)
    {
        ided.expr = loops;
        return;
    }
    if let Expr::Call(mapping) = &mut ided.expr
        && let wraps = mapping.func_name == "optMap"
        && (wraps || mapping.func_name == "optFlatMap")
        && let Some(target) = mapping.target.take()
        && let Ok([name, mapped]) = <[IdedExpr; 2]>::try_from(std::mem::take(&mut mapping.args))
        && let Expr::Ident(name) = name.expr
    {
        ided.expr = mapped_optional(id, *target, name, mapped, wraps);
    }
}

/// `body`, which knows `value` by `name`: the end of going through no items with the value.
pub(super) fn bound(id: u64, name: String, value: IdedExpr, body: IdedExpr) -> Expr {
    let made = |expr: Expr| with_id(id, expr);
    Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: made(Expr::List(ListExpr {
            elements: Vec::new(),
            optional_indices: Vec::new(),
        })),
        iter_var: "@unused".to_owned(),
        iter_var2: None,
        accu_var: name.clone(),
        accu_init: value,
        loop_cond: made(Expr::Literal(LiteralValue::Boolean(false.into()))),
        loop_step: made(Expr::Ident(name)),
        result: body,
    }))
}

/// `target.hasValue() ? optional.of(mapped) : optional.none()`, where `mapped` knows the value by `name`.
fn mapped_optional(id: u64, target: IdedExpr, name: String, mapped: IdedExpr, wraps: bool) -> Expr {
    let made = |expr: Expr| with_id(id, expr);
    let optional = |function: &str, args: Vec<IdedExpr>| {
        let of = made(Expr::Ident("optional".to_owned()));
        made(call(function, Some(of), args))
    };
    let has_value = made(call("hasValue", Some(target.clone()), Vec::new()));
    let value = made(call("value", Some(target), Vec::new()));
    let bound = made(bound(id, name, value, mapped));
    let some = if wraps {
        optional("of", vec![bound])
    } else {
        bound
    };
    call(
        "_?_:_",
        None,
        vec![has_value, some, optional("none", Vec::new())],
    )
}

/// All functions of [`context`] and the names of types. There are more than a hundred: they are gathered once.
static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut context = Context::default();
    context.register_all();
    context.add_function(OPTIONAL, |operand: Value, key: Value| part(&operand, &key));
    context.add_function(ORDERED, |range: Value| -> Result<Value, ExecutionError> {
        Ok(ordered(range))
    });
    context.add_function(PAIRS, |range: Value| pairs::pairs(&range));
    context.add_function(INSERT, |map: Value, key: Value, value: Value| {
        pairs::insert(&map, key, value)
    });
    context.add_function(MERGE, |map: Value, more: Value| pairs::merge(&map, &more));
    context.add_function("dyn", |value: Value| -> Result<Value, ExecutionError> {
        Ok(value)
    });
    context.add_function("bool", |value: Value| as_bool(&value));
    context.add_function("string", |value: Value| as_string(value));
    context.add_function("type", |value: Value| type_of(&value));
    for name in TYPES {
        context.add_variable_from_value(name, type_named(name));
    }
    context
});

/// The evaluator's own functions, which those of [`FUNCTIONS`] hide.
static CONVERSIONS: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut context = Context::default();
    context.register_all();
    context
});

/// A context with all functions and no variables.
pub(crate) fn context() -> Context<'static> {
    FUNCTIONS.new_inner_scope()
}

/// Binds a variable, and its twin if it has one.
pub(crate) fn bind(context: &mut Context<'_>, name: &str, value: &Value) {
    if ROOTS.contains(&name) {
        let twin = match value {
            Value::Null => super::map(std::iter::empty()),
            known => known.clone(),
        };
        context.add_variable_from_value(format!("@{name}"), twin);
    }
    context.add_variable_from_value(name, value.clone());
}

/// The part of a map or list, as an optional; of an optional too.
fn part(operand: &Value, key: &Value) -> Result<Value, ExecutionError> {
    let inner = match <&OptionalValue>::try_from(operand) {
        Ok(optional) => optional.value(),
        Err(_) => Some(operand),
    };
    let found = match (inner, key) {
        (None, _) => None,
        (Some(Value::Map(map)), Value::String(name)) => {
            map.map.get(&Key::String(Arc::clone(name))).cloned()
        }
        (Some(Value::Map(map)), Value::Int(number)) => map.map.get(&Key::Int(*number)).cloned(),
        (Some(Value::Map(map)), Value::Bool(flag)) => map.map.get(&Key::Bool(*flag)).cloned(),
        (Some(Value::List(list)), Value::Int(index)) => usize::try_from(*index)
            .ok()
            .and_then(|index| list.get(index))
            .cloned(),
        _ => return Err(ExecutionError::NoSuchOverload),
    };
    let optional = found.map_or_else(OptionalValue::none, OptionalValue::of);
    Ok(Value::Opaque(Arc::new(optional)))
}

/// The keys of a map in their order; anything else as it is.
fn ordered(range: Value) -> Value {
    let Value::Map(map) = &range else {
        return range;
    };
    let mut keys: Vec<&Key> = map.map.keys().collect();
    keys.sort();
    Value::List(Arc::new(
        keys.into_iter()
            .map(|key| Value::from(key.clone()))
            .collect(),
    ))
}

fn as_bool(value: &Value) -> Result<Value, ExecutionError> {
    let known = match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => boolean::parse(text),
        _ => return Err(ExecutionError::NoSuchOverload),
    };
    known.map(Value::Bool).ok_or_else(|| {
        ExecutionError::function_error("bool", "type conversion error from 'string' to 'bool'")
    })
}

fn as_string(value: Value) -> Result<Value, ExecutionError> {
    if let Value::Bool(flag) = value {
        return Ok(Value::String(Arc::new(flag.to_string())));
    }
    // The other conversions are those of the evaluator, which the function above hides.
    converted("string", value)
}

/// A value as a function of the evaluator (`string`, `timestamp`, `duration`) converts it.
///
/// # Errors
/// That of the evaluator, for what cannot be converted.
pub(crate) fn converted(function: &str, value: Value) -> Result<Value, ExecutionError> {
    let mut context = CONVERSIONS.new_inner_scope();
    context.add_variable_from_value("value", value);
    let value = with_id(2, Expr::Ident("value".to_owned()));
    let conversion = with_id(1, call(function, None, vec![value]));
    Value::resolve(&conversion, &context)
}

/// The value that stands for a type: its name, told apart from texts.
fn type_named(name: &str) -> Value {
    Value::List(Arc::new(vec![
        Value::Null,
        Value::String(Arc::new(name.to_owned())),
    ]))
}

fn type_of(value: &Value) -> Result<Value, ExecutionError> {
    let name = match value {
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::UInt(_) => "uint",
        Value::Float(_) => "double",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::Null => "null_type",
        Value::List(_) => "list",
        Value::Map(_) => "map",
        _ => return Err(ExecutionError::NoSuchOverload),
    };
    Ok(type_named(name))
}
