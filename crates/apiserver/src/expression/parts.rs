//! What an expression is made of, for those who go through it.

use std::collections::BTreeSet;

use kube_cel::cel::common::ast::{EntryExpr, Expr, IdedExpr};

/// The expressions that stand right within one, in the order in which they are written.
pub(super) fn parts(ided: &mut IdedExpr) -> Vec<&mut IdedExpr> {
    match &mut ided.expr {
        Expr::Select(select) => vec![&mut *select.operand],
        Expr::Call(call) => {
            let target = call.target.as_deref_mut();
            target.into_iter().chain(&mut call.args).collect()
        }
        Expr::Comprehension(loops) => vec![
            &mut loops.iter_range,
            &mut loops.accu_init,
            &mut loops.loop_cond,
            &mut loops.loop_step,
            &mut loops.result,
        ],
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Map(map) => {
            let entries = map.entries.iter_mut();
            entries
                .flat_map(|entry| match &mut entry.expr {
                    EntryExpr::MapEntry(entry) => vec![&mut entry.key, &mut entry.value],
                    EntryExpr::StructField(field) => vec![&mut field.value],
                })
                .collect()
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => Vec::new(),
    }
}

/// Adds the names that stand in an expression.
pub(super) fn names(ided: &mut IdedExpr, found: &mut BTreeSet<String>) {
    if let Expr::Ident(name) = &ided.expr {
        found.insert(name.clone());
    }
    for part in parts(ided) {
        names(part, found);
    }
}
