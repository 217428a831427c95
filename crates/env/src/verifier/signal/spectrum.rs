//! `log_spectral`: how like a sound's spectrum is to another.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Described, Verdict, VerifierError, View, columns,
        columns::Fault,
        pure::{Pure, positive},
        reading,
    },
    array,
};

/// `1 - min(1, LSD / worst)` in 0..1, with the log-spectral distance in dB `LSD = mean_t sqrt(mean_f (10 log10(P_tf / Q_tf))^2)` of power spectra P, Q. Powers below
/// `floor` count as it. 0 where the completion has no spectrum of the same frames and bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSpectral {
    pub worst: f64,
    pub floor: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for LogSpectral {
    fn default() -> Self {
        Self { worst: 20.0, floor: 1e-10, tag: None }
    }
}

impl Pure for LogSpectral {
    const DESCRIBED: Described = Described {
        name: "log_spectral",
        summary: "1 - log-spectral distance over its worst, of the completion's power spectra and the row's",
        range: "0..1",
        reads: &[
            "the last payload, frames one after the other, or else the completion: a JSON list of frames",
            "spectrum: a list of frames of powers",
        ],
        parameters: &[
            ("worst", "the distance that is worth 0, in dB; 20 unless told"),
            ("floor", "the least power; 1e-10 unless told"),
            ("tag", "the tag that holds the spectra; without it, the whole completion"),
        ],
        source: "Gray and Markel 1976",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        positive("worst", self.worst)?;
        positive("floor", self.floor)
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let expected = "a list of frames of powers, all of one length, not empty";
        let gold = columns::table(view, "spectrum", expected)?;
        let width = gold.first().map_or(0, Vec::len);
        if width == 0 {
            return Err(columns::fault(view, "spectrum", expected));
        }
        let said = array::rows(view, self.tag.as_deref(), width).filter(|said| said.len() == gold.len());
        let Some(said) = said else { return Ok(Outcome::scored(0.0).into()) };
        let level = |power: f64| 10.0 * power.max(self.floor).log10();
        let square = |(p, q): (&f64, &f64)| (level(*p) - level(*q)).powi(2);
        let frame = |(p, q): (&Vec<f64>, &Vec<f64>)| (p.iter().zip(q).map(square).sum::<f64>() / width as f64).sqrt();
        let distance = said.iter().zip(&gold).map(frame).sum::<f64>() / gold.len() as f64;
        Ok(Verdict::from(Outcome::scored(1.0 - (distance / self.worst).min(1.0))).with("distance", distance))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score},
        *,
    };

    #[test]
    fn ten_times_the_power_is_ten_decibels() {
        let row = json!({"spectrum": [[1, 1], [1, 100]]});
        for (completion, expected) in [
            ("[[1, 1], [1, 100]]", 1.0),
            ("[[10, 10], [1, 100]]", 1.0 - 5.0 / 20.0),
            ("[[10, 1], [1, 100]]", 1.0 - 50f64.sqrt() / 40.0),
            ("[[1, 1], [0, 0]]", 0.0),
            ("[1, 1, 1, 100]", 1.0),
            ("[[1, 1]]", 0.0),
            ("", 0.0),
        ] {
            close(score(&LogSpectral::default(), &row, completion), expected);
        }
        assert!(error(&LogSpectral::default(), &json!({"spectrum": [[]]}), "").contains("`spectrum`"));
    }
}
