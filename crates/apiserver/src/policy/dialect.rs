//! What expressions of policies mean beyond what the evaluator knows.
//!
//! An expression is rewritten before its first evaluation; [`context`] has the functions that it then calls, and [`bind`]
//! gives it its variables:
//!
//! - fields of an object that is null are absent (`@object.spec` instead of `object.spec`),
//! - `a.?b[?c].d` is optional all along,
//! - maps are gone through in the order of their keys, so that a run gives the same text each time,
//! - `string` and `bool` of what they know on a real server, and `dyn`.

use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use kube_cel::cel::objects::{Key, OptionalValue};
use kube_cel::cel::{Context, ExecutionError, Program, Value};

/// The variables that may be null, each of which has a twin that is empty instead.
const ROOTS: [&str; 4] = ["object", "oldObject", "params", "namespaceObject"];
const OPTIONAL: &str = "@optional";
const ORDERED: &str = "@ordered";

/// Rewrites an expression.
pub(super) fn rewrite(ided: &mut IdedExpr) {
    match &mut ided.expr {
        Expr::Select(select) => {
            rewrite(&mut select.operand);
            never_null(&mut select.operand);
            if !select.test && is_optional(&select.operand) {
                let operand = std::mem::take(&mut *select.operand);
                let literal = Expr::Literal(LiteralValue::String(select.field.clone().into()));
                let field = IdedExpr {
                    id: ided.id,
                    expr: literal,
                };
                ided.expr = optional(operand, field);
            }
        }
        Expr::Call(call) => {
            if let Some(target) = &mut call.target {
                rewrite(target);
            }
            call.args.iter_mut().for_each(rewrite);
            if !matches!(call.func_name.as_str(), "_[_]" | "_?._" | "_[?_]") {
                return;
            }
            let Some(operand) = call.args.first_mut() else {
                return;
            };
            never_null(operand);
            if call.func_name != "_[_]" || is_optional(operand) {
                OPTIONAL.clone_into(&mut call.func_name);
            }
        }
        Expr::Comprehension(loops) => {
            for part in [
                &mut loops.iter_range,
                &mut loops.accu_init,
                &mut loops.loop_cond,
                &mut loops.loop_step,
                &mut loops.result,
            ] {
                rewrite(part);
            }
            let range = std::mem::take(&mut loops.iter_range);
            loops.iter_range = IdedExpr {
                id: range.id,
                expr: Expr::Call(CallExpr {
                    func_name: ORDERED.to_owned(),
                    target: None,
                    args: vec![range],
                }),
            };
        }
        Expr::List(list) => list.elements.iter_mut().for_each(rewrite),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    rewrite(&mut entry.key);
                    rewrite(&mut entry.value);
                }
            }
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}

fn never_null(operand: &mut IdedExpr) {
    if let Expr::Ident(name) = &mut operand.expr
        && ROOTS.contains(&name.as_str())
    {
        name.insert(0, '@');
    }
}

fn is_optional(operand: &IdedExpr) -> bool {
    matches!(&operand.expr, Expr::Call(call) if call.func_name == OPTIONAL)
}

fn optional(operand: IdedExpr, field: IdedExpr) -> Expr {
    Expr::Call(CallExpr {
        func_name: OPTIONAL.to_owned(),
        target: None,
        args: vec![operand, field],
    })
}

/// A context with all functions and no variables.
pub(super) fn context() -> Context<'static> {
    let mut context = Context::default();
    context.register_all();
    context.add_function(OPTIONAL, |operand: Value, key: Value| part(&operand, &key));
    context.add_function(ORDERED, |range: Value| -> Result<Value, ExecutionError> {
        Ok(ordered(range))
    });
    context.add_function("dyn", |value: Value| -> Result<Value, ExecutionError> {
        Ok(value)
    });
    context.add_function("bool", |value: Value| as_bool(&value));
    context.add_function("string", |value: Value| as_string(value));
    context
}

/// Binds a variable, and its twin if it has one.
pub(super) fn bind(context: &mut Context<'_>, name: &str, value: &Value) {
    if ROOTS.contains(&name) {
        let twin = match value {
            Value::Null => super::expression::map(std::iter::empty()),
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
        Value::String(text) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        },
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
    let mut context = Context::default();
    context.register_all();
    context.add_variable_from_value("value", value);
    let program = Program::compile("string(value)")
        .map_err(|error| ExecutionError::function_error("string", error.to_string()))?;
    program.execute(&context)
}
