//! A run as a library call.

use std::path::Path;

use cohort_env::{IntoOutcome, View, from_fn};
use cohort_train::{
    Error, Options, Recipe, RecipeError, Setup, Summary,
    build::{Places, setup},
    cold_start::cache_folder,
    observe::{Observer, Silent},
    recipe::Source,
    run_dir::Start,
    session::Interrupt,
    world::Term,
};

/// Builds a run from a recipe, with parts of your own.
pub struct Trainer {
    /// Names the text in errors.
    file: String,
    text: String,
    overrides: Vec<String>,
    rewards: Vec<Term>,
    setup: Option<Setup>,
    observer: Box<dyn Observer>,
    start: Start,
    interrupt: Interrupt,
}

impl Trainer {
    /// A run of the recipe at `path`.
    ///
    /// # Errors
    /// The recipe cannot be read, or has a key that is unknown or of the wrong type; the error names key and line.
    /// What is missing or contradictory is found by [`Trainer::run`], when every key is set.
    pub fn from_recipe(path: impl AsRef<Path>) -> Result<Self, Error> {
        let file = path.as_ref().display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_text(&file, &text),
            Err(e) => Err(RecipeError::Unreadable { file, reason: e.to_string() }.into()),
        }
    }

    /// A run of a recipe's text, which `name` stands for in errors.
    ///
    /// # Errors
    /// As those of [`Trainer::from_recipe`].
    pub fn from_text(name: &str, text: &str) -> Result<Self, Error> {
        let trainer = Self {
            file: name.to_owned(),
            text: text.to_owned(),
            overrides: Vec::new(),
            rewards: Vec::new(),
            setup: None,
            observer: Box::new(Silent),
            start: Start::Fresh,
            interrupt: Interrupt::default(),
        };
        trainer.typed()
    }

    /// Sets a key, as `--set KEY=VALUE` does.
    ///
    /// # Errors
    /// The key is unknown, or its value of the wrong type.
    pub fn set(mut self, key_value: &str) -> Result<Self, Error> {
        self.overrides.push(key_value.to_owned());
        self.typed()
    }

    fn typed(self) -> Result<Self, Error> {
        Source::parse(self.file.clone(), self.text.clone(), &self.overrides)?;
        Ok(self)
    }

    /// Adds a reward term of weight 1: a function of what the policy wrote. Values outside `range` are errors.
    pub fn reward<R: IntoOutcome + 'static>(
        mut self,
        name: &str,
        range: (f64, f64),
        score: impl for<'a> Fn(&View<'a>) -> R + Send + Sync + 'static,
    ) -> Self {
        self.rewards.push(Term::new(name, 1.0, from_fn(name, range, score)));
        self
    }

    /// Trains a policy of your own in a world of your own; the recipe's `policy`, `data` and `reward` are not read.
    pub fn with(mut self, setup: Setup) -> Self {
        self.setup = Some(setup);
        self
    }

    /// Watches the run.
    pub fn observe(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Goes on with what the run directory holds.
    pub fn resume(mut self) -> Self {
        self.start = Start::Resume;
        self
    }

    /// Setting it ends the run after the step under way, with a checkpoint.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// Runs it in `run_dir`, to its end.
    ///
    /// # Errors
    /// See [`Error`]; what was committed before it stays in the directory.
    pub fn run(mut self, run_dir: impl AsRef<Path>) -> Result<Summary, Error> {
        let recipe = Recipe::parse(&self.file, &self.text, &self.overrides)?;
        let mut setup = match self.setup.take() {
            Some(setup) => setup,
            None => {
                let places = Places::of_environment();
                setup(&recipe, &Places { run_dir: Some(run_dir.as_ref().to_owned()), ..places })?
            }
        };
        setup.world.terms.append(&mut self.rewards);
        let options = Options {
            run_dir: run_dir.as_ref().to_owned(),
            start: self.start,
            workers: None,
            cache: cache_folder(|name| std::env::var(name).ok()),
            interrupt: self.interrupt,
        };
        cohort_train::train(&recipe, setup, &options, self.observer.as_mut())
    }
}
