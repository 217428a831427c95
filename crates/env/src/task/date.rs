//! A day, given and not read from a clock, and how C and Python write it.

use serde::{Deserialize, Serialize};

/// What chat templates take for today. Displayed and read as `YYYY-MM-DD`.
///
/// A prompt that held the day on which it was made would differ from run to run, so the day is the recipe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Date {
    year: u16,
    /// From 1.
    month: u8,
    /// From 1.
    day: u8,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Date {
    /// The first day of 2025: what prompts say unless the recipe says otherwise.
    pub const DEFAULT: Date = Date { year: 2025, month: 1, day: 1 };

    /// `None` where there is no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let date = Self { year, month, day };
        (year >= 1 && (1..=12).contains(&month) && (1..=date.days_of_month()).contains(&day)).then_some(date)
    }

    /// The date by a `strftime` format, in the C locale, at midnight.
    ///
    /// # Errors
    /// A directive that is not one of `aAbBdeHIjmMpSwyYdDFT%`, the same with `-` (no leading zero).
    pub fn written(self, format: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            let directive = chars.next();
            let (is_bare, directive) = if directive == Some('-') { (true, chars.next()) } else { (false, directive) };
            let field = directive.and_then(|d| self.field(d));
            let field = field.ok_or_else(|| {
                let shown = directive.map(String::from).unwrap_or_default();
                format!("strftime_now: the directive `%{shown}` of {format:?} is not known")
            })?;
            let shown = field.trim_start_matches(['0', ' ']);
            text.push_str(match (is_bare, shown) {
                (false, _) => &field,
                (true, "") => "0",
                (true, shown) => shown,
            });
        }
        Ok(text)
    }

    fn field(self, directive: char) -> Option<String> {
        let Self { year, month, day } = self;
        let month_name = MONTHS[usize::from(month) - 1];
        let day_name = DAYS[self.weekday()];
        Some(match directive {
            'Y' => format!("{year:04}"),
            'y' => format!("{:02}", year % 100),
            'm' => format!("{month:02}"),
            'B' => month_name.to_owned(),
            'b' | 'h' => month_name[..3].to_owned(),
            'd' => format!("{day:02}"),
            'e' => format!("{day:2}"),
            'j' => format!("{:03}", self.day_of_year()),
            'A' => day_name.to_owned(),
            'a' => day_name[..3].to_owned(),
            'w' => self.weekday().to_string(),
            'u' => (if self.weekday() == 0 { 7 } else { self.weekday() }).to_string(),
            'H' | 'M' | 'S' => "00".to_owned(),
            'I' => "12".to_owned(),
            'p' => "AM".to_owned(),
            'F' => format!("{year}-{month:02}-{day:02}"),
            'D' => format!("{month:02}/{day:02}/{:02}", year % 100),
            'T' => "00:00:00".to_owned(),
            '%' => "%".to_owned(),
            _ => return None,
        })
    }

    fn days_of_month(self) -> u8 {
        let is_leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        match self.month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn day_of_year(self) -> u32 {
        let before = (1..self.month).map(|month| u32::from(Self { month, ..self }.days_of_month()));
        before.sum::<u32>() + u32::from(self.day)
    }

    /// From Sunday, 0. The Gregorian calendar, also before it was in use.
    fn weekday(self) -> usize {
        let years = usize::from(self.year) - 1;
        (years * 365 + years / 4 - years / 100 + years / 400 + self.day_of_year() as usize) % 7
    }
}

impl Default for Date {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('-').collect();
        let date = match parts[..] {
            [year, month, day] if [year.len(), month.len(), day.len()] == [4, 2, 2] => {
                (year.parse().ok()).zip(month.parse().ok()).zip(day.parse().ok())
            }
            _ => None,
        };
        date.and_then(|((year, month), day)| Self::new(year, month, day))
            .ok_or_else(|| format!("{text:?} is no day: YYYY-MM-DD is expected"))
    }
}

impl From<Date> for String {
    fn from(date: Date) -> String {
        format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_as_python_writes_it() {
        let format = "%Y|%y|%m|%-m|%B|%b|%d|%-d|%e|%j|%A|%a|%w|%u|%H:%M:%S|%I %p|%%|%F|%D|%T";
        for (date, expected) in [
            (
                (2024, 12, 31),
                "2024|24|12|12|December|Dec|31|31|31|366|Tuesday|Tue|2|2|00:00:00|12 AM|%|2024-12-31|12/31/24|00:00:00",
            ),
            (
                (2000, 3, 5),
                "2000|00|03|3|March|Mar|05|5| 5|065|Sunday|Sun|0|7|00:00:00|12 AM|%|2000-03-05|03/05/00|00:00:00",
            ),
        ] {
            let (year, month, day) = date;
            assert_eq!(Date::new(year, month, day).unwrap().written(format).as_deref(), Ok(expected));
        }
        assert!(Date::DEFAULT.written("%Q").unwrap_err().contains("%Q"));
        assert!(Date::DEFAULT.written("at %").is_err());
    }

    #[test]
    fn a_day_that_is_none_is_refused() {
        for wrong in ["2025-02-29", "1900-02-29", "2025-13-01", "2025-00-01", "2025-1-1", "today", "2025-01-01T00"] {
            assert!(Date::try_from(wrong.to_owned()).unwrap_err().contains("YYYY-MM-DD"), "{wrong}");
        }
        for right in ["2024-02-29", "2000-02-29", "2025-12-31"] {
            assert_eq!(String::from(Date::try_from(right.to_owned()).unwrap()), right);
        }
    }
}
