//! One CEL expression of a policy: checked when the policy is written, evaluated with its requests.
//!
//! `kube-cel` has no type checker. What stands at the outside of an expression mostly says its type, so that an
//! expression of another type than the wanted one is refused as a real server does; what cannot be told is let pass.

pub(crate) mod dialect;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr};
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::parser::Parser;
use kube_cel::cel::{Context, ExecutionError, Value as CelValue};
use serde_json::Value;

use words::{FUNCTIONS, NAMESPACES, REQUEST_FIELDS, TYPES, UNSUPPORTED};

/// What can be told of the type of an expression without a type checker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Null,
    /// Known when it is evaluated: objects and what is in them.
    Dyn,
    List(Box<Self>),
    Map(Box<Self>, Box<Self>),
    /// Cannot be told here.
    Unknown,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Null => f.write_str("null_type"),
            Self::Dyn | Self::Unknown => f.write_str("dyn"),
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
        }
    }
}

/// Which names an expression may use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// Whether there are `params`.
    pub(crate) params: bool,
    /// The types of the `variables` so far; `None` where none may be used.
    pub(crate) variables: Option<BTreeMap<String, Type>>,
}

/// An expression that can be evaluated.
#[derive(Debug)]
pub(crate) struct Expression {
    /// As it was written.
    pub(crate) text: String,
    ast: Result<IdedExpr, String>,
}

impl Expression {
    /// Reads an expression; one that cannot be read fails when it is evaluated.
    pub(crate) fn new(text: &str) -> Self {
        let ast = parse(text).map(|mut ast| {
            dialect::rewrite(&mut ast);
            ast
        });
        Self {
            text: text.to_owned(),
            ast,
        }
    }

    /// Its value, or why there is none, in the words of a real server.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> Result<CelValue, String> {
        let ast = self.ast.as_ref().map_err(Clone::clone)?;
        CelValue::resolve(ast, context).map_err(|error| told(&error))
    }
}

fn parse(text: &str) -> Result<IdedExpr, String> {
    let parser = Parser::default().enable_optional_syntax(true);
    parser.parse(text).map_err(|errors| {
        let lines: Vec<String> = errors
            .errors
            .iter()
            .map(|error| {
                let at = |number: isize| usize::try_from(number).unwrap_or(1);
                problem_at(text, at(error.pos.0), at(error.pos.1), &error.msg)
            })
            .collect();
        lines.join("\n")
    })
}

/// The type of an expression, or why it does not compile.
pub(crate) fn check(text: &str, scope: &Scope) -> Result<Type, String> {
    let ast = parse(text)?;
    infer(&ast, scope, &mut Vec::new()).map_err(|(name, why)| {
        let (line, column) = place_of(text, &name).unwrap_or((1, 1));
        problem_at(text, line, column, &why)
    })
}

/// A problem with the line it is in, as cel-go shows it.
fn problem_at(text: &str, line: usize, column: usize, why: &str) -> String {
    let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let dots = ".".repeat(column.saturating_sub(1));
    format!("ERROR: <input>:{line}:{column}: {why}\n | {shown}\n | {dots}^")
}

/// Line and column (from 1) where a name first stands by itself, outside of quotes. A name that begins with a dot is a
/// field or method, one that ends with a parenthesis a function: the place is that of the dot, or of the parenthesis.
fn place_of(text: &str, name: &str) -> Option<(usize, usize)> {
    let bare = name.trim_start_matches('.').trim_end_matches('(');
    let word = |letter: char| letter.is_alphanumeric() || letter == '_';
    for (index, line) in text.lines().enumerate() {
        let letters: Vec<char> = line.chars().collect();
        let mut quote = None;
        for at in 0..letters.len() {
            match (quote, letters[at]) {
                (Some(open), letter) if letter == open => quote = None,
                (None, letter @ ('\'' | '"')) => quote = Some(letter),
                _ => {}
            }
            let end = at + bare.chars().count();
            let fits = quote.is_none()
                && letters[at..]
                    .iter()
                    .copied()
                    .zip(bare.chars())
                    .filter(|(a, b)| a == b)
                    .count()
                    == bare.chars().count()
                && end <= letters.len()
                && (at == 0 || !word(letters[at - 1]))
                && letters.get(end).is_none_or(|letter| !word(*letter));
            if !fits {
                continue;
            }
            let field = at > 0 && letters[at - 1] == '.';
            if name.ends_with('(') {
                return Some((index + 1, end + 1));
            }
            if field == name.starts_with('.') {
                return Some((index + 1, if field { at } else { at + 1 }));
            }
        }
    }
    None
}

type Found = Result<Type, (String, String)>;

fn infer(ided: &IdedExpr, scope: &Scope, locals: &mut Vec<String>) -> Found {
    match &ided.expr {
        Expr::Literal(literal) => Ok(match literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Bytes(_) => Type::Bytes,
            LiteralValue::Double(_) => Type::Double,
            LiteralValue::Int(_) => Type::Int,
            LiteralValue::Null => Type::Null,
            LiteralValue::String(_) => Type::String,
            LiteralValue::UInt(_) => Type::Uint,
        }),
        Expr::Ident(name) => named(name, scope, locals),
        Expr::Select(select) => selected(select, scope, locals),
        Expr::Call(call) => called(call, scope, locals),
        Expr::List(list) => {
            let mut items = Vec::new();
            for item in &list.elements {
                items.push(infer(item, scope, locals)?);
            }
            Ok(Type::List(Box::new(common(items))))
        }
        Expr::Map(map) => {
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    keys.push(infer(&entry.key, scope, locals)?);
                    values.push(infer(&entry.value, scope, locals)?);
                }
            }
            Ok(Type::Map(Box::new(common(keys)), Box::new(common(values))))
        }
        Expr::Comprehension(loops) => {
            infer(&loops.iter_range, scope, locals)?;
            let before = locals.len();
            let start = infer(&loops.accu_init, scope, locals)?;
            locals.push(loops.iter_var.clone());
            locals.extend(loops.iter_var2.clone());
            locals.push(loops.accu_var.clone());
            let step = infer(&loops.loop_step, scope, locals).map(|_| ());
            let result = infer(&loops.result, scope, locals);
            locals.truncate(before);
            step?;
            Ok(match (result?, start) {
                (Type::Unknown, Type::Bool) => Type::Bool,
                (found, _) => found,
            })
        }
        Expr::Struct(_) | Expr::Unspecified => Ok(Type::Unknown),
    }
}

/// The type that all have, or none.
fn common(types: Vec<Type>) -> Type {
    let mut types = types.into_iter();
    let first = types.next().unwrap_or(Type::Dyn);
    if types.all(|other| other == first) {
        first
    } else {
        Type::Dyn
    }
}

fn named(name: &str, scope: &Scope, locals: &[String]) -> Found {
    if locals.iter().any(|local| local == name) {
        return Ok(Type::Unknown);
    }
    match name {
        "object" | "oldObject" => Ok(Type::Dyn),
        "params" if scope.params => Ok(Type::Dyn),
        "variables" if scope.variables.is_some() => Ok(Type::Unknown),
        "request" | "namespaceObject" => Ok(Type::Unknown),
        "authorizer" => Err((
            name.to_owned(),
            "authorizer is not supported here: nothing is authorized in a policy".to_owned(),
        )),
        _ if TYPES.contains(&name) => Ok(Type::Unknown),
        _ => Err((
            name.to_owned(),
            format!("undeclared reference to '{name}' (in container '')"),
        )),
    }
}

fn selected(select: &SelectExpr, scope: &Scope, locals: &mut Vec<String>) -> Found {
    let field = select.field.as_str();
    let undefined = || Err((format!(".{field}"), format!("undefined field '{field}'")));
    let of = infer(&select.operand, scope, locals)?;
    let found = match (&select.operand.expr, of) {
        (Expr::Ident(name), _) if name == "variables" && !locals.contains(name) => {
            match scope.variables.as_ref().and_then(|all| all.get(field)) {
                Some(found) => found.clone(),
                None => return undefined(),
            }
        }
        (Expr::Ident(name), _) if name == "request" && !locals.contains(name) => {
            match REQUEST_FIELDS.iter().find(|(known, _)| *known == field) {
                Some((_, true)) => Type::String,
                Some((_, false)) => Type::Unknown,
                None => return undefined(),
            }
        }
        (_, Type::Dyn) => Type::Dyn,
        (_, Type::Map(_, value)) => *value,
        _ => Type::Unknown,
    };
    Ok(if select.test { Type::Bool } else { found })
}

fn called(call: &CallExpr, scope: &Scope, locals: &mut Vec<String>) -> Found {
    let name = call.func_name.as_str();
    if UNSUPPORTED.contains(&name) {
        let why = format!("'{name}' is not supported here: wavetank cannot evaluate it");
        return Err((format!("{name}("), why));
    }
    let mut in_namespace = false;
    if let Some(target) = &call.target {
        in_namespace =
            matches!(&target.expr, Expr::Ident(ident) if NAMESPACES.contains(&ident.as_str()));
        if !in_namespace {
            infer(target, scope, locals)?;
        }
    }
    let mut arguments = Vec::new();
    for argument in &call.args {
        arguments.push(infer(argument, scope, locals)?);
    }
    match (name, arguments.as_slice()) {
        ("_&&_" | "_||_" | "!_" | "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" | "@in", _) => {
            Ok(Type::Bool)
        }
        ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [left, right]) => {
            Ok(if *left == Type::Dyn { right } else { left }.clone())
        }
        ("-_", [one]) => Ok(one.clone()),
        ("_?_:_", [_, yes, no]) if yes == no => Ok(yes.clone()),
        ("_[_]", [Type::Dyn, _]) => Ok(Type::Dyn),
        ("_[_]", [Type::List(item), _]) => Ok(Type::clone(item)),
        ("_[_]", [Type::Map(_, value), _]) => Ok(Type::clone(value)),
        _ => match FUNCTIONS.iter().find(|(known, _)| *known == name) {
            Some((_, result)) => Ok(result.clone()),
            None if !in_namespace && name.starts_with(char::is_alphabetic) => Err((
                format!("{name}("),
                format!("undeclared reference to '{name}' (in container '')"),
            )),
            None => Ok(Type::Unknown),
        },
    }
}

/// Why an evaluation failed, in the words of cel-go.
fn told(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::IndexOutOfBounds(CelValue::Int(at)) => format!("index out of bounds: {at}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::FunctionError { message, .. } => message.clone(),
        ExecutionError::UndeclaredReference(name) => format!("undeclared reference to '{name}'"),
        _ => "no such overload".to_owned(),
    }
}

/// JSON as a value of CEL: keys as they are, whole numbers signed where they fit.
pub(crate) fn value(json: &Value) -> CelValue {
    match json {
        Value::Null => CelValue::Null,
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => CelValue::Int(number),
            (None, Some(number)) => CelValue::UInt(number),
            (None, None) => CelValue::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(value).collect())),
        Value::Object(fields) => map(fields
            .iter()
            .map(|(name, json)| (name.clone(), value(json)))),
    }
}

/// A map with names for keys.
pub(crate) fn map(fields: impl Iterator<Item = (String, CelValue)>) -> CelValue {
    let map = fields
        .map(|(name, value)| (Key::String(Arc::new(name)), value))
        .collect();
    CelValue::Map(Map { map: Arc::new(map) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> String {
        let variables = BTreeMap::from([("a".to_owned(), Type::Int)]);
        let scope = Scope {
            params: false,
            variables: Some(variables),
        };
        match check(text, &scope) {
            Ok(found) => found.to_string(),
            Err(why) => why,
        }
    }

    #[test]
    fn the_outside_of_an_expression_says_its_type() {
        for (text, wanted) in [
            ("object.a == 1", "bool"),
            ("!object.a", "bool"),
            ("object.a", "dyn"),
            ("object.a + 'x'", "string"),
            ("[1]", "list(int)"),
            ("{'a': 1}", "map(string, int)"),
            ("null", "null_type"),
            ("variables.a", "int"),
            ("size(object.a)", "int"),
            ("object.items.all(x, x > 1)", "bool"),
            ("object.items.exists_one(x, x > 1)", "bool"),
            ("has(object.a)", "bool"),
            ("request.name", "string"),
            ("object.?a.?b.orValue('x') == 'y'", "bool"),
            ("object.items.map(x, x.name).join(',')", "string"),
            ("sets.contains([1], [2])", "bool"),
            ("quantity(object.a).isGreaterThan(quantity('1'))", "bool"),
        ] {
            assert_eq!(checked(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_does_not_compile_says_where() {
        assert_eq!(
            checked("object.items.all(x, x == y)"),
            "ERROR: <input>:1:26: undeclared reference to 'y' (in container '')\n | object.items.all(x, x == y)\n | .........................^"
        );
        assert!(checked("variables.z").starts_with("ERROR: <input>:1:10: undefined field 'z'"));
        assert!(
            checked("object.nofn()")
                .starts_with("ERROR: <input>:1:12: undeclared reference to 'nofn'")
        );
        assert!(checked("authorizer.group('').check('x').allowed()").contains("not supported"));
        assert!(checked("params.a == 1").contains("undeclared reference to 'params'"));
    }

    fn evaluated(text: &str) -> String {
        let mut context = dialect::context();
        let object = serde_json::json!({"data": {"b": "1", "a": "2"}, "list": [1, 2]});
        dialect::bind(&mut context, "object", &value(&object));
        dialect::bind(&mut context, "oldObject", &CelValue::Null);
        match Expression::new(text).evaluate(&context) {
            Ok(CelValue::String(text)) => text.to_string(),
            Ok(other) => format!("{other:?}"),
            Err(why) => why,
        }
    }

    #[test]
    fn fields_of_null_are_absent() {
        assert_eq!(evaluated("oldObject == null"), "Bool(true)");
        assert_eq!(evaluated("has(oldObject.data)"), "Bool(false)");
        assert_eq!(evaluated("oldObject.data.a == '1'"), "no such key: data");
        assert_eq!(evaluated("oldObject['data'] == '1'"), "no such key: data");
        assert_eq!(evaluated("oldObject.?data.?a.orValue('x')"), "x");
    }

    #[test]
    fn optional_fields_are_optional_all_along() {
        assert_eq!(evaluated("object.?data.?a.orValue('x')"), "2");
        assert_eq!(evaluated("object.?data.nope.orValue('x')"), "x");
        assert_eq!(evaluated("object.?nope.deep[?'er'].orValue('x')"), "x");
        assert_eq!(evaluated("object.?data[?'b'].hasValue()"), "Bool(true)");
        assert_eq!(evaluated("object.list[?5].orValue(7)"), "Int(7)");
    }

    #[test]
    fn maps_are_gone_through_in_order() {
        let text = "object.data.map(k, k + object.data[k]).join(' ')";
        assert_eq!(evaluated(text), "a2 b1");
    }

    #[test]
    fn flags_are_texts_and_back() {
        let text = "string(true) + string(1) + string('x') + string(1.5)";
        assert_eq!(evaluated(text), "true1x1.5");
        assert_eq!(evaluated("bool('true') && dyn(true)"), "Bool(true)");
    }

    #[test]
    fn what_cannot_be_evaluated_here_is_refused() {
        for (text, name) in [
            ("type(object) == int", "type"),
            ("url('x').getHost() == 'x'", "getHost"),
        ] {
            assert!(
                checked(text).contains(&format!("'{name}' is not supported here")),
                "{text}"
            );
        }
    }
}
