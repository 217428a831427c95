//! Round numbers along an axis, and how they and other numbers are written.

/// What the numbers of a chart are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Number,
    /// A share in [0, 1], written as percent.
    Share,
}

/// Round values that cover a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Ticks {
    pub values: Vec<f64>,
    pub step: f64,
}

impl Ticks {
    /// From the first to the last tick.
    pub fn range(&self) -> (f64, f64) {
        (self.values[0], self.values[self.values.len() - 1])
    }
}

/// About `count` intervals of 1, 2 or 5 times a power of ten that cover `low..high`, which is not empty.
pub fn ticks(low: f64, high: f64, count: usize) -> Ticks {
    let rough = (high - low).max(f64::MIN_POSITIVE) / count.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough * 0.999).unwrap_or(rough);
    // A little slack, so that 0.3 / 0.1 = 2.9999 is the third tick and not one more.
    let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
    let last = last.max(first + 1.0);
    let values = (0..=(last - first) as usize).map(|i| (first + i as f64) * step).collect();
    Ticks { values, step }
}

/// A tick's value with the digits that its step asks for.
pub fn label(value: f64, step: f64, unit: Unit) -> String {
    let (value, step, sign) = match unit {
        Unit::Number => (value, step, ""),
        Unit::Share => (100.0 * value, 100.0 * step, " %"),
    };
    let digits = (-(step * 1.0001).log10().floor()).max(0.0) as usize;
    let value = if value.abs() < step * 1e-6 { 0.0 } else { value };
    if digits > 4 || value.abs() >= 1e6 {
        return format!("{value:.0e}{sign}");
    }
    format!("{value:.digits$}{sign}")
}

/// A number with about three significant digits.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        x if x < 1e-3 => format!("{value:.1e}"),
        x if x < 1.0 => format!("{value:.3}"),
        x if x < 100.0 => format!("{value:.2}"),
        x if x < 1e6 => format!("{value:.0}"),
        _ => format!("{value:.2e}"),
    }
}

/// A number with at most four decimals, and no more than it needs.
pub fn plain(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A share as percent.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A count with thin spaces between thousands.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(c);
    }
    text
}

/// Seconds as a person would say them.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.0005 => "0 s".to_owned(),
        s if s < 1.0 => format!("{:.0} ms", 1e3 * s),
        s if s < 100.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), s.rem_euclid(60.0).floor()),
        s => format!("{:.0} h {:02.0} min", (s / 3600.0).floor(), (s.rem_euclid(3600.0) / 60.0).floor()),
    }
}

/// Bytes in binary units.
pub fn bytes(n: u64) -> String {
    let n = n as f64;
    match n {
        n if n < 1024.0 => format!("{n:.0} B"),
        n if n < 1048576.0 => format!("{:.0} KiB", n / 1024.0),
        n if n < 1073741824.0 => format!("{:.0} MiB", n / 1048576.0),
        n => format!("{:.1} GiB", n / 1073741824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        assert_eq!(ticks(0.0, 1.0, 5).values.len(), 6);
        for (low, high) in [(0.0, 0.93), (-0.4, 1.9), (1e-6, 3e-5), (12.0, 12.5), (0.0, 60.0), (1.0, 2.0)] {
            let t = ticks(low, high, 4);
            let (first, last) = t.range();
            assert!(first <= low + 1e-8 * t.step && last >= high - 1e-8 * t.step, "{low} {high} {t:?}");
            assert!((2..=7).contains(&t.values.len()), "{low} {high} {t:?}");
            let mantissa = t.step / 10f64.powf(t.step.log10().floor() + 1e-12);
            assert!([1.0, 2.0, 5.0].iter().any(|m| (mantissa - m).abs() < 1e-6), "{t:?}");
        }
    }

    #[test]
    fn labels_have_the_digits_of_the_step() {
        assert_eq!(label(0.30000000000000004, 0.1, Unit::Number), "0.3");
        assert_eq!(label(0.25, 0.05, Unit::Share), "25 %");
        assert_eq!(label(-1e-18, 0.1, Unit::Number), "0.0");
        assert_eq!(label(2e-6, 1e-6, Unit::Number), "2e-6");
        assert_eq!(label(20.0, 10.0, Unit::Number), "20");
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(duration(0.0421), "42 ms");
        assert_eq!(duration(125.9), "2 min 05 s");
        assert_eq!(duration(7260.0), "2 h 01 min");
        assert_eq!(count(1234567), "1\u{2009}234\u{2009}567");
        assert_eq!(bytes(1536 * 1024 * 1024), "1.5 GiB");
        assert_eq!(short(0.00012), "1.2e-4");
        assert_eq!(short(-3.456), "-3.46");
        assert_eq!([1.0, 0.25, -0.00001, 120.0].map(plain), ["1", "0.25", "0", "120"]);
    }
}
