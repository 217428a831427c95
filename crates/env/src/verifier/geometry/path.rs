//! `path_fidelity`: how well a path follows another.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Described, Verdict, VerifierError, View, columns,
        columns::Fault,
        pure::{Pure, positive},
        reading,
    },
    boxes::lists,
    matched::distance,
};

/// Points beyond these are not looked at: a bound on time.
const MOST: usize = 2000;

/// What is measured; d is the Euclidean distance, R the row's path, Q the completion's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// `exp(-DTW(R, Q) / (|R| scale))`: normalised dynamic time warping.
    #[default]
    Ndtw,
    /// `exp(-F(R, Q) / scale)`: the discrete Fréchet distance.
    Frechet,
    /// `exp(-d(last of R, last of Q) / scale)`.
    End,
}

/// Fidelity to the row's path, in 0..1; 0 where the completion has no path, or one of another dimension. The first 2000 points of each count, and the
/// last where the end is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PathFidelity {
    pub fidelity: Fidelity,
    pub scale: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for PathFidelity {
    fn default() -> Self {
        Self { fidelity: Fidelity::default(), scale: 3.0, tag: None }
    }
}

impl Pure for PathFidelity {
    const DESCRIBED: Described = Described {
        name: "path_fidelity",
        summary: "how well the completion's path follows the row's: nDTW, Fréchet, or its end",
        range: "0..1",
        reads: &["completion: a list of points, as JSON or numbers", "path: a list of points of one dimension"],
        parameters: &[
            ("fidelity", "\"ndtw\" (default), \"frechet\" or \"end\""),
            ("scale", "the distance at which e times less is left (nDTW's threshold of success); 3 unless told"),
            ("tag", "the tag that holds the path; without it, the whole completion"),
        ],
        source: "Ilharco et al. 2019 (nDTW, 3 m); Nav-R1 (exp(-k D))",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        positive("scale", self.scale)
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let expected = "a list of points, all of one dimension, not empty";
        let gold = columns::table(view, "path", expected)?;
        let size = gold.first().map_or(0, Vec::len);
        if size == 0 {
            return Err(columns::fault(view, "path", expected));
        }
        let said = reading::part(self.tag.as_deref(), view.completion)
            .map(|text| lists(text, &["point"], size))
            .unwrap_or_default();
        let (Some(gold_end), Some(said_end), true) = (gold.last(), said.last(), said.iter().all(|p| p.len() == size))
        else {
            return Ok(Outcome::scored(0.0).into());
        };
        let (r, q) = (&gold[..gold.len().min(MOST)], &said[..said.len().min(MOST)]);
        let apart = match self.fidelity {
            Fidelity::Ndtw => table(r, q, |d, before| d + before) / r.len() as f64,
            Fidelity::Frechet => table(r, q, f64::max),
            Fidelity::End => distance(gold_end, said_end),
        };
        Ok(Verdict::from(Outcome::scored((-apart / self.scale).exp().clamp(0.0, 1.0))).with("distance", apart))
    }
}

/// The last cell of `c[i][j] = join(d(i, j), min(c[i-1][j], c[i][j-1], c[i-1][j-1]))`.
fn table(r: &[Vec<f64>], q: &[Vec<f64>], join: impl Fn(f64, f64) -> f64) -> f64 {
    let mut row: Vec<f64> = vec![f64::INFINITY; q.len() + 1];
    row[0] = 0.0;
    for r in r {
        let mut diagonal = std::mem::replace(&mut row[0], f64::INFINITY);
        for (j, q) in q.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = join(distance(r, q), diagonal.min(above).min(row[j]));
            diagonal = above;
        }
    }
    row[q.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score},
        *,
    };

    #[test]
    fn paths_are_followed() {
        let row = json!({"path": [[0, 0], [1, 0], [2, 0]]});
        let ndtw = PathFidelity { scale: 1.0, ..PathFidelity::default() };
        close(score(&ndtw, &row, "[[0, 0], [1, 0], [2, 0]]"), 1.0);
        close(score(&ndtw, &row, "[[0, 0], [0, 0], [1, 0], [2, 0]]"), 1.0);
        // DTW 3 over three points.
        close(score(&ndtw, &row, "[[0, 1], [1, 1], [2, 1]]"), (-1f64).exp());
        close(score(&ndtw, &row, "[[0, 0]]"), (-1f64).exp());
        let frechet = PathFidelity { fidelity: Fidelity::Frechet, ..ndtw.clone() };
        close(score(&frechet, &row, "[[0, 0], [1, 2], [2, 0]]"), (-2f64).exp());
        let end = PathFidelity { fidelity: Fidelity::End, ..ndtw.clone() };
        close(score(&end, &row, "(9, 9), (2, 3)"), (-3f64).exp());
        for none in ["", "[[0, 0, 0]]", "[]", "x"] {
            close(score(&ndtw, &row, none), 0.0);
        }
        assert!(error(&ndtw, &json!({"path": []}), "").contains("`path`"));
    }
}
