//! Values at dotted keys of a recipe's table.

use toml::{Table, Value};

/// What stands at a dotted key.
pub fn get<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    let mut parts = key.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// Puts a value at a dotted key, in the place of all that stands there. Sections on the way are made, and a choice without
/// parameters becomes one with them.
pub fn insert(table: &mut Table, key: &str, value: Value) {
    let Some((section, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return;
    };
    let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if !inner.is_table() {
        *inner = Value::Table(Table::new());
    }
    if let Value::Table(inner) = inner {
        insert(inner, rest, value);
    }
}

/// The same, but an empty table takes the key away, so that its defaults hold.
pub fn set(table: &mut Table, key: &str, value: &Value) {
    match value {
        Value::Table(empty) if empty.is_empty() => remove(table, key),
        _ => insert(table, key, value.clone()),
    }
}

fn remove(table: &mut Table, key: &str) {
    match key.split_once('.') {
        None => drop(table.remove(key)),
        Some((section, rest)) => {
            if let Some(Value::Table(inner)) = table.get_mut(section) {
                remove(inner, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_the_place_of_what_stands_there() {
        let mut table: Table = toml::from_str("a.b = 1\nscale = \"none\"\n").unwrap();
        insert(&mut table, "a.c.d", 2.into());
        insert(&mut table, "scale.std.ddof", 1.into());
        assert_eq!(get(&table, "a.b"), Some(&1.into()));
        assert_eq!(get(&table, "a.c.d"), Some(&2.into()));
        assert_eq!(get(&table, "scale.std.ddof"), Some(&1.into()));
        assert_eq!(get(&table, "a.x"), None);
    }

    #[test]
    fn an_empty_table_takes_a_key_away_and_makes_no_section() {
        let mut table: Table = toml::from_str("a.b = 1\na.c = 2\n").unwrap();
        for key in ["a.b", "none.such", "a.c.d"] {
            set(&mut table, key, &Value::Table(Table::new()));
        }
        assert_eq!(table, toml::from_str("a.c = 2").unwrap());
    }
}
