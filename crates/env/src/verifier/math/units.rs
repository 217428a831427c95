//! Words that may stand behind a number without being part of it.

/// The one spelling of a unit; `None` where the word is not a unit that is known.
pub fn unit(word: &str) -> Option<&'static str> {
    let word = word.trim().trim_end_matches('.');
    UNITS.iter().find(|(_, spellings)| spellings.contains(&word)).map(|(unit, _)| *unit)
}

pub fn is_percent(word: &str) -> bool {
    matches!(word, "percent" | "pct" | "percentage" | "percents" | "per cent" | "Percent" | "percentages")
}

const UNITS: &[(&str, &[&str])] = &[
    ("mm", &["mm", "millimeter", "millimeters", "millimetre", "millimetres"]),
    ("cm", &["cm", "centimeter", "centimeters", "centimetre", "centimetres"]),
    ("m", &["m", "meter", "meters", "metre", "metres"]),
    ("km", &["km", "kilometer", "kilometers", "kilometre", "kilometres"]),
    ("in", &["in", "inch", "inches"]),
    ("ft", &["ft", "foot", "feet"]),
    ("yd", &["yd", "yard", "yards"]),
    ("mi", &["mi", "mile", "miles"]),
    ("mg", &["mg", "milligram", "milligrams"]),
    ("g", &["g", "gram", "grams"]),
    ("kg", &["kg", "kilogram", "kilograms"]),
    ("lb", &["lb", "lbs", "pound", "pounds"]),
    ("oz", &["oz", "ounce", "ounces"]),
    ("s", &["s", "sec", "secs", "second", "seconds"]),
    ("min", &["min", "mins", "minute", "minutes"]),
    ("h", &["h", "hr", "hrs", "hour", "hours"]),
    ("day", &["day", "days"]),
    ("week", &["week", "weeks"]),
    ("month", &["month", "months"]),
    ("year", &["year", "years", "yr", "yrs"]),
    ("ml", &["ml", "mL", "milliliter", "milliliters"]),
    ("l", &["l", "L", "liter", "liters", "litre", "litres"]),
    ("gal", &["gal", "gallon", "gallons"]),
    ("dollar", &["dollar", "dollars", "USD", "usd"]),
    ("cent", &["cent", "cents"]),
    ("euro", &["euro", "euros", "EUR"]),
    ("yuan", &["yuan", "RMB"]),
    ("rupee", &["rupee", "rupees", "Rs"]),
    ("degree", &["degree", "degrees", "deg"]),
    ("rad", &["rad", "radian", "radians"]),
    ("unit", &["unit", "units"]),
    ("mph", &["mph"]),
    ("km/h", &["km/h", "kph", "kmh"]),
    ("m/s", &["m/s"]),
    ("N", &["newton", "newtons"]),
    ("J", &["joule", "joules"]),
    ("W", &["watt", "watts"]),
    ("V", &["volt", "volts"]),
    ("Hz", &["Hz", "hertz"]),
    ("mol", &["mol", "mole", "moles"]),
];
