//! The functions that a query may call, and those of SQLite whose work is not linear in their arguments.

use std::collections::HashSet;

use rusqlite::{
    Connection, Result,
    functions::{Context, FunctionFlags},
    types::{ToSqlOutput, Value, ValueRef},
};

/// Without state and chance: none reads a file, loads code, tells of the library or draws a number. Those that build
/// JSON of JSON are not here, since one call's work can grow with the square of its texts.
const ALLOWED: &[&str] = &[
    "->",
    "->>",
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "avg",
    "ceil",
    "ceiling",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "cos",
    "count",
    "cume_dist",
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "datetime",
    "degrees",
    "dense_rank",
    "exp",
    "first_value",
    "floor",
    "format",
    "glob",
    "group_concat",
    "hex",
    "if",
    "ifnull",
    "iif",
    "instr",
    "json_array_length",
    "json_extract",
    "json_type",
    "json_valid",
    "julianday",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "likelihood",
    "likely",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "max",
    "min",
    "mod",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "pi",
    "pow",
    "power",
    "printf",
    "quote",
    "radians",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "sin",
    "soundex",
    "sqrt",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "tan",
    "time",
    "timediff",
    "total",
    "trim",
    "trunc",
    "typeof",
    "unicode",
    "unixepoch",
    "unlikely",
    "upper",
    "zeroblob",
];

/// Functions that look for one text in another, at each of its places.
const SEARCHING: &[&str] = &["glob", "instr", "like", "replace"];

/// Calls of [`SEARCHING`] functions in one query: no more work can hide between two looks at the budget.
pub const MOST_SEARCHES: usize = 64;

pub fn is_allowed(name: &str) -> bool {
    ALLOWED.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

pub fn searches(name: &str) -> bool {
    SEARCHING.iter().any(|searching| searching.eq_ignore_ascii_case(name))
}

#[derive(Clone, Copy)]
enum Sides {
    Left,
    Right,
    Both,
}

/// Puts `trim(X, Y)`, `ltrim(X, Y)` and `rtrim(X, Y)` in the place of SQLite's, which look through all of Y at each
/// character of X.
pub fn replace_trims(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    for (name, sides) in [("trim", Sides::Both), ("ltrim", Sides::Left), ("rtrim", Sides::Right)] {
        connection.create_scalar_function(name, 2, flags, move |context| trimmed(context, sides))?;
    }
    Ok(())
}

fn trimmed(context: &Context, sides: Sides) -> Result<ToSqlOutput<'static>> {
    let (Some(text), Some(set)) = (text(context.get_raw(0)), text(context.get_raw(1))) else {
        return Ok(ToSqlOutput::Owned(Value::Null));
    };
    let set: HashSet<char> = set.chars().collect();
    let within = |c: char| set.contains(&c);
    let rest = match sides {
        Sides::Left => text.trim_start_matches(within),
        Sides::Right => text.trim_end_matches(within),
        Sides::Both => text.trim_matches(within),
    };
    Ok(ToSqlOutput::Owned(Value::Text(rest.into())))
}

/// A value as text; `None` of NULL.
fn text(value: ValueRef) -> Option<String> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(x) => format!("{x:?}"),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    })
}
