//! CEL expressions, of policies and of rules in definitions: checked when they are written, evaluated with requests.
//!
//! `kube-cel` evaluates; [`dialect`] says what is meant beyond that, [`check`] what can be told without a type checker.

pub(crate) mod check;
pub(crate) mod dialect;
mod parts;
mod words;

use std::collections::BTreeSet;
use std::sync::Arc;

use kube_cel::cel::common::ast::{Expr, IdedExpr};
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::parser::Parser;
use kube_cel::cel::{Context, ExecutionError, Value as CelValue};
use wavetank_json::Value;

use check::problem_at;

/// How long a message may be that an expression gives, in bytes.
const LINE_LIMIT: usize = 5 * 1024;

/// Words of the language, which cannot be names.
pub(crate) const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// An expression that can be evaluated.
#[derive(Debug)]
pub(crate) struct Expression {
    /// As it was written.
    pub(crate) text: String,
    ast: Result<IdedExpr, String>,
    /// The names that stand in it.
    names: BTreeSet<String>,
}

impl Expression {
    /// Reads an expression; one that cannot be read fails when it is evaluated.
    pub(crate) fn new(text: &str) -> Self {
        Self::with_optional(text, None)
    }

    /// Reads an expression in which a variable may hold an optional: what is in it is optional too.
    pub(crate) fn with_optional(text: &str, variable: Option<&str>) -> Self {
        let mut names = BTreeSet::new();
        let ast = parse(text).map(|mut ast| {
            parts::names(&mut ast, &mut names);
            dialect::rewrite(&mut ast, variable);
            ast
        });
        Self {
            text: text.to_owned(),
            ast,
            names,
        }
    }

    /// Whether a variable stands in it.
    pub(crate) fn uses(&self, variable: &str) -> bool {
        self.names.contains(variable)
    }

    /// Its value, or why there is none, in the words of a real server.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> Result<CelValue, String> {
        let ast = self.ast.as_ref().map_err(Clone::clone)?;
        CelValue::resolve(ast, context).map_err(|error| told(&cause(ast, context, error)))
    }

    /// The one line that this gives as a message, if it does.
    pub(crate) fn line(&self, context: &Context<'_>) -> Option<String> {
        let Ok(CelValue::String(text)) = self.evaluate(context) else {
            return None;
        };
        let text = text.trim();
        let fits = !text.is_empty() && text.len() <= LINE_LIMIT && !text.contains(['\n', '\r']);
        fits.then(|| text.to_owned())
    }
}

/// Which error counts: where both sides of `&&` or `||` have one, that of the left.
fn cause(ided: &IdedExpr, context: &Context<'_>, error: ExecutionError) -> ExecutionError {
    if let Expr::Call(call) = &ided.expr
        && matches!(call.func_name.as_str(), "_&&_" | "_||_")
    {
        for side in &call.args {
            if let Err(error) = CelValue::resolve(side, context) {
                return cause(side, context, error);
            }
        }
    }
    error
}

fn parse(text: &str) -> Result<IdedExpr, String> {
    let parser = Parser::default().enable_optional_syntax(true);
    let mut ast = parser.parse(text).map_err(|errors| {
        let lines: Vec<String> = errors
            .errors
            .iter()
            .map(|error| {
                let at = |number: isize| usize::try_from(number).unwrap_or(1);
                problem_at(text, at(error.pos.0), at(error.pos.1), &error.msg)
            })
            .collect();
        lines.join("\n")
    })?;
    dialect::expand(&mut ast);
    Ok(ast)
}

/// Why an evaluation failed, in the words of cel-go.
fn told(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::IndexOutOfBounds(CelValue::Int(at)) => format!("index out of bounds: {at}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::FunctionError { function, message }
            if message.starts_with("string parse error") =>
        {
            format!("type conversion error from 'string' to '{function}'")
        }
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
    use std::collections::BTreeMap;

    use super::check::{Scope, Type, check};
    use super::*;

    fn checked(text: &str) -> String {
        let variables = BTreeMap::from([("a".to_owned(), Type::Int)]);
        match check(text, &Scope::policy(false, Some(variables))) {
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
        let object = wavetank_json::json!({"data": {"b": "1", "a": "2"}, "list": [1, 2]});
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
    fn what_certainly_does_not_fit_is_refused() {
        for (text, why) in [
            (
                "'a' + 1 == 'b'",
                "1:5: found no matching overload for '_+_' applied to '(string, int)'",
            ),
            (
                "object.items.all(x, 1 == '1')",
                "found no matching overload for '_==_' applied to '(int, string)'",
            ),
            (
                "'a'.b == 1",
                "type 'string' does not support field selection",
            ),
            (
                "variables.a && true",
                "1:10: expected type 'bool' but found 'int'",
            ),
        ] {
            assert!(checked(text).contains(why), "{}", checked(text));
        }
        assert_eq!(checked("1 < 1.5 && dyn(1) == 'x'"), "bool");
    }

    #[test]
    fn an_optional_is_mapped_when_it_is_there() {
        assert_eq!(
            evaluated("object.?data.?a.optMap(x, x + '!').orValue('none')"),
            "2!"
        );
        assert_eq!(
            evaluated("object.?nope.optMap(x, x.y).orValue('none')"),
            "none"
        );
        assert_eq!(
            evaluated("object.?data.optFlatMap(x, x.?b).orValue('none')"),
            "1"
        );
    }

    /// Rules as widely used definitions have them.
    #[test]
    fn what_is_right_is_let_pass() {
        let item = BTreeMap::from([
            ("id".to_owned(), Type::String),
            ("n".to_owned(), Type::Int),
            ("root".to_owned(), Type::Bool),
            ("q".to_owned(), Type::Dyn),
            ("values".to_owned(), Type::List(Box::new(Type::String))),
            (
                "tags".to_owned(),
                Type::Map(Box::new(Type::String), Box::new(Type::String)),
            ),
        ]);
        let scope = Scope::rule(Type::List(Box::new(Type::Object(Arc::new(item)))), false);
        for text in [
            "self.filter(x, has(x.root)?x.root==true:false).size() <= 1",
            "self.all(x, x.id == 'Gt' ? (x.values.size() == 1 && int(x.values[0]) >= 0) : true)",
            "self.all(x, has(x.tags) ? x.tags.all(k, k != '' && x.tags[k] != '') : true)",
            "self.map(x, x.n).sum() < 10 && self.exists_one(x, x.n == 1)",
            "self.all(x, !has(x.q) || (type(x.q) == int ? x.q > 0 : x.q.matches('^[0-9]+%$')))",
            "self.all(a, self.filter(b, a.id == b.id).size() == 1)",
            "self.all(x, quantity(x.id).isGreaterThan(quantity('1')))",
            "self.all(x, x.id.find('^[^@]+') in ['al2', 'al2023'])",
            "self.all(x, x.n > 0.5 && double(x.n) > 0.5 && string(x.n) != '')",
            "self.all(x, x.?tags.orValue({}).size() >= 0 && x.?n.orValue(0) == 0)",
            "oldSelf.all(x, self.exists(y, y.id == x.id)) && self == oldSelf",
            "(self.size() > 1 ? 'a' : 'b') == 'a' && self[0].n % 2 == 0",
        ] {
            assert_eq!(check(text, &scope), Ok(Type::Bool), "{text}");
        }
    }

    #[test]
    fn values_have_types() {
        let text = "type(object.data) == map && type('x') == string && type(1) != string";
        assert_eq!(evaluated(text), "Bool(true)");
    }

    #[test]
    fn addresses_have_parts() {
        assert_eq!(evaluated("url('https://a.b:1/c').getHost()"), "a.b:1");
        assert_eq!(evaluated("isURL('a b')"), "Bool(false)");
    }

    #[test]
    fn what_cannot_be_evaluated_here_is_refused() {
        let text = "[1].transformList(i, v, v) == [1]";
        let why = "'transformList' is not supported here";
        assert!(checked(text).contains(why), "{}", checked(text));
    }
}
