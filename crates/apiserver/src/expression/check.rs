//! What can be told of an expression before it is evaluated.
//!
//! `kube-cel` has no type checker. What stands at the outside of an expression mostly says its type, so that an
//! expression of another type than the wanted one is refused as a real server does, and so is one that uses a name, a
//! field or an operator that is certainly wrong; what cannot be told is let pass. Of several mistakes the first is told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr,
};

use super::parse;
use super::words::{FUNCTIONS, NAMESPACES, REQUEST_FIELDS, TYPES, UNSUPPORTED};

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
    /// An object with these fields and no others.
    Object(Arc<BTreeMap<String, Self>>),
    /// There or not.
    Optional(Box<Self>),
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
            Self::Object(_) => f.write_str("object"),
            Self::Optional(inner) => write!(f, "optional_type({inner})"),
        }
    }
}

impl Type {
    /// Whether it is certain, and has no parts.
    fn is_scalar(&self) -> bool {
        matches!(
            self,
            Self::Bool
                | Self::Int
                | Self::Uint
                | Self::Double
                | Self::String
                | Self::Bytes
                | Self::Null
        )
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }
}

/// Which names an expression may use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    names: BTreeMap<&'static str, Type>,
    /// Whether it is an expression of a policy.
    policy: bool,
    /// The types of the `variables` so far; `None` where none may be used.
    pub(crate) variables: Option<BTreeMap<String, Type>>,
}

impl Scope {
    /// The names of expressions of policies; `params` says whether there are any.
    pub(crate) fn policy(params: bool, variables: Option<BTreeMap<String, Type>>) -> Self {
        let mut names = BTreeMap::from([
            ("object", Type::Dyn),
            ("oldObject", Type::Dyn),
            ("request", Type::Unknown),
            ("namespaceObject", Type::Unknown),
        ]);
        if params {
            names.insert("params", Type::Dyn);
        }
        Self {
            names,
            policy: true,
            variables,
        }
    }

    /// The names of a rule for values of one type.
    pub(crate) fn rule(of: Type, optional_old: bool) -> Self {
        let old = if optional_old {
            Type::Optional(Box::new(of.clone()))
        } else {
            of.clone()
        };
        Self {
            names: BTreeMap::from([("self", of), ("oldSelf", old)]),
            policy: false,
            variables: None,
        }
    }
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
pub(super) fn problem_at(text: &str, line: usize, column: usize, why: &str) -> String {
    let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let dots = ".".repeat(column.saturating_sub(1));
    format!("ERROR: <input>:{line}:{column}: {why}\n | {shown}\n | {dots}^")
}

/// Line and column (from 1) where a name first stands by itself, outside of quotes. A name that begins with a dot is a
/// field or method, one that ends with a parenthesis a function: the place is that of the dot, or of the parenthesis.
fn place_of(text: &str, name: &str) -> Option<(usize, usize)> {
    let bare = name.trim_start_matches('.').trim_end_matches('(');
    let word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let is_word = bare.starts_with(word);
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
                && (!is_word || at == 0 || !word(letters[at - 1]))
                && (!is_word || letters.get(end).is_none_or(|letter| !word(*letter)));
            if !fits {
                continue;
            }
            let dot = match letters[..at] {
                [.., '.'] => Some(at),
                [.., '.', '?'] => Some(at - 1),
                _ => None,
            };
            if name.ends_with('(') {
                return Some((index + 1, end + 1));
            }
            if dot.is_some() == name.starts_with('.') {
                return Some((index + 1, dot.unwrap_or(at + 1)));
            }
        }
    }
    None
}

/// A type, or the name that is wrong and why.
type Found = Result<Type, (String, String)>;
type Locals = Vec<(String, Type)>;

fn infer(ided: &IdedExpr, scope: &Scope, locals: &mut Locals) -> Found {
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
        Expr::Comprehension(loops) => gone_through(loops, scope, locals),
        Expr::Struct(_) | Expr::Unspecified => Ok(Type::Unknown),
    }
}

/// The type of a macro: `all`, `map` and so on, or a name bound to a value, which goes through an empty list.
fn gone_through(loops: &ComprehensionExpr, scope: &Scope, locals: &mut Locals) -> Found {
    let range = infer(&loops.iter_range, scope, locals)?;
    let binds = matches!(&loops.iter_range.expr, Expr::List(list) if list.elements.is_empty());
    let before = locals.len();
    let start = infer(&loops.accu_init, scope, locals)?;
    let (one, two) = match range {
        Type::List(item) if loops.iter_var2.is_none() => (*item, Type::Unknown),
        Type::List(item) => (Type::Int, *item),
        Type::Map(key, value) => (*key, *value),
        _ => (Type::Unknown, Type::Unknown),
    };
    locals.push((loops.iter_var.clone(), one));
    locals.extend(loops.iter_var2.clone().map(|name| (name, two)));
    let collected = if binds { start.clone() } else { Type::Unknown };
    locals.push((loops.accu_var.clone(), collected));
    let step = infer(&loops.loop_step, scope, locals).map(|_| ());
    let result = infer(&loops.result, scope, locals);
    locals.truncate(before);
    step?;
    Ok(match (result?, start) {
        (Type::Unknown, Type::Bool) if !binds => Type::Bool,
        (found, _) => found,
    })
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

fn named(name: &str, scope: &Scope, locals: &Locals) -> Found {
    if let Some((_, found)) = locals.iter().rev().find(|(local, _)| local == name) {
        return Ok(found.clone());
    }
    if let Some(found) = scope.names.get(name) {
        return Ok(found.clone());
    }
    match name {
        "variables" if scope.variables.is_some() => Ok(Type::Unknown),
        "authorizer" if scope.policy => Err((
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

fn selected(select: &SelectExpr, scope: &Scope, locals: &mut Locals) -> Found {
    let field = select.field.as_str();
    let undefined = || Err((format!(".{field}"), format!("undefined field '{field}'")));
    let of = infer(&select.operand, scope, locals)?;
    let is_local = |name: &String| locals.iter().any(|(local, _)| local == name);
    let found = match &select.operand.expr {
        Expr::Ident(name) if name == "variables" && !is_local(name) => {
            match scope.variables.as_ref().and_then(|all| all.get(field)) {
                Some(found) => found.clone(),
                None => return undefined(),
            }
        }
        Expr::Ident(name) if scope.policy && name == "request" && !is_local(name) => {
            match REQUEST_FIELDS.iter().find(|(known, _)| *known == field) {
                Some((_, true)) => Type::String,
                Some((_, false)) => Type::Unknown,
                None => return undefined(),
            }
        }
        _ => field_of(of, field)?,
    };
    Ok(if select.test { Type::Bool } else { found })
}

fn field_of(of: Type, field: &str) -> Found {
    match of {
        Type::Dyn => Ok(Type::Dyn),
        Type::Map(_, value) => Ok(*value),
        Type::Object(fields) => match fields.get(field) {
            Some(found) => Ok(found.clone()),
            None => Err((format!(".{field}"), format!("undefined field '{field}'"))),
        },
        Type::Optional(inner) => {
            field_of(*inner, field).map(|found| Type::Optional(Box::new(found)))
        }
        scalar if scalar.is_scalar() && scalar != Type::Null => Err((
            format!(".{field}"),
            format!("type '{scalar}' does not support field selection"),
        )),
        _ => Ok(Type::Unknown),
    }
}

fn called(call: &CallExpr, scope: &Scope, locals: &mut Locals) -> Found {
    let name = call.func_name.as_str();
    if UNSUPPORTED.contains(&name) {
        let why = format!("'{name}' is not supported here: wavetank cannot evaluate it");
        return Err((format!("{name}("), why));
    }
    let mut in_namespace = false;
    let mut target = None;
    if let Some(of) = &call.target {
        in_namespace =
            matches!(&of.expr, Expr::Ident(ident) if NAMESPACES.contains(&ident.as_str()));
        if !in_namespace {
            target = Some(infer(of, scope, locals)?);
        }
    }
    let mut arguments = Vec::new();
    for argument in &call.args {
        arguments.push(infer(argument, scope, locals)?);
    }
    if matches!(name, "_&&_" | "_||_") {
        let known = call.args.iter().zip(&arguments);
        let mut wrong = known.filter(|(_, found)| found.is_scalar() && **found != Type::Bool);
        if let Some((argument, found)) = wrong.next() {
            let why = format!("expected type 'bool' but found '{found}'");
            return Err((name_of(argument), why));
        }
    }
    if let Some(why) = misapplied(name, &arguments) {
        return Err((operator(name).to_owned(), why));
    }
    let optional = |found: Type| match found {
        Type::Optional(_) => found,
        found => Type::Optional(Box::new(found)),
    };
    match (name, arguments.as_slice()) {
        ("_&&_" | "_||_" | "!_" | "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" | "@in", _) => {
            Ok(Type::Bool)
        }
        ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [left, right]) => {
            Ok(if *left == Type::Dyn { right } else { left }.clone())
        }
        ("-_", [one]) => Ok(one.clone()),
        ("_?_:_", [_, yes, no]) if yes == no => Ok(yes.clone()),
        ("_?._", [of, _]) => match call.args.get(1).map(|field| &field.expr) {
            Some(Expr::Literal(LiteralValue::String(field))) => {
                field_of(of.clone(), field.inner()).map(optional)
            }
            _ => Ok(Type::Unknown),
        },
        ("_[_]", [of, _]) => Ok(item_of(of)),
        ("_[?_]", [of, _]) => Ok(optional(item_of(of))),
        ("value" | "orValue", _) => Ok(match target {
            Some(Type::Optional(inner)) => *inner,
            _ => Type::Unknown,
        }),
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

/// The first sign of an operator: `[` of `_[_]`.
fn operator(function: &str) -> &str {
    let mut signs = function.split('_').filter(|sign| !sign.is_empty());
    signs.next().unwrap_or_default()
}

/// What [`place_of`] finds an expression by.
fn name_of(ided: &IdedExpr) -> String {
    match &ided.expr {
        Expr::Select(select) => format!(".{}", select.field),
        Expr::Ident(name) => name.clone(),
        Expr::Call(call) if call.func_name.starts_with('_') => operator(&call.func_name).to_owned(),
        Expr::Call(call) => format!("{}(", call.func_name),
        _ => String::new(),
    }
}

fn item_of(of: &Type) -> Type {
    match of {
        Type::Dyn => Type::Dyn,
        Type::List(item) => Type::clone(item),
        Type::Map(_, value) => Type::clone(value),
        Type::Optional(inner) => Type::Optional(Box::new(item_of(inner))),
        _ => Type::Unknown,
    }
}

/// Why an operator cannot have these operands, when that is certain.
fn misapplied(operator: &str, arguments: &[Type]) -> Option<String> {
    let wrong = match (operator, arguments) {
        ("_&&_" | "_||_" | "!_", all) => {
            all.iter().any(|one| one.is_scalar() && *one != Type::Bool)
        }
        ("_==_" | "_!=_" | "_+_" | "_-_" | "_*_" | "_/_" | "_%_", [left, right]) => {
            left.is_scalar() && right.is_scalar() && left != right
        }
        ("_<_" | "_<=_" | "_>_" | "_>=_", [left, right]) => {
            let numbers = left.is_number() && right.is_number();
            left.is_scalar() && right.is_scalar() && left != right && !numbers
        }
        ("_[_]", [of, _]) => of.is_scalar(),
        _ => false,
    };
    wrong.then(|| {
        let names: Vec<String> = arguments
            .iter()
            .map(|one| match one {
                Type::Null => "null".to_owned(),
                other => other.to_string(),
            })
            .collect();
        let names = names.join(", ");
        format!("found no matching overload for '{operator}' applied to '({names})'")
    })
}
