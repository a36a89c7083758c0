//! Quantities in objects.

use wavetank_json::Value;
pub(crate) use wavetank_model::quantity::Quantity;

/// Reads a JSON string or number; `None` when it is no quantity.
pub(crate) fn read(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// Rounded up to thousandths, as resource lists are when they are decoded.
pub(crate) fn rounded_up_to_milli(quantity: Quantity) -> Quantity {
    let rounded = format!("{}m", quantity.millis())
        .parse()
        .unwrap_or(quantity);
    if rounded == quantity {
        quantity
    } else {
        rounded
    }
}

/// Whether it is a whole number of units.
pub(crate) fn is_whole(quantity: Quantity) -> bool {
    quantity == Quantity::from_units(quantity.units())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_lists_know_thousandths() {
        let rounded = |text: &str| rounded_up_to_milli(text.parse().unwrap()).to_string();
        assert_eq!(
            (rounded("1u"), rounded("1.5Gi")),
            ("1m".to_owned(), "1536Mi".to_owned())
        );
        assert!(is_whole("1Gi".parse().unwrap()) && !is_whole("1500m".parse().unwrap()));
    }
}
