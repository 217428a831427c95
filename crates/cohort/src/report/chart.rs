//! Line charts as inline SVG.

use std::fmt::Write;

use super::ticks::{Unit, label, ticks};

/// More points a line than this are averaged in buckets.
const MOST_POINTS: usize = 400;
/// Fewer points than this are shown as dots too: a single evaluation has no line.
const FEW_POINTS: usize = 20;

/// A line with its name in the legend.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    /// Lower and upper ends over the axis, drawn behind the line; may be empty.
    pub band: Vec<(f64, f64, f64)>,
}

/// Where the colours come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// Variables of the page that the chart stands in, which know light and dark.
    Page,
    /// Colours of its own, for a white ground.
    OnWhite,
}

/// Whether the vertical axis fits the data or also holds 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    Zero,
    Data,
}

/// Curves over steps.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Read out where the picture cannot be seen.
    pub description: String,
    /// What runs along the bottom.
    pub axis: &'static str,
    pub unit: Unit,
    pub floor: Floor,
    pub series: Vec<Series>,
    pub width: f64,
    pub height: f64,
}

const ON_WHITE: [&str; 6] = ["#1f5fbf", "#c2571a", "#22856a", "#8a4fae", "#a8830f", "#5b6472"];
const FONT: f64 = 11.5;

impl Palette {
    pub fn line(self, index: usize) -> String {
        let index = index % ON_WHITE.len();
        match self {
            Palette::Page => format!("var(--line-{index})"),
            Palette::OnWhite => ON_WHITE[index].to_owned(),
        }
    }

    fn grid(self) -> &'static str {
        match self {
            Palette::Page => "var(--grid)",
            Palette::OnWhite => "#e6e8ec",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Palette::Page => "var(--quiet)",
            Palette::OnWhite => "#59616e",
        }
    }
}

/// The plotting area and its scales.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    fn x(&self, x: f64) -> f64 {
        self.left + (x - self.x.0) / (self.x.1 - self.x.0) * (self.right - self.left)
    }

    fn y(&self, y: f64) -> f64 {
        self.bottom - (y - self.y.0) / (self.y.1 - self.y.0) * (self.bottom - self.top)
    }
}

impl Chart {
    /// The chart as an `<svg>` element; `None` where no series has a point.
    pub fn svg(&self, palette: Palette) -> Option<String> {
        let (x, y) = self.ranges()?;
        let y_ticks = ticks(y.0, y.1, if self.height > 220.0 { 5 } else { 3 });
        let labels: Vec<String> = y_ticks.values.iter().map(|&v| label(v, y_ticks.step, self.unit)).collect();
        let widest = labels.iter().map(|l| l.chars().count()).max().unwrap_or(1) as f64;
        let legend = self.legend(palette);
        let frame = Frame {
            left: 10.0 + 0.58 * FONT * widest,
            right: self.width - 12.0,
            top: if legend.is_empty() { 8.0 } else { 30.0 },
            bottom: self.height - 32.0,
            x,
            y: y_ticks.range(),
        };
        let mut svg = String::new();
        let (width, height) = (self.width, self.height);
        let _ = write!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{}" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif" font-size="{FONT}">"#,
            escape(&self.description)
        );
        svg.push_str(&legend);
        for (value, text) in y_ticks.values.iter().zip(&labels) {
            let y = frame.y(*value);
            let _ = write!(
                svg,
                r#"<line x1="{:.1}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}" stroke="{}"/><text x="{:.1}" y="{:.1}" text-anchor="end" fill="{}">{}</text>"#,
                frame.left,
                frame.right,
                palette.grid(),
                frame.left - 6.0,
                y + 0.35 * FONT,
                palette.text(),
                escape(text)
            );
        }
        self.x_axis(&mut svg, &frame, palette);
        for (index, series) in self.series.iter().enumerate() {
            draw(&mut svg, &frame, series, &palette.line(index));
        }
        svg.push_str("</svg>");
        Some(svg)
    }

    fn ranges(&self) -> Option<((f64, f64), (f64, f64))> {
        let points = || self.series.iter().flat_map(|s| &s.points);
        let span = |values: &mut dyn Iterator<Item = f64>| {
            values.fold(None, |span: Option<(f64, f64)>, v| {
                Some(span.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
            })
        };
        let (first, last) = span(&mut points().map(|p| p.0))?;
        let (mut low, mut high) = {
            let bands = self.series.iter().flat_map(|s| &s.band).flat_map(|(_, low, high)| [*low, *high]);
            span(&mut points().map(|p| p.1).chain(bands))?
        };
        if self.floor == Floor::Zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if low == high {
            let room = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
            (low, high) = (low - if self.floor == Floor::Zero && low >= 0.0 { 0.0 } else { room }, high + room);
        }
        let last = if last > first { last } else { first + 1.0 };
        Some(((first, last), (low, high)))
    }

    fn x_axis(&self, svg: &mut String, frame: &Frame, palette: Palette) {
        let marks = ticks(frame.x.0, frame.x.1, if self.width > 600.0 { 8 } else { 4 });
        let y = frame.bottom + 15.0;
        let colour = palette.text();
        let _ = write!(svg, r#"<text x="{:.1}" y="{y:.1}" fill="{colour}">{}</text>"#, frame.left, self.axis);
        let inside = marks.values.iter().filter(|v| v.fract() == 0.0 && **v >= frame.x.0 && **v <= frame.x.1);
        for value in inside.filter(|&&v| frame.x(v) > frame.left + 44.0) {
            let x = frame.x(*value);
            let anchor = if x > frame.right - 10.0 { "end" } else { "middle" };
            let x = if anchor == "end" { frame.right } else { x };
            let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{colour}">{value}</text>"#);
        }
    }

    /// Names beside a stroke of their colour, in one row; nothing where there is but one line.
    fn legend(&self, palette: Palette) -> String {
        let mut svg = String::new();
        if self.series.len() < 2 {
            return svg;
        }
        let mut x = 10.0;
        for (index, series) in self.series.iter().enumerate() {
            let _ = write!(
                svg,
                r#"<line x1="{x:.1}" x2="{:.1}" y1="12" y2="12" stroke="{}" stroke-width="2.5"/><text x="{:.1}" y="16" fill="{}">{}</text>"#,
                x + 16.0,
                palette.line(index),
                x + 22.0,
                palette.text(),
                escape(&series.name)
            );
            x += 22.0 + 0.6 * FONT * series.name.chars().count() as f64 + 18.0;
        }
        svg
    }
}

fn draw(svg: &mut String, frame: &Frame, series: &Series, colour: &str) {
    if !series.band.is_empty() {
        let place = |x: f64, y: f64| format!("{:.1},{:.1}", frame.x(x), frame.y(y));
        let lower = downsampled(&series.band.iter().map(|b| (b.0, b.1)).collect::<Vec<_>>());
        let upper = downsampled(&series.band.iter().map(|b| (b.0, b.2)).collect::<Vec<_>>());
        let around: Vec<String> = lower.iter().chain(upper.iter().rev()).map(|&(x, y)| place(x, y)).collect();
        let _ = write!(svg, r#"<polygon points="{}" fill="{colour}" opacity="0.15"/>"#, around.join(" "));
    }
    let points = downsampled(&series.points);
    let place = |&(x, y): &(f64, f64)| format!("{:.1},{:.1}", frame.x(x), frame.y(y));
    let path: Vec<String> = points.iter().map(place).collect();
    let _ = write!(
        svg,
        r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round" stroke-linecap="round"/>"#,
        path.join(" ")
    );
    if points.len() < FEW_POINTS {
        for (x, y) in &points {
            let _ = write!(svg, r#"<circle cx="{:.1}" cy="{:.1}" r="2.6" fill="{colour}"/>"#, frame.x(*x), frame.y(*y));
        }
    }
}

/// At most [`MOST_POINTS`] points: means over buckets of equal count.
pub fn downsampled(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    points
        .chunks(points.len().div_ceil(MOST_POINTS))
        .map(|bucket| {
            let n = bucket.len() as f64;
            let (x, y) = bucket.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
            (x / n, y / n)
        })
        .collect()
}

/// Text as it may stand in an element or an attribute.
pub fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no way to write other control characters.
            c if c.is_control() && !matches!(c, '\n' | '\t') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(series: Vec<Series>) -> Chart {
        let description = "a <b> & \"c\"".to_owned();
        Chart { description, axis: "step", unit: Unit::Number, floor: Floor::Data, series, width: 340.0, height: 180.0 }
    }

    fn series(name: &str, points: &[(f64, f64)]) -> Series {
        Series { name: name.to_owned(), points: points.to_vec(), ..Series::default() }
    }

    #[test]
    fn no_points_no_picture() {
        assert_eq!(chart(vec![series("empty", &[])]).svg(Palette::Page), None);
    }

    #[test]
    fn one_point_is_a_dot_and_a_constant_has_a_range() {
        let dot = chart(vec![series("once", &[(3.0, 0.5)])]).svg(Palette::OnWhite).unwrap();
        assert_eq!(dot.matches("<circle").count(), 1);
        let flat = chart(vec![series("flat", &[(1.0, 0.0), (2.0, 0.0)])]).svg(Palette::OnWhite).unwrap();
        assert!(!dot.contains("NaN") && !flat.contains("NaN") && !flat.contains("inf"), "{flat}");
    }

    #[test]
    fn names_are_escaped_and_stand_in_the_legend() {
        let two = chart(vec![series("<a>", &[(1.0, 1.0), (2.0, 2.0)]), series("b", &[(1.0, 2.0), (2.0, 1.0)])]);
        let svg = two.svg(Palette::Page).unwrap();
        assert!(svg.contains("&lt;a&gt;</text>") && !svg.contains("<a>"), "{svg}");
        assert!(svg.contains("a &lt;b&gt; &amp; &quot;c&quot;"));
    }

    #[test]
    fn a_higher_value_is_drawn_higher() {
        let svg = chart(vec![series("up", &[(0.0, 0.0), (10.0, 1.0)])]).svg(Palette::OnWhite).unwrap();
        let points = svg.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let places: Vec<Vec<f64>> =
            points.split(' ').map(|p| p.split(',').map(|n| n.parse().unwrap()).collect()).collect();
        assert!(places[0][0] < places[1][0] && places[0][1] > places[1][1], "{points}");
    }

    #[test]
    fn long_lines_are_means_of_buckets() {
        let points: Vec<(f64, f64)> = (0..1000).map(|i| (f64::from(i), f64::from(i % 2))).collect();
        let few = downsampled(&points);
        assert!(few.len() <= MOST_POINTS && few.len() > MOST_POINTS / 2, "{}", few.len());
        assert_eq!(few[0], (1.0, 1.0 / 3.0));
        assert_eq!(downsampled(&points[..400]).len(), 400);
    }
}
