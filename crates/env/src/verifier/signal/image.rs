//! `ssim` and `edge_similarity`, `foreground_similarity`: how like a picture is to another.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Described, Verdict, VerifierError, View, columns,
        columns::Fault,
        pure::{Pure, at_least, positive},
        reading,
    },
    array,
};

type Picture = Vec<Vec<f64>>;

/// The row's grey picture, and the completion's where it has one of the same size.
fn pictures(view: &View, tag: Option<&str>) -> Result<(Picture, Option<Picture>), Fault> {
    let expected = "a grey picture: a list of rows of numbers, all of one length, not empty";
    let gold = columns::table(view, "image", expected)?;
    let sound = gold.iter().flatten().all(|x| x.abs() < 1e100);
    let width = gold.first().map_or(0, Vec::len);
    if width == 0 || !sound {
        return Err(columns::fault(view, "image", expected));
    }
    let said = array::rows(view, tag, width).filter(|said| said.len() == gold.len());
    Ok((gold, said))
}

/// Structural similarity, the mean over all windows of `(2 mx my + c1)(2 sxy + c2) / ((mx^2 + my^2 + c1)(sx^2 + sy^2 + c2))`, with
/// `c1 = (0.01 L)^2`, `c2 = (0.03 L)^2`, L the pictures' range, means over windows of `window` by `window` pixels and variances of the sample; in -1..1. As
/// scikit-image's default. A smaller picture is one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ssim {
    pub window: usize,
    pub range: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for Ssim {
    fn default() -> Self {
        Self { window: 7, range: 1.0, tag: None }
    }
}

impl Pure for Ssim {
    const DESCRIBED: Described = Described {
        name: "ssim",
        summary: "structural similarity of the completion's grey picture and the row's",
        range: "-1..1; 0 where there is no picture of the same size",
        reads: &[
            "the last payload, rows one after the other, or else the completion: a JSON list of rows",
            "image: a list of rows of numbers",
        ],
        parameters: &[
            ("window", "side of a window, in pixels; 7 unless told"),
            ("range", "greatest less least value of a pixel; 1 unless told"),
            ("tag", "the tag that holds the picture; without it, the whole completion"),
        ],
        source: "Wang et al. 2004; scikit-image; RRVF, ChartMaster",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        positive("range", self.range)?;
        at_least("window", self.window as f64, 2.0, "at least 2")
    }

    fn range(&self) -> (f64, f64) {
        (-1.0, 1.0)
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let (gold, said) = pictures(view, self.tag.as_deref())?;
        let Some(said) = said else { return Ok(Outcome::scored(0.0).into()) };
        Ok(Outcome::scored(self.of(&said, &gold).clamp(-1.0, 1.0)).into())
    }
}

impl Ssim {
    fn of(&self, x: &Picture, y: &Picture) -> f64 {
        let (height, width) = (self.window.min(x.len()), self.window.min(x[0].len()));
        let pixels = (height * width) as f64;
        let (c1, c2) = ((0.01 * self.range).powi(2), (0.03 * self.range).powi(2));
        let sums = |f: &dyn Fn(f64, f64) -> f64| windows(x, y, height, width, f);
        let (sx, sy) = (sums(&|x, _| x), sums(&|_, y| y));
        let (sxx, syy, sxy) = (sums(&|x, _| x * x), sums(&|_, y| y * y), sums(&|x, y| x * y));
        // One pixel has no variance.
        let sample = (pixels - 1.0).max(1.0);
        let one = |i: usize| {
            let (mx, my) = (sx[i] / pixels, sy[i] / pixels);
            let (vx, vy) = ((sxx[i] - sx[i] * mx) / sample, (syy[i] - sy[i] * my) / sample);
            let cov = (sxy[i] - sx[i] * my) / sample;
            let ssim = (2.0 * mx * my + c1) * (2.0 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2));
            if ssim.is_finite() { ssim } else { 0.0 }
        };
        (0..sx.len()).map(one).sum::<f64>() / sx.len() as f64
    }
}

/// The sum of `f` over every window, by sums along rows and then columns.
fn windows(x: &Picture, y: &Picture, height: usize, width: usize, f: &dyn Fn(f64, f64) -> f64) -> Vec<f64> {
    let along = |(x, y): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
        let values: Vec<f64> = x.iter().zip(y).map(|(&x, &y)| f(x, y)).collect();
        values.windows(width).map(|run| run.iter().sum()).collect()
    };
    let rows: Vec<Vec<f64>> = x.iter().zip(y).map(along).collect();
    let sum = |run: &[Vec<f64>], j: usize| run.iter().map(|row| row[j]).sum();
    rows.windows(height).flat_map(|run| (0..run[0].len()).map(|j| sum(run, j)).collect::<Vec<f64>>()).collect()
}

macro_rules! overlap {
    ($config:ident, $name:literal, $summary:literal, $above:literal, $mask:expr) => {
        #[doc = concat!($summary, ": `|A n B| / |A u B|` of the pixels, in 0..1; 1 where neither picture has any.")]
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $config {
            pub above: f64,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub tag: Option<String>,
        }

        impl Default for $config {
            fn default() -> Self {
                Self { above: $above, tag: None }
            }
        }

        impl Pure for $config {
            const DESCRIBED: Described = Described {
                name: $name,
                summary: $summary,
                range: "0..1; 0 where there is no picture of the same size",
                reads: &["picture and image: as of ssim"],
                parameters: &[
                    ("above", concat!("a pixel counts above this; ", stringify!($above), " unless told")),
                    ("tag", "the tag that holds the picture; without it, the whole completion"),
                ],
                source: "RRVF (visual similarity)",
            };

            fn check(&self) -> Result<(), VerifierError> {
                reading::check_tag("tag", self.tag.as_deref())?;
                at_least("above", self.above, 0.0, "at least 0")
            }

            fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
                let (gold, said) = pictures(view, self.tag.as_deref())?;
                let Some(said) = said else { return Ok(Outcome::scored(0.0).into()) };
                let mask: fn(&Picture) -> Vec<f64> = $mask;
                let (mut both, mut either) = (0u32, 0u32);
                for (a, b) in mask(&said).into_iter().zip(mask(&gold)) {
                    both += u32::from(a > self.above && b > self.above);
                    either += u32::from(a > self.above || b > self.above);
                }
                let score = if either == 0 { 1.0 } else { f64::from(both) / f64::from(either) };
                Ok(Outcome::scored(score).into())
            }
        }
    };
}

overlap!(
    EdgeSimilarity,
    "edge_similarity",
    "overlap of the edges of two pictures, pixels whose Sobel gradient over 4 is above `above`",
    0.25,
    gradients
);

overlap!(
    ForegroundSimilarity,
    "foreground_similarity",
    "overlap of what stands out of two pictures, pixels that differ from the first one by more than `above`",
    0.1,
    |picture| picture.iter().flatten().map(|x| (x - picture[0][0]).abs()).collect()
);

/// The magnitude of Sobel's gradient over 4: of a straight edge, its height. The border is repeated.
fn gradients(picture: &Picture) -> Vec<f64> {
    let (height, width) = (picture.len(), picture[0].len());
    let at = |i: usize, j: usize| picture[i.clamp(1, height) - 1][j.clamp(1, width) - 1];
    let one = |i: usize, j: usize| {
        let across = |k: usize| at(i + k, j + 2) - at(i + k, j);
        let down = |k: usize| at(i + 2, j + k) - at(i, j + k);
        let sobel = |side: &dyn Fn(usize) -> f64| side(0) + 2.0 * side(1) + side(2);
        sobel(&across).hypot(sobel(&down)) / 4.0
    };
    (0..height).flat_map(|i| (0..width).map(move |j| (i, j))).map(|(i, j)| one(i, j)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::super::pure::ask::{close, error, score},
        *,
    };

    /// Row i, column j: a wave that no window has twice.
    fn wave(shift: u32) -> Value {
        let pixel = |i: u32, j: u32| f64::from((i * 7 + j * 13 + i * j + shift) % 17) / 16.0;
        json!((0..9).map(|i| (0..10).map(|j| pixel(i, j)).collect::<Vec<_>>()).collect::<Vec<_>>())
    }

    #[test]
    fn the_similarity_of_scikit_image() {
        let row = json!({"image": wave(0)});
        close(score(&Ssim::default(), &row, &wave(0).to_string()), 1.0);
        close(score(&Ssim::default(), &row, &wave(3).to_string()), 0.18072444678919677);
    }

    #[test]
    fn edges_and_foreground_overlap() {
        let square = |from: usize| {
            let pixel = |i: usize, j: usize| u8::from((from..from + 4).contains(&i) && (from..from + 4).contains(&j));
            json!((0..10).map(|i| (0..10).map(|j| pixel(i, j)).collect::<Vec<_>>()).collect::<Vec<_>>())
        };
        let row = json!({"image": square(1)});
        close(score(&ForegroundSimilarity::default(), &row, &square(1).to_string()), 1.0);
        close(score(&ForegroundSimilarity::default(), &row, &square(3).to_string()), 4.0 / 28.0);
        close(score(&EdgeSimilarity::default(), &row, &square(1).to_string()), 1.0);
        let moved = score(&EdgeSimilarity::default(), &row, &square(2).to_string());
        assert!(0.0 < moved && moved < 1.0);
        let flat = json!(vec![vec![0.5; 10]; 10]);
        close(score(&EdgeSimilarity::default(), &row, &flat.to_string()), 0.0);
        close(score(&EdgeSimilarity::default(), &json!({"image": flat}), &flat.to_string()), 1.0);
    }

    #[test]
    fn a_picture_of_another_size_is_none() {
        let row = json!({"image": wave(0)});
        for bad in ["", "[]", "[[1]]", "[[1, 2], [3]]", "[[NaN]]", "x"] {
            close(score(&Ssim::default(), &row, bad), 0.0);
            close(score(&EdgeSimilarity::default(), &row, bad), 0.0);
        }
        assert!(error(&Ssim::default(), &json!({"image": [[1], [1, 2]]}), "").contains("`image`"));
        assert!(error(&Ssim::default(), &json!({"image": []}), "").contains("`image`"));
        close(score(&Ssim::default(), &json!({"image": [[0.5]]}), "[[0.5]]"), 1.0);
    }
}
