//! A claim made ready: its recipe, its arms as recipes that can be run, and what is refused before anything is.

use cohort_env::Split;
use cohort_train::{
    Recipe,
    build::{self, Places},
    recipe::{differing_keys, hex, low::StageName},
};
use cohort_zoo::{Arms, Claim, System, claim::Compares};
use sha2::{Digest, Sha256};
use toml::Table;

use super::{
    error::ZooError,
    recipes::{RecipeText, Shelf},
};

/// A system's recipe with its claim, checked.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    /// What names the recipe in errors.
    pub file: String,
    pub claim: Claim,
    pub system: Option<System>,
    pub arms: Arms,
    /// The method arm.
    pub recipe: Recipe,
    baseline: Recipe,
}

impl Case {
    /// Reads the recipe of `name` and makes its arms.
    ///
    /// # Errors
    /// No such recipe; a recipe without a claim, or with one that cannot be tested; arms that differ in anything but the
    /// claim's keys, or start from different policies.
    pub fn read(name: &str) -> Result<Self, ZooError> {
        let found = Shelf::Zoo.find(name).map_err(ZooError::io(format!("recipes/zoo/{name}.toml")))?;
        let text = found.ok_or_else(|| ZooError::NoRecipe { name: name.to_owned() })?;
        Self::of_text(name, text)
    }

    fn of_text(name: &str, RecipeText { file, text }: RecipeText) -> Result<Self, ZooError> {
        // Types first: what is wrong is told with its line.
        let whole = Recipe::parse(&file, &text, &[])?;
        let table: Table = text.parse().map_err(|e: toml::de::Error| ZooError::Refused {
            file: file.clone(),
            problem: e.message().to_owned(),
            hint: "a recipe is TOML".to_owned(),
        })?;
        let claim = whole.claim().cloned().ok_or_else(|| ZooError::Refused {
            file: file.clone(),
            problem: "there is no [claim]".to_owned(),
            hint: "docs/zoo.md says what it holds".to_owned(),
        })?;
        let system = whole.system().cloned();
        let base = base(&file, &claim.base)?;
        let arms = Arms::new(&table, &claim, &base).map_err(|source| ZooError::Arms { file: file.clone(), source })?;
        let arm = |arm: &'static str, table: &Table| {
            // Lines are those of the arm as it is made.
            Recipe::parse(&format!("the {arm} of {file}"), &table.to_string(), &[]).map_err(ZooError::from)
        };
        let recipe = arm("method arm", &arms.method)?;
        let baseline = arm("baseline arm", &arms.baseline)?;
        arm("control", &arms.control)?;
        arm("plain recipe of claim.base", &arms.plain)?;
        let case = Self { name: name.to_owned(), file, claim, system, arms, recipe, baseline };
        case.hold_differences()?;
        case.hold_start()?;
        Ok(case)
    }

    fn refuse<T>(&self, problem: String, hint: &str) -> Result<T, ZooError> {
        Err(ZooError::Refused { file: self.file.clone(), problem, hint: hint.to_owned() })
    }

    /// Whether the baseline arm has a stage, which the method arm may lack.
    pub fn baseline_has(&self, stage: StageName) -> bool {
        self.baseline.has(stage)
    }

    /// Rows of the train split that one step of either arm takes at most, and not the other's.
    pub fn largest_step(&self) -> u64 {
        let of = |recipe: &Recipe| {
            let score = recipe.score.as_ref().filter(|_| recipe.has(StageName::Score));
            let candidates = score.map_or(0, |s| s.section.batch_size * s.section.candidates.unwrap_or(1));
            candidates.max(if recipe.has(StageName::Rl) { recipe.train.prompts_per_step } else { 0 })
        };
        of(&self.recipe).max(of(&self.baseline)) as u64
    }

    /// Keys in which the resolved arms differ, with the value of each.
    pub fn differences(&self) -> Vec<(String, Vec<Option<String>>)> {
        differing_keys(&[Some(&self.recipe.resolved()), Some(&self.baseline.resolved())])
    }

    /// Every key of the switch changes something, and nothing else does.
    fn hold_differences(&self) -> Result<(), ZooError> {
        let differing = self.differences();
        let covers = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}.")) || b.starts_with(&format!("{a}."));
        if let Some(idle) = self.claim.switch.keys().find(|key| !differing.iter().any(|(k, _)| covers(k, key))) {
            return self.refuse(
                format!("`claim.switch.\"{idle}\"` changes nothing: the method arm has that value already"),
                "it may be the key's default; leave it out, or switch what the method is",
            );
        }
        let keys = || self.claim.switch.keys().chain(self.claim.tuned.keys());
        if let Some((other, values)) = differing.iter().find(|(k, _)| !keys().any(|key| covers(k, key))) {
            let show = |i: usize| values[i].clone().unwrap_or_else(|| "nothing".to_owned());
            return self.refuse(
                format!("the arms differ in `{other}` too: {} and {}", show(0), show(1)),
                "it follows from a key of the switch; say it in both arms",
            );
        }
        Ok(())
    }

    /// Both arms start from one policy, or a study's each from a cold start of its own, and are measured on one test split.
    fn hold_start(&self) -> Result<(), ZooError> {
        if self.claim.compares == Compares::Policies {
            // Its policies have a supervised stage, and what may differ has been held: keys of `policy.new`, and rates.
            return Ok(());
        }
        if self.recipe.cold_start_text() != self.baseline.cold_start_text() {
            return self.refuse(
                "the arms have different cold starts".to_owned(),
                "policy, task, supervised stage, decoding and the term that says what is right must be the same in both arms",
            );
        }
        // Without a supervised stage the policy is the start; what of it is trained may differ.
        let is_of_policy = |key: &str| key.starts_with("policy.") && !key.starts_with("policy.train");
        if self.recipe.cold_start_text().is_none()
            && let Some((key, _)) = self.differences().iter().find(|(key, _)| is_of_policy(key))
        {
            return self.refuse(
                format!("the arms start from different policies: they differ in `{key}`"),
                "policy must be the same in both arms, but for what of it is trained",
            );
        }
        let of_data = |key: &str| key.starts_with("task") || key.starts_with("data");
        if !self.differences().iter().any(|(key, _)| of_data(key)) {
            return Ok(());
        }
        if self.test_sum(&self.recipe)? != self.test_sum(&self.baseline)? {
            return self.refuse(
                "the arms have different test splits".to_owned(),
                "a claim about data changes what is trained on, never what is measured on",
            );
        }
        Ok(())
    }

    fn test_sum(&self, recipe: &Recipe) -> Result<String, ZooError> {
        let places = Places::of_environment();
        let made = build::policy(recipe, &places).and_then(|policy| build::world(recipe, &policy, &places));
        let world = made.map_err(|e| ZooError::Setup(Box::new(e)))?;
        let mut sum = Sha256::new();
        for item in world.task.items(Split::Test) {
            let columns = serde_json::to_string(&item.columns).unwrap_or_default();
            sum.update(format!("{:?}{columns}\n", item.context));
        }
        Ok(hex(&sum.finalize()))
    }

    /// Of all that decides the runs' bits: the arms and the claim.
    pub fn sum(&self) -> String {
        let Arms { method, baseline, control, plain } = &self.arms;
        let mut sum = Sha256::new();
        [method, baseline, control, plain].iter().for_each(|arm| sum.update(format!("{arm}\n\n")));
        sum.update(self.claim_text());
        hex(&sum.finalize())
    }

    /// Of what was claimed, and how it would be judged.
    pub fn claim_hash(&self) -> String {
        hex(&Sha256::digest(self.claim_text()))
    }

    fn claim_text(&self) -> String {
        toml::to_string(&self.claim).expect("a claim is a TOML table")
    }
}

/// The base recipe of a name.
fn base(file: &str, name: &str) -> Result<Table, ZooError> {
    let found = Shelf::Base.find(name).map_err(ZooError::io(format!("recipes/base/{name}.toml")))?;
    let Some(RecipeText { file: base, text }) = found else {
        let known = Shelf::Base.names().join(", ");
        return Err(ZooError::NoBase { file: file.to_owned(), name: name.to_owned(), known });
    };
    text.parse().map_err(|e: toml::de::Error| ZooError::Refused {
        file: base,
        problem: e.message().to_owned(),
        hint: "a recipe is TOML".to_owned(),
    })
}
